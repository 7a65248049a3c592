//! Finds the pipeline file and checks it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::{Answer, Outcome};
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::{Env, env};

/// Default paths, relative to the working directory.
const PLACES: [&str; 2] = ["infra/pipeline.toml", "pipeline.toml"];

/// Finds the pipeline file: `SYNCWATCH_PIPELINE`, else `--pipeline`, else the first default path that exists.
pub(crate) fn place(
    env: &Env,
    option: Option<&Path>,
    exists: impl Fn(&Path) -> bool,
) -> Result<PathBuf, Error> {
    let variable = env.optional(env::PIPELINE.name).map(PathBuf::from);
    match (variable, option) {
        (Some(variable), Some(option)) if variable != option => Err(Error::new(
            format!(
                "SYNCWATCH_PIPELINE ({}) and --pipeline ({}) differ",
                variable.display(),
                option.display()
            ),
            "use one of them",
        )),
        (Some(file), _) => Ok(file),
        (None, Some(file)) => Ok(file.to_owned()),
        (None, None) => PLACES.map(PathBuf::from).into_iter().find(|place| exists(place)).ok_or_else(|| {
            Error::new(
                format!("no pipeline file: neither {} exists", PLACES.join(" nor ")),
                "run this in the root of the repository, or set --pipeline FILE or SYNCWATCH_PIPELINE",
            )
        }),
    }
}

/// Reads a pipeline file.
pub fn read_pipeline(path: &Path) -> Result<Pipeline, Error> {
    let invalid = |error| Error::plain(format!("{}: {error}", path.display()));
    Pipeline::parse(&text(path)?).map_err(invalid)
}

fn text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::new(
            format!("cannot read {}: {error}", path.display()),
            "set --pipeline FILE or SYNCWATCH_PIPELINE",
        )
    })
}

/// Result of checking a pipeline file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigCheck {
    pub file: PathBuf,
    pub valid: bool,
    /// Problems, each with its line and remedy.
    pub problems: Vec<String>,
    pub pipeline: Option<String>,
    /// Keys of the syncs.
    pub syncs: Vec<String>,
    /// Names of the data checks.
    pub checks: Vec<String>,
}

impl ConfigCheck {
    pub(crate) fn of(file: &Path) -> Result<Answer, Error> {
        let error = match Pipeline::parse(&text(file)?) {
            Ok(pipeline) => return Ok(Self::valid(file, &pipeline)),
            Err(error) => error,
        };
        let check = Self {
            file: file.to_owned(),
            problems: error.problems.iter().map(ToString::to_string).collect(),
            ..Self::default()
        };
        Ok(Answer::new(Outcome::ToDo, format!("error: {}: {error}", file.display()), &check))
    }

    /// Answers for a valid file with a summary of its declarations.
    pub(crate) fn valid(file: &Path, pipeline: &Pipeline) -> Answer {
        let check = Self {
            file: file.to_owned(),
            valid: true,
            problems: Vec::new(),
            pipeline: Some(pipeline.name.clone()),
            syncs: pipeline.syncs.iter().map(|sync| sync.key.clone()).collect(),
            checks: pipeline.checks.iter().map(|check| check.name.clone()).collect(),
        };
        Answer::new(Outcome::Done, pipeline.to_string().trim_end(), &check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipeline_file_is_from_variable_then_option_then_default() {
        let set = Env::from_map([("SYNCWATCH_PIPELINE", "a.toml")]);
        let unset = Env::from_map([("", "")]);
        let (a, b) = (Some(Path::new("a.toml")), Some(Path::new("b.toml")));
        let all = |_: &Path| true;
        let table = [
            (&set, None, "a.toml"),
            (&set, a, "a.toml"),
            (&unset, b, "b.toml"),
            (&unset, None, "infra/pipeline.toml"),
        ];
        for (env, option, expected) in table {
            assert_eq!(place(env, option, all), Ok(PathBuf::from(expected)));
        }
        let one = place(&unset, None, |place| place == Path::new("pipeline.toml"));
        assert_eq!(one, Ok(PathBuf::from("pipeline.toml")));
        insta::assert_snapshot!(place(&unset, None, |_| false).unwrap_err().lines(), @r"
        error: no pipeline file: neither infra/pipeline.toml nor pipeline.toml exists
        hint: run this in the root of the repository, or set --pipeline FILE or SYNCWATCH_PIPELINE
        ");
        insta::assert_snapshot!(place(&set, b, all).unwrap_err().lines(), @r"
        error: SYNCWATCH_PIPELINE (a.toml) and --pipeline (b.toml) differ
        hint: use one of them
        ");
    }
}

//! The pipeline file that was packed into the function's zip.

use std::path::{Path, PathBuf};

use super::env::{Env, PIPELINE};
use crate::pipeline::{self, Pipeline};

/// Why there is no pipeline. Emitted when a function starts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{path} cannot be read ({source}): pack pipeline.toml into the zip (`make package`), or correct {}",
        PIPELINE.name
    )]
    Unread { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Invalid(#[from] pipeline::Error),
}

/// Reads the pipeline file. A relative path counts from the folder that Lambda unpacked the zip to.
pub fn load(env: &Env, path: &str) -> Result<Pipeline, Error> {
    let path =
        env.optional("LAMBDA_TASK_ROOT").map_or(PathBuf::from(path), |root| Path::new(&root).join(path));
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Unread { path, source })?;
    Ok(Pipeline::parse(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_counts_from_the_folder_of_the_zip() {
        let infra = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra");
        let pipeline = load(&Env::from_map([("LAMBDA_TASK_ROOT", infra)]), "pipeline.toml").unwrap();
        assert_eq!(pipeline.name, "properties");
    }

    #[test]
    fn a_missing_file_is_named_with_the_remedy() {
        let error = load(&Env::from_map([("LAMBDA_TASK_ROOT", "/nowhere")]), "pipeline.toml").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/nowhere/pipeline.toml cannot be read (No such file or directory (os error 2)): pack pipeline.toml into \
             the zip (`make package`), or correct SYNCWATCH_PIPELINE"
        );
    }
}

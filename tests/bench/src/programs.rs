//! Sets up the programs to compare, as in Lambda.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use syncwatch_lab::aws::{FunctionsTable, ResourceKind, SettingSource, host_zips, venv, workspace_root};
use tempfile::TempDir;

use crate::runtime_api::Program;

/// The function to measure; its Python twin does the same job.
pub(crate) const FUNCTION: &str = "schedule-verification";

/// Builds the settings of the function from the table of functions, for resources that do not exist.
pub(crate) fn settings_without_world() -> Result<BTreeMap<String, String>> {
    let table = FunctionsTable::read(&FunctionsTable::default_path())?;
    let settings = &table.function(FUNCTION)?.settings;
    settings
        .iter()
        .map(|(name, source)| {
            let value = match source {
                SettingSource::File(path) => path.clone(),
                SettingSource::Resource(id) if id.kind == ResourceKind::Topic => {
                    format!("arn:aws:sns:us-east-1:000000000000:{}", table.resource_name(id)?)
                }
                SettingSource::Resource(id) => table.resource_name(id)?.to_owned(),
            };
            Ok((name.clone(), value))
        })
        .collect()
}

/// Unpacks the function from the zip that is deployed; `pipeline` replaces its pipeline file.
pub(crate) fn function(
    directory: &TempDir,
    settings: &BTreeMap<String, String>,
    pipeline: Option<&str>,
) -> Result<Program> {
    function_named(FUNCTION, directory, settings, pipeline)
}

/// Unpacks any function of the table, like [`function`].
pub(crate) fn function_named(
    name: &str,
    directory: &TempDir,
    settings: &BTreeMap<String, String>,
    pipeline: Option<&str>,
) -> Result<Program> {
    function_of(&host_zips(), name, directory, settings, pipeline)
}

/// Unpacks any function from the zips in this folder, like [`function`].
pub(crate) fn function_of(
    zips: &Path,
    name: &str,
    directory: &TempDir,
    settings: &BTreeMap<String, String>,
    pipeline: Option<&str>,
) -> Result<Program> {
    let path = zips.join(name).join("bootstrap.zip");
    let file = fs::File::open(&path)
        .with_context(|| format!("cannot read {}; `make lab-zips` builds it", path.display()))?;
    let root = directory.path().join("function");
    zip::ZipArchive::new(file)?.extract(&root)?;
    if let Some(text) = pipeline {
        fs::write(root.join("pipeline.toml"), text)?;
    }
    Ok(program("Rust function", vec![root.join("bootstrap")], root, settings))
}

/// Sets up the handler that does nothing.
pub(crate) fn bare() -> Result<Program> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), PathBuf::from);
    let root = target.join("lambda/bench/bare");
    let bootstrap = root.join("bootstrap");
    fs::metadata(&bootstrap)
        .with_context(|| format!("no {}; `make bench` builds it", bootstrap.display()))?;
    Ok(program("bare Rust handler", vec![bootstrap], root, &BTreeMap::new()))
}

/// Sets up the Python twin with this pipeline file, or else the repository's.
pub(crate) fn python(
    directory: &TempDir,
    settings: &BTreeMap<String, String>,
    pipeline: Option<&str>,
) -> Result<Program> {
    python_named("handler", directory, settings, pipeline)
}

/// Sets up any module of `tests/bench/python`, like [`python`].
pub(crate) fn python_named(
    module: &str,
    directory: &TempDir,
    settings: &BTreeMap<String, String>,
    pipeline: Option<&str>,
) -> Result<Program> {
    let root = directory.path().join("python");
    fs::create_dir_all(&root)?;
    let file = format!("{module}.py");
    copy(&workspace_root().join("tests/bench/python").join(&file), &root.join(&file))?;
    match pipeline {
        Some(text) => fs::write(root.join("pipeline.toml"), text)?,
        None => copy(&workspace_root().join("infra/pipeline.toml"), &root.join("pipeline.toml"))?,
    }
    let handler = format!("{module}.handler");
    let command = ["-m", "awslambdaric", &handler].map(PathBuf::from);
    let command = std::iter::once(venv().join("bin/python")).chain(command).collect();
    Ok(program("Python twin", command, root, settings))
}

fn program(
    name: &'static str,
    command: Vec<PathBuf>,
    task_root: PathBuf,
    settings: &BTreeMap<String, String>,
) -> Program {
    let environment = settings.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Program { name, command, task_root, environment }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

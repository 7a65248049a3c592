//! Reads the files of the benchmark from a copy of its repository.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use super::scorer::Window;

/// One data file with its windows.
#[derive(Debug)]
pub(crate) struct Series {
    /// Its path below `data`, such as `realTweets/Twitter_volume_AAPL.csv`.
    pub(crate) name: String,
    pub(crate) values: Vec<f64>,
    pub(crate) windows: Vec<Window>,
}

/// The number of files and windows of NAB v1.1.
pub(crate) const FILES: usize = 58;
pub(crate) const WINDOWS: usize = 116;

const HOW_TO_GET_IT: &str = "hint: clone the GitHub repository numenta/NAB and pass the clone's directory";

/// Reads the corpus.
///
/// # Errors
/// If a file is absent or has another form, or the corpus is not that of version 1.1.
pub(crate) fn read(folder: &Path) -> Result<Vec<Series>> {
    let path = folder.join("labels/combined_windows.json");
    let text = contents(&path)?;
    let labels: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    let labels = labels.as_object().context("the labels are not an object")?;
    let series: Vec<Series> =
        labels.iter().map(|(name, windows)| one(folder, name, windows)).collect::<Result<_>>()?;
    let windows: usize = series.iter().map(|series| series.windows.len()).sum();
    if (series.len(), windows) != (FILES, WINDOWS) {
        bail!("{} files with {windows} windows; NAB v1.1 has {FILES} with {WINDOWS}", series.len());
    }
    Ok(series)
}

fn one(folder: &Path, name: &str, windows: &Value) -> Result<Series> {
    let path = folder.join("data").join(name);
    let times = column(&path, "timestamp")?;
    let values = numbers(&path, "value")?;
    let row = |time: &Value| -> Result<usize> {
        // The labels have microseconds, the data has none.
        let time = time.as_str().and_then(|time| time.split('.').next());
        let row = time.and_then(|time| times.iter().position(|other| other == time));
        row.with_context(|| format!("a window of {name} begins or ends at no row"))
    };
    let windows = windows.as_array().into_iter().flatten().map(|window| {
        Ok(Window {
            first: row(window.get(0).unwrap_or(&Value::Null))?,
            last: row(window.get(1).unwrap_or(&Value::Null))?,
        })
    });
    Ok(Series { name: name.to_owned(), values, windows: windows.collect::<Result<_>>()? })
}

/// Reads the scores that a detector published for this file.
pub(crate) fn published(folder: &Path, detector: &str, name: &str) -> Result<Vec<f64>> {
    let (directory, file) = name.rsplit_once('/').context("a data file lies in a folder")?;
    let path = folder.join("results").join(detector).join(directory).join(format!("{detector}_{file}"));
    numbers(&path, "anomaly_score")
}

fn numbers(path: &Path, name: &str) -> Result<Vec<f64>> {
    let read = |text: String| {
        text.trim().parse().with_context(|| format!("{}: no number in {name}", path.display()))
    };
    column(path, name)?.into_iter().map(read).collect()
}

fn column(path: &Path, name: &str) -> Result<Vec<String>> {
    let text = contents(path)?;
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let at = header.split(',').position(|title| title.trim() == name);
    let at = at.with_context(|| format!("{} has no column {name}", path.display()))?;
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.split(',').nth(at).map(str::to_owned).context("a row is too short"))
        .collect()
}

fn contents(path: &Path) -> Result<String> {
    fs::read_to_string(path)
        .map_err(|error| anyhow!("cannot read {}: {error}\n{HOW_TO_GET_IT}", path.display()))
}

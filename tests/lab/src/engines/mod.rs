//! Real SQL engines on this machine, through their ODBC drivers.

mod postgres;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use syncwatch::warehouse::{Limits, OdbcSettings, Settings, Warehouse};

pub use postgres::Postgres;

/// Debian's folders for ODBC drivers, for both processors.
const DRIVER_FOLDERS: [&str; 3] =
    ["/usr/lib/x86_64-linux-gnu/odbc", "/usr/lib/aarch64-linux-gnu/odbc", "/usr/lib/odbc"];

/// The path of an ODBC driver from a Debian package.
fn driver(file: &str, package: &str) -> Result<PathBuf> {
    let found = DRIVER_FOLDERS.iter().map(|folder| Path::new(folder).join(file)).find(|path| path.exists());
    found.with_context(|| format!("{file} not found in {DRIVER_FOLDERS:?}; apt-get install {package}"))
}

/// Opens a SQLite database in a file, and creates the file if it is missing.
///
/// # Errors
/// The driver is missing; the error names its package.
pub fn sqlite(file: &Path) -> Result<Warehouse> {
    let driver = driver("libsqlite3odbc.so", "libsqliteodbc")?;
    let settings = OdbcSettings::sqlite(driver.display().to_string(), file.display().to_string())
        // A crash may cost the lab its data; readers must not wait for writers.
        .with("SyncPragma", "OFF")
        .with("JournalMode", "WAL");
    open(settings, Limits::default().time)
}

/// The secret for a function that uses that file; the driver is at `driver_path`, or in Debian's folder.
///
/// # Errors
/// The driver is missing; the error names its package.
pub fn sqlite_secret(file: &Path, driver_path: Option<&str>) -> Result<String> {
    let driver = match driver_path {
        Some(path) => path.to_owned(),
        None => driver("libsqlite3odbc.so", "libsqliteodbc")?.display().to_string(),
    };
    Ok(json!({ "driver": driver, "file": file.display().to_string() }).to_string())
}

/// Opens an engine with a time limit for each statement.
fn open(mut settings: OdbcSettings, time: Duration) -> Result<Warehouse> {
    settings.limits = Limits { time, rows: 100_000, bytes: 64 << 20, ..settings.limits };
    Ok(Warehouse::open(Settings::Odbc(settings), syncwatch::http::client()?)?)
}

//! A PostgreSQL of the lab's own: in a temporary folder, on a free loopback port, gone when it is dropped.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use secrecy::SecretString;
use syncwatch::warehouse::{OdbcSettings, Warehouse};
use tempfile::TempDir;

use super::{driver, open};

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Postgres {
    /// Makes a cluster and starts it. As root it runs as the user `postgres`, for it refuses to run as root.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start; says what it said.
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("syncwatch-postgres-").tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let server = Self { programs: programs()?, folder, port };
        if is_root()? {
            run(Command::new("chown").arg("postgres:").arg(server.folder.path()))?;
        }
        let data = server.data();
        run(server.command("initdb").arg("--pgdata").arg(&data).args([
            "--auth=trust",
            "--username=syncwatch",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]))?;
        // Durability is nothing to a lab; another zone than UTC shows who relies on the server's.
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off \
             -c timezone=America/Los_Angeles"
        );
        let log = server.folder.path().join("log");
        run(server.command("pg_ctl").arg("--pgdata").arg(&data).arg("--log").arg(log).args([
            "--wait",
            "--silent",
            "--options",
            &options,
            "start",
        ]))?;
        Ok(server)
    }

    /// Its database, by ODBC.
    ///
    /// # Errors
    /// The driver is missing; says how to install it.
    pub fn warehouse(&self) -> Result<Warehouse> {
        let driver = driver("psqlodbcw.so", "odbc-postgresql")?.display().to_string();
        let password = SecretString::from("none is asked for");
        open(OdbcSettings::postgresql(driver, "127.0.0.1", self.port, "postgres", "syncwatch", password))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root().unwrap_or(false) {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        let mut stop = self.command("pg_ctl");
        stop.arg("--pgdata").arg(data).args(["--silent", "--mode=immediate", "stop"]);
        if let Err(error) = run(&mut stop) {
            tracing::warn!("PostgreSQL could not be stopped: {error:#}");
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    // Not piped: the server would inherit the pipe, and its end would never come.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.with_context(|| format!("{command:?} cannot be run"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}; run it by hand to see why");
    }
    Ok(())
}

fn is_root() -> Result<bool> {
    Ok(fs::metadata("/proc/self").context("/proc is not there")?.uid() == 0)
}

/// The folder with `initdb` of the newest version.
fn programs() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    if let Ok(versions) = fs::read_dir(Path::new("/usr/lib/postgresql")) {
        for version in versions.flatten() {
            let folder = version.path().join("bin");
            let number = version.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(number) = number.filter(|_| folder.join("initdb").exists()) {
                found.push((number, folder));
            }
        }
    }
    found.sort();
    found.pop().map(|(_, folder)| folder).context("PostgreSQL is not installed: apt-get install postgresql")
}

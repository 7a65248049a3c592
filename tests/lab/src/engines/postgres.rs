//! A PostgreSQL for the lab: in a temporary folder, on a free loopback port, removed on drop.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use secrecy::SecretString;
use serde_json::json;
use syncwatch::warehouse::{Limits, OdbcSettings, Warehouse};
use tempfile::TempDir;

use super::{driver, open};

/// The server accepts any password; tests search logs and output for this one.
const PASSWORD: &str = "s3cret-of-the-lab";
const START_ATTEMPTS: usize = 600;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Postgres {
    /// Creates a cluster and starts it, which takes a second or two and blocks. As PostgreSQL refuses to run as root, it then
    /// runs as the user `postgres`. It ends at the latest with the thread that started it.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start.
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("syncwatch-postgres-").tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut server = Self { programs: programs()?, folder, port, child: None };
        if is_root()? {
            run(Command::new("chown").arg("postgres:").arg(server.folder.path()))?;
        }
        run(server.command("initdb").arg("--pgdata").arg(server.data()).args([
            "--auth=trust",
            "--username=syncwatch",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]))?;
        server.serve()?;
        Ok(server)
    }

    /// Starts the server, and waits until it accepts connections.
    fn serve(&mut self) -> Result<()> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        // The lab needs no durability. A zone other than UTC exposes code that relies on the server's.
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "full_page_writes=off",
            "shared_buffers=16MB",
            "timezone=America/Los_Angeles",
        ] {
            command.arg("-c").arg(setting);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = self.child.insert(child.context("cannot run PostgreSQL")?);
        for _ in 0..START_ATTEMPTS {
            if let Some(status) = child.try_wait()? {
                bail!("PostgreSQL ended with {status} at its start; run it by hand to see why");
            }
            let port = self.port.to_string();
            let mut ready = Command::new(self.programs.join("pg_isready"));
            if run(ready.args(["--quiet", "--host=127.0.0.1", "--port", &port])).is_ok() {
                return Ok(());
            }
            std::thread::sleep(BETWEEN_ATTEMPTS);
        }
        bail!("PostgreSQL started but accepts no connections; run it by hand to see why")
    }

    /// Opens its database through ODBC.
    ///
    /// # Errors
    /// The driver is missing; the error names its package.
    pub fn warehouse(&self) -> Result<Warehouse> {
        self.warehouse_with(Limits::default().time)
    }

    /// The same, with a time limit for each statement.
    ///
    /// # Errors
    /// As [`Postgres::warehouse`].
    pub fn warehouse_with(&self, time: Duration) -> Result<Warehouse> {
        Self::warehouse_at(self.port, time)
    }

    /// Opens the database of the server at a port, which another process may have started.
    ///
    /// # Errors
    /// As [`Postgres::warehouse`].
    pub fn warehouse_at(port: u16, time: Duration) -> Result<Warehouse> {
        let driver = driver("psqlodbcw.so", "odbc-postgresql")?.display().to_string();
        let password = SecretString::from(PASSWORD);
        open(OdbcSettings::postgresql(driver, "127.0.0.1", port, "postgres", "syncwatch", password), time)
    }

    /// Returns the port on which it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The secret for a function that connects as `role`.
    ///
    /// # Errors
    /// The driver is missing; the error names its package.
    pub fn secret(&self, role: &str) -> Result<String> {
        let secret = json!({
            "driver": driver("psqlodbcw.so", "odbc-postgresql")?.display().to_string(),
            "host": "127.0.0.1",
            "port": self.port.to_string(),
            "database": "postgres",
            "user": role,
            "password": PASSWORD,
        });
        Ok(secret.to_string())
    }

    /// Ends it at once, in the middle of any statement, as a crash would. [`Postgres::restart`] starts it again.
    ///
    /// # Errors
    /// It is not running, or the signal cannot be sent.
    pub fn crash(&mut self) -> Result<()> {
        let mut child = self.child.take().context("PostgreSQL is not running")?;
        // SIGQUIT is its immediate shutdown. It ends the workers too, which would block the next start.
        run(Command::new("kill").args(["-QUIT", &child.id().to_string()]))?;
        child.wait()?;
        Ok(())
    }

    /// Starts it again, on the same data.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.serve()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A PostgreSQL program that is killed when its parent ends.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=KILL").current_dir("/");
        if is_root().unwrap_or(false) {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        }
        command.arg(self.programs.join(program));
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Its workers end with it, and its data are temporary.
            if let Err(error) = child.kill().and_then(|()| child.wait()) {
                tracing::warn!("PostgreSQL could not be stopped: {error:#}");
            }
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}; run it by hand to see why");
    }
    Ok(())
}

fn is_root() -> Result<bool> {
    Ok(fs::metadata("/proc/self").context("/proc is missing")?.uid() == 0)
}

/// The folder with the newest version's `initdb`.
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
    found.pop().map(|(_, folder)| folder).context("PostgreSQL is not installed; apt-get install postgresql")
}

//! A PostgreSQL server for one test: on a free port of this machine, in a temporary directory.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The superuser's password.
pub(super) const PASSWORD: &str = "p;w{}d+%41 =x";
const LONGEST_START: Duration = Duration::from_secs(60);

/// A server that stops when it is dropped, also by a panic, and that is killed together with the test's process.
pub(super) struct Postgres {
    directory: TempDir,
    binaries: PathBuf,
    pub(super) port: u16,
    server: Mutex<Option<Child>>,
}

impl Postgres {
    /// Creates a database cluster and starts its server.
    pub(super) fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("syncwatch-postgresql-").tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let this = Self { directory, binaries: binaries(), port, server: Mutex::new(None) };
        this.initialize();
        this.restart();
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Builds a command for one of PostgreSQL's programs, never as root, which PostgreSQL refuses.
    fn program(&self, name: &str) -> Command {
        let program = self.binaries.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            // The server dies with the thread that starts it, so a killed test leaves no server behind.
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    fn initialize(&self) {
        if is_root() {
            let user = fs::read_to_string("/etc/passwd").unwrap();
            let entry = user
                .lines()
                .find(|line| line.starts_with("postgres:"))
                .expect("the user postgres is missing: make setup");
            let ids: Vec<u32> = entry.split(':').skip(2).take(2).map(|id| id.parse().unwrap()).collect();
            chown(self.directory.path(), Some(ids[0]), Some(ids[1])).unwrap();
        }
        let password = self.path("password");
        writeln!(fs::File::create(&password).unwrap(), "{PASSWORD}").unwrap();
        let output = self
            .program("initdb")
            .args([
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .arg(format!("--pwfile={}", password.display()))
            .arg(format!("--pgdata={}", self.path("data").display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let mut configuration =
            fs::OpenOptions::new().append(true).open(self.path("data/postgresql.conf")).unwrap();
        // The server's zone is not UTC, so that sessions must set it. Commits must survive a crash, not a power failure.
        writeln!(
            configuration,
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\ntimezone = 'America/Los_Angeles'\n\
             fsync = off\nfull_page_writes = off\nmax_connections = 20\nshared_buffers = 16MB",
            self.port
        )
        .unwrap();
    }

    /// Starts the server on the existing cluster and waits until it answers.
    pub(super) fn restart(&self) {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.path("log")).unwrap();
        let mut server = self
            .program("postgres")
            .arg("-D")
            .arg(self.path("data"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !self.is_ready() {
            let ended = server.try_wait().unwrap();
            let log = || fs::read_to_string(self.path("log")).unwrap();
            assert!(ended.is_none(), "PostgreSQL ended: {}", log());
            assert!(begun.elapsed() < LONGEST_START, "PostgreSQL does not answer: {}", log());
            std::thread::yield_now();
        }
        *self.server.lock().unwrap() = Some(server);
    }

    fn is_ready(&self) -> bool {
        // The cheap test of the port comes first; pg_isready then checks that the server accepts sessions.
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
            && self
                .program("pg_isready")
                .args(["--quiet", "--host=127.0.0.1", &format!("--port={}", self.port)])
                .status()
                .is_ok_and(|status| status.success())
    }

    /// Stops the server immediately, as a crash would.
    pub(super) fn crash(&self) {
        let Some(mut server) = self.server.lock().unwrap().take() else { return };
        // SIGQUIT is PostgreSQL's immediate shutdown and also ends its child processes, unlike SIGKILL.
        let _ = Command::new("kill").args(["-QUIT", &server.id().to_string()]).status();
        let _ = server.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.crash();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Finds the programs of the newest installed version.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is missing: make setup");
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin"))).filter(|(_, path)| Path::new(path).join("initdb").exists())
        })
        .collect();
    versions.sort();
    versions.pop().expect("PostgreSQL's server is missing: make setup").1
}

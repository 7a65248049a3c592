//! Starts, monitors and stops `ministack`, the emulator of AWS on one machine.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use syncwatch::aws::SdkHttp;
use syncwatch::http;
use tempfile::TempDir;

/// The default account of ministack.
pub const ACCOUNT: &str = "000000000000";
/// The region of everything in the lab.
pub const REGION: &str = "us-east-1";

/// The interval at which our ministack fires due schedules; see the launcher.
pub(super) const SWEEP: Duration = Duration::from_secs(2);
/// The limit for a start. It takes 0.7 s warm; the first one on a slow disk compiles some Python.
const START_LIMIT: Duration = Duration::from_secs(30);
/// The number of attempts when another process takes the port before ministack binds it.
const PORT_ATTEMPTS: u32 = 3;

/// Runs ministack, and kills its process group when stdin ends. The lab keeps the other end of that pipe: however the lab
/// ends (return, panic, Ctrl-C, even SIGKILL), the pipe closes, and no ministack, `bootstrap` or file stays behind.
/// A line of stdin names a function whose processes to kill; see [`Ministack::kill_at_work`].
const LAUNCHER: &str = "
import os, shutil, signal, sys, threading

directory = sys.argv[1]

def kill_at_work(function):
    from ministack.core import lambda_runtime
    with lambda_runtime._lock:
        environments = [each for pool in lambda_runtime._workers.values() for each in pool]
        at_work = [each._proc for each in environments if each.func_name == function and each.in_use]
    for process in at_work:
        if process:
            process.kill()

def end_with_the_lab():
    with open(0) as orders:
        for order in orders:
            kill_at_work(order.strip())
    shutil.rmtree(directory, ignore_errors=True)
    os.killpg(os.getpgrp(), signal.SIGKILL)

threading.Thread(target=end_with_the_lab, daemon=True).start()
sys.argv = ['ministack']
# By default it fires due schedules every 10 s, and a demo waits for each of them.
from ministack.services import scheduler
scheduler._SCHEDULE_TICK_INTERVAL = 2
# Its Runtime API writes head and body of an event separately, which Nagle's algorithm delays by 40 ms each time.
import socketserver
socketserver.StreamRequestHandler.disable_nagle_algorithm = True
from ministack.app import main
main()
";

/// A running ministack. Dropping it stops it, with every function process that it started.
#[derive(Debug)]
pub struct Ministack {
    child: Child,
    endpoint: String,
    // Last, so that the directory is removed after the processes that write into it.
    directory: TempDir,
}

/// The virtual environment with ministack: `SYNCWATCH_VENV`, or `.venv` at the root of the repository.
#[must_use]
pub fn venv() -> PathBuf {
    std::env::var_os("SYNCWATCH_VENV").map_or_else(|| super::workspace_root().join(".venv"), PathBuf::from)
}

impl Ministack {
    /// Starts ministack from [`venv`] on a free loopback port and waits until it answers.
    ///
    /// # Errors
    /// If the virtual environment is missing, or ministack ends or does not answer in time; the error has the end of its
    /// log.
    pub async fn start() -> Result<Self> {
        Self::start_from(&venv()).await
    }

    /// As [`Ministack::start`], from this virtual environment.
    ///
    /// # Errors
    /// As [`Ministack::start`].
    pub async fn start_from(venv: &Path) -> Result<Self> {
        let python = venv.join("bin/python");
        if !python.exists() {
            bail!(
                "no Python at {}; run `make setup`, or set SYNCWATCH_VENV to a virtual environment with tests/requirements.txt",
                python.display()
            );
        }
        let mut last = None;
        for _ in 0..PORT_ATTEMPTS {
            match Self::attempt(&python).await {
                Ok(ministack) => return Ok(ministack),
                Err(error) if format!("{error:#}").contains("already in use") => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no free port")))
    }

    async fn attempt(python: &Path) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("syncwatch-aws-").tempdir()?;
        let temporary = directory.path().join("tmp");
        std::fs::create_dir(&temporary)?;
        let log = File::create(directory.path().join("ministack.log"))?;
        let port = free_port()?;
        let child = Command::new(python)
            .args(["-c", LAUNCHER])
            .arg(directory.path())
            .current_dir(directory.path())
            // Functions inherit ministack's environment, so it must have nothing of the developer's: no AWS_*, no proxy.
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", directory.path())
            .env("TMPDIR", &temporary)
            .env("PYTHONUNBUFFERED", "1")
            .env("GATEWAY_PORT", port.to_string())
            // The default is every interface.
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("MINISTACK_REGION", REGION)
            .env("LAMBDA_EXECUTOR", "local")
            // Other listeners: MQTT would take 8883 on every interface, SFTP 2222.
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            // At its start ministack removes containers that look like its own, so keep it from the developer's Docker.
            .env("DOCKER_HOST", "unix:///nonexistent")
            .env("CLOUDTRAIL_RECORDING", "0")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", python.display()))?;
        let mut ministack = Self { child, endpoint: format!("http://127.0.0.1:{port}"), directory };
        ministack.wait_until_ready().await?;
        Ok(ministack)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let url = format!("{}/_ministack/health", self.endpoint);
        let client = http::client()?;
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("ministack ended at its start ({status}); end of its log:\n{}", self.log_tail(2_000));
            }
            // Checked only while our child runs, as another process could answer on this port.
            if let Ok(answer) = client.get(&url).timeout(Duration::from_secs(5)).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            if started.elapsed() > START_LIMIT {
                bail!(
                    "ministack did not answer at {url} within {} s; end of its log:\n{}",
                    START_LIMIT.as_secs(),
                    self.log_tail(2_000)
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The base URL, such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The path of its log, which includes the functions' output.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.directory.path().join("ministack.log")
    }

    /// The last bytes of its log; empty if it cannot be read.
    #[must_use]
    pub fn log_tail(&self, bytes: u64) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log_path())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
            let mut tail = Vec::new();
            file.read_to_end(&mut tail)?;
            Ok(String::from_utf8_lossy(&tail).into_owned())
        };
        read().unwrap_or_default()
    }

    /// Kills (SIGKILL) every process of a function that is handling an event, as a crash does. The sender of the event decides
    /// about a retry: a queue delivers it again.
    ///
    /// # Errors
    /// If ministack has ended.
    pub fn kill_at_work(&self, function: &str) -> Result<()> {
        let mut orders = self.child.stdin.as_ref().context("ministack has no stdin")?;
        writeln!(orders, "{function}").context("ministack has ended")
    }

    /// The configuration for SDK clients, on the HTTP stack of the functions: endpoint, region, and dummy credentials.
    ///
    /// # Errors
    /// If the HTTP client cannot be built.
    pub fn sdk_config(&self) -> Result<SdkConfig> {
        Ok(SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(&self.endpoint)
            .http_client(SharedHttpClient::new(SdkHttp(http::client()?)))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "lab", "lab", None, None, "the lab",
            )))
            // A retried invocation would be a second run, so the caller decides.
            .retry_config(RetryConfig::disabled())
            .build())
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // Closes the pipe: the launcher kills its whole process group, functions included.
        drop(self.child.stdin.take());
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(2) {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        // Only if Python did not start the thread that reads the pipe.
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::warn!(%error, "ministack could not be stopped");
        }
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free loopback port")?;
    Ok(listener.local_addr()?.port())
}

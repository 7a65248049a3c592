//! A minimal Lambda Runtime API: hands out events one after the other and receives the answers.
//!
//! It uses plain threads and blocking sockets, so that it adds almost nothing to the figures, even in a debug build.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// A program that can be started as a Lambda function.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// The name in the report.
    pub(crate) name: &'static str,
    /// The executable and its arguments.
    pub(crate) command: Vec<PathBuf>,
    /// The folder where it is unpacked, which is its working directory.
    pub(crate) task_root: PathBuf,
    /// Environment variables, in addition to those that Lambda sets.
    pub(crate) environment: Vec<(String, String)>,
}

/// The figures of one start.
#[derive(Debug)]
pub(crate) struct Start {
    /// From just before `exec` until the whole answer arrived.
    pub(crate) took: Duration,
    /// The peak memory of the process until then.
    pub(crate) peak_kb: u64,
    pub(crate) answer: Value,
}

struct Posted {
    at: Instant,
    /// Time since its event was handed out.
    took: Duration,
    path: String,
    body: Vec<u8>,
    peak_kb: u64,
}

/// The events still to hand out, and the time of the latest one.
struct Events {
    waiting: Box<dyn Iterator<Item = String> + Send>,
    handed_out_at: Instant,
}

/// Starts a new process, sends it `event`, and waits for the answer.
pub(crate) fn start(program: &Program, event: &Value, limit: Duration) -> Result<Start> {
    let running = run(program, std::iter::once(event.to_string()))?;
    let posted = running.next_answer(program, limit)?;
    Ok(Start {
        took: posted.at.duration_since(running.begun),
        peak_kb: posted.peak_kb,
        answer: posted.answer(program)?,
    })
}

/// Starts a new process, sends it the events one after the other, and returns the time and the answer of each. `limit`
/// applies to each event.
pub(crate) fn answer_all(
    program: &Program,
    events: impl IntoIterator<Item = String>,
    limit: Duration,
) -> Result<Vec<(Duration, Value)>> {
    let events: Vec<String> = events.into_iter().collect();
    let count = events.len();
    let running = run(program, events.into_iter())?;
    let answers = (0..count).map(|_| {
        let posted = running.next_answer(program, limit)?;
        Ok((posted.took, posted.answer(program)?))
    });
    answers.collect()
}

/// A running program. Dropping this ends the process.
struct Running {
    child: Mutex<Kill>,
    answers: Receiver<Posted>,
    begun: Instant,
    address: SocketAddr,
}

impl Running {
    fn next_answer(&self, program: &Program, limit: Duration) -> Result<Posted> {
        let asked = Instant::now();
        loop {
            match self.answers.recv_timeout(Duration::from_millis(50)) {
                Ok(posted) => return Ok(posted),
                Err(RecvTimeoutError::Timeout) if asked.elapsed() < limit => {
                    let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(status) = child.0.try_wait()? {
                        bail!("{} ended without an answer: {status}", program.name);
                    }
                }
                Err(error) => return Err(anyhow!("{}: no answer: {error}", program.name)),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).end();
        // Wakes the accepting thread, so that it can end.
        drop(TcpStream::connect(self.address));
    }
}

impl Posted {
    fn answer(&self, program: &Program) -> Result<Value> {
        if !self.path.ends_with("/response") {
            bail!("{} failed: {}", program.name, String::from_utf8_lossy(&self.body));
        }
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{} answered with something that is not JSON", program.name))
    }
}

fn run(program: &Program, events: impl Iterator<Item = String> + Send + 'static) -> Result<Running> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (executable, arguments) = program.command.split_first().context("an empty command")?;
    let mut command = Command::new(executable);
    command
        .args(arguments)
        .current_dir(&program.task_root)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "en_US.UTF-8")
        .env("TZ", ":UTC")
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "schedule-verification")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/schedule-verification")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .env("AWS_SESSION_TOKEN", "bench")
        .env("LAMBDA_TASK_ROOT", &program.task_root)
        .env("_HANDLER", "handler.handler")
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());

    let begun = Instant::now();
    let child = Kill(command.spawn().with_context(|| format!("cannot start {}", executable.display()))?);
    let pid = child.0.id();
    let (sender, answers) = mpsc::channel();
    let events = Arc::new(Mutex::new(Events { waiting: Box::new(events), handed_out_at: begun }));
    std::thread::spawn(move || {
        // A closed connection ends its thread, and the listener is dropped with this one.
        for stream in listener.incoming().map_while(Result::ok) {
            let (sender, events) = (sender.clone(), Arc::clone(&events));
            std::thread::spawn(move || serve(&stream, pid, &events, &sender));
        }
    });

    Ok(Running { child: Mutex::new(child), answers, begun, address })
}

struct Kill(Child);

impl Kill {
    fn end(&mut self) {
        // An error means that the process has already ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Kill {
    fn drop(&mut self) {
        self.end();
    }
}

/// Answers the requests of one connection. `None` means that the client closed it.
fn serve(stream: &TcpStream, pid: u32, events: &Mutex<Events>, answers: &Sender<Posted>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let Request { method, path, body, .. } = Request::read(&mut reader, writer)?;
        if method == "GET" && path.ends_with("/runtime/invocation/next") {
            let next = events.lock().ok()?.waiting.next();
            let Some(event) = next else {
                // Lambda also keeps the connection open until the next event; here there is none.
                std::thread::park();
                return None;
            };
            let deadline = std::time::SystemTime::UNIX_EPOCH.elapsed().ok()?.as_millis() + 60_000;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: {REQUEST_ID}\r\n\
                 Lambda-Runtime-Deadline-Ms: {deadline}\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:schedule-verification\r\n\
                 Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0\r\n\
                 Content-Length: {}\r\n\r\n{event}",
                event.len()
            );
            events.lock().ok()?.handed_out_at = Instant::now();
            writer.write_all(answer.as_bytes()).ok()?;
        } else {
            let at = Instant::now();
            let took = at.duration_since(events.lock().ok()?.handed_out_at);
            answers.send(Posted { at, took, path, body, peak_kb: peak_kb(pid).unwrap_or(0) }).ok()?;
            writer.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").ok()?;
        }
    }
}

/// The parts of a request that the stubs need.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The AWS operation (`X-Amz-Target`), in lower case.
    pub(crate) target: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads the next request of a connection; `None` at its end.
    pub(crate) fn read(reader: &mut BufReader<&TcpStream>, mut writer: &TcpStream) -> Option<Self> {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut words = line.split_whitespace().map(ToOwned::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let (mut length, mut chunked, mut expects, mut target) = (0_usize, false, false, None);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let header = header.trim_end().to_ascii_lowercase();
            match header.split_once(':').map(|(name, value)| (name, value.trim())) {
                None => break,
                Some(("content-length", value)) => length = value.parse().ok()?,
                Some(("transfer-encoding", value)) => chunked = value.contains("chunked"),
                Some(("expect", value)) => expects = value == "100-continue",
                Some(("x-amz-target", value)) => target = Some(value.to_owned()),
                Some(_) => {}
            }
        }
        if expects {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let body = if chunked { read_chunks(reader)? } else { read_exactly(reader, length)? };
        Some(Self { method, path, target, body })
    }
}

fn read_exactly(reader: &mut BufReader<&TcpStream>, length: usize) -> Option<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn read_chunks(reader: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        body.extend(read_exactly(reader, size)?);
        let mut end = String::new();
        reader.read_line(&mut end).ok()?;
        if size == 0 {
            return Some(body);
        }
    }
}

/// Reads `VmHWM`: the peak resident memory of the process.
fn peak_kb(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

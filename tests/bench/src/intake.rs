//! Measures how long a warm process takes to answer a webhook, one after the other.
//!
//! Lambda gives a process one event at a time, so this is the rate of one sandbox. A local stub of AWS answers at once.

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use syncwatch_lab::census::sign;

use crate::programs;
use crate::report::{Report, ms};
use crate::runtime_api::{Program, Request, answer_all};

/// Starts of each program, in turns.
const ROUNDS: usize = 6;
/// Uncounted deliveries of each start, because the first one opens connections.
const WARM_UP: usize = 50;
/// Counted deliveries of each start.
const COUNTED: usize = 500;
const LIMIT: Duration = Duration::from_secs(30);
const SECRET: &str = "whsec-bench";

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let aws = Aws::serve()?;
    let settings: BTreeMap<String, String> = [
        ("SYNCWATCH_PIPELINE", "pipeline.toml"),
        ("SYNCWATCH_DELIVERIES_QUEUE", &format!("{}/000000000000/deliveries", aws.url)),
        ("SYNCWATCH_WEBHOOK_SECRET", "syncwatch/census-webhook"),
        ("AWS_ENDPOINT_URL", &aws.url),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let directory = tempfile::tempdir()?;
    let function = programs::function_named("webhook-intake", &directory, &settings, None)?;
    let python = programs::python_named("intake", &directory, &settings, None)?;

    report.part(&format!(
        "Webhooks: {COUNTED} signed deliveries to a warm process, {ROUNDS} starts each in turns, with a local stub of AWS"
    ));
    let [function, python] = in_turns(&[function, python], &aws, report)?;
    let rate = function.rate / python.rate;
    let (p50, p99) = (python.p50 / function.p50, python.p99 / function.p99);
    report.goal("deliveries/s over Python", &format!("{rate:.1} x"), ">= 2 x", rate >= 2.0);
    report.goal("p50 under Python", &format!("{p50:.1} x"), ">= 2 x", p50 >= 2.0);
    // Other load on the machine decides the slowest percent, so p99 is reported without a goal.
    report.line(&format!("p99 under Python: {p99:.1} x"));
    Ok(())
}

/// The figures of one program over all its deliveries; times in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Measured {
    rate: f64,
    p50: f64,
    p99: f64,
}

fn in_turns(programs: &[Program; 2], aws: &Aws, report: &mut Report) -> Result<[Measured; 2]> {
    let mut times = [const { Vec::<f64>::new() }; 2];
    for round in 0..ROUNDS {
        for (program, times) in programs.iter().zip(&mut times) {
            let before = aws.queued();
            let answers = answer_all(program, deliveries(round), LIMIT)?;
            for (_, answer) in &answers {
                ensure!(answer["statusCode"] == 202, "{} answered {answer}", program.name);
            }
            ensure!(
                aws.queued() - before == WARM_UP + COUNTED,
                "{} queued another number of deliveries than it accepted",
                program.name
            );
            times.extend(answers.iter().skip(WARM_UP).map(|(took, _)| ms(*took)));
        }
    }
    let measured = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times.get((times.len() - 1) * percent / 100).copied().unwrap_or(f64::NAN);
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let rate = times.len() as f64 * 1e3 / times.iter().sum::<f64>();
        Measured { rate, p50: at(50), p99: at(99) }
    });
    for (program, Measured { rate, p50, p99 }) in programs.iter().zip(&measured) {
        report.line(&format!(
            "{:<18} {rate:>8.0} deliveries/s   p50 {p50:>6.2} ms   p99 {p99:>6.2} ms",
            program.name
        ));
    }
    Ok(measured)
}

/// Builds signed deliveries of different runs, as events of a Function URL.
fn deliveries(round: usize) -> impl Iterator<Item = String> {
    (0..WARM_UP + COUNTED).map(move |index| {
        let run = 324_000_000 + round * 10_000 + index;
        let body = json!({
            "workspace_id": 3167, "sync_id": 3_394_022, "sync_run_id": run, "event": "sync.completed", "status": "ok",
        })
        .to_string();
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/webhooks/census", "rawQueryString": "",
            "headers": {
                "content-type": "application/json",
                "host": "abcdefghijklmnop.lambda-url.us-east-1.on.aws",
                "user-agent": "Census",
                "x-amzn-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
                "x-forwarded-for": "192.0.2.1",
                "x-forwarded-port": "443",
                "x-forwarded-proto": "https",
                "x-signature": sign(SECRET, body.as_bytes()),
            },
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "abcdefghijklmnop",
                "domainName": "abcdefghijklmnop.lambda-url.us-east-1.on.aws",
                "http": {
                    "method": "POST", "path": "/webhooks/census", "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1", "userAgent": "Census",
                },
                "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                "stage": "$default",
            },
            "body": body,
            "isBase64Encoded": false,
        })
        .to_string()
    })
}

/// A stub of Secrets Manager with one secret, and of SQS, which accepts and discards every message.
///
/// It uses plain threads and blocking sockets, like the Runtime API here, so that the bench measures the client.
struct Aws {
    url: String,
    queued: Arc<AtomicUsize>,
}

impl Aws {
    fn serve() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let aws = Self { url: format!("http://{}", listener.local_addr()?), queued: Arc::default() };
        let queued = Arc::clone(&aws.queued);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let queued = Arc::clone(&queued);
                std::thread::spawn(move || answer(&stream, &queued));
            }
        });
        Ok(aws)
    }

    fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}

/// Answers the requests of one connection, until the client closes it.
fn answer(stream: &TcpStream, queued: &AtomicUsize) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let request = Request::read(&mut reader, stream)?;
        let (status, body) = match request.target.as_deref() {
            Some("secretsmanager.getsecretvalue") => {
                let secret = json!({ "current": SECRET, "previous": "whsec-former" }).to_string();
                ("200 OK", json!({ "Name": "syncwatch/census-webhook", "SecretString": secret }))
            }
            Some("amazonsqs.sendmessage") => {
                queued.fetch_add(1, Ordering::Relaxed);
                ("200 OK", json!({ "MessageId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd" }))
            }
            _ => ("400 Bad Request", json!({})),
        };
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        writer.write_all(answer.as_bytes()).ok()?;
    }
}

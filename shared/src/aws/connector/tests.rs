use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::aws::Sdk;
use crate::http::client;

const SECRET: &str = r#"{"Name":"s","SecretString":"x"}"#;

/// A server that counts its connections and sends its answers in turn; `None` closes the connection.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answers: Vec<Option<String>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(converse(stream, answers.clone()));
            }
        });
        Self { url, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn converse(mut stream: TcpStream, answers: Arc<Mutex<VecDeque<Option<String>>>>) {
    while read_request(&mut stream).await {
        let answer = answers.lock().unwrap().pop_front();
        let Some(Some(answer)) = answer else { return };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// Reads one whole request; false if the client disconnected.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return true;
            }
        }
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return false;
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

#[tokio::test]
async fn sdk_and_other_clients_share_one_connection() {
    let server = Server::start(vec![answer("200 OK", "", SECRET), answer("200 OK", "", "{}")]).await;
    let clients = Sdk::for_endpoint(&server.url).unwrap();
    clients.secrets().get_secret_value().secret_id("s").send().await.unwrap();
    clients.http.get(&server.url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn closed_connection_is_retried() {
    let server = Server::start(vec![None, answer("200 OK", "", SECRET)]).await;
    let clients = Sdk::for_endpoint(&server.url).unwrap();
    let secret = clients.secrets().get_secret_value().secret_id("s").send().await.unwrap();
    assert_eq!(secret.secret_string(), Some("x"));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn truncated_answer_is_retried() {
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 999\r\nconnection: close\r\n\r\n{".to_owned();
    let server = Server::start(vec![Some(broken), None, answer("200 OK", "", SECRET)]).await;
    let clients = Sdk::for_endpoint(&server.url).unwrap();
    let config = clients.secrets().config().to_builder().timeout_config(brief()).build();
    let client = aws_sdk_secretsmanager::Client::from_conf(config);
    assert!(client.get_secret_value().secret_id("s").send().await.is_ok());
}

/// A read timeout for a server that keeps the connection open after half an answer.
fn brief() -> aws_config::timeout::TimeoutConfig {
    aws_config::timeout::TimeoutConfig::builder().read_timeout(Duration::from_millis(50)).build()
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let server = Server::start(vec![answer("302 Found", "location: /elsewhere\r\n", ""), None]).await;
    let response = client().unwrap().get(&server.url).send().await.unwrap();
    assert_eq!(response.status(), 302);
}

#[tokio::test]
async fn failures_map_to_the_sdk_kinds() {
    let client = client().unwrap();
    // Nothing listens on port 1.
    let refused = classify(client.get("http://127.0.0.1:1").send().await.unwrap_err());
    assert!(refused.is_io());
    let malformed = classify(client.get("no address").send().await.unwrap_err());
    assert!(malformed.is_user());
    let server = Server::start(vec![]).await;
    let hung_up = classify(client.get(&server.url).send().await.unwrap_err());
    assert!(hung_up.is_io());
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?token=hunter2", silent.local_addr().unwrap());
    let late = classify(client.get(&url).timeout(Duration::from_millis(20)).send().await.unwrap_err());
    assert!(late.is_timeout());
    assert!(!format!("{late:?}").contains("hunter2"));
}

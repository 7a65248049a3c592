//! For tests: a server that answers every AWS call the same way, and shows what it was asked.

use std::collections::BTreeMap;

use jiff::Timestamp;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{Clients, Sdk};

pub(super) struct Wire(MockServer);

pub(super) fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

impl Wire {
    pub(super) async fn answering(status: u16, body: serde_json::Value) -> Self {
        Self::answering_text(status, &body.to_string()).await
    }

    pub(super) async fn answering_text(status: u16, body: &str) -> Self {
        Self::answering_in_turn(&[(status, body)]).await
    }

    /// Answers in turn; the last answer stays.
    pub(super) async fn answering_in_turn(answers: &[(u16, &str)]) -> Self {
        let server = MockServer::start().await;
        for (index, (status, body)) in answers.iter().enumerate() {
            let mock = Mock::given(any()).respond_with(ResponseTemplate::new(*status).set_body_string(*body));
            let mock = if index + 1 < answers.len() { mock.up_to_n_times(1) } else { mock };
            mock.mount(&server).await;
        }
        Self(server)
    }

    pub(super) fn sdk(&self) -> Sdk {
        Sdk::for_endpoint(&self.0.uri()).unwrap()
    }

    pub(super) fn clients(&self) -> Clients {
        Clients::for_endpoint(&self.0.uri()).unwrap()
    }

    pub(super) async fn requests(&self) -> Vec<Asked> {
        self.0.received_requests().await.unwrap().into_iter().map(Asked).collect()
    }

    pub(super) async fn only_request(&self) -> Asked {
        let mut requests = self.requests().await;
        assert_eq!(requests.len(), 1);
        requests.remove(0)
    }
}

pub(super) struct Asked(Request);

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.0.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn target(&self) -> &str {
        self.header("x-amz-target")
    }

    pub(super) fn json(&self) -> serde_json::Value {
        self.0.body_json().unwrap()
    }

    pub(super) fn form(&self) -> BTreeMap<String, String> {
        let mut url = self.0.url.clone();
        url.set_query(Some(std::str::from_utf8(&self.0.body).unwrap()));
        url.query_pairs().into_owned().collect()
    }
}

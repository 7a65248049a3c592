//! For tests: AWS clients of a scripted server.

use jiff::Timestamp;
pub(super) use syncwatch_testing::{Asked, Receiver as Wire};

use super::{Clients, Sdk};

pub(super) fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

pub(super) trait WireClients {
    fn sdk(&self) -> Sdk;
    fn clients(&self) -> Clients;
}

impl WireClients for Wire {
    fn sdk(&self) -> Sdk {
        Sdk::for_endpoint(&self.uri()).unwrap()
    }

    fn clients(&self) -> Clients {
        Clients::for_endpoint(&self.uri()).unwrap()
    }
}

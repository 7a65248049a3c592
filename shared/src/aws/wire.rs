//! AWS clients of a scripted server, for tests.

use jiff::Timestamp;
pub(super) use syncwatch_testing::{Asked, Receiver as Wire};

use super::Sdk;

pub(super) fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

pub(super) trait WireSdk {
    fn sdk(&self) -> Sdk;
}

impl WireSdk for Wire {
    fn sdk(&self) -> Sdk {
        Sdk::for_endpoint(&self.uri()).unwrap()
    }
}

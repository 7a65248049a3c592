//! The events of the function; each renews the page.

use serde::Deserialize;
use serde_json::Value;
use syncwatch::runtime::{UnknownEvent, read_event};

const EVENTS: &str = r#"{"task": "publish"}, or an event of SNS"#;

#[derive(Debug, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
enum Event {
    Publish,
}

/// An event of SNS, which delivers one notice. Its text is not read: the page shows what is stored.
#[derive(Debug, Deserialize)]
struct Delivery {
    #[serde(rename = "Records")]
    _records: [Delivered; 1],
}

#[derive(Debug, Deserialize)]
struct Delivered {
    #[serde(rename = "EventSource")]
    _source: Source,
}

#[derive(Debug, Deserialize)]
enum Source {
    #[serde(rename = "aws:sns")]
    Sns,
}

/// Fails if the event is not one of the function.
pub(crate) fn read(event: Value) -> Result<(), UnknownEvent> {
    match event.get("Records") {
        Some(_) => read_event(event, EVENTS).map(|_: Delivery| ()),
        None => read_event(event, EVENTS).map(|Event::Publish| ()),
    }
}

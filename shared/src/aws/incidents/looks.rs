//! Looks at objects: which keys a comparison found wrong, so that the next one can tell what persists.
//!
//! Partition `<pipeline>/looks`, one item per object. A look that is too large for an item is in parts beside it, under the
//! writer's id: they are written first, so that the item never refers to parts that are missing, and a lost race leaves only
//! parts that expire.

use jiff::{SignedDuration, Timestamp};

use super::{Error, Expected, IncidentStore, SPEC, item};
use crate::aws::table::{Item, Outcome, Reader, Update, attribute};
use crate::aws::writer_id;
use serde_json::Value as Look;

/// A look of an earlier week shows nothing about today.
const KEPT: SignedDuration = SignedDuration::from_hours(8 * 24);
/// The most bytes of a look in one item. DynamoDB allows 400 KB for all attributes together.
const PART_BYTES: usize = 350_000;

const VERSION: &str = "version";
const LOOK: &str = "look";
const PARTS: &str = "parts";
const WRITER: &str = "written_by";

fn partition(pipeline: &str) -> String {
    format!("{pipeline}/looks")
}

fn key(pipeline: &str, name: &str) -> Item {
    SPEC.key(&[&partition(pipeline), name])
}

fn part(object: &str, writer: &str, number: usize) -> String {
    format!("{object}#{writer}#{number}")
}

/// A stored item: its version, and the look or where its parts are.
struct Head {
    version: u64,
    look: Option<String>,
    parts: usize,
    writer: Option<String>,
    expires_at: i64,
}

fn read(item: &Reader<'_>) -> Result<Head, Error> {
    Ok(Head {
        version: item.read(VERSION)?,
        look: item.read(LOOK)?,
        parts: item.read::<Option<usize>>(PARTS)?.unwrap_or_default(),
        writer: item.read(WRITER)?,
        expires_at: item.read(item::EXPIRES_AT)?,
    })
}

impl IncidentStore {
    /// Reads the last look at an object, and what [`IncidentStore::put_look`] must expect. A look that expired, or whose form
    /// this version does not know, is `None`: the next one is a first look.
    pub async fn look(
        &self,
        pipeline: &str,
        object: &str,
        now: Timestamp,
    ) -> Result<(Option<Look>, Expected), Error> {
        let Some(head) = self.table.get(key(pipeline, object), read).await? else {
            return Ok((None, Expected::Absent));
        };
        let expected = Expected::Version(head.version);
        if head.expires_at <= now.as_second() {
            return Ok((None, expected));
        }
        let mut text = head.look.unwrap_or_default();
        for number in 0..head.parts {
            let name = part(object, head.writer.as_deref().unwrap_or_default(), number);
            let read = |item: &Reader<'_>| item.read::<String>(LOOK);
            text.push_str(&self.table.get(key(pipeline, &name), read).await?.unwrap_or_default());
        }
        let look = serde_json::from_str(&text);
        if let Err(error) = &look {
            tracing::warn!(object, %error, "stored look unreadable, the next one counts as the first");
        }
        Ok((look.ok(), expected))
    }

    /// Stores a look if the stored one is still as expected; `false` if another round stored one meanwhile.
    pub async fn put_look(
        &self,
        pipeline: &str,
        object: &str,
        look: &Look,
        expected: Expected,
        now: Timestamp,
    ) -> Result<bool, Error> {
        // Strings, numbers and instants cannot fail.
        let text = serde_json::to_string(look).unwrap_or_default();
        let writer = writer_id();
        let expires_at = now.saturating_add(KEPT).unwrap_or(now).as_second();
        let expires = (item::EXPIRES_AT, attribute(expires_at));
        let parts: Vec<&str> = if text.len() > PART_BYTES { pieces(&text) } else { Vec::new() };
        for (number, piece) in parts.iter().enumerate() {
            let attributes = [(LOOK, attribute(piece)), expires.clone()];
            self.table
                .update(Update::storing(key(pipeline, &part(object, &writer, number)), attributes))
                .await?;
        }
        let version = match expected {
            Expected::Absent => 1,
            Expected::Version(version) => version + 1,
        };
        let head = Update::storing(
            key(pipeline, object),
            [
                (VERSION, attribute(version)),
                (LOOK, parts.is_empty().then(|| attribute(&text)).flatten()),
                (PARTS, attribute(parts.len())),
                (WRITER, attribute(&writer)),
                expires,
            ],
        );
        let head = match expected {
            Expected::Absent => head.when("attribute_not_exists(#version)"),
            Expected::Version(version) => head.when("#version = :expected").value(":expected", version),
        };
        let outcome = self.table.put_if(head.known_by(WRITER, &writer)).await?;
        Ok(matches!(outcome, Outcome::Written))
    }
}

/// Splits a text into pieces of at most [`PART_BYTES`].
fn pieces(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let (piece, rest) = text.split_at(text.floor_char_boundary(PART_BYTES));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

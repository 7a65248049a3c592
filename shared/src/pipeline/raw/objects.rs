//! `[[objects]]`: the tables, keys and fields that are reconciled.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::checks::RawCondition;
use super::values::{Words, or_use};
use super::{Text, Validation};
use crate::reconcile::{DEFAULT_COPY_LIMIT, DEFAULT_SETTLE, Field, Kind, Limits, ModifiedBy, Object, Side};

/// More than these is a mistake. They also bound the length of a statement.
const MOST_FIELDS: usize = 100;
const MOST_USERS: usize = 20;
/// The most nights that cover all keys: a wrong record is found a month late at most.
const MOST_NIGHTS: u32 = 31;
/// The most decimals of a number in Salesforce.
const MOST_DECIMALS: u32 = 18;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawObject {
    pub(super) name: Text,
    owner: Option<Text>,
    source: RawSide,
    destination: RawSide,
    key: RawKey,
    changed: Option<RawChanged>,
    settle: Option<Text>,
    #[serde(default)]
    syncs: Vec<Text>,
    pending_for: Option<Text>,
    copy_limit: Option<Text>,
    nights: Option<Spanned<u32>>,
    #[serde(default)]
    limits: RawLimits,
    fields: Spanned<Vec<RawField>>,
    #[serde(default)]
    not_compared: Vec<String>,
    #[serde(default)]
    not_selected: Vec<RawCondition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSide {
    connection: Option<Text>,
    table: Text,
    synced: Option<Text>,
    created: Option<Text>,
    deleted: Option<Text>,
    modified_by: Option<Text>,
    integration_users: Option<Spanned<Vec<String>>>,
    users: Option<Text>,
    #[serde(rename = "where", default)]
    filter: Vec<RawCondition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    source: Text,
    destination: Text,
    kind: Option<Text>,
}

/// The columns with the time of a row's last change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChanged {
    source: Text,
    destination: Option<Text>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    missing: Option<u64>,
    extra: Option<u64>,
    different_percent: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPair {
    source: Text,
    destination: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawField {
    source: Text,
    destination: Text,
    kind: Text,
    authority: Option<Text>,
    max_length: Option<Spanned<u32>>,
    scale: Option<Spanned<u32>>,
    round_to_scale: Option<Spanned<bool>>,
    values: Option<Spanned<Vec<String>>>,
    map: Option<Spanned<BTreeMap<String, String>>>,
    source_zone: Option<Text>,
    currency: Option<Spanned<RawPair>>,
}

/// The reader of a kind's keys. It takes the keys that it uses; the others are refused.
#[derive(Clone, Copy)]
struct FieldKind(fn(&mut Validation, &mut RawField) -> Option<Kind>);

impl Words for FieldKind {
    const ALL: &'static [(&'static str, Self)] = &[
        (
            "text",
            Self(|_, raw| Some(Kind::Text { max_length: raw.max_length.take().map(Spanned::into_inner) })),
        ),
        ("rich-text", Self(|_, _| Some(Kind::RichText))),
        ("choice", Self(|_, raw| Some(Kind::Choice { values: raw.values() }))),
        ("choices", Self(|_, _| Some(Kind::Choices))),
        ("flag", Self(|_, _| Some(Kind::Flag))),
        ("number", Self(Validation::number)),
        ("money", Self(|check, raw| Some(Kind::Money { scale: check.scale(raw)? }))),
        ("instant", Self(|_, _| Some(Kind::Instant))),
        ("date", Self(Validation::date)),
        ("salesforce-id", Self(|_, _| Some(Kind::SalesforceId))),
        ("phone", Self(|_, _| Some(Kind::Phone))),
    ];
}

impl RawField {
    fn values(&mut self) -> Vec<String> {
        self.values.take().map(Spanned::into_inner).unwrap_or_default()
    }
}

impl Validation {
    /// Checks the declarations. `syncs` are the keys of the declared syncs.
    pub(super) fn objects(&mut self, raw: Vec<RawObject>, syncs: &[&str]) -> Vec<Object> {
        self.unique(raw.iter().map(|object| &object.name), "objects.name");
        raw.into_iter().map(|object| self.reconciled(object, syncs)).collect()
    }

    fn reconciled(&mut self, raw: RawObject, declared: &[&str]) -> Object {
        self.unused(&raw);
        for sync in raw.syncs.iter().filter(|sync| !declared.contains(&sync.get_ref().as_str())) {
            let found = format!("unknown sync \"{}\"", sync.get_ref());
            let remedy = format!("use the key of a declared sync{}", or_use(declared.iter().copied()));
            self.refuse(sync, "objects.syncs", found, remedy);
        }
        let key = raw.key.kind.as_ref().and_then(|kind| self.word(kind, "objects.key.kind"));
        let (of_source, of_destination) = match &raw.changed {
            Some(changed) => (Some(&changed.source), changed.destination.as_ref()),
            None => (None, None),
        };
        self.few(&raw.fields, "objects.fields", MOST_FIELDS, "fields");
        let fields = raw.fields.into_inner();
        self.unique(fields.iter().map(|field| &field.destination), "objects.fields.destination");
        let percent = raw.limits.different_percent.as_ref();
        let settle = raw.settle.map_or(DEFAULT_SETTLE, |settle| self.duration(&settle, "objects.settle"));
        let pending_for = raw.pending_for.map(|limit| {
            let duration = self.duration(&limit, "objects.pending_for");
            if duration < settle {
                let found = format!("found \"{}\", less than settle", limit.get_ref());
                self.refuse(&limit, "objects.pending_for", found, "use a longer duration than settle");
            }
            duration
        });
        Object {
            name: self.name(&raw.name, "objects.name"),
            source: self.side(&raw.source, &raw.key.source, of_source, "source"),
            destination: self.side(&raw.destination, &raw.key.destination, of_destination, "destination"),
            key: key.unwrap_or_default(),
            settle,
            pending_for,
            copy_limit: raw
                .copy_limit
                .map_or(DEFAULT_COPY_LIMIT, |limit| self.duration(&limit, "objects.copy_limit")),
            syncs: raw.syncs.into_iter().map(Spanned::into_inner).collect(),
            limits: Limits {
                missing: raw.limits.missing.unwrap_or(0),
                extra: raw.limits.extra.unwrap_or(0),
                different_percent: percent
                    .map_or(0.0, |percent| self.percent(percent, "objects.limits.different_percent")),
            },
            nights: raw.nights.map(|nights| self.nights(&nights)),
            fields: fields.into_iter().filter_map(|field| self.field(field)).collect(),
            not_compared: raw.not_compared,
            not_selected: self
                .each_condition(&raw.not_selected, "objects.not_selected")
                .into_iter()
                .map(|(_, condition)| condition)
                .collect(),
            owner: self.owner(raw.owner, "objects.owner"),
        }
    }

    fn nights(&mut self, nights: &Spanned<u32>) -> u32 {
        let found = *nights.get_ref();
        if !(2..=MOST_NIGHTS).contains(&found) {
            let remedy = format!("use 2 to {MOST_NIGHTS}, or remove it to compare all keys every night");
            self.refuse(nights, "objects.nights", format!("found {found}"), remedy);
        }
        found
    }

    fn side(&mut self, raw: &RawSide, key: &Text, changed: Option<&Text>, which: &str) -> Side {
        let at = |name: &str| format!("objects.{which}.{name}");
        let connection =
            raw.connection.as_ref().map(|name| self.declared_connection(name, &at("connection")));
        let of_warehouse = self.dialect;
        if let Some(connection) = connection.as_ref().and_then(|name| self.connections.get(name)) {
            self.dialect = connection.dialect();
        }
        let side = Side {
            connection,
            table: self.object(&raw.table, &at("table")),
            key: self.column(key, &format!("objects.key.{which}")),
            filter: self.conditions(&raw.filter, &at("where")),
            changed: changed.map(|column| self.column(column, &format!("objects.changed.{which}"))),
            synced: raw.synced.as_ref().map(|column| self.column(column, &at("synced"))),
            created: raw.created.as_ref().map(|column| self.column(column, &at("created"))),
            deleted: raw.deleted.as_ref().map(|column| self.column(column, &at("deleted"))),
            modified_by: self.modified_by(raw),
        };
        self.dialect = of_warehouse;
        side
    }

    fn modified_by(&mut self, raw: &RawSide) -> Option<ModifiedBy> {
        let column = raw.modified_by.as_ref()?;
        let remedy = "add integration_users = [\"005...\"], the ids of the users with which the syncs write";
        let users = self.given(
            raw.integration_users.as_ref(),
            column,
            "objects.destination.integration_users",
            remedy,
        )?;
        self.few(users, "objects.destination.integration_users", MOST_USERS, "users");
        let column = self.column(column, "objects.destination.modified_by");
        let of_users = raw.users.as_ref().map(|table| self.object(table, "objects.destination.users"));
        Some(ModifiedBy { column, integration_users: users.get_ref().clone(), users: of_users })
    }

    /// Refuses keys without effect: they would suggest something that is not done.
    fn unused(&mut self, raw: &RawObject) {
        let source = &raw.source;
        for (key, found) in [
            ("synced", &source.synced),
            ("created", &source.created),
            ("deleted", &source.deleted),
            ("modified_by", &source.modified_by),
            ("users", &source.users),
        ] {
            if let Some(found) = found {
                self.refuse(found, &format!("objects.source.{key}"), "not used by the source", "remove it");
            }
        }
        let (there, key) = (&raw.destination, "objects.destination.integration_users");
        if let (Some(users), None) = (&there.integration_users, &there.modified_by) {
            self.refuse(
                users,
                key,
                "without modified_by",
                "add modified_by, the column of a row's last writer",
            );
        }
        if let (Some(users), None) = (&there.users, &there.modified_by) {
            let remedy = "add modified_by and integration_users, the users of the syncs";
            self.refuse(users, "objects.destination.users", "without modified_by", remedy);
        }
        if let Some(users) = &source.integration_users {
            self.refuse(users, "objects.source.integration_users", "not used by the source", "remove it");
        }
        for (key, found) in [("settle", &raw.settle), ("pending_for", &raw.pending_for)] {
            if let (Some(found), None) = (found, &raw.changed) {
                let remedy =
                    "add changed = { source = \"...\" }, the time of a row's last change, or remove it";
                self.refuse(found, &format!("objects.{key}"), "without changed", remedy);
            }
        }
        if let (Some(limit), None) = (&raw.copy_limit, &there.synced) {
            let remedy = "add synced to the destination, the time of a row's last sync, or remove it";
            self.refuse(limit, "objects.copy_limit", "without synced", remedy);
        }
    }

    fn declared_connection(&mut self, name: &Text, key: &str) -> String {
        if !self.connections.contains_key(name.get_ref()) {
            let found = format!("unknown connection \"{}\"", name.get_ref());
            let remedy = match self.connections.is_empty() {
                true => "add [connections.NAME] with its driver, or remove it for the warehouse".to_owned(),
                false => {
                    let names = or_use(self.connections.keys().map(String::as_str));
                    names.trim_start_matches(", or ").to_owned()
                }
            };
            self.refuse(name, key, found, remedy);
        }
        name.get_ref().clone()
    }

    fn field(&mut self, mut raw: RawField) -> Option<Field> {
        let source = self.column(&raw.source, "objects.fields.source");
        let destination = self.column(&raw.destination, "objects.fields.destination");
        let authority = raw.authority.as_ref().and_then(|word| self.word(word, "objects.fields.authority"));
        let FieldKind(read) = self.word(&raw.kind, "objects.fields.kind")?;
        let kind = read(self, &mut raw)?;
        let map = match kind {
            Kind::Choice { .. } => raw.map.take().map(Spanned::into_inner).unwrap_or_default(),
            _ => BTreeMap::new(),
        };
        let currency = match kind {
            Kind::Money { .. } => {
                let remedy =
                    "add currency = { source = \"...\", destination = \"...\" }, the columns of the ISO code";
                let pair = self.given(raw.currency.take(), &raw.kind, "objects.fields.currency", remedy)?;
                let pair = pair.get_ref();
                let column = |check: &mut Self, name| check.column(name, "objects.fields.currency");
                Some((column(self, &pair.source), column(self, &pair.destination)))
            }
            _ => None,
        };
        self.none_left(&raw);
        Some(Field { source, destination, kind, map, authority: authority.unwrap_or_default(), currency })
    }

    /// Refuses keys that the kind of a field does not use: they would suggest a comparison that is not made.
    fn none_left(&mut self, raw: &RawField) {
        let left = [
            ("max_length", raw.max_length.as_ref().map(Spanned::span)),
            ("scale", raw.scale.as_ref().map(Spanned::span)),
            ("round_to_scale", raw.round_to_scale.as_ref().map(Spanned::span)),
            ("values", raw.values.as_ref().map(Spanned::span)),
            ("map", raw.map.as_ref().map(Spanned::span)),
            ("source_zone", raw.source_zone.as_ref().map(Spanned::span)),
            ("currency", raw.currency.as_ref().map(Spanned::span)),
        ];
        for (key, place) in left {
            let Some(place) = place else { continue };
            let found = format!("not used by kind \"{}\"", raw.kind.get_ref());
            self.refuse(&Spanned::new(place, ()), &format!("objects.fields.{key}"), found, "remove it");
        }
    }

    fn number(&mut self, raw: &mut RawField) -> Option<Kind> {
        let round_to_scale = raw.round_to_scale.take().is_some_and(Spanned::into_inner);
        Some(Kind::Number { scale: self.scale(raw)?, round_to_scale })
    }

    fn date(&mut self, raw: &mut RawField) -> Option<Kind> {
        let zone = raw.source_zone.take();
        let source_zone = zone.map(|zone| self.zone(&zone, "objects.fields.source_zone"));
        Some(Kind::Date { source_zone })
    }

    fn scale(&mut self, raw: &mut RawField) -> Option<u32> {
        let remedy = "add scale, the decimals of the destination's field";
        let scale = self.given(raw.scale.take(), &raw.kind, "objects.fields.scale", remedy)?;
        if *scale.get_ref() > MOST_DECIMALS {
            let found = format!("found {}", scale.get_ref());
            self.refuse(&scale, "objects.fields.scale", found, format!("use 0 to {MOST_DECIMALS}"));
        }
        Some(scale.into_inner())
    }
}

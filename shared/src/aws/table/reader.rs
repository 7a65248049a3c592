//! Between attributes and values: whatever serde can say as a text, a number, a flag or a list of texts.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Error, Item, Spec};

/// How a value is stored; `None` for one that is absent. A list of texts is a string set; a structure needs [`json`].
pub fn attribute(value: impl Serialize) -> Option<AttributeValue> {
    match serde_json::to_value(value).ok()? {
        Value::Null => None,
        Value::String(text) => Some(AttributeValue::S(text)),
        Value::Number(number) => Some(AttributeValue::N(number.to_string())),
        Value::Bool(flag) => Some(AttributeValue::Bool(flag)),
        Value::Array(texts) => {
            let texts = texts.iter().filter_map(Value::as_str).map(str::to_owned);
            Some(AttributeValue::Ss(texts.collect()))
        }
        structure @ Value::Object(_) => Some(AttributeValue::S(structure.to_string())),
    }
}

/// What people rarely look for, as JSON in one text. Structures of texts, numbers and instants have no way to fail.
pub fn json(value: impl Serialize) -> Option<AttributeValue> {
    serde_json::to_string(&value).ok().filter(|text| text != "null").map(AttributeValue::S)
}

/// Reads the attributes of a stored item, and names item and attribute where it cannot.
#[derive(Debug)]
pub struct Reader<'a> {
    item: &'a Item,
    table: &'a str,
    spec: &'static Spec,
}

impl<'a> Reader<'a> {
    pub(in crate::aws) fn new(item: &'a Item, table: &'a str, spec: &'static Spec) -> Self {
        Self { item, table, spec }
    }

    /// An attribute. One that is absent can only be an [`Option`].
    pub fn read<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Error> {
        let value = match self.item.get(name) {
            None | Some(AttributeValue::Null(_)) => return self.absent(name),
            Some(AttributeValue::S(text)) => text.as_str().into(),
            Some(AttributeValue::N(digits)) => serde_json::from_str(digits).unwrap_or_default(),
            Some(AttributeValue::Bool(flag)) => (*flag).into(),
            Some(AttributeValue::Ss(texts)) => texts.clone().into(),
            Some(_) => return Err(self.unreadable(name, &"of a kind that is not stored here")),
        };
        serde_json::from_value(value).map_err(|error| self.unreadable(name, &error))
    }

    /// An attribute that holds JSON in a text.
    pub fn json<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Error> {
        let Some(text) = self.read::<Option<String>>(name)? else { return self.absent(name) };
        serde_json::from_str(&text)
            .map_err(|error| self.unreadable(name, &format!("not the JSON that belongs there ({error})")))
    }

    /// The error for an attribute in which this was found.
    pub fn unreadable(&self, attribute: &'static str, found: &dyn std::fmt::Display) -> Error {
        let (table, advice) = (self.table.to_owned(), self.spec.unreadable);
        Error::Unreadable { table, item: self.key(), attribute, found: found.to_string(), advice }
    }

    /// The error of an item that another version wrote.
    pub fn unknown_check(&self) -> Error {
        Error::UnknownCheck { table: self.table.to_owned(), item: self.key() }
    }

    /// The item's name: the values of its key.
    pub(super) fn key(&self) -> String {
        let part = |name: &&str| match self.item.get(*name) {
            Some(AttributeValue::S(text)) => text.as_str(),
            _ => "?",
        };
        self.spec.key.iter().map(part).collect::<Vec<_>>().join("/")
    }

    fn absent<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Error> {
        serde_json::from_value(Value::Null).map_err(|_| self.unreadable(name, &"missing"))
    }
}

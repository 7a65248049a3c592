//! Converts between attributes and values that serde represents as a string, number, boolean or list of strings.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Error, Item, Spec};

/// Converts a value to an attribute; `None` if it is absent. A list of strings becomes a string set; structures need
/// [`json`].
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

/// Converts bytes to an attribute.
pub fn binary(bytes: &[u8]) -> Option<AttributeValue> {
    Some(AttributeValue::B(Blob::new(bytes)))
}

/// Converts a value that operators rarely search for to JSON in one string. Structures of strings, numbers and instants
/// cannot fail.
pub fn json(value: impl Serialize) -> Option<AttributeValue> {
    serde_json::to_string(&value).ok().filter(|text| text != "null").map(AttributeValue::S)
}

/// Reads the attributes of a stored item; errors name the item and the attribute.
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

    /// Reads an attribute. An absent one can only be an [`Option`].
    pub fn read<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Error> {
        let value = match self.item.get(name) {
            None | Some(AttributeValue::Null(_)) => return self.absent(name),
            Some(AttributeValue::S(text)) => text.as_str().into(),
            Some(AttributeValue::N(digits)) => serde_json::from_str(digits).unwrap_or_default(),
            Some(AttributeValue::Bool(flag)) => (*flag).into(),
            Some(AttributeValue::Ss(texts)) => texts.clone().into(),
            Some(_) => return Err(self.unreadable(name, &"unexpected DynamoDB type")),
        };
        serde_json::from_value(value).map_err(|error| self.unreadable(name, &error))
    }

    /// Reads an attribute that holds JSON in a string.
    pub fn json<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Error> {
        let Some(text) = self.read::<Option<String>>(name)? else { return self.absent(name) };
        serde_json::from_str(&text)
            .map_err(|error| self.unreadable(name, &format!("unexpected JSON ({error})")))
    }

    /// Reads an attribute of bytes; an absent one has none.
    pub fn bytes(&self, name: &'static str) -> Result<Vec<u8>, Error> {
        match self.item.get(name) {
            None => Ok(Vec::new()),
            Some(AttributeValue::B(bytes)) => Ok(bytes.as_ref().to_vec()),
            Some(_) => Err(self.unreadable(name, &"unexpected DynamoDB type")),
        }
    }

    /// Builds the error of an attribute with an unexpected value.
    pub fn unreadable(&self, attribute: &'static str, found: &dyn std::fmt::Display) -> Error {
        let (table, advice) = (self.table.to_owned(), self.spec.unreadable);
        Error::Unreadable { table, item: self.key(), attribute, found: found.to_string(), advice }
    }

    /// Builds the error of an item whose check this version does not know.
    pub fn unknown_check(&self) -> Error {
        Error::UnknownCheck { table: self.table.to_owned(), item: self.key() }
    }

    /// Returns the item's name: the values of its key.
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

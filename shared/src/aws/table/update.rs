//! Updates: DynamoDB's expressions, with the values of their placeholders.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use serde::Serialize;

use super::{Item, attribute};

/// An update of one item.
#[derive(Debug, Clone)]
pub struct Update {
    pub(super) key: Item,
    pub(super) expression: String,
    pub(super) condition: Option<String>,
    pub(super) values: Item,
    pub(super) known_by: Option<(&'static str, String)>,
}

impl Update {
    /// Creates an update by an expression; [`Update::value`] sets its placeholders.
    pub fn new(key: Item, expression: impl Into<String>) -> Self {
        let expression = expression.into();
        Self { key, expression, condition: None, values: Item::new(), known_by: None }
    }

    /// Creates an update that sets the attributes with a value and removes those without; others stay unchanged.
    pub fn storing(
        key: Item,
        attributes: impl IntoIterator<Item = (&'static str, Option<AttributeValue>)>,
    ) -> Self {
        Self::setting(key, attributes, |name| format!("#{name} = :{name}"))
    }

    /// Creates an update that sets only attributes that the item lacks.
    pub fn storing_absent(
        key: Item,
        attributes: impl IntoIterator<Item = (&'static str, Option<AttributeValue>)>,
    ) -> Self {
        Self::setting(key, attributes, |name| format!("#{name} = if_not_exists(#{name}, :{name})"))
    }

    fn setting(
        key: Item,
        attributes: impl IntoIterator<Item = (&'static str, Option<AttributeValue>)>,
        assignment: fn(&str) -> String,
    ) -> Self {
        let (mut set, mut remove, mut values) = (Vec::new(), Vec::new(), Item::new());
        for (name, value) in attributes {
            match value {
                Some(value) => {
                    set.push(assignment(name));
                    values.insert(format!(":{name}"), value);
                }
                None => remove.push(format!("#{name}")),
            }
        }
        let clauses = [("SET", set), ("REMOVE", remove)].into_iter().filter(|(_, parts)| !parts.is_empty());
        let clauses: Vec<_> = clauses.map(|(verb, parts)| format!("{verb} {}", parts.join(", "))).collect();
        Self { values, ..Self::new(key, clauses.join(" ")) }
    }

    /// Appends to the expression.
    #[must_use]
    pub fn and(mut self, rest: &str) -> Self {
        self.expression.push_str(rest);
        self
    }

    /// Makes the update conditional on the stored item.
    #[must_use]
    pub fn when(mut self, condition: impl Into<String>) -> Self {
        self.condition = Some(condition.into());
        self
    }

    /// Sets the value of a placeholder.
    #[must_use]
    pub fn value(mut self, placeholder: &str, value: impl Serialize) -> Self {
        self.values.extend(attribute(value).map(|value| (placeholder.to_owned(), value)));
        self
    }

    /// Names the attribute, set to `mark` by this update, by which a retry recognizes its own earlier write.
    #[must_use]
    pub fn known_by(mut self, attribute: &'static str, mark: &str) -> Self {
        self.known_by = Some((attribute, mark.to_owned()));
        self
    }

    pub(super) fn names(&self) -> HashMap<String, String> {
        names(&[&self.expression, self.condition.as_deref().unwrap_or_default()])
    }

    pub(super) fn in_transaction(self, table: &str) -> Result<aws_sdk_dynamodb::types::Update, BuildError> {
        let names = self.names();
        let on_failure = self.condition.is_some().then_some(ReturnValuesOnConditionCheckFailure::AllOld);
        aws_sdk_dynamodb::types::Update::builder()
            .table_name(table)
            .set_key(Some(self.key))
            .update_expression(self.expression)
            .set_condition_expression(self.condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(self.values))
            .set_return_values_on_condition_check_failure(on_failure)
            .build()
    }
}

/// Maps every `#name` in these expressions to the attribute `name`.
pub(super) fn names(expressions: &[&str]) -> HashMap<String, String> {
    let words = expressions
        .iter()
        .flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '#')));
    words.filter_map(|word| Some((word.to_owned(), word.strip_prefix('#')?.to_owned()))).collect()
}

#[cfg(test)]
impl Update {
    /// Applies it as DynamoDB would, ignoring its condition.
    pub(in crate::aws) fn apply(&self, item: &mut Item) {
        let names = self.names();
        let (set, remove) = self.expression.split_once("REMOVE ").unwrap_or((&self.expression, ""));
        for assignment in set.trim().strip_prefix("SET ").unwrap_or_default().split(", #") {
            let (name, value) = assignment.split_once(" = ").unwrap();
            item.insert(
                names[&format!("#{}", name.trim_start_matches('#'))].clone(),
                self.values[value].clone(),
            );
        }
        for name in remove.split(", ").filter(|name| !name.is_empty()) {
            item.remove(&names[name]);
        }
    }
}

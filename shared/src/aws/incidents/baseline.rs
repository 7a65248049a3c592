//! Accepted definitions in the incidents table: the current one, and the history of acceptances.
//!
//! Partition `<pipeline>/baseline`, so no incident query reads them: the item `current` has the definition, and each
//! acceptance is kept under its number, without the definition.

use super::{Error, Expected, IncidentStore, SPEC, item};
use crate::aws::table::{Item, Outcome, Reader, Transacted, Update, attribute, json};
use crate::baseline::{Acceptance, Accepted, VERSION};

const CURRENT: &str = "current";
const NUMBER: &str = "number";
const DEFINITION: &str = "definition";
const ACCEPTED_AT: &str = "accepted_at";
const BY: &str = "accepted_by";
const WHY: &str = "why";
const CHANGES: &str = "changes";

fn partition(pipeline: &str) -> String {
    format!("{pipeline}/baseline")
}

fn key(pipeline: &str, name: &str) -> Item {
    SPEC.key(&[&partition(pipeline), name])
}

fn storing(key: Item, acceptance: &Acceptance) -> Update {
    let Acceptance { number, at, by, why, changes } = acceptance;
    let attributes = [
        (NUMBER, attribute(number)),
        (ACCEPTED_AT, attribute(at)),
        (BY, attribute(by)),
        (WHY, attribute(why)),
        (CHANGES, json(changes)),
    ];
    Update::storing(key, attributes)
}

fn acceptance(item: &Reader<'_>) -> Result<Acceptance, Error> {
    Ok(Acceptance {
        number: item.read(NUMBER)?,
        at: item.read(ACCEPTED_AT)?,
        by: item.read(BY)?,
        why: item.read(WHY)?,
        changes: item.json(CHANGES)?,
    })
}

fn accepted(item: &Reader<'_>) -> Result<Accepted, Error> {
    let accepted = Accepted { acceptance: acceptance(item)?, definition: item.json(DEFINITION)? };
    if accepted.definition.version > VERSION {
        return Err(item.unreadable(DEFINITION, &"stored by a newer version of Syncwatch"));
    }
    Ok(accepted)
}

impl IncidentStore {
    /// Reads the accepted definition; `None` if none was ever accepted.
    pub async fn baseline(&self, pipeline: &str) -> Result<Option<Accepted>, Error> {
        self.table.get(key(pipeline, CURRENT), accepted).await
    }

    /// Lists the acceptances, newest first. An unreadable one must not hide the others, so its error is returned beside them.
    pub async fn acceptances(&self, pipeline: &str) -> Result<(Vec<Acceptance>, Vec<Error>), Error> {
        let read = |item: &Reader<'_>| {
            let name: String = item.read(item::CHECK_SUBJECT)?;
            Ok(if name == CURRENT { None } else { Some(acceptance(item)?) })
        };
        let (found, unreadable) = self.table.query(&partition(pipeline), None, read).await?;
        let mut found: Vec<Acceptance> = found.into_iter().flatten().collect();
        found.sort_by_key(|acceptance| std::cmp::Reverse(acceptance.number));
        Ok((found, unreadable))
    }

    /// Stores an accepted definition in its [stored form](crate::baseline::Definition::stored) with its acceptance, both or
    /// neither, if the expected number is still the current one. `Lost` if another person accepted meanwhile.
    pub async fn accept(
        &self,
        pipeline: &str,
        acceptance: &Acceptance,
        definition: &str,
        expected: Expected,
    ) -> Result<Outcome<Acceptance>, Error> {
        let current = storing(key(pipeline, CURRENT), acceptance)
            .and(", #definition = :definition")
            .value(":definition", definition);
        let current = match expected {
            Expected::Absent => current.when("attribute_not_exists(#number)"),
            Expected::Version(number) => current.when("#number = :expected").value(":expected", number),
        };
        // Ten digits, so that the items sort by their number.
        let kept = storing(key(pipeline, &format!("accepted#{:010}", acceptance.number)), acceptance);
        match self.table.transact(current, kept).await? {
            Transacted::Settled(outcome) => {
                outcome.read(|stored| self::acceptance(&self.table.reader(&stored)))
            }
            Transacted::SecondRefused => Ok(Outcome::Lost(None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::wire::{Wire, WireSdk as _, now};
    use crate::baseline::Definition;

    fn acceptance() -> Acceptance {
        Acceptance {
            number: 2,
            at: now(),
            by: "Ada".to_owned(),
            why: "release 12".to_owned(),
            changes: vec!["info: relation a.b: owner changed".to_owned()],
        }
    }

    fn stored(name: &str) -> Value {
        json!({
            "pipeline": {"S": "properties/baseline"},
            "check_subject": {"S": name},
            "number": {"N": "2"},
            "accepted_at": {"S": "2026-11-24T10:00:00Z"},
            "accepted_by": {"S": "Ada"},
            "why": {"S": "release 12"},
            "changes": {"S": "[\"info: relation a.b: owner changed\"]"},
            "from_a_later_version": {"S": "?"},
        })
    }

    fn current(definition: &str) -> Value {
        let mut item = stored("current");
        item["definition"] = json!({"S": definition});
        item
    }

    #[tokio::test]
    async fn current_definition_is_read_with_who_accepted_it() {
        let wire =
            Wire::answering(200, json!({"Item": current(r#"{"version":1,"syncs":{},"later":[]}"#)})).await;
        let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
        let found = store.baseline("properties").await.unwrap().unwrap();
        let definition = Definition { version: 1, ..Definition::default() };
        assert_eq!(found, Accepted { acceptance: acceptance(), definition });

        let wire = Wire::answering(200, json!({"Item": current(r#"{"version":2}"#)})).await;
        let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
        let error = store.baseline("properties").await.unwrap_err().to_string();
        assert!(error.contains("newer version"), "{error}");
    }

    #[tokio::test]
    async fn acceptances_are_listed_newest_first_without_the_current_item() {
        let mut older = stored("accepted#0000000001");
        older["number"] = json!({"N": "1"});
        let mut bad = stored("accepted#0000000003");
        bad["accepted_by"] = Value::Null;
        bad.as_object_mut().unwrap().remove("accepted_by");
        let items = json!({"Items": [older, stored("accepted#0000000002"), bad, current("{}")]});
        let wire = Wire::answering(200, items).await;
        let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
        let (found, unreadable) = store.acceptances("properties").await.unwrap();
        assert_eq!(found.iter().map(|acceptance| acceptance.number).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((found[0].clone(), unreadable.len()), (acceptance(), 1));
    }

    #[tokio::test]
    async fn acceptance_replaces_only_the_definition_that_was_compared() {
        for (expected, condition) in [
            (Expected::Absent, "attribute_not_exists(#number)"),
            (Expected::Version(1), "#number = :expected"),
        ] {
            let wire = Wire::answering(200, json!({})).await;
            let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
            let outcome = store.accept("properties", &acceptance(), "{}", expected).await.unwrap();
            assert_eq!(outcome, Outcome::Written);
            let body = wire.only_request().await.json();
            let [current, kept] = body["TransactItems"].as_array().unwrap().as_slice() else {
                panic!("{body}")
            };
            assert_eq!(current["Update"]["ConditionExpression"], condition);
            assert_eq!(current["Update"]["ExpressionAttributeValues"][":definition"], json!({"S": "{}"}));
            assert_eq!(kept["Update"]["Key"]["check_subject"], json!({"S": "accepted#0000000002"}));
            assert_eq!(kept["Update"]["ExpressionAttributeValues"][":accepted_by"], json!({"S": "Ada"}));
            assert_eq!(kept["Update"]["ExpressionAttributeValues"].get(":definition"), None);
        }
    }

    #[tokio::test]
    async fn acceptance_is_lost_to_one_that_came_first() {
        let reasons =
            json!([{"Code": "ConditionalCheckFailed", "Item": stored("current")}, {"Code": "None"}]);
        let body = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "message": "Transaction cancelled",
            "CancellationReasons": reasons,
        });
        let wire = Wire::answering(400, body).await;
        let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
        let mine = Acceptance { by: "Bob".to_owned(), ..acceptance() };
        let outcome = store.accept("properties", &mine, "{}", Expected::Version(1)).await.unwrap();
        assert_eq!(outcome, Outcome::Lost(Some(acceptance())));
    }
}

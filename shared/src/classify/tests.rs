use std::collections::BTreeSet;

use proptest::prelude::*;

use super::fixtures::{Public, must, seen, unseen};
use super::*;

fn record(identifier: &str, status: &str, message: Option<&str>) -> RejectedRecord {
    RejectedRecord {
        identifier: Some(identifier.to_owned()),
        operation: Some("upsert".to_owned()),
        status: status.to_owned(),
        message: message.map(str::to_owned),
    }
}

fn of_message(message: &str) -> ErrorClass {
    let error = RunError { message: Some(message.to_owned()), ..RunError::default() };
    let as_run = classify(&error);
    assert_eq!(classify_record(&record("P-1", "rejected", Some(message))), as_run, "{message}");
    as_run.class
}

/// The accuracy of the classes found.
struct Measured {
    all: usize,
    /// Percent of them with the right class, and with a class of its family.
    class: f64,
    family: f64,
    /// Messages whose remedy is certain and changes the wrong thing.
    harmful: Vec<String>,
}

/// A remedy is harmful if it is certain, changes something, and the right class changes another thing first.
fn is_harmful(found: &Classification, right: &[ErrorClass]) -> bool {
    let changes = found.class.changes();
    found.is_sure() && changes != Change::Nothing && right.iter().all(|class| class.changes() != changes)
}

fn measure(messages: &[Public], show: bool) -> Measured {
    let (mut class, mut family, mut harmful) = (0, 0, Vec::new());
    for message in messages {
        let found = classify_text(&message.text);
        let right: Vec<ErrorClass> =
            std::iter::once(message.class).chain(message.accept.iter().copied()).collect();
        let is_right = right.contains(&found.class);
        class += usize::from(is_right);
        family += usize::from(right.iter().any(|class| class.family() == found.class.family()));
        let miss = || {
            if !show {
                return String::new();
            }
            let Classification { class, certainty, .. } = &found;
            let text: String = message.text.chars().take(300).collect();
            format!("{} is {}, found {class} ({certainty}): {text}", message.source, message.class)
        };
        if is_harmful(&found, &right) {
            harmful.push(miss());
        }
        if !is_right && show {
            println!("{} by {:?}", miss(), found.grounds);
        }
    }
    let percent = |part: usize| 100.0 * part as f64 / messages.len() as f64;
    Measured { all: messages.len(), class: percent(class), family: percent(family), harmful }
}

#[test]
fn messages_that_rules_were_written_from_get_their_class() {
    let Measured { all, class, family, harmful } =
        measure(&seen(), std::env::var_os("SYNCWATCH_SHOW_MISSES").is_some());
    println!("seen: {all} messages, class {class:.1}%, family {family:.1}%, harmful {}", harmful.len());
    assert!(class >= 95.0, "{class}%: SYNCWATCH_SHOW_MISSES=1 shows the misses");
    assert!(harmful.is_empty(), "{harmful:#?}");
}

#[test]
fn messages_once_classified_wrongly_get_their_class() {
    let must = must();
    assert!(must.len() >= 16);
    for message in must {
        let found = classify_text(&message.text);
        let right = found.class == message.class || message.accept.contains(&found.class);
        assert!(right, "{} is {}, found {found:?}", message.source, message.class);
    }
}

/// Their misses are never shown, so that no rule is written from them.
#[test]
fn messages_set_aside_get_their_class() {
    let Measured { all, class, family, harmful } = measure(&unseen(), false);
    println!("unseen: {all} messages, class {class:.1}%, family {family:.1}%, harmful {}", harmful.len());
    assert!(class >= 75.0 && family >= 80.0, "{class}%, {family}%");
    assert!(harmful.is_empty(), "{} harmful", harmful.len());
}

#[test]
fn collection_is_split_by_source_and_names_each() {
    let sources =
        |messages: &[Public]| messages.iter().map(|message| message.source.clone()).collect::<BTreeSet<_>>();
    let (seen, unseen) = (seen(), unseen());
    assert!(seen.len() + unseen.len() >= 300 && unseen.len() * 4 >= seen.len());
    assert_eq!(sources(&seen).intersection(&sources(&unseen)).next(), None, "a source is on both sides");
    for message in seen.iter().chain(&unseen) {
        assert!(message.source.contains(['/', '.', ' ', ':']) && !message.vendor.is_empty(), "{message:?}");
    }
    let classes: BTreeSet<ErrorClass> = seen.iter().map(|message| message.class).collect();
    let missing: Vec<_> = ErrorClass::ALL.iter().filter(|class| !classes.contains(class)).collect();
    assert!(missing.is_empty(), "no real message of {missing:?}");
}

#[test]
fn every_class_has_a_cause_and_a_remedy() {
    for class in ErrorClass::ALL {
        assert_eq!(ErrorClass::from_id(class.id()), Some(*class));
        assert_eq!(serde_json::to_value(class).unwrap(), class.id());
        assert!(!class.cause().ends_with('.') && class.remedy().ends_with('.'), "{class}");
        assert!(class.remedy().chars().count() < 200, "{class}: too long for a page at 3 AM");
        let starts_a_full_sync = class.remedy().contains("full sync")
            && !class.remedy().to_lowercase().contains("never start a full sync");
        assert!(!starts_a_full_sync, "{class}");
        // A class with the name of a family belongs to that family.
        let family = Family::ALL.iter().find(|family| family.id() == class.id());
        assert!(family.is_none_or(|family| *family == class.family()), "{class}");
    }
    assert!(ErrorClass::UniqueValue.remedy().starts_with("Do not retry a create sync before its sync key"));
    let own =
        ErrorClass::ALL.iter().filter(|class| class.is_shared() && class.family() == Family::DuplicateValue);
    assert_eq!(own.count(), 0);
}

#[test]
fn code_of_a_run_decides_before_its_message_and_detail() {
    let of = |code: &str, message: &str, detail: &str| {
        let error = RunError {
            code: Some(code.to_owned()),
            message: Some(message.to_owned()),
            detail: Some(detail.to_owned()),
        };
        classify(&error).class
    };
    let (lock, limit, session) =
        ("UNABLE_TO_LOCK_ROW", "TotalRequests Limit exceeded", "Session expired or invalid");
    assert_eq!(of(lock, limit, session), ErrorClass::LockContention);
    assert_eq!(of("X", limit, session), ErrorClass::DailyLimit);
    assert_eq!(of("X", "gone", session), ErrorClass::LoginRefused);
    assert_eq!(of("X", "gone", "gone"), ErrorClass::Unknown);
    assert_eq!(
        of("X", "access denied", session),
        ErrorClass::LoginRefused,
        "a certain class wins over a guess"
    );
    assert_eq!(of("X", "access denied", "gone"), ErrorClass::MissingPermission);
    assert_eq!(classify(&RunError::default()).class, ErrorClass::Unknown);
}

#[test]
fn record_status_of_census_decides() {
    let of = |status: &str, message| {
        let found = classify_record(&record("P", status, message));
        (found.class, found.certainty)
    };
    assert_eq!(of("NULL", Some("UNABLE_TO_LOCK_ROW")), (ErrorClass::RequiredFieldMissing, Certainty::Known));
    assert_eq!(of("DUPLICATE", None), (ErrorClass::KeyNotUnique, Certainty::Known));
    assert_eq!(of("rejected", None).0, ErrorClass::Unknown);
    assert_eq!(of("?", Some("UNABLE_TO_LOCK_ROW: x")).0, ErrorClass::LockContention);
}

#[test]
fn innermost_and_first_reason_wins() {
    let table = [
        (
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:T: execution of AfterInsert caused by: System.DmlException: Update failed. First exception on row 0; first error: UNABLE_TO_LOCK_ROW, unable to obtain",
            ErrorClass::LockContention,
        ),
        (
            "CANNOT_EXECUTE_FLOW_TRIGGER:We cannot save this record because the process failed: REQUIRED_FIELD_MISSING: x",
            ErrorClass::RequiredFieldMissing,
        ),
        (
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:T: System.NullPointerException: Attempt to de-reference a null object",
            ErrorClass::TriggerFailed,
        ),
        ("DUPLICATE_VALUE:a:-- INVALID_FIELD:b:--", ErrorClass::UniqueValue),
        ("PROCESSING_HALTED:x; ENTITY_IS_DELETED:entity is deleted:--", ErrorClass::RecordGone),
        (
            "ALL_OR_NONE_OPERATION_ROLLED_BACK:Record rolled back because not all records were valid",
            ErrorClass::Unknown,
        ),
    ];
    for (text, class) in table {
        let found = classify_text(text);
        let unsure = class == ErrorClass::Unknown && !found.is_sure();
        assert!(found.class == class || unsure, "{text}: {found:?}");
    }
}

#[test]
fn failed_connection_to_a_database_is_the_sources() {
    let table = [
        ("connect ECONNREFUSED 10.0.0.1:443", ErrorClass::ConnectionFailed),
        ("psycopg2.OperationalError: connection refused by 10.0.0.1", ErrorClass::WarehouseUnreachable),
        ("getaddrinfo ENOTFOUND example.my.salesforce.com", ErrorClass::DnsOrTls),
        ("getaddrinfo ENOTFOUND adb-1.azuredatabricks.net", ErrorClass::WarehouseUnreachable),
        ("503 Service Unavailable", ErrorClass::Unavailable),
        ("[Simba][ODBC] 503 Service Unavailable", ErrorClass::WarehouseStopped),
    ];
    for (text, class) in table {
        assert_eq!(of_message(text), class, "{text}");
    }
}

/// Quoted text may read like an error of another class.
#[test]
fn quoted_names_and_values_do_not_decide() {
    use ErrorClass::{
        DeletedSourceColumn, FieldNotFound, InvalidValue, RequiredFieldMissing, UniqueValue, Unknown,
        ValidationRule,
    };
    let table = [
        (DeletedSourceColumn, "A mapped source column has been deleted: timeout_reason"),
        (DeletedSourceColumn, "A mapped source column has been deleted: DUPLICATE_VALUE"),
        (
            DeletedSourceColumn,
            "A mapped source column has been deleted: REQUEST_LIMIT_EXCEEDED, INVALID_LOGIN: x",
        ),
        (DeletedSourceColumn, "[UNRESOLVED_COLUMN] A column with name `QUERY_TIMEOUT` cannot be resolved"),
        (FieldNotFound, "INVALID_FIELD: No such column 'UNABLE_TO_LOCK_ROW' on entity 'Case'."),
        (FieldNotFound, "No such column 'duplicate value found' on entity 'Case'."),
        (
            RequiredFieldMissing,
            "REQUIRED_FIELD_MISSING: Required fields are missing: [Session_expired_or_invalid__c]",
        ),
        (RequiredFieldMissing, "Required fields are missing: [SERVER_UNAVAILABLE]"),
        (
            InvalidValue,
            "STRING_TOO_LONG: Company: data value too large: Duplicate Value Found LLC (max length=8)",
        ),
        (
            ValidationRule,
            "FIELD_CUSTOM_VALIDATION_EXCEPTION: The offer has timed out, too many requests were made: []",
        ),
        (ValidationRule, "FIELD_CUSTOM_VALIDATION_EXCEPTION: Note: INVALID_LOGIN: must not be blank"),
        (
            UniqueValue,
            "DUPLICATE_VALUE: duplicate value found: Rate_limit_exceeded__c duplicates value on record",
        ),
        (Unknown, "The company \"Duplicate Value LLC\" is not known"),
        (Unknown, "The company Duplicate Value LLC is not known"),
        (Unknown, "Record 4 with reason 'request timed out' was left out"),
        (Unknown, "Record 4 with reason \"INVALID_SESSION_ID\" was left out"),
        (Unknown, "timeout_reason is not known"),
        (Unknown, "the_request timed outside of hours"),
        (Unknown, "MY_DUPLICATE_VALUE: gone"),
        (Unknown, "The name is [TABLE_OR_VIEW_NOT_FOUNDED]"),
        (Unknown, "table_or_view_not_found"),
    ];
    for (class, message) in table {
        let found = classify_text(message);
        let unsure = class == Unknown && !found.is_sure();
        assert!(found.class == class || unsure, "{message}: {found:?}");
    }
}

#[test]
fn samples_are_counted_by_class() {
    let (duplicate, lock) = ("DUPLICATE_VALUE: x", "UNABLE_TO_LOCK_ROW: x");
    let of = |messages: &[&str]| {
        let classes: Vec<ErrorClass> = messages.iter().map(|message| of_message(message)).collect();
        let tally = Tally::of(&classes);
        tally.largest().map(|class| format!("{class}: {tally}"))
    };
    assert_eq!(
        of(&[duplicate, lock, duplicate, "?"]).unwrap(),
        "unique-value: 2 of 4 samples: duplicate value, 1: lock contention, 1: unknown"
    );
    assert_eq!(of(&["?", lock]).unwrap(), "lock-contention: 1 of 2 samples: lock contention, 1: unknown");
    assert_eq!(of(&["?", "?", lock]).unwrap(), "unknown: 2 of 3 samples: unknown, 1: lock contention");
    assert_eq!(of(&[]), None);
}

proptest! {
    #[test]
    fn any_text_is_classified(text in "\\PC{0,200}", raw in any::<String>()) {
        for text in [text, raw] {
            of_message(&text);
        }
    }

    #[test]
    fn class_does_not_depend_on_quoted_text(
        value in "[A-Za-z_ ]{1,40}",
        text in prop::sample::select(vec![
            "DUPLICATE_VALUE: duplicate value found: {} duplicates value on record with id: 001",
            "No such column {} on entity Lead",
            "The company {} is not known",
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column or function parameter with name {} cannot be resolved",
        ]),
    ) {
        let quoted = |value: &str| text.replace("{}", &format!("'{value}'"));
        prop_assert_eq!(of_message(&quoted(&value)), of_message(&quoted("x")));
    }

    #[test]
    fn tally_counts_every_sample_and_names_the_largest(
        classes in prop::collection::vec(prop::sample::select(ErrorClass::ALL), 0..20),
    ) {
        let tally = Tally::of(&classes);
        prop_assert_eq!(tally.0.iter().map(|(_, count)| count).sum::<usize>(), classes.len());
        let most = tally.0.iter().map(|(_, count)| *count).max();
        let first = tally.0.first();
        prop_assert_eq!(first.map(|(_, count)| *count), most);
        prop_assert_eq!(first.map(|(class, _)| *class), tally.largest());
    }
}

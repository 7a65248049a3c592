use proptest::prelude::*;
use serde::Deserialize;

use super::patterns::{Matcher, PATTERNS};
use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixtures {
    notes: std::collections::BTreeMap<String, String>,
    messages: Vec<Fixture>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    class: ErrorClass,
    vendor: String,
    kind: Kind,
    source: String,
    code: Option<String>,
    message: Option<String>,
    detail: Option<String>,
    status: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Documentation,
    Seen,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("../../../tests/fixtures/errors/messages.json")).unwrap()
}

fn record(identifier: &str, status: &str, message: Option<&str>) -> RejectedRecord {
    RejectedRecord {
        identifier: Some(identifier.to_owned()),
        operation: Some("upsert".to_owned()),
        status: status.to_owned(),
        message: message.map(str::to_owned),
    }
}

fn rejected(message: &str) -> RejectedRecord {
    record("P-1", "rejected", Some(message))
}

fn of_message(message: &str) -> ErrorClass {
    let error = RunError { message: Some(message.to_owned()), ..RunError::default() };
    let as_run = classify(&error);
    assert_eq!(classify_record(&rejected(message)), as_run, "{message}");
    as_run
}

#[test]
fn real_messages_get_their_class() {
    for fixture in fixtures().messages {
        let Fixture { class, code, message, detail, status, source, .. } = fixture;
        let found = match status {
            Some(status) => classify_record(&record("P-1", &status, message.as_deref())),
            None => {
                let error = RunError { code, message: message.clone(), detail };
                classify(&error)
            }
        };
        assert_eq!(found, class, "{source}: {message:?}");
        if let Some(message) = message {
            assert_eq!(of_message(&message), class, "as a record's message: {source}");
        }
    }
}

#[test]
fn every_class_has_real_messages_with_their_sources_and_a_note_where_none_are_censuss() {
    let fixtures = fixtures();
    for class in ErrorClass::ALL {
        let of_class: Vec<&Fixture> =
            fixtures.messages.iter().filter(|fixture| fixture.class == *class).collect();
        assert!(of_class.len() >= 4, "{class} has {} messages", of_class.len());
        let of_census =
            of_class.iter().any(|fixture| fixture.vendor == "census" && fixture.kind == Kind::Documentation);
        assert!(of_census || fixtures.notes.contains_key(class.id()), "{class} needs a note");
    }
    assert!(fixtures.messages.iter().all(|fixture| fixture.source.starts_with("https://github.com/")));
    assert!(fixtures.notes.keys().all(|id| ErrorClass::from_id(id).is_some()));
}

#[test]
fn every_class_says_what_it_is_and_what_helps() {
    for class in ErrorClass::ALL {
        assert_eq!(ErrorClass::from_id(class.id()), Some(*class));
        assert_eq!(serde_json::to_value(class).unwrap(), class.id());
        assert!(!class.cause().ends_with('.') && class.remedy().ends_with('.'), "{class}");
        assert!(class.remedy().chars().count() < 200, "{class}: nobody reads that at 3 AM");
        let told_to_start_a_full_sync = class.remedy().contains("full sync")
            && !class.remedy().to_lowercase().contains("never a full sync");
        assert!(!told_to_start_a_full_sync, "{class}");
    }
    assert!(
        ErrorClass::DuplicateValue.remedy().starts_with("Do not retry a create sync before its sync key")
    );
    let shared: Vec<_> =
        ErrorClass::ALL.iter().filter(|class| class.is_shared()).map(|class| class.id()).collect();
    assert_eq!(shared, ["auth", "rate-limit", "destination-down"]);
}

#[test]
fn no_pattern_is_there_twice_and_none_is_behind_one_that_it_contains() {
    for (index, pattern) in PATTERNS.iter().enumerate() {
        assert_ne!(pattern.0, ErrorClass::Unknown);
        for earlier in &PATTERNS[..index] {
            assert_ne!(earlier.1, pattern.1);
            if let (Matcher::Phrase(short), Matcher::Phrase(long)) = (&earlier.1, &pattern.1) {
                assert!(!long.to_lowercase().contains(&short.to_lowercase()), "{long} is never reached");
            }
        }
    }
}

/// What messages quote may read like an error of another kind.
#[test]
fn names_and_values_that_a_message_quotes_do_not_decide() {
    use ErrorClass::{
        DeletedSourceColumn, DuplicateValue, InvalidField, RequiredFieldMissing, Unknown, ValidationRule,
    };
    let table = [
        (DeletedSourceColumn, "A mapped source column has been deleted: timeout_reason"),
        (DeletedSourceColumn, "A mapped source column has been deleted: DUPLICATE_VALUE"),
        (
            DeletedSourceColumn,
            "A mapped source column has been deleted: REQUEST_LIMIT_EXCEEDED, INVALID_LOGIN: x",
        ),
        (DeletedSourceColumn, "[UNRESOLVED_COLUMN] A column with name `QUERY_TIMEOUT` cannot be resolved"),
        (InvalidField, "INVALID_FIELD: No such column 'UNABLE_TO_LOCK_ROW' on entity 'Case'."),
        (InvalidField, "No such column 'duplicate value found' on entity 'Case'."),
        (
            RequiredFieldMissing,
            "REQUIRED_FIELD_MISSING: Required fields are missing: [Session_expired_or_invalid__c]",
        ),
        (RequiredFieldMissing, "Required fields are missing: [SERVER_UNAVAILABLE]"),
        (
            ValidationRule,
            "STRING_TOO_LONG: Company: data value too large: Duplicate Value Found LLC (max length=8)",
        ),
        (
            ValidationRule,
            "FIELD_CUSTOM_VALIDATION_EXCEPTION: The offer has timed out, too many requests were made: []",
        ),
        (ValidationRule, "FIELD_CUSTOM_VALIDATION_EXCEPTION: Note: INVALID_LOGIN: must not be blank"),
        (
            DuplicateValue,
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
        assert_eq!(of_message(message), class, "{message}");
    }
}

#[test]
fn the_code_of_a_run_decides_before_its_words_and_its_message_before_the_detail() {
    let of = |code: &str, message: &str, detail: &str| {
        let error = RunError {
            code: Some(code.to_owned()),
            message: Some(message.to_owned()),
            detail: Some(detail.to_owned()),
        };
        classify(&error)
    };
    let (lock, limit, session) =
        ("UNABLE_TO_LOCK_ROW", "TotalRequests Limit exceeded", "Session expired or invalid");
    assert_eq!(of(lock, limit, session), ErrorClass::LockContention);
    assert_eq!(of("X", limit, session), ErrorClass::RateLimit);
    assert_eq!(of("X", "gone", session), ErrorClass::Auth);
    assert_eq!(of("X", "gone", "gone"), ErrorClass::Unknown);
    assert_eq!(classify(&RunError::default()), ErrorClass::Unknown);
}

#[test]
fn samples_are_classified_by_most_of_them_and_counted() {
    let (duplicate, lock) = ("DUPLICATE_VALUE: x", "UNABLE_TO_LOCK_ROW: x");
    let of = |messages: &[&str]| {
        let samples: Vec<RejectedRecord> = messages.iter().map(|message| rejected(message)).collect();
        let tally = Tally::of(&samples);
        tally.largest().map(|class| format!("{class}: {tally}"))
    };
    assert_eq!(
        of(&[duplicate, lock, duplicate, "?"]).unwrap(),
        "duplicate-value: 2 of 4 samples: duplicate value, 1: lock contention, 1: unknown"
    );
    assert_eq!(of(&["?", lock]).unwrap(), "lock-contention: 1 of 2 samples: lock contention, 1: unknown");
    assert_eq!(of(&["?", "?", lock]).unwrap(), "unknown: 2 of 3 samples: unknown, 1: lock contention");
    assert_eq!(of(&[]), None);
}

#[test]
fn the_vendors_words_lose_values_and_keep_names_ids_and_codes() {
    let table = [
        (
            "DUPLICATE_VALUE: duplicate value found: Email__c duplicates value on record with id: 001Vr00000m4eGCIAY",
            "DUPLICATE_VALUE: duplicate value found: Email__c duplicates value on record with id: 001Vr00000m4eGCIAY",
        ),
        (
            "Email: invalid email address: ann.o'neil+x@example.co.uk",
            "Email: invalid email address: [hidden]",
        ),
        ("of ann.o'neil@example.com or 'ann o'neil@example.com'", "of [e-mail] or '[hidden]'"),
        ("failed for <ann@example.com>, (bob@example.com).", "failed for <[e-mail]>, ([e-mail])."),
        ("PATCH /sobjects/Lead/Email__c/legal%40omitted.com answered 400", "PATCH [e-mail] answered 400"),
        ("first\n\tline\u{0}\u{202e}second  li\u{200b}ne", "first line second line"),
        ("of an\u{200b}n@exam\u{ad}ple.com", "of [e-mail]"),
        (
            "STRING_TOO_LONG: Billing City: data value too large: Giugliano in Campania (max length=40)",
            "STRING_TOO_LONG: Billing City: data value too large: [hidden] (max length=40)",
        ),
        (
            "Race: bad value for restricted picklist field: Native American",
            "Race: bad value for restricted picklist field: [hidden]",
        ),
        (
            "make sure the field \"custom_field:Users\" with value \"jim\" is formatted as a JSON Array. Don't hesitate",
            "make sure the field \"custom_field:Users\" with value [hidden] is formatted as a JSON Array. Don't hesitate",
        ),
        ("No such column 'Email_2__c' on entity 'Lead'.", "No such column 'Email_2__c' on entity 'Lead'."),
        (
            "with name `source`.`order_id` cannot be resolved. Did you mean [`id`, `some one`]?",
            "with name `source`.`order_id` cannot be resolved. Did you mean [`id`, `[hidden]`]?",
        ),
        ("relation \"posts\" has no row \"Smith\"", "relation \"posts\" has no row \"[hidden]\""),
        ("The company \"Duplicate Value LLC", "The company \"[hidden]"),
        ("{\"LastName\":\"Smith\",\"Key__c\":\"7\"}", "{\"LastName\":\"[hidden]\",\"Key__c\":\"[hidden]\"}"),
        (
            "[{\"message\":\"Ann Smith is here already\",\"errorCode\":\"DUPLICATE_VALUE\"}]",
            "[{\"message\":\"[hidden]\",\"errorCode\":\"DUPLICATE_VALUE\"}]",
        ),
        (
            "Unable to insert [Name=Ann Smith, RecordTypeId=0122o000000NvF9AAK]",
            "Unable to insert [Name=[hidden], RecordTypeId=[hidden]]",
        ),
        ("Key (phone)=(+1 415 555) exists", "Key (phone)=[hidden]) exists"),
        ("call 4155550123 or +14155550123, row 12345678", "call [hidden] or [hidden], row 12345678"),
        (
            "Cannot deserialize instance of date from VALUE_STRING value 1980-05-17, or request may be missing",
            "Cannot deserialize instance of date from VALUE_STRING value [hidden], or request may be missing",
        ),
        (
            "value outside of valid range on numeric field: 12345678",
            "value outside of valid range on numeric field: [hidden]",
        ),
        (
            "card 4111 1111 1111 1111 or 4111-1111-1111-1111 (declined)",
            "card [hidden] or [hidden] (declined)",
        ),
        ("SSN 123 45 6789 or 123-45-6789.", "SSN [hidden] or [hidden]."),
        ("tel 0171 2345678, +49 30 1234567, +4930123", "tel [hidden], [hidden], [hidden]"),
        ("IBAN DE89 3704 0044 0532 0130 00 is taken", "IBAN DE89 [hidden] is taken"),
        ("The company “Mary Miller” or «Mary Miller» is", "The company “[hidden]” or «[hidden]» is"),
        ("field „Owner“ of ‘Mary O’Neil’ and “Mary", "field „Owner“ of ‘[hidden]’ and “[hidden]"),
        ("Duplicate external id specified: Mary Miller", "Duplicate external id specified: [hidden]"),
        ("DETAIL: Failing row contains (1, Mary Miller, null).", "DETAIL: Failing row contains [hidden]"),
        (
            "expired 2026-11-24 10:00:00, next 2026-11-24 2026-11-25, 12 of 50 rows, 10.0.12.255:5432",
            "expired 2026-11-24 10:00:00, next 2026-11-24 2026-11-25, 12 of 50 rows, 10.0.12.255:5432",
        ),
        (
            "missing session key: 00Do0000000YN1J!P09uV2pnRxIc3ji7oixCMijejggook9q This is",
            "missing session key: [hidden] This is",
        ),
    ];
    for (said, expected) in table {
        assert_eq!(scrub(said), expected, "{said}");
    }
    let long = scrub(&"ä".repeat(400));
    assert_eq!((long.chars().count(), long.chars().last()), (301, Some('…')));
}

#[test]
fn what_real_messages_quote_of_records_does_not_get_through() {
    for fixture in fixtures().messages {
        for text in [fixture.message, fixture.detail].into_iter().flatten() {
            let told = scrub(&text);
            for value in ["\"jim\"", "Giugliano", "@"] {
                assert!(!told.contains(value), "{told}");
            }
        }
    }
}

#[test]
fn identifiers_are_few_short_and_on_one_line() {
    let records: Vec<RejectedRecord> =
        (1..=8).map(|number| record(&format!("P-{number}"), "rejected", None)).collect();
    assert_eq!(identifiers(&records).unwrap(), "P-1, P-2, P-3, P-4, P-5 and 3 more");
    assert_eq!(identifiers(&records[..2]).unwrap(), "P-1, P-2");
    let odd = [
        record(&format!("a\n{}", "b".repeat(90)), "rejected", None),
        record("ann@example.com", "NULL", None),
    ];
    assert_eq!(identifiers(&odd).unwrap(), format!("a {}…, [e-mail]", "b".repeat(38)));
    assert_eq!(identifiers(&[]), None);
}

#[test]
fn scrub_hides_all_of_no_real_message() {
    for fixture in fixtures().messages {
        for text in [fixture.message, fixture.detail].into_iter().flatten() {
            assert_ne!(scrub(&text), "[hidden]", "{text}");
        }
    }
}

/// Texts with all that the rules look for, in any order.
fn vendors_text() -> impl Strategy<Value = String> {
    let parts = vec![
        " ",
        " ",
        "\"",
        "'",
        "`",
        "“",
        "”",
        "„",
        "‘",
        "’",
        "«",
        "»",
        "=",
        ":",
        ",",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "@",
        "+",
        "-",
        ".",
        "value",
        "value:",
        "values:",
        "with value ",
        " is ",
        "data value too large:",
        "(max length=",
        "0",
        "415",
        "555",
        "2671",
        "1980-05-17",
        "4111 1111 1111 1111",
        "[hidden]",
        "[e-mail]",
        "Mary",
        "name__c",
        "field",
        "\u{200b}",
        "\n",
        "…",
        "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6",
    ];
    let part = prop_oneof![4 => prop::sample::select(parts).prop_map(str::to_owned), 1 => "\\PC{1,6}"];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

#[test]
fn identifier_shows_no_address_and_no_telephone_number() {
    for hidden in [
        "+49 30 1234567",
        "(415) 555-2671",
        "415.555.2671",
        "4155552671",
        "+1 415 555 2671",
        "030/1234567",
        "\u{ff14}155552671",
        "4155\u{200b}552671",
    ] {
        assert!(identifier(hidden).contains("[hidden]"), "{hidden}");
        assert!(!identifier(hidden).contains("2671") && !identifier(hidden).contains("4567"), "{hidden}");
    }
    assert_eq!(identifier("ada@example.com"), "[e-mail]");
    assert_eq!(identifier("Mary <mary\u{ad}@example.com>"), "Mary <[e-mail]>");
    for shown in ["P-00017", "PROP-000001", "a0P000000000042", "2026-11-24", "18722", "P-7/San José"] {
        assert_eq!(identifier(shown), shown);
    }
    assert_eq!(identifier("a\u{202e}b\u{2066}c\n1"), "abc 1");
}

fn has_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split('@').collect();
    parts.windows(2).any(|pair| {
        pair[0].ends_with(|c: char| c.is_alphanumeric()) && pair[1].starts_with(|c: char| c.is_alphanumeric())
    })
}

proptest! {
    #[test]
    fn any_text_is_classified_and_scrubbed_to_one_bounded_line(text in "\\PC{0,200}", raw in any::<String>()) {
        for text in [text, raw] {
            of_message(&text);
            let told = scrub(&text);
            prop_assert!(told.chars().count() <= 301);
            prop_assert!(!told.chars().any(char::is_control), "{told:?}");
            prop_assert!(!has_address(&told), "{told}");
        }
    }

    #[test]
    fn scrubbed_text_stays_as_it_is(text in vendors_text(), raw in any::<String>(), long in "\\PC{0,900}") {
        for text in [text, raw, long] {
            let told = scrub(&text);
            prop_assert_eq!(scrub(&told), told);
        }
    }

    #[test]
    fn no_address_survives(
        before in "\\PC{0,60}",
        local in "[A-Za-z0-9][A-Za-z0-9._%+'-]{0,20}",
        domain in "[a-z0-9-]{1,20}(\\.[a-z]{2,6}){1,2}",
        after in "\\PC{0,60}",
        glue in prop::sample::select(vec![" ", "", "\"", "'", "<", ":", "="]),
    ) {
        let address = format!("{local}@{domain}");
        let told = scrub(&format!("{before}{glue}{address}{glue}{after}"));
        prop_assert!(!told.contains(&address), "{told}");
        prop_assert!(!has_address(&told), "{told}");
    }

    #[test]
    fn a_quoted_value_does_not_survive(
        value in "[A-Za-z]{6,12} [A-Za-z]{6,12}",
        mark in prop::sample::select(vec!['"', '\'']),
        label in "[A-Z][a-z]{2,8}",
    ) {
        let texts = [
            format!("The {label} of {mark}{value}{mark} is not known"),
            format!("{label}: data value too large: {value} (max length=4)"),
            format!("{label}: bad value for restricted picklist field: {value}"),
            format!("the field {mark}{label}{mark} with value {mark}{value}{mark} is wrong"),
            format!("cannot insert [{label}={value}, Other__c=1]"),
        ];
        for text in texts {
            let told = scrub(&text);
            prop_assert!(!told.contains(&value), "{told}");
        }
    }

    #[test]
    fn a_class_is_told_for_any_mix_of_samples(
        messages in prop::collection::vec(prop::option::of("\\PC{0,40}"), 0..20),
        statuses in prop::collection::vec(prop::sample::select(vec!["rejected", "invalid", "NULL", "DUPLICATE", "?"]), 20),
    ) {
        let samples: Vec<RejectedRecord> =
            messages.iter().zip(statuses).map(|(message, status)| record("P", status, message.as_deref())).collect();
        let tally = Tally::of(&samples);
        prop_assert_eq!(tally.0.iter().map(|(_, count)| count).sum::<usize>(), samples.len());
        let most = tally.0.iter().map(|(_, count)| *count).max();
        prop_assert_eq!(tally.0.first().map(|(class, count)| (Some(*class), Some(*count))), most.map(|most| (tally.largest(), Some(most))));
    }
}

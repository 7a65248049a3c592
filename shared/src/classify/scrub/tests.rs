use proptest::prelude::*;

use super::*;
use crate::classify::fixtures;

fn record(identifier: &str) -> RejectedRecord {
    RejectedRecord {
        identifier: Some(identifier.to_owned()),
        operation: Some("upsert".to_owned()),
        status: "rejected".to_owned(),
        message: None,
    }
}

#[test]
fn scrub_hides_values_and_keeps_names_ids_and_codes() {
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
        (
            "INVALID_FIELD:Foreign key external ID: Mary-0712 not found for field Billing_Id__c in entity Account",
            "INVALID_FIELD:Foreign key external ID: [hidden] not found for field Billing_Id__c in entity Account",
        ),
        (
            "Cannot deserialize instance of datetime from VALUE_STRING value 2017-10-17 00:00:00 or request may be",
            "Cannot deserialize instance of datetime from VALUE_STRING value [hidden] [hidden] or request may be",
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
    for (text, expected) in table {
        assert_eq!(scrub(text), expected, "{text}");
    }
    let long = scrub(&"ä".repeat(400));
    assert_eq!((long.chars().count(), long.chars().last()), (301, Some('…')));
}

/// Covers all public messages, also those that no rule was written from.
#[test]
fn no_address_or_card_of_a_public_message_is_shown() {
    for text in fixtures::texts() {
        let shown = scrub(&text);
        assert!(
            !shown.contains("\"jim\"") && !shown.contains("Giugliano") && !has_address(&shown),
            "{shown}"
        );
        let mut words = shown.split(|c: char| !c.is_alphanumeric() && c != '_');
        assert!(!words.any(|word| word.len() >= 12 && word.chars().all(|c| c.is_ascii_digit())), "{shown}");
        assert_eq!(scrub(&shown), shown);
    }
}

#[test]
fn identifiers_are_few_short_and_on_one_line() {
    let records: Vec<RejectedRecord> = (1..=8).map(|number| record(&format!("P-{number}"))).collect();
    assert_eq!(identifiers(&records).unwrap(), "P-1, P-2, P-3, P-4, P-5 and 3 more");
    assert_eq!(identifiers(&records[..2]).unwrap(), "P-1, P-2");
    let odd = [record(&format!("a\n{}", "b".repeat(90))), record("ann@example.com")];
    assert_eq!(identifiers(&odd).unwrap(), format!("a {}…, [e-mail]", "b".repeat(38)));
    assert_eq!(identifiers(&[]), None);
}

#[test]
fn scrub_never_hides_a_whole_real_message() {
    // If all of the text is behind `=`, nothing distinguishes it from a value.
    for text in fixtures::texts().filter(|text| !text.starts_with("error=")) {
        assert_ne!(scrub(&text), "[hidden]", "{text}");
    }
}

/// Texts with the parts that the rules search for, in any order.
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
    fn any_text_is_scrubbed_to_one_bounded_line(text in "\\PC{0,200}", raw in any::<String>()) {
        for text in [text, raw] {
            let shown = scrub(&text);
            prop_assert!(shown.chars().count() <= 301);
            prop_assert!(!shown.chars().any(char::is_control), "{shown:?}");
            prop_assert!(!has_address(&shown), "{shown}");
        }
    }

    #[test]
    fn second_scrub_changes_nothing(text in vendors_text(), raw in any::<String>(), long in "\\PC{0,900}") {
        for text in [text, raw, long] {
            let shown = scrub(&text);
            prop_assert_eq!(scrub(&shown), shown);
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
        let shown = scrub(&format!("{before}{glue}{address}{glue}{after}"));
        prop_assert!(!shown.contains(&address), "{shown}");
        prop_assert!(!has_address(&shown), "{shown}");
    }

    #[test]
    fn no_card_number_survives(
        groups in prop::collection::vec("[1-9][0-9]{3}", 4),
        separator in prop::sample::select(vec!["", " ", "-"]),
        before in "[a-zA-Z ,.;]{0,30}[ (:]",
        after in "[ ).,;][a-zA-Z ,.;]{0,30}",
    ) {
        let card = groups.join(separator);
        let shown = scrub(&format!("{before}{card}{after}"));
        prop_assert!(!shown.contains(&card) && !shown.contains(&groups[1]), "{shown}");
    }

    #[test]
    fn no_quoted_value_survives(
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
            let shown = scrub(&text);
            prop_assert!(!shown.contains(&value), "{shown}");
        }
    }
}

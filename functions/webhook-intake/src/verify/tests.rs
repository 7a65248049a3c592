use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "my123secret";
/// The test vector, signed by the documented rule with another implementation.
const BODY: &str =
    r#"{"workspace_id":3167,"sync_id":3167956,"sync_run_id":324399613,"event":"sync.triggered"}"#;
const SIGNATURE: &str = "lsTi/NrVX6f+SU1YcxCf9OZ0PuJgqZczdhrXT6VGmHg=";

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn keys(current: &str, previous: Option<&str>) -> SecretValues {
    SecretValues { previous: previous.map(Into::into), ..SecretValues::only(current.into()) }
}

/// The pipeline of the repository, with its first sync replaced by that of the test vector.
fn pipeline() -> Pipeline {
    let seed = include_str!("../../../../infra/pipeline.toml");
    Pipeline::parse(&seed.replacen("3394022", "3167956", 1)).unwrap()
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

fn post(body: &str, signature: &str) -> Request {
    Request {
        method: "POST".to_owned(),
        path: PATH.to_owned(),
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            (SIGNATURE_HEADER.to_owned(), signature.to_owned()),
        ],
        body: body.to_owned(),
        is_base64: false,
        source_ip: None,
    }
}

fn signed(body: &str) -> Request {
    post(body, &sign(SECRET, body.as_bytes()))
}

/// Runs both steps that a request passes.
fn receive(request: &Request, keys: &SecretValues, pipeline: &Pipeline, now: Timestamp) -> Verdict {
    match admit(request) {
        Ok(signed) => signed.verdict(keys, pipeline, now),
        Err(refusal) => Verdict::Refused(refusal),
    }
}

fn received(request: &Request) -> Verdict {
    receive(request, &keys(SECRET, None), &pipeline(), now())
}

fn refused(request: &Request) -> Option<Refusal> {
    match received(request) {
        Verdict::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

#[test]
fn documented_signature_is_accepted() {
    let Verdict::Accepted { message, about } = received(&post(BODY, SIGNATURE)) else { panic!("refused") };
    assert_eq!(
        serde_json::from_str::<Value>(&message).unwrap(),
        json!({ "schema": "syncwatch.delivery/1", "received_at": "2026-11-24T10:00:00Z", "body": BODY })
    );
    let ids = (about.sync_id.map(|sync| sync.0), about.run_id.map(|run| run.0), about.event.as_deref());
    assert_eq!(ids, (Some(3_167_956), Some(324_399_613), Some("sync.triggered")));
}

#[test]
fn every_refusal_has_its_reason_and_its_status() {
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = post(BODY, SIGNATURE);
        change(&mut request);
        request
    };
    let signature = |value: &str| post(BODY, value);
    let oversized = "x".repeat(BODY_LIMIT + 1);
    let table = [
        ("no path", with(&|r| r.path.clear()), Refusal::UnknownPath, 404),
        ("root", with(&|r| r.path = "/".to_owned()), Refusal::UnknownPath, 404),
        ("two slashes", with(&|r| r.path.push_str("//")), Refusal::UnknownPath, 404),
        ("a longer path", with(&|r| r.path.push_str("/x")), Refusal::UnknownPath, 404),
        ("GET", with(&|r| r.method = "GET".to_owned()), Refusal::MethodNotAllowed, 405),
        ("post", with(&|r| r.method = "post".to_owned()), Refusal::MethodNotAllowed, 405),
        ("a byte too many", signed(&oversized), Refusal::TooLarge, 413),
        (
            "a byte too many, as Base64",
            with(&|r| (r.body, r.is_base64) = (STANDARD.encode(&oversized), true)),
            Refusal::TooLarge,
            413,
        ),
        ("no signature", with(&|r| r.headers.clear()), Refusal::NoSignature, 401),
        (
            "a signature under another name",
            with(&|r| r.headers[1].0 = "x-census-signature".to_owned()),
            Refusal::NoSignature,
            401,
        ),
        (
            "two signatures",
            with(&|r| r.headers.push(("X-SIGNATURE".to_owned(), SIGNATURE.to_owned()))),
            Refusal::SeveralSignatures,
            401,
        ),
        (
            "two signatures, as Lambda joins them",
            signature(&format!("{SIGNATURE},{SIGNATURE}")),
            Refusal::SeveralSignatures,
            401,
        ),
        ("an empty signature", signature(""), Refusal::GarbledSignature, 401),
        ("hexadecimal", signature(&"96".repeat(32)), Refusal::HexSignature, 401),
        ("a prefix", signature(&format!("sha256={SIGNATURE}")), Refusal::PrefixedSignature, 401),
        ("no padding", signature(SIGNATURE.trim_end_matches('=')), Refusal::GarbledSignature, 401),
        ("the alphabet of URLs", signature(&SIGNATURE.replace('/', "_")), Refusal::GarbledSignature, 401),
        ("a byte too few", signature(&STANDARD.encode([0; 31])), Refusal::GarbledSignature, 401),
        ("not ASCII", signature("ü"), Refusal::GarbledSignature, 401),
        ("a body marked as Base64, but invalid", with(&|r| r.is_base64 = true), Refusal::GarbledBody, 400),
        ("another secret", post(BODY, &sign("other", BODY.as_bytes())), Refusal::WrongSignature, 401),
        ("no secret", post(BODY, &sign("", BODY.as_bytes())), Refusal::WrongSignature, 401),
        ("a changed body", post(&format!("{BODY} "), SIGNATURE), Refusal::WrongSignature, 401),
        ("the same JSON, spaced", post(&BODY.replace(',', ", "), SIGNATURE), Refusal::WrongSignature, 401),
    ];
    let mut met = BTreeSet::new();
    for (case, request, refusal, status) in table {
        assert_eq!(refused(&request), Some(refusal), "{case}");
        assert_eq!(refusal.status_and_name().0, status, "{case}");
        met.insert(refusal);
    }
    let all = [
        Refusal::UnknownPath,
        Refusal::MethodNotAllowed,
        Refusal::TooLarge,
        Refusal::NoSignature,
        Refusal::SeveralSignatures,
        Refusal::GarbledSignature,
        Refusal::HexSignature,
        Refusal::PrefixedSignature,
        Refusal::GarbledBody,
        Refusal::WrongSignature,
    ];
    assert_eq!(met, all.into(), "every refusal has a row");
}

#[test]
fn harmless_variations_of_a_request_are_accepted() {
    let mut request = post(BODY, &format!(" {SIGNATURE} "));
    request.path.push('/');
    request.headers.remove(0);
    request.headers[0].0 = "X-Signature".to_owned();
    assert_eq!(refused(&request), None);
    let (body, is_base64) = (STANDARD.encode(BODY), true);
    assert_eq!(refused(&Request { body, is_base64, ..request }), None, "the signature is of the raw bytes");
}

#[test]
fn body_of_the_limit_passes_as_text_and_as_base64() {
    let body = "x".repeat(BODY_LIMIT);
    let request = signed(&body);
    assert_eq!(refused(&request), None);
    assert_eq!(refused(&Request { body: STANDARD.encode(&body), is_base64: true, ..request }), None);
}

#[test]
fn only_live_secrets_are_accepted_during_a_rotation() {
    let request = post(BODY, SIGNATURE);
    let accepted = |keys| !matches!(receive(&request, &keys, &pipeline(), now()), Verdict::Refused(_));
    assert!(accepted(keys("new", Some(SECRET))));
    assert!(accepted(keys(SECRET, Some("old"))));
    assert!(!accepted(keys("new", Some("newer"))));
    assert!(!accepted(keys("new", None)));
}

#[test]
fn signed_body_is_queued_unless_its_sync_is_undeclared() {
    let accepted = |body: &str| matches!(received(&signed(body)), Verdict::Accepted { .. });
    for body in ["", "not JSON", "[]", "null", "{}", r#"{"sync_id":null}"#, r#"{"sync_id":-1}"#, BODY] {
        assert!(accepted(body), "{body}");
    }
    assert!(accepted(r#"{"sync_id":"3167956"}"#));
    for body in [r#"{"sync_id":1}"#, r#"{"sync_id":"1","event":"sync.failed"}"#] {
        let Verdict::UnknownSync { about } = received(&signed(body)) else { panic!("{body}") };
        assert_eq!(about.sync_id.map(|sync| sync.0), Some(1));
    }
}

#[test]
fn bytes_that_are_not_text_are_queued_as_base64() {
    let bytes = [0xff, 0xfe, b'{'];
    let request =
        Request { body: STANDARD.encode(bytes), is_base64: true, ..post("", &sign(SECRET, &bytes)) };
    let Verdict::Accepted { message, .. } = received(&request) else { panic!("refused") };
    let message: Value = serde_json::from_str(&message).unwrap();
    assert_eq!((&message["body_base64"], &message["body"]), (&json!("//57"), &Value::Null));
}

/// Checks the source code, because no other test can: signatures must be compared in constant time and with every secret.
#[test]
fn signatures_are_compared_in_constant_time_with_every_key() {
    let code = include_str!("../verify.rs");
    assert_eq!(code.matches(".verify_slice(").count(), 1);
    for line in code.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let compares = line.contains("==") || line.contains("!=") || line.contains("starts_with");
        assert!(!(compares && line.contains("signature")), "compares a signature: {line}");
        assert!(!line.contains("finalize"), "extracts the right signature: {line}");
    }
    assert!(code.contains(".fold(false, |any, key| any | self.is_signed_with(key))"));
}

fn any_request() -> impl Strategy<Value = Request> {
    let body = prop_oneof![
        Just(BODY.to_owned()),
        Just(STANDARD.encode(BODY)),
        ".{0,200}",
        (BODY_LIMIT - 2..BODY_LIMIT + 2).prop_map(|length| "=".repeat(length)),
    ];
    let signature = prop_oneof![Just(SIGNATURE.to_owned()), "[A-Za-z0-9+/]{43}=", ".{0,60}"];
    let name = prop_oneof![Just("x-signature".to_owned()), Just("X-Signature".to_owned()), ".{0,20}"];
    let headers = prop::collection::vec((name, signature), 0..4);
    let path = prop_oneof![4 => Just(PATH.to_owned()), 1 => Just(format!("{PATH}/")), 1 => ".{0,30}"];
    let method = prop_oneof![4 => Just("POST".to_owned()), 1 => ".{0,8}"];
    (method, path, headers, body, any::<bool>()).prop_map(|(method, path, headers, body, is_base64)| {
        Request { method, path, headers, body, is_base64, source_ip: None }
    })
}

proptest! {
    #[test]
    fn only_requests_signed_with_a_live_secret_are_accepted(request in any_request()) {
        let verdict = received(&request);
        if let Verdict::Refused(refusal) = verdict {
            prop_assert!((400..500).contains(&refusal.status_and_name().0));
        } else {
            let raw = if request.is_base64 { STANDARD.decode(&request.body).unwrap() } else { request.body.into_bytes() };
            let right = sign(SECRET, &raw);
            prop_assert!(request.headers.iter().any(|(_, value)| value.trim() == right));
        }
    }

    #[test]
    fn signed_body_of_any_content_is_accepted(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let request = Request { body: STANDARD.encode(&body), is_base64: true, ..post("", &sign(SECRET, &body)) };
        prop_assert_eq!(refused(&request), None);
    }

    #[test]
    fn flipped_bit_makes_a_signature_wrong(byte in 0_usize..32, bit in 0_u8..8) {
        let mut bytes = STANDARD.decode(SIGNATURE).unwrap();
        bytes[byte] ^= 1 << bit;
        prop_assert_eq!(refused(&post(BODY, &STANDARD.encode(bytes))), Some(Refusal::WrongSignature));
    }
}

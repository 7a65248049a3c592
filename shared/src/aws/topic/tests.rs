use proptest::prelude::*;

use super::*;
use crate::aws::wire::{Wire, WireSdk as _};
use syncwatch_testing::{published, text};
use wiremock::Mock;
use wiremock::matchers::body_string_contains;

const ARN: &str = "arn:aws:sns:us-east-1:123456789012:syncwatch-notices";

fn message() -> Message {
    Message {
        subject: "[ERROR] properties-create: last run failed".to_owned(),
        bodies: BTreeMap::from([("default", "short".to_owned()), ("sqs", r#"{"a":"ü"}"#.to_owned())]),
        attributes: BTreeMap::from([
            ("severity", "error".to_owned()),
            ("sync", "properties-create".to_owned()),
        ]),
    }
}

#[tokio::test]
async fn subscribers_are_counted_over_pages_without_pending_ones() {
    let member = |protocol: &str, arn: &str| {
        format!(
            "<member><Protocol>{protocol}</Protocol><Endpoint>e</Endpoint><SubscriptionArn>{arn}</SubscriptionArn></member>"
        )
    };
    let page = |members: &str, next: &str| {
        text(
            200,
            format!(
                "<ListSubscriptionsByTopicResponse><ListSubscriptionsByTopicResult><Subscriptions>{members}\
                 </Subscriptions>{next}</ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>"
            ),
        )
    };
    let confirmed = format!("{ARN}:6f1c");
    let first = member("email", &confirmed) + &member("email", "PendingConfirmation");
    let tags = |tags: &str| {
        text(
            200,
            format!(
                "<ListTagsForResourceResponse><ListTagsForResourceResult><Tags>{tags}</Tags>\
                 </ListTagsForResourceResult></ListTagsForResourceResponse>"
            ),
        )
    };
    let tag = "<member><Key>expected-subscribers</Key><Value>email=2 sqs=1</Value></member>";
    let wire = Wire::start().await;
    let asks = |action: &'static str| move || Mock::given(body_string_contains(action));
    let pages = vec![page(&first, "<NextToken>2</NextToken>"), page(&member("sqs", &confirmed), "")];
    wire.answer_in_turn(asks("Action=ListSubscriptionsByTopic"), pages).await;
    wire.answer_in_turn(asks("Action=ListTagsForResource"), vec![tags(tag), tags("")]).await;
    let topic = Topic::new(wire.sdk().sns(), ARN);

    let TopicSubscribers { topic: name, found } = topic.subscribers().await;
    assert_eq!(name, "syncwatch-notices");
    let (needed, confirmed) = found.unwrap();
    assert_eq!(confirmed, Subscribers::counted(["email", "sqs"]));
    assert_eq!(needed.unwrap().missing(&confirmed).as_deref(), Some("1 of 2 email"));
    assert_eq!(topic.needed().await.unwrap(), None, "a topic without the tag");
}

#[tokio::test]
async fn message_has_one_body_per_protocol_and_string_attributes() {
    let wire = Wire::in_turn(vec![published()]).await;
    let id = Topic::new(wire.sdk().sns(), ARN).publish(&message()).await.unwrap();
    assert_eq!(id, "m-1");

    let form = wire.only_request().await.form();
    assert_eq!(form["Action"], "Publish");
    assert_eq!(form["TopicArn"], ARN);
    assert_eq!(form["Subject"], message().subject);
    assert_eq!(form["MessageStructure"], "json");
    let bodies: serde_json::Value = serde_json::from_str(&form["Message"]).unwrap();
    assert_eq!(bodies, serde_json::json!({ "default": "short", "sqs": r#"{"a":"ü"}"# }));
    let attributes: Vec<_> = (1..=2)
        .map(|n| {
            let of = |member: &str| form[&format!("MessageAttributes.entry.{n}.{member}")].clone();
            (of("Name"), of("Value.DataType"), of("Value.StringValue"))
        })
        .collect();
    let attribute = |name: &str, value: &str| (name.to_owned(), "String".to_owned(), value.to_owned());
    assert!(attributes.contains(&attribute("severity", "error")));
    assert!(attributes.contains(&attribute("sync", "properties-create")));
}

#[tokio::test]
async fn refusal_names_the_topic_and_the_remedy() {
    let mut texts = Vec::new();
    for (status, code) in [(404, "NotFound"), (403, "AuthorizationError"), (403, "InvalidClientTokenId")] {
        let body =
            format!("<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>");
        let wire = Wire::answering(status, body).await;
        let error = Topic::new(wire.sdk().sns(), ARN).publish(&message()).await.unwrap_err();
        texts.push(error.to_string());
    }
    insta::assert_snapshot!(texts.join("\n"), @r#"
        topic arn:aws:sns:us-east-1:123456789012:syncwatch-notices: it does not exist in this account and region. Run `terraform apply`, or correct SYNCWATCH_TOPIC_ARN (infra/functions.json)
        topic arn:aws:sns:us-east-1:123456789012:syncwatch-notices: AWS denied access. Allow sns:Publish on it in infra/functions.json and run `terraform apply`
        topic arn:aws:sns:us-east-1:123456789012:syncwatch-notices: AWS did not accept the credentials (InvalidClientTokenId). Lambda sets the credentials of the function's role; elsewhere set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN
        "#);
}

#[tokio::test]
async fn message_beyond_the_limits_is_not_sent() {
    let wire = Wire::answering(200, "").await;
    let long = Message { subject: "x".repeat(100), ..message() };
    let error = Topic::new(wire.sdk().sns(), ARN).publish(&long).await.unwrap_err();
    assert!(error.to_string().contains(ARN), "{error}");
    assert!(wire.requests().await.is_empty());
}

#[test]
fn bodies_need_a_default_and_supported_protocols() {
    let without = Message { bodies: BTreeMap::from([("email", "x".to_owned())]), ..message() };
    assert_eq!(check_limits(&without), Err("the body `default` is missing".to_owned()));
    let mut unknown = message();
    unknown.bodies.insert("slack", "x".to_owned());
    assert_eq!(check_limits(&unknown), Err("SNS does not support the protocol \"slack\"".to_owned()));
}

#[test]
fn attributes_need_values_and_names_that_sns_allows() {
    let refused = |name: &str| {
        Err(format!(
            "the attribute {name:?} needs a value and a name of letters, digits, `_`, `-` and single `.`"
        ))
    };
    for name in ["", ".a", "a.", "a..b", "a b", "AWS.x", "amazon.x", "ü"] {
        let attributes = BTreeMap::from([(name, "x".to_owned())]);
        let result = check_limits(&Message { attributes, ..message() });
        assert_eq!(result, refused(name));
    }
    let empty = Message { attributes: BTreeMap::from([("sync", String::new())]), ..message() };
    assert_eq!(check_limits(&empty), refused("sync"));
    const NAMES: [&str; 11] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    let attributes = NAMES.into_iter().map(|name| (name, "x".to_owned())).collect();
    let result = check_limits(&Message { attributes, ..message() });
    assert_eq!(result, Err("11 attributes exceed the limit of 10".to_owned()));
}

proptest! {
    #[test]
    fn subject_passes_only_if_it_is_short_printable_ascii(subject in ".{0,120}") {
        let fits = subject.len() < 100
            && !subject.is_empty()
            && !subject.starts_with(' ')
            && subject.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let passes = check_limits(&Message { subject, ..message() }).is_ok();
        prop_assert_eq!(passes, fits);
    }

    #[test]
    fn subject_of_up_to_99_printable_characters_passes(subject in "[!-~][ -~]{0,98}") {
        let message = Message { subject, ..message() };
        prop_assert!(check_limits(&message).is_ok());
    }

    #[test]
    fn size_limit_counts_the_sent_bytes(length in 262_000_usize..262_300, quotes in 0_usize..200) {
        // A quotation mark is one byte in the body and two in the JSON.
        let body = format!("{}{}", "x".repeat(length - quotes), "\"".repeat(quotes));
        let bodies = BTreeMap::from([("default", body)]);
        let attributes = BTreeMap::from([("severity", "error".to_owned())]);
        let sent = r#"{"default":""}"#.len() + length + quotes + "severityStringerror".len();
        let result = check_limits(&Message { bodies, attributes, ..message() });
        prop_assert_eq!(result.is_ok(), sent <= 262_144);
    }
}

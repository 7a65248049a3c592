use super::*;
use crate::finding::Check;
use crate::schedule::Rule;

const SEED: &str = include_str!("../../../infra/pipeline.toml");

/// The seed with one line replaced; fails when the line is not there.
fn seed_with(line: &str, replacement: &str) -> String {
    assert!(SEED.contains(line), "the seed has no `{line}`");
    SEED.replacen(line, replacement, 1)
}

fn problems(text: &str) -> Vec<String> {
    match Pipeline::parse(text) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn seed_declares_the_requested_syncs_and_objectives() {
    let pipeline = Pipeline::parse(SEED).unwrap();
    let syncs: Vec<String> = pipeline
        .syncs
        .iter()
        .map(|sync| {
            format!(
                "{} {} {} {:?} {}",
                sync.key,
                sync.id,
                sync.schedule,
                sync.runtime_target.unwrap(),
                sync.error_rate_percent
            )
        })
        .collect();
    assert_eq!(
        syncs,
        ["properties-create 3394022 every 30m 15m 5", "properties-update 3394041 every 15m 5m 5"]
    );
    let minimum = pipeline.objectives.minimum_schedule.unwrap();
    assert_eq!(minimum.to_string(), "daily at 02:00 America/Los_Angeles");
    assert_eq!(pipeline.objectives.max_lag, Some(SignedDuration::from_hours(2)));
    assert!((pipeline.objectives.success_rate_percent - 95.0).abs() < f64::EPSILON);
}

#[test]
fn words_describe_the_seed() {
    insta::assert_snapshot!(Pipeline::parse(SEED).unwrap().to_string());
}

const NOTICES: &str = "[notices]\nseverity = { error-rate = \"critical\" }\n";

/// The seed with tables appended.
fn seed_and(tables: &str) -> String {
    // TOML allows a table only once.
    let seed = if tables.contains("[notices]") { SEED.replacen(NOTICES, "", 1) } else { SEED.to_owned() };
    format!("{seed}\n{tables}")
}

const SILENCE: &str = r#"[[silences]]
name = "release"
owner = "Ada"
reason = "release weekend"
checks = ["run-failed", "error-rate"]
subjects = ["properties-create"]
from = "2026-11-28T22:00:00-08:00"
until = "2026-11-29T02:00:00-08:00"
"#;

const WINDOW: &str = r#"[[silences]]
name = "window"
owner = "Ada"
reason = "nightly reload"
schedule = { daily_at = "23:00" }
lasts = "30m"
until = "2027-06-30T00:00:00Z"
"#;

#[test]
fn words_describe_notices_and_silences() {
    let notices = r#"[notices]
open_after = { run-failed = "2 of 2" }
resolve_after = { api-reachable = "3 of 4" }
remind_after = "2h"
remind_at_most = "48h"
stopped_after = "1h"
flapping = { openings = 4, within = "12h", quiet = "2h" }
"#;
    let text = seed_and(&format!("{SILENCE}{WINDOW}{notices}"));
    let pipeline = Pipeline::parse(&text).unwrap();
    let words = pipeline.to_string();
    let (_, notices) = words.split_once("Alerts are sent").unwrap();
    insta::assert_snapshot!(notices.split_once("\n\nChannels").unwrap().0);
    assert!(
        words.contains("  after 2 of 2 evaluations: error to critical; mail, chat, PagerDuty if critical\n")
    );

    let silence = pipeline.silences[0].active_at("2026-11-29T06:30:00Z".parse().unwrap()).unwrap();
    assert!(silence.scope.covers(Check::RunFailed, "properties-create"));
    assert!(!silence.scope.covers(Check::RunFailed, "properties-update"));
    // 23:00 in Los Angeles, the pipeline's zone, is 07:00 UTC in winter.
    let window = |instant: &str| pipeline.silences[1].active_at(instant.parse().unwrap());
    assert!(window("2026-12-01T07:29:00Z").is_some() && window("2026-12-01T07:30:00Z").is_none());
}

#[test]
fn mistakes_in_notices_and_silences_name_line_key_and_remedy() {
    let silence = |line: &str, replacement: &str| {
        assert!(SILENCE.contains(line), "{line}");
        seed_and(&SILENCE.replacen(line, replacement, 1))
    };
    let window = |line: &str, replacement: &str| {
        assert!(WINDOW.contains(line), "{line}");
        seed_and(&WINDOW.replacen(line, replacement, 1))
    };
    let table = [
        silence(r#"owner = "Ada""#, r#"owner = " ""#),
        silence("owner = \"Ada\"\n", ""),
        silence(r#""run-failed""#, r#""run-fails""#),
        silence("properties-create", "properties-delete"),
        silence("2026-11-28T22:00:00-08:00", "2026-11-30T22:00:00-08:00"),
        silence("2026-11-28T22:00:00-08:00", "2026-10-01T22:00:00-08:00"),
        silence("2026-11-28T22:00:00-08:00", "tomorrow"),
        silence("from = \"2026-11-28T22:00:00-08:00\"\n", ""),
        silence("until = \"2026-11-29T02:00:00-08:00\"\n", ""),
        seed_and(&format!("{SILENCE}{SILENCE}")),
        window("lasts = \"30m\"\n", ""),
        window("schedule = { daily_at = \"23:00\" }\n", ""),
        window(r#"daily_at = "23:00""#, r#"every = "30m""#),
        window(r#"lasts = "30m""#, r#"lasts = "960h""#),
        seed_and("[notices]\nopen_after = { run-failed = \"3 of 2\" }"),
        seed_and("[notices]\nopen_after = { run-fails = \"2 of 2\" }"),
        seed_and("[notices]\nremind_after = \"4h\"\nremind_at_most = \"1h\""),
        seed_and("[notices]\nflapping = { openings = 1 }"),
        seed_and("[notices]\nseverity = { run-failed = \"fatal\", run-fails = \"critical\" }"),
        seed_and("[notices]\ncritical_after = { sync-paused = \"soon\" }"),
        seed_with(
            r#"role = "create""#,
            "role = \"create\"\ncritical_after = \"later\"\nseverity = { x = \"info\" }",
        ),
    ];
    let found: Vec<String> = table.iter().map(|text| problems(text).join("\n")).collect();
    assert!(found.iter().all(|problems| !problems.is_empty()), "{found:#?}");
    insta::assert_snapshot!(found.join("\n"));
}

/// The problems of the seed with each of these lines replaced.
fn refused(table: &[(&str, &str)]) -> String {
    let each = table.iter().map(|(line, replacement)| {
        let problems = problems(&seed_with(line, replacement));
        assert!(!problems.is_empty(), "`{replacement}` was accepted");
        format!("{replacement:?}\n    {}\n", problems.join("\n    "))
    });
    each.collect()
}

#[test]
fn each_mistake_names_line_key_and_remedy() {
    let table = [
        (r#"name = "properties""#, r#"name = "Properties!""#),
        (r#"time_zone = "America/Los_Angeles""#, r#"time_zone = "Mars/X""#),
        (r#"time_zone = "America/Los_Angeles""#, r#"time_zone = "EST""#),
        (r#"time_zone = "America/Los_Angeles""#, r#"time_zone = "mst""#),
        (r#"time_zone = "America/Los_Angeles""#, r#"time_zone = "Etc/GMT+5""#),
        (r#"api_version = "v1""#, r#"api_version = "v3""#),
        (r#"api_version = "v1""#, r#"api_version = "v2""#),
        (r#"base_url = "https://app.getcensus.com""#, r#"base_url = "http://app.getcensus.com""#),
        (r#"base_url = "https://app.getcensus.com""#, r#"base_url = "https://app.getcensus.com/api/v1""#),
        (
            r#"base_url = "https://app.getcensus.com""#,
            r#"base_url = "https://user:secret@app.getcensus.com""#,
        ),
        ("id = 3394022", "id = 3394041"),
        ("id = 3394022", "id = 0"),
        ("id = 3394022", "id = \"3394022\""),
        ("id = 3394022", ""),
        (r#"role = "create""#, r#"role = "upsert""#),
        (r#"every = "30m""#, r#"every = "half an hour""#),
        (r#"every = "30m""#, r#"every = "5s""#),
        (r#"every = "30m""#, r#"every = "30m", daily_at = "02:00""#),
        (r#"every = "30m", "#, ""),
        (r#"every = "30m""#, r#"weekly_on = "Funday", at = "25:00""#),
        (r#"every = "30m""#, r#"weekly_on = "Monday""#),
        (r#"every = "30m""#, r#"cron = "0 2 * *""#),
        (r#"every = "30m""#, r#"cron = "0 0 2 * * ?""#),
        (r#"every = "30m""#, r#"cron = "0 0 31 2 *""#),
        (r#"every = "30m""#, "on_demand = false"),
        (r#"every = "30m""#, r#"evry = "30m""#),
        (r#"runtime_target = "15m""#, "runtime_target = \"15m\"\nstuck_after = \"10m\""),
        (r#"runtime_target = "15m""#, "runtime_target = \"-15m\""),
        (r#"runtime_target = "15m""#, "error_rate_percent = 120"),
        (r#"runtime_target = "15m""#, "skipped_runs_limit = 0"),
        (r#"minimum_schedule = { daily_at = "02:00""#, r#"minimum_schedule = { every = "24h""#),
        (r#"email = "data-operations@example.com""#, r#"email = "ada""#),
        (r#"email = "data-operations@example.com""#, ""),
        ("[census]", "[census"),
    ];
    insta::assert_snapshot!(refused(&table));
}

/// The seed with every key of owners, channels and terms.
fn routed() -> String {
    let replaced = [
        ("[terms]", "status_page_url = \"https://status.example.com/crm\"\n[terms]"),
        ("records = \"properties\"", "records = \"homes\""),
        ("# slack = \"S0123ABCDE\"", "slack = \"S0123ABCDE\""),
        ("# channels = [\"data-ops-chat\"]", "channels = [\"data-ops-chat\"]"),
        ("email = \"revenue-operations@example.com\"", CRM),
        ("# data-ops-chat = { kind = \"teams\" }", CHANNELS),
        ("id = 3394022", "id = 3394022\nowner = \"CRM\"\nobject_url = \"https://crm.example.com/o/Product\""),
        ("kind = \"coverage\"", "kind = \"coverage\"\nobject_url = \"http://crm.example.com/o/Home\""),
    ];
    replaced.iter().fold(SEED.to_owned(), |text, (line, replacement)| {
        assert!(text.contains(line), "the seed has no `{line}`");
        text.replacen(line, replacement, 1)
    })
}

const CRM: &str = r#"email = "revenue-operations@example.com"
channels = ["crm-pager", "crm-hook"]

[[contacts]]
name = "CRM"
role = "on-call"
phone = "+1 555 0100"
channels = ["crm-pager"]
slack = "U0123ABCDE"
escalate_to = "Data operations"

[[contacts]]
name = "Finance"
role = "reader"
email = "finance@example.com""#;

const CHANNELS: &str = r#"data-ops-chat = { kind = "teams" }
crm-pager = { kind = "pagerduty", min_severity = "error" }
crm-hook = { kind = "webhook", min_severity = "info" }
spare = { kind = "slack" }"#;

#[test]
fn owners_channels_terms_and_urls_are_read() {
    let pipeline = Pipeline::parse(&routed()).unwrap();
    let channels: Vec<_> =
        pipeline.channels.0.iter().map(|channel| (channel.to_string(), channel.lowest)).collect();
    assert_eq!(
        channels,
        [
            ("chat".to_owned(), Severity::Warning),
            ("crm-hook (webhook)".to_owned(), Severity::Info),
            ("crm-pager (PagerDuty)".to_owned(), Severity::Error),
            ("data-ops-chat (Teams)".to_owned(), Severity::Warning),
            ("PagerDuty".to_owned(), Severity::Critical),
            ("spare (Slack)".to_owned(), Severity::Warning),
        ]
    );
    assert_eq!(pipeline.channels.lowest(Class::Pager), Some(Severity::Error));
    assert_eq!(pipeline.channels.lowest(Class::Chat), Some(Severity::Info));
    assert_eq!(pipeline.channels.lowest(Class::Mail), None);
    let crm = Contact {
        name: "CRM".to_owned(),
        role: "on-call".to_owned(),
        email: None,
        phone: Some("+1 555 0100".to_owned()),
        slack: Some("U0123ABCDE".to_owned()),
        channels: vec!["crm-pager".to_owned()],
        escalate_to: Some("Data operations".to_owned()),
    };
    assert_eq!(pipeline.contact("CRM"), Some(&crm));
    let terms = Terms {
        records: "homes".to_owned(),
        destination: "Salesforce".to_owned(),
        audience: "Sales".to_owned(),
        required_value: "company name".to_owned(),
    };
    assert_eq!(pipeline.terms, terms);
    assert_eq!(pipeline.owner.as_deref(), Some("Data operations"));
    assert_eq!(pipeline.status_page_url.as_deref(), Some("https://status.example.com/crm"));
    let sync = pipeline.sync("properties-create").unwrap();
    assert_eq!(sync.owner.as_deref(), Some("CRM"));
    assert_eq!(sync.object_url.as_deref(), Some("https://crm.example.com/o/Product"));
    let check = pipeline.data_check("properties-coverage").unwrap();
    assert_eq!(check.object_url.as_deref(), Some("http://crm.example.com/o/Home"));
}

#[test]
fn missing_terms_and_channel_settings_have_defaults() {
    let text = seed_with("pagerduty = { min_severity = \"critical\" }", "pagerduty = {}")
        .replacen("chat = { kind = \"slack\", min_severity = \"warning\" }", "chat = {}", 1)
        .replacen("records = \"properties\"\ndestination = \"Salesforce\"\naudience = \"Sales\"\n", "", 1);
    let pipeline = Pipeline::parse(&text).unwrap();
    let Terms { records, destination, audience, required_value } = &pipeline.terms;
    assert_eq!(
        [records, destination, audience, required_value],
        ["records", "the destination", "Its users", "company name"]
    );
    let channel = |name: &str| pipeline.channels.get(name).map(|channel| (channel.kind, channel.lowest));
    assert_eq!(channel(PAGERDUTY), Some((ChannelKind::PagerDuty, Severity::Critical)));
    assert_eq!(channel(CHAT), Some((ChannelKind::Slack, Severity::Warning)));
    let seed = Pipeline::parse(SEED).unwrap();
    assert_eq!(pipeline.channels, seed.channels, "the seed spells the defaults out");
}

/// Declares the default mail channel, and one that belongs to a contact.
fn mailed() -> String {
    let mail = "mail = { from = \"syncwatch@example.com\", to = [\"data@example.com\", \"night+ops@mail.example.com\"] }\n\
                crm-mail = { kind = \"email\", min_severity = \"info\", from = \"syncwatch@example.com\", to = [\"crm@example.com\"] }";
    routed().replacen("[channels]", &format!("[channels]\n{mail}"), 1).replacen(
        "channels = [\"crm-pager\"]",
        "channels = [\"crm-pager\", \"crm-mail\"]",
        1,
    )
}

#[test]
fn mail_channels_have_addresses_and_go_beside_pager_and_chat() {
    let pipeline = Pipeline::parse(&mailed()).unwrap();
    let channel = |name: &str| pipeline.channels.get(name).unwrap();
    let addresses = |to: &[&str]| {
        let to = to.iter().map(|address| (*address).to_owned()).collect();
        Some(Addresses { from: "syncwatch@example.com".to_owned(), to })
    };
    assert_eq!((channel(MAIL).kind, channel(MAIL).lowest), (ChannelKind::Email, Severity::Warning));
    assert_eq!(channel(MAIL).mail, addresses(&["data@example.com", "night+ops@mail.example.com"]));
    assert_eq!(channel("crm-mail").mail, addresses(&["crm@example.com"]));
    assert_eq!(channel(CHAT).mail, None);
    let routes = |pipeline: &Pipeline, owner| {
        let routes = pipeline.routes(owner).into_iter().map(|channel| channel.name.clone());
        routes.collect::<Vec<_>>()
    };
    assert_eq!(routes(&pipeline, None), ["pagerduty", "chat", "mail"]);
    assert_eq!(routes(&pipeline, Some("CRM")), ["crm-pager", "chat", "crm-mail"]);
    // Other owners need no default mail channel.
    let own_only =
        mailed().lines().filter(|line| !line.starts_with("mail = ")).collect::<Vec<_>>().join("\n");
    let own_only = Pipeline::parse(&own_only).unwrap();
    assert_eq!(routes(&own_only, None), ["pagerduty", "chat"]);
    assert_eq!(routes(&own_only, Some("CRM")), ["crm-pager", "chat", "crm-mail"]);
    let words = [pipeline, own_only].map(|pipeline| {
        let words = pipeline.to_string();
        let lines = words.lines().filter(|line| line.contains("(email)") || line.contains("api-reachable"));
        lines.collect::<Vec<_>>().join("\n")
    });
    insta::assert_snapshot!(words.join("\n\n"));
}

#[test]
fn mistakes_in_mail_channels_name_line_key_and_remedy() {
    let line = "chat = { kind = \"slack\", min_severity = \"warning\" }\n";
    let mail = |members: &str| format!("{line}mail = {{ {members} }}\n");
    let to = |address: &str| mail(&format!("from = \"a@example.com\", to = [\"{address}\"]"));
    let from = |address: &str| mail(&format!("from = \"{address}\", to = [\"a@example.com\"]"));
    let long = format!("{}@example.com", "a".repeat(65));
    let crowd: Vec<String> = (0..51).map(|n| format!("\"a{n}@example.com\"")).collect();
    let table = [
        mail(""),
        mail("from = \"a@example.com\", to = []"),
        mail("from = \"a@example.com\", to = \"b@example.com\""),
        mail("from = \"a@example.com\", to = [\"b@example.com\", \"b@example.com\"]"),
        mail("kind = \"slack\", from = \"a@example.com\", to = [\"b@example.com\"]"),
        mail("kind = \"e-mail\", from = \"a@example.com\", to = [\"b@example.com\"]"),
        format!("{line}ops = {{ kind = \"teams\", to = [\"b@example.com\"] }}\n"),
        to("ops"),
        to("ops@example"),
        to("ops@-example.com"),
        to("ops@example..com"),
        to("a@b@example.com"),
        to("a@example.com, b@example.com"),
        to("Ops <ops@example.com>"),
        to("zoë@example.com"),
        to(&long),
        from("a@example.com\\r\\nBcc: eve@example.org"),
        from("a@example.com\\nSubject: x"),
        from("\\\"a\\r\\n\\\"@example.com"),
        from(""),
    ];
    let table: Vec<(&str, &str)> = table.iter().map(|replacement| (line, replacement.as_str())).collect();
    insta::assert_snapshot!(refused(&table));
    let crowd =
        problems(&seed_with(line, &mail(&format!("from = \"a@example.com\", to = [{}]", crowd.join(", ")))));
    assert!(crowd.len() == 1 && crowd[0].contains("51 recipients"), "{crowd:?}");
}

#[test]
fn mistakes_in_owners_and_channels_name_line_key_and_remedy() {
    let pagerduty = "pagerduty = { min_severity = \"critical\" }\n";
    let chat = "chat = { kind = \"slack\", min_severity = \"warning\" }\n";
    let contact = "role = \"first responder\"";
    let twice = "name = \"Data operations\"\nrole = \"same\"\nphone = \"+1\"\n\n[[contacts]]\nname = \"Revenue operations\"";
    let table = [
        ("owner = \"Data operations\"", "owner = \"Data ops\""),
        ("id = 3394022", "id = 3394022\nowner = \"Ada\""),
        ("kind = \"freshness\"", "kind = \"fresh\"\nowner = \"Ada\""),
        ("escalate_to = \"Revenue operations\"", "escalate_to = \"Ada\""),
        ("escalate_to = \"Revenue operations\"", "escalate_to = \"Data operations\""),
        ("name = \"Revenue operations\"", twice),
        ("name = \"Revenue operations\"", "name = \"\""),
        (contact, "role = \"first responder\"\nchannels = [\"chat\", \"data-ops-chat\"]"),
        (contact, "role = \"first responder\"\nchannels = [\"chat\", \"chat\"]"),
        (contact, "role = \"first responder\"\nslack = \"@ada\""),
        (contact, "role = \"first responder\"\nslack = \"C0123ABCDE\""),
        (contact, "role = \"first responder\"\nslack = \"U0123abcde\""),
        ("chat = { kind = \"slack\"", "ops = {}\nchat = { kind = \"slack\""),
        ("chat = { kind = \"slack\"", "chat = { kind = \"discord\""),
        ("chat = { kind = \"slack\"", "chat = { kind = \"pagerduty\""),
        (pagerduty, "pagerduty = { kind = \"teams\" }\n"),
        ("chat = { kind = \"slack\"", "Ops_Chat = { kind = \"teams\" }\nchat = { kind = \"slack\""),
        (pagerduty, "crm-pager = { kind = \"pagerduty\" }\n"),
        (chat, "crm-chat = { kind = \"webhook\" }\ncrm-teams = { kind = \"teams\" }\n"),
        ("min_severity = \"critical\"", "min_severity = \"fatal\""),
        ("pagerduty = {", "pagerduty = { sound = true,"),
        ("records = \"properties\"", "records = \" \""),
        ("audience = \"Sales\"", "audience = \"Everyone who works with Salesforce records\""),
        ("destination = \"Salesforce\"", "destinations = \"Salesforce\""),
        ("[terms]", "status_page_url = \"status.example.com\"\n[terms]"),
        ("id = 3394022", "id = 3394022\nobject_url = \"https://ada:secret@crm.example.com\""),
        ("kind = \"coverage\"", "kind = \"coverage\"\nobject_url = \"ftp://crm.example.com\""),
    ];
    insta::assert_snapshot!(refused(&table));
}

#[test]
fn invalid_kind_of_a_channel_is_the_only_problem_reported() {
    let text = routed().replacen("kind = \"teams\"", "kind = \"discord\"", 1);
    let found = problems(&text);
    assert!(found.len() == 1 && found[0].contains("`channels.data-ops-chat.kind`"), "{found:?}");
}

#[test]
fn owner_is_of_the_sync_or_check_else_of_the_pipeline() {
    let (routed, seed) = (routed(), SEED.replacen("owner = \"Data operations\"\n", "", 1));
    let of = |text: &str, subject: &str| {
        let pipeline = Pipeline::parse(text).unwrap();
        pipeline.owner_of(Check::RunFailed, subject).map(|owner| owner.name.clone())
    };
    let table = [
        (&routed, "properties-create", Some("CRM")),
        (&routed, "properties-update", Some("Data operations")),
        (&routed, "properties-coverage", Some("Revenue operations")),
        (&routed, "changes-arrive", Some("Data operations")),
        (&routed, "census", Some("Data operations")),
        (&routed, "warehouse", Some("Data operations")),
        (&routed, "no-such-subject", Some("Data operations")),
        (&seed, "properties-create", None),
        (&seed, "census", None),
        (&seed, "properties-coverage", Some("Revenue operations")),
    ];
    for (text, subject, expected) in table {
        assert_eq!(of(text, subject).as_deref(), expected, "{subject}");
    }
}

#[test]
fn owners_channels_replace_the_defaults_of_their_class() {
    let declared = Pipeline::parse(&routed()).unwrap();
    let no_pager = routed()
        .replacen("pagerduty = { min_severity = \"critical\" }\n", "", 1)
        .replacen("crm-pager = { kind = \"pagerduty\", min_severity = \"error\" }\n", "", 1)
        .replacen("channels = [\"crm-pager\", \"crm-hook\"]\n", "", 1)
        .replacen("channels = [\"crm-pager\"]\n", "", 1);
    let no_pager = Pipeline::parse(&no_pager).unwrap();
    let mail_only = Pipeline { channels: Channels::default(), ..declared.clone() };
    let table: [(&Pipeline, Option<&str>, &[&str]); 9] = [
        (&declared, None, &["pagerduty", "chat"]),
        (&declared, Some("Finance"), &["pagerduty", "chat"]),
        (&declared, Some("Data operations"), &["pagerduty", "data-ops-chat"]),
        (&declared, Some("CRM"), &["crm-pager", "chat"]),
        (&declared, Some("Revenue operations"), &["crm-pager", "crm-hook"]),
        (&declared, Some("Ada, of an older file"), &["pagerduty", "chat"]),
        (&no_pager, None, &["chat"]),
        (&no_pager, Some("Data operations"), &["data-ops-chat"]),
        (&mail_only, Some("Data operations"), &[]),
    ];
    for (pipeline, owner, expected) in table {
        let routes: Vec<&str> = pipeline.routes(owner).iter().map(|channel| channel.name.as_str()).collect();
        assert_eq!(routes, expected, "{owner:?}");
    }
}

#[test]
fn words_describe_owners_channels_and_contacts() {
    let words = Pipeline::parse(&routed()).unwrap().to_string();
    let (head, rest) = words.split_once("\nproperties-update").unwrap();
    let (channels, _) = rest.split_once("\nChannels").unwrap().1.split_once("\nChecks that").unwrap();
    let check = words.lines().find(|line| line.contains("properties-coverage [")).unwrap();
    insta::assert_snapshot!(format!("{head}\n{check}\n\nChannels{channels}"));
}

#[test]
fn words_list_checks_by_whether_they_page() {
    let sections = |text: &str| {
        let words = Pipeline::parse(text).unwrap().to_string();
        let section = |title: &str| {
            let (_, checks) = words.split_once(&format!("\n{title}\n"))?;
            Some(checks.split("\n\n").next()?.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>())
        };
        (
            section("Checks that page").unwrap_or_default(),
            section("Checks that never page").unwrap_or_default(),
        )
    };
    let find = |lines: &[String], check: &str| lines.iter().find(|line| line.starts_with(check)).cloned();
    let (paging, others) = sections(SEED);
    assert!(find(&paging, "runtime ").is_none() && find(&others, "runtime ").is_some());
    let chat = "chat = { kind = \"slack\", min_severity = \"warning\" }\n";
    let from_error = SEED.replacen("min_severity = \"critical\"", "min_severity = \"error\"", 1).replacen(
        chat,
        "chat = { min_severity = \"error\" }\n",
        1,
    );
    let (paging, _) = sections(&from_error);
    let drift = find(&paging, "schedule-drift").unwrap();
    assert!(
        drift.ends_with("at once: warning to error; mail, chat from error, PagerDuty from error"),
        "{drift}"
    );
    let mail_only =
        SEED.replacen("pagerduty = { min_severity = \"critical\" }\n", "", 1).replacen(chat, "", 1);
    let (paging, others) = sections(&mail_only);
    let failed = find(&others, "run-failed").unwrap();
    assert!(paging.is_empty() && failed.ends_with("at once: error to critical; mail"), "{failed}");
}

#[test]
fn all_mistakes_of_a_file_are_reported_at_once() {
    let text =
        seed_with(r#"role = "create""#, r#"role = "upsert""#).replace("every = \"15m\"", "every = \"soon\"");
    assert_eq!(problems(&text).len(), 2);
}

#[test]
fn password_in_a_url_is_not_repeated() {
    for path in ["", "/api/v1"] {
        let url = format!("https://user:hunter2@app.getcensus.com{path}");
        let problems = problems(&seed_with("https://app.getcensus.com", &url)).concat();
        assert!(!problems.is_empty() && !problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn file_without_syncs_is_refused() {
    let head = SEED.split("[[syncs]]").next().unwrap();
    assert_eq!(
        problems(head),
        ["`syncs`: no sync is declared; add a [[syncs]] table for each Census sync to check"]
    );
}

#[test]
fn missing_stuck_after_follows_the_runtime_target() {
    let pipeline = Pipeline::parse(SEED).unwrap();
    assert_eq!(pipeline.syncs[0].stuck_after, SignedDuration::from_mins(45));
    let pipeline = Pipeline::parse(&seed_with("runtime_target = \"15m\"", "")).unwrap();
    assert_eq!(pipeline.syncs[0].stuck_after, DEFAULT_STUCK_AFTER);
}

#[test]
fn schedule_without_a_zone_has_that_of_the_pipeline() {
    let text = seed_with(r#"every = "30m""#, r#"daily_at = "02:00""#)
        .replace(r#"every = "15m""#, r#"cron = "0 2 * * 1-5", time_zone = "Europe/Berlin""#);
    let pipeline = Pipeline::parse(&text).unwrap();
    let zones: Vec<_> =
        pipeline.syncs.iter().map(|sync| sync.schedule.time_zone.iana_name().unwrap()).collect();
    assert_eq!(zones, ["America/Los_Angeles", "Europe/Berlin"]);
    assert!(matches!(pipeline.syncs[1].schedule.rule, Rule::Cron(_)));
}

#[test]
fn zones_of_places_and_utc_are_accepted() {
    for zone in
        ["US/Pacific", "EST5EDT", "UTC", "Etc/UTC", "GMT", "Etc/GMT", "Etc/GMT0", "America/Phoenix", "CET"]
    {
        let text = seed_with(r#"time_zone = "America/Los_Angeles""#, &format!("time_zone = \"{zone}\""));
        assert!(Pipeline::parse(&text).is_ok(), "{zone}");
    }
}

#[test]
fn urgency_is_from_sync_then_notices_then_objectives() {
    let hours = |hours| Some(SignedDuration::from_hours(hours));
    let of = |text: &str, check: Check, subject: &str| {
        let pipeline = Pipeline::parse(text).unwrap();
        let urgency = pipeline.urgency(check, subject);
        (urgency.severity, urgency.after, urgency.slots.is_some())
    };
    let (pause, create) = (Check::SyncPaused, "properties-create");
    assert_eq!(of(SEED, pause, create), (None, hours(2), true));
    assert_eq!(of(SEED, Check::Runtime, create), (None, None, false), "slow is not stopped");
    assert_eq!(of(SEED, Check::ErrorRate, create), (Some(Severity::Critical), None, false));
    assert_eq!(of(SEED, Check::Freshness, "changes-arrive"), (None, hours(2), true));
    let blind = SEED.replacen("kind = \"coverage\"", "kind = \"coverage\"\ncritical_after = \"30h\"", 1);
    for check in [Check::Coverage, Check::FilterKeepsRows] {
        assert_eq!(of(&blind, check, "properties-coverage"), (None, hours(30), false), "{check}");
    }
    let notices = seed_and("[notices]\ncritical_after = { sync-paused = \"never\", runtime = \"1h\" }");
    assert_eq!(of(&notices, pause, create), (None, None, false));
    assert_eq!(of(&notices, Check::Runtime, create), (None, hours(1), false));
    let sync = notices.replacen(
        "role = \"create\"",
        "role = \"create\"\ncritical_after = \"3h\"\nseverity = { runtime = \"info\", sync-paused = \"warning\" }",
        1,
    );
    assert_eq!(of(&sync, pause, create), (Some(Severity::Warning), hours(3), false));
    assert_eq!(of(&sync, pause, "properties-update"), (None, None, false));
    assert_eq!(of(&sync, Check::Runtime, create), (Some(Severity::Info), hours(1), false));
    let none = seed_with("max_lag = \"2h\"", "").replace("minimum_schedule = {", "# minimum_schedule = {");
    // The freshness check then needs its own limit.
    let none = none.replacen("kind = \"freshness\"", "kind = \"freshness\"\nmax_lag = \"2h\"", 1);
    assert_eq!(of(&none, pause, create), (None, hours(24), false));
}

proptest::proptest! {
    #[test]
    fn parser_never_panics_on_text(text in "\\PC{0,200}") {
        let _ = Pipeline::parse(&text);
    }

    #[test]
    fn parser_never_panics_on_misplaced_values(
        value in "(\"\\PC{0,20}\"|[0-9]{1,20}|-?[0-9]{1,5}\\.[0-9]|true|\\[\\]|\\{\\})",
        place in 0_usize..20,
    ) {
        let mut lines: Vec<String> = SEED.lines().map(str::to_owned).collect();
        let keyed: Vec<usize> = (0..lines.len()).filter(|n| lines[*n].contains(" = ") && !lines[*n].starts_with('#')).collect();
        let line = keyed[place % keyed.len()];
        let key = lines[line].split(" = ").next().unwrap().to_owned();
        lines[line] = format!("{key} = {value}");
        let _ = Pipeline::parse(&lines.join("\n"));
    }
}

/// The seed with its data checks replaced.
fn with_checks(driver: &str, checks: &str) -> String {
    let (syncs, _) = SEED.split_once("[warehouse]").unwrap();
    format!("{syncs}\n[warehouse]\n{driver}\n{checks}")
}

const ODBC: &str = "driver = \"odbc\"\ndialect = \"postgresql\"";

#[test]
fn words_describe_every_kind_of_check() {
    let checks = r#"
[[checks]]
name = "rate"
kind = "null-rate"
table = "rds.properties"
columns = ["city", "address"]
limit_percent = 2.5
window = { day = "today", column = "created_at" }
[[checks]]
name = "pair"
kind = "duplicates"
table = "rds.properties"
key = ["company_name", "address"]
limit = 3
[[checks]]
name = "waiting"
kind = "queue-size"
table = "sfdc_dbx.properties_to_create"
limit = 100
oldest_by = "created_at"
max_age = "24h"
severity = "error"
[[checks]]
name = "rows"
kind = "row-count"
table = "rds.properties"
min = 20000
max = 40000
[[checks]]
name = "status"
kind = "accepted-values"
table = "rds.properties"
column = "status"
values = ["active", "sold; DROP TABLE"]
[[checks]]
name = "ids"
kind = "pattern"
table = "rds.properties"
column = "property_id"
like = "P-%"
min_length = 3
max_length = 20
[[checks]]
name = "owners"
kind = "referential"
table = "rds.properties"
column = "owner_id"
references = { table = "rds.owners", key = "id", where = [{ column = "kind", equals = 3 }, { column = "gone", not = true }, { column = "name", is_null = false }] }
[[checks]]
name = "own"
kind = "custom-sql"
table = "rds.properties"
sql = "SELECT COUNT(*) FROM rds.properties WHERE created_at >= :from AND created_at < :to"
window = { day = "yesterday" }
max = 500
"#;
    let pipeline = Pipeline::parse(&with_checks(ODBC, checks)).unwrap();
    let words = pipeline.to_string();
    let (_, data) = words.split_once("\nData:").unwrap();
    insta::assert_snapshot!(data.split_once("\n\nAlerts").unwrap().0);
    for subject in ["rate", "own", "warehouse", "census"] {
        assert!(pipeline.has_subject(subject), "{subject}");
    }
    assert!(!pipeline.has_subject("company-names"));
}

#[test]
fn mistakes_in_checks_name_line_key_and_remedy() {
    let head = "[[checks]]\nname = \"a\"\ntable = \"rds.properties\"\n";
    let bad = [
        "kind = \"regex\"",
        "kind = \"coverage\"\nkey = \"id\"",
        "kind = \"coverage\"\nkey = [\"a\", \"b\"]\ndestination = { table = \"t\", key = \"k\" }",
        "kind = \"coverage\"\nkey = \"a\"\ndestination = { table = \"t\", key = \"k\" }\nwarn_below = 80\ncritical_below = 90",
        "kind = \"coverage\"\nkey = \"a\"\ndestination = { table = \"t\" }",
        "kind = \"null-count\"",
        "kind = \"null-count\"\ncolumn = \"a\\n; DROP TABLE b\"",
        "kind = \"null-count\"\ncolumn = \"a\"\nsql = \"SELECT 1\"",
        "kind = \"null-rate\"\ncolumn = \"a\"\nlimit_percent = 101.0",
        "kind = \"duplicates\"\nkey = []",
        "kind = \"queue-size\"\nlimit = 1\nmax_age = \"2h\"",
        "kind = \"row-count\"",
        "kind = \"row-count\"\nmin = 2\nmax = 1",
        "kind = \"row-count\"\nmin = 1.5",
        "kind = \"accepted-values\"\ncolumn = \"a\"\nvalues = [\"a\", 1]",
        "kind = \"pattern\"\ncolumn = \"a\"",
        "kind = \"pattern\"\ncolumn = \"a\"\nlike = \"a!b\"",
        "kind = \"pattern\"\ncolumn = \"a\"\nlike = 'a\\%'",
        "kind = \"custom-sql\"\nsql = \"DROP TABLE a\"\nmax = 1",
        "kind = \"custom-sql\"\nsql = \"SELECT 1; DELETE FROM a\"\nmax = 1",
        "kind = \"custom-sql\"\nsql = \"SELECT :from\"\nmax = 1",
        "kind = \"row-count\"\nmin = 1\nseverity = \"bad\"",
        "kind = \"row-count\"\nmin = 1\nwindow = { day = \"tomorrow\", column = \"c\" }",
        "kind = \"row-count\"\nmin = 1\nwindow = { day = \"today\" }",
        "kind = \"row-count\"\nmin = 1\nnonsense = 1",
        "kind = \"row-count\"\nmin = 1\nshow_keys = true",
        "kind = \"row-count\"\nmin = 1\nwhere = [{ column = \"a\" }]",
        "kind = \"row-count\"\nmin = 1\nwhere = [{ column = \"a\", equals = 1, not = 2 }]",
        "kind = \"row-count\"\nmin = 1\nwhere = [{ column = \"a\", equals = 1 }, { column = \"a\", not = 1 }]",
        "kind = \"row-count\"\nmin = 1\nwhere = [{ column = \"a\", equals = true }, { column = \"a\", is_null = true }]",
        "kind = \"row-count\"\nmin = 1\nwhere = [{ column = \"a\", is_null = true }, { column = \"a\", is_null = false }]",
    ];
    let first = with_checks(ODBC, "").lines().count();
    let found: Vec<String> = bad
        .iter()
        .map(|check| {
            let problems = problems(&with_checks(ODBC, &format!("{head}{check}\n")));
            assert!(!problems.is_empty(), "{check} was accepted");
            // Lines count from the tables of this test.
            let relative = problems.iter().map(|problem| match problem.strip_prefix("line ") {
                Some(rest) => {
                    let (line, rest) = rest.split_once(':').unwrap();
                    format!("+{}:{rest}", line.parse::<usize>().unwrap() - first)
                }
                None => problem.clone(),
            });
            relative.collect::<Vec<_>>().join("\n")
        })
        .collect();
    insta::assert_snapshot!(found.join("\n"));
}

const OBJECT: &str = r#"
[[objects]]
name = "homes"
key = { source = "id", destination = "id_c", kind = "integer" }
changed = { source = "changed" }
settle = "30m"
limits = { missing = 1, extra = 2, different_percent = 0.5 }
fields = [
  { source = "a", destination = "a_c", kind = "choice", map = { A = "Active" }, authority = "destination" },
  { source = "b", destination = "b_c", kind = "money", scale = 2, currency = { source = "c", destination = "c_c" } },
  { source = "d", destination = "d_c", kind = "date", source_zone = "America/Denver" },
]
source = { table = "rds.homes" }
destination = { table = "salesforce.home" }
"#;

#[test]
fn mistakes_in_objects_name_line_key_and_remedy() {
    let table = [
        (r#"kind = "choice""#, r#"kind = "chioce""#),
        (r#"kind = "integer""#, r#"kind = "int""#),
        (r#"authority = "destination""#, r#"authority = "salesforce""#),
        (r#"kind = "choice""#, r#"kind = "text""#),
        ("scale = 2, ", ""),
        ("scale = 2", "scale = 40"),
        (r#", currency = { source = "c", destination = "c_c" }"#, ""),
        ("America/Denver", "MST"),
        (r#""b_c""#, r#""a_c""#),
        (r#""rds.homes""#, r#""rds..homes""#),
        (r#"settle = "30m""#, r#"settle = "soon""#),
        (
            r#"settle = "30m""#,
            r#"settle = "30m"
pending_for = "10m""#,
        ),
        (r#"settle = "30m""#, r#"copy_limit = "3h""#),
        (r#"settle = "30m""#, "nights = 1"),
        (r#"settle = "30m""#, "nights = 32"),
        (r#"settle = "30m""#, r#"syncs = ["properties-creat"]"#),
        (r#"{ table = "rds.homes" }"#, r#"{ table = "rds.homes", deleted = "gone" }"#),
        (r#"{ table = "salesforce.home" }"#, r#"{ table = "salesforce.home", modified_by = "by" }"#),
        (r#"{ table = "salesforce.home" }"#, r#"{ table = "salesforce.home", integration_users = ["005"] }"#),
        (r#"{ table = "salesforce.home" }"#, r#"{ table = "salesforce.home", users = "salesforce.user" }"#),
        ("changed = { source = \"changed\" }\n", ""),
        ("0.5", "101.0"),
        (r#"source = { table = "rds.homes" }"#, r#"source = { table = "rds.homes", synced = "s" }"#),
        (r#"source = { table = "rds.homes" }"#, r#"source = { table = "rds.homes", wher = [] }"#),
        (r#"source = { table = "rds.homes" }"#, r#"source = { table = "rds.homes", connection = "crm" }"#),
        (
            r#"destination = { table = "salesforce.home" }"#,
            r#"destination = { table = "salesforce.home", connection = "crm" }
[connections.Erp]
driver = "odbc"
dialect = "oracle"
[connections.erp]
driver = "odbc"
dialect = "sqlite"
host = "h""#,
        ),
        (r#"name = "homes""#, r#"name = "homes""#),
    ];
    let first = with_checks(ODBC, "").lines().count();
    let found = table.map(|(line, replacement)| {
        assert!(OBJECT.contains(line), "{line}");
        let object = OBJECT.replacen(line, replacement, 1);
        let twice = if line == replacement { OBJECT } else { "" };
        let problems = problems(&with_checks(ODBC, &format!("{object}{twice}")));
        let relative = problems.iter().map(|problem| match problem.strip_prefix("line ") {
            Some(rest) => {
                let (line, rest) = rest.split_once(':').unwrap();
                format!("+{}:{rest}", line.parse::<usize>().unwrap() - first)
            }
            None => problem.clone(),
        });
        let problems: Vec<String> = relative.collect();
        format!("{replacement} => {}", problems.join("\n"))
    });
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn words_describe_objects_and_their_fields() {
    let words = Pipeline::parse(&with_checks(ODBC, OBJECT)).unwrap().to_string();
    let (_, objects) = words.split_once("Objects that").unwrap();
    insta::assert_snapshot!(objects.split_once("\n\n").unwrap().0);
}

const ROWS: &str = "[[checks]]\nname = \"a\"\nkind = \"row-count\"\ntable = \"t\"\nmin = 1\n";

#[test]
fn mistakes_in_the_warehouse_name_line_key_and_remedy() {
    let drivers = [
        "driver = \"jdbc\"",
        "driver = \"databricks\"",
        "driver = \"databricks\"\nhost = \"dbc-1.example.com\"",
        "driver = \"databricks\"\nhost = \"https://token@dbc-1.example.com\"\nwarehouse_id = \"a\"",
        "driver = \"databricks\"\nhost = \"dbc-1.example.com\"\nhttp_path = \"/elsewhere/a\"",
        "driver = \"odbc\"",
        "driver = \"odbc\"\ndialect = \"oracle\"",
        "driver = \"odbc\"\ndialect = \"sqlite\"\nhost = \"h\"",
    ];
    let found: Vec<String> =
        drivers.iter().map(|driver| problems(&with_checks(driver, ROWS)).join("\n")).collect();
    assert!(!found.join("\n").contains("token@"), "a URL may have a password by mistake");
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn checks_and_snapshot_need_a_warehouse() {
    let (without, _) = SEED.split_once("[warehouse]").unwrap();
    let found = problems(&format!("{without}{ROWS}[snapshot]\n"));
    let texts: Vec<&str> = found.iter().map(|problem| problem.split_once(": ").unwrap().1).collect();
    assert_eq!(
        texts,
        [
            "`warehouse`: missing; add [warehouse] with its driver: [checks] needs it",
            "`warehouse`: missing; add [warehouse] with its driver: [snapshot] needs it",
        ]
    );
}

#[test]
fn http_path_names_the_sql_warehouse() {
    let path =
        "driver = \"databricks\"\nhost = \"dbc-1.example.com\"\nhttp_path = \"/sql/1.0/warehouses/abc\"";
    let pipeline = Pipeline::parse(&with_checks(path, ROWS)).unwrap();
    let warehouse =
        Warehouse::Databricks { host: "dbc-1.example.com".to_owned(), warehouse_id: "abc".to_owned() };
    assert_eq!(pipeline.warehouse, Some(warehouse));
}

#[test]
fn check_name_is_unique_and_can_be_silenced() {
    let check =
        |name: &str| format!("[[checks]]\nname = \"{name}\"\nkind = \"row-count\"\ntable = \"t\"\nmin = 1\n");
    for taken in ["properties-create", "census", "warehouse", "Bad Name"] {
        assert!(!problems(&with_checks(ODBC, &check(taken))).is_empty(), "{taken}");
    }
    assert!(!problems(&with_checks(ODBC, &format!("{}{}", check("a"), check("a")))).is_empty());
    let silence = SILENCE.replace("properties-create", "a");
    assert_eq!(problems(&with_checks(ODBC, &format!("{}{silence}", check("a")))), [""; 0]);
}

#[test]
fn freshness_without_max_lag_uses_the_objective() {
    let freshness = "[[checks]]\nname = \"a\"\nkind = \"freshness\"\ntable = \"t\"\ncolumn = \"c\"\n\
                     destination = { table = \"d\", column = \"c\" }\n";
    let lag = |text: &str| match &Pipeline::parse(text).unwrap().checks[0].rule {
        crate::data_checks::Rule::Freshness { max_lag, .. } => *max_lag,
        other => panic!("{other:?}"),
    };
    let by_objective = with_checks(ODBC, freshness);
    assert_eq!(lag(&by_objective), SignedDuration::from_hours(2));
    let own = freshness.replace("column = \"c\"\nd", "column = \"c\"\nmax_lag = \"15m\"\nd");
    assert_eq!(lag(&with_checks(ODBC, &own)), SignedDuration::from_mins(15));
    let found = problems(&by_objective.replacen("max_lag = \"2h\"\n", "", 1));
    assert!(found[0].contains("`checks.max_lag`") && found[0].contains("[objectives]"), "{found:?}");
}

#[test]
fn snapshot_has_a_default_table_and_an_optional_view() {
    let snapshot = |keys: &str| {
        let pipeline = Pipeline::parse(&with_checks(ODBC, &format!("[snapshot]\n{keys}"))).unwrap();
        (pipeline.snapshot.clone().unwrap(), pipeline.to_string())
    };
    let (named, words) = snapshot("audit_log = \"ops.log\"\nhealth_view = \"ops.health\"\n");
    assert_eq!((named.audit_log.as_str(), named.health_view.as_deref()), ("ops.log", Some("ops.health")));
    assert!(
        words.contains("nightly snapshot: the runs and the figures of ops.health, written to ops.log"),
        "{words}"
    );
    let (plain, words) = snapshot("");
    assert_eq!((plain.audit_log.as_str(), plain.health_view), (DEFAULT_AUDIT_LOG, None));
    assert!(words.contains("no health_view"), "{words}");
    // The log of compared objects is beside the audit log, if there are objects.
    assert_eq!(named.reconciliation_log, None);
    let seed = include_str!("../../../infra/pipeline.toml")
        .replace("\"crm.sfdc_dbx.sync_audit_log\"", "\"ops.own.log\"");
    let snapshot = Pipeline::parse(&seed).unwrap().snapshot.unwrap();
    assert_eq!(snapshot.reconciliation_log.as_deref(), Some("ops.own.reconciliation_log"));
    let without = Pipeline::parse(&with_checks(ODBC, "")).unwrap();
    assert_eq!(without.snapshot, None);
    let words = without.to_string();
    assert!(
        words.contains("95% of the runs of seven days succeed, not checked: there is no [snapshot]"),
        "{words}"
    );
    assert!(words.contains("no nightly snapshot"), "{words}");
}

#[test]
fn mistakes_in_the_snapshot_name_line_key_and_remedy() {
    let bad = [
        "audit_log = \"a.b.c.d\"",
        "audit_log = \"\"",
        "health_view = \"a\\n; DROP TABLE b\"",
        "audit_log = \"ops.log\"\nhealth_view = \"ops.log\"",
        "audit_table = \"ops.log\"",
        "audit_log = 1",
    ];
    let first = with_checks(ODBC, "").lines().count();
    let mut found = String::new();
    for keys in bad {
        for problem in problems(&with_checks(ODBC, &format!("[snapshot]\n{keys}\n"))) {
            let (line, rest) = problem.strip_prefix("line ").unwrap().split_once(':').unwrap();
            found.push_str(&format!("+{}:{rest}\n", line.parse::<usize>().unwrap() - first));
        }
    }
    insta::assert_snapshot!(found);
}

const QUIET: &str = r#"[[quiet_days]]
name = "company holidays"
country = "US"
dates = ["2026-11-27", "2026-12-24/2027-01-01"]
yearly = ["07-05"]
syncs = ["properties-create"]
"#;

#[test]
fn quiet_days_are_read_and_described() {
    let pipeline = Pipeline::parse(&seed_and(QUIET)).unwrap();
    let line = "except on company holidays (public holidays of US, 2 dates, 1 day of each year) for properties-create";
    assert!(pipeline.to_string().contains(line), "{pipeline}");
    let [quiet] = &pipeline.quiet_days[..] else { panic!("{:?}", pipeline.quiet_days) };
    let of = |day| quiet.name_of("properties-create", day);
    use jiff::civil::date;
    for (day, name) in [
        (date(2026, 11, 26), Some("Thanksgiving Day")),
        (date(2026, 11, 27), Some("company holidays")),
        (date(2026, 12, 31), Some("company holidays")),
        (date(2027, 7, 5), Some("company holidays")),
        (date(2027, 1, 2), None),
    ] {
        assert_eq!(of(day), name, "{day}");
    }
}

#[test]
fn mistakes_in_quiet_days_name_line_key_and_remedy() {
    let bad = [
        ("name = \"a\"", "`quiet_days`: no day; add dates, yearly or country"),
        ("name = \"a\"\ndates = [\"tomorrow\"]", "`quiet_days.dates`: found \"tomorrow\"; use days such as"),
        (
            "name = \"a\"\ndates = [\"2027-01-01/2026-12-24\"]",
            "`quiet_days.dates`: found \"2027-01-01/2026-12-24\"",
        ),
        ("name = \"a\"\nyearly = [\"02-30\"]", "`quiet_days.yearly`: found \"02-30\"; use month and day"),
        (
            "name = \"a\"\ncountry = \"us\"",
            "`quiet_days.country`: no list of holidays of \"us\"; use dates or yearly, or use",
        ),
        ("name = \"a\"\nyearly = [\"05-01\"]\nsyncs = [\"x\"]", "`quiet_days.syncs`: no sync \"x\""),
    ];
    for (keys, expected) in bad {
        let found = problems(&seed_and(&format!("[[quiet_days]]\n{keys}\n")));
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
        assert!(found[0].starts_with("line "), "{found:?}");
    }
}

#[test]
fn near_miss_suggests_the_allowed_word() {
    let kind = &problems(&with_checks(ODBC, &ROWS.replace("row-count", "row-cuont")))[0];
    assert!(kind.ends_with("referential or custom-sql; did you mean \"row-count\"?"), "{kind}");
    let dialect = &problems(&with_checks("driver = \"odbc\"\ndialect = \"postgres\"", ""))[0];
    let hint =
        "found \"postgres\"; use \"postgresql\", \"sqlite\" or \"databricks\"; did you mean \"postgresql\"?";
    assert!(dialect.ends_with(hint), "{dialect}");
}

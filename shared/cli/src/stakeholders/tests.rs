use super::*;
use syncwatch::finding::{Check, Evidence, Severity};
use syncwatch::incident::{Acknowledged, Course};
use syncwatch::observation::{Counts, RunId};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-24T18:00:00Z")
}

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap()
}

fn run(status: RunStatus, completed_at: Option<&str>, counts: Counts) -> Run {
    Run {
        id: RunId(7),
        sync_id: None,
        status,
        created_at: at("2026-11-24T17:30:00Z"),
        completed_at: completed_at.map(at),
        scheduled_for: None,
        by_hand: None,
        counts,
        error: None,
        full_sync: None,
    }
}

fn incident(state: State) -> Incident {
    Incident {
        key: IncidentKey::parse("properties/run-failed/properties-create").unwrap(),
        generation: 1,
        version: 3,
        state,
        severity: Severity::Error,
        opened_at: at("2026-11-24T16:30:00Z"),
        resolved_at: (state == State::Resolved).then(|| at("2026-11-24T17:45:00Z")),
        evidence: Evidence::new("2 runs in a row failed: <b>Address__c</b> & others"),
        cause: "A field is gone".to_owned(),
        class: None,
        group: None,
        pending: None,
        hold: None,
        acknowledged: Some(Acknowledged {
            by: "Ada".to_owned(),
            at: at("2026-11-24T16:40:00Z"),
            until: at("2026-11-24T20:40:00Z"),
        }),
        course: Course::default(),
    }
}

fn known() -> Figures {
    let counts = Counts { updated: Some(1_200), failed: Some(3), ..Counts::default() };
    Figures {
        health: Ok(Health {
            total: 20_247,
            synced: 18_722,
            coverage_percent: Some(92.47),
            coverage_status: "good".to_owned(),
            to_create: 25,
            to_update: 0,
            null_companies: 0,
            duplicates: 0,
        }),
        open: Ok(Vec::new()),
        last_runs: vec![
            Ok(Some(run(RunStatus::Completed, Some("2026-11-24T17:34:00Z"), counts))),
            Ok(Some(run(RunStatus::Failed, None, Counts::default()))),
        ],
        incident: None,
    }
}

fn nothing_known() -> Figures {
    let why = || Error::plain("no answer\nin 60 s");
    Figures { health: Err(why()), open: Err(why()), last_runs: vec![Err(why()), Err(why())], incident: None }
}

fn about(incident: Result<Option<Incident>, Error>, figures: Figures) -> Figures {
    let key = IncidentKey::parse("properties/run-failed/properties-create").unwrap();
    Figures { incident: Some((key, incident)), ..figures }
}

fn text(kind: Kind, figures: &Figures) -> String {
    render(kind, figures, &pipeline(), now()).unwrap().text
}

#[test]
fn launch_notice_has_current_figures() {
    insta::assert_snapshot!(text(Kind::Launch, &known()), @r#"
    Subject: The pipeline properties is live and monitored

    The pipeline properties is live. Syncwatch checks it day and night: 2 syncs and 8 data checks.
    You get a notice when something fails, and another when it is resolved.

    Status at 2026-11-24 10:00 PST (2026-11-24 18:00 UTC)
      Coverage     92.47% (good, not excellent): 18,722 of 20,247 properties
      Waiting      25 to create, 0 to update
      Quality      0 without a company name, 0 with duplicates
      Open         0 incidents
      Last run     properties-create (creates records): completed 2026-11-24 17:34 UTC, 26m ago; 1,200 records accepted, 3 rejected
      Last run     properties-update (updates records): failed, started 2026-11-24 17:30 UTC, 30m ago; records not counted by Census

    Coverage from 95% is excellent, from 90% good, below 90% poor.

    Contacts
      Data operations (first responder): data-operations@example.com
      Revenue operations (owner of the Salesforce data): revenue-operations@example.com
    "#);
}

#[test]
fn incident_notice_has_problem_start_and_handler() {
    let open = Figures { open: Ok(vec![incident(State::Open)]), ..known() };
    let notice = text(Kind::Incident, &about(Ok(Some(incident(State::Open))), open.clone()));
    let before = notice.split("\n\nStatus at").next().unwrap();
    insta::assert_snapshot!(before, @"
    Subject: The data of properties may be late or wrong

    Problem         failed run of properties-create: 2 runs in a row failed: <b>Address__c</b> & others
    Severity        error
    Since           2026-11-24 08:30 PST (for 1h 30m)
    Likely cause    A field is gone
    Handled by      Ada
    Incident        properties/run-failed/properties-create
    ");
    let all = text(Kind::Incident, &open);
    assert!(all.contains("\n  [error] failed run of properties-create: 2 runs in a row"), "{all}");
}

#[test]
fn all_clear_has_the_time_of_resolution() {
    let notice = text(Kind::AllClear, &about(Ok(Some(incident(State::Resolved))), known()));
    let before = notice.split("\n\nStatus at").next().unwrap();
    insta::assert_snapshot!(before, @"
    Subject: Resolved: the properties pipeline is healthy again

    Problem         failed run of properties-create: 2 runs in a row failed: <b>Address__c</b> & others
    Since           2026-11-24 08:30 PST
    Resolved        2026-11-24 09:45 PST (after 1h 15m)
    Likely cause    A field is gone
    Incident        properties/run-failed/properties-create
    ");
    assert!(text(Kind::AllClear, &known()).contains("\nNo incidents are open.\n"));
}

#[test]
fn unavailable_figure_shows_its_reason_and_no_blank() {
    for figures in [nothing_known(), about(Err(Error::plain("the table is missing")), nothing_known())] {
        let notice = render(Kind::Incident, &figures, &pipeline(), now()).unwrap();
        let (_, html) = notice.html.split_once("</style>").unwrap();
        for form in [notice.text.as_str(), html] {
            assert!(form.matches("not available: no answer in 60 s").count() >= 5, "{form}");
            assert!(!form.contains("0%") && !form.contains("None") && !form.contains("undefined"), "{form}");
        }
        let blank =
            notice.text.lines().find(|line| line.trim_end().ends_with(':') || *line == "  Coverage     ");
        assert_eq!(blank, None, "{}", notice.text);
    }
    let about_one = text(Kind::Incident, &about(Err(Error::plain("the table is missing")), nothing_known()));
    assert!(about_one.contains("Severity        not available: the table is missing"), "{about_one}");
    let few = Figures { last_runs: Vec::new(), ..known() };
    assert!(
        text(Kind::Launch, &few)
            .contains("properties-create (creates records): not available: not looked up")
    );
}

#[test]
fn coverage_rating_comes_from_the_view() {
    for (share, status, expected) in [
        (Some(95.0), "excellent", "95% (excellent)"),
        // The view compares the exact share, which is below 95.
        (Some(95.0), "good", "95% (good, not excellent)"),
        (Some(12.5), "poor", "12.5% (poor)"),
        (None, "no data", "none (no data)"),
    ] {
        let health = known().health.map(|health| Health {
            coverage_percent: share,
            coverage_status: status.to_owned(),
            ..health
        });
        let notice = text(Kind::Launch, &Figures { health, ..known() });
        assert!(notice.contains(&format!("Coverage     {expected}: ")), "{notice}");
    }
}

#[test]
fn html_is_complete_and_escaped() {
    let open = Figures { open: Ok(vec![incident(State::Open)]), ..known() };
    for figures in [open.clone(), about(Ok(Some(incident(State::Open))), open)] {
        let html = render(Kind::Incident, &figures, &pipeline(), now()).unwrap().html;
        assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"), "{html}");
        assert!(html.contains("&lt;b&gt;Address__c&lt;&#x2f;b&gt; &amp; others"), "{html}");
        assert!(!html.contains("<b>") && !html.contains("{{") && !html.contains("{%"), "{html}");
        for tag in ["html", "head", "body", "table", "tr", "th", "td", "h1", "h2", "ul", "li", "p"] {
            let opened =
                html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}: {html}");
        }
    }
}

#[test]
fn false_and_unknown_claims_are_refused() {
    let open = || Figures { open: Ok(vec![incident(State::Open)]), ..known() };
    let of = |state| about(Ok(Some(incident(state))), open());
    let refused = |kind, figures: &Figures| match render(kind, figures, &pipeline(), now()) {
        Ok(_) => "rendered".to_owned(),
        Err(refusal) => refusal.to_string(),
    };
    let answers = [
        refused(Kind::Incident, &known()),
        refused(Kind::Incident, &of(State::Resolved)),
        refused(Kind::Incident, &of(State::Watching)),
        refused(Kind::Incident, &about(Ok(None), open())),
        refused(Kind::AllClear, &about(Ok(None), open())),
        refused(Kind::AllClear, &open()),
        refused(Kind::AllClear, &of(State::Open)),
        refused(Kind::AllClear, &of(State::Held)),
        refused(Kind::AllClear, &nothing_known()),
        refused(Kind::AllClear, &about(Err(Error::plain("no answer")), known())),
        refused(Kind::AllClear, &of(State::Resolved)),
        refused(Kind::AllClear, &about(Ok(Some(incident(State::Resolved))), nothing_known())),
        refused(Kind::AllClear, &about(Ok(Some(incident(State::Resolved))), known())),
        refused(Kind::Launch, &nothing_known()),
    ];
    insta::assert_snapshot!(answers.join("\n"), @"
    no incident is open, so there is nothing to announce
    properties/run-failed/properties-create is not open; `syncwatch incidents` lists open incidents
    properties/run-failed/properties-create is not open; `syncwatch incidents` lists open incidents
    unknown incident properties/run-failed/properties-create; `syncwatch incidents` lists open incidents
    unknown incident properties/run-failed/properties-create; `syncwatch incidents` lists open incidents
    no all-clear yet: properties/run-failed/properties-create still open; resolve the incidents first
    no all-clear yet: properties/run-failed/properties-create still open; resolve the incidents first
    no all-clear yet: properties/run-failed/properties-create still open; resolve the incidents first
    no all-clear: the incidents are unknown (no answer in 60 s)
    no all-clear: the incidents are unknown (no answer)
    no all-clear yet: properties/run-failed/properties-create still open; resolve the incidents first
    no all-clear: the incidents are unknown (no answer in 60 s)
    rendered
    no launch notice: monitoring is unconfirmed (no answer in 60 s)
    ");
}

#[test]
fn incident_notice_exists_for_every_check() {
    for check in Check::ALL {
        let mut incident = incident(State::Open);
        incident.key.check = *check;
        let figures = Figures { open: Ok(vec![incident]), ..known() };
        assert!(text(Kind::Incident, &figures).contains(check.title()), "{check}");
    }
}

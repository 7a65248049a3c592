use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::Mutex;
use std::time::Duration;

use syncwatch_lab::aws::Ministack;

use super::*;
use crate::drill::{Beat, Cause, Fix, Hurt, Level, Trouble};
use crate::play::{Answer, Played, play};
use crate::score::{Figures, Outcome, Performance, score};

/// The number of drills played at once: most of the time each waits for AWS, or for a Census that is down.
const AT_ONCE: usize = 5;

fn troubles(drill: &Drill) -> Vec<Trouble> {
    let trouble = |beat: &Beat| match beat {
        Beat::Inflict(trouble) => Some(*trouble),
        Beat::Past(_) | Beat::Guard | Beat::Live(_) | Beat::Brew(_) => None,
    };
    drill.beats.iter().filter_map(trouble).collect()
}

#[test]
fn drills_have_unique_names_and_cover_every_level_in_order() {
    let names: BTreeSet<&str> = DRILLS.iter().map(|drill| drill.name).collect();
    assert_eq!(names.len(), DRILLS.len());
    assert!(DRILLS.len() >= 10);
    let levels: Vec<Level> = DRILLS.iter().map(|drill| drill.level).collect();
    assert!(levels.is_sorted());
    let kinds: BTreeSet<Level> = levels.into_iter().collect();
    assert_eq!(kinds, [Level::Easy, Level::Medium, Level::Hard, Level::Nasty].into());
    for drill in DRILLS {
        assert!(find(drill.name).is_ok_and(|found| found.title == drill.title));
    }
    let error = find("no-such-drill").unwrap_err().to_string();
    assert!(DRILLS.iter().all(|drill| error.contains(drill.name)), "{error}");
}

#[test]
fn list_shows_every_drill_and_reveals_no_cause() {
    let list = list();
    assert_eq!(list.lines().count(), DRILLS.len());
    for (line, drill) in list.lines().zip(DRILLS) {
        assert!(line.contains(drill.name) && line.contains(drill.title), "{line}");
        assert!(line.contains(&drill.level.to_string()), "{line}");
        let shown = format!("{line} {}", drill.story);
        for cause in drill.causes {
            assert!(
                !shown.contains(cause.id()) && !shown.contains(cause.words()),
                "{} reveals {cause}",
                drill.name
            );
        }
    }
}

#[test]
fn required_steps_fix_every_fault_and_wrong_steps_fix_none() {
    for drill in DRILLS {
        let name = drill.name;
        let troubles = troubles(drill);
        assert!(!troubles.is_empty() && !drill.causes.is_empty() && !drill.hints.is_empty(), "{name}");
        for trouble in troubles {
            let by_remedy = trouble.has_remedy() && drill.fixes.contains(&Fix::ApproveRemedy);
            let is_fixed = by_remedy || drill.fixes.contains(&trouble.fixed_by());
            assert!(is_fixed, "{name}: no step fixes {trouble:?}");
        }
        assert!(!drill.wrong_fixes.is_empty(), "{name}: no wrong step");
        for wrong in drill.wrong_fixes {
            assert!(!drill.fixes.contains(&wrong.fix), "{name}: {} is right and wrong", wrong.fix);
        }
        assert!(drill.fixes.iter().all(|fix| !fix.is_never_right()), "{name}");
        let (causes, _) = drill.wrong();
        assert!(!causes.is_empty() && causes.iter().all(|cause| !drill.causes.contains(cause)), "{name}");
    }
}

#[test]
fn every_anchor_is_a_runbook_section_with_steps() {
    let sections = syncwatch::runbook::sections(syncwatch::runbook::TEXT);
    for drill in DRILLS {
        assert!(!drill.anchors.is_empty(), "{}", drill.name);
        for anchor in drill.anchors {
            let section = sections.iter().find(|section| section.anchor == *anchor);
            let section = section.unwrap_or_else(|| panic!("{}: no section {anchor}", drill.name));
            assert!(!section.steps.is_empty(), "{anchor} has no steps");
            assert!(model_answer(drill).contains(&format!("OPERATIONS_RUNBOOK.md#{anchor}")));
            assert!(model_answer(drill).contains(&format!(" --tried {anchor}")));
        }
    }
}

#[test]
fn training_notes_name_every_drill_and_no_unknown_one() {
    let notes = include_str!("../../../infra/runbook/TRAINING.md");
    let named: BTreeSet<&str> = notes
        .split("make drill NAME=")
        .skip(1)
        .map(|rest| rest.split(|letter: char| letter != '-' && !letter.is_ascii_lowercase()).next().unwrap())
        .collect();
    assert_eq!(named, DRILLS.iter().map(|drill| drill.name).collect());
    assert!(notes.contains("```mermaid\nflowchart"));
}

#[test]
fn every_id_is_one_word_and_parses_back() {
    for cause in Cause::ALL {
        assert_eq!(Cause::from_id(cause.id()), Some(*cause));
        assert!(cause.id().chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'));
    }
    for fix in Fix::ALL {
        assert_eq!(Fix::from_id(fix.id()), Some(*fix));
        assert!(fix.id().chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'));
    }
}

#[test]
fn typed_lines_are_parsed_and_errors_name_the_remedy() {
    for (line, request) in [
        ("help", Request::Help),
        (" ? ", Request::Help),
        ("causes", Request::Causes),
        ("fix", Request::Fixes),
        ("look sql SELECT 1", Request::Look("sql SELECT 1".to_owned())),
        ("wait 30m", Request::Wait(30)),
        ("wait 12h", Request::Wait(720)),
        ("cause names-view", Request::Diagnose(vec![Cause::NamesView])),
        ("cause names-view, create-view", Request::Diagnose(vec![Cause::NamesView, Cause::CreateView])),
        ("fix unique-key  merge-duplicates", Request::Apply(vec![Fix::UniqueKey, Fix::MergeDuplicates])),
        ("hint", Request::Hint),
        ("done", Request::Done),
        ("give-up", Request::GiveUp),
    ] {
        assert_eq!(Request::parse(line), Ok(request), "{line}");
    }
    for (line, hint) in [
        ("nonsense", "commands: look"),
        ("done now", "commands: look"),
        ("look", "look incidents"),
        ("cause view", "`causes` lists them"),
        ("fix names-view", "`fixes` lists them"),
        ("wait", "`wait 30m`"),
        ("wait 13h", "at most 12h"),
        ("wait 0m", "`wait 30m`"),
        ("wait -5m", "`wait 30m`"),
        ("wait 99999999999999999h", "`wait 30m`"),
    ] {
        let problem = Request::parse(line).unwrap_err();
        assert!(problem.contains(hint), "{line}: {problem}");
    }
}

fn healed() -> Outcome {
    Outcome { healed: true, ..Outcome::default() }
}

fn model(drill: &Drill) -> Performance {
    let (causes, fixes) = drill.model();
    Performance { causes, fixes, diagnosed_after: Some(Duration::from_secs(60)), ..Performance::default() }
}

#[test]
fn model_answer_within_par_time_earns_all_points() {
    for drill in DRILLS {
        let score = score(drill, &model(drill), &healed());
        assert!(score.passed && score.points == 100, "{}: {score}", drill.name);
    }
}

#[test]
fn incomplete_diagnosis_or_repair_does_not_pass() {
    let drill = find("nameless").unwrap();
    let good = || model(drill);
    let lost = Figures { names_lost: 3, ..Figures::default() };
    let open = vec!["null-count/company-names".to_owned()];
    for (why, performance, outcome) in [
        ("no diagnosis", Performance { causes: vec![], diagnosed_after: None, ..good() }, healed()),
        ("another cause", Performance { causes: vec![Cause::CopyStalled], ..good() }, healed()),
        (
            "one cause too many",
            Performance { causes: vec![Cause::NamesView, Cause::CopyStalled], ..good() },
            healed(),
        ),
        ("no step", Performance { fixes: vec![], ..good() }, healed()),
        ("one step of two", Performance { fixes: vec![Fix::RepairNamesView], ..good() }, healed()),
        (
            "a harmful step",
            Performance {
                fixes: vec![Fix::FullSyncUpdate, Fix::RepairNamesView, Fix::RestoreNames],
                ..good()
            },
            healed(),
        ),
        (
            "a step that is never right",
            Performance { fixes: vec![Fix::RepairNamesView, Fix::RestoreNames, Fix::SilenceAll], ..good() },
            healed(),
        ),
        ("a fault remains", good(), Outcome::default()),
        ("data are not repaired", good(), Outcome { left: lost, ..healed() }),
        ("an incident is open", good(), Outcome { open, ..healed() }),
        ("gave up", Performance { gave_up: true, ..good() }, healed()),
    ] {
        let score = score(drill, &performance, &outcome);
        assert!(!score.passed && score.points < 100, "{why}: {score}");
    }
}

#[test]
fn wrong_cause_or_harmful_step_beside_the_right_ones_fails() {
    for drill in DRILLS {
        let (wrong_causes, _) = drill.wrong();
        let performance = Performance { causes: wrong_causes.clone(), ..model(drill) };
        assert!(!score(drill, &performance, &healed()).passed, "{}: another cause", drill.name);
        let performance = Performance { causes: [drill.causes, &wrong_causes].concat(), ..model(drill) };
        assert!(!score(drill, &performance, &healed()).passed, "{}: one cause too many", drill.name);
        for wrong in drill.wrong_fixes {
            let mut performance = model(drill);
            performance.fixes.insert(0, wrong.fix);
            let score = score(drill, &performance, &healed());
            // A detour costs points, but does not fail the drill.
            let is_detour = wrong.hurt == Hurt::TimeLost && !wrong.fix.is_never_right();
            assert_eq!(score.passed, is_detour, "{}: {}", drill.name, wrong.fix);
            assert!(score.points < 100, "{}: {}", drill.name, wrong.fix);
        }
        for omitted in drill.fixes {
            let mut performance = model(drill);
            performance.fixes.retain(|fix| fix != omitted);
            assert!(!score(drill, &performance, &healed()).passed, "{}: without {omitted}", drill.name);
        }
    }
}

#[test]
fn harmless_extra_step_is_free_and_each_of_two_causes_is_half() {
    let drill = find("two-at-once").unwrap();
    let mut performance = model(drill);
    performance.fixes.push(Fix::RunUpdate);
    assert_eq!(score(drill, &performance, &healed()).points, 100);
    performance.causes.pop();
    // 17 of 35 for the cause, and no points for time, as the diagnosis is incomplete.
    assert_eq!(score(drill, &performance, &healed()).points, 17 + 35 + 15);
}

#[test]
fn time_points_fall_from_par_to_zero_at_three_times_par() {
    let drill = find("quiet-create").unwrap();
    for (seconds, points) in [(0, 100), (300, 100), (600, 93), (900, 85), (90_000, 85)] {
        let performance = Performance { diagnosed_after: Some(Duration::from_secs(seconds)), ..model(drill) };
        let score = score(drill, &performance, &healed());
        assert!(score.passed && score.points == points, "{seconds} s: {score}");
    }
}

#[test]
fn harm_hints_and_guesses_cost_points_and_are_listed() {
    let drill = find("twice").unwrap();
    for (harm, points) in [(0, 100), (60, 100), (61, 95), (200, 95), (201, 90), (500, 90), (501, 85)] {
        let harm = Figures { duplicated: harm, ..Figures::default() };
        assert_eq!(score(drill, &model(drill), &Outcome { harm, ..healed() }).points, points, "{harm}");
    }
    let performance = Performance { hints: 2, guesses: 1, ..model(drill) };
    let score = score(drill, &performance, &healed());
    assert_eq!((score.passed, score.points), (true, 85));
    assert!(score.to_string().contains("minus 15: hints 2, changed diagnoses 1, useless steps 0"), "{score}");
}

#[test]
fn figures_are_shown_in_words_and_the_worst_are_kept() {
    let (a, b) = (
        Figures { names_lost: 5, rejected: 1, ..Figures::default() },
        Figures { names_lost: 2, duplicated: 4, ..Figures::default() },
    );
    assert_eq!(a.worst(b), Figures { names_lost: 5, duplicated: 4, rejected: 1, ..Figures::default() });
    assert_eq!(b.since(a), Figures { duplicated: 4, ..Figures::default() });
    assert_eq!(a.to_string(), "5 names lost in Salesforce, 1 records rejected");
    assert_eq!(Figures::default().to_string(), "none");
    for hurt in [Hurt::NamesLost, Hurt::Duplicated, Hurt::Rewritten, Hurt::Rejected, Hurt::Suppressed] {
        assert!(!Figures::default().shows(hurt), "{hurt:?}");
    }
}

/// The violated expectations after an answer was played.
fn problems(drill: &Drill, answer: Answer, played: &Played) -> Vec<String> {
    let Played { subjects, webhooks, harm, outcome, score } = played;
    let mut problems = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            problems.push(format!("{} {answer:?}: {what}; mails: {subjects:#?}; {score}", drill.name));
        }
    };
    let ends = subjects.iter().filter(|subject| subject.starts_with("[RESOLVED]")).count();
    must(subjects.len() > ends, "no alert was sent".to_owned());
    match answer {
        Answer::Model => {
            must(score.passed, "the model answer does not pass".to_owned());
            must(outcome.open.is_empty() && outcome.healed, format!("not healed: {outcome:?}"));
            must(ends > 0, "no recovery was sent".to_owned());
            must((*webhooks > 0) == drill.webhooks, format!("{webhooks} webhooks arrived"));
        }
        Answer::Wrong => {
            must(!score.passed, "a wrong answer passes".to_owned());
            must(!outcome.healed, "a wrong answer heals the lab".to_owned());
            for wrong in drill.wrong_fixes {
                let done = harm.iter().find(|(fix, _)| *fix == wrong.fix).map(|(_, harm)| *harm);
                must(
                    done.is_some_and(|done| done.shows(wrong.hurt)),
                    format!("{} should do {:?}, but did {done:?}", wrong.fix, wrong.hurt),
                );
            }
        }
    }
    problems
}

/// Plays the remaining drills one after the other, on a runtime of this thread.
fn play_on(aws: &Ministack, left: &Mutex<Vec<(&Drill, Answer)>>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let next = || left.lock().unwrap().pop();
    let mut found = Vec::new();
    while let Some((drill, answer)) = next() {
        let suffix = format!("{}-{answer:?}", drill.name).to_lowercase();
        match runtime.block_on(play(aws, &suffix, drill, answer)) {
            Ok(played) => found.extend(problems(drill, answer, &played)),
            Err(error) => found.push(format!("{} {answer:?}: {error:#}", drill.name)),
        }
    }
    found
}

#[test]
fn every_model_answer_passes_and_no_wrong_answer_does() {
    let start = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let aws = start.block_on(Ministack::start()).unwrap();
    let mut plays: Vec<(&Drill, Answer)> = DRILLS
        .iter()
        .flat_map(|drill| [Answer::Model, Answer::Wrong].map(|answer| (drill, answer)))
        .collect();
    // Taken from the end. While Census is down each round retries for long, so these drills start first.
    plays.sort_by_key(|(drill, _)| troubles(drill).contains(&Trouble::CensusDown));
    let plays = Mutex::new(plays);
    let problems: Vec<String> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| play_on(&aws, &plays))).collect();
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// Types lines into a drill, each after `seconds` of thought; returns the output, and whether it passed with which points.
async fn typed(aws: &Ministack, suffix: &str, name: &str, lines: &str, seconds: u64) -> (String, bool, u32) {
    let mut session = Session::begin(aws, suffix, find(name).unwrap()).await.unwrap();
    let (mut said, lines_typed) = (Vec::new(), std::cell::Cell::new(0));
    let elapsed = || {
        lines_typed.set(lines_typed.get() + 1);
        Duration::from_secs(seconds * lines_typed.get())
    };
    converse(&mut session, Cursor::new(lines), &mut said, elapsed).await.unwrap();
    let score = session.score().unwrap();
    (String::from_utf8(said).unwrap(), score.passed, score.points)
}

#[tokio::test(flavor = "multi_thread")]
async fn trainee_uses_the_real_tools_and_is_scored_by_the_outcome() {
    let aws = Ministack::start().await.unwrap();
    let lines = "\
        nonsense\n\
        help\n\
        look incidents\n\
        look explain sync-paused\n\
        look explain nothing\n\
        look census syncs/3394022\n\
        look sql SELECT coverage_status, create_queue_count FROM crm.sfdc_dbx.daily_health_check\n\
        look sql DELETE FROM crm.rds.properties\n\
        look validate create-queue\n\
        look config\n\
        look webhook\n\
        look addresses\n\
        hint\n\
        cause census-down\n\
        cause sync-paused\n\
        wait 30m\n\
        fix resume-create\n\
        done\n\
        never read\n";
    let (said, passed, points) = typed(&aws, "typed", "quiet-create", lines, 20).await;
    for part in [
        "MAIL  [ERROR] properties-create: paused",
        "commands: look",
        "look sql SELECT",
        "properties/sync-paused/properties-create",
        "a pause is often part of a repair in progress",
        "the runbook has no section `nothing`",
        "\"paused\": true",
        "coverage_status | create_queue_count\nexcellent | ",
        "may only read",
        "create-queue",
        "properties-update",
        "no webhook is registered",
        "curl -sS",
        "The subject of the mail names it.",
        "Done: resume the create sync in Census.",
        "MAIL  [RESOLVED] properties-create: ",
        "PASSED: ",
        "The model answer:",
        "OPERATIONS_RUNBOOK.md#sync-paused",
    ] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    assert!(!said.contains("never read"));
    // A hint and a guess cost five each; fifteen lines at 20 s are five minutes, which is par.
    assert_eq!((passed, points), (true, 90), "{said}");

    let lines = "cause key-not-unique sync-paused\nfix resume-create\nwait 1h\nfix merge-duplicates\ndone\n";
    let (said, passed, _) = typed(&aws, "hasty", "a-reason", lines, 0).await;
    assert!(
        !passed && said.contains("a fault is not fixed") && said.contains("records created twice"),
        "{said}"
    );

    // The end of input counts as `give-up`.
    let (said, passed, points) = typed(&aws, "gone", "quiet-create", "hint\n", 0).await;
    assert!(said.contains("The model answer:") && (passed, points) == (false, 0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forecast_drill_shows_date_figure_and_what_is_missing() {
    let aws = Ministack::start().await.unwrap();
    let lines = "\
        look notices\n\
        look expectations\n\
        look explain breach-forecast\n\
        look validate properties-coverage\n\
        look sql SELECT COUNT(*) AS nameless FROM crm.rds.properties WHERE company_name IS NULL\n";
    let (said, passed, _) = typed(&aws, "dated", "not-yet", lines, 0).await;
    for part in [
        "MAIL  [WARNING] properties: coverage falls under 95% between ",
        "MAIL  [WARNING] properties: 9",
        "most likely",
        "Coverage of properties is lower than it was",
        "Find what changed when the trend began",
        "healthy",
        "nameless\n25",
    ] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    assert!(!passed && !said.contains("MAIL  [ERROR]"), "{said}");
}

#[test]
fn nightly_times_are_read_from_a_daily_schedule_only() {
    let at = |hour, minute| jiff::civil::time(hour, minute, 0, 0);
    assert_eq!(crate::scene::times("cron(59 23,1 * * ? *)").unwrap(), [at(23, 59), at(1, 59)]);
    assert_eq!(crate::scene::times("cron(0 3 * * ? *)").unwrap(), [at(3, 0)]);
    for other in ["rate(2 minutes)", "cron(0)", "cron(0 * * * ? *)"] {
        assert!(crate::scene::times(other).is_err(), "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nightly_guards_find_what_no_check_sees() {
    let aws = Ministack::start().await.unwrap();
    let lines = "\
        look incidents\n\
        look reconcile --explain\n\
        look baseline\n\
        cause times-view\n\
        fix repair-update-view\n\
        done\n";
    let (said, passed, points) = typed(&aws, "silent-view", "since-friday", lines, 0).await;
    let mails = ["MAIL  [WARNING] crm.sfdc_dbx.properties_to_update: ", "MAIL  [ERROR] properties: "];
    let parts = ["a view that compares times never selects it", "differs from its file", "last_modified"];
    for part in mails.iter().chain(&parts) {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    assert!((passed, points) == (true, 100), "{said}");

    let lines = "look reconcile --explain\ncause hand-edit\nfix touch-source\ndone\n";
    let (said, passed, points) = typed(&aws, "silent-edit", "unknown-owner", lines, 0).await;
    assert!(said.contains("changed in the destination by another user"), "{said}");
    assert!(said.contains(mails[1]) && !said.contains(mails[0]), "{said}");
    assert!((passed, points) == (true, 100), "{said}");
}

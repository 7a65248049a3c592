use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::Mutex;
use std::time::Duration;

use syncwatch_cli::runbook;
use syncwatch_lab::aws::Ministack;

use super::*;
use crate::drill::{Beat, Cause, Fix, Hurt, Level, Trouble};
use crate::play::{Answer, Played, play};
use crate::score::{Figures, Outcome, Performance, score};

/// How many drills are played at the same time: most of the time each waits for AWS, or for a Census that is down.
const AT_ONCE: usize = 5;

fn troubles(drill: &Drill) -> Vec<Trouble> {
    let trouble = |beat: &Beat| match beat {
        Beat::Inflict(trouble) => Some(*trouble),
        Beat::Live(_) | Beat::Brew(_) => None,
    };
    drill.beats.iter().filter_map(trouble).collect()
}

#[test]
fn there_are_drills_of_every_level_from_easy_to_nasty_and_each_has_a_name_of_its_own() {
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
fn the_list_is_the_table_and_gives_no_cause_away() {
    let list = list();
    assert_eq!(list.lines().count(), DRILLS.len());
    for (line, drill) in list.lines().zip(DRILLS) {
        assert!(line.contains(drill.name) && line.contains(drill.title), "{line}");
        assert!(line.contains(&drill.level.to_string()), "{line}");
        let told = format!("{line} {}", drill.story);
        for cause in drill.causes {
            assert!(
                !told.contains(cause.id()) && !told.contains(cause.words()),
                "{} tells {cause}",
                drill.name
            );
        }
    }
}

#[test]
fn the_steps_of_each_drill_mend_all_that_goes_wrong_in_it_and_no_wrong_step_does() {
    for drill in DRILLS {
        let name = drill.name;
        let troubles = troubles(drill);
        assert!(!troubles.is_empty() && !drill.causes.is_empty() && !drill.hints.is_empty(), "{name}");
        for trouble in troubles {
            assert!(drill.fixes.contains(&trouble.mended_by()), "{name}: nothing mends {trouble:?}");
        }
        assert!(!drill.wrong_fixes.is_empty(), "{name}: nothing can be done wrong");
        for wrong in drill.wrong_fixes {
            assert!(!drill.fixes.contains(&wrong.fix), "{name}: {} is right and wrong", wrong.fix);
        }
        assert!(drill.fixes.iter().all(|fix| !fix.is_never_right()), "{name}");
        let (causes, _) = drill.wrong();
        assert!(!causes.is_empty() && causes.iter().all(|cause| !drill.causes.contains(cause)), "{name}");
    }
}

#[test]
fn every_anchor_is_a_section_of_the_runbook_that_says_what_to_do() {
    let sections = runbook::sections(runbook::TEXT);
    for drill in DRILLS {
        assert!(!drill.anchors.is_empty(), "{}", drill.name);
        for anchor in drill.anchors {
            let section = sections.iter().find(|section| section.anchor == *anchor);
            let section = section.unwrap_or_else(|| panic!("{}: no section {anchor}", drill.name));
            assert!(!section.steps.is_empty(), "{anchor} says nothing to do");
            assert!(model_answer(drill).contains(&format!("OPERATIONS_RUNBOOK.md#{anchor}")));
        }
    }
}

#[test]
fn the_training_notes_name_every_drill_and_none_that_is_not_there() {
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
fn every_id_is_read_back_and_is_one_word() {
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
fn lines_are_read_as_they_are_typed_and_what_is_wrong_is_told_with_the_remedy() {
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
    for (line, says) in [
        ("nonsense", "none of: look"),
        ("done now", "none of: look"),
        ("look", "look incidents"),
        ("cause view", "`causes` lists them"),
        ("fix names-view", "`fixes` lists them"),
        ("wait", "`wait 30m`"),
        ("wait 13h", "up to 12 h"),
        ("wait 0m", "`wait 30m`"),
        ("wait -5m", "`wait 30m`"),
        ("wait 99999999999999999h", "`wait 30m`"),
    ] {
        let problem = Request::parse(line).unwrap_err();
        assert!(problem.contains(says), "{line}: {problem}");
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
fn the_model_answer_in_par_time_has_all_points() {
    for drill in DRILLS {
        let score = score(drill, &model(drill), &healed());
        assert!(score.passed && score.points == 100, "{}: {score}", drill.name);
    }
}

#[test]
fn nobody_passes_who_did_not_understand_it_or_did_not_mend_it() {
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
        ("one step of two", Performance { fixes: vec![Fix::MendNamesView], ..good() }, healed()),
        (
            "a step that does harm",
            Performance { fixes: vec![Fix::FullSyncUpdate, Fix::MendNamesView, Fix::RestoreNames], ..good() },
            healed(),
        ),
        (
            "a step that is right nowhere",
            Performance { fixes: vec![Fix::MendNamesView, Fix::RestoreNames, Fix::SilenceAll], ..good() },
            healed(),
        ),
        ("it goes on", good(), Outcome::default()),
        ("data are left spoiled", good(), Outcome { left: lost, ..healed() }),
        ("an incident is open", good(), Outcome { open, ..healed() }),
        ("gave up", Performance { gave_up: true, ..good() }, healed()),
    ] {
        let score = score(drill, &performance, &outcome);
        assert!(!score.passed && score.points < 100, "{why}: {score}");
    }
}

#[test]
fn in_no_drill_a_wrong_cause_or_a_step_that_does_harm_passes_beside_the_right_ones() {
    for drill in DRILLS {
        let (wrong_causes, _) = drill.wrong();
        let performance = Performance { causes: wrong_causes.clone(), ..model(drill) };
        assert!(!score(drill, &performance, &healed()).passed, "{}: another cause", drill.name);
        let performance = Performance { causes: [drill.causes, &wrong_causes].concat(), ..model(drill) };
        assert!(!score(drill, &performance, &healed()).passed, "{}: one cause more", drill.name);
        for wrong in drill.wrong_fixes {
            let mut performance = model(drill);
            performance.fixes.insert(0, wrong.fix);
            let score = score(drill, &performance, &healed());
            // A detour costs points; who comes back from it may pass.
            let is_detour = wrong.hurt == Hurt::TimeLost && !wrong.fix.is_never_right();
            assert_eq!(score.passed, is_detour, "{}: {}", drill.name, wrong.fix);
            assert!(score.points < 100, "{}: {}", drill.name, wrong.fix);
        }
        for left_out in drill.fixes {
            let mut performance = model(drill);
            performance.fixes.retain(|fix| fix != left_out);
            assert!(!score(drill, &performance, &healed()).passed, "{}: without {left_out}", drill.name);
        }
    }
}

#[test]
fn what_is_of_no_use_and_does_no_harm_costs_nothing_and_two_causes_are_half_each() {
    let drill = find("two-at-once").unwrap();
    let mut performance = model(drill);
    performance.fixes.push(Fix::RunUpdate);
    assert_eq!(score(drill, &performance, &healed()).points, 100);
    performance.causes.pop();
    // 17 of 35 for the cause, and no points for the time of a diagnosis that is incomplete.
    assert_eq!(score(drill, &performance, &healed()).points, 17 + 35 + 15);
}

#[test]
fn time_costs_points_beyond_par_and_all_of_them_at_three_times_par() {
    let drill = find("quiet-create").unwrap();
    for (seconds, points) in [(0, 100), (300, 100), (600, 93), (900, 85), (90_000, 85)] {
        let performance = Performance { diagnosed_after: Some(Duration::from_secs(seconds)), ..model(drill) };
        let score = score(drill, &performance, &healed());
        assert!(score.passed && score.points == points, "{seconds} s: {score}");
    }
}

#[test]
fn harm_hints_and_guesses_cost_points_and_the_score_says_for_what() {
    let drill = find("twice").unwrap();
    for (harm, points) in [(0, 100), (60, 100), (61, 95), (200, 95), (201, 90), (500, 90), (501, 85)] {
        let harm = Figures { duplicated: harm, ..Figures::default() };
        assert_eq!(score(drill, &model(drill), &Outcome { harm, ..healed() }).points, points, "{harm}");
    }
    let performance = Performance { hints: 2, guesses: 1, ..model(drill) };
    let score = score(drill, &performance, &healed());
    assert_eq!((score.passed, score.points), (true, 85));
    assert!(
        score.to_string().contains("less 15: hints 2, diagnoses taken back 1, steps of no use 0"),
        "{score}"
    );
}

#[test]
fn figures_are_told_in_words_and_the_worst_of_them_is_kept() {
    let (a, b) = (
        Figures { names_lost: 5, rejected: 1, ..Figures::default() },
        Figures { names_lost: 2, duplicated: 4, ..Figures::default() },
    );
    assert_eq!(a.worst(b), Figures { names_lost: 5, duplicated: 4, rejected: 1, ..Figures::default() });
    assert_eq!(b.since(a), Figures { duplicated: 4, ..Figures::default() });
    assert_eq!(a.to_string(), "5 names lost in Salesforce, 1 records refused");
    assert_eq!(Figures::default().to_string(), "none");
    for hurt in [Hurt::NamesLost, Hurt::Duplicated, Hurt::Rewritten, Hurt::Rejected, Hurt::Unheard] {
        assert!(!Figures::default().shows(hurt), "{hurt:?}");
    }
}

/// What is not as it must be after an answer was played.
fn problems(drill: &Drill, answer: Answer, played: &Played) -> Vec<String> {
    let Played { told, webhooks, harm, outcome, score } = played;
    let mut problems = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            problems.push(format!("{} {answer:?}: {what}; told: {told:#?}; {score}", drill.name));
        }
    };
    let ends = told.iter().filter(|subject| subject.starts_with("[resolved]")).count();
    must(told.len() > ends, "nobody is told of it".to_owned());
    match answer {
        Answer::Model => {
            must(score.passed, "the model answer does not pass".to_owned());
            must(outcome.open.is_empty() && outcome.healed, format!("not healed: {outcome:?}"));
            must(ends > 0, "nobody is told that it is over".to_owned());
            must((*webhooks > 0) == drill.webhooks, format!("{webhooks} webhooks came"));
        }
        Answer::Wrong => {
            must(!score.passed, "a wrong answer passes".to_owned());
            must(!outcome.healed, "a wrong answer heals the lab".to_owned());
            for wrong in drill.wrong_fixes {
                let done = harm.iter().find(|(fix, _)| *fix == wrong.fix).map(|(_, harm)| *harm);
                must(
                    done.is_some_and(|done| done.shows(wrong.hurt)),
                    format!("{} ought to do {:?}, and did {done:?}", wrong.fix, wrong.hurt),
                );
            }
        }
    }
    problems
}

/// Plays what is left to be played, one after the other, on a runtime of this thread's own.
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
fn each_model_answer_heals_the_lab_and_resolves_its_incidents_and_no_wrong_answer_passes() {
    let start = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let aws = start.block_on(Ministack::start()).unwrap();
    let mut plays: Vec<(&Drill, Answer)> = DRILLS
        .iter()
        .flat_map(|drill| [Answer::Model, Answer::Wrong].map(|answer| (drill, answer)))
        .collect();
    // The last ones are taken first. While Census is down each round asks again and again, so these are the longest.
    plays.sort_by_key(|(drill, _)| troubles(drill).contains(&Trouble::CensusDown));
    let plays = Mutex::new(plays);
    let problems: Vec<String> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| play_on(&aws, &plays))).collect();
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// Types lines into a drill, each after so many seconds of thought; what is said.
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
async fn a_trainee_gets_the_real_mail_looks_with_the_real_tools_and_is_scored_by_what_became_of_the_lab() {
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
        "MAIL  [error] properties-create: pause",
        "is none of: look",
        "look sql SELECT",
        "properties/sync-paused/properties-create",
        "a pause is often somebody's repair in progress",
        "the runbook has no section `nothing`",
        "\"paused\": true",
        "coverage_status | create_queue_count\nexcellent | ",
        "may only read",
        "create-queue",
        "properties-update",
        "no webhook is registered",
        "curl -sS",
        "The subject of the mail says it.",
        "Done: resume the create sync in Census.",
        "MAIL  [resolved] properties-create: pause",
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
    assert!(!passed && said.contains("still goes wrong") && said.contains("records created twice"), "{said}");

    // No more lines: that is to give up.
    let (said, passed, points) = typed(&aws, "gone", "quiet-create", "hint\n", 0).await;
    assert!(said.contains("The model answer:") && (passed, points) == (false, 0), "{said}");
}

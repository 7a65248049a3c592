//! The outside yardstick: NAB v1.1, the Numenta Anomaly Benchmark, with the novelty rule as detector.
//!
//! Its data is not in this repository: clone numenta/NAB first.

mod corpus;
mod scorer;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;
use syncwatch::expect::{novelty, once};

use crate::goals::Goals;
use corpus::Series;
use scorer::{Board, Outcome, PROFILES, Profile};

/// p < 1/100, as the rule scores -log10 p.
const FIXED_LIMIT: f64 = 2.0;
/// Published scores are repeated to so many points.
const SAME: f64 = 0.005;

/// Scores the novelty rule, and the detectors whose scores are published if asked to.
pub(crate) fn run(folder: &Path, check_published: bool) -> Result<Goals> {
    let corpus = corpus::read(folder)?;
    let rows: usize = corpus.iter().map(|series| series.values.len()).sum();
    println!("NAB v1.1: {} files, {rows} rows, {} windows\n", corpus.len(), corpus::WINDOWS);
    let scores: Vec<Vec<f64>> = corpus.iter().map(|series| once(&novelty(&series.values))).collect();
    let mut goals = Goals::default();
    println!("| novelty rule | profile | score | threshold | windows found | false alarms |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for profile in PROFILES {
        let mut board = board(profile, &corpus, &scores);
        let best = board.best().context("no row to score")?;
        let fixed = board.above(FIXED_LIMIT).context("no row to score")?;
        row("best threshold", profile, &best);
        row("p < 1/100", profile, &fixed);
        if profile.name == "standard" {
            goals.at_least("NAB standard, best threshold", best.normalized, 62.0);
            goals.at_least("NAB standard, p < 1/100", fixed.normalized, 61.0);
        }
    }
    if check_published {
        published(folder, &corpus, &mut goals)?;
    }
    Ok(goals)
}

fn row(name: &str, profile: Profile, outcome: &Outcome) {
    println!(
        "| {name} | {} | {:.2} | {:.4} | {} | {} |",
        profile.name, outcome.normalized, outcome.threshold, outcome.windows_found, outcome.false_alarms
    );
}

fn board(profile: Profile, corpus: &[Series], scores: &[Vec<f64>]) -> Board {
    let mut board = Board::new(profile);
    for (series, scores) in corpus.iter().zip(scores) {
        board.add(scores, &series.windows);
    }
    board
}

/// Scores the detectors whose scores are in the repository, and compares with its published results.
fn published(folder: &Path, corpus: &[Series], goals: &mut Goals) -> Result<()> {
    let text = fs::read_to_string(folder.join("results/final_results.json"))
        .context("cannot read the published results")?;
    let results: Value = serde_json::from_str(&text).context("the published results are not JSON")?;
    let text = fs::read_to_string(folder.join("config/thresholds.json"))
        .context("cannot read the published thresholds")?;
    let thresholds: Value = serde_json::from_str(&text).context("the published thresholds are not JSON")?;
    println!("\n| detector | profile | published | here, published threshold | here, best threshold |");
    println!("| --- | --- | --- | --- | --- |");
    let (mut same, mut all) = (0, 0);
    for (detector, published) in results.as_object().into_iter().flatten() {
        let scores: Result<Vec<Vec<f64>>> =
            corpus.iter().map(|series| corpus::published(folder, detector, &series.name)).collect();
        let Ok(scores) = scores else {
            println!("| {detector} | | | | its scores are not complete |");
            continue;
        };
        for profile in PROFILES {
            let published = published.get(profile.name).and_then(Value::as_f64).unwrap_or(f64::NAN);
            let threshold = thresholds.pointer(&format!("/{detector}/{}/threshold", profile.name));
            let threshold = threshold.and_then(Value::as_f64).unwrap_or(f64::INFINITY);
            let mut board = board(profile, corpus, &scores);
            let best = board.best().context("no row to score")?.normalized;
            let here = board.from(threshold).context("no row to score")?.normalized;
            println!("| {detector} | {} | {published:.2} | {here:.2} | {best:.2} |", profile.name);
            same += usize::from((here - published).abs() < SAME);
            all += 1;
        }
    }
    println!("\n{same} of {all} published scores repeated to the second decimal at their thresholds");
    goals.at_least("published scores repeated", same as f64, 21.0);
    Ok(())
}

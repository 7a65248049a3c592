//! Judges data checks by the figures of their statements. Pure: no I/O and no clock, and never fails.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::classify::identifier;
use crate::data_checks::{Asked, AskedFilter, DataCheck, Measure, Rule, Scan, latest_credible};
use crate::figure::{Figure, Value};
use crate::finding::{About, Check, Evidence, Finding, Outcome, Severity, WAREHOUSE, WhyNot};
use crate::pipeline::Pipeline;
use crate::sql::{self, Answer, Error, ErrorKind, Row};
use crate::text::{self, bounded, counted, grouped, plain_line, rounded, spaced, words};

/// The figure that shows some duplicate keys.
pub const SAMPLED: &str = "sample keys";
/// The longest key that is shown, with the mark of a cut.
const KEY_CHARS: usize = 41;
/// The most failed statements, or columns, that are named.
const NAMED: usize = 5;
/// The figure with the time of the oldest change that has not arrived.
const UNDELIVERED: &str = "oldest undelivered change";
/// The figure that shows that timestamps in the future were ignored.
const COUNTED_UNTIL: &str = "latest timestamp that counts";
/// The figure that counts syncs of a copy that are dated in the future.
const COPY_AHEAD: &str = "copy syncs dated in the future";

/// One figure of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    Null,
    Count(i64),
    Instant(Timestamp),
    Number(f64),
}

/// The figures of an answer, by column. One that cannot be read leaves the others valid.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures(pub HashMap<String, Result<Reading, Error>>);

/// A reason why checks could not be judged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// The warehouse could not be queried: no credentials, or invalid settings. Holds the reason.
    #[error("{0}")]
    Closed(String),
    /// A statement failed, or its answer cannot be read.
    #[error(transparent)]
    Failed(Error),
}

/// The freshness checks that judge the lag promised by `objectives.max_lag`, and none of their own.
fn of_promised_lag(pipeline: &Pipeline) -> impl Iterator<Item = &DataCheck> {
    let promised = pipeline.objectives.max_lag;
    let is_promised =
        move |rule: &Rule| matches!(rule, Rule::Freshness { max_lag, .. } if Some(*max_lag) == promised);
    pipeline.checks.iter().filter(move |check| is_promised(&check.rule))
}

/// Returns whether a data check measures the lag from the source to the destination.
pub fn measures_lag(pipeline: &Pipeline) -> bool {
    of_promised_lag(pipeline).next().is_some()
}

/// Returns how long the oldest undelivered change has been waiting; zero if none is, `None` unless every check that measures
/// lag was evaluated and saw all changes.
pub fn lag(pipeline: &Pipeline, findings: &[Finding], now: Timestamp) -> Option<SignedDuration> {
    let waits = |check: &DataCheck| {
        let of_check = |found: &&Finding| found.check == Check::Freshness && found.subject == check.name;
        let (Outcome::Healthy { evidence } | Outcome::Unhealthy { evidence, .. }) =
            &findings.iter().find(of_check)?.outcome
        else {
            return None;
        };
        let value = |name: &str| {
            evidence.figures.iter().find(|figure| figure.name == name).map(|figure| &figure.value)
        };
        match (value(COUNTED_UNTIL), value(UNDELIVERED)) {
            (None, Some(Value::Instant(since))) => Some(now.duration_since(*since).max(SignedDuration::ZERO)),
            (None, None) => Some(SignedDuration::ZERO),
            _ => None,
        }
    };
    let all: Option<Vec<SignedDuration>> = of_promised_lag(pipeline).map(waits).collect();
    all?.into_iter().max()
}

/// Judges every check of a statement by its answer.
///
/// * answered                                                       => each check by its figures
/// * the warehouse cannot be reached, refuses us, or takes too long => blocked by `warehouse-reachable`
/// * the statement fails otherwise                                  => the first check is unreadable and blocks the rest
pub fn judge(scan: &Scan<'_>, answer: &Result<Answer, Error>, now: Timestamp) -> Vec<Finding> {
    match answer {
        Ok(answer) => judge_figures(scan, &read(scan, answer), now),
        Err(error) if is_down(error) => unasked(scan),
        Err(error) => {
            let mut findings = scan.asked.iter().flat_map(judged);
            let (Some(first), Some(asked)) = (findings.next(), scan.asked.first()) else { return Vec::new() };
            let under = || WhyNot::under(first.check, &asked.check.name);
            std::iter::once(first.unreadable(error.to_string()))
                .chain(findings.map(|about| about.not_evaluated(under())))
                .collect()
        }
    }
}

/// Findings of the checks of a statement that was not sent, as the warehouse does not answer.
pub fn unasked(scan: &Scan<'_>) -> Vec<Finding> {
    let under = || WhyNot::under(Check::WarehouseReachable, WAREHOUSE);
    scan.asked.iter().flat_map(judged).map(|about| about.not_evaluated(under())).collect()
}

/// The findings of a check, in order: of itself, and of its filters if it has any.
fn judged<'c>(asked: &Asked<'c>) -> impl Iterator<Item = About<'c>> + use<'c> {
    let filter = (!asked.filters.is_empty()).then(|| about_filter(asked.check));
    std::iter::once(about(asked.check)).chain(filter)
}

/// Returns why checks of an answer could not be judged.
pub fn troubles(scan: &Scan<'_>, answer: &Result<Answer, Error>) -> Vec<Trouble> {
    match answer {
        Err(error) => vec![Trouble::Failed(error.clone())],
        Ok(answer) => {
            let figures = read(scan, answer);
            let named = scan.columns.iter().filter_map(|column| figures.0.get(&column.name));
            // One for each statement: the others most likely have the same cause.
            named.filter_map(|figure| figure.as_ref().err()).take(1).cloned().map(Trouble::Failed).collect()
        }
    }
}

fn read(scan: &Scan<'_>, answer: &Answer) -> Figures {
    let row = answer.only_row();
    let figure = |name: &str, measure: Measure| {
        let row = row.as_ref().map_err(Error::clone)?;
        read_one(row, scan, name, measure).map_err(|error| of_a_check(error, scan, name))
    };
    let columns = scan.columns.iter();
    Figures(columns.map(|column| (column.name.clone(), figure(&column.name, column.measure))).collect())
}

/// Names the check in an error instead of the statement's column, which people do not know.
fn of_a_check(error: Error, scan: &Scan<'_>, name: &str) -> Error {
    let asks = |asked: &&Asked<'_>| asked.columns.iter().any(|column| column == name);
    match (error.kind, scan.asked.iter().find(asks)) {
        (ErrorKind::WrongType { column, expected, found }, Some(Asked { check, .. })) => {
            let column = format!("{column} of the answer");
            let statement = format!("check {} of {}", check.name, check.table);
            ErrorKind::WrongType { column, expected, found }.of(&statement)
        }
        (kind, _) => Error { kind, ..error },
    }
}

fn read_one(row: &Row<'_>, scan: &Scan<'_>, name: &str, measure: Measure) -> Result<Reading, Error> {
    let reading = match measure {
        Measure::Count => row.get::<Option<i64>>(name)?.map(Reading::Count),
        Measure::Instant => row.get::<Option<Timestamp>>(name)?.map(Reading::Instant),
        Measure::Number => {
            let other = |expected, found: String| {
                ErrorKind::NotTheForm { expected, found }.of(scan.statement.label())
            };
            let [value] = row.values() else {
                return Err(other("one column", format!("{} columns", row.values().len())));
            };
            match value {
                sql::Value::Null => None,
                #[expect(clippy::cast_precision_loss, reason = "limits are compared, not kept")]
                sql::Value::Integer(number) => Some(*number as f64),
                // A sum or a quotient may be `-0`; adding 0 makes it 0.
                sql::Value::Double(number) if number.is_finite() => Some(*number + 0.0),
                sql::Value::Double(number) => return Err(other("a finite number", number.to_string())),
                sql::Value::Decimal(number) if let Ok(number) = number.as_str().parse::<f64>() => {
                    Some(number + 0.0)
                }
                value => return Err(other("a number", value.type_name().to_owned())),
            }
            .map(Reading::Number)
        }
    };
    Ok(reading.unwrap_or(Reading::Null))
}

pub(crate) fn judge_figures(scan: &Scan<'_>, figures: &Figures, now: Timestamp) -> Vec<Finding> {
    let judge = |asked| {
        let judgement = ScanJudgement { asked, figures, now };
        let filters = (!asked.filters.is_empty()).then(|| judgement.filters());
        std::iter::once(judge_one(&judgement, filters.as_ref())).chain(filters)
    };
    scan.asked.iter().flat_map(judge).collect()
}

/// Judges a check. A filter that keeps no row blocks it, as its figures then mean nothing.
fn judge_one(judgement: &ScanJudgement<'_>, filters: Option<&Finding>) -> Finding {
    let check = judgement.asked.check;
    if filters.is_some_and(Finding::is_unhealthy) {
        return about(check).under(Check::FilterKeepsRows);
    }
    let Verdict { evidence, wrong } = match judgement.verdict() {
        Ok(verdict) => verdict,
        Err(why) => return about(check).not_evaluated(why),
    };
    let evidence = evidence
        .with("limit", check.limit_in_words())
        .with("table", &check.table)
        .with_some("rows", check.window.as_ref().map(ToString::to_string));
    match wrong {
        None => about(check).healthy(evidence),
        Some((severity, cause)) => about(check).unhealthy(severity, evidence, cause),
    }
}

fn about(check: &DataCheck) -> About<'_> {
    check.check().about(&check.name)
}

fn about_filter(check: &DataCheck) -> About<'_> {
    Check::FilterKeepsRows.about(&check.name)
}

struct Verdict {
    evidence: Evidence,
    /// The severity and the likely cause, if it is unhealthy.
    wrong: Option<(Severity, String)>,
}

/// One check and the figures that it is judged by.
struct ScanJudgement<'l> {
    asked: &'l Asked<'l>,
    figures: &'l Figures,
    now: Timestamp,
}

impl ScanJudgement<'_> {
    /// * a filter keeps no row of a table that has rows => error: the flags changed, or the filter is wrong
    /// * each keeps some, or its table is empty         => healthy; an empty table is reported by the check itself
    fn filters(&self) -> Finding {
        let check = self.asked.check;
        let mut evidence = Evidence::new("every filter keeps rows").with_some("owner", check.owner.as_ref());
        for AskedFilter { filter, kept, all } in &self.asked.filters {
            let (table, columns) = (filter.table, filter.columns());
            let what = format!("number of rows of {table} that the filter keeps");
            let counted = |column| match self.figure(column, &what)? {
                // The maximum of no rows: the scanned table is empty.
                Reading::Null => Ok(0),
                Reading::Count(count) => u64::try_from(count).map_err(|_| unknown(&what)),
                Reading::Instant(_) | Reading::Number(_) => Err(unknown(&what)),
            };
            let (kept, all) = match counted(kept).and_then(|kept| Ok((kept, counted(all)?))) {
                Ok(counts) => counts,
                Err(why) => return about_filter(check).not_evaluated(why),
            };
            if kept == 0 && all > 0 {
                evidence.summary = format!("filter on {columns} keeps 0 of {} rows of {table}", grouped(all));
                let evidence =
                    evidence.with("filter", filter.in_words()).with("rows", all).with("table", table);
                let cause = "The column has other values than `where` expects, such as NULL for an unset flag (`not = true` \
                             keeps those), or every row was marked as deleted. Excluded rows are not checked";
                return about_filter(check).unhealthy(Severity::Error, evidence, cause).grouped(table);
            }
            evidence =
                evidence.with(&format!("kept of {table}"), kept).with(&format!("rows of {table}"), all);
        }
        about_filter(check).healthy(evidence)
    }

    fn verdict(&self) -> Result<Verdict, WhyNot> {
        let check = self.asked.check;
        let table = &check.table;
        match &check.rule {
            Rule::Coverage { destination, warn_below, critical_below, .. } => {
                self.coverage(&destination.table, *warn_below, *critical_below)
            }
            Rule::NullCount { columns, limit } => {
                self.nulls(columns, &grouped(*limit), |nulls, _| nulls > *limit)
            }
            Rule::NullRate { columns, limit_percent } => {
                let too_many = |nulls, rows| percent_of(nulls, rows) > *limit_percent;
                self.nulls(columns, &text::percent(*limit_percent), too_many)
            }
            Rule::Duplicates { key, limit, .. } => self.duplicates(key, *limit),
            Rule::Freshness { destination, max_lag, .. } => {
                self.freshness(&destination.table, destination.synced.is_some(), *max_lag)
            }
            Rule::QueueSize { limit, oldest } => {
                self.queue(*limit, oldest.as_ref().map(|(_, longest)| *longest))
            }
            Rule::RowCount { min, max } => {
                let rows = self.count(0, "row count")?;
                let too_few = min.is_some_and(|min| rows < min);
                let wrong = too_few || max.is_some_and(|max| rows > max);
                let cause = if too_few {
                    "Rows are missing: a load failed or was cut short, or a view excludes them"
                } else {
                    "There are more rows than expected: a load ran twice, or a join multiplies them"
                };
                let expected = check.limit_in_words();
                let summary = format!("{} in {table} (expected {expected})", counted(rows, "row"));
                Ok(self.verdict_of(summary, wrong, cause))
            }
            Rule::AcceptedValues { column, limit, .. } => self.violations(
                *limit,
                |rows| format!("{rows} with an unaccepted {column} (limit {limit}), in {table}"),
                "The source writes a value that is not yet accepted, or the view maps it wrongly",
            ),
            Rule::Pattern { column, limit, .. } => self.violations(
                *limit,
                |rows| format!("{rows} with a malformed {column} (limit {limit}), in {table}"),
                "The source writes a new format, or the view cuts or joins texts wrongly",
            ),
            Rule::Referential { column, references, limit } => self.violations(
                *limit,
                |rows| {
                    let referenced = &references.table;
                    format!("{rows} whose {column} is not in {referenced} (limit {limit}), in {table}")
                },
                "The referenced rows were deleted, or have not arrived yet",
            ),
            Rule::CustomSql { min, max, .. } => {
                let what = "query result";
                let Reading::Number(value) = self.reading(0, what)? else { return Err(unknown(what)) };
                let wrong = min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max);
                let cause = "The result of the custom query is outside its limits";
                let summary = format!("query result is {value} (expected {})", check.limit_in_words());
                Ok(self.verdict_of(summary, wrong, cause))
            }
        }
    }

    fn coverage(&self, destination: &str, warn: f64, critical: f64) -> Result<Verdict, WhyNot> {
        let table = &self.asked.check.table;
        let rows = self.rows(0, "a row with a key")?;
        let found = self.count(1, "number of keys found")?.min(rows);
        let percent = percent_of(found, rows);
        let missing = rows - found;
        let severity = if percent < critical {
            Some(Severity::Critical)
        } else if percent < warn {
            Some(self.asked.check.severity)
        } else {
            None
        };
        let percent = rounded(percent, 2, &[warn, critical]);
        let [shown, target, minimum] = [percent, warn, critical].map(text::percent);
        let summary = format!(
            "{shown} coverage (target {target}, minimum {minimum}); {} of {} keys of {table} are in {destination}",
            grouped(found),
            grouped(rows)
        );
        let cause = format!(
            "{} rejected, excluded by a view, not sent yet, or not copied back yet: compare the queues and the error rate of \
             the syncs",
            counted(missing, "record")
        );
        let evidence = Evidence::new(summary)
            .with("coverage", Value::Percent(percent))
            .with("found", found)
            .with("keys", rows)
            .with("missing", missing);
        Ok(Verdict { evidence, wrong: severity.map(|severity| (severity, cause)) })
    }

    fn nulls(
        &self,
        columns: &[String],
        limit: &str,
        too_many: impl Fn(u64, u64) -> bool,
    ) -> Result<Verdict, WhyNot> {
        let table = &self.asked.check.table;
        let rows = self.rows(0, "a row")?;
        let (mut evidence, mut missing, mut wrong) = (Evidence::new(""), Vec::new(), false);
        for (index, column) in columns.iter().enumerate() {
            let nulls = self.count(index + 1, &format!("missing values of {column}"))?;
            let share = rounded(percent_of(nulls, rows), 2, &[]);
            let [nulls_text, rows_text] = [nulls, rows].map(grouped);
            let found = format!(
                "{column} missing in {nulls_text} of {rows_text} rows ({}, limit {limit})",
                text::percent(share)
            );
            evidence = evidence
                .with(&format!("missing {column}"), nulls)
                .with(&format!("share of missing {column}"), Value::Percent(share));
            if too_many(nulls, rows) {
                wrong = true;
                missing.insert(0, found);
            } else if nulls > 0 {
                missing.push(found);
            }
        }
        missing.truncate(NAMED);
        let missing = if missing.is_empty() { "no missing values".to_owned() } else { missing.join(", ") };
        evidence.summary = format!("{missing} in {table}");
        let cause = "The source has no value, or the view lost it: a join without a match, or a renamed column. Compare with \
                     the source";
        Ok(self.verdict_of(evidence.with("total rows", rows), wrong, cause))
    }

    fn duplicates(&self, key: &[String], limit: u64) -> Result<Verdict, WhyNot> {
        let table = &self.asked.check.table;
        let rows = self.rows(0, "a row with a key")?;
        let keys = self.count(1, "number of keys")?;
        let more = rows.saturating_sub(keys);
        let key = key.join(", ");
        let summary = if more == 0 {
            format!("no duplicate {key} in {table}")
        } else {
            format!("{} (same {key}, limit {limit}) in {table}", counted(more, "duplicate row"))
        };
        let evidence =
            Evidence::new(summary).with("duplicates", more).with("keys", keys).with("total rows", rows);
        let cause = "A create sync ran again for existing records, or they were created by hand. Do not retry the create sync \
                     before the key is unique";
        Ok(self.verdict_of(evidence, more > limit, cause))
    }

    /// * every source change has arrived              => healthy, also if the source has not changed recently
    /// * the oldest undelivered change waits too long => unhealthy; the cause depends on whether the copy synced since
    /// * a timestamp is in the future                 => a warning at most, as nothing is known to be late: it is ignored, so
    ///   that it hides nothing, and whether it arrived cannot be judged
    fn freshness(
        &self,
        destination: &str,
        is_copy: bool,
        max_lag: SignedDuration,
    ) -> Result<Verdict, WhyNot> {
        let table = &self.asked.check.table;
        let newest = self.instant(0, "newest change")?;
        let changes_ahead = self.count(3, "number of changes dated in the future")?;
        if newest.is_none() && changes_ahead == 0 {
            return Err(WhyNot::NothingYet { awaited: format!("the first change in {table}") });
        }
        let waiting = self.instant(1, UNDELIVERED)?;
        let arrived = self.instant(2, "newest arrival")?;
        let mut ahead = vec![
            ("changes dated in the future", changes_ahead),
            ("arrivals dated in the future", self.count(4, "number of arrivals dated in the future")?),
        ];
        let copied = if is_copy {
            ahead.push((COPY_AHEAD, self.count(6, "number of copy syncs dated in the future")?));
            self.instant(5, "last sync of the copy")?
        } else {
            None
        };
        let or_never = |instant: Option<Timestamp>| instant.map_or(Value::from("never"), Value::Instant);
        let mut evidence = Evidence::new("")
            .with("newest change", or_never(newest))
            .with("newest arrival", or_never(arrived));
        if is_copy {
            evidence = evidence.with("copy last synced", or_never(copied));
            if let (Some(copied), Some(arrived)) = (copied, arrived) {
                let lag = copied.duration_since(arrived).max(SignedDuration::ZERO);
                evidence = evidence.with("copy behind its newest arrival", lag);
            }
        }
        let waits = waiting.map(|waiting| self.now.duration_since(waiting));
        evidence = evidence.with_some(UNDELIVERED, waiting);
        evidence.summary = self.arrives(destination, newest, waits, max_lag);
        let late = waits.is_some_and(|waits| waits > max_lag).then(|| {
            let cause = match copied {
                Some(copied) if waiting.is_some_and(|waiting| copied > waiting) => {
                    "The copy of the destination has synced since, so the change never arrived: check the sync that sends it"
                }
                _ if is_copy => {
                    "The copy of the destination has not synced since: check its connector first, then the sync"
                }
                _ => "The sync that sends it did not run, rejected it, or does not select it",
            };
            (self.asked.check.severity, cause.to_owned())
        });
        let future = ahead.iter().any(|(_, count)| *count > 0).then(|| {
            let cause = "Timestamps are in the future: a clock is ahead, local time was stored as UTC, or a date was mistyped. \
                         Correct these records; until then, their arrival is not checked";
            (Severity::Warning.min(self.asked.check.severity), cause.to_owned())
        });
        if future.is_some() {
            evidence.summary += "; timestamps in the future ignored";
            evidence = evidence.with(COUNTED_UNTIL, latest_credible(self.now));
            for (name, count) in ahead.into_iter().filter(|(_, count)| *count > 0) {
                evidence = evidence.with(name, count);
            }
        }
        Ok(Verdict { evidence, wrong: late.or(future) })
    }

    /// The summary of whether changes arrive.
    fn arrives(
        &self,
        destination: &str,
        newest: Option<Timestamp>,
        waits: Option<SignedDuration>,
        max_lag: SignedDuration,
    ) -> String {
        let table = &self.asked.check.table;
        let quiet = newest.map(|newest| self.now.duration_since(newest)).filter(|quiet| *quiet > max_lag);
        match (waits, quiet) {
            (Some(waits), _) => {
                let (age, limit) = (words(waits), words(max_lag));
                format!(
                    "oldest undelivered change is {age} old (limit {limit}), from {table} to {destination}"
                )
            }
            (None, Some(quiet)) => {
                let quiet = words(quiet);
                format!("no change in {table} for {quiet}; all earlier changes are in {destination}")
            }
            (None, None) => format!("all changes in {table} are in {destination}"),
        }
    }

    fn queue(&self, limit: u64, longest: Option<SignedDuration>) -> Result<Verdict, WhyNot> {
        let table = &self.asked.check.table;
        let waiting = self.count(0, "number of waiting rows")?;
        let mut summary = format!("{} waiting (limit {})", counted(waiting, "row"), grouped(limit));
        let mut evidence = Evidence::new("").with("waiting", waiting);
        let mut too_old = false;
        if let Some(longest) = longest {
            let what = "age of the oldest waiting row";
            let since = match self.instant(1, what) {
                // A row that waits since a future time has an unknown age.
                Ok(since) => since.filter(|since| *since <= latest_credible(self.now)),
                // Too many rows are unhealthy at any age.
                Err(_) if waiting > limit => None,
                Err(why) => return Err(why),
            };
            if let Some(since) = since {
                let age = self.now.duration_since(since);
                too_old = age > longest;
                summary += &format!(", oldest for {} (limit {}),", words(age), words(longest));
                evidence = evidence.with("oldest", since);
            } else if waiting > 0 && waiting <= limit {
                // A short queue is not healthy while its age is unknown.
                return Err(unknown(what));
            }
        }
        evidence.summary = format!("{summary} in {table}");
        let cause = if waiting > limit {
            "The sync does not clear the queue: it is stopped, its records are rejected, or the source changed in bulk"
        } else {
            "Some rows are never sent: the sync rejects them in every run, or does not select them"
        };
        Ok(self.verdict_of(evidence, waiting > limit || too_old, cause))
    }

    fn violations(
        &self,
        limit: u64,
        summary: impl Fn(String) -> String,
        cause: &str,
    ) -> Result<Verdict, WhyNot> {
        let rows = self.rows(0, "a row with a value")?;
        let wrong = self.count(1, "number of invalid rows")?;
        let summary = summary(counted(wrong, "row"));
        let evidence = Evidence::new(summary).with("invalid rows", wrong).with("total rows", rows);
        Ok(self.verdict_of(evidence, wrong > limit, cause))
    }

    fn verdict_of(&self, evidence: impl Into<Evidence>, wrong: bool, cause: &str) -> Verdict {
        let wrong = wrong.then(|| (self.asked.check.severity, cause.to_owned()));
        Verdict { evidence: evidence.into(), wrong }
    }

    fn reading(&self, index: usize, what: &str) -> Result<Reading, WhyNot> {
        self.figure(self.asked.columns.get(index).ok_or_else(|| unknown(what))?, what)
    }

    fn figure(&self, column: &str, what: &str) -> Result<Reading, WhyNot> {
        match self.figures.0.get(column) {
            Some(Ok(reading)) => Ok(*reading),
            Some(Err(error)) => Err(WhyNot::Unreadable { found: error.to_string() }),
            None => Err(unknown(what)),
        }
    }

    fn count(&self, index: usize, what: &str) -> Result<u64, WhyNot> {
        match self.reading(index, what)? {
            Reading::Count(count) => u64::try_from(count).map_err(|_| unknown(what)),
            _ => Err(unknown(what)),
        }
    }

    /// The number of rows to judge; without any, the check does not pass but waits.
    fn rows(&self, index: usize, awaited: &str) -> Result<u64, WhyNot> {
        let check = self.asked.check;
        match self.count(index, "row count")? {
            0 => {
                let when = check.window.as_ref().map_or(String::new(), |window| format!(", {window}"));
                Err(WhyNot::NothingYet { awaited: format!("{awaited} in {}{when}", check.table) })
            }
            rows => Ok(rows),
        }
    }

    fn instant(&self, index: usize, what: &str) -> Result<Option<Timestamp>, WhyNot> {
        match self.reading(index, what)? {
            Reading::Instant(instant) => Ok(Some(instant)),
            Reading::Null => Ok(None),
            Reading::Count(_) | Reading::Number(_) => Err(unknown(what)),
        }
    }
}

fn unknown(what: &str) -> WhyNot {
    WhyNot::UnknownFigures { what: what.to_owned() }
}

/// Adds some duplicate keys to a finding of duplicates, or the reason why they could not be read. E-mail addresses and telephone
/// numbers are hidden, as in identifiers of rejected records, unless the check shows its keys.
pub fn with_samples(mut finding: Finding, check: &DataCheck, answer: &Result<Answer, Error>) -> Finding {
    let shows_keys = matches!(check.rule, Rule::Duplicates { show_keys: true, .. });
    let keys = match answer {
        Ok(answer) => answer.rows().map(|row| sample(&row, shows_keys)).collect::<Vec<_>>().join(", "),
        Err(error) => format!("unknown: {error}"),
    };
    if let Outcome::Unhealthy { evidence, .. } = &mut finding.outcome
        && !keys.is_empty()
    {
        evidence.figures.push(Figure::new(SAMPLED, keys));
    }
    finding
}

/// Formats a key and how often it occurs, such as `P-00017 (3 times)`.
fn sample(row: &Row<'_>, shows_keys: bool) -> String {
    let (copies, keys) = match row.values().split_last() {
        Some((sql::Value::Integer(copies), keys)) => (copies.to_string(), keys),
        Some((_, keys)) => ("several".to_owned(), keys),
        None => return String::new(),
    };
    let shown: Vec<String> = keys.iter().map(|key| shown(key, shows_keys)).collect();
    format!("{} ({copies} times)", shown.join("/"))
}

fn shown(value: &sql::Value, unchanged: bool) -> String {
    let text = match value {
        sql::Value::Text(text) => text.clone(),
        sql::Value::Integer(number) => number.to_string(),
        sql::Value::Decimal(number) => number.as_str().to_owned(),
        sql::Value::Date(date) => return date.to_string(),
        sql::Value::Timestamp(instant) => return instant.to_string(),
        other => return other.type_name().to_owned(),
    };
    if unchanged { bounded(&spaced(&plain_line(&text)), KEY_CHARS) } else { identifier(&text) }
}

/// Whether the warehouse as a whole fails, not only this statement.
fn is_down(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::Unreachable { .. }
            | ErrorKind::Refused
            | ErrorKind::Blocked { .. }
            | ErrorKind::NoAccess { .. }
            | ErrorKind::Timeout { .. }
            | ErrorKind::RateLimited { .. }
            | ErrorKind::Cancelled
            | ErrorKind::DriverMissing { .. }
    )
}

impl Trouble {
    /// Returns whether the warehouse as a whole fails, so that further statements would fail too.
    pub fn is_of_the_warehouse(&self) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::Failed(error) => is_down(error),
        }
    }
}

/// A statement and its answer.
#[derive(Debug)]
pub struct Looked<'c> {
    pub scan: Scan<'c>,
    /// `None` if it was not sent, as the warehouse does not answer.
    pub answer: Option<Result<Answer, Error>>,
}

/// How many of the pipeline's checks a round judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Whole,
    OneCheck,
}

/// Judges the answers of the warehouse: the warehouse itself first, then each check.
///
/// A round of one check judges the warehouse only if it is down: it does not run the other statements, so it must not resolve
/// an incident about them.
pub fn judge_round(looked: &[Looked<'_>], extent: Extent, now: Timestamp) -> Vec<Finding> {
    let answered = looked.iter().filter_map(|Looked { scan, answer }| Some((scan, answer.as_ref()?)));
    let found: Vec<Trouble> = answered.flat_map(|(scan, answer)| troubles(scan, answer)).collect();
    // A warehouse that was not queried is not judged.
    let asked = extent == Extent::Whole && !looked.is_empty();
    let of_warehouse = asked || found.iter().any(Trouble::is_of_the_warehouse);
    let warehouse = of_warehouse.then(|| judge_warehouse(looked.len(), &found));
    let checks = looked.iter().flat_map(|Looked { scan, answer }| match answer {
        Some(answer) => judge(scan, answer, now),
        None => unasked(scan),
    });
    warehouse.into_iter().chain(checks).collect()
}

/// Judges a round in which the warehouse could not be queried.
pub fn judge_closed(scans: &[Scan<'_>], why: &str) -> Vec<Finding> {
    let warehouse = judge_warehouse(scans.len(), &[Trouble::Closed(why.to_owned())]);
    std::iter::once(warehouse).chain(scans.iter().flat_map(unasked)).collect()
}

/// Judges the warehouse by all statements of a round, in one finding.
///
/// * it cannot be queried, reached, or does not answer in time => error, which blocks every check
/// * it answers, and some statements fail                      => error, which names them: their checks cannot run
pub fn judge_warehouse(statements: usize, troubles: &[Trouble]) -> Finding {
    let about = Check::WarehouseReachable.about(WAREHOUSE);
    let failed = troubles.len();
    if failed == 0 {
        return about.healthy(format!("answered all {statements} statements"));
    }
    let named = troubles.iter().position(Trouble::is_of_the_warehouse).unwrap_or_default();
    let first = troubles.get(named);
    let down = first.filter(|trouble| trouble.is_of_the_warehouse());
    let first = first.map(ToString::to_string).unwrap_or_default();
    let (summary, cause) = match down {
        Some(Trouble::Closed(_)) => (
            format!("not queried ({first})"),
            "The secret of the warehouse, or [warehouse] of pipeline.toml, is invalid".to_owned(),
        ),
        Some(Trouble::Failed(error)) => {
            (format!("unavailable ({first})"), cause_of_outage(&error.kind).to_owned())
        }
        None => {
            let summary =
                format!("{failed} of {statements} statements failed, so their checks did not run ({first})");
            (summary, causes_of_failures(troubles))
        }
    };
    let mut evidence =
        Evidence::new(summary).with("statements", statements).with("failed statements", failed);
    let others = troubles.iter().enumerate().filter(|(index, _)| *index != named);
    for (_, trouble) in others.take(NAMED) {
        evidence = evidence.with("also failed", trouble.to_string());
    }
    about.unhealthy(Severity::Error, evidence, cause)
}

/// The likely cause of an outage of the whole warehouse.
fn cause_of_outage(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Refused => {
            "The credentials expired, were revoked or replaced, or belong to another workspace"
        }
        ErrorKind::Blocked { .. } => {
            "An IP access list or network policy of the workspace blocks the address of the functions: the list or the \
             address changed"
        }
        ErrorKind::NoAccess { .. } => {
            "The account lost access to the SQL warehouse or the workspace, or warehouse_id of pipeline.toml is wrong"
        }
        ErrorKind::DriverMissing { .. } => {
            "The function was built or deployed without the ODBC driver that pipeline.toml names"
        }
        _ => "The warehouse is stopped, starting, overloaded or unreachable, or one statement is too slow",
    }
}

/// The likely causes of failed statements at a warehouse that answers: each once, in the order of the statements.
fn causes_of_failures(troubles: &[Trouble]) -> String {
    let mut causes: Vec<&str> = Vec::new();
    for trouble in troubles {
        let cause = match trouble {
            Trouble::Failed(error) => cause_of_failure(&error.kind),
            Trouble::Closed(_) => continue,
        };
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    causes.join(". ")
}

fn cause_of_failure(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::PermissionDenied { .. } => {
            "A permission is missing on the table or view, or on its schema or catalog"
        }
        ErrorKind::MissingObject { .. } => "A table, view or column was renamed or dropped",
        ErrorKind::TypeMismatch { .. } | ErrorKind::WrongType { .. } => "The type of a column changed",
        ErrorKind::NotTheForm { .. } => "A custom query does not return one number",
        _ => "A table, view or column changed, or the warehouse does not support the statement",
    }
}

/// A share in percent. Callers handle a whole of 0 before.
#[expect(clippy::cast_precision_loss, reason = "rows are far fewer than 2^53")]
pub(super) fn percent_of(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests;

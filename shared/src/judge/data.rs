//! Judges the figures of a statement. Pure: no I/O, no clock, no failure.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::classify::identifier;
use crate::data_checks::{Asked, AskedFilter, DataCheck, Measure, Rule, Scan, latest_credible};
use crate::figure::{Figure, Value};
use crate::finding::{About, Check, Evidence, Finding, Outcome, Severity, WAREHOUSE, WhyNot};
use crate::sql::{self, Answer, Error, ErrorKind, Row};
use crate::text::{self, bounded, grouped, plain_line, rounded, spaced, words};

/// The figure that shows keys which occur more than once.
pub const SAMPLED: &str = "sample keys";
/// A key is shown up to this length, the mark of the cut included.
const KEY_CHARS: usize = 41;
/// Statements that failed are named up to this number.
const NAMED: usize = 5;

/// One figure of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    Null,
    Count(i64),
    Instant(Timestamp),
    Number(f64),
}

/// The figures of an answer, by column. One that cannot be read does not spoil the others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures(pub HashMap<String, Result<Reading, Error>>);

/// Something that kept checks from being judged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// The warehouse could not be asked at all: no credentials, or settings that cannot be used. Holds why.
    #[error("{0}")]
    Closed(String),
    /// A statement failed, or its answer cannot be read.
    #[error(transparent)]
    Failed(Error),
}

/// Judges every check of a statement by its answer.
///
/// * answered                                                       => each check by its figures
/// * the warehouse cannot be reached, refuses us, or takes too long => held under `warehouse-reachable`
/// * the statement fails otherwise                                  => the first check says why, the rest is held under it
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

/// The checks of a statement that was not asked, since the warehouse does not answer.
pub fn unasked(scan: &Scan<'_>) -> Vec<Finding> {
    let under = || WhyNot::under(Check::WarehouseReachable, WAREHOUSE);
    scan.asked.iter().flat_map(judged).map(|about| about.not_evaluated(under())).collect()
}

/// All that is judged of a check, in the order of its findings: itself, and whether its filters keep rows if it has any.
fn judged<'c>(asked: &Asked<'c>) -> impl Iterator<Item = About<'c>> + use<'c> {
    let filter = (!asked.filters.is_empty()).then(|| about_filter(asked.check));
    std::iter::once(about(asked.check)).chain(filter)
}

/// What of an answer keeps checks from being judged.
pub fn troubles(scan: &Scan<'_>, answer: &Result<Answer, Error>) -> Vec<Trouble> {
    match answer {
        Err(error) => vec![Trouble::Failed(error.clone())],
        Ok(answer) => {
            let figures = read(scan, answer);
            let named = scan.columns.iter().filter_map(|column| figures.0.get(&column.name));
            // One for each statement: the others are most likely of the same cause.
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

/// The same error in terms of a check: people know its name, and no columns of an answer.
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
                // A sum or a quotient may be `-0`, which is 0.
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

/// Judges a check, which is held under the finding of its filters if one of them keeps no row: its figures then say nothing.
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
        .with_some("rows", check.window.as_ref().map(ToString::to_string))
        .with_some("owner", check.owner.as_ref());
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
    /// How bad it is, and the likely cause.
    wrong: Option<(Severity, String)>,
}

/// One check and the figures that it is judged by.
struct ScanJudgement<'l> {
    asked: &'l Asked<'l>,
    figures: &'l Figures,
    now: Timestamp,
}

impl ScanJudgement<'_> {
    /// * a filter keeps no row of a table that has rows => error: the flags changed, or the filter is wrong; its check is blind
    /// * each keeps some, or its table is empty         => healthy; an empty table is for the check itself to tell
    fn filters(&self) -> Finding {
        let check = self.asked.check;
        let mut evidence = Evidence::new("each filter keeps rows").with_some("owner", check.owner.as_ref());
        for AskedFilter { filter, kept, all } in &self.asked.filters {
            let (table, columns) = (filter.table, filter.columns());
            let what = format!("how many rows of {table} the filter keeps");
            let counted = |column| match self.figure(column, &what)? {
                // The largest of no counts: the table that is scanned has no row.
                Reading::Null => Ok(0),
                Reading::Count(count) => u64::try_from(count).map_err(|_| unknown(&what)),
                Reading::Instant(_) | Reading::Number(_) => Err(unknown(&what)),
            };
            let (kept, all) = match counted(kept).and_then(|kept| Ok((kept, counted(all)?))) {
                Ok(counts) => counts,
                Err(why) => return about_filter(check).not_evaluated(why),
            };
            if kept == 0 && all > 0 {
                evidence.summary =
                    format!("the filter on {columns} keeps 0 of {} rows of {table}", grouped(all));
                let evidence =
                    evidence.with("filter", filter.in_words()).with("rows", all).with("table", table);
                let cause = "The column has other values than `where` expects, such as NULL for a flag that is not set \
                             (`not = true` keeps those), or every row was marked as deleted. Nothing is judged of rows \
                             that are left out";
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
            Rule::NullCount { columns, limit } => self.nulls(columns, |nulls, _| nulls > *limit),
            Rule::NullRate { columns, limit_percent } => {
                self.nulls(columns, |nulls, rows| percent_of(nulls, rows) > *limit_percent)
            }
            Rule::Duplicates { key, limit, .. } => self.duplicates(key, *limit),
            Rule::Freshness { destination, max_lag, .. } => {
                self.freshness(&destination.table, destination.synced.is_some(), *max_lag)
            }
            Rule::QueueSize { limit, oldest } => self.queue(*limit, oldest.as_ref().map(|(_, longest)| *longest)),
            Rule::RowCount { min, max } => {
                let rows = self.count(0, "the number of rows")?;
                let too_few = min.is_some_and(|min| rows < min);
                let wrong = too_few || max.is_some_and(|max| rows > max);
                let cause = if too_few {
                    "Rows are missing: a load failed or was cut short, or a view lost them"
                } else {
                    "There are more rows than ever expected: a load ran twice, or a join multiplies them"
                };
                Ok(self.verdict_of(format!("{table} has {} rows", grouped(rows)), wrong, cause))
            }
            Rule::AcceptedValues { column, limit, .. } => self.violations(
                *limit,
                |n| format!("{n} values of {column} in {table} are none of the accepted ones"),
                "The source writes a value that nobody told the destination about, or the view maps it wrongly",
            ),
            Rule::Pattern { column, limit, .. } => self.violations(
                *limit,
                |n| format!("{n} values of {column} in {table} have another form"),
                "The source writes what it did not write before, or the view cuts or joins texts wrongly",
            ),
            Rule::Referential { column, references, limit } => self.violations(
                *limit,
                |n| format!("{n} values of {column} in {table} point at nothing in {}", references.table),
                "What they point at was deleted, or has not arrived yet",
            ),
            Rule::CustomSql { min, max, .. } => {
                let what = "the number that the statement answers";
                let Reading::Number(value) = self.reading(0, what)? else { return Err(unknown(what)) };
                let wrong = min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max);
                let cause = "The number that the check's own statement answers is outside of its limits";
                Ok(self.verdict_of(format!("the statement answers {value}"), wrong, cause))
            }
        }
    }

    fn coverage(&self, destination: &str, warn: f64, critical: f64) -> Result<Verdict, WhyNot> {
        let table = &self.asked.check.table;
        let rows = self.rows(0, "a key")?;
        let found = self.count(1, "how many keys were found")?.min(rows);
        let percent = percent_of(found, rows);
        let missing = rows - found;
        let (grade, severity) = if percent < critical {
            ("poor", Some(Severity::Critical))
        } else if percent < warn {
            ("good, not excellent", Some(self.asked.check.severity))
        } else {
            ("excellent", None)
        };
        let percent = rounded(percent, 2, &[warn, critical]);
        let said = text::percent(percent);
        let summary = format!(
            "{said} ({grade}): {} of {} keys of {table} are in {destination}",
            grouped(found),
            grouped(rows)
        );
        let cause = format!(
            "{} records were rejected, left out by a view, not sent yet, or not copied back yet: compare the queues and \
             the error rate of the syncs",
            grouped(missing)
        );
        let evidence = Evidence::new(summary)
            .with("coverage", Value::Percent(percent))
            .with("found", found)
            .with("keys", rows)
            .with("missing", missing);
        Ok(Verdict { evidence, wrong: severity.map(|severity| (severity, cause)) })
    }

    fn nulls(&self, columns: &[String], too_many: impl Fn(u64, u64) -> bool) -> Result<Verdict, WhyNot> {
        let table = &self.asked.check.table;
        let rows = self.rows(0, "rows")?;
        let (mut evidence, mut said, mut wrong) = (Evidence::new(""), Vec::new(), false);
        for (index, column) in columns.iter().enumerate() {
            let nulls = self.count(index + 1, &format!("missing values of {column}"))?;
            let share = rounded(percent_of(nulls, rows), 2, &[]);
            let words = format!("{} ({})", grouped(nulls), text::percent(share));
            evidence = evidence
                .with(&format!("missing {column}"), nulls)
                .with(&format!("share of missing {column}"), Value::Percent(share));
            if too_many(nulls, rows) {
                wrong = true;
                said.insert(0, format!("{words} of {column}"));
            } else if nulls > 0 {
                said.push(format!("{words} of {column}"));
            }
        }
        said.truncate(NAMED);
        let missing = if said.is_empty() { "no value is".to_owned() } else { said.join(", ") };
        evidence.summary = format!("{missing} missing in {table}");
        let cause = "The source has no value, or the view lost the column: a join that finds nothing, a column that was \
                     renamed. Compare with the source";
        Ok(self.verdict_of(evidence.with("of rows", rows), wrong, cause))
    }

    fn duplicates(&self, key: &[String], limit: u64) -> Result<Verdict, WhyNot> {
        let table = &self.asked.check.table;
        let rows = self.rows(0, "a key")?;
        let keys = self.count(1, "the number of keys")?;
        let more = rows.saturating_sub(keys);
        let key = key.join(", ");
        let summary = if more == 0 {
            format!("each {key} in {table} is there once")
        } else {
            format!("{} rows in {table} have a {key} that another row has", grouped(more))
        };
        let evidence =
            Evidence::new(summary).with("duplicates", more).with("keys", keys).with("of rows", rows);
        let cause = "A create sync ran again for records that were there already, or somebody made them by hand. Do not \
                     retry the create sync before the key is unique";
        Ok(self.verdict_of(evidence, more > limit, cause))
    }

    /// * every change of the source has arrived     => healthy, and if nothing changed recently that is said
    /// * the oldest one that has not waits too long => unhealthy; whether the copy moved since tells who is to blame
    /// * something is dated in the future           => at least a warning: it was left out, so that it hides nothing, and
    ///   whether it arrived cannot be judged. Not the check's own severity, as nothing is known to be late
    fn freshness(
        &self,
        destination: &str,
        is_copy: bool,
        max_lag: SignedDuration,
    ) -> Result<Verdict, WhyNot> {
        let table = &self.asked.check.table;
        let newest = self.instant(0, "the newest change")?;
        let changes_ahead = self.count(3, "how many changes are dated in the future")?;
        if newest.is_none() && changes_ahead == 0 {
            return Err(WhyNot::NothingYet { awaited: format!("the first change in {table}") });
        }
        let waiting = self.instant(1, "the oldest change that waits")?;
        let arrived = self.instant(2, "the newest arrival")?;
        let mut ahead = vec![
            ("changes dated in the future", changes_ahead),
            ("arrivals dated in the future", self.count(4, "how many arrivals are dated in the future")?),
        ];
        let copied = if is_copy {
            ahead.push(("moves of the copy dated in the future", self.count(6, "how far the copy is")?));
            self.instant(5, "the last move of the copy")?
        } else {
            None
        };
        let or_never = |instant: Option<Timestamp>| instant.map_or(Value::from("never"), Value::Instant);
        let mut evidence = Evidence::new("")
            .with("newest change", or_never(newest))
            .with("newest arrival", or_never(arrived));
        if is_copy {
            evidence = evidence.with("copy last moved", or_never(copied));
            if let (Some(copied), Some(arrived)) = (copied, arrived) {
                let lag = copied.duration_since(arrived).max(SignedDuration::ZERO);
                evidence = evidence.with("copy behind its newest arrival", lag);
            }
        }
        let waits = waiting.map(|waiting| self.now.duration_since(waiting));
        evidence = evidence.with_some("oldest change that waits", waiting);
        evidence.summary = self.arrives(destination, newest, waits, max_lag);
        let late = waits.is_some_and(|waits| waits > max_lag).then(|| {
            let cause = match copied {
                Some(copied) if waiting.is_some_and(|waiting| copied > waiting) => {
                    "The copy moved since, so the change is not in the destination: look at the sync that should have sent it"
                }
                _ if is_copy => {
                    "The copy has not moved since either: look at the connector that copies the destination first, then at \
                     the sync"
                }
                _ => "The sync that should have sent it did not run, rejected it, or does not see it",
            };
            (self.asked.check.severity, cause.to_owned())
        });
        let future = ahead.iter().any(|(_, count)| *count > 0).then(|| {
            let cause = "Timestamps lie in the future: a clock is ahead, local time was stored as UTC, or a date was typed \
                         wrongly. Correct these records; whether they arrived is not judged meanwhile";
            (Severity::Warning.min(self.asked.check.severity), cause.to_owned())
        });
        if future.is_some() {
            evidence.summary += ", leaving out timestamps in the future";
            evidence = evidence.with("latest timestamp that counts", latest_credible(self.now));
            for (name, count) in ahead.into_iter().filter(|(_, count)| *count > 0) {
                evidence = evidence.with(name, count);
            }
        }
        Ok(Verdict { evidence, wrong: late.or(future) })
    }

    /// Whether changes arrive, in one sentence.
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
                format!("a change in {table} waits for {} to arrive in {destination}", words(waits))
            }
            (None, Some(quiet)) => {
                let quiet = words(quiet);
                format!(
                    "nothing changed in {table} for {quiet}, and all that changed before is in {destination}"
                )
            }
            (None, None) => format!("what changed in {table} is in {destination}"),
        }
    }

    fn queue(&self, limit: u64, longest: Option<SignedDuration>) -> Result<Verdict, WhyNot> {
        let table = &self.asked.check.table;
        let waiting = self.count(0, "how many rows wait")?;
        let summary = match waiting {
            0 => format!("nothing waits in {table}"),
            _ => format!("{} rows wait in {table}", grouped(waiting)),
        };
        let mut evidence = Evidence::new(summary).with("waiting", waiting);
        let mut too_old = false;
        if let Some(longest) = longest {
            let what = "since when the oldest row waits";
            let since = match self.instant(1, what) {
                // The age of a row that waits since a time to come is unknown.
                Ok(since) => since.filter(|since| *since <= latest_credible(self.now)),
                // Too many are too many, however old.
                Err(_) if waiting > limit => None,
                Err(why) => return Err(why),
            };
            if let Some(since) = since {
                let age = self.now.duration_since(since);
                too_old = age > longest;
                evidence.summary += &format!(", the oldest for {}", words(age));
                evidence = evidence.with("oldest", since);
            } else if waiting > 0 && waiting <= limit {
                // That it is short is of no comfort while its age is unknown.
                return Err(unknown(what));
            }
        }
        let cause = if waiting > limit {
            "More waits than the sync clears: it stands still, is rejected, or the source changed in bulk"
        } else {
            "Some rows are never taken: the sync rejects them run after run, or does not see them"
        };
        Ok(self.verdict_of(evidence, waiting > limit || too_old, cause))
    }

    fn violations(&self, limit: u64, say: impl Fn(String) -> String, cause: &str) -> Result<Verdict, WhyNot> {
        let rows = self.rows(0, "a value")?;
        let wrong = self.count(1, "how many rows do not fit")?;
        let n = if wrong == 0 { "no".to_owned() } else { grouped(wrong) };
        let evidence = Evidence::new(say(n)).with("do not fit", wrong).with("of rows", rows);
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

    /// The number of rows that can be judged at all; none is nothing to judge, not a pass.
    fn rows(&self, index: usize, with: &str) -> Result<u64, WhyNot> {
        let check = self.asked.check;
        match self.count(index, "the number of rows")? {
            0 => {
                let when = check.window.as_ref().map_or(String::new(), |window| format!(", {window}"));
                let with = if with == "rows" { String::new() } else { format!(" with {with}") };
                Err(WhyNot::NothingYet { awaited: format!("a row{with} in {}{when}", check.table) })
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

/// Adds keys that occur more than once to a finding of duplicates, or why they could not be read. They are shown as the
/// identifiers of rejected records are, without addresses and telephone numbers, unless the check shows its keys.
pub fn with_samples(mut finding: Finding, check: &DataCheck, answer: &Result<Answer, Error>) -> Finding {
    let shows_keys = matches!(check.rule, Rule::Duplicates { show_keys: true, .. });
    let said = match answer {
        Ok(answer) => answer.rows().map(|row| sample(&row, shows_keys)).collect::<Vec<_>>().join(", "),
        Err(error) => format!("unknown: {error}"),
    };
    if let Outcome::Unhealthy { evidence, .. } = &mut finding.outcome
        && !said.is_empty()
    {
        evidence.figures.push(Figure::new(SAMPLED, said));
    }
    finding
}

/// A key and how often it occurs, such as `P-00017 (3 times)`.
fn sample(row: &Row<'_>, shows_keys: bool) -> String {
    let (copies, keys) = match row.values().split_last() {
        Some((sql::Value::Integer(copies), keys)) => (copies.to_string(), keys),
        Some((_, keys)) => ("several".to_owned(), keys),
        None => return String::new(),
    };
    let shown: Vec<String> = keys.iter().map(|key| shown(key, shows_keys)).collect();
    format!("{} ({copies} times)", shown.join("/"))
}

fn shown(value: &sql::Value, as_it_is: bool) -> String {
    let text = match value {
        sql::Value::Text(text) => text.clone(),
        sql::Value::Integer(number) => number.to_string(),
        sql::Value::Decimal(number) => number.as_str().to_owned(),
        sql::Value::Date(date) => return date.to_string(),
        sql::Value::Timestamp(instant) => return instant.to_string(),
        other => return other.type_name().to_owned(),
    };
    if as_it_is { bounded(&spaced(&plain_line(&text)), KEY_CHARS) } else { identifier(&text) }
}

/// Whether it is the warehouse that fails, and not this statement.
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
    /// Whether there is no sense in asking anything else.
    pub fn is_of_the_warehouse(&self) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::Failed(error) => is_down(error),
        }
    }
}

/// A statement, and what came of it.
#[derive(Debug)]
pub struct Looked<'c> {
    pub scan: Scan<'c>,
    /// The answer; `None` if it was not asked, since the warehouse does not answer.
    pub answer: Option<Result<Answer, Error>>,
}

/// How much of the pipeline a round is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Whole,
    OneCheck,
}

/// Judges what the warehouse answered: the warehouse itself first, then each check.
///
/// A round of one check says of the warehouse only that it is down: of other statements it knows nothing, so it must not
/// end an incident about them.
pub fn judge_round(looked: &[Looked<'_>], extent: Extent, now: Timestamp) -> Vec<Finding> {
    let answered = looked.iter().filter_map(|Looked { scan, answer }| Some((scan, answer.as_ref()?)));
    let found: Vec<Trouble> = answered.flat_map(|(scan, answer)| troubles(scan, answer)).collect();
    // Of a warehouse that was not asked there is nothing to say.
    let asked = extent == Extent::Whole && !looked.is_empty();
    let of_warehouse = asked || found.iter().any(Trouble::is_of_the_warehouse);
    let warehouse = of_warehouse.then(|| judge_warehouse(looked.len(), &found));
    let checks = looked.iter().flat_map(|Looked { scan, answer }| match answer {
        Some(answer) => judge(scan, answer, now),
        None => unasked(scan),
    });
    warehouse.into_iter().chain(checks).collect()
}

/// Judges a round in which the warehouse could not even be asked.
pub fn judge_closed(scans: &[Scan<'_>], why: &str) -> Vec<Finding> {
    let warehouse = judge_warehouse(scans.len(), &[Trouble::Closed(why.to_owned())]);
    std::iter::once(warehouse).chain(scans.iter().flat_map(unasked)).collect()
}

/// Judges the warehouse by all that was asked of it in a round: one finding, whatever failed and however often.
///
/// * it cannot be asked, reached, or does not answer in time => error; all else is held under it
/// * it answers, and some statement fails                    => error, which names them: checks are blind meanwhile
pub fn judge_warehouse(statements: usize, troubles: &[Trouble]) -> Finding {
    let about = Check::WarehouseReachable.about(WAREHOUSE);
    let failed = troubles.len();
    if failed == 0 {
        return about.healthy(format!("the warehouse answered all of {statements} statements"));
    }
    let told = troubles.iter().position(Trouble::is_of_the_warehouse).unwrap_or_default();
    let first = troubles.get(told);
    let down = first.filter(|trouble| trouble.is_of_the_warehouse());
    let first = first.map(ToString::to_string).unwrap_or_default();
    let (summary, cause) = match down {
        Some(Trouble::Closed(_)) => (
            format!("the warehouse cannot be asked: {first}"),
            "The secret of the warehouse, or [warehouse] of pipeline.toml, cannot be used".to_owned(),
        ),
        Some(Trouble::Failed(error)) => (first, cause_of_outage(&error.kind).to_owned()),
        None => {
            let blind =
                format!("{failed} of {statements} statements failed, so their checks are blind: {first}");
            (blind, causes_of_failures(troubles))
        }
    };
    let mut evidence =
        Evidence::new(summary).with("statements", statements).with("statements that failed", failed);
    let others = troubles.iter().enumerate().filter(|(index, _)| *index != told);
    for (_, trouble) in others.take(NAMED) {
        evidence = evidence.with("failed", trouble.to_string());
    }
    about.unhealthy(Severity::Error, evidence, cause)
}

/// Why a warehouse as a whole does not answer.
fn cause_of_outage(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Refused => {
            "The credentials expired, were revoked or replaced, or are those of another workspace"
        }
        ErrorKind::Blocked { .. } => {
            "An IP access list or a network policy of the workspace leaves out the address that the functions call from: the \
             list changed, or the address did"
        }
        ErrorKind::NoAccess { .. } => {
            "The account lost its right to use the SQL warehouse or the workspace, or warehouse_id of pipeline.toml is wrong"
        }
        ErrorKind::DriverMissing { .. } => {
            "The function was built or deployed without the ODBC driver that pipeline.toml asks for"
        }
        _ => "The warehouse is stopped, starting, overloaded or cut off; or one statement is too slow for it",
    }
}

/// Why statements failed at a warehouse that answers: each cause once, in the order of the statements.
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
            "A right is missing: on the table or view, or on the schema or catalog that it is in"
        }
        ErrorKind::MissingObject { .. } => "A table, view or column was renamed or dropped",
        ErrorKind::TypeMismatch { .. } | ErrorKind::WrongType { .. } => "The type of a column changed",
        ErrorKind::NotTheForm { .. } => "A check's own statement does not answer one number",
        _ => "A table, view or column changed, or the statement is not one that this warehouse runs",
    }
}

/// A share in percent. No rows at all is no share; callers judge that first.
#[expect(clippy::cast_precision_loss, reason = "rows are far fewer than 2^53")]
fn percent_of(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests;

//! The result of a comparison: reads the answers, judges the values that differ in SQL, and checks that the counts add up.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::object::{Cell, Field, Object};
use super::statements::{MOST_SHOWN, Statements};
use super::value;
use super::verdict::{Cause, Reason, Rule, Verdict};
use crate::sql::{Answer, Error, Row, Value};

/// The rows of one side, after its filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideCount {
    pub rows: u64,
    /// Rows without a key; never joined.
    pub null_keys: u64,
    /// Rows whose key is repeated on either side; never joined.
    pub ambiguous: u64,
    /// Keys that are repeated on this side.
    pub repeated_keys: u64,
    /// Rows beyond the first of each such key.
    pub surplus: u64,
}

/// The counts of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldCount {
    /// The column of the destination.
    pub field: String,
    /// Settled values that differ.
    pub different: u64,
    /// Those that were judged, by reason.
    pub reasons: BTreeMap<Reason, u64>,
}

/// The verdict on a field of a record, with the values of both sides.
#[derive(Clone, PartialEq)]
pub struct Compared {
    /// The column of the destination.
    pub field: String,
    pub verdict: Verdict,
    pub source: Value,
    pub destination: Value,
}

/// Shows no value: it may be personal data.
impl fmt::Debug for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.field, self.verdict)
    }
}

/// The class of a settled row that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Missing,
    Extra,
    Different,
}

/// A settled row that is wrong.
#[derive(Clone, PartialEq)]
pub struct Sample {
    pub class: Class,
    pub key: String,
    /// The fields that differ, or were not evaluated; empty unless both sides have the row.
    pub fields: Vec<Compared>,
}

/// Shows no key: it may be personal data.
impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.class, self.fields)
    }
}

/// The comparison of one object: counts of rows, unless a figure says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reconciliation {
    pub source: SideCount,
    pub destination: SideCount,
    /// Rows with a partner.
    pub joined: u64,
    pub equal: u64,
    /// Rows that are equal by a rule only.
    pub equal_normalised: u64,
    pub different: u64,
    /// Rows with a value that could not be compared, and no different one.
    pub not_evaluated: u64,
    pub different_pending: u64,
    pub missing: u64,
    pub missing_pending: u64,
    /// Rows of the source that are left out on purpose.
    pub not_selected: u64,
    pub extra: u64,
    pub fields: Vec<FieldCount>,
    /// The judged different rows, by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// Values that are equal by a rule.
    pub rules: BTreeMap<Rule, u64>,
    /// Whether more rows differ in SQL than were judged: then the different ones are at most so many.
    pub at_most: bool,
    /// When the copy of the destination last synced; `None` if that is not declared, or one side is empty.
    pub copied: Option<Timestamp>,
    /// At most 20 of each class, in the order of their keys. Not serialized: they have values of records.
    #[serde(skip)]
    pub samples: Vec<Sample>,
}

/// The names of the counts that do not add up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} do not add up; the data may have changed between the statements: compare again")]
pub struct Broken(pub &'static str);

/// The reason for a missing result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Incomplete {
    #[error(transparent)]
    Unreadable(#[from] Error),
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// A record of one key, as both sides have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub in_source: bool,
    pub in_destination: bool,
    pub pending: bool,
    pub not_selected: bool,
    /// Empty unless both sides have the record.
    pub fields: Vec<Compared>,
}

/// The judged rows among those that differ in SQL.
#[derive(Default)]
struct Judged {
    rows: u64,
    different: u64,
    not_evaluated: u64,
    equal_normalised: u64,
    equal: u64,
}

impl Reconciliation {
    /// Reads the answers of [`Statements::repeated_keys`], [`Statements::counts`] and [`Statements::samples`], the last with at
    /// most so many judged rows.
    ///
    /// # Errors
    /// A count is missing, or an invariant is violated: the error names it.
    pub fn read(
        object: &Object,
        statements: &Statements<'_>,
        [repeated, counts, samples]: [&Answer; 3],
        most: usize,
    ) -> Result<Self, Incomplete> {
        let row = counts.only_row()?;
        let count = |name: &str| count(&row, name);
        let side = |side: &str| -> Result<SideCount, Error> {
            let (repeated_keys, surplus) = repeated_of(repeated, side)?;
            Ok(SideCount {
                rows: count(&format!("{side}_rows"))?,
                null_keys: count(&format!("{side}_null_keys"))?,
                ambiguous: count(&format!("{side}_ambiguous"))?,
                repeated_keys,
                surplus,
            })
        };
        let mut fields = Vec::new();
        for (place, field) in object.fields.iter().enumerate() {
            let different = count(&format!("different_{place}"))?;
            fields.push(FieldCount { field: field.destination.clone(), different, reasons: BTreeMap::new() });
        }
        let mut rules = BTreeMap::new();
        for (column, rule) in statements.normalised_columns() {
            let values = count(&column)?;
            if values > 0 {
                *rules.entry(rule).or_default() += values;
            }
        }
        let copied = match object.destination.synced {
            Some(_) => row.get("copied")?,
            None => None,
        };
        let (joined, different, normalised) = (count("joined")?, count("different")?, count("normalised")?);
        let different_pending = count("different_pending")?;
        let mut read = Self {
            source: side("source")?,
            destination: side("destination")?,
            joined,
            equal: joined
                .saturating_sub(different)
                .saturating_sub(different_pending)
                .saturating_sub(normalised),
            equal_normalised: normalised,
            different,
            not_evaluated: 0,
            different_pending,
            missing: count("missing")?,
            missing_pending: count("missing_pending")?,
            not_selected: count("not_selected")?,
            extra: count("extra")?,
            fields,
            causes: BTreeMap::new(),
            rules,
            at_most: false,
            copied,
            samples: Vec::new(),
        };
        read.judge(object, samples, most)?;
        read.check()?;
        Ok(read)
    }

    /// Judges the rows that differ in SQL, and moves those that are equal.
    fn judge(&mut self, object: &Object, samples: &Answer, most: usize) -> Result<(), Incomplete> {
        let mut judged = Judged::default();
        let mut shown = Vec::new();
        for row in samples.rows() {
            let class: String = row.get("class")?;
            let key = shown_key(&row);
            match class.as_str() {
                "missing" => {
                    self.samples.push(Sample { class: Class::Missing, key, fields: Vec::new() });
                }
                "extra" => self.samples.push(Sample { class: Class::Extra, key, fields: Vec::new() }),
                _ if judged.rows >= u64::try_from(most).unwrap_or(u64::MAX) => self.at_most = true,
                _ => {
                    let wrong = self.judge_row(object, &row, &mut judged)?;
                    if !wrong.is_empty() && shown.len() < MOST_SHOWN {
                        shown.push(Sample { class: Class::Different, key, fields: wrong });
                    }
                }
            }
        }
        self.samples.extend(shown);
        if !self.at_most && judged.rows != self.different {
            return Err(Broken("different rows and their samples").into());
        }
        let not_different = judged.rows - judged.different;
        self.different = self.different.saturating_sub(not_different);
        self.not_evaluated = judged.not_evaluated;
        self.equal_normalised += judged.equal_normalised;
        self.equal += judged.equal;
        Ok(())
    }

    /// Judges the fields of a row that differ in SQL, and returns those that are not equal.
    fn judge_row(
        &mut self,
        object: &Object,
        row: &Row<'_>,
        judged: &mut Judged,
    ) -> Result<Vec<Compared>, Error> {
        let mut wrong = Vec::new();
        let (mut normalised, mut different) = (count(row, "normalised")? > 0, false);
        for ((place, field), counted) in object.fields.iter().enumerate().zip(&mut self.fields) {
            if count(row, &format!("x{place}"))? == 0 {
                continue;
            }
            let compared = judge_field(field, place, row)?;
            let verdict = compared.verdict;
            match verdict {
                Verdict::Different(reason) => {
                    different = true;
                    *counted.reasons.entry(reason).or_default() += 1;
                }
                Verdict::NotEvaluated(_) => {}
                Verdict::EqualNormalised(rule) => {
                    normalised = true;
                    *self.rules.entry(rule).or_default() += 1;
                }
                Verdict::Equal => {}
            }
            if matches!(verdict, Verdict::Different(_) | Verdict::NotEvaluated(_)) {
                wrong.push(compared);
            }
            if !matches!(verdict, Verdict::Different(_)) {
                counted.different = counted.different.saturating_sub(1);
            }
        }
        judged.rows += 1;
        if different {
            *self.causes.entry(cause_of(row)?).or_default() += 1;
        }
        let class = match (different, wrong.is_empty(), normalised) {
            (true, ..) => &mut judged.different,
            (false, false, _) => &mut judged.not_evaluated,
            (false, true, true) => &mut judged.equal_normalised,
            (false, true, false) => &mut judged.equal,
        };
        *class += 1;
        Ok(wrong)
    }

    /// Checks that every row is in exactly one class.
    fn check(&self) -> Result<(), Broken> {
        let Self { source, destination, joined, .. } = self;
        let apart = |side: &SideCount| side.null_keys + side.ambiguous;
        let of_source = apart(source) + joined + self.missing + self.missing_pending + self.not_selected;
        let of_joined =
            self.equal + self.equal_normalised + self.different + self.not_evaluated + self.different_pending;
        let shown = |class: Class| {
            let samples = self.samples.iter().filter(|sample| sample.class == class);
            u64::try_from(samples.count()).unwrap_or(u64::MAX)
        };
        let reasons_fit = self.fields.iter().all(|field| {
            let reasons: u64 = field.reasons.values().sum();
            reasons == field.different || (self.at_most && reasons < field.different)
        });
        let causes: u64 = self.causes.values().sum();
        let checks = [
            (
                "the causes of different rows",
                causes == self.different || (self.at_most && causes < self.different),
            ),
            ("the rows of the source", of_source == source.rows),
            ("the rows of the destination", apart(destination) + joined + self.extra == destination.rows),
            ("the joined rows", of_joined == *joined),
            ("the reasons of different values", reasons_fit),
            ("samples and missing rows", shown(Class::Missing) <= self.missing),
            ("samples and extra rows", shown(Class::Extra) <= self.extra),
            ("samples and different rows", shown(Class::Different) <= self.different + self.not_evaluated),
        ];
        checks.into_iter().find(|(_, holds)| !holds).map_or(Ok(()), |(name, _)| Err(Broken(name)))
    }

    /// Returns the rows that are not known to be equal, in percent of the joined ones.
    pub fn different_percent(&self) -> f64 {
        let unequal = self.different + self.not_evaluated;
        if self.joined == 0 { 0.0 } else { 100.0 * unequal as f64 / self.joined as f64 }
    }

    /// Returns the reasons of the different values of all fields.
    pub fn reasons(&self) -> BTreeMap<Reason, u64> {
        let mut all = BTreeMap::new();
        for (reason, values) in self.fields.iter().flat_map(|field| &field.reasons) {
            *all.entry(*reason).or_default() += values;
        }
        all
    }

    /// Returns whether it is within the limits of its object.
    pub fn is_within(&self, object: &Object) -> bool {
        let limits = object.limits;
        self.missing <= limits.missing
            && self.extra <= limits.extra
            && self.different_percent() <= limits.different_percent
    }
}

/// Reads the answer of [`Statements::one_key`].
///
/// # Errors
/// A column is missing.
pub fn read_records(object: &Object, answer: &Answer) -> Result<Vec<Record>, Error> {
    let is = |row: &Row<'_>, name: &str| Ok::<_, Error>(row.get::<Option<i64>>(name)? == Some(1));
    let record = |row: Row<'_>| {
        let (in_source, in_destination) = (is(&row, "in_source")?, is(&row, "in_destination")?);
        let mut fields = Vec::new();
        for (place, field) in object.fields.iter().enumerate().filter(|_| in_source && in_destination) {
            fields.push(judge_field(field, place, &row)?);
        }
        let (pending, not_selected) = (is(&row, "pending")?, is(&row, "not_selected")?);
        Ok(Record { in_source, in_destination, pending, not_selected, fields })
    };
    answer.rows().map(record).collect()
}

fn judge_field(field: &Field, place: usize, row: &Row<'_>) -> Result<Compared, Error> {
    let value = |name: &str| row.value(&format!("{name}{place}"));
    let (source, destination) = (value("sv")?, value("dv")?);
    let currency = |name: &str| field.currency.as_ref().map(|_| value(name)).transpose();
    let verdict = field.compare(
        Cell { value: source, currency: currency("sc")? },
        Cell { value: destination, currency: currency("dc")? },
    );
    let (source, destination) = (source.clone(), destination.clone());
    Ok(Compared { field: field.destination.clone(), verdict, source, destination })
}

fn cause_of(row: &Row<'_>) -> Result<Cause, Error> {
    Ok(match row.get::<Option<i64>>("later")? {
        Some(1) => Cause::DestinationLater,
        Some(_) => Cause::NotArrived,
        None => Cause::Unknown,
    })
}

/// The number of repeated keys of a side, and of their rows beyond the first.
fn repeated_of(answer: &Answer, side: &str) -> Result<(u64, u64), Error> {
    for row in answer.rows() {
        if row.get::<String>("side")? == side {
            let (keys, rows) = (count(&row, "repeated_keys")?, count(&row, "repeated_rows")?);
            return Ok((keys, rows.saturating_sub(keys)));
        }
    }
    Ok((0, 0))
}

fn count(row: &Row<'_>, name: &str) -> Result<u64, Error> {
    Ok(u64::try_from(row.get::<i64>(name)?).unwrap_or(0))
}

/// Without the trailing zeros of a whole number that was compared as a decimal.
fn shown_key(row: &Row<'_>) -> String {
    match row.value("k") {
        Ok(Value::Decimal(number)) if number.as_str().contains('.') => {
            number.as_str().trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Ok(key) => value_text(key).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// Returns a value as text; `None` is NULL.
pub fn value_text(value: &Value) -> Option<String> {
    value::text(value).unwrap_or_else(|why| Some(why.to_string()))
}

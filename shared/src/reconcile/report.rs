//! The result of a comparison: reads the answers, judges the values that differ in SQL, and checks that the counts add up.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::fault::{Clues, SYSTEMATIC_PERCENT, SYSTEMATIC_ROWS, fault_of};
use super::kind::Kind;
use super::look::{Confirmed, Look, Wrong, digest};
use super::object::{Cell, Field, Object};
use super::sent::Sent;
use super::statements::{MOST_JUDGED, MOST_SHOWN, Statements};
use super::value::{flag, value_text};
use super::verdict::{Broken, Class, Fault, NotCompared, Reason, Rule, Verdict};
use crate::classify::ErrorClass;
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

/// A settled row that is wrong.
#[derive(Clone, PartialEq)]
pub struct Sample {
    pub class: Class,
    pub key: String,
    pub fault: Fault,
    /// The class of the error, if the record was rejected.
    pub rejected: Option<ErrorClass>,
    /// The fields that differ, or were not evaluated; empty unless both sides have the row.
    pub fields: Vec<Compared>,
}

/// Shows no key: it may be personal data.
impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {:?}", self.class, self.fault, self.fields)
    }
}

/// The comparison of one object: counts of rows, unless a figure says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// Of the pending rows, those that are pending for longer than the object allows.
    pub missing_late: u64,
    pub different_late: u64,
    /// Rows that are not the same on both sides, by fault: missing, extra and different ones, those that could not be compared, and
    /// those that are pending, not selected or ambiguous. With `unexamined` they are all of them.
    pub faults: BTreeMap<Fault, u64>,
    /// Wrong rows beyond the most that are judged.
    pub unexamined: u64,
    /// The rejected rows, by the class of the error.
    pub rejections: BTreeMap<ErrorClass, u64>,
    /// The fields that differ in many rows while others do not.
    pub systematic: Vec<String>,
    /// Values that are equal by a rule.
    pub rules: BTreeMap<Rule, u64>,
    /// Whether more rows differ in SQL than were judged: then the different ones are at most so many.
    pub at_most: bool,
    /// When the copy of the destination last synced; `None` if that is not declared, or one side is empty.
    pub copied: Option<Timestamp>,
    /// The keys that were compared. All counts are those of them.
    #[serde(default)]
    pub coverage: Coverage,
    /// At most 20 of each class, in the order of their keys. Not serialized: they have values of records.
    #[serde(skip)]
    pub samples: Vec<Sample>,
    /// The judged rows that are wrong, in no order.
    #[serde(skip)]
    pub wrong: Vec<Wrong>,
}

/// A record of one key, as both sides have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// `None` if nothing is wrong with it.
    pub fault: Option<Fault>,
    /// The class of the error, if the key is among the rejected records of the newest runs.
    pub rejected: Option<ErrorClass>,
    /// When each side last changed (UTC), and who changed the destination.
    pub changed: Option<Timestamp>,
    pub modified: Option<Timestamp>,
    pub modified_by: Option<String>,
    pub in_source: bool,
    pub in_destination: bool,
    pub pending: bool,
    pub not_selected: bool,
    /// Empty unless both sides have the record.
    pub fields: Vec<Compared>,
}

/// The judged rows among those that differ in SQL.
#[derive(Default)]
pub(super) struct Judged {
    pub(super) rows: u64,
    pub(super) different: u64,
    pub(super) not_evaluated: u64,
    pub(super) equal_normalised: u64,
    pub(super) equal: u64,
}

/// A wrong row whose fault is not yet found: that depends on how many rows differ in its fields.
pub(super) struct Suspect {
    clues: Clues,
    rejected: Option<ErrorClass>,
    digest: u64,
    /// A bit for each wrong field, by its place.
    places: u128,
    /// The key and the wrong fields, if they are shown.
    pub(super) shown: Option<(String, Vec<Compared>)>,
}

impl Suspect {
    /// A row with this key and these clues, and its wrong fields.
    pub(super) fn of(object: &Object, sent: &Sent, key: String, clues: Clues, fields: Vec<Compared>) -> Self {
        let place = |field: &Compared| object.fields.iter().position(|one| one.destination == field.field);
        let rejected = sent.rejected.get(&key).copied();
        Self {
            clues: Clues { rejected: rejected.is_some(), ..clues },
            rejected,
            digest: digest(
                clues.class,
                &key,
                fields.iter().map(|one| (one.field.as_str(), &one.source, &one.destination)),
            ),
            places: fields.iter().filter_map(place).fold(0, |places, place| places | 1 << place),
            shown: Some((key, fields)),
        }
    }
}

impl Reconciliation {
    /// Reads the answers of [`Statements::repeated_keys`], [`Statements::counts`] and [`Statements::samples`], the last with at
    /// most so many judged rows of each class.
    ///
    /// # Errors
    /// A count is missing, or an invariant is violated: the error names it.
    pub fn read(
        object: &Object,
        statements: &Statements<'_>,
        sent: &Sent,
        [repeated, counts, samples]: [&Answer; 3],
        most: usize,
    ) -> Result<Self, NotCompared> {
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
        let copied = copied(object, counts)?;
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
            different_pending,
            missing: count("missing")?,
            missing_pending: count("missing_pending")?,
            not_selected: count("not_selected")?,
            extra: count("extra")?,
            missing_late: count("missing_late")?,
            different_late: count("different_late")?,
            fields,
            rules,
            copied,
            coverage: statements.coverage(),
            ..Self::default()
        };
        read.add_fault(Fault::NotRun, count("not_run")?);
        read.judge(object, sent, samples, most)?;
        read.check()?;
        Ok(read)
    }

    /// Judges the rows that differ in SQL, moves those that are equal, and finds the faults of the others.
    fn judge(
        &mut self,
        object: &Object,
        sent: &Sent,
        samples: &Answer,
        most: usize,
    ) -> Result<(), NotCompared> {
        let mut judged = Judged::default();
        let mut suspects: Vec<Suspect> = Vec::new();
        // Of each class: fetched rows, and shown ones.
        let mut counts: BTreeMap<Class, (usize, usize)> = BTreeMap::new();
        for row in samples.rows() {
            let word: String = row.get("class")?;
            let Some(class) = Class::ALL.into_iter().find(|class| class.name() == word) else { continue };
            let (fetched, shown) = counts.entry(class).or_default();
            if *fetched >= most {
                self.at_most |= class == Class::Different;
                continue;
            }
            *fetched += 1;
            let fields = match class {
                Class::Different => self.judge_row(object, &row, &mut judged)?,
                Class::Missing | Class::Extra => Vec::new(),
            };
            if class == Class::Different && fields.is_empty() {
                continue;
            }
            let key = shown_key(&row);
            let clues = clues(object, &row, class, &fields)?;
            let mut suspect = Suspect::of(object, sent, key, clues, fields);
            match *shown < MOST_SHOWN {
                true => *shown += 1,
                false => suspect.shown = None,
            }
            suspects.push(suspect);
        }
        let fetched = |class: Class| {
            counts.get(&class).map_or(0, |(fetched, _)| u64::try_from(*fetched).unwrap_or(u64::MAX))
        };
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        for (class, all, named) in [
            (Class::Missing, self.missing, "missing rows and their samples"),
            (Class::Extra, self.extra, "extra rows and their samples"),
            (Class::Different, self.different, "different rows and their samples"),
        ] {
            if fetched(class) != all.min(most) {
                return Err(Broken(named).into());
            }
            self.unexamined += all.saturating_sub(most);
        }
        self.different = self.different.saturating_sub(judged.rows - judged.different);
        self.not_evaluated = judged.not_evaluated;
        self.equal_normalised += judged.equal_normalised;
        self.equal += judged.equal;
        self.find_faults(suspects);
        Ok(())
    }

    /// Finds the fault of each wrong row, and counts them with the rows that are apart.
    pub(super) fn find_faults(&mut self, suspects: impl IntoIterator<Item = Suspect>) {
        let is_systematic = |field: &&FieldCount| {
            field.different >= SYSTEMATIC_ROWS && field.different * 100 >= self.joined * SYSTEMATIC_PERCENT
        };
        let systematic: Vec<String> =
            self.fields.iter().filter(is_systematic).map(|field| field.field.clone()).collect();
        // If every field differs, it is the rows that are wrong; a single field cannot show it.
        if systematic.len() < self.fields.len().max(2) {
            self.systematic = systematic;
        }
        let places =
            self.fields.iter().enumerate().filter(|(_, field)| self.systematic.contains(&field.field));
        let systematic = places.fold(0_u128, |places, (place, _)| places | 1 << place);
        for suspect in suspects {
            let Suspect { clues, rejected, digest, places: fields, shown } = suspect;
            let fault = fault_of(&Clues { systematic: fields & systematic != 0, ..clues });
            let rejected = rejected.filter(|_| fault == Fault::Rejected);
            let class = clues.class;
            if let Some((key, fields)) = shown {
                self.samples.push(Sample { class, key, fault, rejected, fields });
            }
            self.wrong.push(Wrong { digest, class, fields, fault });
            self.add_fault(fault, 1);
            if let Some(class) = rejected {
                *self.rejections.entry(class).or_default() += 1;
            }
        }
        let not_run = self.faults.remove(&Fault::NotRun).unwrap_or(0);
        let pending = self.missing_pending + self.different_pending;
        self.add_fault(Fault::NotRun, not_run);
        self.add_fault(Fault::Pending, pending.saturating_sub(not_run));
        self.add_fault(Fault::NotSelected, self.not_selected);
        self.add_fault(Fault::AmbiguousKey, self.source.ambiguous + self.destination.ambiguous);
    }

    pub(super) fn add_fault(&mut self, fault: Fault, rows: u64) {
        if rows > 0 {
            *self.faults.entry(fault).or_default() += rows;
        }
    }

    /// Returns the wrong rows, to be remembered until the next look.
    pub fn look(&self) -> Look {
        Look::of(&self.wrong, MOST_JUDGED)
    }

    /// Counts the wrong rows that an earlier look saw with the same values, and those that it did not.
    pub fn confirmed(&self, earlier: &Look) -> Confirmed {
        self.count(|row| earlier.saw(row))
    }

    /// Counts all wrong rows as if they were confirmed.
    pub fn all_wrong(&self) -> Confirmed {
        self.count(|_| true)
    }

    fn count(&self, is_confirmed: impl Fn(&Wrong) -> bool) -> Confirmed {
        let fields: Vec<&str> = self.fields.iter().map(|field| field.field.as_str()).collect();
        Confirmed::of_rows(&self.wrong, &fields, is_confirmed)
    }

    /// Returns the rows that are not the same on both sides, for any reason.
    pub fn unequal(&self) -> u64 {
        let wrong = self.missing + self.extra + self.different + self.not_evaluated;
        let apart = self.missing_pending + self.different_pending + self.not_selected;
        wrong + apart + self.source.ambiguous + self.destination.ambiguous
    }

    /// Judges the fields of a row that differ in SQL, and returns those that are not equal.
    pub(super) fn judge_row(
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
    pub(super) fn check(&self) -> Result<(), Broken> {
        let Self { source, destination, joined, .. } = self;
        let apart = |side: &SideCount| side.null_keys + side.ambiguous;
        let of_source = apart(source) + joined + self.missing + self.missing_pending + self.not_selected;
        let of_joined =
            self.equal + self.equal_normalised + self.different + self.not_evaluated + self.different_pending;
        let reasons_fit = self.fields.iter().all(|field| {
            let reasons: u64 = field.reasons.values().sum();
            reasons == field.different || (self.at_most && reasons < field.different)
        });
        let faults: u64 = self.faults.values().sum();
        let checks = [
            ("the faults of rows", faults + self.unexamined == self.unequal()),
            ("pending and late rows", self.missing_late <= self.missing_pending),
            ("pending and late rows", self.different_late <= self.different_pending),
            ("the rows of the source", of_source == source.rows),
            ("the rows of the destination", apart(destination) + joined + self.extra == destination.rows),
            ("the joined rows", of_joined == *joined),
            ("the reasons of different values", reasons_fit),
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

/// Reads when the copy of the destination last synced from the answer of [`Statements::counts`].
///
/// # Errors
/// The count is missing.
pub fn copied(object: &Object, counts: &Answer) -> Result<Option<Timestamp>, Error> {
    match object.destination.synced {
        Some(_) => counts.only_row()?.get("copied"),
        None => Ok(None),
    }
}

/// Reads the answer of [`Statements::one_key`].
///
/// # Errors
/// A column is missing.
pub fn read_records(object: &Object, key: &str, sent: &Sent, answer: &Answer) -> Result<Vec<Record>, Error> {
    let is = |row: &Row<'_>, name: &str| Ok::<_, Error>(row.get::<Option<i64>>(name)? == Some(1));
    let is_ambiguous = answer.rows().count() > 1;
    let rejected = sent.rejected.get(&object.key.joined(key)).copied();
    let record = |row: Row<'_>| {
        let (in_source, in_destination) = (is(&row, "in_source")?, is(&row, "in_destination")?);
        let mut fields = Vec::new();
        for (place, field) in object.fields.iter().enumerate().filter(|_| in_source && in_destination) {
            fields.push(judge_field(field, place, &row)?);
        }
        let (pending, not_selected) = (is(&row, "pending")?, is(&row, "not_selected")?);
        let class = match (in_source, in_destination) {
            (true, true) => Class::Different,
            (true, false) => Class::Missing,
            _ => Class::Extra,
        };
        let found = Clues { rejected: rejected.is_some(), ..clues(object, &row, class, &fields)? };
        let is_equal =
            |field: &Compared| matches!(field.verdict, Verdict::Equal | Verdict::EqualNormalised(_));
        let fault = match class {
            _ if is_ambiguous => Some(Fault::AmbiguousKey),
            Class::Different if fields.iter().all(is_equal) => None,
            _ if pending => Some(Fault::Pending),
            _ => Some(fault_of(&found)),
        };
        let time = |name: &str, column: &Option<String>| match column {
            Some(_) => row.get::<Option<Timestamp>>(name),
            None => Ok(None),
        };
        Ok(Record {
            fault,
            rejected,
            changed: time("changed", &object.source.changed)?,
            modified: time("modified", &object.destination.changed)?,
            modified_by: match object.destination.modified_by {
                Some(_) => value_text(row.value("by_user")?),
                None => None,
            },
            in_source,
            in_destination,
            pending,
            not_selected,
            fields,
        })
    };
    answer.rows().map(record).collect()
}

/// Reads what is known of a row. `fields` are its judged fields; one that is not among them is equal.
pub(super) fn clues(
    object: &Object,
    row: &Row<'_>,
    class: Class,
    fields: &[Compared],
) -> Result<Clues, Error> {
    // SQLite may give a flag as text, if it is NULL in the first row.
    let flag = |name: &str| row.value(name).map(|value| flag(value).unwrap_or(None));
    // The field by which the syncs write the source's time of change.
    let version = object.fields.iter().find(|field| {
        matches!(field.kind, Kind::Instant) && object.source.changed.as_ref() == Some(&field.source)
    });
    let arrived = version.map(|version| {
        let differs = |field: &&Compared| matches!(field.verdict, Verdict::Different(_));
        !fields.iter().filter(differs).any(|field| field.field == version.destination)
    });
    Ok(Clues {
        class,
        left_out: flag("left_out")? == Some(true),
        rejected: false,
        later: flag("later")?,
        by_integration: flag("by_integration")?,
        arrived,
        deleted: flag("deleted")? == Some(true),
        systematic: false,
    })
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

fn shown_key(row: &Row<'_>) -> String {
    row.value("k").map(key_text).unwrap_or_default()
}

/// Without the trailing zeros of a whole number that was compared as a decimal.
pub(super) fn key_text(key: &Value) -> String {
    match key {
        Value::Decimal(number) if number.as_str().contains('.') => {
            number.as_str().trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        key => value_text(key).unwrap_or_default(),
    }
}

//! Compares the records of both sides, object by object. Reads only; values are hidden unless the operator asks for them.

use std::fmt;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use syncwatch::classify::identifier;
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::{
    self, Class, MOST_JUDGED, MOST_SHOWN, Object, Reconciliation, Record, Sample, Statements, Verdict,
    read_records, value_text,
};
use syncwatch::runtime::env;
use syncwatch::sql::{BadName, Value};
use syncwatch::text::{bounded, counted, grouped, minute_utc, table};
use syncwatch::warehouse::{Limits, Warehouse};

use super::error::Error;
use super::{Answer, Operator, Outcome, WAREHOUSE_START_LIMIT};

/// The most characters of a value that is shown.
const VALUE_CHARS: usize = 200;
/// The limits of one statement: it may compare tables of millions of rows.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(300),
    rows: MOST_JUDGED + 2 * MOST_SHOWN + 1,
    bytes: 64 << 20,
    value_bytes: 16 << 10,
};

/// A requested comparison.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Comparison {
    /// Object in pipeline.toml [default: all objects]
    #[arg(value_parser = super::arguments::text())]
    pub object: Option<String>,
    /// Compare only the record with this key, field by field
    #[arg(long, value_name = "ID", value_parser = super::arguments::text())]
    pub key: Option<String>,
    /// Print only the wrong records, one field a line
    #[arg(long, value_name = "FORMAT", conflicts_with = "key")]
    pub out: Option<Format>,
    /// Show values, which may be personal data
    #[arg(long)]
    pub show: bool,
}

/// The format of a list of wrong records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Csv,
    Jsonl,
}

/// The comparison of objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    pub pipeline: String,
    pub at: Timestamp,
    pub objects: Vec<ComparedObject>,
}

/// The comparison of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedObject {
    pub object: String,
    /// Whether it is within its limits; `None` if it could not be compared.
    pub within_limits: Option<bool>,
    pub error: Option<String>,
    pub counts: Option<Reconciliation>,
    pub samples: Vec<SampleLine>,
}

/// A wrong record, or one of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleLine {
    pub object: String,
    /// `missing`, `extra` or `different`.
    pub class: String,
    pub key: String,
    pub field: Option<String>,
    pub source: Option<String>,
    pub destination: Option<String>,
    pub verdict: Option<String>,
}

/// The record of one key in each object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedKey {
    pub key: String,
    pub records: Vec<ComparedRecord>,
}

/// The rows of a key, one of each side; several if the key is ambiguous.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedRecord {
    pub object: String,
    pub in_source: bool,
    pub in_destination: bool,
    pub pending: bool,
    pub not_selected: bool,
    pub fields: Vec<ComparedField>,
}

/// The values of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedField {
    pub field: String,
    pub source: String,
    pub destination: String,
    pub verdict: String,
}

/// Answers a request with a warehouse.
pub async fn answer(
    warehouse: &Warehouse,
    pipeline: &Pipeline,
    asked: &Comparison,
    now: Timestamp,
) -> Result<Answer, Error> {
    let objects = chosen(pipeline, asked.object.as_deref())?;
    if let Some(key) = &asked.key {
        return one_key(warehouse, &objects, key, asked.show, now).await;
    }
    let mut compared = Compared { pipeline: pipeline.name.clone(), at: now, objects: Vec::new() };
    for object in objects {
        let found = compare(warehouse, object, now).await;
        compared.objects.push(ComparedObject::of(object, found, asked.show));
    }
    let is_good = compared.objects.iter().all(|object| object.within_limits == Some(true));
    let outcome = Outcome::done_if(is_good);
    Ok(match asked.out {
        None => Answer::new(outcome, &compared, &compared),
        Some(format) => Answer::new(outcome, compared.lines(format), &compared),
    })
}

/// Compares one object by three statements.
pub async fn compare(
    warehouse: &Warehouse,
    object: &Object,
    now: Timestamp,
) -> Result<Reconciliation, Error> {
    let statements = statements(warehouse, object, now);
    let repeated = warehouse.query(&statements.repeated_keys().map_err(bad_name)?).await?;
    let any = !repeated.is_empty();
    let counts = warehouse.query(&statements.counts(any).map_err(bad_name)?).await?;
    let samples = warehouse.query(&statements.samples(any, MOST_JUDGED).map_err(bad_name)?).await?;
    Reconciliation::read(object, &statements, [&repeated, &counts, &samples], MOST_JUDGED)
        .map_err(Error::plain)
}

fn statements<'o>(warehouse: &Warehouse, object: &'o Object, now: Timestamp) -> Statements<'o> {
    let settled = now.saturating_sub(object.settle).unwrap_or(Timestamp::UNIX_EPOCH);
    Statements::new(object, warehouse.dialect(), settled)
}

fn bad_name(error: BadName) -> Error {
    Error::plain(format!("pipeline.toml: {error}"))
}

fn chosen<'p>(pipeline: &'p Pipeline, wanted: Option<&str>) -> Result<Vec<&'p Object>, Error> {
    if pipeline.objects.is_empty() {
        return Err(Error::new(
            "pipeline.toml has no [[objects]]",
            "declare the tables, key and fields of one",
        ));
    }
    let Some(wanted) = wanted else { return Ok(pipeline.objects.iter().collect()) };
    let found = pipeline.objects.iter().find(|object| object.name == wanted);
    found.map(|object| vec![object]).ok_or_else(|| {
        let names: Vec<&str> = pipeline.objects.iter().map(|object| object.name.as_str()).collect();
        Error::new(format!("unknown object `{wanted}`"), format!("declared: {}", names.join(", ")))
    })
}

async fn one_key(
    warehouse: &Warehouse,
    objects: &[&Object],
    key: &str,
    show: bool,
    now: Timestamp,
) -> Result<Answer, Error> {
    let mut compared = ComparedKey { key: key.to_owned(), records: Vec::new() };
    let mut is_good = true;
    for object in objects {
        let Some(statement) = statements(warehouse, object, now).one_key(key).map_err(bad_name)? else {
            continue;
        };
        let records = read_records(object, &warehouse.query(&statement).await?)?;
        is_good &= records.len() <= 1;
        for record in records {
            is_good &= is_right(&record);
            compared.records.push(ComparedRecord::of(&object.name, record, show));
        }
    }
    is_good &= !compared.records.is_empty();
    Ok(Answer::new(Outcome::done_if(is_good), &compared, &compared))
}

/// Returns whether nothing is wrong with a record, or not yet.
fn is_right(record: &Record) -> bool {
    let Record { in_source, in_destination, pending, not_selected, fields } = record;
    let is_equal = |verdict: &Verdict| matches!(verdict, Verdict::Equal | Verdict::EqualNormalised(_));
    *pending
        || (*in_source && *not_selected && !in_destination)
        || (*in_source && *in_destination && fields.iter().all(|field| is_equal(&field.verdict)))
}

impl ComparedObject {
    fn of(object: &Object, found: Result<Reconciliation, Error>, show: bool) -> Self {
        let name = object.name.clone();
        match found {
            Ok(found) => Self {
                within_limits: Some(found.is_within(object)),
                error: None,
                samples: found
                    .samples
                    .iter()
                    .flat_map(|sample| SampleLine::of(&name, sample, show))
                    .collect(),
                counts: Some(found),
                object: name,
            },
            Err(error) => Self {
                object: name,
                within_limits: None,
                error: Some(error.to_string()),
                counts: None,
                samples: Vec::new(),
            },
        }
    }
}

impl SampleLine {
    fn of(object: &str, sample: &Sample, show: bool) -> Vec<Self> {
        let Sample { class, key, fields } = sample;
        let class = match class {
            Class::Missing => "missing",
            Class::Extra => "extra",
            Class::Different => "different",
        };
        let key = if show { bounded(key, VALUE_CHARS) } else { identifier(key) };
        let line = Self {
            object: object.to_owned(),
            class: class.to_owned(),
            key,
            field: None,
            source: None,
            destination: None,
            verdict: None,
        };
        if fields.is_empty() {
            return vec![line];
        }
        let of_field = |compared: &reconcile::Compared| Self {
            field: Some(compared.field.clone()),
            source: Some(shown(&compared.source, show)),
            destination: Some(shown(&compared.destination, show)),
            verdict: Some(compared.verdict.to_string()),
            ..line.clone()
        };
        fields.iter().map(of_field).collect()
    }

    fn cells(&self) -> [String; 7] {
        let known = |cell: &Option<String>| cell.clone().unwrap_or_default();
        let Self { object, class, key, .. } = self;
        let [field, source, destination, verdict] =
            [&self.field, &self.source, &self.destination, &self.verdict].map(known);
        [object.clone(), class.clone(), key.clone(), field, source, destination, verdict]
    }
}

impl ComparedRecord {
    fn of(object: &str, record: Record, show: bool) -> Self {
        let field = |compared: reconcile::Compared| ComparedField {
            field: compared.field,
            source: shown(&compared.source, show),
            destination: shown(&compared.destination, show),
            verdict: compared.verdict.to_string(),
        };
        Self {
            object: object.to_owned(),
            in_source: record.in_source,
            in_destination: record.in_destination,
            pending: record.pending,
            not_selected: record.not_selected,
            fields: record.fields.into_iter().map(field).collect(),
        }
    }
}

/// Returns a value for people; without `show` only its length, as it may be personal data.
fn shown(value: &Value, show: bool) -> String {
    match value_text(value) {
        None => "NULL".to_owned(),
        Some(text) if show => bounded(&text, VALUE_CHARS),
        Some(text) => format!("[{}]", counted(text.chars().count(), "character")),
    }
}

const HEAD: [&str; 7] = ["object", "class", "key", "field", "source", "destination", "verdict"];

impl Compared {
    /// Lists the wrong records, one field a line.
    fn lines(&self, format: Format) -> String {
        let samples = self.objects.iter().flat_map(|object| &object.samples);
        let lines: Vec<String> = match format {
            Format::Jsonl => samples.filter_map(|line| serde_json::to_string(line).ok()).collect(),
            Format::Csv => {
                let head = HEAD.map(str::to_owned);
                std::iter::once(head).chain(samples.map(SampleLine::cells)).map(|cells| csv(&cells)).collect()
            }
        };
        lines.join("\n")
    }
}

/// Joins cells by RFC 4180; a cell that a spreadsheet would run as a formula gets an apostrophe.
fn csv(cells: &[String]) -> String {
    let cell = |cell: &String| {
        let inert = if cell.starts_with(['=', '+', '-', '@', '\t']) { "'" } else { "" };
        format!("\"{inert}{}\"", cell.replace('"', "\"\""))
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |object: &ComparedObject, read: fn(&Reconciliation) -> u64| {
            object.counts.as_ref().map_or_else(String::new, |counts| grouped(read(counts)))
        };
        let row = |object: &ComparedObject| {
            let verdict = match (object.within_limits, &object.error) {
                (Some(true), _) => "within limits".to_owned(),
                (Some(false), _) => "beyond limits".to_owned(),
                (None, _) => "not compared".to_owned(),
            };
            let at_most = object.counts.as_ref().is_some_and(|counts| counts.at_most);
            let different = figure(object, |counts| counts.different);
            [
                object.object.clone(),
                figure(object, |counts| counts.source.rows),
                figure(object, |counts| counts.destination.rows),
                figure(object, |counts| counts.equal),
                figure(object, |counts| counts.equal_normalised),
                if at_most { format!("at most {different}") } else { different },
                figure(object, |counts| counts.missing),
                figure(object, |counts| counts.extra),
                figure(object, |counts| counts.missing_pending + counts.different_pending),
                verdict,
            ]
        };
        let rows: Vec<[String; 10]> = self.objects.iter().map(row).collect();
        let head = [
            "object",
            "source",
            "destination",
            "equal",
            "equal by rule",
            "different",
            "missing",
            "extra",
            "pending",
            "result",
        ];
        write!(f, "{}", table(head, &rows))?;
        for object in &self.objects {
            object.details(f)?;
        }
        let samples: Vec<[String; 7]> =
            self.objects.iter().flat_map(|object| &object.samples).map(SampleLine::cells).collect();
        if !samples.is_empty() {
            write!(f, "\n\n{}", table(HEAD, &samples))?;
        }
        Ok(())
    }
}

impl ComparedObject {
    /// Lists everything that is not in the table.
    fn details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.object;
        if let Some(error) = &self.error {
            return write!(f, "\n{name}: {error}");
        }
        let Some(counts) = &self.counts else { return Ok(()) };
        if let Some(copied) = counts.copied {
            write!(f, "\n{name}: compared with the copy as of {}", minute_utc(copied))?;
        }
        let apart = [
            ("not selected on purpose", counts.not_selected),
            ("with a value that could not be compared", counts.not_evaluated),
            ("without a key in the source", counts.source.null_keys),
            ("without a key in the destination", counts.destination.null_keys),
            ("with an ambiguous key in the source", counts.source.ambiguous),
            ("with an ambiguous key in the destination", counts.destination.ambiguous),
        ];
        for (words, rows) in apart.into_iter().filter(|(_, rows)| *rows > 0) {
            write!(f, "\n{name}: {} {words}", counted(rows, "row"))?;
        }
        for field in counts.fields.iter().filter(|field| field.different > 0) {
            write!(f, "\n{name}: {} differs in {}", field.field, counted(field.different, "row"))?;
            for (reason, values) in &field.reasons {
                write!(f, "\n  {}: {reason}", counted(*values, "value"))?;
            }
        }
        for (cause, rows) in &counts.causes {
            write!(f, "\n{name}: {} different: {cause}", counted(*rows, "row"))?;
        }
        for (rule, values) in &counts.rules {
            write!(f, "\n{name}: {} equal by rule: {rule}", counted(*values, "value"))?;
        }
        Ok(())
    }
}

impl fmt::Display for ComparedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.records.is_empty() {
            return write!(f, "No object has the key {} on either side.", self.key);
        }
        for (place, record) in self.records.iter().enumerate() {
            if place > 0 {
                write!(f, "\n\n")?;
            }
            let sides = match (record.in_source, record.in_destination) {
                (true, true) => "on both sides",
                (true, false) => "only in the source",
                _ => "only in the destination",
            };
            write!(f, "{} {}: {sides}", record.object, self.key)?;
            if record.pending {
                write!(f, ", changed too recently to be judged")?;
            }
            if record.not_selected {
                write!(f, ", not selected on purpose")?;
            }
            if !record.fields.is_empty() {
                let rows: Vec<[String; 4]> = record
                    .fields
                    .iter()
                    .map(|field| {
                        let ComparedField { field, source, destination, verdict } = field.clone();
                        [field, source, destination, verdict]
                    })
                    .collect();
                write!(f, "\n{}", table(["field", "source", "destination", "verdict"], &rows))?;
            }
        }
        Ok(())
    }
}

impl Operator {
    /// Compares declared objects.
    pub(super) async fn compare_objects(&self, asked: &Comparison) -> Result<Answer, Error> {
        // Named wrongly is found before a warehouse starts.
        chosen(&self.pipeline, asked.object.as_deref())?;
        let secret = || self.setting(env::WAREHOUSE_SECRET);
        let base_url = self.env.optional(env::DATABRICKS_URL.name);
        let warehouse = self.warehouse_by(secret, base_url, LIMITS, WAREHOUSE_START_LIMIT).await?;
        answer(&warehouse, &self.pipeline, asked, self.now).await
    }
}

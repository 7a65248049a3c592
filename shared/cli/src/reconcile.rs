//! Compares the records of both sides, object by object. Reads only; values are hidden unless the operator asks for them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use syncwatch::census::Client;
use syncwatch::classify::identifier;
use syncwatch::observe::objects::{self, compare, sent};
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::{
    self, Coverage, Fault, NotCompared, Object, Reconciliation, Record, Sample, Sent, Verdict, value_text,
};
use syncwatch::sql::Value;
use syncwatch::text::{bounded, counted, grouped, minute_utc, table};
use syncwatch::warehouse::Databases;

use super::error::Error;
use super::{Answer, Operator, Outcome, progress};

/// The most characters of a value that is shown.
const VALUE_CHARS: usize = 200;

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
    /// List why records are not the same, each with the next step
    #[arg(long, conflicts_with_all = ["key", "out"])]
    pub explain: bool,
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
    /// Why records are not the same, with `--explain`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultLine>,
    pub samples: Vec<SampleLine>,
}

/// The rows of one fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultLine {
    pub fault: Fault,
    pub rows: u64,
    pub next_step: String,
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
    pub fault: Fault,
    /// The class of the error, if the record was rejected.
    pub rejected: Option<String>,
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
    /// Why it is not the same; `None` if nothing is wrong.
    pub fault: Option<Fault>,
    pub next_step: Option<String>,
    /// The class of the error, if the record was rejected.
    pub rejected: Option<String>,
    /// When each side last changed (UTC), and who changed the destination.
    pub changed: Option<Timestamp>,
    pub modified: Option<Timestamp>,
    pub modified_by: Option<String>,
    /// The start of the last successful run of each sync that can have sent it (UTC); `None` if none is known.
    pub runs: BTreeMap<String, Option<Timestamp>>,
}

/// The values of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedField {
    pub field: String,
    pub source: String,
    pub destination: String,
    pub verdict: String,
}

/// Answers a request. Without a client of Census, runs and rejected records are unknown.
pub async fn answer(
    databases: &Databases,
    census: Option<&Client>,
    pipeline: &Pipeline,
    asked: &Comparison,
    now: Timestamp,
) -> Result<Answer, Error> {
    let mut objects = Vec::new();
    for object in chosen(pipeline, asked.object.as_deref())? {
        let sent = match census {
            Some(census) => sent(census, pipeline, object).await,
            None => Sent::default(),
        };
        objects.push((object, sent));
    }
    if let Some(key) = &asked.key {
        return one_key(databases, &objects, key, asked.show, now).await;
    }
    let mut compared = Compared { pipeline: pipeline.name.clone(), at: now, objects: Vec::new() };
    for (object, sent) in &objects {
        let found = compare(databases, object, sent, Coverage::All, Arc::new(progress::read), now).await;
        compared.objects.push(ComparedObject::of(object, found, asked));
    }
    let is_good = compared.objects.iter().all(|object| object.within_limits == Some(true));
    let outcome = Outcome::done_if(is_good);
    Ok(match asked.out {
        None => Answer::new(outcome, &compared, &compared),
        Some(format) => Answer::new(outcome, compared.lines(format), &compared),
    })
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
    databases: &Databases,
    objects: &[(&Object, Sent)],
    key: &str,
    show: bool,
    now: Timestamp,
) -> Result<Answer, Error> {
    let mut compared = ComparedKey { key: key.to_owned(), records: Vec::new() };
    let mut is_good = true;
    for (object, sent) in objects {
        let records = objects::one_key(databases, object, key, sent, now).await;
        let Some(records) = records.map_err(|error| Error::plain(error.to_string()))? else { continue };
        is_good &= records.len() <= 1;
        for record in records {
            is_good &= is_right(&record);
            compared.records.push(ComparedRecord::of(object, record, sent, show));
        }
    }
    is_good &= !compared.records.is_empty();
    Ok(Answer::new(Outcome::done_if(is_good), &compared, &compared))
}

/// Returns whether nothing is wrong with a record, or not yet.
fn is_right(record: &Record) -> bool {
    let Record { in_source, in_destination, pending, not_selected, fields, .. } = record;
    let is_equal = |verdict: &Verdict| matches!(verdict, Verdict::Equal | Verdict::EqualNormalised(_));
    *pending
        || (*in_source && *not_selected && !in_destination)
        || (*in_source && *in_destination && fields.iter().all(|field| is_equal(&field.verdict)))
}

impl ComparedObject {
    fn of(object: &Object, found: Result<Reconciliation, NotCompared>, asked: &Comparison) -> Self {
        let name = object.name.clone();
        match found {
            Ok(found) => Self {
                within_limits: Some(found.is_within(object)),
                error: None,
                samples: found
                    .samples
                    .iter()
                    .flat_map(|sample| SampleLine::of(&name, sample, asked.show))
                    .collect(),
                faults: if asked.explain { FaultLine::of(&found) } else { Vec::new() },
                counts: Some(found),
                object: name,
            },
            Err(error) => Self {
                object: name,
                within_limits: None,
                error: Some(error.to_string()),
                counts: None,
                faults: Vec::new(),
                samples: Vec::new(),
            },
        }
    }
}

impl FaultLine {
    fn of(found: &Reconciliation) -> Vec<Self> {
        let line = |(fault, rows): (&Fault, &u64)| Self {
            fault: *fault,
            rows: *rows,
            next_step: fault.next_step().to_owned(),
        };
        found.faults.iter().map(line).collect()
    }
}

impl SampleLine {
    fn of(object: &str, sample: &Sample, show: bool) -> Vec<Self> {
        let Sample { class, key, fault, rejected, fields } = sample;
        let key = if show { bounded(key, VALUE_CHARS) } else { identifier(key) };
        let line = Self {
            object: object.to_owned(),
            class: class.name().to_owned(),
            key,
            field: None,
            source: None,
            destination: None,
            verdict: None,
            fault: *fault,
            rejected: rejected.map(|class| class.id().to_owned()),
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

    fn cells(&self) -> [String; 8] {
        let known = |cell: &Option<String>| cell.clone().unwrap_or_default();
        let Self { object, class, key, fault, .. } = self;
        let [field, source, destination, verdict] =
            [&self.field, &self.source, &self.destination, &self.verdict].map(known);
        let fault = match &self.rejected {
            Some(class) => format!("{} ({class})", word(*fault)),
            None => word(*fault),
        };
        [object.clone(), class.clone(), key.clone(), field, source, destination, verdict, fault]
    }
}

/// Returns the word of a fault in lists and JSON.
fn word(fault: Fault) -> String {
    serde_json::to_value(fault).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

impl ComparedRecord {
    fn of(object: &Object, record: Record, sent: &Sent, show: bool) -> Self {
        let field = |compared: reconcile::Compared| ComparedField {
            field: compared.field,
            source: shown(&compared.source, show),
            destination: shown(&compared.destination, show),
            verdict: compared.verdict.to_string(),
        };
        Self {
            object: object.name.clone(),
            fault: record.fault,
            next_step: record.fault.map(|fault| fault.next_step().to_owned()),
            rejected: record.rejected.map(|class| class.id().to_owned()),
            changed: record.changed,
            modified: record.modified,
            modified_by: record
                .modified_by
                .map(|user| if show { bounded(&user, VALUE_CHARS) } else { identifier(&user) }),
            runs: object
                .syncs
                .iter()
                .map(|sync| (sync.clone(), sent.runs.get(sync).copied().flatten()))
                .collect(),
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

const HEAD: [&str; 8] = ["object", "class", "key", "field", "source", "destination", "verdict", "fault"];

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
            let verdict = match object.within_limits {
                Some(true) => "within limits".to_owned(),
                Some(false) => "beyond limits".to_owned(),
                None => "not compared".to_owned(),
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
        let samples: Vec<[String; 8]> =
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
            ("pending for too long", counts.missing_late + counts.different_late),
            ("beyond the most that are examined", counts.unexamined),
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
        for (fault, rows) in &counts.faults {
            write!(f, "\n{name}: {}: {fault}", counted(*rows, "row"))?;
            for line in self.faults.iter().filter(|line| line.fault == *fault) {
                write!(f, "\n  next step: {}", line.next_step)?;
            }
            let rejections = counts.rejections.iter().filter(|_| *fault == Fault::Rejected);
            for (class, rows) in rejections {
                write!(f, "\n  {}: {}", counted(*rows, "row"), class.id())?;
            }
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
            record.history(f)?;
        }
        Ok(())
    }
}

impl ComparedRecord {
    /// Lists when each side changed, what the syncs did, and the fault.
    fn history(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(changed) = self.changed {
            write!(f, "\nsource last changed: {}", minute_utc(changed))?;
        }
        if let Some(modified) = self.modified {
            let by = self.modified_by.as_ref().map_or_else(String::new, |user| format!(" by {user}"));
            write!(f, "\ndestination last changed: {}{by}", minute_utc(modified))?;
        }
        for (sync, run) in &self.runs {
            let run = run.map_or_else(|| "unknown".to_owned(), minute_utc);
            write!(f, "\nlast successful run of {sync}: {run}")?;
        }
        if let Some(class) = &self.rejected {
            write!(f, "\nrejected in the newest run with rejected records: {class}")?;
        }
        if let (Some(fault), Some(next)) = (self.fault, &self.next_step) {
            write!(f, "\nwhy: {fault}\nnext step: {next}")?;
        }
        Ok(())
    }
}

impl Operator {
    /// Compares declared objects.
    pub(super) async fn compare_objects(&self, asked: &Comparison) -> Result<Answer, Error> {
        // Named wrongly is found before a warehouse starts.
        let objects = chosen(&self.pipeline, asked.object.as_deref())?;
        let databases = self.databases(&objects).await?;
        let census = self.census().await;
        let mut answer = answer(&databases, census.as_ref().ok(), &self.pipeline, asked, self.now).await?;
        if let (Err(error), None) = (census, asked.out) {
            answer.text.push_str(&format!("\nruns and rejected records are unknown: {error}"));
        }
        Ok(answer)
    }
}

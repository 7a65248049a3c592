//! Field mappings and views: what syncs write, and drift from the accepted definition.

use std::collections::BTreeSet;

use super::{Area, Row, Seen, State, action, operators, owner, unknown};
use crate::baseline::{Change, Part, Relation, SyncDefinition, UnknownPart, What};
use crate::finding::{Check, Outcome};
use crate::judge::mapping;
use crate::pipeline::{Pipeline, Sync};
use crate::reconcile::bare_name;
use crate::text::{counted, minute_utc, named, plain_line};

/// The most names or changes in a row.
const NAMED: usize = 20;

/// The rows of field mappings: unmapped, unused and deprecated fields, and changes of syncs.
pub(super) fn mappings(seen: &Seen, pipeline: &Pipeline) -> Vec<Row> {
    let mut rows = unmapped(seen, pipeline);
    for sync in &pipeline.syncs {
        rows.push(unused(seen, pipeline, sync));
        rows.push(deprecated(seen, pipeline, sync));
    }
    rows.push(drift(seen, pipeline, Area::FieldMappings, "syncs", |subject| subject.starts_with("sync ")));
    rows
}

/// Fields that syncs write and objects do not compare, or the other way round.
fn unmapped(seen: &Seen, pipeline: &Pipeline) -> Vec<Row> {
    if pipeline.objects.is_empty() {
        let how = "declare [[objects]]: syncwatch objects propose SYNC";
        return vec![Row::new(Area::FieldMappings, "unmapped fields", unknown(how), "no object is declared")];
    }
    let findings = mapping::judge(pipeline, &seen.live.definition.syncs).into_iter();
    let row = |finding: crate::finding::Finding| {
        let owner = owner(pipeline, Check::UnmappedField, &finding.subject);
        let subject = format!("unmapped fields of {}", finding.subject);
        let (state, evidence, figures) = match finding.outcome {
            Outcome::Healthy { evidence } => (State::Ok, evidence.summary, Vec::new()),
            Outcome::Unhealthy { evidence, .. } => {
                let state = action(owner, "follow syncwatch explain unmapped-field");
                (state, evidence.summary, evidence.figures)
            }
            Outcome::NotEvaluated { why } => {
                let how = "name its syncs in [[objects]], and check that Census answers: syncwatch doctor";
                (unknown(how), why.to_string(), Vec::new())
            }
        };
        let details = figures.iter().map(|figure| format!("{}: {}", figure.name, figure.text()));
        Row::new(Area::FieldMappings, subject, state, evidence).with(details.collect())
    };
    findings.map(row).collect()
}

/// A part of a definition, or the reason why it is unknown.
fn known<'p, T>(part: &'p Part<T>, what: &str) -> Result<&'p T, String> {
    match part {
        Part::Known(value) => Ok(value),
        Part::Unknown(why) => Err(format!("{what}: {}", plain_line(why))),
    }
}

/// The definition of a sync in Census.
fn definition<'s>(seen: &'s Seen, key: &str) -> Result<&'s SyncDefinition, String> {
    let part = seen.live.definition.syncs.get(key).ok_or("the sync does not exist in Census")?;
    known(part, "the sync")
}

/// The columns of a table or view with their types, and whether it is a view.
type Columns<'s> = (&'s [(String, String)], bool);

fn columns<'s>(seen: &'s Seen, table: &str) -> Result<Columns<'s>, String> {
    let relation = seen.live.definition.relations.get(table).or_else(|| seen.sources.get(table));
    let relation =
        relation.ok_or_else(|| format!("{table} does not exist, or our account may not read it"))?;
    let Relation { kind, columns, .. } = known(relation, table)?;
    let is_view = kind.known().is_some_and(|kind| kind.to_ascii_uppercase().contains("VIEW"));
    Ok((known(columns, table)?, is_view))
}

/// Columns of the view of a sync that no sync writes. A table has columns of its own, which may be there for others.
fn unused(seen: &Seen, pipeline: &Pipeline, sync: &Sync) -> Row {
    let subject = format!("unused columns of {}", sync.key);
    let row = |state, evidence: String| Row::new(Area::FieldMappings, subject.clone(), state, evidence);
    let read = || {
        let of_sync = definition(seen, &sync.key)?;
        let table = of_sync.table().ok_or("Census shows no table or view of the sync")?;
        Ok::<_, String>((of_sync, table, columns(seen, table)?))
    };
    let (of_sync, table, (columns, is_view)) = match read() {
        Ok(read) => read,
        Err(why) => return row(unknown("compare its source with its mappings in Census"), why),
    };
    // Every sync that reads the same source counts.
    let same = |other: &&SyncDefinition| other.table() == Some(table);
    let syncs = seen.live.definition.syncs.values().filter_map(Part::known).filter(same);
    let mut mappings = Vec::new();
    for of_sync in syncs.chain([of_sync]) {
        match known(&of_sync.mappings, "mappings") {
            Ok(of_sync) => mappings.extend(of_sync.iter().map(|mapping| mapping.from.to_lowercase())),
            Err(why) => return row(unknown("compare its source with its mappings in Census"), why),
        }
    }
    let unused: Vec<&str> = columns
        .iter()
        .map(|(column, _)| column.as_str())
        .filter(|column| !mappings.contains(&column.to_lowercase()))
        .collect();
    let counts = format!("{} of {} of {table}", unused.len(), counted(columns.len(), "column"));
    match (unused.len(), is_view) {
        (0, _) => row(State::Ok, format!("{table}: all {} are written", counted(columns.len(), "column"))),
        (_, false) => {
            row(State::Ok, format!("{counts} are not written; it is a table, so others may use them"))
        }
        (_, true) => {
            let what = "map each in Census, or drop it from the view, unless the view needs it";
            let row = row(action(owner(pipeline, Check::RunFailed, &sync.key), what), counts);
            row.with(vec![named(&unused, NAMED, unused.len())])
        }
    }
}

/// Mappings whose column is gone from the source, or whose field is gone from the copy of the destination.
fn deprecated(seen: &Seen, pipeline: &Pipeline, sync: &Sync) -> Row {
    let subject = format!("deprecated fields of {}", sync.key);
    let row = |state, evidence: String| Row::new(Area::FieldMappings, subject.clone(), state, evidence);
    let how = "compare its mappings in Census with both sides";
    let Some(object) = pipeline.objects.iter().find(|object| object.syncs.contains(&sync.key)) else {
        let how = "add the sync to `syncs` of its [[objects]] in pipeline.toml";
        return row(unknown(how), "no object names the sync".to_owned());
    };
    let read = || {
        let of_sync = definition(seen, &sync.key)?;
        let source = of_sync.table().map(|table| columns(seen, table)).transpose()?;
        Ok::<_, String>((
            known(&of_sync.mappings, "mappings")?,
            source,
            columns(seen, &object.destination.table)?,
        ))
    };
    let (mappings, source, (copy, _)) = match read() {
        Ok(read) => read,
        Err(why) => return row(unknown(how), why),
    };
    let there: BTreeSet<String> = copy
        .iter()
        .map(|(column, _)| bare_name(column))
        .chain(object.not_compared.iter().map(|name| bare_name(name)))
        .collect();
    let mut gone = Vec::new();
    for mapping in mappings {
        let of_column = source.filter(|_| mapping.is_column());
        let has_column = |(columns, _): Columns<'_>| {
            columns.iter().any(|(column, _)| column.eq_ignore_ascii_case(&mapping.from))
        };
        if of_column.is_some_and(|source| !has_column(source)) {
            gone.push(format!(
                "{}: its column {} is gone",
                plain_line(&mapping.to),
                plain_line(&mapping.from)
            ));
        } else if !there.contains(&bare_name(&mapping.to)) {
            gone.push(format!("{}: not in {}", plain_line(&mapping.to), object.destination.table));
        }
    }
    if gone.is_empty() {
        return row(State::Ok, format!("all {} exist on both sides", counted(mappings.len(), "mapping")));
    }
    let what = "remove each from Census, or name it in not_compared of its [[objects]] if it is not copied";
    let evidence = format!("{} of {}", gone.len(), counted(mappings.len(), "mapping"));
    gone.truncate(NAMED);
    row(action(owner(pipeline, Check::RunFailed, &sync.key), what), evidence).with(gone)
}

/// The row of views: drift since they were accepted.
pub(super) fn views(seen: &Seen, pipeline: &Pipeline) -> Vec<Row> {
    vec![drift(seen, pipeline, Area::Views, "tables and views", |subject| subject.starts_with("relation "))]
}

/// Whether a change is one of rights, which the rows of access have.
pub(super) fn is_of_rights(change: &Change) -> bool {
    matches!(change.what, What::GrantAdded | What::GrantRevoked | What::OwnerChanged)
}

/// Whether an unknown part is one of rights alone.
pub(super) fn is_right(part: &UnknownPart) -> bool {
    part.what.ends_with(": grants") || part.what.ends_with(": owner")
}

/// The row about what differs from the accepted definition, among the subjects of a kind.
pub(super) fn drift(
    seen: &Seen,
    pipeline: &Pipeline,
    area: Area,
    what: &str,
    is_of: impl Fn(&str) -> bool,
) -> Row {
    let is_changed = |change: &Change| !is_of_rights(change) && is_of(&change.subject);
    let is_unknown = |part: &UnknownPart| !is_right(part) && is_of(part.subject());
    compared(seen, pipeline, (area, format!("drift of {what}")), is_changed, is_unknown)
}

/// The row about the changes and the unknown parts of a kind.
pub(super) fn compared(
    seen: &Seen,
    pipeline: &Pipeline,
    (area, subject): (Area, String),
    is_of: impl Fn(&Change) -> bool,
    is_unknown: impl Fn(&UnknownPart) -> bool,
) -> Row {
    let row = |state, evidence: String| Row::new(area, subject.clone(), state, evidence);
    let accepted = match &seen.accepted {
        Ok(Some(accepted)) => accepted,
        Ok(None) => {
            let what = "check the live definition and accept it: syncwatch baseline accept";
            return row(action(operators(pipeline), what), "no definition is accepted".to_owned());
        }
        Err(why) => return Row::unread(area, subject, why),
    };
    let (changes, parts) = seen.live.compare(Some(&accepted.definition), pipeline, seen.at);
    let changes: Vec<&Change> = changes.iter().filter(|change| is_of(change)).collect();
    if !changes.is_empty() {
        let state = action(operators(pipeline), "undo each change, or accept it: syncwatch baseline diff");
        let lines = changes.iter().take(NAMED).map(ToString::to_string).collect();
        return row(state, format!("{} not accepted", counted(changes.len(), "change"))).with(lines);
    }
    let parts: Vec<&UnknownPart> = parts.iter().filter(|part| is_unknown(part)).collect();
    if let Some(first) = parts.first() {
        let evidence =
            format!("{} not read: {}: {}", counted(parts.len(), "part"), first.what, plain_line(&first.why));
        return row(unknown("give the missing right, then syncwatch baseline diff"), evidence);
    }
    let acceptance = &accepted.acceptance;
    let accepted = format!("as accepted by {} at {}", plain_line(&acceptance.by), minute_utc(acceptance.at));
    let since = match (&seen.before, &seen.acceptances) {
        (Ok(Some(before)), Ok(all)) => {
            let since = all.iter().filter(|acceptance| acceptance.at >= before.audit.at).count();
            format!("; {} since the audit before", counted(since, "acceptance"))
        }
        _ => String::new(),
    };
    row(State::Ok, accepted + &since)
}

//! The comparison of two definitions.

use std::collections::{BTreeMap, BTreeSet};

use super::text::{changed_lines, masked};
use super::{
    CONSTANT, Change, Definition, Deployment, Mapping, OUR_DEPLOYMENT, Part, Relation, SyncDefinition, What,
    of_relation, of_sync,
};
use crate::sql::Dialect;
use crate::text::{bounded, plain_line};

/// The most characters of a name.
const LONGEST_NAME: usize = 200;

/// Lists the changes from the accepted definition to the live one, gravest first. A part that is unknown on either side is no
/// change, nor are comments, white space and the case of SQL words.
pub fn diff(accepted: &Definition, live: &Definition, dialect: Dialect) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, before, after) in pairs(&accepted.syncs, &live.syncs) {
        let mut on = Subject { name: of_sync(key), dialect, changes: &mut changes };
        match (before, after) {
            (Some(_), None) => on.add(What::SyncMissing, None, Vec::new()),
            (None, Some(_)) => on.add(What::SyncAdded, None, Vec::new()),
            (Some(Part::Known(before)), Some(Part::Known(after))) => on.sync(before, after),
            _ => {}
        }
    }
    for (name, before, after) in pairs(&accepted.relations, &live.relations) {
        let mut on = Subject { name: of_relation(name), dialect, changes: &mut changes };
        match (before, after) {
            (Some(_), None) => on.add(What::RelationMissing, None, Vec::new()),
            (None, Some(_)) => on.add(What::RelationAdded, None, Vec::new()),
            (Some(Part::Known(before)), Some(Part::Known(after))) => on.relation(before, after),
            _ => {}
        }
    }
    let mut on = Subject { name: OUR_DEPLOYMENT.to_owned(), dialect, changes: &mut changes };
    on.deployment(&accepted.deployment, &live.deployment);
    changes.sort_by_key(|change: &Change| std::cmp::Reverse(change.severity));
    changes
}

/// Yields the entries of both maps by their keys.
fn pairs<'m, T, U>(
    before: &'m BTreeMap<T, U>,
    after: &'m BTreeMap<T, U>,
) -> impl Iterator<Item = (&'m T, Option<&'m U>, Option<&'m U>)>
where
    T: Ord,
{
    let keys: BTreeSet<&T> = before.keys().chain(after.keys()).collect();
    keys.into_iter().map(|key| (key, before.get(key), after.get(key)))
}

/// The subject that is compared.
struct Subject<'c> {
    name: String,
    dialect: Dialect,
    changes: &'c mut Vec<Change>,
}

impl Subject<'_> {
    fn add(&mut self, what: What, part: Option<&str>, lines: Vec<String>) {
        let shown = |name: &str| bounded(&plain_line(name), LONGEST_NAME);
        let (subject, part) = (shown(&self.name), part.map(shown));
        let severity = what.severity();
        self.changes.push(Change { severity, what, subject, part, lines, shows_values: false });
    }

    /// Marks the last change as one whose lines show values.
    fn with_values(&mut self, shows_values: bool) {
        if let Some(last) = self.changes.last_mut() {
            last.shows_values = shows_values;
        }
    }

    fn deployment(&mut self, before: &Deployment, after: &Deployment) {
        for ((kind, before), (_, after)) in before.kinds().into_iter().zip(after.kinds()) {
            let (Part::Known(before), Part::Known(after)) = (before, after) else { continue };
            for (name, before, after) in pairs(before, after) {
                let name = format!("{kind} {name}");
                match (before, after) {
                    (Some(before), Some(after)) => self.settings(&name, before, after),
                    (Some(_), None) => self.add(What::PartMissing, Some(&name), Vec::new()),
                    _ => self.add(What::PartAdded, Some(&name), Vec::new()),
                }
            }
        }
    }

    fn settings(&mut self, of: &str, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
        for (setting, before, after) in pairs(before, after).filter(|(_, before, after)| before != after) {
            let what = match setting.as_str() {
                "code" => What::CodeChanged,
                "actions" => What::ActionsChanged,
                _ => What::SettingChanged,
            };
            let text = |value: Option<&String>| value.cloned().unwrap_or_default();
            let lines = changed_lines(&text(before), &text(after));
            self.add(what, Some(&format!("{setting} of {of}")), lines);
        }
    }

    fn sync(&mut self, before: &SyncDefinition, after: &SyncDefinition) {
        self.line(What::OperationChanged, &before.operation, &after.operation);
        self.line(What::ScheduleChanged, &before.schedule, &after.schedule);
        self.line(What::SourceChanged, &before.source, &after.source);
        self.line(What::DestinationChanged, &before.destination, &after.destination);
        self.sql(What::QueryChanged, &before.query, &after.query);
        if let (Part::Known(before), Part::Known(after)) = (&before.alerts, &after.alerts)
            && before != after
        {
            self.add(What::AlertsChanged, None, changed_lines(&lines_of(before), &lines_of(after)));
        }
        if let (Part::Known(before), Part::Known(after)) = (&before.mappings, &after.mappings) {
            self.mappings(before, after);
        }
    }

    /// Compares the fields by their name in the destination; a field may have several mappings.
    fn mappings(&mut self, before: &[Mapping], after: &[Mapping]) {
        let keys = |mappings: &[Mapping]| -> BTreeSet<String> {
            mappings.iter().filter(|mapping| mapping.key).map(|mapping| mapping.to.clone()).collect()
        };
        let (old, new) = (keys(before), keys(after));
        if old != new {
            self.add(What::KeyChanged, None, changed_lines(&lines_of(&old), &lines_of(&new)));
        }
        for (to, old, new) in pairs(&by_field(before), &by_field(after)) {
            match (old, new) {
                (Some(old), None) => {
                    self.add(What::MappingLost, Some(to), changed_lines(&sources(old, false), ""));
                }
                (None, Some(new)) => {
                    self.add(What::MappingAdded, Some(to), changed_lines("", &sources(new, false)));
                }
                (Some(old), Some(new)) if sources(old, true) != sources(new, true) => {
                    // The values of constants are shown only if nothing else differs.
                    let values = sources(old, false) == sources(new, false);
                    let lines = changed_lines(&sources(old, values), &sources(new, values));
                    self.add(What::MappingChanged, Some(to), lines);
                    self.with_values(values);
                }
                _ => {}
            }
        }
    }

    fn relation(&mut self, before: &Relation, after: &Relation) {
        self.line(What::KindChanged, &before.kind, &after.kind);
        self.line(What::OwnerChanged, &before.owner, &after.owner);
        self.sql(What::TextChanged, &before.text, &after.text);
        if let (Part::Known(before), Part::Known(after)) = (&before.columns, &after.columns) {
            self.columns(before, after);
        }
        if let (Part::Known(before), Part::Known(after)) = (&before.grants, &after.grants) {
            for revoked in before.difference(after) {
                self.add(What::GrantRevoked, Some(revoked), Vec::new());
            }
            for granted in after.difference(before) {
                self.add(What::GrantAdded, Some(granted), Vec::new());
            }
        }
    }

    fn columns(&mut self, before: &[(String, String)], after: &[(String, String)]) {
        let types = |columns: &[(String, String)]| columns.iter().cloned().collect::<BTreeMap<_, _>>();
        let (old, new) = (types(before), types(after));
        for (column, old, new) in pairs(&old, &new) {
            match (old, new) {
                (Some(old), None) => self.add(What::ColumnLost, Some(column), changed_lines(old, "")),
                (None, Some(new)) => self.add(What::ColumnAdded, Some(column), changed_lines("", new)),
                (Some(old), Some(new)) if old != new => {
                    self.add(What::ColumnRetyped, Some(column), changed_lines(old, new));
                }
                _ => {}
            }
        }
        let order =
            |columns: &[(String, String)]| columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        // Lost and added columns move others.
        if old == new && order(before) != order(after) {
            self.add(What::ColumnsReordered, None, Vec::new());
        }
    }

    fn line(&mut self, what: What, before: &Part<String>, after: &Part<String>) {
        if let (Part::Known(before), Part::Known(after)) = (before, after)
            && before != after
        {
            self.add(what, None, changed_lines(before, after));
        }
    }

    fn sql(&mut self, what: What, before: &Part<String>, after: &Part<String>) {
        if let (Part::Known(before), Part::Known(after)) = (before, after)
            && before != after
        {
            let (shown_before, shown_after) = (masked(before, self.dialect), masked(after, self.dialect));
            // String literals are masked, unless only they differ.
            let values = shown_before == shown_after;
            let (before, after) = if values { (before, after) } else { (&shown_before, &shown_after) };
            self.add(what, None, changed_lines(before, after));
            self.with_values(values);
        }
    }
}

fn lines_of(lines: &BTreeSet<String>) -> String {
    lines.iter().cloned().collect::<Vec<_>>().join("\n")
}

fn by_field(mappings: &[Mapping]) -> BTreeMap<&str, Vec<&Mapping>> {
    let mut fields: BTreeMap<&str, Vec<&Mapping>> = BTreeMap::new();
    for mapping in mappings {
        fields.entry(&mapping.to).or_default().push(mapping);
    }
    fields
}

/// Lists the sources of a field in words, sorted.
fn sources(mappings: &[&Mapping], values: bool) -> String {
    let words = |mapping: &&Mapping| match mapping.kind.as_str() {
        CONSTANT if !values => CONSTANT.to_owned(),
        kind => format!("{kind} {}", mapping.from),
    };
    mappings.iter().map(words).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("\n")
}

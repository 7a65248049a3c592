//! Proposes the declaration of an object from the mappings of a sync and the catalog of the warehouse.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use syncwatch::advise;
use syncwatch::baseline::{Part, Relation, SyncDefinition};
use syncwatch::data_checks::{Rule, object_name};
use syncwatch::observe::definition::{limits, relations};
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::bare_name;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::text::plain_line;

use super::arguments::Proposing;
use super::error::Error;
use super::{Answer, Operator, WAREHOUSE_START_LIMIT};

/// Columns of a source that usually hold the time of a row's last change.
const CHANGED: [&str; 4] = ["updated_at", "modified_at", "last_modified_at", "last_modified_date"];

/// A proposed declaration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    pub sync: String,
    /// The `[[objects]]` block; its comments name what to check.
    pub toml: String,
    /// Mapped fields that it does not compare.
    pub left_out: Vec<LeftOut>,
}

/// A mapped field that is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub field: String,
    pub why: String,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.toml)
    }
}

/// A table or view, with its columns in their order and their types in lower case; `None` if the catalog does not show them.
#[derive(Debug, Clone)]
struct Side {
    table: String,
    columns: Option<Vec<(String, String)>>,
}

impl Side {
    fn new(table: &str, relations: &BTreeMap<String, Part<Relation>>) -> Self {
        let columns = relations.get(table).and_then(Part::known).and_then(|found| found.columns.known());
        let lower = |(name, of_type): &(String, String)| (name.clone(), of_type.to_lowercase());
        let columns = columns.filter(|columns| !columns.is_empty());
        Self { table: table.to_owned(), columns: columns.map(|all| all.iter().map(lower).collect()) }
    }

    /// Finds a column with its type. One of an unknown table is taken as it is, and one that a known table lacks is `None`.
    fn column(&self, name: &str, is_it: impl Fn(&str) -> bool) -> Option<(String, String)> {
        match &self.columns {
            Some(columns) => columns.iter().find(|(column, _)| is_it(column)).cloned(),
            None => Some((name.to_owned(), String::new())),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.columns.iter().flatten().any(|(column, _)| column == name)
    }
}

/// The name of a field of Salesforce in Fivetran's naming, as far as it is documented: lower case, words of camel case and runs
/// of underscores joined by one underscore.
fn copied_name(field: &str) -> String {
    let mut name = String::new();
    for c in field.chars() {
        if c.is_ascii_uppercase()
            && name.ends_with(|last: char| last.is_ascii_lowercase() || last.is_ascii_digit())
        {
            name.push('_');
        }
        if c != '_' || !name.ends_with('_') {
            name.push(c);
        }
    }
    name.to_ascii_lowercase()
}

/// Returns the keys of a field after its columns, such as `kind = "text"`, by the types of both columns and the field's name.
fn kind(field: &str, source: &str, destination: &str, zone: &str) -> String {
    let base = |of_type: &str| of_type.split(['(', ' ']).next().unwrap_or_default().to_owned();
    let (from, to) = (base(source), base(destination));
    let either = |names: &[&str]| names.iter().any(|name| *name == from || *name == to);
    let numbers = |of_type: &str| -> Vec<u32> {
        let inside = of_type
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'))
            .map_or("", |(inside, _)| inside);
        inside.split(',').filter_map(|number| number.trim().parse().ok()).collect()
    };
    let whole = ["int", "integer", "bigint", "smallint", "tinyint", "long"];
    if either(&["boolean", "bool"]) {
        "kind = \"flag\"".to_owned()
    } else if to == "date" && from.starts_with("timestamp") {
        format!("kind = \"date\", source_zone = {}", quoted(zone))
    } else if from == "date" || to == "date" {
        "kind = \"date\"".to_owned()
    } else if from.starts_with("timestamp") || to.starts_with("timestamp") || to == "datetime" {
        "kind = \"instant\"".to_owned()
    } else if whole.contains(&from.as_str()) {
        "kind = \"number\", scale = 0".to_owned()
    } else if either(&["decimal", "numeric", "double", "real", "float"]) || whole.contains(&to.as_str()) {
        let of_source = numbers(source).get(1).copied();
        format!("kind = \"number\", scale = {}", of_source.unwrap_or(2).min(18))
    } else if field == "Id" || field.ends_with("Id") {
        "kind = \"salesforce-id\"".to_owned()
    } else {
        let length = numbers(destination).first().copied().filter(|length| *length > 0);
        format!("kind = \"text\"{}", length.map(|most| format!(", max_length = {most}")).unwrap_or_default())
    }
}

/// Quotes a text. TOML reads the escapes of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A name that `[[objects]]` accepts: lower case, digits and hyphens.
fn object_key(sync: &str) -> String {
    let key: String =
        sync.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let key = key.trim_matches('-');
    let starts = key.starts_with(|c: char| c.is_ascii_lowercase());
    format!("{}{key}", if starts { "" } else { "object-" }).chars().take(64).collect()
}

/// A field that is compared.
struct Compared {
    source: String,
    destination: String,
    kind: String,
    note: &'static str,
}

/// The fields of a sync, sorted into those that are compared, the key, and those that are left out.
#[derive(Default)]
struct Sorted {
    key: Option<(String, String, &'static str)>,
    fields: Vec<Compared>,
    left_out: Vec<LeftOut>,
    /// Fields that are written from a column and left out.
    not_compared: Vec<String>,
}

fn sorted(pipeline: &Pipeline, sync: &SyncDefinition, source: &Side, destination: &Side) -> Sorted {
    let mut sorted = Sorted::default();
    let mut seen = BTreeSet::new();
    for mapping in sync.mappings.known().into_iter().flatten() {
        let field = plain_line(&mapping.to);
        let mut leave = |why: String| sorted.left_out.push(LeftOut { field: field.clone(), why });
        if !mapping.is_column() {
            leave(format!("its value is not a column: {}", plain_line(&mapping.kind)));
            continue;
        }
        let here = source.column(&mapping.from, |column| column.eq_ignore_ascii_case(&mapping.from));
        let bare = bare_name(&mapping.to);
        let there = destination.column(&copied_name(&mapping.to), |column| bare_name(column) == bare);
        let usable = |name: &str| pipeline.dialect().quote(name).is_ok() && !name.contains(char::is_control);
        let (here, there) = match (here, there) {
            (Some(here), Some(there)) if usable(&here.0) && usable(&there.0) => (here, there),
            (None, _) => {
                leave(format!(
                    "{} has no column {}; a view or model computes it",
                    source.table,
                    plain_line(&mapping.from)
                ));
                sorted.not_compared.push(mapping.to.clone());
                continue;
            }
            (_, None) => {
                let table = &destination.table;
                leave(format!("{table} has no such column; formula fields are not copied by default"));
                sorted.not_compared.push(mapping.to.clone());
                continue;
            }
            _ => {
                leave("its column has an unusual name".to_owned());
                sorted.not_compared.push(mapping.to.clone());
                continue;
            }
        };
        if !seen.insert(there.0.clone()) {
            leave(format!("{} is compared already", plain_line(&there.0)));
            continue;
        }
        let kind = kind(&mapping.to, &here.1, &there.1, pipeline.time_zone.iana_name().unwrap_or("UTC"));
        if mapping.key && sorted.key.is_none() {
            let kind = match kind.as_str() {
                "kind = \"number\", scale = 0" => "integer",
                "kind = \"salesforce-id\"" => "salesforce-id",
                _ => "text",
            };
            sorted.key = Some((here.0, there.0, kind));
            continue;
        }
        let note =
            if here.1.is_empty() || there.1.is_empty() { "  # types unknown: check the kind" } else { "" };
        sorted.fields.push(Compared { source: here.0, destination: there.0, kind, note });
    }
    sorted
}

/// Builds the declaration.
fn propose(
    pipeline: &Pipeline,
    key: &str,
    sync: &SyncDefinition,
    (source, destination): (&Side, &Side),
) -> Result<Proposal, Error> {
    if let Part::Unknown(why) = &sync.mappings {
        return Err(Error::new(format!("mappings of {key} unknown: {why}"), "syncwatch census probe"));
    }
    let Sorted { key: of_key, fields, left_out, not_compared } = sorted(pipeline, sync, source, destination);
    let Some((here, there, of_kind)) = of_key else {
        let hint = "name the tables with --source and --destination";
        return Err(Error::new(
            format!("the primary identifier of {key} is not a column of both tables"),
            hint,
        ));
    };
    if fields.is_empty() {
        let hint = "name the tables with --source and --destination";
        return Err(Error::new(format!("{key} writes no field that both tables have"), hint));
    }
    let mut lines = vec![
        format!("# Proposed from the mappings of {key}. Check every line: kinds come from the types of columns only."),
        "# A picklist looks like text: use \"choice\", or \"choices\" for several values. An amount with a currency is \"money\"."
            .to_owned(),
        "[[objects]]".to_owned(),
        format!("name = {}", quoted(&object_key(key))),
        format!(
            "key = {{ source = {}, destination = {}, kind = \"{of_kind}\" }}",
            quoted(&here),
            quoted(&there)
        ),
        "# Add the other syncs that write the same records.".to_owned(),
        format!("syncs = [{}]", quoted(key)),
    ];
    if let Some(changed) = CHANGED.iter().find(|name| source.has(name)) {
        let of_copy = "last_modified_date";
        let of_copy = destination.has(of_copy).then(|| format!(", destination = \"{of_copy}\""));
        lines.push(format!("changed = {{ source = \"{changed}\"{} }}", of_copy.unwrap_or_default()));
    } else {
        lines.push("# Without changed = { source = \"...\" }, the time of a row's last change, no change is pending.".to_owned());
    }
    lines.push("fields = [".to_owned());
    for field in &fields {
        let (source, destination) = (quoted(&field.source), quoted(&field.destination));
        let Compared { kind, note, .. } = field;
        lines.push(format!("  {{ source = {source}, destination = {destination}, {kind} }},{note}"));
    }
    lines.push("]".to_owned());
    lines.extend(left_out.iter().map(|LeftOut { field, why }| format!("# Left out: {field}: {why}")));
    if !not_compared.is_empty() {
        let names: Vec<String> = not_compared.iter().map(|name| quoted(name)).collect();
        lines.push(format!("not_compared = [{}]", names.join(", ")));
    }
    lines.push("# Rows that the sync leaves out on purpose: where here, or not_selected above.".to_owned());
    lines.push(format!("[objects.source]\ntable = {}", quoted(&source.table)));
    lines.push(format!("[objects.destination]\ntable = {}", quoted(&destination.table)));
    if destination.has("_fivetran_synced") {
        lines.push("synced = \"_fivetran_synced\"".to_owned());
    }
    if destination.has("_fivetran_deleted") {
        lines.push("deleted = \"_fivetran_deleted\"".to_owned());
        lines.push("where = [{ column = \"_fivetran_deleted\", not = true }]".to_owned());
    }
    Ok(Proposal { sync: key.to_owned(), toml: lines.join("\n"), left_out })
}

/// Pairs of tables that the file compares already.
fn pairs(pipeline: &Pipeline) -> Vec<(&str, &str)> {
    let of_objects = pipeline
        .objects
        .iter()
        .map(|object| (object.source.table.as_str(), object.destination.table.as_str()));
    let of_checks = pipeline.checks.iter().filter_map(|check| match &check.rule {
        Rule::Coverage { destination, .. } => Some((check.table.as_str(), destination.table.as_str())),
        _ => None,
    });
    of_objects.chain(of_checks).collect()
}

/// Guesses the table behind what a sync reads: a view or model often selects only the rows that wait.
fn source_table(pipeline: &Pipeline, sync: &SyncDefinition, text: Option<&str>) -> Option<String> {
    let text = text.or(sync.query.known().map(String::as_str)).filter(|text| !text.is_empty());
    let read = text.and_then(|text| advise::Definition::read(text, pipeline.dialect()));
    let behind = pairs(pipeline).into_iter().map(|(source, _)| source);
    let behind = behind.clone().find(|table| read.as_ref().is_some_and(|read| read.reads(table)));
    behind.or_else(|| sync.table()).map(str::to_owned)
}

/// Guesses the copy of the object that a sync writes: by its name, else as the file pairs it with the source.
fn destination_table(pipeline: &Pipeline, sync: &SyncDefinition, source: &str) -> Option<String> {
    let object = sync.destination.known()?.split(',').next()?;
    let names = [bare_name(object), bare_name(object.trim_end_matches("__c"))];
    let last = |table: &str| bare_name(table.rsplit('.').next().unwrap_or_default());
    let by_name =
        pipeline.relations().into_iter().find(|table| *table != source && names.contains(&last(table)));
    let paired = || pairs(pipeline).into_iter().find(|(from, _)| *from == source).map(|(_, to)| to);
    by_name.or_else(paired).map(str::to_owned)
}

impl Operator {
    /// Proposes an object from the mappings of a sync. It only reads.
    pub(super) async fn propose_object(&self, asked: &Proposing) -> Result<Answer, Error> {
        let Proposing::Propose { sync: key, source, destination } = asked;
        let pipeline = &self.pipeline;
        let Some(declared) = pipeline.sync(key) else {
            return Err(Error::new(format!("unknown sync {key}"), "syncwatch check-config"));
        };
        let (_, sync) = self.census().await?.get_definition(declared.id).await?;
        let warehouse = self.warehouse(limits()).await?;
        let read = async |names: BTreeSet<&str>| {
            relations(names, pipeline.dialect(), Asker::new(&warehouse, WAREHOUSE_START_LIMIT)).await
        };
        let source = match (source, sync.table()) {
            (Some(source), _) => Some(source.clone()),
            (None, Some(view)) => {
                let found = read([view].into()).await;
                let text = found.get(view).and_then(Part::known).and_then(|found| found.text.known());
                source_table(pipeline, &sync, text.map(String::as_str))
            }
            (None, None) => source_table(pipeline, &sync, None),
        };
        let lacking = |what: &str| {
            Error::new(format!("the {what} table of {key} is unknown"), format!("name it with --{what}"))
        };
        let source = source.ok_or_else(|| lacking("source"))?;
        let destination = destination.clone().or_else(|| destination_table(pipeline, &sync, &source));
        let destination = destination.ok_or_else(|| lacking("destination"))?;
        for table in [&source, &destination] {
            object_name(pipeline.dialect(), table).map_err(Error::plain)?;
        }
        let found = read([source.as_str(), &destination].into()).await;
        let sides = [source, destination].map(|table| Side::new(&table, &found));
        Ok(Answer::done(&propose(pipeline, key, &sync, (&sides[0], &sides[1]))?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use syncwatch::baseline::Mapping;
    use syncwatch::reconcile::{KeyKind, Kind, Object};

    use super::*;

    const FILE: &str = include_str!("../../../infra/pipeline.toml");

    fn pipeline() -> Pipeline {
        Pipeline::parse(FILE).unwrap()
    }

    fn side(table: &str, columns: &[(&str, &str)]) -> Side {
        let columns =
            columns.iter().map(|(name, of_type)| ((*name).to_owned(), (*of_type).to_owned())).collect();
        Side { table: table.to_owned(), columns: Some(columns) }
    }

    fn mapping(from: &str, kind: &str, to: &str) -> Mapping {
        let key = to == "SF_Property_ID__c";
        Mapping { from: from.to_owned(), kind: kind.to_owned(), to: to.to_owned(), key }
    }

    fn sync(mappings: Vec<Mapping>) -> SyncDefinition {
        SyncDefinition { mappings: Part::Known(mappings), ..SyncDefinition::default() }
    }

    /// Reads a proposal with the project's own parser.
    fn parsed(proposal: &Proposal) -> Object {
        let file = FILE.split("[[objects]]").next().unwrap();
        let text = format!("{file}\n{}", proposal.toml);
        Pipeline::parse(&text).unwrap_or_else(|error| panic!("{error}\n{}", proposal.toml)).objects.remove(0)
    }

    fn seed() -> (SyncDefinition, Side, Side) {
        let sync = sync(vec![
            mapping("PROPERTY_ID", "column", "SF_Property_ID__c"),
            mapping("company_name", "column", "CompanyName__c"),
            mapping("units", "column", "Units__c"),
            mapping("rent", "column", "Rent__c"),
            mapping("is_live", "column", "Is_Live__c"),
            mapping("updated_at", "column", "Source_Version__c"),
            mapping("updated_at", "column", "Changed_On__c"),
            mapping("owner", "column", "OwnerId"),
            mapping("email", "column looked up by User.Email", "Agent__c"),
            mapping("secret-constant", "constant_value", "Origin__c"),
            mapping("rent", "column", "Yearly_Rent__c"),
            mapping("row_hash", "column", "Hash__c"),
        ]);
        let source = side(
            "crm.rds.properties",
            &[
                ("property_id", "bigint"),
                ("company_name", "string"),
                ("units", "int"),
                ("rent", "decimal(10,3)"),
                ("is_live", "boolean"),
                ("updated_at", "timestamp"),
                ("owner", "string"),
                ("email", "string"),
            ],
        );
        let destination = side(
            "crm.salesforce.product_property",
            &[
                ("sf_property_id_c", "bigint"),
                ("company_name_c", "varchar(255)"),
                ("units_c", "double"),
                ("rent_c", "double"),
                ("is_live_c", "boolean"),
                ("source_version_c", "timestamp"),
                ("changed_on_c", "date"),
                ("owner_id", "string"),
                ("hash_c", "string"),
                ("last_modified_date", "timestamp"),
                ("_fivetran_synced", "timestamp"),
                ("_fivetran_deleted", "boolean"),
            ],
        );
        (sync, source, destination)
    }

    #[test]
    fn proposal_of_a_sync_reads_well_and_is_read_back() {
        let (sync, source, destination) = seed();
        let proposal = propose(&pipeline(), "properties-update", &sync, (&source, &destination)).unwrap();
        insta::assert_snapshot!(proposal.toml);
        assert!(!proposal.toml.contains("secret-constant"), "a constant may be a value");
        let object = parsed(&proposal);
        let kinds: Vec<&str> = object.fields.iter().map(|field| field.kind.name()).collect();
        assert_eq!(kinds, ["text", "number", "number", "flag", "instant", "date", "salesforce-id"]);
        assert_eq!(object.fields[0].kind, Kind::Text { max_length: Some(255) });
        assert_eq!((object.key, object.source.changed.as_deref()), (KeyKind::Integer, Some("updated_at")));
        assert_eq!(object.not_compared, ["Yearly_Rent__c", "Hash__c"]);
        let left_out: Vec<&str> = proposal.left_out.iter().map(|left| left.field.as_str()).collect();
        assert_eq!(left_out, ["Agent__c", "Origin__c", "Yearly_Rent__c", "Hash__c"]);
    }

    #[test]
    fn names_are_guessed_where_the_catalog_shows_nothing() {
        let (sync, source, _) = seed();
        let unknown = Side { table: "crm.salesforce.property".to_owned(), columns: None };
        let object = parsed(&propose(&pipeline(), "properties-update", &sync, (&source, &unknown)).unwrap());
        let names: Vec<&str> = object.fields.iter().take(2).map(|field| field.destination.as_str()).collect();
        assert_eq!(names, ["company_name_c", "units_c"]);
    }

    #[test]
    fn sync_without_key_or_fields_is_an_error() {
        let (mut sync, source, destination) = seed();
        let of = |sync: &SyncDefinition| {
            propose(&pipeline(), "properties-update", sync, (&source, &destination)).unwrap_err().lines()
        };
        let Part::Known(mappings) = &mut sync.mappings else { panic!() };
        let key = mappings.remove(0);
        assert!(of(&sync).contains("primary identifier"), "{}", of(&sync));
        sync.mappings = Part::Known(vec![key]);
        assert!(of(&sync).contains("writes no field"));
        sync.mappings = Part::default();
        assert!(of(&sync).contains("not recorded"));
    }

    #[test]
    fn tables_are_those_that_the_file_pairs() {
        let pipeline = pipeline();
        let mut sync = SyncDefinition {
            source: Part::Known("table crm.sfdc_dbx.properties_to_update".to_owned()),
            destination: Part::Known("Property__c".to_owned()),
            ..SyncDefinition::default()
        };
        let view = "SELECT p.property_id FROM crm.rds.properties p";
        let source = source_table(&pipeline, &sync, Some(view)).unwrap();
        assert_eq!(source, "crm.rds.properties");
        assert_eq!(source_table(&pipeline, &sync, None).unwrap(), "crm.sfdc_dbx.properties_to_update");
        let copy = Some("crm.salesforce.product_property".to_owned());
        assert_eq!(destination_table(&pipeline, &sync, &source), copy);
        assert_eq!(destination_table(&pipeline, &sync, "crm.rds.companies"), None);
        sync.destination = Part::Known("Product_Property__c".to_owned());
        assert_eq!(destination_table(&pipeline, &sync, "crm.rds.companies"), copy);
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof!["[A-Za-z][A-Za-z0-9_]{0,12}(__c)?", "\\PC{1,8}", any::<String>()]
    }

    proptest! {
        #[test]
        fn proposal_parses_whatever_the_names_are(
            mappings in prop::collection::vec((name(), name(), "column|constant_value|[ -~]{0,9}"), 1..8),
            types in prop::collection::vec("string|timestamp|date|decimal\\([0-9]{1,2},[0-9]{1,2}\\)|int|\\PC{0,6}", 8),
            known in any::<bool>(),
            sync_key in "properties-(create|update)",
        ) {
            let mut all: Vec<Mapping> = mappings.iter().map(|(from, to, kind)| mapping(from, kind, to)).collect();
            all[0].key = true;
            let columns = |copied: bool| {
                let name = |(from, to, _): &(String, String, String)| if copied { copied_name(to) } else { from.clone() };
                known.then(|| mappings.iter().map(name).zip(types.clone()).collect())
            };
            let source = Side { table: "crm.rds.homes".to_owned(), columns: columns(false) };
            let destination = Side { table: "crm.salesforce.home".to_owned(), columns: columns(true) };
            if let Ok(proposal) = propose(&pipeline(), &sync_key, &sync(all), (&source, &destination)) {
                prop_assert!(!parsed(&proposal).fields.is_empty());
            }
        }
    }
}

//! The READMEs match the code.

use std::fs;
use std::path::{Path, PathBuf};

use syncwatch::finding::Check;
use syncwatch::runbook::{TEXT, sections};
use syncwatch_lab::aws::FunctionsTable;

const BEGIN: &str = "<!-- checks -->\n";
const END: &str = "<!-- /checks -->\n";
/// The file with the table of checks.
const CHECKS: &str = "shared/README.md";
/// Set by `make docs-tables`: differences are written to the file instead of failing the test.
const REWRITE: &str = "SYNCWATCH_REWRITE_TABLES";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// Builds the table of checks: each check with its rule, under the runbook's chapter that explains it.
fn table() -> String {
    let sections = sections(TEXT);
    let mut table = "| | check | rule |\n| --- | --- | --- |\n".to_owned();
    let mut last = "";
    for section in &sections {
        let Some(check) = Check::from_id(&section.anchor) else { continue };
        let chapter = if section.chapter == last { "" } else { section.chapter };
        last = section.chapter;
        let rule = check.rule();
        table.push_str(&format!(
            "| {chapter} | [`{check}`](../infra/runbook/OPERATIONS_RUNBOOK.md#{check}) | {rule} |\n"
        ));
    }
    table
}

#[test]
fn table_of_checks_matches_the_code() {
    let (readme, table) = (fs::read_to_string(root().join(CHECKS)).unwrap(), table());
    for check in Check::ALL {
        assert!(table.contains(&format!("[`{check}`]")), "the runbook has no section for {check}");
    }
    let (before, rest) = readme.split_once(BEGIN).expect("the beginning of the table is marked");
    let (found, after) = rest.split_once(END).expect("the end of the table is marked");
    if std::env::var_os(REWRITE).is_some() && found != table {
        fs::write(root().join(CHECKS), [before, BEGIN, &table, END, after].concat()).unwrap();
        return;
    }
    assert_eq!(found, table, "{CHECKS} is out of date: run `make docs-tables`");
}

#[test]
fn data_flow_diagram_names_every_function() {
    let readme = readme();
    let (_, rest) = readme.split_once("```mermaid\n").expect("README.md has a diagram");
    let diagram = rest.split("```").next().unwrap();
    let table = FunctionsTable::read(&root().join("infra/functions.json")).unwrap();
    for function in table.functions.keys() {
        assert!(diagram.contains(&format!("[{function}]")), "the diagram lacks {function}");
    }
}

#[test]
fn deploy_steps_are_the_same_in_both_readmes() {
    let steps = |text: &str, heading: &str| {
        let (_, section) = text.split_once(heading).unwrap_or_else(|| panic!("there is no {heading}"));
        let (_, rest) = section.split_once("```sh\n").unwrap();
        rest.split("```").next().unwrap().to_owned()
    };
    let infra = fs::read_to_string(root().join("infra/README.md")).unwrap();
    assert_eq!(steps(&readme(), "\n## Deploy\n"), steps(&infra, "\n## From clone to guarded\n"));
}

//! What README.md says of the code is what the code says.

use std::fs;
use std::path::{Path, PathBuf};

use syncwatch::finding::Check;
use syncwatch_cli::runbook::{TEXT, sections};
use syncwatch_lab::aws::FunctionsTable;

const BEGIN: &str = "<!-- checks -->\n";
const END: &str = "<!-- /checks -->\n";
/// Set by `make docs-tables`: what differs is written, not told.
const REWRITE: &str = "SYNCWATCH_REWRITE_TABLES";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The table of checks: each with what must hold, under the chapter of the runbook that it is explained in.
fn table() -> String {
    let sections = sections(TEXT);
    let mut table = "| | check | what must hold |\n| --- | --- | --- |\n".to_owned();
    let mut last = "";
    for section in &sections {
        let Some(check) = Check::from_id(&section.anchor) else { continue };
        let chapter = if section.chapter == last { "" } else { section.chapter };
        last = section.chapter;
        let rule = check.rule();
        table.push_str(&format!(
            "| {chapter} | [`{check}`](infra/runbook/OPERATIONS_RUNBOOK.md#{check}) | {rule} |\n"
        ));
    }
    table
}

#[test]
fn the_table_of_checks_is_what_the_code_says() {
    let (readme, table) = (readme(), table());
    for check in Check::ALL {
        assert!(table.contains(&format!("[`{check}`]")), "the runbook has no section of {check}");
    }
    let (before, rest) = readme.split_once(BEGIN).expect("README.md marks the beginning of the table");
    let (found, after) = rest.split_once(END).expect("README.md marks the end of the table");
    if std::env::var_os(REWRITE).is_some() && found != table {
        fs::write(root().join("README.md"), [before, BEGIN, &table, END, after].concat()).unwrap();
        return;
    }
    assert_eq!(found, table, "README.md is behind the code: `make docs-tables` writes it");
}

#[test]
fn the_picture_of_the_data_flow_names_every_function() {
    let readme = readme();
    let (_, rest) = readme.split_once("```mermaid\n").expect("README.md has a picture");
    let picture = rest.split("```").next().unwrap();
    let table = FunctionsTable::read(&root().join("infra/functions.json")).unwrap();
    for function in table.functions.keys() {
        assert!(picture.contains(&format!("[{function}]")), "the picture has no {function}");
    }
}

#[test]
fn the_way_from_clone_to_guarded_is_the_same_wherever_it_is_told() {
    let way = |text: &str, heading: &str| {
        let (_, section) = text.split_once(heading).unwrap_or_else(|| panic!("there is no {heading}"));
        let (_, rest) = section.split_once("```sh\n").unwrap();
        rest.split("```").next().unwrap().to_owned()
    };
    let infra = fs::read_to_string(root().join("infra/README.md")).unwrap();
    assert_eq!(way(&readme(), "\n## Deploy\n"), way(&infra, "\n## From clone to guarded\n"));
}

//! Rules of the repository, checked by machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syncwatch::finding::{Check, Judge};
use syncwatch_lab::aws::FunctionsTable;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

pub(crate) fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn table() -> FunctionsTable {
    FunctionsTable::read(&root().join("infra/functions.json")).unwrap()
}

/// Lists the packages of the functions: the directories under `functions/`. Most have one function, with the same name.
fn packages() -> BTreeSet<String> {
    fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

pub(crate) fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// Reads the code of a file, without comments and tests.
pub(crate) fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    before_tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

pub(crate) fn is_test_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
        || path.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn top_level_has_only_entries_of_the_layout() {
    let allowed: BTreeSet<&str> = [
        "Cargo.toml",
        "Cargo.lock",
        "rust-toolchain.toml",
        "LICENSE",
        "Makefile",
        "README.md",
        "functions",
        "shared",
        "infra",
        "tests",
        "target",
    ]
    .into();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with('.') || allowed.contains(name.as_str()), "{name} is not part of the layout");
    }
}

#[test]
fn functions_json_and_the_functions_folder_name_the_same_set() {
    let table = table();
    let named: BTreeSet<String> = table.packages().into_iter().map(str::to_owned).collect();
    assert_eq!(named, packages());
}

#[test]
fn every_package_has_a_readme_and_every_function_a_short_main() {
    for package in packages() {
        let readme = read(&format!("functions/{package}/README.md"));
        assert!(readme.starts_with(&format!("# {package}\n")), "{package}/README.md names another package");
    }
    let mut mains = BTreeSet::new();
    for (name, function) in &table().functions {
        let main = match function.package.as_ref().filter(|package| *package != name) {
            None => format!("functions/{name}/src/main.rs"),
            Some(package) => format!("functions/{package}/src/bin/{name}.rs"),
        };
        let lines = read(&main).lines().count();
        assert!(lines < 20, "{main} has {lines} lines");
        mains.insert(root().join(main));
    }
    for package in packages() {
        let lines = read(&format!("functions/{package}/src/lib.rs")).lines().count();
        assert!(
            lines < 100,
            "the lib.rs of {package} has {lines} lines; it should only observe, judge and act"
        );
    }
    for file in rust_files("functions") {
        let is_main =
            file.ends_with("src/main.rs") || file.parent().is_some_and(|folder| folder.ends_with("src/bin"));
        assert!(!is_main || mains.contains(&file), "{} belongs to no function of the table", file.display());
    }
}

#[test]
fn every_judge_is_a_function_of_functions_json() {
    let table = table();
    for judge in Judge::ALL {
        assert!(table.functions.contains_key(judge.function()), "{judge:?}");
        assert!(Check::judged_by_function(judge).next().is_some(), "{judge:?} judges nothing");
    }
}

#[test]
fn no_package_depends_on_a_function() {
    let functions = packages();
    let manifests = functions.iter().map(|name| format!("functions/{name}/Cargo.toml"));
    for manifest in manifests.chain(["shared/Cargo.toml".to_owned()]) {
        let parsed: toml::Table = read(&manifest).parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = parsed.get(section).and_then(toml::Value::as_table) else { continue };
            for dependency in dependencies.keys() {
                assert!(!functions.contains(dependency), "{manifest} depends on the function {dependency}");
                // Tests may use its fakes, which do not depend on the crates under test.
                let is_fake = section == "dev-dependencies" && dependency == "syncwatch-testing";
                assert!(
                    is_fake || !dependency.starts_with("syncwatch-"),
                    "{manifest} depends on {dependency}"
                );
            }
        }
    }
}

/// The deciding modules of functions: webhook-intake verifies and sorts deliveries, alert-relay routes notices, nightly-snapshot
/// plans rows.
const PURE_MODULES: [&str; 11] = [
    "verify",
    "triage",
    "delivery",
    "route",
    "key",
    "missing",
    "plan",
    "days",
    "rows",
    "statements",
    "table",
];

/// Lists the files of a package's deciding modules.
fn pure_files_of(package: &str) -> Vec<PathBuf> {
    let files = rust_files(&format!("functions/{package}/src"));
    let of_module = |file: &PathBuf| {
        let inside = file.strip_prefix(root().join("functions").join(package).join("src")).unwrap();
        let first = Path::new(inside.components().next().unwrap().as_os_str());
        first.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| PURE_MODULES.contains(&stem))
    };
    files.into_iter().filter(of_module).collect()
}

#[test]
fn findings_are_made_by_judges_only() {
    // `Check::about` is the only way to create a finding.
    let (judges, elsewhere): (Vec<String>, Vec<String>) =
        production_files_with(".about(").into_iter().partition(|file| file.starts_with("shared/src/judge/"));
    assert_eq!(elsewhere, [""; 0], "judges live in shared/src/judge");
    assert!(judges.len() > 5, "the judges were not found");
}

/// The layers of the shared crate: a module imports only from its own layer and those above.
const LAYERS: [(&str, &[&str]); 5] = [
    ("ground", &["text", "figure", "finding", "observation", "runbook", "stats", "days"]),
    ("tools", &["http", "sql"]),
    (
        "core",
        &[
            "schedule",
            "silence",
            "classify",
            "incident",
            "data_checks",
            "expect",
            "marks",
            "history",
            "advise",
            "scoreboard",
            "reconcile",
            "remedy",
            "pipeline",
            "baseline",
            "rounds",
            "judge",
            "report",
            "audit",
            "notice",
            "page",
            "metrics",
        ],
    ),
    ("clients", &["census", "warehouse", "aws"]),
    ("shell", &["observe", "registration", "round", "runtime"]),
];

/// The layers whose modules do no I/O and read no clock.
const PURE_LAYERS: [&str; 2] = ["ground", "core"];

/// Lists the files of modules that judge and decide. They are pure, so that a test can pass them any world and any time.
fn pure_files() -> Vec<PathBuf> {
    let pure =
        LAYERS.iter().filter(|(layer, _)| PURE_LAYERS.contains(layer)).flat_map(|(_, modules)| *modules);
    let modules: BTreeSet<&str> = pure.copied().chain(["sql"]).collect();
    let is_pure = |path: &PathBuf| modules.contains(module_path(path).first().map_or("", String::as_str));
    let mut files: Vec<PathBuf> = rust_files("shared/src").into_iter().filter(is_pure).collect();
    files.extend(
        ["arguments", "runbook", "stakeholders"].map(|file| root().join(format!("shared/cli/src/{file}.rs"))),
    );
    for package in packages() {
        files.extend(pure_files_of(&package));
    }
    files.retain(|path| !is_test_file(path));
    files
}

/// Returns the module path of a file of the shared crate, such as `["aws", "incidents", "item"]`.
fn module_path(file: &Path) -> Vec<String> {
    let inside = file.strip_prefix(root().join("shared/src")).unwrap().with_extension("");
    let mut path: Vec<String> = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    path.pop_if(|last| last == "mod");
    path
}

/// Collects the paths of the modules that a file of the shared crate imports, without items.
fn imports(file: &Path, modules: &BTreeSet<Vec<String>>) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    let here = module_path(file);
    let code = code(file);
    for (root, base) in [("crate::", Vec::new()), ("super::", here[..here.len().saturating_sub(1)].to_vec())]
    {
        let pieces: Vec<&str> = code.split(root).collect();
        for pair in pieces.windows(2) {
            let [before, rest] = pair else { continue };
            if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let first: Vec<&str> = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap().split(',').collect(),
                None => {
                    vec![rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next().unwrap()]
                }
            };
            for path in first {
                let mut target = base.clone();
                for part in path.trim().split("::") {
                    target.push(part.to_owned());
                    if !modules.contains(&target) {
                        target.pop();
                        break;
                    }
                }
                found.insert(target);
            }
        }
    }
    found
}

/// The imports among the modules of each folder; the crate itself is the folder `[]`.
type Graph = BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>>;

fn import_graph() -> Graph {
    let files: Vec<PathBuf> = rust_files("shared/src")
        .into_iter()
        .filter(|file| !is_test_file(file) && !file.ends_with("lib.rs"))
        .collect();
    let modules: BTreeSet<Vec<String>> = files.iter().map(|file| module_path(file)).collect();
    let mut graph = Graph::new();
    for file in &files {
        let here = module_path(file);
        for there in imports(file, &modules) {
            let common = here.iter().zip(&there).take_while(|(a, b)| a == b).count();
            if let (Some(from), Some(to)) = (here.get(common), there.get(common)) {
                let folder = graph.entry(here[..common].to_vec()).or_default();
                folder.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    graph
}

/// Finds a path from a module back to itself.
fn cycle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(edges: &BTreeMap<String, BTreeSet<String>>, path: &mut Vec<String>) -> Option<Vec<String>> {
        for next in edges.get(path.last()?).into_iter().flatten() {
            if let Some(at) = path.iter().position(|module| module == next) {
                return Some(path[at..].to_vec());
            }
            path.push(next.clone());
            if let Some(found) = walk(edges, path) {
                return Some(found);
            }
            path.pop();
        }
        None
    }
    edges.keys().find_map(|module| walk(edges, &mut vec![module.clone()]))
}

#[test]
fn shared_modules_have_no_import_cycle() {
    let graph = import_graph();
    assert!(graph[&Vec::new()].len() > 10, "the imports were not found: {graph:?}");
    for (folder, edges) in &graph {
        assert_eq!(cycle(edges), None, "in shared/src/{}", folder.join("/"));
    }
}

#[test]
fn cycle_search_finds_an_existing_cycle() {
    let edges = |pairs: &[(&str, &str)]| {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in pairs {
            edges.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        edges
    };
    assert_eq!(cycle(&edges(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    let found = cycle(&edges(&[("a", "b"), ("b", "c"), ("c", "b")])).unwrap();
    assert_eq!(found, ["b", "c"]);
}

#[test]
fn shared_modules_import_only_from_their_layer_or_above() {
    let layer_of = |module: &str| {
        let found = LAYERS.iter().position(|(_, modules)| modules.contains(&module));
        found.unwrap_or_else(|| panic!("{module} has no layer: add it to LAYERS and shared/README.md"))
    };
    for (from, imported) in &import_graph()[&Vec::new()] {
        for to in imported {
            assert!(layer_of(to) <= layer_of(from), "{from} imports {to}, which is in a layer below it");
        }
    }
}

#[test]
fn shared_readme_shows_every_layer_with_its_modules() {
    let readme = read("shared/README.md");
    for (layer, modules) in LAYERS {
        let line = readme.lines().find(|line| line.trim_start().starts_with(layer));
        let line = line.unwrap_or_else(|| panic!("shared/README.md has no line for the layer {layer}"));
        let shown: BTreeSet<&str> = line
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|word| LAYERS.iter().any(|(_, modules)| modules.contains(word)))
            .collect();
        assert_eq!(shown, modules.iter().copied().collect(), "{layer}");
    }
    let declared: BTreeSet<String> = read("shared/src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned))
        .collect();
    let layered = LAYERS.iter().flat_map(|(_, modules)| *modules).map(|module| (*module).to_owned());
    assert_eq!(declared, layered.collect());
}

#[test]
fn judging_modules_do_no_io_and_read_no_clock() {
    const FORBIDDEN: [&str; 14] = [
        "async fn",
        ".await",
        "reqwest",
        "aws_",
        "tokio",
        "std::env",
        "std::fs",
        "std::net",
        "std::time",
        "Timestamp::now",
        "Zoned::now",
        "SystemTime",
        "Instant::now",
        "tracing::",
    ];
    let files = pure_files();
    assert!(files.len() > 8, "the pure modules were not found: {files:?}");
    for file in files {
        // A duration does not read a clock.
        let code = code(&file).replace("std::time::Duration", "");
        for forbidden in FORBIDDEN {
            assert!(!code.contains(forbidden), "{} uses {forbidden}", file.display());
        }
    }
}

/// Lists the files of the functions and of the shared crate with `needle` outside comments, tests and examples.
fn production_files_with(needle: &str) -> Vec<String> {
    let mut found: Vec<String> = ["shared/src", "shared/cli/src", "functions"]
        .into_iter()
        .flat_map(rust_files)
        .filter(|path| !path.components().any(|part| part.as_os_str() == "examples"))
        .filter(|path| !is_test_file(path) && code(path).contains(needle))
        .map(|path| path.strip_prefix(root()).unwrap().display().to_string())
        .collect();
    found.sort();
    found
}

#[test]
fn one_module_reads_the_environment() {
    assert_eq!(production_files_with("env::var"), ["shared/src/runtime/env.rs"]);
}

#[test]
fn one_module_reads_the_clock() {
    assert_eq!(production_files_with("Timestamp::now"), ["shared/src/runtime/clock.rs"]);
    // The clock is read once for each event of a function and each command of an operator; then the time is an argument.
    assert_eq!(
        production_files_with("clock::now()"),
        ["shared/cli/src/main.rs", "shared/src/runtime/serve.rs"]
    );
    for other in ["Zoned::now", "SystemTime::now"] {
        assert_eq!(production_files_with(other), Vec::<String>::new(), "{other}");
    }
}

#[test]
fn every_check_is_in_its_functions_readme() {
    let readmes: String =
        packages().iter().map(|name| read(&format!("functions/{name}/README.md"))).collect();
    for check in syncwatch::finding::Check::ALL {
        assert!(readmes.contains(&format!("| `{check}` |")), "no README of a function lists {check}");
    }
}

#[test]
fn registered_webhook_has_the_intakes_path_and_events() {
    let table = table();
    let url = table.function("webhook-intake").unwrap().url.as_ref().unwrap();
    // The operator's commands read the path from the table that they embed.
    let declared = syncwatch_cli::declared::Declared::of_this_version().unwrap();
    assert_eq!(declared.intake(), Ok(("webhook-intake", url.path.as_str())));
    assert_eq!(webhook_intake::verify::PATH, url.path);
    for event in syncwatch::census::EVENTS {
        let body = format!(r#"{{"sync_id":1,"sync_run_id":2,"event":"{event}"}}"#);
        let message = webhook_intake::delivery::queue_message(body.as_bytes(), jiff::Timestamp::UNIX_EPOCH);
        let parsed = webhook_intake::delivery::parse(&message);
        assert!(matches!(parsed, Ok(webhook_intake::delivery::Parsed::Known(_))), "{event}: {parsed:?}");
    }
}

#[test]
fn make_help_lists_every_target() {
    let makefile = read("Makefile");
    let phony = makefile.lines().filter_map(|line| line.strip_prefix(".PHONY: "));
    for target in phony {
        let rule = makefile.lines().find(|line| line.starts_with(&format!("{target}:")));
        assert!(rule.is_some_and(|rule| rule.contains(" ## ")), "make help does not list {target}");
    }
}

#[test]
fn worker_limits_match_its_queue_and_timeout() {
    let table: serde_json::Value = serde_json::from_str(&read("infra/functions.json")).unwrap();
    let queue = &table["resources"]["queue:webhook-deliveries"];
    assert_eq!(queue["max_receives"], webhook_intake::triage::MAX_RECEIVES);
    let timeout = table["functions"]["webhook-worker"]["timeout_s"].as_u64().unwrap();
    assert!(webhook_intake::worker::READING_LIMIT.as_secs() * 2 <= timeout);
    let visibility = queue["visibility_timeout_s"].as_u64().unwrap();
    assert!(visibility >= 6 * timeout, "a message may be received again while it is still processed");
}

#[test]
fn schedule_verification_keeps_a_quarter_of_its_time_for_acting() {
    let limit = u64::try_from(table().function("schedule-verification").unwrap().timeout_s).unwrap();
    assert!(schedule_verification::observe::READING_LIMIT.as_secs() + limit / 4 <= limit);
}

#[test]
fn public_function_may_use_only_its_queue_and_secret() {
    let table: serde_json::Value = serde_json::from_str(&read("infra/functions.json")).unwrap();
    let permissions = table["functions"]["webhook-intake"]["permissions"].as_array().unwrap();
    let mut allowed: Vec<String> = permissions
        .iter()
        .map(|permission| {
            let word = |key: &str| permission[key].as_str().unwrap();
            format!("{} {}", word("action"), word("resource"))
        })
        .collect();
    allowed.sort();
    assert_eq!(
        allowed,
        ["secretsmanager:GetSecretValue secret:census-webhook", "sqs:SendMessage queue:webhook-deliveries"]
    );
}

#[test]
fn function_timeouts_are_shorter_than_the_sending_lease() {
    for (name, function) in table().functions {
        assert!(
            i64::from(function.timeout_s) < syncwatch::incident::SENDING_LEASE.as_secs(),
            "{name} could still send after its lease expired"
        );
    }
}

/// The packages with ODBC. The zip of each is some 170 kB larger and must include a driver.
const ODBC_PACKAGES: [&str; 0] = [];

#[test]
fn functions_link_an_odbc_driver_manager_only_on_request() {
    let asks = |dependency: &toml::Value| {
        let features = dependency.get("features").and_then(toml::Value::as_array);
        features.is_some_and(|features| features.iter().any(|feature| feature.as_str() == Some("odbc")))
    };
    for package in packages() {
        let manifest: toml::Table = read(&format!("functions/{package}/Cargo.toml")).parse().unwrap();
        let asked = asks(&manifest["dependencies"]["syncwatch"]);
        assert_eq!(asked, ODBC_PACKAGES.contains(&package.as_str()), "{package}");
    }
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    assert!(!asks(&workspace["workspace"]["dependencies"]["syncwatch"]));
    let shared: toml::Table = read("shared/Cargo.toml").parse().unwrap();
    assert!(shared["features"].get("default").is_none(), "every function would get the default features");
    assert_eq!(shared["dependencies"]["odbc-api"]["optional"].as_bool(), Some(true));
}

/// Public types, functions, traits and modules need a doc comment. The compiler's `missing_docs` is off, because it also asks
/// for comments on fields and variants with plain names.
#[test]
fn public_items_have_a_doc_comment() {
    const ITEMS: [&str; 8] = [
        "pub fn ",
        "pub async fn ",
        "pub const ",
        "pub static ",
        "pub struct ",
        "pub enum ",
        "pub trait ",
        "pub type ",
    ];
    let mut without = Vec::new();
    for file in ["shared/src", "shared/cli/src", "functions"].into_iter().flat_map(rust_files) {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.split("#[cfg(test)]").next().unwrap().lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            let is_item = ITEMS.iter().any(|item| line.starts_with(item));
            // An attribute may have several lines; its last line ends with a bracket.
            let mut inside = false;
            let above = lines.iter().take(number).rev().find(|line| {
                let begins = line.starts_with("#[");
                let ends = line.ends_with(']') && !line.starts_with("///");
                let skipped = inside || begins || ends || line.starts_with("// ");
                inside = (inside || ends) && !begins;
                !skipped
            });
            // A macro passes its doc comment on with `$(#[doc = `.
            let documents = |line: &&str| line.starts_with("///") || line.starts_with("$(#[doc = ");
            if is_item && !above.is_some_and(documents) {
                without.push(format!("{}:{}: {line}", file.display(), number + 1));
            }
        }
        let is_module = !is_test_file(&file) && !file.ends_with("main.rs");
        if is_module && !text.starts_with("//!") && !text.starts_with("#![doc") {
            without.push(format!("{}: the module has no doc comment", file.display()));
        }
    }
    assert!(without.is_empty(), "without a doc comment:\n{}", without.join("\n"));
}

/// Collects the tests that a document names in backticks, as `path/of/file.rs::name`.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::")).collect()
}

#[test]
fn every_test_that_a_guide_names_exists() {
    for guide in [".github/CONTRIBUTING.md", "shared/README.md"] {
        let text = read(guide);
        let named = named_tests(&text);
        assert!(named.len() > 20, "{guide}: the tests were not found");
        for (file, name) in named {
            let found = read(&format!("{file}.rs")).contains(&format!("fn {name}("));
            assert!(found, "{guide} names {file}.rs::{name}, which does not exist");
        }
    }
}

#[test]
fn every_recipe_has_at_most_ten_steps_each_with_its_test() {
    let text = read(".github/CONTRIBUTING.md");
    let recipes: Vec<&str> = text.split("\n## Add ").skip(1).collect();
    assert_eq!(recipes.len(), 4, "a check, a function, a vendor, a channel");
    for recipe in recipes {
        let recipe = recipe.split("\n## ").next().unwrap();
        let steps: Vec<&str> = recipe.lines().skip(1).filter(|line| !line.is_empty()).collect();
        assert!((1..=10).contains(&steps.len()), "{recipe}");
        for step in steps {
            assert_eq!(named_tests(step).len(), 1, "{step}");
        }
    }
}

#[test]
fn every_example_is_in_the_contributors_guide() {
    let guide = read(".github/CONTRIBUTING.md");
    let examples = [("syncwatch", "shared/examples"), ("alert-relay", "functions/alert-relay/examples")];
    for (package, folder) in examples {
        for file in rust_files(folder) {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let run = format!("cargo run -p {package} --example {name}");
            assert!(guide.contains(&run), "CONTRIBUTING.md lacks `{run}`");
            assert!(fs::read_to_string(&file).unwrap().contains(&run), "{name} lacks `{run}`");
        }
    }
}

/// Retries, limits and the hiding of tokens stay in one place only if no client bypasses it.
#[test]
fn only_the_http_module_sends_requests() {
    let mut sending = production_files_with(".send()");
    // The AWS SDK sends its own requests through the adapter in `aws`, also those of the relay to SES; the doctor pings the intake
    // from outside.
    let by_sdk = ["shared/src/aws/", "functions/alert-relay/src/mail/ses.rs"];
    sending.retain(|file| {
        !by_sdk.iter().any(|place| file.starts_with(place)) && !file.starts_with("shared/cli/")
    });
    assert_eq!(sending, ["shared/src/http/call.rs"]);
    assert_eq!(production_files_with(".execute(request)"), ["shared/src/aws/connector.rs"]);
}

/// The types that change something outside our tables and topics, and the functions that create them.
const WRITERS: [&str; 7] =
    ["Writer", "census_writer", "WarehouseKeeper", "warehouse_keeper", "open_keeper", "Redrive", "redrive"];

/// Every function but `remedies` only observes: it must not even have a client that could change a vendor's side.
#[test]
fn only_remedies_and_the_cli_can_change_a_vendor() {
    let definitions = [
        "shared/src/aws/",
        "shared/src/census/",
        "shared/src/warehouse/",
        "shared/src/runtime/site.rs",
        "shared/src/runtime/warehouse.rs",
        // It is given a writer, and makes none.
        "shared/src/registration/",
    ];
    let allowed = ["functions/remedies/", "shared/cli/"];
    for writer in WRITERS {
        let mut files = production_files_with(writer);
        files.retain(|file| {
            code(&root().join(file))
                .split(|symbol: char| !symbol.is_alphanumeric() && symbol != '_')
                .any(|word| word == writer)
        });
        assert!(!files.is_empty(), "{writer} was renamed; correct this test");
        files.retain(|file| !definitions.iter().chain(&allowed).any(|place| file.starts_with(place)));
        assert_eq!(files, [""; 0], "{writer} changes a vendor; only {allowed:?} may name it");
    }
}

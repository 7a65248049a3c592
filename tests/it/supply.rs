//! Dependencies are pinned: actions by commit, Python packages by hash. Every crate of the workspace is used, and the stored list of
//! holidays is that of its package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use syncwatch_lab::aws::venv;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn workflows() -> Vec<(String, String)> {
    let files = fs::read_dir(root().join(".github/workflows")).unwrap();
    files
        .map(|file| {
            let name = format!(".github/workflows/{}", file.unwrap().file_name().display());
            let content = text(&name);
            (name, content)
        })
        .collect()
}

#[test]
fn actions_are_pinned_by_commit_and_workflows_may_only_read() {
    let mut pinned = 0;
    for (name, workflow) in workflows() {
        assert!(workflow.contains("\npermissions:\n  contents: read\n\n"), "{name} may do more than read");
        assert!(!workflow.contains("secrets."), "{name} uses a secret");
        for line in workflow.lines().filter(|line| line.contains("uses:")) {
            let (_, pin) = line.split_once('@').unwrap_or_else(|| panic!("{name}: {line}"));
            let (commit, version) = pin.split_once(" # v").unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{name}: {line}");
            assert!(!version.is_empty(), "{name}: {line}");
            pinned += 1;
        }
        let checkouts = workflow.matches("actions/checkout@").count();
        assert_eq!(
            workflow.matches("persist-credentials: false").count(),
            checkouts,
            "{name} keeps the token"
        );
    }
    assert!(pinned > 0);
}

#[test]
fn every_python_package_is_installed_by_its_hashes() {
    for path in ["tests/requirements.txt", "infra/requirements.txt", "tests/clients/requirements.txt"] {
        let pins = text(path);
        let mut lines = pins.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
        let mut packages = 0;
        while let Some(line) = lines.next() {
            assert!(line.contains("==") && line.ends_with('\\'), "{path}: {line}");
            let mut hashes = 0;
            while let Some(hash) = lines.next_if(|line| line.starts_with("    --hash=sha256:")) {
                let digest = hash.trim_end_matches(" \\").rsplit(':').next().unwrap();
                assert_eq!(digest.len(), 64, "{path}: {hash}");
                hashes += 1;
            }
            assert!(hashes > 0, "{path}: {line}");
            packages += 1;
        }
        assert!(packages > 0, "{path}");
    }
    for line in text("Makefile").lines().filter(|line| line.contains("pip install")) {
        assert!(line.contains("--require-hashes"), "{line}");
    }
}

#[test]
fn every_dependency_of_the_workspace_is_used_by_a_member() {
    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    let members =
        ["shared", "shared/cli", "tests", "tests/bench", "tests/drill", "tests/lab", "tests/testing"];
    let functions = fs::read_dir(root().join("functions")).unwrap();
    let functions = functions.map(|folder| format!("functions/{}", folder.unwrap().file_name().display()));
    let used: Vec<String> = members
        .into_iter()
        .map(str::to_owned)
        .chain(functions)
        .flat_map(|member| {
            let manifest: toml::Table = text(&format!("{member}/Cargo.toml")).parse().unwrap();
            let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
            let of = |table: &str| manifest.get(table).and_then(toml::Value::as_table).cloned();
            tables
                .into_iter()
                .filter_map(of)
                .flat_map(|table| table.into_iter().map(|(name, _)| name))
                .collect::<Vec<_>>()
        })
        .collect();
    let declared = manifest["workspace"]["dependencies"].as_table().unwrap();
    let unused: Vec<_> = declared.keys().filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn holidays_are_those_of_the_pinned_package() {
    let script = root().join("shared/src/marks/list_holidays.py");
    let listed = Command::new(venv().join("bin/python")).arg(script).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let stored = text("shared/src/marks/holidays.txt");
    let other = listed.lines().zip(stored.lines()).find(|(listed, stored)| listed != stored);
    assert_eq!(other, None, "list them again: shared/src/marks/list_holidays.py");
    assert_eq!(listed.lines().count(), stored.lines().count());
}

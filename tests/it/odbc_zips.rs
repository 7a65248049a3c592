//! The zips with ODBC, as `make lab-zips-odbc` builds them: they start, load the driver in the zip, and query.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;
use syncwatch_lab::aws::{
    Deployment, DeploymentOptions, FunctionsTable, Ministack, ResourceKind, Schedules, host_zips,
    workspace_root,
};
use syncwatch_lab::engines;
use syncwatch_lab::properties::{PropertyWorld, Tables};
use tempfile::TempDir;
use zip::write::{SimpleFileOptions, ZipWriter};

/// The path of the driver in the zip, relative to the root, where functions start.
const DRIVER: &str = "lib/libsqlite3odbc.so";

fn odbc_zip(function: &str) -> PathBuf {
    let zips = host_zips();
    let folder = zips.parent().unwrap().join("odbc").join(zips.file_name().unwrap());
    folder.join(function).join("bootstrap.zip")
}

/// Whether a package has the feature `odbc`.
fn has_odbc(package: &str) -> bool {
    let manifest = workspace_root().join("functions").join(package).join("Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
    manifest.get("features").and_then(|features| features.get("odbc")).is_some()
}

/// Copies a zip with another pipeline file, as a user with such a warehouse would pack it.
fn repack(from: &Path, to: &Path, pipeline: &str) {
    let file = File::open(from).unwrap_or_else(|error| panic!("{}: {error}: make test", from.display()));
    let mut packed = zip::ZipArchive::new(file).unwrap();
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let mut repacked = ZipWriter::new(File::create(to).unwrap());
    let names: Vec<String> = packed.file_names().map(|name| name.unwrap().into_owned()).collect();
    for wanted in [DRIVER, "warehouse/010_properties_to_create.sql"] {
        assert!(names.iter().any(|name| name == wanted), "{}: {names:?}", from.display());
    }
    for index in 0..packed.len() {
        let entry = packed.by_index_raw(index).unwrap();
        if entry.name().unwrap() != "pipeline.toml" {
            repacked.raw_copy_file(entry).unwrap();
        }
    }
    repacked.start_file("pipeline.toml", SimpleFileOptions::default().unix_permissions(0o644)).unwrap();
    repacked.write_all(pipeline.as_bytes()).unwrap();
    repacked.finish().unwrap();
}

fn pipeline() -> String {
    let seed = include_str!("../../infra/pipeline.toml");
    let (head, rest) = seed.split_once("[warehouse]").unwrap();
    let (_, checks) = rest.split_once("[[checks]]").unwrap();
    format!("{head}[warehouse]\ndriver = \"odbc\"\ndialect = \"sqlite\"\n\n[[checks]]{checks}")
}

#[tokio::test(flavor = "multi_thread")]
async fn odbc_zip_loads_its_driver_and_finds_faults_in_sqlite() {
    let folder = TempDir::new().unwrap();
    let mut table = FunctionsTable::read(&FunctionsTable::default_path()).unwrap();
    table.functions.retain(|name, function| has_odbc(function.package.as_deref().unwrap_or(name)));
    assert!(table.functions.contains_key("daily-validation"), "{:?}", table.functions.keys());
    let zips = folder.path().join("zips");
    for name in table.functions.keys() {
        repack(&odbc_zip(name), &zips.join(name).join("bootstrap.zip"), &pipeline());
    }

    let file = folder.path().join("warehouse.sqlite");
    let mut world = PropertyWorld::with(Timestamp::now(), 11, 300, 270, 5);
    Tables::create(engines::sqlite(&file).unwrap(), &mut world).await.unwrap();
    let secret = engines::sqlite_secret(&file, Some(DRIVER)).unwrap();

    let aws = Ministack::start().await.unwrap();
    let secrets = table.resources.keys().filter(|id| id.kind == ResourceKind::Secret);
    let options = DeploymentOptions {
        zips,
        secrets: secrets.map(|id| (id.clone(), secret.clone())).collect(),
        schedules: Schedules::None,
        ..DeploymentOptions::default()
    };
    let deployment = Deployment::apply(&aws, &table, &options).await.unwrap();
    for name in table.functions.keys() {
        let answer = deployment.invoke(name, &json!({ "task": "ping" })).await.unwrap();
        assert_eq!(answer.value, json!({ "pong": "properties" }), "{name}: {answer:?}");
    }
    let answer = deployment.invoke("daily-validation", &json!({ "task": "validate" })).await.unwrap();
    assert_eq!(answer.error, None, "{answer:?}");
    let table = answer.value["table"].as_str().unwrap();
    assert!(table.contains("answered all 4 statements"), "{table}");
    assert!(table.contains("90% coverage (target 95%, minimum 90%); 270 of 300 keys"), "{table}");
    assert_eq!(answer.value["counts"]["unhealthy"], 1, "{table}");
    // One check is not evaluated if, by chance, no record was modified within the day.
    assert!(answer.value["counts"]["not_evaluated"].as_u64() <= Some(1), "{table}");
}

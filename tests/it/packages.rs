//! The zips that are packed for AWS.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Command;

use syncwatch_lab::aws::workspace_root;
use zip::write::{SimpleFileOptions, ZipWriter};

/// Packs a zip of these files with their permissions, in this order and year.
fn pack(path: &std::path::Path, year: u16, files: &[(&str, u32)]) {
    let mut packed = ZipWriter::new(File::create(path).unwrap());
    for (name, permissions) in files {
        let moment = zip::DateTime::from_date_and_time(year, 11, 25, 12, 0, 0).unwrap();
        let options = SimpleFileOptions::default().unix_permissions(*permissions).last_modified_time(moment);
        packed.start_file(*name, options).unwrap();
        packed.write_all(name.as_bytes()).unwrap();
    }
    packed.finish().unwrap();
}

#[test]
fn same_files_make_the_same_zip_despite_time_and_umask() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one.zip"), folder.path().join("other.zip"));
    pack(&one, 2025, &[("bootstrap", 0o755), ("lib/libdriver.so.2", 0o644), ("pipeline.toml", 0o644)]);
    pack(&other, 2026, &[("pipeline.toml", 0o600), ("lib/libdriver.so.2", 0o600), ("bootstrap", 0o700)]);
    assert_ne!(fs::read(&one).unwrap(), fs::read(&other).unwrap());
    let script = workspace_root().join(".ci/settle-zips.py");
    let ended = Command::new("python3").arg(script).args([&one, &other]).status().unwrap();
    assert!(ended.success());
    assert_eq!(fs::read(&one).unwrap(), fs::read(&other).unwrap());

    let mut settled = zip::ZipArchive::new(File::open(&one).unwrap()).unwrap();
    let entries: Vec<(String, Option<u32>)> = (0..settled.len())
        .map(|index| {
            let entry = settled.by_index(index).unwrap();
            (entry.name().unwrap().into_owned(), entry.unix_mode().map(|mode| mode & 0o777))
        })
        .collect();
    // Lambda runs code as a user who does not own the files.
    let wanted = [("bootstrap", 0o755), ("lib/libdriver.so.2", 0o755), ("pipeline.toml", 0o644)];
    assert_eq!(entries, wanted.map(|(name, mode)| (name.to_owned(), Some(mode))));
}

"""`make check`: formats everything, and runs clippy and unit tests of the packages that changed since `main` (on `main`: since HEAD).

A package changed if one of its files is committed on this branch, modified or new. A change of the workspace manifest changes
every package; a change outside of packages checks only the format.
"""

import json
import os
import subprocess
import sys


def lines(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def changed_files():
    base = subprocess.run(["git", "merge-base", "HEAD", "main"], capture_output=True, text=True).stdout.strip() or "HEAD"
    return set(lines("git", "diff", "--name-only", base)) | set(lines("git", "ls-files", "--others", "--exclude-standard"))


def package_of(file, folders):
    """The innermost package that contains the file."""
    holding = [folder for folder in folders if file.startswith(folder + "/")]
    return folders[max(holding, key=len)] if holding else None


def main():
    os.chdir(lines("git", "rev-parse", "--show-toplevel")[0])
    metadata = json.loads("\n".join(lines("cargo", "metadata", "--no-deps", "--format-version", "1")))
    folders = {os.path.relpath(os.path.dirname(package["manifest_path"])): package for package in metadata["packages"]}
    files = changed_files()
    changed = {package["name"]: package for file in files if (package := package_of(file, folders))}
    if files & {"Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".clippy.toml"}:
        changed = {package["name"]: package for package in folders.values()}
    has_lib = {name for name, package in changed.items() if any("lib" in target["kind"] for target in package["targets"])}
    select = lambda names: [part for name in sorted(names) for part in ("--package", name)]
    commands = [["cargo", "fmt", "--all", "--check"]]
    if changed:
        commands.append(["cargo", "clippy", *select(changed), "--all-targets", "--", "-D", "warnings"])
    if has_lib:
        commands.append(["cargo", "test", "--quiet", *select(has_lib), "--lib"])
    for command in commands:
        print("==>", *command, flush=True)
        if subprocess.run(command).returncode:
            sys.exit(1)


if __name__ == "__main__":
    main()

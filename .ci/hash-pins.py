"""Writes the hashes of pinned Python packages into a requirements file: `python .ci/hash-pins.py tests/requirements.txt`.

For each pin, `pip install --dry-run --report` names the file for each supported platform and Python; the hashes of all of them are
written. Nothing is installed. `make` installs with `--require-hashes`, so pip refuses a file that was replaced under the same version.
Needs pip 23 or newer and the network.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# The oldest systems that a wheel may require. pip does not infer compatible tags, so each is listed.
PLATFORMS = (
    [f"manylinux_2_{minor}_x86_64" for minor in (5, 12, 17, 24, 26, 27, 28, 31, 34)] + ["manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64"],
    [f"manylinux_2_{minor}_aarch64" for minor in (17, 24, 26, 27, 28, 31, 34)] + ["manylinux2014_aarch64"],
    [f"macosx_{major}_0_{kind}" for major in (11, 12, 13, 14) for kind in ("arm64", "universal2")] + [f"macosx_10_{minor}_universal2" for minor in (9, 13)],
)


def chosen(pins, *options):
    """name -> hash of the file that pip chooses for each pin; pins without a file are left out."""
    pins = list(pins)
    while pins:
        with tempfile.TemporaryDirectory() as folder:
            report, wanted = pathlib.Path(folder, "report.json"), pathlib.Path(folder, "pins.txt")
            wanted.write_text("\n".join(pins))
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--disable-pip-version-check"]
            run = subprocess.run([*command, "--target", folder, "--report", report, "--requirement", wanted, *options], capture_output=True, text=True)
            if run.returncode == 0:
                found = json.loads(report.read_text())["install"]
                return {pin_name(item["metadata"]["name"]): item["download_info"]["archive_info"]["hashes"]["sha256"] for item in found}
        lacking = re.search(r"No matching distribution found for (\S+)", run.stderr)
        if not lacking:
            sys.exit(run.stderr)
        pins = [pin for pin in pins if pin_name(pin) != pin_name(lacking[1])]
    return {}


def pin_name(pin):
    return re.sub(r"[-_.]+", "-", pin.split("==")[0].strip().lower())


def hashes(pins):
    """name -> the hashes of the files for all platforms."""
    of = {pin_name(pin): set() for pin in pins}
    for python in PYTHONS:
        for platforms in PLATFORMS:
            options = ["--only-binary=:all:", "--python-version", python]
            options += [part for platform in platforms for part in ("--platform", platform)]
            for name, digest in chosen(pins, *options).items():
                of[name].add(digest)
    for pin in pins:
        if not of[pin_name(pin)]:
            # No wheel for any platform: the source package.
            of[pin_name(pin)] = set(chosen([pin]).values())
    return of


def main():
    path = pathlib.Path(sys.argv[1])
    lines = [line for line in path.read_text().splitlines() if not line.startswith("    --hash=")]
    pin = lambda line: line.removesuffix("\\").strip()
    pins = [pin(line) for line in lines if "==" in line and not line.startswith("#")]
    of = hashes(pins)
    missing = [name for name, digests in of.items() if not digests]
    if missing:
        sys.exit(f"error: no file found for {', '.join(missing)}")
    out = []
    for line in lines:
        if pin(line) in pins:
            digests = sorted(of[pin_name(line)])
            out.append(" \\\n".join([pin(line), *(f"    --hash=sha256:{digest}" for digest in digests)]))
        else:
            out.append(line)
    path.write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()

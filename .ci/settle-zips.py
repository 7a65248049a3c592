"""Repacks zips reproducibly: entries sorted by name, with a fixed time and fixed permissions. Lambda runs code as a user other
than the owner, so every file is readable for all.

cargo-lambda stores the build time of each file, so every build would have another hash and Terraform would redeploy unchanged
functions.
"""

import sys
import zipfile

# The earliest time that a zip can store.
MOMENT = (1980, 1, 1, 0, 0, 0)


def mode(name):
    return 0o100755 if name == "bootstrap" or ".so" in name else 0o100644


def settle(path):
    with zipfile.ZipFile(path) as archive:
        files = sorted((entry.filename, archive.read(entry)) for entry in archive.infolist())
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.create_system = 3  # Unix, whose permissions are in the upper half of the attributes.
            entry.external_attr = mode(name) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=9)


for path in sys.argv[1:]:
    settle(path)

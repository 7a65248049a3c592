"""Packs zips anew so that the same files make the same bytes: entries in the order of their names, all of one moment, with
permissions that no umask decides. Lambda runs code as a user other than the owner, so every file must be readable for all.

cargo-lambda writes down when each file was built, so that every build would have another hash, and Terraform would deploy
what is deployed already.
"""

import sys
import zipfile

# The earliest that a zip can hold.
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

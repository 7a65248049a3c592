"""Writes the public error messages as libFuzzer's seed corpus: `python3 tests/fuzz/corpus.py <folder>`."""

import hashlib
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name in ("messages.jsonl", "must.jsonl", "unseen.jsonl"):
    for line in (pathlib.Path(__file__).parent.parent / "fixtures" / "errors" / name).read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"].encode()
        (folder / hashlib.sha1(text).hexdigest()).write_bytes(text)

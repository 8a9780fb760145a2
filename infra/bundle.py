"""The bundle of an audit: all that somebody else needs to check a log by a program of their own (`tools/verify_bundle.py` is one).

`manifest.json` (format, partitions, records of each; `exclusive`: no record can be void, since appends are compared), `partition-N.jsonl` (one
record a line: offset, timestamp in ms, key, headers, value; bytes in base64), `heads.jsonl` (what this installation's anchor kept), `keys.jsonl`
(public keys with the signatures by which each names the next), `schemas/` (Avro, by schema id).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from flowledger.events import avro
from flowledger.events.wire import BY_NUMBER, PAST_SHAPES, SCHEMA_IDS, WIRE
from flowledger.infra.signing import Known
from flowledger.processors.log import EVENTS, Headers, Log

FORMAT = "flowledger.bundle.1"


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _headers(headers: Headers) -> list[list[str | None]]:
    return [[name, _text(value)] for name, value in headers]


async def export(log: Log, folder: Path, keys: Sequence[Known], heads: bytes = b"") -> dict[str, Any]:
    """Into a new or empty folder. Answers the manifest. Raises: OSError, LogError."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(17, "it is not empty", str(folder))
    manifest: dict[str, Any] = {"format": FORMAT, "partitions": log.partitions, "records": 0, "parts": []}
    for p in range(log.partitions):
        begin, end, count = await log.begin(EVENTS, p), await log.end(EVENTS, p), 0
        with (folder / f"partition-{p}.jsonl").open("w") as file:
            async for batch in log.read(EVENTS, p, begin, end):
                for r in batch:
                    line = [r.offset, r.timestamp_us // 1000, _text(r.key), _headers(r.headers), _text(r.value)]
                    file.write(json.dumps(line, separators=(",", ":")) + "\n")
                    count += 1
        manifest["parts"].append({"partition": p, "first": begin, "end": end, "records": count, "exclusive": log.compares})
        manifest["records"] += count
    (folder / "heads.jsonl").write_bytes(heads)
    (folder / "keys.jsonl").write_bytes(b"".join(msgspec.json.encode(k) + b"\n" for k in keys))
    (folder / "schemas").mkdir()
    for id, schema in schemas().items():
        (folder / "schemas" / f"{id}.avsc").write_text(json.dumps(schema) + "\n")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def schemas() -> dict[int, Any]:
    """Schema id -> Avro schema, of every version that this release reads."""
    found = {SCHEMA_IDS[cls]: avro.schema_of(cls) for cls in WIRE}
    numbers = {name: number for number, cls in BY_NUMBER.items() for name in [WIRE[cls][1]]}
    for (name, version), shape in PAST_SHAPES.items():
        id = numbers[name] << 8 | version
        fields = [{"name": n, "type": avro.AVRO_TYPES[k]} for n, k in (*avro.ENVELOPE_FIELDS, *shape)]
        found[id] = {"type": "record", "name": BY_NUMBER[id >> 8].__name__, "namespace": "flowledger.events", "wire_name": name,
                     "wire_version": version, "schema_id": id, "fields": fields}  # fmt: skip
    return found

"""Jobs on the `tasks` topic: Avro with the usual five bytes in front (0, schema id), key: the job type in UTF-8.

The schema id stands apart from those of events (`events/wire.py`): their numbers start at 1.
"""

from __future__ import annotations

from typing import Any

from flowledger.events.avro import AVRO_TYPES, CODES, READS
from flowledger.sdk.frames import Job

SCHEMA_ID = 0x7F01
_HEAD = b"\0" + SCHEMA_ID.to_bytes(4, "big")

#: fields of `Job` in wire order; new ones go to the end, under a new id
FIELDS: tuple[tuple[str, str], ...] = (
    ("key", "long"),
    ("type", "string"),
    ("variables", "json"),
    ("headers", "json"),
    ("instance", "long"),
    ("process", "string"),
    ("definition", "long"),
    ("version", "long"),
    ("element", "string"),
    ("token", "long"),
    ("attempt", "long"),
    ("retries", "long"),
    ("deadline_us", "long"),
    ("worker", "string"),
    ("fence", "long"),
    ("tenant", "string"),
    ("idempotency_key", "string"),
    ("trace", "string"),
)


def schema() -> dict[str, Any]:
    fields = [{"name": name, "type": AVRO_TYPES[kind]} for name, kind in FIELDS]
    doc = "A job with its lease, handed to whoever consumes the tasks topic."
    return {"type": "record", "name": "Job", "namespace": "flowledger.tasks", "doc": doc, "schema_id": SCHEMA_ID, "fields": fields}


def encode(job: dict[str, Any]) -> bytes:
    return _HEAD + b"".join(CODES[kind](job[name]) for name, kind in FIELDS)


def decode(data: bytes) -> Job:
    """Raises: ValueError, when it isn't a job of this schema."""
    if not data.startswith(_HEAD):
        raise ValueError(f"expected a job (0, schema id {SCHEMA_ID:#x}, Avro), found {data[:8]!r}")
    values: dict[str, Any] = {}
    i = len(_HEAD)
    try:
        for name, kind in FIELDS:
            values[name], i = READS[kind](data, i)
    except IndexError:
        raise ValueError(f"the job ends early after {len(data)} bytes") from None
    return Job(**values)

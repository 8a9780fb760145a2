"""Write `schemas/avro/*.avsc` and the golden samples from the event catalogue. A version that is already there is never changed: a new
shape is a new version."""

import json
import sys
from pathlib import Path

import msgspec

from flowledger.events import avro, wire
from flowledger.events.base import Envelope
from flowledger.events.commands import Request
from flowledger.events.wire import WIRE
from flowledger.sdk import job_avro

ROOT = Path(__file__).resolve().parent.parent
AVRO, GOLDEN = ROOT / "schemas" / "avro", ROOT / "schemas" / "golden"
SAMPLES = {
    "long": 2251799813685249,
    "string": "text",
    "boolean": False,
    "bytes": b"\x01\x02",
    "json": {"amount": 12, "items": ["a"]},
    "longs": [1, 300],
    "strings": ["a"],
}
ENVELOPE = Envelope(1_763_728_000_000_000, "acme", "ada", "0-41", "order-7", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


TOPICS = {
    "commands": (
        "requests: from APIs, triggers, workers, timers and other partitions",
        "any key; headers `from`, `seq`, `instance` and `token` on sends between partitions",
        "application/json",
        ["./json/commands.json"],
    ),
    "events": (
        "the source of truth, one record per event",
        "instance key, 8 bytes big-endian; headers epoch, owner, source, last, chain",
        "application/vnd.apache.avro",
        None,
    ),
    "state": ("checkpoints of owners; internal", "`table:key`; headers epoch, checkpoint", "application/json", []),
    "definitions": ("deployed resources by content hash", "SHA-256 of the resource, hex; header name", "text/plain", []),
    "tasks": ("jobs for services that consume Kafka", "job key", "application/vnd.apache.avro", ["./avro/task.job.v1.avsc"]),
    "dead-letter": (
        "commands that could not be read or failed for ever",
        "key of the command; headers reason, source",
        "application/octet-stream",
        [],
    ),
    "replies": ("answers for the node that asked; internal", "node; header number", "application/json", []),
}


def asyncapi() -> dict:
    """AsyncAPI 3.0 of the topics."""
    events = [f"./avro/{name}.v{version}.avsc" for _, name, version in WIRE.values()]
    channels, messages = {}, {}
    for topic, (summary, key, media, schemas) in TOPICS.items():
        names = []
        for path in events if schemas is None else schemas or [""]:
            name = Path(path).name.removesuffix(".avsc").removesuffix(".json") or topic
            message: dict = {"name": name, "contentType": media}
            if path:
                kind = (
                    "application/vnd.apache.avro;version=1.11.0"
                    if path.endswith(".avsc")
                    else "application/schema+json;version=draft-2020-12"
                )
                message["payload"] = {"schemaFormat": kind, "schema": {"$ref": path}}
            messages[name] = message
            names.append(name)
        channels[topic] = {
            "address": f"{{prefix}}.{topic}",
            "summary": summary,
            "description": f"Key: {key}.",
            "parameters": {"prefix": {"default": "flowledger"}},
            "messages": {n: {"$ref": f"#/components/messages/{n.replace('/', '~1')}"} for n in names},
        }
    info = {
        "title": "Flowledger topics",
        "version": "1",
        "description": "Values of Avro topics: a zero byte, the schema id (4 bytes, avro/ids.json), Avro binary.",
    }
    return {"asyncapi": "3.0.0", "info": info, "channels": channels, "components": {"messages": messages}}


def openapi() -> str:
    """The HTTP API's document, as a server with the settings of a fresh installation serves it."""
    from flowledger.api import job_stream
    from flowledger.api.app import create_app
    from flowledger.api.openapi import document
    from flowledger.api.services import Services
    from flowledger.api.workers import Workers
    from flowledger.connectors import api as connectors
    from flowledger.infra.settings import Settings
    from flowledger.plugins import api as plugins

    app = create_app(Services(None, None, Settings()), [*job_stream.handlers(None, Workers()), *connectors.HANDLERS, *plugins.HANDLERS])
    return json.dumps(document(app), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def sample(cls: type) -> object:
    return cls(**{name: SAMPLES[kind] for name, kind in avro.fields_of(cls)})


def main() -> int:
    AVRO.mkdir(parents=True, exist_ok=True)
    GOLDEN.mkdir(parents=True, exist_ok=True)
    wrong = []
    ids = {}
    for cls, (number, name, version) in WIRE.items():
        schema = json.dumps(avro.schema_of(cls), indent=1) + "\n"
        golden = avro.encode([sample(cls)], ENVELOPE)[0].hex() + "\n"
        ids[str(number << 8 | version)] = f"{name}.v{version}"
        for path, text in ((AVRO / f"{name}.v{version}.avsc", schema), (GOLDEN / f"{name}.v{version}.hex", golden)):
            if not path.exists() or "--unreleased" in sys.argv:
                path.write_text(text)
            elif path.read_text() != text and (
                path.suffix == ".hex" or json.loads(path.read_text())["fields"] != json.loads(text)["fields"]
            ):
                wrong.append(path.name)
            else:
                path.write_text(text)
    jobs = json.dumps(job_avro.schema(), indent=1) + "\n"
    (AVRO / "task.job.v1.avsc").write_text(jobs)
    ids[str(job_avro.SCHEMA_ID)] = "task.job.v1"
    commands = ROOT / "schemas" / "json" / "commands.json"
    commands.write_text(json.dumps(msgspec.json.schema(Request), indent=1) + "\n")
    (ROOT / "schemas" / "openapi.json").write_text(openapi())
    (ROOT / "schemas" / "asyncapi.json").write_text(json.dumps(asyncapi(), indent=1) + "\n")
    # the browser listens to each type by its name (server-sent events)
    types = [*sorted(wire.CURRENT), "subscribed"]
    (ROOT / "web" / "src" / "api" / "event-types.json").write_text(json.dumps(types, indent=1) + "\n")
    (AVRO / "ids.json").write_text(json.dumps(ids, indent=1) + "\n")
    if wrong:
        print("changed after release (raise the version and add an upcaster):", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

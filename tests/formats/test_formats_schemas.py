"""The JSON Schemas are those of the readers' tables, accept every example and test model that the readers accept, and refuse what is misspelt."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from flowledger.kernel.model import formats
from flowledger.kernel.model.formats import schemas
from flowledger.kernel.model.formats.source import parse

ROOT = Path(__file__).parents[2]
OF = {"steps": "steps.json", "process-json": "process.json", "extended": "extended.json"}
EXAMPLES = sorted(p for p in (ROOT / "examples").iterdir() if p.suffix in (".json", ".yaml"))


def plain(value):
    return json.loads(json.dumps(value, default=float))


def valid(data: bytes) -> bool:
    schema = schemas.SCHEMAS[OF[formats.detect(data)]]
    return jsonschema_rs.validator_for(schema).is_valid(plain(parse(data).plain()))


@pytest.mark.parametrize("name", schemas.SCHEMAS)
def test_the_files_are_what_the_readers_accept(name):
    written = json.loads((ROOT / "schemas" / "json" / name).read_text())
    assert written == schemas.SCHEMAS[name], "write schemas/json anew from kernel/model/formats/schemas.py"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_examples_are_valid(path):
    assert valid(path.read_bytes())


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("{id: p, steps: [{id: a, type: x}]}", True),
        ("{id: p, steps: {a: {type: x, x-own: 1}}}", True),
        ("{id: p, steps: [{id: a, tipe: x}]}", False),
        ("{id: p, steps: [{id: a, retries: -1}]}", False),
        ("{steps: [{id: a}]}", False),
        ("{id: p, steps: [{id: a, next: [{too: b}]}]}", False),
        ('{"id": "p", "flow": [{"if": "x", "then": [{"task": "a"}]}]}', True),
        ('{"id": "p", "flow": [{"if": "x", "then": [{"tusk": "a"}]}]}', False),
        ('{"id": "p", "flow": [], "nodes": []}', False),
        ('{"id": "p", "nodes": [{"id": "s", "type": "start"}], "flows": [{"from": "s"}]}', False),
        ('{"id": "p", "flow": [], "capabilities": {"ai": {"operation": 1}}}', False),
    ],
)
def test_good_and_misspelt(text, good):
    assert valid(text.encode()) == good

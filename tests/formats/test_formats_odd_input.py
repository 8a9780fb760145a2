"""No reader raises, whatever stands where: each value of each example is replaced by odd ones, keys are dropped, texts are cut."""

import json
import random
from pathlib import Path

import pytest
import yaml

from flowledger.kernel.model import formats

ROOT = Path(__file__).parents[2]
ODD = [None, True, 0, -1, 1.5, "", "=", "= 1 +", "a b", "\u0000", "x" * 300, [], {}, [None], [[]], {"a": None}, "end", "P1D"]
JSON = sorted(p for p in (ROOT / "examples").iterdir() if p.suffix in (".json", ".yaml"))
BPML = sorted((Path(__file__).parent / "samples").glob("*.bpml"))


def spots(value, path=()):
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from spots(inner, (*path, key))


def put(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("path", JSON, ids=lambda p: p.name)
def test_odd_values(path):
    data = yaml.safe_load(path.read_text())
    format = formats.detect(path.read_bytes(), path.name)
    chance = random.Random(7)
    places = [p for p in spots(data) if p]
    for _ in range(60):
        made = json.dumps(put(data, chance.choice(places), chance.choice(ODD))).encode()
        done = formats.convert(format, made, "odd.json")
        assert done.tree is not None or any(f.severity == "error" for f in done.findings)
        assert all(f.code and f.message and f.file for f in done.findings)


@pytest.mark.parametrize("path", BPML, ids=lambda p: p.name)
def test_cut_and_changed_bpml(path):
    text = path.read_text()
    chance = random.Random(7)
    words = sorted(set(text.replace("<", " ").replace(">", " ").replace('"', " ").split()))
    for _ in range(80):
        made = text.replace(chance.choice(words), chance.choice([*words, "", "odd", "1", "urn:x"]), chance.randint(1, 3))
        done = formats.convert("bpml", made.encode(), "odd.bpml")
        assert done.tree is not None or any(f.severity == "error" for f in done.findings)

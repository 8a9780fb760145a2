"""Damaged models: reading raises DmnError or nothing, evaluating and checking raise nothing, and traces stay JSON."""

import json
import os
import random
import re
from pathlib import Path

import pytest

from flowledger.kernel import dmn

TCK = Path(os.environ.get("SHARED_DATA", Path(__file__).resolve().parents[2].parent / "shared")) / "dmn-tck"
if not TCK.is_dir():
    pytest.skip(f"the TCK data isn't at {TCK}", allow_module_level=True)
MODELS = [p.read_bytes() for p in sorted(TCK.glob("*/*/*.dmn")) if p.stat().st_size < 15_000]
SCRAPS = [
    *(b'"', b"..", b"-", b"(", b")", b"null", b"?", b"[1..", b'@"', b"x", b"not(", b","),
    b"<literalExpression><text>1</text></literalExpression>",
]


def damaged(rng: random.Random) -> bytes:
    parts = re.findall(rb"<[^<>]+>|[^<>]+", rng.choice(MODELS))
    for _ in range(rng.randint(1, 4)):
        i = rng.randrange(len(parts))
        values = list(re.finditer(rb'"[^"]*"', parts[i]))
        if values and rng.random() < 0.5:
            value, other = rng.choice(values), re.findall(rb'"[^"]*"', rng.choice(parts)) or [b'""']
            parts[i] = parts[i][: value.start()] + rng.choice(other) + parts[i][value.end() :]
        elif parts[i].startswith(b"<"):
            parts[i] = rng.choice(parts)
        else:
            parts[i] += rng.choice(SCRAPS)
    return b"".join(parts)


@pytest.mark.parametrize("seed", range(60))
def test_damaged_models(seed):
    rng = random.Random(seed)
    read = 0
    for _ in range(12):
        xml = damaged(rng)
        dmn.findings(xml)
        try:
            model = dmn.read(xml)
        except dmn.DmnError:
            continue
        read += 1
        for decision in model.decisions[:10]:
            if decision.name:
                evaluation = model.evaluate(decision.name, {"Age": 1, "x": "a"})
                json.dumps(evaluation.trace, default=str)
    assert read

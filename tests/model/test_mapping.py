# ruff: noqa: E501 - models are lines
"""Proposals of a migration: by id, name and place, and what is left to whoever edits them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
from notation import bpmn

from flowledger.kernel.model import bpmn as reader
from flowledger.kernel.model.mapping import propose

pytestmark = pytest.mark.req("D-MOD-005")


def rows(old: str, new: str) -> dict[str, tuple[str, str, str]]:
    graphs = [reader.read(bpmn(text).encode(), "m.bpmn")[0] for text in (old, new)]
    found: list[dict[str, Any]] = propose(*(g.processes["p"] for g in graphs if g is not None))
    return {r["from"]: (r["to"], r["by"], r["note"]) for r in found}


CHAIN = 'startEvent s\nserviceTask {0} name="Check it"\nserviceTask z\nendEvent e\ns > {0} > z > e'


@pytest.mark.parametrize(
    ("old", "new", "element", "expected"),
    [
        (CHAIN.format("a"), CHAIN.format("a"), "a", ("a", "id")),
        (CHAIN.format("a"), CHAIN.format("b"), "a", ("b", "name")),
        (CHAIN.format("a"), CHAIN.format("b").replace("Check it", "Look"), "a", ("b", "place")),
        (CHAIN.format("a"), CHAIN.format("a").replace("serviceTask a", "userTask a"), "a", ("", "")),
        (CHAIN.format("a"), "startEvent s\nserviceTask z\nendEvent e\ns > z > e", "a", ("", "")),
        # found twice is found by nobody
        (
            "startEvent s\nserviceTask a\ns > a",
            "startEvent s\nparallelGateway f\nserviceTask b\nserviceTask c\ns > f\nf > b\nf > c",
            "a",
            ("", ""),
        ),
        # a boundary event goes with its host, by place
        (
            CHAIN.format("a") + "\nboundaryEvent t on=a : timer PT1H\nt > z",
            CHAIN.format("a") + "\nboundaryEvent u on=a : timer PT2H\nu > z",
            "t",
            ("u", "place"),
        ),
        (
            "startEvent s\nparallelGateway f\nserviceTask a\nparallelGateway j\ns > f\nf > a > j\nf > j",
            "startEvent s\nparallelGateway f\nserviceTask a\nparallelGateway k\ns > f\nf > a > k\nf > k",
            "f-j",
            ("f-k", "place"),
        ),
    ],
)
def test_what_is_proposed(old: str, new: str, element: str, expected: tuple[str, str]) -> None:
    assert rows(old, new)[element][:2] == expected


@pytest.mark.parametrize(
    ("new", "element", "note"),
    [
        (CHAIN.format("a").replace("serviceTask a", "userTask a"), "a", "is a userTask there"),
        ("startEvent s\nserviceTask z\nendEvent e\ns > z > e", "a", "nothing like it"),
        (CHAIN.format("a").replace('name="Check it"', 'name="Check it"\n.<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>'), "a", "loops otherwise"),
        ('startEvent s\nsubProcess sp {\nserviceTask a name="Check it"\n}\nserviceTask z\nendEvent e\ns > sp > z > e', "a", "stands in 'sp' there"),
    ],
)  # fmt: skip
def test_what_is_noted(new: str, element: str, note: str) -> None:
    assert note in rows(CHAIN.format("a"), new)[element][2]

"""Odd values in every field of every command, about things that are there, by the door that takes records of anybody: an answer or a refusal, never a
defect of the engine. More: ODD_RUNS=1500 ODD_SEED=x."""

from __future__ import annotations

import os
import random
import sys
import typing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_gate import World, commands

from flowledger.events import commands as c
from flowledger.events import requests
from flowledger.events.base import Broken, Heavy
from flowledger.kernel.checkpoint import fingerprint
from flowledger.kernel.decision import Decision
from flowledger.kernel.ledger.facts import NotAtHand

#: how often each command is tried, and with what
RUNS, SEED = int(os.environ.get("ODD_RUNS", "20")), os.environ.get("ODD_SEED", "")
KINDS = sorted(typing.get_args(c.AnyCommand), key=lambda k: k.__name__)
TEXTS = [
    "",
    " ",
    "\ud800",
    "\x00",
    "x" * 5_000,
    "0",
    "-1",
    "1e999",
    "9" * 30,
    "p",
    "job",
    "b/user:ann",
    "=1/0",
    "a/b/c",
    "\n",
    "😀",
    "2026-02-30T00:00:00Z",
    "P999999999D",
]
NUMBERS = [0, -1, 1, 2**31, 2**53, 2**63 - 1, -(2**63), 2**63, 10**30]


def deep(n: int) -> Any:
    v: Any = 1
    for i in range(n):
        v = [v] if i % 2 else {"k": v}
    return v


def anything(dice: random.Random) -> Any:
    return dice.choice(
        [
            None,
            True,
            [],
            {},
            [None],
            {"": {"": []}},
            deep(99),
            deep(101),
            deep(500),
            {"x": "\ud800"},
            {"\ud800": 1},
            Decimal("1E+6000"),
            Decimal("NaN"),
            0.1,
            *TEXTS,
            *NUMBERS,
            ["x"] * 300,
            {"element": 1},
            [{"element": "job"}],
            [[1]],
            [1],
            [-1],
            ["b"],
            {"a": [1, {"b": None}]},
        ]
    )


def value(dice: random.Random, text: str, kind: Any, keys: list[int]) -> Any:
    if dice.random() < 0.05 and "None" in text:
        return None
    if kind is int or text.startswith("int"):
        return dice.choice([*NUMBERS, *keys])
    if kind is str or text.startswith("str"):
        return dice.choice([*TEXTS, *map(str, keys)])
    if kind is bool or text.startswith("bool"):
        return dice.random() < 0.5
    if kind is float or text.startswith("float"):
        return dice.choice([0.0, -1.0, 1e308, 1e-300])
    if text.startswith("list[int]"):
        return [dice.choice([*NUMBERS, *keys]) for _ in range(dice.choice([0, 1, 3]))]
    if text.startswith("list[str]"):
        return [dice.choice([*TEXTS, *map(str, keys)]) for _ in range(dice.choice([0, 1, 3]))]
    if text.startswith("dict"):
        made = {dice.choice(TEXTS): anything(dice) for _ in range(dice.choice([0, 1, 3]))}
        return made
    if text.startswith("list[dict"):
        return [
            {dice.choice(["element", "key", "scope", "variables", "name", *TEXTS]): anything(dice) for _ in range(3)}
            for _ in range(dice.choice([0, 1, 2]))
        ]
    if text.startswith("list"):
        return [anything(dice) for _ in range(dice.choice([0, 1, 3]))]
    return anything(dice)


def made(dice: random.Random, kind: Any, base: Any, keys: list[int]) -> Any:
    fields = msgspec.structs.fields(kind)
    values = {f.name: getattr(base, f.name) for f in fields} if base is not None else {}
    hostile = set(dice.sample([f.name for f in fields], min(len(fields), dice.choice([1, 1, 2, 3])))) if fields else set()
    for f in fields:
        if f.name in hostile or (base is None and f.required):
            text = str(f.type).replace("typing.", "")
            values[f.name] = value(dice, text, f.type, keys)
    return kind(**values)


@pytest.mark.req("WOS-ENG-014")
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_no_odd_value_is_a_defect(kind):
    dice = random.Random(kind.__name__ + SEED)
    w = World()
    for n in range(RUNS):
        if n % 25 == 0:
            w = World()
        keys = [w.definition, w.decision, w.instance, w.task, w.person, w.token, w.incident, w.timer, w.letter, w.batch, w.hold]
        if w.instance not in w.p.instances:
            w = World()
        try:
            record = msgspec.json.Encoder(decimal_format="number").encode(c.Request(command=made(dice, kind, commands(w).get(kind), keys)))
        except Exception:
            continue  # what can't be written comes by no door
        request = requests.read(record)
        if isinstance(request, requests.Unreadable):
            continue
        command = request.command
        before = fingerprint(w.p)
        rights = dice.choice([None, None, [], ["tenants:any"]])
        try:
            found = w.ask(command, dice.choice(["b", "b", "b", "a", ""]), rights)
        except (Heavy, NotAtHand):
            continue
        assert not isinstance(found, Broken), f"{command!r:.800}: {found}".encode("utf-8", "backslashreplace").decode()
        if not isinstance(found, Decision):
            assert fingerprint(w.p) == before
            found.message.encode()
        w.now += 1000

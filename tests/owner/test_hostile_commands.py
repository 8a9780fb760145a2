"""Whatever numbers stand in a command that comes by the topic, of whatever kind: the owner goes on, at once, and takes what comes behind it."""

from __future__ import annotations

import random
import sys
import time
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_sends import One

from flowledger.events import commands as c
from flowledger.events import requests

KINDS = sorted(typing.get_args(c.AnyCommand), key=lambda k: k.__name__)
NUMBERS = [0, -1, 1, 10**6, 1 << 62, (1 << 63) - 1, -(1 << 63)]


def hostile(kind: type[c.Command], dice: random.Random, numbers: list[int]) -> c.Command:
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        text = str(field.type)
        if field.type is int:
            values[field.name] = dice.choice(numbers)
        elif "list[int]" in text:
            values[field.name] = [dice.choice(numbers) for _ in range(3)]
        elif field.required:
            values[field.name] = "x" if field.type is str else [] if "list" in text else {}
    return kind(**values)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_no_number_stops_or_holds_up_the_owner(kind):
    dice = random.Random(kind.__name__)
    for numbers in [*([n] for n in NUMBERS), NUMBERS, NUMBERS, NUMBERS]:
        request = requests.read(msgspec.json.encode(c.Request(command=hostile(kind, dice, numbers))))  # type: ignore[arg-type]
        if isinstance(request, requests.Unreadable):
            continue
        one = One(0)
        one.receive(request, c.Request(command=c.CreateTask(job_type="next"), id="next"))
        began = time.process_time()
        for _ in range(3):
            one.acknowledge(one.step())
        assert one.machine.stopped is None, f"{request.command}: {one.machine.stopped!r}"
        assert time.process_time() - began < 1.0, request.command
        assert [t.job_type for t in one.machine.state.tasks.values()][-1] == "next", request.command

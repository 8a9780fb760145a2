"""A process of its own that runs histories: it reads and writes lines of JSON, knows no log, no database and no setting, and has a bound on its time.

    first line   {process, tenant, seconds, save, model: [Source], sources: [Source]}    answered by {process} or {findings}
    each other   {id, histories: {key: [rows of events]}, used: [keys], sources: [Source]}    answered by {id, outcome, ...}

It ends with its input.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec

from flowledger.sdk.testing.errors import ModelInvalid
from flowledger.sdk.testing.replay import run, scenario

#: bytes of memory; seconds of the processor beyond the time that was ordered
MEMORY_MAX, SPARE_S = 4 << 30, 5
#: seconds for one history
EACH_S = 10.0


class Order(msgspec.Struct):
    """`seconds`: for all of it. `save`: how many tests are wanted."""

    model: list[run.Source]
    sources: list[run.Source]
    process: str = ""
    tenant: str = ""
    seconds: float = 20.0
    save: int = 0


class Wish(msgspec.Struct):
    id: int
    histories: dict[int, list[dict[str, Any]]]
    used: list[int] = []
    #: models that were not given before
    sources: list[run.Source] = []


_order = msgspec.json.Decoder(Order, float_hook=Decimal)
_wish = msgspec.json.Decoder(Wish, float_hook=Decimal, strict=False)
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


class Work:
    """One order."""

    def __init__(self, line: bytes) -> None:
        order = self.order = _order.decode(line)
        self.end = time.monotonic() + float(order.seconds)
        self.left = order.save
        self.replayer = run.Replayer(order.model, order.sources, order.process, order.tenant)

    def do(self, line: bytes) -> dict[str, Any]:
        wish = _wish.decode(line)
        self.replayer.add(wish.sources)
        histories = {key: run.moments(rows) for key, rows in wish.histories.items()}
        outcome, feed = self.replayer.run(wish.id, histories, wish.used, min(EACH_S, max(0.0, self.end - time.monotonic())))
        found = {"id": str(wish.id), **msgspec.to_builtins(outcome, builtin_types=(Decimal,))}
        if feed is not None and self.left:
            test, why = scenario.of(self.replayer, feed, f"{self.replayer.process} {wish.id}")
            if test is not None:
                self.left -= 1
            found |= {"test": test} if test is not None else {"unsaved": why}
        return found


def main(given: BinaryIO, out: BinaryIO) -> None:
    def say(value: Any) -> None:
        out.write(_encode(value) + b"\n")
        out.flush()

    work: Work | None = None
    for line in given:
        try:
            if work is None:
                work = Work(line)
                seconds = int(work.order.seconds) + SPARE_S
                resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
                say({"process": work.replayer.process, "files": scenario.files(work.replayer) if work.order.save else {}})
            else:
                say(work.do(line))
        except ModelInvalid as e:
            say({"findings": e.findings})
            return
        except (ValueError, KeyError, TypeError, AttributeError, msgspec.MsgspecError, RecursionError, MemoryError) as e:
            say({"broken": f"{type(e).__name__}: {e}"})
            if work is None:
                return


def begin() -> None:
    """As a process of its own, on stdin and stdout."""
    os.nice(10)  # those who do the work come first
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    main(sys.stdin.buffer, sys.stdout.buffer)

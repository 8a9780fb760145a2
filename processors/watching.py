"""The shell of the watchdog: gives it its turns between the steps of an owner, asks other partitions for it, and looks at the topic of commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.kernel.watchdog import peers
from flowledger.logs import log
from flowledger.processors.clock import Clocks
from flowledger.processors.log import COMMANDS, Log, LogError
from flowledger.processors.machine import Machine

log_ = log("watchdog")

#: between looks at what other partitions are to be asked, and at the end of the topic of commands (seconds)
ASK_S, TOPIC_S = 1.0, 10.0


class Owner(Protocol):
    """As far as it is needed here (`processors/owner.py`)."""

    log: Log
    partition: int
    clocks: Clocks
    ask: Callable[[int, c.AnyCommand], Awaitable[Any]] | None

    def doubt(self, why: BaseException) -> None: ...


async def watch(owner: Owner, machine: Machine) -> None:
    """For as long as the claim of `machine` holds. Its owner cancels it."""
    others = asyncio.ensure_future(_around(owner, machine))
    try:
        while machine.stopped is None:
            try:
                machine.watch(owner.clocks.wall(), owner.clocks.mono())
            except Exception as bug:  # a defect of the watchdog harms nobody but itself
                log_.error("the watchdog broke", partition=owner.partition, exc_info=bug)
                await asyncio.sleep(TOPIC_S)
            if machine.watchdog.wishes_anew and not machine.flights:
                owner.doubt(LogError("an operator lets the partition be taken over anew"))
                return
            await asyncio.sleep(machine.watchdog.pause_s)
    finally:
        others.cancel()


async def _around(owner: Owner, machine: Machine) -> None:
    next_topic = 0.0
    loop = asyncio.get_running_loop()
    while machine.stopped is None:
        await asyncio.sleep(ASK_S)
        try:
            await _ask(owner, machine)
            if loop.time() >= next_topic:
                next_topic = loop.time() + TOPIC_S
                machine.watchdog.commands(await owner.log.end(COMMANDS, owner.partition), machine.source)
        except (LogError, OSError) as why:  # who owns hears of it by its own appends
            log_.warning("the watchdog can't look around", partition=owner.partition, why=str(why))


async def _ask(owner: Owner, machine: Machine) -> None:
    if owner.ask is None:
        return
    meta = machine.state.meta
    for to, some in machine.watchdog.questions().items():
        for at in range(0, len(some), peers.ASKED_MAX):
            part = some[at : at + peers.ASKED_MAX]
            sent = meta.sent.get(to, 0)
            asked: list[list[str | int]] = [[q.kind, *q.of] for q in part]
            answer: Any = await owner.ask(to, co.AskPeers(partition=owner.partition, questions=asked))
            if isinstance(answer, dict) and machine.stopped is None:
                machine.watchdog.answered(part, sent, answer)

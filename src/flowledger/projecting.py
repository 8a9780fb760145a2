"""The projector of a process: made of its parts, and what is said when it ends."""

from __future__ import annotations

from typing import Any

from flowledger.infra.settings import SettingsError
from flowledger.infra.telemetry import Telemetry
from flowledger.processors.log import EVENTS, Log


def runner(source: Any, log: Log, dsn: str, partitions: int, telemetry: Telemetry, hurry: bool) -> Any:
    """`source`: of counted events; `hurry`: nobody else of this process has to do with the loop."""
    from flowledger.infra.observer import Endings
    from flowledger.projections.runner import HURRY_S, INTERVAL_S, Runner

    async def end(partition: int) -> int:
        return await log.end(EVENTS, partition)

    interval_s = HURRY_S if hurry else INTERVAL_S
    return Runner(source, dsn, range(partitions), end=end, interval_s=interval_s, tracer=telemetry.tracer, ended=Endings(telemetry.metrics))


def said(why: BaseException) -> BaseException:
    """What ended a part, as whoever set it up may be told."""
    from flowledger.projections.runner import AnotherLog

    if isinstance(why, AnotherLog):
        return SettingsError(f"{why}. Name another database with --postgres, or another folder with --data")
    return why

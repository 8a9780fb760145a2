"""`flowledger backup` and `flowledger restore`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from flowledger.infra.cli.ops import settings_of, with_log
from flowledger.infra.cli.output import NO, USAGE, as_json, busy, console, fail, say


def backup(folder: Path, config: Path | None, json: bool, **given: Any) -> None:
    from flowledger.infra import backup as b

    settings = settings_of(config, **given)

    async def work(log: Any) -> dict[str, Any]:
        with busy("copying the log"):
            return await b.backup(log, settings, folder)

    try:
        made = asyncio.run(with_log(settings, True, work))
    except (b.BackupUnusable, OSError) as e:
        fail(str(e), NO)
    if json:
        as_json(made)
        return
    console().print(f"[green]✓[/] {made['partitions']} partitions are in {folder}, and were read there: nothing altered, nothing missing")
    _begins(made)
    if made["key"]:
        say(f"the signing key is not in it: keep {made['key']} in a place of its own")


def _begins(made: dict[str, Any]) -> None:
    """Of a log that was trimmed: from where on it is proven, and what that means."""
    begins = {b["partition"]: b for b in made.get("begins", [])}
    for p, b in begins.items():
        say(f"partition {p} begins at {p}-{b['begin']}: what was before is gone, and in the checkpoint at {p}-{b['checkpoint']}")
    if begins:
        places = ",".join(f"{p}-{begins[p]['begin'] if p in begins else 0}" for p in range(made["partitions"]))
        say(
            f"it is proven from there on: flowledger audit verify --from {places}; PostgreSQL's rows can't be folded from it: keep a dump of them"
        )


def restore(folder: Path, until: str, config: Path | None, json: bool, **given: Any) -> None:
    from flowledger.infra import backup as b
    from flowledger.infra.point_in_time import Cut, sentences
    from flowledger.kernel.times import moment

    settings = settings_of(config, **given)
    try:
        until_us = moment(until)[0] if until else None
    except ValueError as e:
        fail(f"--until: {e}", USAGE)
    try:
        if settings.kafka:
            made = asyncio.run(with_log(settings, False, lambda log: b.restore(folder, settings, log, until_us)))
        else:
            made = asyncio.run(b.restore(folder, settings, until_us=until_us))
    except (b.BackupUnusable, OSError) as e:
        fail(str(e), NO)
    if json:
        as_json(made)
        return
    console().print(
        f"[green]✓[/] {made['partitions']} partitions are restored and verified"
        + ("" if made.get("begins") else "; the first start folds the rows of PostgreSQL from them")
    )
    _begins(made)
    for sentence in sentences(msgspec.convert(made.get("cuts", []), list[Cut])):
        console().print(sentence, highlight=False)
    if made["key"]:
        say(
            "put the signing key back before the first start (it was "
            + made["key"]
            + "); else a new one is made, and nobody vouches for it"
        )

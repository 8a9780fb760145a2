"""`flowledger dev` and `flowledger serve`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from flowledger.infra.cli.ops import settings_of
from flowledger.infra.cli.output import NO, USAGE, busy, command, console, fail, say
from flowledger.infra.secret_text import hidden


def dev(config: Path | None, watch: Path | None = None, **given: Any) -> None:
    """All roles; says where things are once it is ready."""

    async def say(system: Any) -> None:
        banner(system)
        if watch is not None:
            from flowledger.infra.cli.watch import watch as deploy_what_is_saved

            await deploy_what_is_saved(system.url, watch)

    if watch is not None and not watch.is_dir():
        fail(f"--watch must be a folder, found {watch}", USAGE)
    start(config, say, **given)


def start(config: Path | None, then: Callable[[Any], Awaitable[None]], **given: Any) -> None:
    """One process with all roles of a development machine; `then(system)` runs beside it once it is ready."""

    def told() -> Any:
        found = settings_of(config, roles="api,owner,projector,grpc,connectors", **given)
        if sys.stderr.isatty() and found.log_level == "info" and not found.log_file:
            found = found.model_copy(update={"log_level": "warning"})
        return found

    settings = told()
    if not settings.loopback:
        say("[yellow]open to the network, in plain text[/]: put a proxy with TLS before it, or passwords and keys can be read on the way")
    _run(told, then)


def serve(config: Path | None, **given: Any) -> None:
    _run(lambda: settings_of(config, **given), None)


def _run(told: Callable[[], Any], then: Callable[[Any], Awaitable[None]] | None) -> None:
    """`told` gives the settings: now, and when the process is asked to look at those of its logs again."""
    from flowledger.collector import rest
    from flowledger.infra.postgres_server import PostgresUnavailable
    from flowledger.loop import run
    from flowledger.processors.log import LogError
    from flowledger.system import System

    began = time.perf_counter()
    settings = told()
    system = System(settings)
    system.reread = told
    with busy("starting") as update:
        system.progress = lambda what: update(f"starting: {what}")

        async def started(system: Any) -> None:
            update("")
            system.ready_s = time.perf_counter() - began
            rest()
            if then is not None:
                await then(system)

        try:
            run(system.run(started))
        except (LogError, PostgresUnavailable) as e:
            fail(str(e), NO, "is it up, and is its address right?" if settings.kafka or settings.postgres else "")


async def endless() -> None:
    """Until the process is told to end."""
    await asyncio.Event().wait()


def banner(system: Any) -> None:
    from flowledger.stores import postgres_folder

    s = system.settings
    out = console(True)
    out.print(f"\n[bold green]flowledger[/] is ready (it took {system.ready_s:.1f} s)\n")
    lines = {
        "console": system.url if system.has("api") else "",
        "API": f"{system.url}/v1   (OpenAPI: {system.url}/v1/openapi.json)",
        "gRPC (Zeebe)": system.grpc_address,
        "health, metrics": f"{system.url}/health/ready   {system.url}/metrics",
        "log": f"Kafka {s.kafka}" if s.kafka else str(s.data.resolve() / "log.sqlite3"),
        "PostgreSQL": hidden(s.postgres) or str(postgres_folder(s)),
    }
    for name, value in lines.items():
        if value:
            out.print(f"  [bold]{name:<16}[/]{value}", soft_wrap=True)
    out.print(f"\n  [dim]{command()} deploy FILE, {command()} start KEY; Ctrl+C ends it[/]\n", soft_wrap=True)

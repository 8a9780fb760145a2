"""`flowledger dev` and `flowledger serve`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from flowledger.infra.cli.output import NO, console, fail


def dev(config: Path | None, examples: bool, **given: Any) -> None:
    """All roles in one process; says where things are once it is ready."""
    from flowledger.infra.settings import load

    _run(load(config, roles="api,owner,projector,grpc", **_texts(given)), examples, True)


def serve(config: Path | None, **given: Any) -> None:
    from flowledger.infra.settings import load

    _run(load(config, **_texts(given)), False, False)


def _texts(given: dict[str, Any]) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, Path) else v for k, v in given.items()}


def _run(settings: Any, examples: bool, friendly: bool) -> None:
    import time

    from flowledger.__main__ import build
    from flowledger.infra.postgres_server import PostgresUnavailable
    from flowledger.processors.log import LogError
    from flowledger.system import run

    began = time.perf_counter()
    friendly = friendly and sys.stderr.isatty() or friendly and examples
    if friendly:
        settings = settings.model_copy(update={"log_level": "warning"}) if settings.log_level == "info" else settings
    system = build(settings)

    def started(system: Any) -> Any:
        if friendly:
            banner(system, time.perf_counter() - began)
        if not examples:
            return None
        import asyncio

        from flowledger.infra.cli.demo import drive, summary

        async def play() -> None:
            result = await asyncio.to_thread(drive, system.url, 5)
            summary(result, system.url)

        return play()

    if not settings.loopback and friendly:
        console(True).print("[yellow]open to the network, without sign-in[/]: put it behind a proxy that knows who may do what")
    try:
        run(system.run(started))
    except (LogError, PostgresUnavailable) as e:
        fail(str(e), NO, "is it up, and is its address right?" if settings.kafka or settings.postgres else "")


def banner(system: Any, seconds: float) -> None:
    s = system.settings
    out = console(True)
    out.print(f"\n[bold green]flowledger[/] is ready after {seconds:.1f} s\n")
    lines = {
        "API": f"{system.url}/v1   (OpenAPI: {system.url}/v1/openapi.json)",
        "gRPC (Zeebe)": system.grpc_address,
        "health, metrics": f"{system.url}/health/ready   {system.url}/metrics",
        "log": f"Kafka {s.kafka}" if s.kafka else str(s.data.resolve() / "log.sqlite3"),
        "PostgreSQL": s.postgres or str(s.data.resolve() / "postgres"),
    }
    for name, value in lines.items():
        if value:
            out.print(f"  [bold]{name:<16}[/]{value}")
    out.print("\n  [dim]flowledger deploy FILE, flowledger start KEY; Ctrl+C ends it[/]\n")

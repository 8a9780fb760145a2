"""Care of a running system: Kafka for development, topics, audit, projections, benchmarks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from flowledger.infra.cli.output import NO, UNREACHABLE, as_json, busy, console, facts, fail, table


def settings_of(config: Path | None, **given: Any) -> Any:
    from flowledger.infra.settings import load

    return load(config, **_texts(given))


def _texts(given: dict[str, Any]) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, Path) else v for k, v in given.items()}


def settings(config: Path | None, json: bool, **given: Any) -> None:
    from flowledger.infra.secret_text import hidden
    from flowledger.infra.settings import traced

    found, where = traced(config, **_texts(given))

    def shown(value: Any) -> str:
        return hidden(",".join(value) if isinstance(value, tuple) else str(value))

    rows = [{"setting": name, "value": shown(getattr(found, name)), "source": source} for name, source in where.items()]
    as_json(rows) if json else table(rows, ["setting", "value", "source"])


def kafka_up(data: Path | None, port: int, json: bool) -> None:
    from flowledger.infra.kafka_broker import BrokerUnavailable, up

    settings = settings_of(None, data=data)
    try:
        with busy("starting Kafka") as update:
            address = up(Path(settings.data) / "kafka", port, update)
    except BrokerUnavailable as e:
        fail(str(e), NO)
    if json:
        as_json({"bootstrap": address})
    else:
        console().print(f"[green]✓[/] Kafka listens on [bold]{address}[/]   flowledger dev --kafka {address}")


def kafka_down(data: Path | None) -> None:
    from flowledger.infra.kafka_broker import down

    was = down(Path(settings_of(None, data=data).data) / "kafka")
    console().print("[green]✓[/] Kafka is stopped" if was else "Kafka was not running")


async def with_log(settings: Any, readonly: bool, work: Any) -> Any:
    from flowledger.processors.log import LogError
    from flowledger.stores import make_log

    log = make_log(settings, readonly)
    try:
        await log.open()
    except (LogError, OSError) as e:
        fail(f"the log can't be reached: {e}", UNREACHABLE)
    try:
        return await work(log)
    finally:
        await log.close()


def topics(create: bool, config: Path | None, **given: Any) -> None:
    settings = settings_of(config, **given)

    async def work(log: Any) -> list[str]:
        if create:
            await log.create_topics(settings.partitions)
        found: list[str] = await log.check_topics()
        if not found:
            console().print(f"[green]✓[/] all topics are there, {log.partitions} partitions each")
        return found

    wrong = asyncio.run(with_log(settings, not create, work))
    for line in wrong:
        console().print(f"[red]✗[/] {line}")
    if wrong:
        fail("", NO)


def dsn_of(settings: Any) -> str:
    from flowledger.infra.postgres_server import PostgresUnavailable
    from flowledger.stores import postgres_folder, start_postgres

    if not settings.postgres and not postgres_folder(settings).exists():
        fail(f"there is no database in {settings.data}: name its folder with --data, or a PostgreSQL with --postgres")
    try:
        return start_postgres(settings)
    except PostgresUnavailable as e:
        fail(str(e), UNREACHABLE)


def projections_status(config: Path | None, json: bool, **given: Any) -> None:
    settings = settings_of(config, **given)
    dsn = dsn_of(settings)

    async def work() -> Any:
        from flowledger.projections.reader import Reader

        async with Reader(dsn, size=1) as reader:
            return await reader.status()

    views = asyncio.run(work())
    ends = asyncio.run(_ends(settings))
    for view in views:
        at = view["partitions"]
        view["lag_events"] = sum(max(0, end - 1 - at.get(str(p), {}).get("position", -1)) for p, end in ends.items())
    if json:
        as_json(views)
        return
    rows = [{**v, "position": ", ".join(f"{p}-{x['position']}" for p, x in v["partitions"].items())} for v in views]
    table(rows, ["view", "version", "lag_events", "built_at", "position"], empty="no views yet")


async def _ends(settings: Any) -> dict[int, int]:
    from flowledger.processors.log import EVENTS

    async def work(log: Any) -> dict[int, int]:
        return {p: await log.end(EVENTS, p) for p in range(log.partitions)}

    found: dict[int, int] = await with_log(settings, True, work)
    return found


def projections_rebuild(name: str, check: bool, config: Path | None, json: bool, **given: Any) -> None:
    settings = settings_of(config, **given)
    dsn = dsn_of(settings)

    async def work(log: Any) -> Any:
        from flowledger.projections import rebuild as r
        from flowledger.projections.views import VIEWS
        from flowledger.stores import source_of

        if name and name not in VIEWS:
            fail(f"there is no view {name}; there are {', '.join(VIEWS)}", 2)
        names = [name] if name else None
        try:
            with busy("comparing with the log" if check else "folding the log anew"):
                if check:
                    return await r.verify(dsn, source_of(log, follow=False), range(log.partitions), names)
                return await r.rebuild(dsn, source_of(log, follow=False), range(log.partitions), names)
        except r.Busy as e:
            fail(str(e) or "another rebuild is going on", NO)

    found = asyncio.run(with_log(settings, True, work))
    if json:
        as_json(found)
    elif check:
        rows = [{"table": t, **v, "result": "ok" if v["equal"] else "error"} for t, v in found.items()]
        table(rows, ["table", "live", "fold", "result"])
    else:
        facts({k: f"version {v}" for k, v in found.items()}, "rebuilt and swapped in")
    if check and not all(v["equal"] for v in found.values()):
        fail("rows differ from the fold of the log: rebuild them", NO)


def bench(name: str, **options: Any) -> None:
    """Each module of `flowledger.bench` with `run() -> list[dict]`, one JSON line per figure. `options`: None is not given; for a named one."""
    import importlib
    import inspect
    import pkgutil

    from flowledger import bench as package

    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    if name and name not in names:
        fail(f"there is no benchmark {name}; there are {', '.join(names)}", 2)
    given = {k: v for k, v in options.items() if v is not None}
    for each in [name] if name else names:
        module = importlib.import_module(f"flowledger.bench.{each}")
        if not hasattr(module, "run"):
            continue
        if unknown := [k for k in given if k not in inspect.signature(module.run).parameters]:
            if name:
                fail(f"the benchmark {name} has no --{unknown[0]}", 2)
            continue
        with busy(f"bench {each}"):
            figures = module.run(**given)
        as_json([{"bench": each, **f} for f in figures], lines=True)

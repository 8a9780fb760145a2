"""Figures and reports from the log: what was done, how long it took, where it waits (docs/insight.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flowledger.infra.cli.given import json_object
from flowledger.infra.cli.options import Json, ServerUrl
from flowledger.infra.cli.output import as_json, console, table

app = typer.Typer(help="Figures and reports from the log: what was done, how long it took, where it waits.", no_args_is_help=True)
Since = Annotated[str, typer.Option("--from", metavar="TIME", help="At or after this time, like 2026-11-01T00:00:00Z")]
Until = Annotated[str, typer.Option("--to", metavar="TIME", help="Before this time [default: now]")]
Process = Annotated[str, typer.Option("--process", metavar="ID", help="Of this process")]
_TIMES = ("cycle_time", "waiting_time", "working_time")


@app.command()
def measures(
    measure: Annotated[list[str] | None, typer.Option("--measure", help="One of the measures; several [default: the usual ones]")] = None,
    group: Annotated[list[str] | None, typer.Option("--group", help="process, version, definition, element, job_type; several")] = None,
    window: Annotated[str, typer.Option("--window", help="minute, hour, day, week, month, all")] = "all",
    since: Since = "",
    until: Until = "",
    process: Process = "",
    version: Annotated[int | None, typer.Option("--version", help="Of this version")] = None,
    element: Annotated[str, typer.Option("--element", help="Of this element")] = "",
    job_type: Annotated[str, typer.Option("--job-type", help="Of jobs of this type")] = "",
    csv: Annotated[bool, typer.Option("--csv", help="As a table for spreadsheets")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Figures by group and window; times as count, mean and percentiles."""
    from flowledger.infra.cli.server import Server

    query: dict[str, Any] = {"window": window, "from": since, "to": until, "process": process, "element": element, "job_type": job_type}
    query |= {"measure": ",".join(measure or ()), "group": ",".join(group or ())}
    if version is not None:
        query["version"] = str(version)
    found = Server(server).get("/v1/measures", **{k: v for k, v in query.items() if v})
    if json:
        as_json(found)
        return
    rows = [_flat(item) for item in found["items"]]
    if csv:
        as_csv(rows)
        return
    if window == "all":
        rows = [{k: v for k, v in row.items() if k not in ("from", "to")} for row in rows]
    table([{k: "" if v is None else v for k, v in row.items()} for row in rows], list(rows[0]) if rows else [], empty="nothing was done")
    console(stderr=True).print(f"[dim]{found['from']} to {found['to']}, times in seconds[/]")


Version = Annotated[int | None, typer.Option("--version", help="Of this version")]
OfProcess = Annotated[str, typer.Argument(metavar="PROCESS", help="The id of a process")]
Csv = Annotated[bool, typer.Option("--csv", help="As a table for spreadsheets")]


def ask(server: str, path: str, **query: Any) -> dict[str, Any]:
    from flowledger.infra.cli.server import Server

    found: dict[str, Any] = Server(server).get(path, **{k: str(v) for k, v in query.items() if v not in ("", None)})
    return found


def show_rows(found: dict[str, Any], rows: list[dict[str, Any]], csv: bool, json: bool, empty: str = "nothing was done") -> None:
    if json:
        as_json(found)
    elif csv:
        as_csv(rows)
    else:
        table([{k: "" if v is None else v for k, v in row.items()} for row in rows], list(rows[0]) if rows else [], empty=empty)


def seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 3)


@app.command()
def heatmap(
    process: OfProcess,
    version: Version = None,
    since: Since = "",
    until: Until = "",
    csv: Csv = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Where a process is busy, slow, waiting and failing, element by element; heat from 0 to 1, times in seconds."""
    found = ask(server, "/v1/reports/heatmap", process=process, version=version, **{"from": since, "to": until})
    rows = [
        {
            "element": i["element"], "name": i["name"], "visits": i["started"], "open": i["wip"], "failed": i["failed"], "errors": i["errors"],
            "duration": seconds(i["cycle_time"]["mean_ms"]), "waiting": seconds(i["waiting_time"]["mean_ms"]),
            "working": seconds(i["working_time"]["mean_ms"]), **{f"heat {k}": v for k, v in i["heat"].items()},
        }
        for i in found["items"]
    ]  # fmt: skip
    show_rows(found, rows, csv, json)


@app.command()
def bottlenecks(
    process: OfProcess,
    version: Version = None,
    since: Since = "",
    until: Until = "",
    csv: Csv = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What instances wait for most, and what speaks for it."""
    found = ask(server, "/v1/reports/bottlenecks", process=process, version=version, **{"from": since, "to": until})
    rows = [{"rank": i["rank"], "element": i["element"], "name": i["name"], "evidence": i["says"]} for i in found["items"]]
    show_rows(found, found["items"] if csv else rows, csv, json, empty="nothing was waited for")


@app.command()
def coverage(
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="The id of a decision")],
    version: Version = None,
    together: Annotated[bool, typer.Option("--all-versions", help="Evaluations of all versions count, rules by their ids")] = False,
    since: Since = "",
    until: Until = "",
    csv: Csv = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Which rules of a decision's tables fired, how often, and which never."""
    found = ask(
        server,
        f"/v1/decisions/{decision}/coverage",
        version=version,
        together=together or None,
        **{"from": since, "to": until},
    )
    rows = [
        {
            "table": table["decision"], "rule": rule["index"], "when": " | ".join(rule["inputs"]), "then": " | ".join(rule["outputs"]),
            "fired": rule["fired"], "share": f"{rule['share']:.1%}", "last": rule["last_at"] or "never",
        }
        for table in found["tables"]
        for rule in table["rules"]
    ]  # fmt: skip
    show_rows(found, rows, csv, json, empty="it has no table")
    if not csv and not json:
        console(stderr=True).print(
            f"[dim]{_versions(found)}: {found['evaluations']} evaluations, {found['never']} of {found['rules']} rules never fired[/]"
        )


def _versions(found: dict[str, Any]) -> str:
    """Whose evaluations were counted."""
    if found["versions"] == [found["version"]]:
        return f"version {found['version']}"
    return f"versions {', '.join(str(v) for v in found['versions'])} as to the rules of version {found['version']}"


@app.command()
def variants(
    process: OfProcess,
    version: Version = None,
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option("--limit", help="So many at most")] = 20,
    csv: Csv = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """The ways that instances went, the most frequent first; times in seconds."""
    found = ask(server, "/v1/variants", process=process, version=version, limit=limit, **{"from": since, "to": until})
    rows = [
        {
            "count": i["count"], "share": f"{i['share']:.1%}", "completed": i["completed"], "mean": seconds(i["cycle_time"]["mean_ms"]),
            "variant": i["variant"], "path": " > ".join(i["path"]) + (f" > {i['more']} more" if i["more"] else ""),
        }
        for i in found["items"]
    ]  # fmt: skip
    show_rows(found, rows, csv, json, empty="nothing has ended")


@app.command()
def compare(
    process: OfProcess,
    before: Annotated[int, typer.Argument(metavar="BEFORE", help="A version")],
    after: Annotated[int, typer.Argument(metavar="AFTER", help="Another version")],
    since: Since = "",
    until: Until = "",
    csv: Csv = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Two versions: what is faster, slower or the same, and how far chance explains it; times in seconds."""
    found = ask(server, "/v1/reports/comparison", process=process, before=before, after=after, **{"from": since, "to": until})
    whole = {
        "element": "",
        "measure": "cycle_time",
        "before": found["before"]["cycle_time"],
        "after": found["after"]["cycle_time"],
        **found["cycle_time"],
    }
    rows = [
        {
            "element": i["element"], "measure": i["measure"], "before": seconds(i["before"].get("p50_ms")), "after": seconds(i["after"].get("p50_ms")),
            "change": i["change"] if csv or i["change"] is None else f"{i['change']:+.1%}", "p": i["p_value"], "verdict": i["verdict"],
        }
        for i in (whole, *found["items"])
    ]  # fmt: skip
    show_rows(found, rows, csv, json)


@app.command()
def export(
    process: OfProcess,
    format: Annotated[str, typer.Option("--format", help="xes, ocel, csv, xlsx or parquet")] = "xes",
    what: Annotated[str, typer.Option("--what", help="steps, or instances: a list of them, as csv or parquet")] = "steps",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="[default: standard output]")] = None,
    since: Since = "",
    until: Until = "",
    server: ServerUrl = "",
) -> None:
    """A history for other tools: XES, OCEL 2.0, CSV, XLSX or Parquet, of the instances that were made in the time."""
    import sys

    from flowledger.infra.cli.server import Server

    query = {"process": process, "format": format, "what": what, "from": since, "to": until}
    content = Server(server).raw("/v1/exports", **{k: v for k, v in query.items() if v})
    if out is not None:
        out.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)


def _flat(item: dict[str, Any]) -> dict[str, Any]:
    """Times as columns, in seconds."""
    out: dict[str, Any] = {}
    for name, value in item.items():
        if name in _TIMES:
            short = name.removesuffix("_time")
            for part in ("mean_ms", "p50_ms", "p95_ms"):
                at = value[part]
                out[f"{short} {part.removesuffix('_ms')}"] = None if at is None else round(at / 1000, 3)
        else:
            out[name] = value
    return out


def as_csv(rows: list[dict[str, Any]]) -> None:
    import csv
    import sys

    from flowledger.analytics.sheets import cell

    if rows:
        out = csv.DictWriter(sys.stdout, list(rows[0]))
        out.writeheader()
        out.writerows({k: cell(v) for k, v in row.items()} for row in rows)


@app.command()
def predict(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="The key of an instance that runs")],
    due: Annotated[str, typer.Option("--due", metavar="TIME", help="How likely it ends later than that, like 2026-12-01T12:00:00Z")] = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What becomes of an instance, by what was learned from ended ones; and what plain counting says."""
    found = ask(server, f"/v1/instances/{instance}/prediction", due=due)
    if json:
        as_json(found)
        return
    left, ends, late = found["remaining"], found["ends"], found["late"]
    rows = [
        ("stands at", f"{found['state']} since {found['since']}"),
        ("still takes", "not known" if found["why"] == "beyond" else f"{_long(left['ms'])}, off by {_long(left['error_ms'])} by the mean"),
        (
            "ends",
            "not known"
            if found["why"] == "beyond"
            else ends["at"] + (f", in {left['says']:.0%} of cases from {ends['from']} to {ends['to']}" if ends["from"] else ""),
        ),
        ("counting says", f"{_long(left['baseline_ms'])}, off by {_long(left['baseline_error_ms'])}"),
        ("completes", f"{found['success']['share']:.1%} (of all: {found['success']['baseline']:.1%})"),
        (f"later than {late['due']}", "not known better than by counting" if late["share"] is None else f"{late['share']:.1%}"),
        ("next", ", ".join(f"{n['element']} {n['share']:.0%}" for n in found["next_elements"]) or "not known better than by counting"),
        ("by", f"model {found['model']} of {found['learned']}" if found["by"] == "model" else f"counting ({found['why']})"),
    ]
    table([{"what": what, "prediction": text} for what, text in rows], ["what", "prediction"])


def _long(ms: float) -> str:
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min")):
        if ms >= size:
            return f"{ms / size:.1f} {unit}"
    return f"{ms / 1000:.1f} s"


@app.command()
def models(
    process: Annotated[str, typer.Argument(metavar="[PROCESS]", help="The id of a process [default: all]")] = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What was learned, from how many instances, and how far it is off, beside what plain counting is off by; times in seconds."""
    found = ask(server, "/v1/predictions", process=process)
    rows = []
    for i in found["items"]:
        card, left = i["card"], i["card"]["remaining"]
        drift = i["drift"]
        rows.append({
            "process": i["process"], "model": i["number"], "in use": "yes" if i["in_use"] else "", "learned from": card["cases"]["learned"],
            "told": "yes" if left["offered"] else f"no ({left['why']})", "error": seconds(left["error_ms"]),
            "counting": seconds(min(left["baseline_error_ms"].values())), "interval holds": f"{left['interval']['holds']:.1%} of {left['interval']['says']:.0%}",
            "since": "" if not drift or not drift["cases"] else "drifted" if drift["drifted"] else f"{drift['cases']} cases, gain {drift['gain']:.0%}",
            "made": i["made"],
        })  # fmt: skip
    show_rows(found, rows, False, json, empty="nothing was learned yet")


@app.command()
def learn(process: OfProcess, server: ServerUrl = "", json: Json = False) -> None:
    """Learn anew at once from the last 2,000 instances of a process that have ended."""
    from flowledger.infra.cli.server import Server

    found = Server(server).post("/v1/predictions", {"process": process})
    if json:
        as_json(found)
        return
    left = found["card"]["remaining"]
    least = _long(min(left["baseline_error_ms"].values()))
    console().print(f"model {found['number']} of {process}: off by {_long(left['error_ms'])} by the mean, counting by {least}: " + (
        "it is told" if left["offered"] else f"it isn't told ({left['why']})"
    ))  # fmt: skip


@app.command()
def use(
    process: OfProcess,
    model: Annotated[int, typer.Argument(metavar="MODEL", help="Its number; 0: the newest from now on", min=0)],
    reason: Annotated[str, typer.Option("--reason", help="Why")] = "",
    server: ServerUrl = "",
) -> None:
    """Choose which model of a process predictions are made by: an earlier one again, or 0 for the newest."""
    from flowledger.infra.cli.server import Server

    Server(server).post("/v1/predictions/use", {"process": process, "model": model, "reason": reason})
    console().print(f"{process}: model {model}" if model else f"{process}: the newest model")


@app.command()
def forecast(
    process: OfProcess,
    window: Annotated[str, typer.Option("--window", help="hour, day")] = "day",
    measure: Annotated[str, typer.Option("--measure", help="started, completed, ended, failed, incidents")] = "started",
    element: Annotated[str, typer.Option("--element", help="Visits of this element")] = "",
    steps: Annotated[int, typer.Option("--steps", help="So many hours or days")] = 14,
    csv: Csv = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """How many will come, with bands, beside what the same time last week was."""
    found = ask(server, "/v1/forecasts", process=process, window=window, measure=measure, element=element, steps=steps)
    show_rows(found, found["items"], csv, json, empty=f"five whole weeks are needed, found {found['weeks']}")
    if found["items"] and not csv and not json:
        held = f"bands that say {found['interval']['says']:.0%} held {found['interval']['holds']:.0%}"
        console(stderr=True).print(
            f"[dim]by {found['by']}; off by {found['error']} by the mean, last week by {found['last_week_error']}; {held}[/]"
        )


@app.command()
def anomalies(
    process: OfProcess, since: Since = "", until: Until = "", csv: Csv = False, server: ServerUrl = "", json: Json = False
) -> None:
    """What is unlike before: hours with more or fewer starts, or in which an element took longer or shorter (ms), and cases with ways or values that none
    had; the last 24 hours, or up to a week."""
    found = ask(server, "/v1/reports/anomalies", process=process, **{"from": since, "to": until})
    show_rows(
        found,
        found["items"],
        csv,
        json,
        empty=f"nothing is unlike before ({found['asked']} questions of hours, {found['cases']['judged']} cases)",
    )


@app.command()
def stream(
    kafka: Annotated[str | None, typer.Option("--kafka", metavar="ADDR", help="Kafka bootstrap servers")] = None,
    postgres: Annotated[
        str | None, typer.Option("--postgres", metavar="URL", help="PostgreSQL, for the table live.partitions; none: the topic alone")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file (TOML, YAML or JSON)")] = None,
) -> None:
    """A worker that counts live by minute, from the topic of events to that of metrics, with Faust (the extra `analytics`)."""
    from flowledger.infra.cli.ops import settings_of
    from flowledger.infra.cli.output import NO, fail
    from flowledger.infra.settings import SettingsError
    from flowledger.processors.log import LogError

    try:
        from flowledger.streaming import serve
    except ImportError as e:
        fail(f"{e}: expected the extra `analytics`", NO, 'pip install "flowledger[server,analytics]"')
    try:
        serve(settings_of(config, kafka=kafka, postgres=postgres))
    except (SettingsError, LogError) as e:
        fail(str(e), NO)


def simulate(
    process: OfProcess,
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="What is assumed instead of what the history says, as JSON")
    ] = None,
    scenarios: Annotated[
        Path | None,
        typer.Option(
            "--scenarios", metavar="FILE", help="Changes to the plan by the name of a scenario, as JSON; `version` among them: another one"
        ),
    ] = None,
    given: Annotated[bool, typer.Option("--no-history", help="The plan is the whole of it; nothing is learned")] = False,
    version: Version = None,
    runs: Annotated[int, typer.Option("--runs", help="Runs of each scenario")] = 10,
    seed: Annotated[int, typer.Option("--seed", help="The same gives the same")] = 1,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What would happen: run a process with simulated time, as its history was and by scenarios (docs/simulation.md); times in seconds."""
    from flowledger.infra.cli.server import Server

    example = '{"two": {"resources": {"desk": {"count": 2}}}}'
    changes = {} if scenarios is None else json_object(f"@{scenarios}", "--scenarios", example)
    wanted = [{"name": n, "version": c.pop("version", 0), "changes": c} for n, c in changes.items() if isinstance(c, dict)]
    assumed = {} if plan is None else json_object(f"@{plan}", "--plan", '{"instances": 500}')
    body = {"process": process, "plan": assumed, "scenarios": wanted, "learn": not given, "runs": runs, "seed": seed}
    found = Server(server).post("/v1/simulations", {**body, **({"version": version} if version else {})})
    if json:
        as_json(found)
        return
    rows = []
    for i in found["scenarios"]:
        against = i["against_base_ms"]
        row = {"scenario": i["name"], "mean": _banded(i["cycle_ms"]["mean"]), "p90": _banded(i["cycle_ms"]["p90"])}
        row["an hour"] = round(i["throughput"]["mean"] or 0, 3)
        row["busy"] = ", ".join(f"{name} {band['mean']:.0%}" for name, band in i["resources"].items())
        row["against base"] = "" if against is None else _difference(against["mean"])
        rows.append(row | {"unfinished": round(i["unfinished"], 1)})
    table(rows, list(rows[0]))
    for i in found["scenarios"]:
        for stuck in i["stuck"][:3]:
            console(stderr=True).print(f"[yellow]{i['name']}: stuck {stuck['count']} times at {stuck['why']}[/]")
    console(stderr=True).print(
        f"[dim]version {found['version']}, learned from {found['learned_from']} instances, {runs} runs each, seed {seed}, {found['took_ms'] / 1000:.1f} s[/]"
    )


def _banded(band: dict[str, Any]) -> str:
    if band["mean"] is None:
        return "none ended"
    near = "" if band["from"] is None else f" ({_few(band['from'])} to {_few(band['to'])})"
    return f"{_few(band['mean'])}{near}"


def _few(ms: float) -> str:
    """Seconds, with as many digits as tell something."""
    s = ms / 1000
    return f"{s:,.0f}" if abs(s) >= 100 else f"{s:.3g}"


def _difference(band: dict[str, Any]) -> str:
    return _banded(band) if band["sure"] else f"{_banded(band)}, may be chance"

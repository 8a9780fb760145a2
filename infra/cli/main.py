"""All commands of `flowledger` with their options. What they do stands in the modules beside, imported when called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from flowledger.infra.cli.output import NO, USAGE, Failed, as_json, for_programs

app = typer.Typer(
    name="flowledger",
    help="Workflows that run from a ledger: BPMN, FEEL and DMN on a log, exactly once.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topics_app = typer.Typer(help="Topics of the log: create and check.", no_args_is_help=True)
kafka_app = typer.Typer(help="A real one-node Kafka for development, without containers.", no_args_is_help=True)
audit_app = typer.Typer(help="Read the log itself and say what is proven of it.", no_args_is_help=True)
projections_app = typer.Typer(help="The views in PostgreSQL: lag, versions, rebuild.", no_args_is_help=True)
RUN, MODELS, WORK, LOOK, CARE = "Run", "Models", "Daily work", "Look", "Care"

Json = Annotated[bool, typer.Option("--json", help="JSON for programs")]
ServerUrl = Annotated[
    str, typer.Option("--server", metavar="URL", help="The server [env: FLOWLEDGER_SERVER; default: http://127.0.0.1:8080]")
]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder of the embedded log and database [default: .flowledger]")]
Kafka = Annotated[str | None, typer.Option("--kafka", metavar="ADDR", help="Kafka bootstrap servers instead of the embedded log")]
Postgres = Annotated[str | None, typer.Option("--postgres", metavar="URL", help="PostgreSQL instead of the embedded one")]
Roles = Annotated[str | None, typer.Option(help="api, owner, projector, grpc, connectors; separated by commas")]
Host = Annotated[str | None, typer.Option(help="Address to listen on; anything but loopback opens it to the network")]
Hold = Annotated[bool | None, typer.Option("--hold", help="Start in hold: everything is suspended until it is released")]
Port = Annotated[int | None, typer.Option("--port", help="HTTP port [default: 8080]")]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file (TOML, YAML or JSON)")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="BPMN, DMN, JSON, YAML or BPML")]
Models = Annotated[list[Path], typer.Argument(metavar="FILE...", help="BPMN, DMN, JSON, YAML or BPML, or folders with such files")]


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and leave")] = False) -> None:
    if version:
        from flowledger import __version__

        print(f"flowledger {__version__}")
        raise typer.Exit


# --- run --------------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=RUN)
def dev(
    port: Port = None,
    data: Data = None,
    kafka: Kafka = None,
    postgres: Postgres = None,
    host: Host = None,
    config: Config = None,
    watch: Annotated[Path | None, typer.Option("--watch", metavar="DIR", help="Deploy the models in this folder as they are saved")] = None,
    examples: Annotated[bool, typer.Option("--examples", help="Deploy the examples and drive some instances through")] = False,
    hold: Hold = None,
) -> None:
    """Everything on one machine: API, console and projector here, owners in a process beside."""
    given = {"port": port, "data": data, "kafka": kafka, "postgres": postgres, "host": host, "hold": hold}
    if examples:
        from flowledger.infra.cli.demo import demo

        demo("", 5, config, False, False, **given)
        return
    from flowledger.infra.cli.serve import dev

    dev(config, watch, **given)


@app.command(rich_help_panel=RUN)
def stubs(
    port: Annotated[int, typer.Option("--port", help="Where they are served, on this machine")] = 8090,
    register: Annotated[bool, typer.Option("--register", help="Register them at the server first")] = False,
    secret: Annotated[
        str, typer.Option("--secret", metavar="NAME", help="Callers need this secret as bearer token: FLOWLEDGER_SECRET_NAME")
    ] = "",
    server: ServerUrl = "",
) -> None:
    """Stub servers of the platform's capabilities, for models that call them."""
    from flowledger.infra.cli.capabilities import stubs

    stubs(port, register, server, secret)


@app.command(rich_help_panel=RUN)
def mcp(
    process: Annotated[list[str] | None, typer.Option("--process", metavar="ID", help="These are tools; none: all in service")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="It looks, and starts and answers nothing")] = False,
    http: Annotated[
        int, typer.Option("--http", metavar="PORT", min=0, max=65535, help="Over HTTP, for callers with credentials of their own")
    ] = 0,
    host: Annotated[str, typer.Option("--host", help="Where --http listens")] = "127.0.0.1",
    name: Annotated[list[str] | None, typer.Option("--name", metavar="HOST", help="What --http is called by, beside this machine")] = None,
    server: ServerUrl = "",
) -> None:
    """A server of the Model Context Protocol: processes as tools of an assistant, over stdin and stdout by your rights, or over HTTP by each caller's."""
    if http:
        from flowledger.infra.cli import mcp_http

        mcp_http.serve(server, process or [], read_only, host, http, name or [])
        return
    import sys

    from flowledger.infra.cli.mcp import serve

    serve(server, process or [], read_only, sys.stdin.buffer, sys.stdout.buffer)


@app.command(rich_help_panel=RUN)
def serve(
    roles: Roles = None,
    port: Port = None,
    host: Host = None,
    kafka: Kafka = None,
    postgres: Postgres = None,
    data: Data = None,
    hold: Hold = None,
    config: Config = None,
) -> None:
    """Chosen roles, on Kafka and PostgreSQL; settings by FLOWLEDGER_* or a file."""
    from flowledger.infra.cli.serve import serve

    serve(config, roles=roles, port=port, host=host, kafka=kafka, postgres=postgres, data=data, hold=hold)


@app.command(rich_help_panel=CARE)
def settings(
    roles: Roles = None,
    port: Port = None,
    host: Host = None,
    kafka: Kafka = None,
    postgres: Postgres = None,
    data: Data = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """The settings that a server would have here, and where each of them comes from."""
    from flowledger.infra.cli.ops import settings

    settings(config, json, roles=roles, port=port, host=host, kafka=kafka, postgres=postgres, data=data)


@app.command(rich_help_panel=RUN)
def demo(
    server: Annotated[str, typer.Option("--server", metavar="URL", help="A server that runs already; none: start one here")] = "",
    instances: Annotated[int, typer.Option(min=1, help="Instances of each example")] = 5,
    port: Port = None,
    data: Data = None,
    kafka: Kafka = None,
    postgres: Postgres = None,
    config: Config = None,
    leave: Annotated[bool | None, typer.Option("--leave/--stay", help="End after the summary [default: stay on a terminal]")] = None,
    json: Json = False,
) -> None:
    """Deploy the examples, drive instances through with sample workers, and tell what happened."""
    from flowledger.infra.cli.demo import demo

    demo(server, instances, config, leave, json, port=port, data=data, kafka=kafka, postgres=postgres)


@app.command(rich_help_panel=CARE)
def bench(
    name: Annotated[str, typer.Argument(help="One of them; none: all")] = "",
    rounds: Annotated[int | None, typer.Option(min=1, help="Of each measurement; figures are their medians (doors)")] = None,
    output: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where flame graphs go, with py-spy installed (doors)")] = None,
    split: Annotated[
        bool | None, typer.Option("--split", help="The projector in a process of its own, to tell its CPU apart (doors)")
    ] = None,
) -> None:
    """The benchmarks: one JSON line for each figure."""
    from flowledger.infra.cli.ops import bench

    bench(name, rounds=rounds, output=output, split=split)


@kafka_app.command("up")
def kafka_up(data: Data = None, port: Annotated[int, typer.Option(help="0: a free one")] = 9092, json: Json = False) -> None:
    """Start the broker (fetches its jars once) and print its address."""
    from flowledger.infra.cli.ops import kafka_up

    kafka_up(data, port, json)


@kafka_app.command("down")
def kafka_down(data: Data = None) -> None:
    """Stop it; its data stays."""
    from flowledger.infra.cli.ops import kafka_down

    kafka_down(data)


@topics_app.command("create")
def topics_create(
    kafka: Kafka = None,
    data: Data = None,
    partitions: Annotated[int | None, typer.Option(min=1, help="Of each topic [default: 4]")] = None,
    config: Config = None,
) -> None:
    """Make the topics that are missing; existing ones stay as they are."""
    from flowledger.infra.cli.ops import topics

    topics(True, config, kafka=kafka, data=data, partitions=partitions)


@topics_app.command("check")
def topics_check(kafka: Kafka = None, data: Data = None, config: Config = None) -> None:
    """Say what is wrong with the topics; exit 1 when something is."""
    from flowledger.infra.cli.ops import topics

    topics(False, config, kafka=kafka, data=data)


@audit_app.command("verify")
def audit_verify(
    data: Data = None,
    kafka: Kafka = None,
    begin: Annotated[str, typer.Option("--from", metavar="POSITION", help="partition-offset, several separated by commas")] = "",
    end: Annotated[str, typer.Option("--to", metavar="POSITION", help="up to, not including")] = "",
    expect: Annotated[
        str, typer.Option("--expect", metavar="HEAD", help="a head that you kept: a line of an anchor, P-END:CHAIN, or a file")
    ] = "",
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="public key that you trust; each partition must be signed by it")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Say what is proven of the log, from where to where, signed by which key. Beside a running server. Exit 1 when something is wrong."""
    from flowledger.infra.cli.audit import verify

    verify(config, begin, end, expect, key, json, data=data, kafka=kafka)


@audit_app.command("export")
def audit_export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder")],
    data: Data = None,
    kafka: Kafka = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Write events, chain, signatures, schemas and public keys for somebody else to check (tools/verify_bundle.py)."""
    from flowledger.infra.cli.audit import export

    export(folder, config, json, data=data, kafka=kafka)


@audit_app.command("why")
def audit_why(
    position: Annotated[str, typer.Argument(metavar="POSITION", help="of an event: partition-offset")],
    data: Data = None,
    kafka: Kafka = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Walk from an event back to the request that it came of."""
    from flowledger.infra.cli.audit import why

    why(position, config, json, data=data, kafka=kafka)


@audit_app.command("rotate")
def audit_rotate(data: Data = None, config: Config = None, json: Json = False) -> None:
    """A new signing key, named by the present one, takes its place."""
    from flowledger.infra.cli.audit import rotate

    rotate(config, json, data=data)


Prefix = Annotated[str | None, typer.Option("--prefix", help="Prefix of the Kafka topics [default: flowledger]")]


@app.command(rich_help_panel=CARE)
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder")],
    data: Data = None,
    kafka: Kafka = None,
    prefix: Prefix = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """A verified copy of the log, beside a running server."""
    from flowledger.infra.cli.backup import backup

    backup(folder, config, json, data=data, kafka=kafka, prefix=prefix)


@app.command(rich_help_panel=CARE)
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `flowledger backup` made")],
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="As it was then: ISO 8601 such as 2026-01-31T12:00:00Z (without a zone: UTC)")
    ] = "",
    data: Data = None,
    kafka: Kafka = None,
    prefix: Prefix = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Bring a backup back, into an empty folder or to topics that are not there yet, and verify it."""
    from flowledger.infra.cli.backup import restore

    restore(folder, until, config, json, data=data, kafka=kafka, prefix=prefix)


@projections_app.command("status")
def projections_status(
    kafka: Kafka = None, postgres: Postgres = None, data: Data = None, config: Config = None, json: Json = False
) -> None:
    """Version and lag of each view."""
    from flowledger.infra.cli.ops import projections_status

    projections_status(config, json, kafka=kafka, postgres=postgres, data=data)


@projections_app.command("rebuild")
def projections_rebuild(
    name: Annotated[str, typer.Argument(help="One view; none: all")] = "",
    kafka: Kafka = None,
    postgres: Postgres = None,
    data: Data = None,
    config: Config = None,
    check: Annotated[bool, typer.Option("--check", help="Only compare the rows with the fold of the log")] = False,
    json: Json = False,
) -> None:
    """Fold the log anew beside the old rows, then swap."""
    from flowledger.infra.cli.ops import projections_rebuild

    projections_rebuild(name, check, config, json, kafka=kafka, postgres=postgres, data=data)


# --- models -----------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=MODELS)
def validate(
    files: Models,
    json: Json = False,
    conformance: Annotated[
        bool,
        typer.Option("--conformance", help="Exit 1 also for what the standard forbids but the engine runs; tell the class of each file"),
    ] = False,
    within: Annotated[
        Literal["", "descriptive", "analytic", "common-executable", "process-modeling"],
        typer.Option("--class", help="Exit 1 for each element that is beyond this conformance class of BPMN 2.0.2"),
    ] = "",
) -> None:
    """Findings of models. Exit 0 without errors, 1 with."""
    from flowledger.infra.cli.model_files import gathered
    from flowledger.infra.cli.validating import validate

    validate(gathered(files), json, conformance, within.replace("-", " "))


@app.command(rich_help_panel=MODELS)
def inspect(files: Files, json: Json = False) -> None:
    """What was read: processes, elements, flows, data. Exit 1 only when a file can't be read at all."""
    from flowledger.infra.cli.models import inspect

    inspect(files, json)


@app.command(rich_help_panel=MODELS)
def convert(
    file: Annotated[Path, typer.Argument(help="A model in any format")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write; none: stdout")] = None,
    to: Annotated[
        Literal["bpmn", "process-json", "steps", "bpml"],
        typer.Option("--to", help="BPMN, the simplified JSON of processes, steps, or BPML 1.0"),
    ] = "bpmn",
) -> None:
    """Any format to BPMN 2.0 XML with a diagram, to the simplified JSON, to steps, or to BPML 1.0."""
    from flowledger.infra.cli.models import convert

    convert(file, output, to)


@app.command(rich_help_panel=MODELS)
def test(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="*.flowtest.json or .yaml, or folders with such files")],
    coverage: Annotated[Path | None, typer.Option("--coverage", metavar="DIR", help="Write the diagrams with what was passed here")] = None,
    least: Annotated[float, typer.Option("--coverage-min", metavar="PERCENT", help="Fail when less is covered")] = 0,
    json: Json = False,
) -> None:
    """Run tests of processes that are written as data. No server is needed. Exit 1 when one fails."""
    from flowledger.infra.cli.flowtest import test

    test(files, coverage, least, json)


@app.command(rich_help_panel=MODELS)
def deploy(
    files: Models,
    server: ServerUrl = "",
    draft: Annotated[bool, typer.Option("--draft", help="Not startable yet")] = False,
    check: Annotated[bool, typer.Option("--check", help="Nothing is deployed: say what would be, and what the server finds")] = False,
    json: Json = False,
) -> None:
    """Deploy models: all of them or none."""
    from flowledger.infra.cli.deploying import deploy
    from flowledger.infra.cli.model_files import gathered

    deploy(server, gathered(files), draft, check, json)


def _register() -> None:
    from flowledger.infra.cli import (
        advice,
        alerts,
        analysts,
        approvals,
        capabilities,
        capacity,
        connectors,
        control,
        evidence,
        files,
        holds,
        insight,
        kpis,
        login,
        operations,
        plugins,
        profiles,
        promote,
        protection,
        repair,
        replays,
        reports,
        retention,
        rollouts,
        rules,
        secrets,
        subjects,
        tenants,
        verbs,
        watchdog,
    )

    verbs.register(app)
    repair.register(app)
    control.register(app)
    replays.register(app)
    holds.register(app)
    watchdog.register(app)
    rollouts.register(app)
    promote.register(app)
    operations.register(app)
    login.register(app)
    app.add_typer(files.app, name="files", rich_help_panel=WORK)
    app.add_typer(kafka_app, name="kafka", rich_help_panel=RUN)
    app.add_typer(topics_app, name="topics", rich_help_panel=CARE)
    insight.app.command("capacity")(capacity.capacity)
    app.add_typer(insight.app, name="analytics", rich_help_panel=LOOK)
    app.add_typer(kpis.app, name="kpis", rich_help_panel=LOOK)
    app.add_typer(reports.app, name="reports", rich_help_panel=LOOK)
    app.command("simulate", rich_help_panel=LOOK)(insight.simulate)
    app.add_typer(advice.app, name="advice", rich_help_panel=LOOK)
    app.add_typer(alerts.app, name="alerts", rich_help_panel=LOOK)
    app.add_typer(analysts.app, name="analysts", rich_help_panel=CARE)
    app.add_typer(capabilities.app, name="capabilities", rich_help_panel=MODELS)
    app.add_typer(connectors.app, name="connectors", rich_help_panel=MODELS)
    app.add_typer(profiles.app, name="profiles", rich_help_panel=MODELS)
    app.add_typer(secrets.app, name="secrets", rich_help_panel=CARE)
    app.add_typer(protection.app, name="protection", rich_help_panel=CARE)
    app.add_typer(subjects.app, name="subjects", rich_help_panel=CARE)
    app.add_typer(evidence.app, name="evidence", rich_help_panel=CARE)
    app.add_typer(rules.app, name="rules", rich_help_panel=CARE)
    app.add_typer(approvals.app, name="approvals", rich_help_panel=CARE)
    app.add_typer(retention.app, name="retention", rich_help_panel=CARE)
    app.add_typer(tenants.app, name="tenants", rich_help_panel=CARE)
    app.add_typer(plugins.app, name="plugins", rich_help_panel=CARE)
    app.add_typer(audit_app, name="audit", rich_help_panel=CARE)
    app.add_typer(projections_app, name="projections", rich_help_panel=CARE)


_register()


def run(arguments: list[str] | None = None) -> None:
    """Ends the process. Errors are one sentence, never a stack trace (set FLOWLEDGER_DEBUG=1 for one); with `--json` they are JSON on stdout."""
    for_programs("--json" in (sys.argv[1:] if arguments is None else arguments))
    try:
        code = app(args=arguments, prog_name="flowledger", standalone_mode=not for_programs())
        sys.exit(code if isinstance(code, int) else 0)
    except Failed as e:
        _say(e)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(NO)
    except ModuleNotFoundError:
        raise
    except Exception as e:
        import os

        if os.environ.get("FLOWLEDGER_DEBUG"):
            raise
        if callable(told := getattr(e, "format_message", None)):  # wrong use, found by the framework
            _say(Failed(str(told()), int(getattr(e, "exit_code", USAGE))))
        from flowledger.infra.settings import SettingsError

        if isinstance(e, SettingsError):
            _say(Failed(str(e), USAGE))
        if isinstance(e, _OF_FILES) and e.filename:
            _say(Failed(f"{e.filename}: {e.strerror}", USAGE))
        if isinstance(e, OSError) and e.strerror:
            _say(Failed(e.strerror, NO, "FLOWLEDGER_DEBUG=1 shows where"))
        _say(Failed(f"{type(e).__name__}: {e}", NO, "FLOWLEDGER_DEBUG=1 shows where"))


#: a file or folder that was named is none that can be used
_OF_FILES = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


def _say(e: Failed) -> NoReturn:
    from flowledger.infra.secret_text import hidden

    if for_programs() and str(e):
        as_json(e.as_json())
    else:
        if str(e):
            print(f"flowledger: {hidden(str(e))}", file=sys.stderr)
        if e.hint:
            print(f"  {e.hint}", file=sys.stderr)
    sys.exit(e.code)

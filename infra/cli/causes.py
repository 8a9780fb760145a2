"""Incidents by their cause: groups, a group resolved as a batch, the way up from one."""

from __future__ import annotations

from typing import Any

from flowledger.infra.cli.carry import carry_out
from flowledger.infra.cli.daily import variables
from flowledger.infra.cli.output import USAGE, as_json, fail, say, table
from flowledger.infra.cli.server import Server


def groups(server: str, every: bool, limit: int, json: bool) -> None:
    rows = list(Server(server).pages("/v1/incidents/groups", limit, status="any" if every else "open"))
    if json:
        as_json(rows)
        return
    columns: list[str | tuple[str, str]] = [
        "id",
        "count",
        "open",
        "process",
        "element",
        "code",
        "cause",
        ("first_at", "first"),
        ("last_at", "last"),
    ]
    table(rows, columns, empty="no incidents")


def chain(server: str, key: str, json: bool) -> None:
    found = Server(server).get(f"/v1/incidents/{key}/chain")
    if json:
        as_json(found)
        return
    columns: list[str | tuple[str, str]] = ["id", "process", "version", "business_key", "status", ("element", "at")]
    table(found["items"], columns, empty="it is of no instance")
    say(f"{found['incident']['code']}: {found['incident']['message']}")


def one(key: str, *of_groups: Any) -> None:
    """One incident, by its key; what is of groups is not given."""
    if not key:
        fail("expected INCIDENT, or --group GROUP", USAGE)
    if any(of_groups):
        fail("--vars, --retries, --rate, --reason, --yes and --detach are for --group", USAGE)


def shown(server: str, key: str, json: bool) -> None:
    """What would happen, were it resolved."""
    from flowledger.infra.cli.plans import show_plans
    from flowledger.infra.cli.server import Server

    show_plans([Server(server).call("POST", f"/v1/incidents/{key}/resolve", None, {"dry_run": "true"})], json)


def resolve(
    server: str, key: str, group: str, vars: str, retries: int, rate: int, reason: str, dry_run: bool, yes: bool, detach: bool, json: bool
) -> None:
    if key:
        fail("expected INCIDENT or --group GROUP, found both", USAGE)
    body: dict[str, Any] = {"rate": rate, "reason": reason}
    if vars:
        body["variables"] = variables(vars)
    if retries:
        body["retries"] = retries
    carry_out(server, f"/v1/incidents/groups/{group}/resolve", body, dry_run, yes, detach, json)

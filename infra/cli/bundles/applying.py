"""A plan is carried out: what is to be pinned, one deployment of all that differs, then settings. Each step is idempotent, so what was cut off is begun anew."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flowledger.infra.cli.bundles.content import Name
from flowledger.infra.cli.bundles.environment import Environment
from flowledger.infra.cli.bundles.plan import Plan, Step


def differences(plan: Plan, environment: Environment, there: dict[Name, Any], contents: dict[str, str]) -> None:
    """Element by element, for each row that is changed. `contents`: of the bundle, by the names of resources."""
    from flowledger.kernel.model.diff import compare

    for row in plan.rows:
        if row.change == "changed" and (meant := there[row.kind, row.id].meant) is not None:
            row.changes = compare(environment.text(meant), meant.resource, contents[row.resource], row.resource)["changes"]


def apply(plan: Plan, environment: Environment, reason: str) -> dict[str, Any]:
    """`{deployment, definitions, settings, position}`."""
    server = environment.server
    positions: list[str] = []
    deployed: dict[Name, dict[str, Any]] = {}
    answer: dict[str, Any] = {}
    settings: list[dict[str, Any]] = []

    def step(one: Step) -> None:
        if move := one.body.get("move"):
            found = server.post(f"/v1/triggers/{quote(one.id, safe='')}/{move}", {"reason": reason}, **server.new_id())
            settings.append({"kind": one.kind, "id": one.id, "move": move, "changed": True})
            positions.append(found.get("position") or "")
            return
        made = deployed.get((one.kind, one.id), {})
        body = {**one.body, "reason": reason}
        if body.get("version") == 0:
            body["version"] = made["version"]
        found = server.post(f"/v1/definitions/{one.key or made['key']}/rollout", body, **server.new_id())
        settings.append({"kind": one.kind, "id": one.id, **{k: v for k, v in body.items() if k != "reason"}, "changed": found["changed"]})
        positions.append(found.get("position") or "")

    for one in plan.before:
        step(one)
    if plan.deploy:
        resources = [{"name": r.name, "content": r.content} for r in plan.deploy]
        answer = server.post("/v1/deployments", {"resources": resources}, **server.new_id())
        deployed = {(d["kind"], d["definition_id"]): d for d in answer["definitions"]}
        positions.append(answer.get("position") or "")
    for one in plan.after:
        step(one)
    if last := [p for p in positions if p]:  # whoever looks next sees all of it
        server.get("/v1/definitions", limit=1, wait_for=last[-1])
    return {"deployment": answer.get("deployment"), "definitions": answer.get("definitions", []), "settings": settings}

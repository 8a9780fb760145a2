"""The examples at work: deploys them, starts instances of each kind, serves their jobs with sample workers and plays the people.

It talks to the server as any service does, over HTTP. One task is left to you.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any

from flowledger.infra.cli.ops import settings_of
from flowledger.infra.cli.output import USAGE, Failed, as_json, command, console, fail, table
from flowledger.infra.cli.server import DEFAULT, Server
from flowledger.kernel.model.encodings import decode

#: where `dev` listens when nobody says so
DEFAULT_PORT = int(DEFAULT.rpartition(":")[2])
#: seconds after which the demo gives up on what has not ended
PATIENCE_S = 90.0
SUFFIXES = (".bpmn", ".dmn", ".form", ".json", ".yaml", ".yml")
ENDED = ("completed", "failed", "cancelled", "terminated")
WORKER = "sample-worker"


class BpmnError(Exception):
    """A business error that the model catches."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_order(v: dict[str, Any]) -> dict[str, Any]:
    if not v.get("items"):
        raise BpmnError("INVALID_ORDER", "an order needs items")
    return {"checked": True}


def reserve(v: dict[str, Any]) -> dict[str, Any]:
    if any(item["quantity"] > 100 for item in v.get("items") or ()):
        raise BpmnError("OUT_OF_STOCK", "not enough in stock")
    return {"reservation": f"R-{v['order_id']}"}


#: job type -> what a service would do: variables in, variables out
WORK: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "order.check": check_order,
    "stock.reserve": reserve,
    "payment.charge": lambda v: {"payment": f"P-{v['order_id']}"},
    "payment.refund": lambda v: {"refunded": True},
    "order.ship": lambda v: {"tracking": f"T-{v['order_id']}"},
    "order.refuse": lambda v: {"refused": True},
    "order.remind": lambda v: {},
    "ai_orchestration.predict": lambda v: {"prediction": {"risk": "high" if float(v["features"]["amount"]) > 50_000 else "low"}},
    "vendor.validate": lambda v: {"valid": v["vendor"] != "Shady Ltd"},
    "audit_compliance.check": lambda v: {"compliant": True},
    "notification_engine.send": lambda v: {},
    "audit_compliance.record": lambda v: {"recorded": True},
}
ITEMS = [{"sku": "desk", "quantity": 2}]
#: process -> cases: (what it shows, variables). They are played in turn.
CASES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "order": [
        ("small order", {"customer": "Ann", "amount": 120, "items": ITEMS}),
        ("large, approved by a person", {"customer": "Bo", "amount": 4200, "items": ITEMS}),
        ("large, refused by a person", {"customer": "Eve", "amount": 9900, "items": ITEMS}),
        ("no items: error caught", {"customer": "Cy", "amount": 50, "items": []}),
        ("out of stock: refund", {"customer": "Di", "amount": 800, "items": [{"sku": "desk", "quantity": 500}]}),
    ],
    "purchase-order-approval": [
        ("below 1000: no approval", {"vendor": "Acme", "amount": 400}),
        ("manager approves", {"vendor": "Acme", "amount": 2500}),
        ("director approves", {"vendor": "Acme", "amount": 20_000}),
        ("executive refuses", {"vendor": "Acme", "amount": 250_000}),
        ("vendor fails the check", {"vendor": "Shady Ltd", "amount": 700}),
    ],
    "document-approval": [
        ("approved", {"document": "handbook.pdf", "author": "ann"}),
        ("rejected", {"document": "draft.pdf", "author": "bo"}),
    ],
}
#: process -> how the person decides, by the instance's variables
PEOPLE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "order": lambda v: {"approved": v.get("customer") != "Eve"},
    "purchase-order-approval": lambda v: {"approved": float(v.get("amount", 0)) < 100_000, "comment": "looked at by the demo"},
    "document-approval": lambda v: {"decision": "reject" if v.get("document") == "draft.pdf" else "approve", "comment": "by the demo"},
}
YOURS = {"document": "please-read-me.pdf", "author": "flowledger"}


def resources_of_examples() -> list[dict[str, str]]:
    """The files that travel with the package."""
    root = resources.files("flowledger").joinpath("examples")
    found = []
    for folder in (root, root.joinpath("forms")):
        if folder.is_dir():
            for file in sorted(folder.iterdir(), key=lambda f: f.name):
                if file.name.endswith(SUFFIXES):
                    found.append({"name": file.name, "content": decode(file.read_bytes())})
    return found


class Player:
    """Workers and people, until `done` is set."""

    def __init__(self, url: str, mine: set[str]) -> None:
        self.url, self.mine = url, mine
        self.done = threading.Event()
        self.jobs = self.errors = self.tasks = 0
        self.trouble = ""

    def work(self, job_type: str) -> None:
        server = Server(self.url)
        while not self.done.is_set():
            try:
                body = {"type": job_type, "worker": WORKER, "max": 16, "timeout_ms": 30_000, "wait_ms": 700}
                for job in server.post("/v1/jobs/activate", body)["jobs"]:
                    self._serve(server, job)
            except Failed as e:
                self.trouble = str(e)
                self.done.wait(0.5)

    def _serve(self, server: Server, job: dict[str, Any]) -> None:
        path = f"/v1/jobs/{job['key']}"
        try:
            server.post(f"{path}/complete", {"variables": WORK[job["type"]](job["variables"]), "fence": job.get("fence", 0)})
        except BpmnError as e:
            server.post(f"{path}/error", {"code": e.code, "message": str(e), "fence": job.get("fence", 0)})
            self.errors += 1
        except (KeyError, TypeError, ValueError) as e:
            server.post(f"{path}/fail", {"message": f"{type(e).__name__}: {e}", "fence": job.get("fence", 0)})
        self.jobs += 1

    def decide(self) -> None:
        """Plays the people: claims nothing of others, completes the tasks of the demo's own instances."""
        server = Server(self.url)
        seen: set[str] = set()
        while not self.done.is_set():
            try:
                for task in server.pages("/v1/tasks", 200, open="true", type="user_task"):
                    if task["id"] in seen or task["instance"] not in self.mine:
                        continue
                    seen.add(task["id"])
                    known = server.get(f"/v1/instances/{task['instance']}/variables")["variables"]
                    server.post(f"/v1/tasks/{task['id']}/complete", {"variables": PEOPLE[task["process"]](known)})
                    self.tasks += 1
            except Failed as e:
                self.trouble = str(e)
            self.done.wait(0.2)


def drive(url: str, instances: int) -> dict[str, Any]:
    """Returns what happened: rows of instances, counts, seconds. Raises: Failed."""
    server = Server(url)
    deployed = server.post("/v1/deployments", {"resources": resources_of_examples()})["definitions"]
    known = {d["definition_id"] for d in deployed}
    wanted = [p for p in CASES if p in known]
    began = time.perf_counter()
    mine: set[str] = set()
    player = Player(url, mine)
    rows: list[dict[str, Any]] = []
    pool = ThreadPoolExecutor(len(WORK) + 1, thread_name_prefix="demo")
    for job_type in WORK:
        pool.submit(player.work, job_type)
    try:
        run = time.strftime("%H%M%S")
        for process in wanted:
            for n in range(instances):
                what, values = CASES[process][n % len(CASES[process])]
                key = f"{process[:2].upper()}-{run}-{n + 1}"
                values = {**values, "order_id": key, "po_number": key, "requester": "demo", "description": what}
                body = {"definition": process, "variables": values, "business_key": key}
                answer = server.post("/v1/instances", body, Idempotency_Key=key)
                mine.add(answer["id"])
                rows.append({"id": answer["id"], "process": process, "business_key": key, "shows": what, "status": "running"})
        pool.submit(player.decide)
        _follow(server, rows)
        yours = _leave_one(server) if "document-approval" in wanted else None
    finally:
        player.done.set()
        pool.shutdown(wait=True)
    return {
        "definitions": len(deployed), "instances": rows, "jobs": player.jobs, "errors": player.errors, "tasks": player.tasks,
        "seconds": time.perf_counter() - began, "yours": yours, "trouble": player.trouble,
    }  # fmt: skip


def _follow(server: Server, rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("instances"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    deadline = time.monotonic() + PATIENCE_S
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        bar = progress.add_task("", total=len(rows))
        while (running := [r for r in rows if r["status"] not in ENDED]) and time.monotonic() < deadline:
            for row in running:
                found = server.get(f"/v1/instances/{row['id']}")
                row["status"] = found["status"]
                if found["status"] in ENDED:
                    ended = server.get(f"/v1/instances/{row['id']}/events", type="workflow.completed", limit=1)["items"]
                    row["ended_at"] = ended[0]["data"].get("element") if ended else ""
                    row["ms"] = _ms(found)
                    progress.advance(bar)
            time.sleep(0.1)


def _ms(instance: dict[str, Any]) -> int | None:
    from datetime import datetime

    if not instance.get("started_at") or not instance.get("completed_at"):
        return None
    took = datetime.fromisoformat(instance["completed_at"]) - datetime.fromisoformat(instance["started_at"])
    return round(took.total_seconds() * 1000)


def _leave_one(server: Server) -> str | None:
    answer = server.post("/v1/instances", {"definition": "document-approval", "variables": YOURS, "business_key": "for-you"})
    found = server.get("/v1/tasks", instance=answer["id"], wait_for=answer["position"])["items"]
    return found[0]["id"] if found else None


def summary(result: dict[str, Any], url: str, audit: str = "", again: str = "") -> None:
    """What happened, and where to look. `again`: the command that starts the server which is about to end."""
    rows = [{**r, "what": f"{r['process']}: {r['shows']}"} for r in result["instances"]]
    table(rows, ["id", ("what", "what it shows"), "status", ("ended_at", "ended at"), "ms"], title="\nWhat happened")
    done = sum(r["status"] == "completed" for r in rows)
    out = console()
    out.print(
        f"[bold]{done} of {len(rows)}[/] instances completed in {result['seconds']:.1f} s: {result['jobs']} jobs by sample workers, "
        f"{result['errors']} business errors caught, {result['tasks']} decisions of people\n"
    )
    at, me = "" if url == DEFAULT else f" --server {url}", command()
    lines = []
    if again:
        lines.append(("this server ends", f"{again}   starts it again with all that it has done, and stays; then:"))
    lines.append(("console", url))
    if result["yours"]:
        values = '{"decision": "approve", "comment": "fine"}'
        lines.append(("one task is yours", f"{me} complete {result['yours']} --vars '{values}'{at}"))
    if rows:
        lines.append(("what happened", f"{me} history {rows[0]['id']}{at}"))
    if audit:
        lines.append(("is it all true", f"{me} {audit}"))
    lines += [("API", f"{url}/v1   ({url}/v1/openapi.json)"), ("figures", f"{url}/metrics")]
    for name, text in lines:  # never folded: they are copied
        out.print(f"  {name:<19} {text}", soft_wrap=True)
    out.print()


def check(result: dict[str, Any]) -> None:
    """Fails when something has not completed."""
    left = sum(r["status"] != "completed" for r in result["instances"])
    if left:
        why = f" ({result['trouble']})" if result["trouble"] else ""
        fail(f"{left} instances have not completed: flowledger incidents{why}")


def demo(server: str, instances: int, config: Any, leave: bool | None, json: bool, **given: Any) -> None:
    """Against `server`, or against one that is started here and stays until Ctrl+C."""
    if server:
        result = drive(Server(server).url, instances)
        as_json(result) if json else summary(result, server)
        check(result)
        return
    from flowledger.infra.cli.serve import start

    auth = settings_of(config, **given).auth
    if auth != "none" and not (os.environ.get("FLOWLEDGER_API_KEY") or os.environ.get("FLOWLEDGER_TOKEN")):
        hint = f"start `{command()} dev`, sign in with `{command()} login`, then `{command()} demo --server URL`"
        fail(f"the examples are deployed by somebody, and nobody has signed in yet: expected auth none, found {auth}", USAGE, hint)
    leave = not sys.stdout.isatty() if leave is None else leave
    start(config, lambda system: _play(system, instances, json, leave), **given)


def _place(settings: Any) -> str:
    """Options that name the log, when it isn't the default one."""
    if settings.kafka:
        return f" --kafka {settings.kafka}"
    return "" if str(settings.data) == ".flowledger" else f" --data {settings.data}"


async def _play(system: Any, instances: int, json: bool, leave: bool) -> None:
    import asyncio

    from flowledger.infra.cli.serve import banner, endless

    result = await asyncio.to_thread(drive, system.url, instances)
    s = system.settings
    more = (" --postgres URL" if s.postgres else "") + ("" if s.port == DEFAULT_PORT else f" --port {system.url.rpartition(':')[2]}")
    again = f"{command()} dev{_place(s)}{more}" if leave else ""
    as_json(result) if json else summary(result, system.url, "audit verify" + _place(s), again)
    if leave:
        check(result)
        system.closed.set()
        return
    banner(system)
    await endless()

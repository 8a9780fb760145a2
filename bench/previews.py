"""What an operator waits for before doing something, on one instance with a history of 10,000 events, over HTTP of `flowledger dev`: its state at any
moment, and what a modification, a migration and a roll-back would do. The goal (issue 12) is below 1 s each.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from flowledger.bench.overload import _free, _ready

EVENTS, A_ROUND, ASKED, SEED = 10_000, 4, 20, 7
#: how long the history may take to come about (seconds)
PATIENCE_S = 300.0

#: rounds of a script (`A_ROUND` events each), then a person
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="bench"><process id="{id}" isExecutable="true"><startEvent id="s"/>
<scriptTask id="count"><extensionElements><zeebe:script expression="=n + 1" resultVariable="n"/></extensionElements></scriptTask>
<exclusiveGateway id="g" default="on"/><userTask id="{person}"/><endEvent id="e"/><sequenceFlow id="f" sourceRef="s" targetRef="count"/>
<sequenceFlow id="h" sourceRef="count" targetRef="g"/><sequenceFlow id="back" sourceRef="g" targetRef="count"><conditionExpression
 xsi:type="tFormalExpression">=n &lt; rounds</conditionExpression></sequenceFlow><sequenceFlow id="on" sourceRef="g" targetRef="{person}"/>
<sequenceFlow id="i" sourceRef="{person}" targetRef="e"/></process></definitions>"""


def _call(port: int, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"http://127.0.0.1:{port}/v1{path}", data, {"Content-Type": "application/json"}, method=method)
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except HTTPError as e:
            if e.code not in (429, 503) or time.monotonic() > until:
                raise RuntimeError(f"{method} {path}: {e.code} {e.read()[:500]!r}") from e
            time.sleep(0.5)


def _instance(port: int) -> tuple[str, str, list[str]]:
    """(instance, another version, places of its history)."""
    first, other = (
        _call(port, "POST", "/deployments", {"resources": [{"name": "p.bpmn", "content": MODEL.format(id="p", person=person)}]})[
            "definitions"
        ][0]["id"]
        for person in ("ask", "decide")
    )
    key = _call(port, "POST", "/instances", {"definition": first, "variables": {"n": 0, "rounds": EVENTS // A_ROUND}})["id"]
    until = time.monotonic() + PATIENCE_S
    while not _call(port, "GET", f"/tasks?instance={key}&open=true")["items"]:
        if time.monotonic() > until:
            raise TimeoutError("the history did not come about")
        time.sleep(0.5)
    places: list[str] = []
    cursor = ""
    while True:
        page = _call(port, "GET", f"/instances/{key}/events?limit=1000{cursor}")
        places += [e["id"] for e in page["items"]]
        if not page.get("cursor"):
            return key, other, places
        cursor = f"&cursor={page['cursor']}"


def _took(ask: Any) -> list[float]:
    out = []
    for _ in range(ASKED):
        began = time.perf_counter()
        ask()
        out.append((time.perf_counter() - began) * 1e3)
    return out


def measure(port: int) -> list[dict[str, Any]]:
    key, other, places = _instance(port)
    dice = random.Random(SEED)
    plan = {"dry_run": True}
    asks = {
        "state_at": lambda: _call(port, "GET", f"/instances/{key}/state?at={dice.choice(places)}"),
        "modify": lambda: _call(
            port, "POST", f"/instances/{key}/modify", {"instructions": [{"move": {"from": "ask", "to": "ask"}}], **plan}
        ),
        "migrate": lambda: _call(port, "POST", f"/instances/{key}/migrate", {"to": other, "mapping": {"ask": "decide"}, **plan}),
        "roll_back": lambda: _call(port, "POST", f"/instances/{key}/rollback", {"to": dice.choice(places[len(places) // 2 :]), **plan}),
    }
    out = []
    for name, ask in asks.items():
        took = _took(ask)
        out.append({
            "name": f"previews.{name}_ms", "value": round(statistics.median(took), 1), "unit": "ms", "most": round(max(took), 1),
            "events": len(places), "asked": ASKED,
        })  # fmt: skip
    return out


def run() -> list[dict[str, Any]]:
    port = _free()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the embedded PostgreSQL has a user of its own where we are root
        env = {**os.environ, "FLOWLEDGER_GRPC_PORT": str(_free())}
        command = [sys.executable, "-m", "flowledger", "dev", "--port", str(port), "--data", folder]
        server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _ready(port, server)
            return measure(port)
        finally:
            server.terminate()
            server.wait(30)

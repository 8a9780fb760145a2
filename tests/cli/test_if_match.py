"""Each route that changes a thing is held against `If-Match` where the thing has a version, from the first change on (RFC 9110, 13.1.1); and against a
dry run, where it offers one: a plan, nothing written, and STALE for another plan."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx2
import pytest

from flowledger.sdk import Flow

PROCESS = "locked"
TASK = {"type": "human_task", "name": "look"}


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, timeout=90, headers={"X-Actor": "ann"}) as client:
        for name in ("Locked", "Locked anew"):
            model = Flow(PROCESS, name=name).start().service("work", job="locked.work").end().xml().decode()
            made = client.post("/v1/deployments", json={"resources": [{"name": "locked.bpmn", "content": model}]})
            assert made.status_code == 201, made.text
        yield client


def made(http, path: str, body: dict) -> dict:
    """Again for as long as a busy machine says so."""
    for _ in range(60):
        r = http.post(path, json=body)
        if r.status_code not in (429, 503):
            break
        time.sleep(0.2)
    assert r.status_code == 201, r.text
    return r.json()


def instance(http) -> str:
    return f"/v1/instances/{made(http, '/v1/instances', {'definition': PROCESS})['id']}"


def task(http) -> str:
    return f"/v1/tasks/{made(http, '/v1/tasks', TASK)['task']}"


def draft(http) -> str:
    model = Flow(f"d{uuid.uuid4().hex[:8]}").start().end().xml().decode()
    return f"/v1/definitions/{made(http, '/v1/definitions', {'name': 'd.bpmn', 'content': model})['definitions'][0]['id']}"


def drawing(http) -> str:
    return f"/v1/drafts/{made(http, '/v1/drafts', {'name': 'd', 'content': 'one'})['id']}"


def tag(http, path: str, position: str | None = None) -> str:
    read = http.get(path, params={"wait_for": position} if position else None)
    assert read.status_code == 200 and read.headers["etag"] == f'"{read.json()["row_version"]}"', read.text
    return read.headers["etag"]


THINGS = {
    "/v1/instances/{id}": (instance, ("PATCH", "/variables", {"variables": {"by": "bob"}})),
    "/v1/tasks/{id}": (task, ("POST", "/comment", {"text": "by bob"})),
    "/v1/drafts/{id}": (drawing, ("PUT", "", {"content": "two"})),
    "/v1/definitions/{id}": (draft, ("POST", "/publish", {})),
}
BODIES = {
    "/variables": {"variables": {"a": 1}}, "/modify": {"activate": [{"element": "work"}]}, "/migrate": {"definition": PROCESS, "elements": {"work": "work"}},
    "/rollback": {"steps": 1}, "/rerun": {"element": "work"}, "/comment": {"text": "said"},
    "": {"content": Flow("x").start().end().xml().decode()},
}  # fmt: skip
MOVES = {"/v1/tasks/{id}/{move}": "update", "/v1/definitions/{id}/{move}": "validate"}


def locked(server) -> list[tuple[str, str]]:
    paths = httpx2.get(f"{server.url}/v1/openapi.json", timeout=90).json()["paths"]
    return [
        (method.upper(), path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if any(p["name"] == "If-Match" for p in operation.get("parameters", ()))
    ]


@pytest.mark.req("TES-DAT-001", "D-API-004")
def test_a_stale_tag_is_412_and_changes_nothing_on_every_route_that_locks(server, http):
    routes = locked(server)
    assert len(routes) == 19 and {p.rsplit("}", 1)[0].partition("}")[0] + "}" for _, p in routes} == set(THINGS)
    for method, path in routes:
        base = next(b for b in THINGS if path.startswith(b))
        make, (by, where, body) = THINGS[base]
        thing = make(http)
        seen = tag(http, thing)
        assert seen == '"0"', "nobody has changed it yet"
        changed = http.request(by, thing + where, json=body, headers={"X-Actor": "bob"})
        assert changed.status_code == 200, changed.text
        now = tag(http, thing, changed.json().get("position"))
        assert now == '"1"', (path, now)
        rest = path.removeprefix(base).replace("{move}", MOVES.get(path, ""))
        wish = {"json": BODIES.get(rest, {})} if method != "DELETE" else {}
        for stale in (seen, f"W/{seen}", '"77"'):
            late = http.request(method, thing + rest, headers={"If-Match": stale}, **wish)
            assert late.status_code == 412 and late.json()["code"] == "STALE", (method, path, late.text)
        assert tag(http, thing) == now, "nothing was changed"
        for odd in ("1x", '"x"', '"1", "2"'):
            assert http.request(method, thing + rest, headers={"If-Match": odd}, **wish).status_code == 400, (method, path, odd)
        good = http.request(method, thing + rest, headers={"If-Match": now}, **wish)
        assert good.status_code in (200, 409, 422), (method, path, good.text)
        assert good.status_code == 200 or good.json()["code"] != "STALE"
        if good.status_code == 200 and "etag" in good.headers:
            assert http.request(method, thing + rest, headers={"If-Match": now}, **wish).status_code in (404, 412), "it was that version"


def test_each_change_of_an_instance_gives_it_another_tag_and_the_answer_has_it(http):
    path = instance(http)
    seen = [tag(http, path)]
    for method, rest, body in (
        ("PATCH", "/variables", {"variables": {"a": 1}}), ("POST", "/pause", {}), ("POST", "/unpause", {}), ("POST", "/suspend", {}),
        ("POST", "/resume", {}), ("POST", "/modify", {"activate": [{"element": "work"}]}), ("POST", "/migrate", {"definition": PROCESS, "elements": {"work": "work"}}),
    ):  # fmt: skip
        done = http.request(method, path + rest, json=body, headers={"If-Match": seen[-1]})
        assert done.status_code == 200, (rest, done.text)
        assert done.headers["etag"] == f'"{done.json()["row_version"]}"' == tag(http, path, done.json()["position"]), rest
        seen.append(done.headers["etag"])
    assert len(set(seen)) == len(seen), seen
    jobs = http.post("/v1/jobs/activate", json={"type": "locked.work", "worker": "w", "max": 100, "timeout_ms": 60_000}).json()["jobs"]
    mine = [j for j in jobs if path.endswith(j["instance"])]
    assert len(mine) == 2 and tag(http, path) == seen[-1], "work that goes on is no change of it"
    done = http.post(f"/v1/jobs/{mine[0]['key']}/complete", json={"variables": {"b": 2}})
    assert tag(http, path, done.json()["position"]) != seen[-1], "its variables are"
    assert http.post(f"{path}/cancel", json={}, headers={"If-Match": seen[-1]}).status_code == 412
    assert http.post(f"{path}/cancel", json={}, headers={"If-Match": "*"}).status_code == 200
    again = http.patch(f"{path}/variables", json={"variables": {"a": 2}}, headers={"If-Match": '"9"', "Idempotency-Key": uuid.uuid4().hex})
    assert again.status_code == 404


def test_a_repeated_request_gets_its_first_answer_though_its_tag_is_stale_by_itself(http):
    path = instance(http)
    wish = {"json": {"variables": {"a": 1}}, "headers": {"If-Match": tag(http, path), "Idempotency-Key": uuid.uuid4().hex}}
    first, again = http.patch(f"{path}/variables", **wish), http.patch(f"{path}/variables", **wish)
    assert first.status_code == again.status_code == 200 and first.json() == again.json()


def test_where_nothing_has_a_version_a_tag_is_refused_not_passed_over(http):
    for path, body in (("/v1/instances", {"definition": PROCESS}), ("/v1/signals", {"name": "x"}), ("/v1/tasks", TASK)):
        assert http.post(path, json=body, headers={"If-Match": '"0"'}).status_code == 400
        assert http.post(path, json=body, headers={"If-Match": "*"}).status_code in (200, 201)


# --- dry runs

TRIGGER = 'name: looked-at\nsource: {schedule: {every: P1D}}\nsignal: {name: ="s"}\n'
#: routes of no thing, with a body
OTHERS: dict[str, dict[str, Any]] = {
    "/v1/instances": {"definition": PROCESS}, "/v1/messages": {"name": "m", "correlation_key": "1", "ttl_ms": 1000}, "/v1/signals": {"name": "s"},
    "/v1/holds": {"scope": "job_type", "key": "of-nobody", "reason": "x"},
    "/v1/triggers/{name}": {"content": TRIGGER},
    "/v1/deployments": {"resources": [{"name": "looked-at.trigger.yaml", "content": TRIGGER.replace("looked-at", "looked-at-as-well")}]},
}  # fmt: skip


#: what isn't there, of things that nobody has made here
NOBODY = {
    "/v1/jobs/{key}/retries": "",
    "/v1/incidents/{key}/resolve": "",
    "/v1/holds/{id}/release": "7",
    "/v1/watchdog/{id}/repair": "0-token_lost-7",
}
NOTHING = {"/v1/watchdog/{id}/repair": {"reason": "x"}, "/v1/jobs/{key}/retries": {"retries": 1}}


def offered(server) -> list[tuple[str, str]]:
    paths = httpx2.get(f"{server.url}/v1/openapi.json", timeout=90).json()["paths"]
    return [
        (method.upper(), path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if any(p["name"] == "dry_run" for p in operation.get("parameters", ()))
    ]


def test_each_route_that_offers_a_dry_run_answers_with_a_plan_and_changes_nothing(server, http) -> None:
    planned = 0
    for method, path in offered(server):
        base = next((b for b in THINGS if path.startswith(b)), "")
        if base:
            place = (thing := THINGS[base][0](http)) + (rest := path.removeprefix(base).replace("{move}", MOVES.get(path, "")))
            body = BODIES.get(rest, {})
            before = tag(http, thing)
        elif path in OTHERS:
            thing, place, body, before = "", path.replace("{name}", "looked-at"), OTHERS[path], ""
        else:
            nothing = path.replace("{key}", "7").replace("{id}", NOBODY[path])
            answer = http.post(nothing, json=NOTHING.get(path, {}), params={"dry_run": "true"})
            assert answer.status_code == 404, (path, answer.text)
            continue
        wish = {"json": body} if method != "DELETE" else {}
        asked = http.request(method, place, params={"dry_run": "true"}, headers={"Idempotency-Key": f"{method}{path}"}, **wish)
        assert asked.status_code in (200, 409, 422), (method, path, asked.text)
        if asked.status_code == 200:
            plan = asked.json()
            assert plan["dry_run"] is True and set(plan["counts"]) <= plan.keys(), (method, path)
            planned += 1
            late = http.request(method, place, params={"plan": "0" * 24}, **wish)
            assert late.status_code == 409 and late.json()["code"] == "STALE", (method, path, late.text)
            if thing:
                assert tag(http, thing) == before
            same = http.request(method, place, params={"plan": plan["plan"]}, headers={"Idempotency-Key": f"{method}{path}"}, **wish)
            assert same.status_code in (200, 201), (method, path, same.text)
    assert planned >= 10


@pytest.mark.parametrize(
    ("query", "status"), [("dry_run=yes", 400), ("plan=x", 400), ("plan=", 400), ("dry_run=false", 200), ("dry_run=true&dry_run=true", 400)]
)
def test_odd_queries(http, query: str, status: int) -> None:
    assert http.post(f"{instance(http)}/cancel?{query}", json={}).status_code == status


def test_where_it_is_not_offered_it_is_refused(http) -> None:
    assert http.post("/v1/jobs/activate?dry_run=true", json={"type": "x", "worker": "w"}).status_code == 400

"""One clear error for each: what was expected, what was found, where. And no command is sent."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("path", "body", "where", "said"),
    [
        ("/v1/instances", {"definition": "p", "varables": {}}, "body", "varables"),
        ("/v1/instances", {"definition": "p", "varables": {}}, "body", "business_key"),
        ("/v1/instances", {"definition": ["p"]}, "body definition", "Expected `int | str`, got `array`"),
        ("/v1/instances", {"definition": "p", "variables": []}, "body variables", "Expected `object"),
        ("/v1/instances", {"definition": "p", "version": "1"}, "body version", "Expected `int`, got `str`"),
        ("/v1/instances", {"definition": "p", "priority": "soon"}, "body priority", "urgent"),
        ("/v1/instances", {"definition": "p", "wait_ms": 10**9}, "body wait_ms", "5000"),
        ("/v1/instances", {"definition": ""}, "body definition", "length >= 1"),
        ("/v1/instances", {}, "body", "missing required field `definition`"),
        ("/v1/instances/abc/cancel", {}, "instance", "'abc'"),
        ("/v1/instances/0/cancel", {}, "instance", "'0'"),
        ("/v1/instances/99999999999999999999/cancel", {}, "instance", "positive integer"),
        ("/v1/instances/7/modify", {}, "body", "found none"),
        ("/v1/tasks/7/progress", {"percent": 101}, "body percent", "101"),
        ("/v1/jobs/activate", {"type": "t", "worker": "w", "max": 0}, "body max", ">= 1, found 0"),
        ("/v1/jobs/activate", {"type": "", "worker": "w"}, "body type", "length >= 1"),
        ("/v1/jobs/7/extend", {"timeout_ms": -1}, "body timeout_ms", "-1"),
        ("/v1/messages", {"name": ""}, "body name", "length >= 1"),
        ("/v1/deployments", {"resources": []}, "body resources", "length >= 1, found []"),
        ("/v1/deployments", {"resources": [{"name": "a", "content": " "}]}, "body resources[0].content", 'found " "'),
        ("/v1/deployments", {"resources": [{"name": "a", "content": 1}]}, "body resources[0].content", "Expected `str`, got `int`"),
    ],
)
@pytest.mark.req("APG-DAT-004")
async def test_a_wrong_body(http, client, path, body, where, said):
    r = await http.post(path, json=body)
    assert r.status_code == 400, r.text
    problem = r.json()
    assert problem["code"] == "MALFORMED" and said in problem["detail"] and problem["errors"][0]["where"] == where
    assert not client.calls


@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        (b'{"definition": ', "application/json", 400, "must be JSON"),
        (b"[" * 100_000, "application/json", 400, "array"),
        (b'{"definition": "p"}', "text/plain", 415, "application/json"),
        (b"definition=p", "application/x-www-form-urlencoded", 415, "application/json"),
        (b'{"definition": "\xff"}', "application/json", 400, "JSON"),
        (b'{"definition": "p", "variables": {"x": "' + b"y" * 300_000 + b'"}}', "application/json", 413, "200000"),
    ],
)
async def test_a_body_that_is_no_body(http, client, content, kind, status, said):
    r = await http.post("/v1/instances", content=content, headers={"Content-Type": kind})
    assert r.status_code == status, r.text
    assert said in r.json()["detail"] and not client.calls


@pytest.mark.parametrize(
    ("path", "where", "said"),
    [
        ("/v1/instances?sttus=running", "query sttus", "known are"),
        ("/v1/instances?status=busy", "query status", "busy"),
        ("/v1/instances?limit=0", "query limit", "1"),
        ("/v1/instances?limit=201", "query limit", "200"),
        ("/v1/instances?limit=x", "query limit", "int"),
        ("/v1/instances?var.a=1&var.a=2", "query var.a", "twice"),
        ("/v1/instances?started_from=yesterday", "query started_from", ""),
        ("/v1/instances?wait_for=17", "query wait_for", "partition-offset"),
        ("/v1/events?type=task.exploded", "query type", "task.exploded"),
        ("/v1/events?position=x", "query position", "partition-offset"),
        ("/v1/tasks?var.a=1", "query var.a", "known are"),
    ],
)
async def test_a_wrong_parameter(http, path, where, said):
    r = await http.get(path)
    assert r.status_code == 400, r.text
    assert r.json()["errors"][0]["where"] == where and said in r.text


async def test_unknown_paths_and_methods_are_problems_too(http):
    r = await http.get("/v1/nothing")
    assert r.status_code == 404 and r.json()["code"] == "NOT_FOUND"
    r = await http.delete("/v1/instances")
    assert r.status_code == 405 and r.json()["code"] == "METHOD_NOT_ALLOWED" and "GET" in r.headers["allow"]
    r = await http.post("/v1/instances/7/forward")
    assert r.status_code == 404


async def test_a_bug_tells_the_caller_nothing_but_a_reference(http, client, capsys):
    def broken(_):
        raise RuntimeError("secret detail")

    client.answers["ResolveIncident"] = broken
    r = await http.post("/v1/incidents/7/resolve", headers={"X-Correlation-Id": "ref-1"})
    assert r.status_code == 500 and r.json()["code"] == "INTERNAL"
    assert "secret" not in r.text and "Traceback" not in r.text and "ref-1" in r.json()["detail"]

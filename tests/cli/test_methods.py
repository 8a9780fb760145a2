"""HEAD, OPTIONS and methods that nobody has, on every route of a real server, over connections that stay open."""

from __future__ import annotations

import httpx2
import pytest

from flowledger.api.openapi import MODEL

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.mark.req("D-API-037", "WOS-API-001")
def test_every_route_answers_every_method_and_keeps_the_connection(server):
    with httpx2.Client(base_url=server.url, timeout=90) as http:
        http.post("/v1/deployments", json={"resources": [{"name": "hello.bpmn", "content": MODEL}]}).raise_for_status()
        key = http.post("/v1/instances", json={"definition": "hello"}).raise_for_status().json()["id"]
        wrong = []
        for path, operations in http.get("/v1/openapi.json").json()["paths"].items():
            for id in ("1", key) if "{id}" in path else ("1",):
                asked = path.replace("{id}", id).replace("{kind}", "users").replace("{name}", "x")
                known = {m.upper() for m in METHODS if m in operations}
                allowed = known | {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())
                answer = http.options(asked)
                if answer.status_code != 204 or {m.strip() for m in answer.headers["allow"].split(",")} != allowed:
                    wrong.append((asked, "OPTIONS", answer.status_code, answer.headers.get("allow")))
                if "GET" in known:
                    head = http.head(asked)
                    found = 200 if path == "/v1/events" else http.get(asked).status_code  # that one never ends
                    if head.status_code != found or head.content:
                        wrong.append((asked, "HEAD", head.status_code, found))
                for method in {"TRACE", *(m.upper() for m in METHODS)} - known:
                    answer = http.request(method, asked)
                    if answer.status_code != 405 or answer.headers["content-type"] != "application/problem+json":
                        wrong.append((asked, method, answer.status_code, answer.text[:80]))
        assert not wrong, "\n".join(map(str, wrong))

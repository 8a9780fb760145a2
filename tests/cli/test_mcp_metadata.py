"""What `flowledger mcp --http` tells of itself to those without a token (RFC 9728), and what it says when no Flowledger stands behind it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from flowledger.infra.cli import mcp_http

pytestmark = pytest.mark.req("APG-SEC-009")
ISSUER = "https://login.example/realms/shop"
ME = {"auth": "oidc", "kind": "user", "name": "ann", "tenant": ""}
WELL_KNOWN = "/.well-known/oauth-protected-resource"


class Api:
    """`answers`: path -> (status, type, body)."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        issuers = {"items": [{"name": "shop", "issuer": ISSUER}], "cursor": None}
        self.answers: dict[str, tuple[int, str, bytes]] = {"/v1/session/issuers": (200, "application/json", json.dumps(issuers).encode())}
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api.asked.append(self.path)
                status, kind, body = api.answers.get(self.path, (404, "application/json", b"{}"))
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    yield made
    made.server.shutdown()
    made.server.server_close()


def door(api: str, *names: str) -> httpx2.AsyncClient:
    application = mcp_http.application(api, [], False, "0.0.0.0" if names else "127.0.0.1", list(names))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=application), base_url="http://127.0.0.1:8765")


@pytest.mark.parametrize("path", [WELL_KNOWN + "/mcp", WELL_KNOWN])
async def test_whose_tokens_are_taken_is_told_to_who_has_none(api, path):
    async with door(api.url, "flows.example") as http:
        for host, base in (("flows.example", "https://flows.example"), ("flows.example:8443", "https://flows.example:8443"), ("[::1]:8765", "http://[::1]:8765"),
                           ("localhost:8765", "http://localhost:8765")):  # fmt: skip
            found = await http.get(path, headers={"host": host})
            assert found.status_code == 200 and found.json() == {
                "resource": f"{base}/mcp", "resource_name": "Flowledger", "bearer_methods_supported": ["header"], "authorization_servers": [ISSUER],
            }  # fmt: skip
        assert api.asked == ["/v1/session/issuers"], "it is asked for once"
        assert (await http.head(path)).status_code == 200 and (await http.post(path)).status_code == 405
        for host in ("rebound.example", "flows.example.evil.example", 'flows.example"'):
            assert (await http.get(path, headers={"host": host})).status_code == 421


async def test_who_has_no_token_or_a_wrong_one_is_told_where_to_look(api):
    api.answers["/v1/me"] = 401, "application/json", b'{"detail": "not known"}'
    where = f'resource_metadata="https://flows.example{WELL_KNOWN}/mcp"'
    async with door(api.url, "flows.example") as http:
        nobody = await http.post("/mcp", headers={"host": "flows.example"})
        wrong = await http.post("/mcp", headers={"host": "flows.example", "authorization": "Bearer x"})
        long = await http.post("/mcp", headers={"host": "flows.example", "authorization": "x" * 16_385})
        rebound = await http.post("/mcp", headers={"host": "rebound.example"})
    assert nobody.headers["www-authenticate"] == f"Bearer {where}" and nobody.status_code == 401
    assert wrong.headers["www-authenticate"] == long.headers["www-authenticate"] == f'Bearer error="invalid_token", {where}'
    assert rebound.status_code == 401 and rebound.headers["www-authenticate"] == "Bearer"


async def test_without_issuers_and_without_a_server(api):
    api.answers["/v1/session/issuers"] = 200, "application/json", b'{"items": [], "cursor": null}'
    async with door(api.url) as http:
        assert "authorization_servers" not in (await http.get(WELL_KNOWN)).json()
    for answer in (
        (500, "application/json", b"{}"),
        (200, "text/html", b"<p>hello</p>"),
        (200, "application/json", b"[]"),
        (200, "application/json", b"{}"),
        (200, "application/json", b'{"items": [{"name": "shop"}]}'),
        (200, "application/json", b'{"items": [7]}'),
    ):
        api.answers["/v1/session/issuers"] = answer
        async with door(api.url) as http:
            assert (await http.get(WELL_KNOWN)).status_code == 503, answer
    async with door("http://127.0.0.1:1") as http:
        assert (await http.get(WELL_KNOWN)).status_code == 503


@pytest.mark.parametrize("body", [b"<html>a proxy</html>", b"", b"[]", b'"text"', b"{}", json.dumps({**ME, "auth": None}).encode()[:-1]])
async def test_what_is_no_flowledger_is_told(api, body):
    api.answers["/v1/me"] = 200, "text/html", body
    async with door(api.url) as http:
        found = await http.post("/mcp", json={})
    assert found.status_code == 502 and "no Flowledger" in found.json()["error"]["message"], found.text

"""How the console's files are served: addresses, policy, caching, and nothing else from the disk."""

from __future__ import annotations

import gzip
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from flowledger.api import console

from .conftest import Served

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def ask(server: Served, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(f"{server.url}{path}", headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, {k.lower(): v for k, v in e.headers.items()}, e.read()


@pytest.mark.parametrize(
    "path", ["/", "/processes", "/processes/order?version=1", "/instances?status=running&var.a%5Bgt%5D=1", "/instances/17?at=0-3"]
)
def test_each_address_of_the_console_is_its_page(server: Served, path: str) -> None:
    status, headers, body = ask(server, path)
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "text/html; charset=utf-8", "no-cache")
    assert b'<div id="root">' in body


def test_the_policy_lets_only_our_own_scripts_run(server: Served) -> None:
    (_, first, body), (_, second, _) = ask(server, "/"), ask(server, "/")
    policy = dict(part.strip().partition(" ")[::2] for part in first["content-security-policy"].split(";"))
    assert policy["script-src"] == "'self'" and policy["default-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert "http" not in first["content-security-policy"], "no foreign host"
    [nonce] = re.findall(r"'nonce-([\w-]+)'", policy["style-src"])
    assert nonce.encode() in body and nonce not in second["content-security-policy"], "a nonce is used once"
    assert not re.findall(rb"<script(?![^>]*\ssrc=)", body), "no inline script"


def test_files_are_packed_and_kept_by_browsers(server: Served) -> None:
    script = re.search(rb'src="(/console/assets/[^"]+\.js)"', ask(server, "/")[2])
    assert script is not None
    path = script.group(1).decode()
    _, plain_headers, plain = ask(server, path)
    _, headers, packed = ask(server, path, Accept_Encoding="gzip")
    assert "content-encoding" not in plain_headers and headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == plain and "immutable" in headers["cache-control"] and "javascript" in headers["content-type"]


@pytest.mark.parametrize(
    "path",
    [
        "/console/none.js",
        "/console/../pyproject.toml",
        "/console/%2e%2e/index.html",
        "/console/index.html",
        "/console/.built/x",
        "/nothing",
    ],
)
def test_nothing_else_is_there(server: Served, path: str) -> None:
    status, headers, _ = ask(server, path)
    assert status == 404 and headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("at", sorted(console.SHOWS))
def test_the_head_names_what_the_page_needs(server: Served, at: str) -> None:
    """A browser that finds one file because of another waits for each; here they come at once, and each is there."""
    body = ask(server, f"/{at}x" if at.endswith("/") else f"/{at}")[2].decode()
    named = set(re.findall(r'(?:src|href)="(/console/assets/[^"]+)"', body))
    assert len(named) <= 20, "few"
    [own] = [n for n in named if f"/{console.SHOWS[at]}-" in n and n.endswith(".js")]
    assert {ask(server, n)[0] for n in named} == {200}
    assert re.search(r'<script type="module" async crossorigin src="/console/assets/first-', body), (
        "what the page asks first is asked at once"
    )
    for script in [own, *(n for n in named if n.endswith(".js"))]:
        text = ask(server, script)[2].decode()
        for other in re.findall(r'\bfrom"\./([^"]+\.js)"', text):
            assert f"/console/assets/{other}" in named, f"{script} needs {other}"


def test_each_page_of_the_router_is_known(server: Served) -> None:
    router = (Path(__file__).parents[2] / "web" / "src" / "app" / "router.tsx").read_text()
    pages = dict(re.findall(r'page\("/([^"]*)", .*"(\w+)"\)', router))
    assert {at.replace("$id", ""): name for at, name in pages.items()} == console.SHOWS


def test_the_first_page_is_light(server: Served) -> None:
    """Below 250 KB of script before the designer is opened, with what the page itself needs."""
    body = ask(server, "/")[2].decode()
    scripts = set(re.findall(r'(?:src|href)="(/console/assets/[^"]+\.js)"', body))
    total = sum(len(ask(server, s, Accept_Encoding="gzip")[2]) for s in scripts)
    assert 0 < total < 250_000

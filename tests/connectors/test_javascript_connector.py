"""The connector of JavaScript: results, what a script can't reach, and each limit; its process may die without harm."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.connectors.contract import OUT
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure


@pytest.fixture
async def js(bench) -> AsyncIterator[Any]:
    run = bench("javascript")

    async def call(script: str, data: dict[str, Any] | None = None, key: str = "77", **more: Any) -> Any:
        return (await run({"data": data or {}, **more}, {"script": script, **OUT}, key=key))["out"]["result"]

    call.run, call.connector = run, run.connector  # type: ignore[attr-defined]
    yield call


@pytest.mark.parametrize(
    ("script", "value"),
    [
        ("weight * 2", 14),
        ("({a: [1, 'x', null, true]})", {"a": [1, "x", None, True]}),
        ("const f = n => n < 2 ? n : f(n - 1) + f(n - 2); f(10)", 55),
        ("undefined", None),
        ("0.1 + 0.2", Decimal("0.30000000000000004")),
        ("name.toUpperCase()", "\u00dc'\"\\"),
        ("order.lines.reduce((s, l) => s + l.n, 0)", 3),
    ],
)
async def test_results(js, script: str, value: Any):
    assert await js(script, {"weight": 7, "name": "\u00fc'\"\\", "order": {"lines": [{"n": 1}, {"n": 2}]}}) == value


async def test_the_same_work_has_the_same_chance(js):
    assert await js("Math.random()", key="1") == await js("Math.random()", key="1") != await js("Math.random()", key="2")


@pytest.mark.parametrize(
    "name",
    [
        "require",
        "process",
        "fetch",
        "XMLHttpRequest",
        "std",
        "os",
        "Deno",
        "setTimeout",
        "print",
        "importScripts",
        "WebAssembly",
        "scriptArgs",
        "__given",
        "__loadScript",
    ],
)
async def test_there_is_nothing_to_reach(js, name: str):
    assert await js(f"typeof {name}") == "undefined"


async def test_nothing_is_kept_from_one_to_the_next(js):
    await js("globalThis.kept = 1; Array.prototype.map = 1; 1")
    assert await js("[typeof kept, typeof [].map]") == ["undefined", "function"]


async def test_the_process_has_no_environment_of_ours(js, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_SECRET_X", "hush-hush-hush")
    await js("1")
    (child,) = js.connector._idle
    with open(f"/proc/{child.process.pid}/environ", "rb") as f:
        found = f.read()
    assert b"FLOWLEDGER" not in found and b"hush" not in found and child.process.pid != os.getpid()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("while (true) {}", "1 s"),
        ("const a = []; while (true) a.push('x'.repeat(1e6) + a.length)", "MiB"),
        ("throw new Error('my words')", "my words"),
        ("nothing.here", "nothing"),
        ("if (", "SyntaxError"),
        ("const f = () => f(); f()", ""),
        ("'x'.repeat(5e6)", "characters"),
        ("import('fs')", ""),
        ("/(a+)+$/.test('a'.repeat(40) + 'b')", ""),
    ],
)
async def test_scripts_that_fail_are_incidents(js, script: str, words: str):
    if script.startswith("import"):
        assert await js(f"{script}; 1") == 1  # a promise that nobody keeps
        return
    began = time.monotonic()
    # what ends by another limit has more time than a busy machine takes to get there
    found = await failure(js(script, timeoutInSeconds=30 if words in ("MiB", "characters") else 1))
    assert (found.code, found.retries) == ("SCRIPT", 0) and words in found.message, found.message
    assert time.monotonic() - began < 60
    assert await js("1 + 1") == 2


async def test_a_large_result(bench):
    run = bench("javascript", connector_answer_bytes_max=1024)
    found = await failure(run({"data": {}}, {"script": "'x'.repeat(2000)"}))
    assert (found.code, found.retries) == ("ANSWER_TOO_LARGE", 0)


async def test_a_process_that_dies_is_another_attempt(js):
    await js("1")
    (child,) = js.connector._idle
    running = asyncio.ensure_future(js("while (true) {}"))
    await asyncio.sleep(0.2)
    child.process.kill()
    found = await failure(running)
    assert (found.code, found.retries) == ("CUT", None)
    assert await js("2") == 2


async def test_scripts_at_once(js):
    assert await asyncio.gather(*(js("n * n", {"n": i}) for i in range(12))) == [i * i for i in range(12)]
    assert len(js.connector._idle) <= 2


async def test_scripts_are_the_models_own(js):
    found = await failure(js.run({"script": "1", "data": {}}, OUT))
    assert (found.code, found.retries) == ("CONFIGURATION", 0)


@pytest.mark.parametrize(
    ("inputs", "headers", "words"),
    [
        ({"data": "= d"}, {"script": "d"}, ""),
        ({"script": "1"}, {}, "header"),
        ({}, {}, "script"),
        ({"timeoutInSeconds": "31"}, {"script": "1"}, "timeoutInSeconds"),
    ],
)
def test_findings(inputs, headers, words: str):
    found = said(inputs, headers, "flowledger:javascript")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found

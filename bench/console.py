"""How long people wait for the console, in a real browser: its first page and its lists where there is much, a step of the slider over a long history, a large diagram.

Two servers, one after the other, each a whole `flowledger dev`: one with an instance of 10,000 events and a process of 500 elements; and one over a database with
ROWS instances, tasks and incidents of `bench.queries` (nothing runs there): lists by HTTP as pages ask for them, and pages until they are of use. Needs Chromium and
Playwright; where there is none it says so and measures nothing.
Run: `flowledger bench console` (BENCH_ROWS=1000000; 100,000 unless it is said).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import psycopg

from flowledger.bench import previews, queries
from flowledger.bench.overload import _free, _ready
from flowledger.infra import postgres_server
from flowledger.projections.schema import SCHEMA
from flowledger.sdk import Flow

ROWS, ASKED, OPENED, STEPS, ELEMENTS, SEED = 100_000, 40, 7, 12, 500, 7
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
#: what pages ask for
LISTS: dict[str, Callable[[random.Random, int], dict[str, str]]] = {
    "instances": lambda r, n: {"limit": "100"},
    "instances?status": lambda r, n: {"limit": "100", "status": r.choice(["running", "failed", "completed"])},
    "instances?definition,status": lambda r, n: {"limit": "100", "definition": f"process-{r.randint(1, 200)}", "status": "running"},
    "instances?where": lambda r, n: {"limit": "100", "where": f'customer = "c{r.randint(0, 9_999)}" or run.status = "suspended"'},
    "instances?where (range)": lambda r, n: {"limit": "100", "where": f'amount > {9_000 + r.randint(0, 900)} and run.status = "running"'},
    "instances?text": lambda r, n: {"limit": "100", "text": f"c{r.randint(0, 9_999)}"},
    "instances?text (a key)": lambda r, n: {"limit": "100", "text": f"K{r.randint(1, n)}"},
    "tasks": lambda r, n: {"limit": "100", "open": "true"},
    "incidents": lambda r, n: {"limit": "100", "status": "open"},
}


@contextlib.contextmanager
def _served(folder: Path, postgres: str = "") -> Iterator[int]:
    port = _free()
    env = {**os.environ, "FLOWLEDGER_GRPC_PORT": str(_free())}
    command = [
        sys.executable,
        "-m",
        "flowledger",
        "dev",
        "--port",
        str(port),
        "--data",
        str(folder),
        *(["--postgres", postgres] if postgres else []),
    ]
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _ready(port, server)
        yield port
    finally:
        server.terminate()
        server.wait(60)


@contextlib.contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield chromium
        chromium.close()


def _figure(name: str, took: list[float], **more: Any) -> dict[str, Any]:
    took = sorted(took)
    p95 = took[min(len(took) - 1, int(len(took) * 0.95))]
    told = {
        "value": round(p95, 1),
        "unit": "ms p95",
        "p50": round(statistics.median(took), 1),
        "most": round(took[-1], 1),
        "asked": len(took),
    }
    return {"name": f"console.{name}", **told, **more}


def _pages(browser: Any, port: int, path: str, useful: str) -> list[float]:
    """Each time in a fresh profile, from the address to where it is of use; the first one, for which the server reads its files, is left out."""
    took = []
    for _ in range(OPENED + 1):
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en")
        page = context.new_page()
        began = time.perf_counter()
        page.goto(f"http://127.0.0.1:{port}{path}", wait_until="commit")
        page.locator(useful).first.wait_for(timeout=120_000)
        took.append((time.perf_counter() - began) * 1e3)
        context.close()
    return took[1:]


def _clicks(browser: Any, port: int, path: str, link: str, useful: str) -> list[float]:
    """From a page of the console that stands to where another is of use, by a click; each time in a fresh profile, the first one left out."""
    took = []
    for _ in range(OPENED + 1):
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en")
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}{path}", wait_until="load")
        at = page.get_by_role("link", name=link).first
        at.wait_for(timeout=120_000)
        page.wait_for_timeout(1000)  # it is read before it is clicked
        began = time.perf_counter()
        at.click()
        page.locator(useful).first.wait_for(timeout=120_000)
        took.append((time.perf_counter() - began) * 1e3)
        context.close()
    return took[1:]


def _asked(port: int, path: str, given: dict[str, str]) -> float:
    began = time.perf_counter()
    with urlopen(f"http://127.0.0.1:{port}/v1/{path.partition('?')[0]}?{urlencode(given)}", timeout=120) as answer:
        json.loads(answer.read())
    return (time.perf_counter() - began) * 1e3


def _much(rows: int) -> list[dict[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix="flowledger-bench-"))
    folder.chmod(0o755)
    try:
        dsn = postgres_server.start(folder / "rows")

        async def fill() -> None:
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
                await queries.fill(conn, {"": rows}, SCHEMA)

        asyncio.run(fill())
        dice, out = random.Random(SEED), []
        with _served(folder / "data", dsn) as port:
            for name, given in LISTS.items():
                _asked(port, name, given(dice, rows))
                out.append(_figure(f"list.{name}", [_asked(port, name, given(dice, rows)) for _ in range(ASKED)], rows=rows))
            with _browser() as browser:
                out.append(_figure("first_page", _pages(browser, port, "/", "main h2"), rows=rows))
                out.append(_figure("page.instances", _pages(browser, port, "/instances", "[role=row] a"), rows=rows))
        return out
    finally:
        postgres_server.stop(folder / "rows")
        shutil.rmtree(folder, ignore_errors=True)


def _large() -> str:
    """A process of so many elements, half of them flows: tasks in a row."""
    flow = Flow("large", "A large one").start()
    for n in range((ELEMENTS - 2) // 2):
        flow = flow.service(f"t{n}", job="work")
    return flow.end().xml().decode()


def _long() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with _served(folder) as port:
            key, _, places = previews._instance(port)
            previews._call(port, "POST", "/deployments", {"resources": [{"name": "large.bpmn", "content": _large()}]})
            with _browser() as browser:
                out = [_figure("diagram", _pages(browser, port, "/processes/large", ".fl-diagram[data-shown]"), elements=ELEMENTS)]
                clicked = _clicks(browser, port, "/processes", "A large one", ".fl-diagram[data-shown]")
                out.append(_figure("diagram.clicked", clicked, elements=ELEMENTS))
                page = browser.new_page(viewport={"width": 1440, "height": 1200})
                page.goto(f"http://127.0.0.1:{port}/instances/{key}")
                page.wait_for_function(
                    "n => Number(document.querySelector('[role=slider]')?.getAttribute('aria-valuemax')) >= n - 2",
                    arg=len(places),
                    timeout=300_000,
                )  # all of its history is there
                track = page.locator(".mantine-Slider-root").first
                track.scroll_into_view_if_needed()
                dice, took = random.Random(SEED), []
                for _ in range(STEPS):
                    box = track.bounding_box()
                    with page.expect_response(lambda r: "/state" in r.url and "at=" in r.url, timeout=60_000) as told:
                        began = time.perf_counter()
                        page.mouse.click(box["x"] + box["width"] * dice.uniform(0.02, 0.98), box["y"] + box["height"] / 2)
                    told.value.finished()
                    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
                    took.append((time.perf_counter() - began) * 1e3)
                out.append(_figure("slider_step", took, events=len(places)))
                return out


def run() -> list[dict[str, Any]]:
    if find_spec("playwright") is None or not any(map(shutil.which, BROWSERS)):
        return [
            {
                "name": "console",
                "value": 0,
                "unit": "figures",
                "why": f"expected Playwright and a browser on the path ({', '.join(BROWSERS)})",
            }
        ]
    return _long() + _much(int(os.environ.get("BENCH_ROWS", ROWS)))

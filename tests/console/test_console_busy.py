"""An instance in which much happens, watched: what is shown follows without asking for each event, and is right in the end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flowledger.sdk import Flow

from .conftest import Served

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]
ITEMS, HANDS, EVENTS_S = 400, 4, 200
#: on a machine that takes longer than this for it, nobody can say
MACHINE_S = 30.0
#: below so many pictures a second nobody calls it smooth, on however slow a machine
FRAMES_S = 5
#: times a second that a page may ask for the same while much happens, and what it asks when it opens and when all is over
ASKS_S, ASKS = 10, 30
#: counts what is drawn: a frame each, and the longest that one waited for the next
FRAMES = """() => { window.fl = { frames: 0, longest: 0, last: performance.now() };
  const on = (now) => { fl.frames++; fl.longest = Math.max(fl.longest, now - fl.last); fl.last = now; requestAnimationFrame(on) }; requestAnimationFrame(on) }"""


def test_the_open_diagram_follows_two_hundred_events_a_second(server: Served, open_page: Callable[..., Any]) -> None:
    name = f"busy{uuid.uuid4().hex[:6]}"
    flow = Flow(name).start().service("press", job=name).each("items").end().xml().decode()
    server.call("POST", "/v1/deployments", {"resources": [{"name": "busy.bpmn", "content": flow}]})
    key = server.start(name, "BUSY", items=list(range(ITEMS)))
    page = open_page(f"/instances/{key}")
    page.locator("[data-element-id=press].fl-active").first.wait_for()
    asked: list[str] = []
    page.on("request", lambda r: "/v1/" in r.url and "/v1/events?" not in r.url and asked.append(r.url))
    page.evaluate(FRAMES)

    def work(_: int) -> int:
        done = 0
        body = {"type": name, "worker": "robot", "max": 20, "timeout_ms": 60_000, "wait_ms": 200}
        while jobs := server.call("POST", "/v1/jobs/activate", body)["jobs"]:
            for job in jobs:
                server.call("POST", f"/v1/jobs/{job['key']}/complete", {"variables": {}, "fence": job["fence"]})
                done += 1
        return done

    before = time.monotonic()
    with ThreadPoolExecutor(HANDS) as hands:
        working = [hands.submit(work, n) for n in range(HANDS)]
        while not all(w.done() for w in working):
            page.wait_for_timeout(100)
    assert sum(w.result() for w in working) == ITEMS
    spent = time.monotonic() - before
    page.locator(".mantine-Badge-root", has_text="completed").first.wait_for()
    page.locator("[data-element-id=press].fl-done").first.wait_for()
    drawn, happened = page.evaluate("window.fl"), _events(server, key)
    assert happened >= EVENTS_S * spent or spent > MACHINE_S, f"{happened} events in {spent:.1f} s: too few to tell"
    assert len(asked) <= ASKS + ASKS_S * (spent + 2), asked
    assert drawn["frames"] > FRAMES_S * spent, (drawn, spent)


def _events(server: Served, key: str) -> int:
    n, after = 0, ""
    while True:
        page = server.call("GET", f"/v1/instances/{key}/events?limit=200{after}")
        n += len(page["items"])
        if not page["cursor"]:
            return n
        after = f"&cursor={page['cursor']}"

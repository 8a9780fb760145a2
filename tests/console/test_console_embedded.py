"""The console in a frame of another page, which says who looks by a token: no cookie, no password, and only where the server says so."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .conftest import ROOT
from .test_console_signin import PASSWORD, choose_password, person, serving

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-UI-009")]

HOST = """<!doctype html><title>portal</title><h1>Our portal</h1><iframe title="work" src="{url}/{path}" width="900" height="700"></iframe>
<script>
  window.asked = 0; window.places = []; window.token = "";
  addEventListener("message", (e) => {{
    if (e.origin !== "{url}") return;
    if (e.data.type === "flowledger:at") window.places.push(e.data.path);
    if (e.data.type !== "flowledger:token-wanted") return;
    window.asked += 1;
    if (window.token) e.source.postMessage({{ type: "flowledger:token", token: window.token }}, e.origin);
  }});
</script>"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[tuple[int, int, Path]]:
    """Two other web servers with the same pages, of another site than the console's (localhost beside 127.0.0.1)."""
    servers = [ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=str(tmp_path))) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield servers[0].server_address[1], servers[1].server_address[1], tmp_path
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_portal_shows_the_list_of_tasks(built: Path, browser: Any, portal: tuple[int, int, Path]) -> None:
    from playwright.sync_api import Error as PlaywrightError

    port, foreign, folder = portal
    with serving(FLOWLEDGER_AUTH="local", FLOWLEDGER_EMBED_ORIGINS=f"http://localhost:{port}") as (url, link):
        said: list[str] = []
        admin = person(browser, said)
        admin.goto(url + link)
        choose_password(admin)
        admin.get_by_role("button", name="You are admin").wait_for()
        ours = httpx2.Client(base_url=url, timeout=60)
        ours.headers["x-csrf-token"] = ours.post("/v1/session", json={"name": "admin", "password": PASSWORD}).json()["csrf"]

        def done(answer: Any) -> Any:
            assert answer.status_code < 300, answer.text
            return answer.json()

        def key() -> dict[str, Any]:
            return done(ours.post("/v1/api-keys", json={"name": "portal", "roles": ["administrator"]}))

        example = ROOT / "examples" / "document-approval.bpmn"
        files = [example, *sorted((ROOT / "examples" / "forms").glob("*.form"))]
        done(ours.post("/v1/deployments", json={"resources": [{"name": f.name, "content": f.read_text()} for f in files]}))
        done(ours.put("/v1/directory/users/admin", json={"groups": ["reviewers"]}))

        (folder / "index.html").write_text(HOST.format(url=url, path="tasks?view=all"))
        page = person(browser, said)
        page.goto(f"http://localhost:{port}/")
        frame = page.frame_locator("iframe")
        frame.get_by_text("Waiting for the page around to say who looks").wait_for()
        assert frame.get_by_label("Password").count() == 0, "nobody types a password in a frame"
        first = key()
        page.evaluate("t => { window.token = t }", first["key"])
        frame.get_by_role("heading", name="Tasks").wait_for()
        assert frame.get_by_role("navigation").count() == 0 and frame.get_by_role("link", name="Operations").count() == 0
        assert page.context.cookies() == [], "no cookie is used"

        # live, by the token, too
        started = {"definition": "document-approval", "variables": {"document": "the plan", "author": "ann"}}
        done(ours.post("/v1/instances", json=started))
        frame.get_by_text("Review").first.wait_for()
        frame.get_by_text("Review").first.click()
        page.wait_for_function("window.places.some(p => /^\\/tasks\\/\\d+/.test(p))")
        frame.get_by_role("button", name="Claim").click()
        frame.get_by_role("button", name="Release").wait_for()

        # a token that is over: asked for another, nothing lost
        asked = page.evaluate("window.asked")
        assert ours.delete(f"/v1/api-keys/{first['id']}").status_code < 300
        page.evaluate("window.token = ''")
        with contextlib.suppress(PlaywrightError):  # by a click, or by the page's own questions before it
            frame.get_by_role("button", name="Release").click(timeout=5_000)
        frame.get_by_text("Waiting for the page around to say who looks").wait_for()
        page.evaluate("t => { window.token = t }", key()["key"])
        frame.get_by_role("button", name="Release").click()
        frame.get_by_role("button", name="Claim").wait_for()
        assert page.evaluate("window.asked") > asked
        assert not [s for s in said if "401" not in s], said

        # and nowhere else
        refused: list[str] = []
        stranger = person(browser, refused)
        stranger.goto(f"http://localhost:{foreign}/")
        deadline = time.monotonic() + 60
        while not any("frame-ancestors" in text for text in refused):
            assert time.monotonic() < deadline, refused
            stranger.wait_for_timeout(100)
        assert stranger.evaluate("window.asked") == 0
        for each in (admin, page, stranger):
            each.context.close()

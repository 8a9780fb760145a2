"""The console with sign-in, in a real browser: the first administrator's link, somebody who signs in, works on a task and signs out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.signin.issuer import StubIssuer

from .conftest import ROOT, _free, ended
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-SEC-009")]
PASSWORD = "correct horse battery"


@contextmanager
def serving(**settings: str) -> Iterator[tuple[str, str]]:
    """(address, one-time link) of a server of our own with sign-in."""
    port, data = _free(), Path(tempfile.mkdtemp(prefix="flowledger-signin-"))
    data.chmod(0o755)
    env = {**os.environ, **settings}
    with (data / "server.log").open("wb") as log:
        command = [sys.executable, "-m", "flowledger", "serve", "--port", str(port), "--data", str(data / "data")]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=data)
    try:
        deadline = time.monotonic() + 120
        while not (found := re.search(r"(http://\S+)(/sign-in#\S+)", (data / "server.log").read_text())):
            assert time.monotonic() < deadline and process.poll() is None, (data / "server.log").read_text()[-3000:]
            time.sleep(0.2)
        yield found[1], found[2]
    finally:
        ended(process, data)


@pytest.fixture(scope="module")
def signed(built: Path) -> Iterator[tuple[str, str]]:
    with serving(FLOWLEDGER_AUTH="local") as found:
        yield found


def person(browser: Any, said: list[str]) -> Any:
    """A page of a browser profile of its own; what it says of errors (the policy of scripts among them) is kept."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en")
    context.set_default_timeout(45_000)
    page = context.new_page()
    page.on("console", lambda m: said.append(m.text) if m.type == "error" and "Failed to load resource" not in m.text else None)
    page.on("pageerror", lambda e: said.append(str(e)))
    return page


def choose_password(page: Any) -> None:
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password once more").fill(PASSWORD)
    page.get_by_role("button", name="Set it and sign in").click()


def test_sign_in_work_on_a_task_and_sign_out(signed: tuple[str, str], browser: Any) -> None:
    url, link = signed
    said: list[str] = []
    page = person(browser, said)
    page.goto(f"{url}/tasks")
    page.get_by_role("heading", name="Sign in").wait_for()  # whatever the address is
    page.goto(url + link)
    page.reload()  # the part behind # alone loads no page
    page.get_by_role("heading", name="Choose a password").wait_for()
    choose_password(page)
    page.get_by_role("button", name="You are admin").wait_for()
    cookie = page.context.cookies()[0]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and cookie["name"] == "flowledger_session"
    assert page.evaluate("document.cookie") == "", "scripts don't see it"
    ours = httpx2.Client(base_url=url, timeout=60, cookies={cookie["name"]: cookie["value"]})
    ours.headers["x-csrf-token"] = ours.get("/v1/me").json()["csrf"]

    def done(answer: Any) -> Any:
        assert answer.status_code < 300, answer.text
        return answer.json()

    files = [ROOT / "examples" / "document-approval.bpmn", *sorted((ROOT / "examples" / "forms").glob("*.form"))]
    done(ours.post("/v1/deployments", json={"resources": [{"name": f.name, "content": f.read_text()} for f in files]}))
    done(ours.put("/v1/directory/users/rita", json={"groups": ["reviewers"]}))
    started = done(
        ours.post("/v1/instances", json={"definition": "document-approval", "variables": {"document": "the plan", "author": "ann"}})
    )
    theirs = done(ours.post("/v1/users", json={"name": "rita", "roles": ["task-worker"]}))["link"]
    items: list[Any] = []
    deadline = time.monotonic() + 60
    while not items:
        assert time.monotonic() < deadline
        items = done(ours.get("/v1/tasks", params={"instance": started["id"], "open": "true", "type": "user_task"}))["items"]

    rita = person(browser, said)
    rita.goto(url + theirs)
    choose_password(rita)
    rita.get_by_role("button", name="You are rita").wait_for()
    assert rita.get_by_role("link", name="Operations").count() == 0, "what she may not see isn't offered"
    rita.goto(f"{url}/tasks/{items[0]['id']}")
    rita.get_by_role("button", name="Claim").click()
    rita.get_by_role("button", name="Release").wait_for()
    rita.get_by_label("reject").check()
    rita.get_by_label("Comment", exact=True).fill("too short")
    rita.get_by_role("button", name="Complete").click()
    rita.wait_for_url(re.compile(r"/tasks(\?|$)"))
    task = done(ours.get(f"/v1/tasks/{items[0]['id']}"))
    assert (task["status"], task["output"]["comment"]) == ("completed", "too short")
    assert {a["assignee"] for a in task["assignments"]} == {"rita"}

    rita.get_by_role("button", name="You are rita").click()
    rita.get_by_role("menuitem", name="Sign out", exact=True).click()
    rita.get_by_role("heading", name="Sign in").wait_for()
    assert rita.context.cookies() == []
    rita.get_by_label("Name").fill("rita")
    rita.get_by_label("Password", exact=True).fill("not her password")
    rita.get_by_role("button", name="Sign in").click()
    rita.get_by_text("Name and password don't fit").wait_for()
    rita.get_by_label("Password", exact=True).fill(PASSWORD)
    rita.get_by_role("button", name="Sign in").click()
    rita.get_by_role("button", name="You are rita").wait_for()
    done(ours.patch("/v1/users/rita", json={"active": False}))
    rita.get_by_role("link", name="Instances").click()
    rita.get_by_role("heading", name="Sign in").wait_for()  # who is out is shown the door, whatever was open
    for each in (page, rita):
        each.context.close()
    assert not said, f"the pages say: {said}"


@pytest.mark.req("D-SEC-002", "APG-SEC-002")
def test_an_administrator_lets_people_and_programs_in(signed: tuple[str, str], browser: Any) -> None:
    """After the test before: admin has chosen a password."""
    url, _ = signed
    said: list[str] = []
    page = person(browser, said)
    page.goto(f"{url}/operations?tab=users")
    page.get_by_role("textbox", name="Name").fill("admin")
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="New user").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name").fill("vera")
    dialog.get_by_role("combobox", name="Roles").click()
    page.get_by_role("option", name="viewer").click()
    dialog.get_by_text("within 24 hours").click()
    dialog.get_by_role("button", name="New user").click()
    link = page.get_by_role("textbox", name="Link for vera").input_value()
    page.get_by_role("button", name="I have it").click()
    row = page.get_by_role("row", name=re.compile("vera"))
    row.get_by_text("no password yet").wait_for()
    sound(page)

    vera = person(browser, said)
    vera.goto(link)
    choose_password(vera)
    vera.get_by_role("button", name="You are vera").wait_for()
    vera.goto(f"{url}/operations?tab=keys")
    vera.get_by_role("button", name="New API key").click()
    dialog = vera.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name").fill("nightly report")
    dialog.get_by_role("combobox", name="Roles").click()
    vera.get_by_role("option", name="viewer").click()
    dialog.get_by_text("never more than you").click()
    dialog.get_by_role("button", name="New API key").click()
    key = vera.get_by_role("textbox", name="API key nightly report").input_value()
    asked = {"authorization": f"Bearer {key}"}
    assert httpx2.get(f"{url}/v1/me", headers=asked, timeout=60).json()["name"] == "vera"
    vera.get_by_role("button", name="I have it").click()
    vera.get_by_role("button", name="Revoke nightly report").click()
    vera.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    vera.get_by_role("row", name=re.compile("nightly report")).get_by_text("revoked").wait_for()
    assert httpx2.get(f"{url}/v1/me", headers=asked, timeout=60).status_code == 401
    assert vera.get_by_role("tab", name="Users").count() == 0, "a viewer doesn't see accounts"

    page.get_by_role("button", name="Change vera").click()
    page.get_by_role("menuitem", name="Suspend").click()
    page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    row.get_by_text("suspended").wait_for()
    vera.goto(f"{url}/instances")
    vera.get_by_role("heading", name="Sign in").wait_for()
    assert not said, said
    page.context.close()
    vera.context.close()


@pytest.mark.req("D-SEC-001", "APG-SEC-001")
def test_somebody_signs_in_at_an_issuer_and_out_again(built: Path, browser: Any, tmp_path: Path) -> None:
    issuer = StubIssuer()
    issuer.clients["console"] = ""
    file = tmp_path / "issuers.toml"
    file.write_text(
        f'[[issuers]]\nname = "company"\ntitle = "Our company"\nissuer = "{issuer.url}"\naudiences = ["flowledger"]\nclient_id = "console"\n'
    )
    file.chmod(0o644)
    try:
        with serving(FLOWLEDGER_AUTH="oidc", FLOWLEDGER_OIDC_FILE=str(file)) as (url, _):
            said: list[str] = []
            page = person(browser, said)
            page.goto(f"{url}/instances?status=running")
            page.get_by_role("link", name="Sign in with Our company").click()
            page.get_by_role("heading", name="Issuer").wait_for()
            page.get_by_role("link", name="Continue").click()
            page.get_by_role("button", name="You are olga").wait_for()
            assert page.url == f"{url}/instances?status=running", "where one wanted to go"
            page.get_by_role("button", name="You are olga").click()
            page.get_by_role("menuitem", name="Sign out", exact=True).click()
            page.get_by_role("heading", name="Sign in").wait_for()
            assert "/logout" in issuer.asked, "there, too"
            page.goto(f"{url}/sign-in?failed=taken")
            page.get_by_role("alert").get_by_text("has that name already").wait_for()
            assert not said, said
            page.context.close()
    finally:
        issuer.close()

"""A session that ends while something is open takes nothing with it: what was typed is there after the next sign-in, and nobody else sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from .conftest import ROOT
from .test_console_accessible import looked_at
from .test_console_signin import PASSWORD, choose_password, person, serving

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-UI-002")]


@pytest.fixture(scope="module")
def signed(built: Any) -> Iterator[tuple[str, str]]:
    with serving(FLOWLEDGER_AUTH="local") as found:
        yield found


def client(url: str, page: Any) -> httpx2.Client:
    """With the session of a page."""
    cookie = page.context.cookies()[0]
    made = httpx2.Client(base_url=url, timeout=60, cookies={cookie["name"]: cookie["value"]})
    made.headers["x-csrf-token"] = made.get("/v1/me").json()["csrf"]
    return made


def end_sessions(url: str, page: Any) -> None:
    assert client(url, page).delete("/v1/session", params={"everywhere": "true"}).status_code == 200


def sign_in(page: Any, name: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=f"You are {name}").wait_for()


def test_what_is_open_outlives_the_session_and_nobody_else_sees_it(signed: tuple[str, str], browser: Any) -> None:
    url, link = signed
    said: list[str] = []
    page = person(browser, said)
    page.goto(url + link)
    choose_password(page)
    page.get_by_role("button", name="You are admin").wait_for()
    ours = client(url, page)
    files = [ROOT / "examples" / "document-approval.bpmn", *sorted((ROOT / "examples" / "forms").glob("*.form"))]
    assert ours.post("/v1/deployments", json={"resources": [{"name": f.name, "content": f.read_text()} for f in files]}).is_success
    started = ours.post("/v1/instances", json={"definition": "document-approval", "variables": {"document": "d", "author": "a"}}).json()
    theirs = ours.post("/v1/users", json={"name": "rita", "roles": ["author"]}).json()["link"]
    rita = person(browser, said)
    rita.goto(url + theirs)
    choose_password(rita)
    rita.get_by_role("button", name="You are rita").wait_for()
    rita.context.close()
    deadline = time.monotonic() + 60
    while not (tasks := ours.get("/v1/tasks", params={"instance": started["id"], "open": "true", "type": "user_task"}).json()["items"]):
        assert time.monotonic() < deadline
    page.goto(f"{url}/tasks/{tasks[0]['id']}")
    note = page.get_by_label("Write a comment")
    note.fill("half a thought")  # kept nowhere but in the page
    page.get_by_label("reject").check()

    end_sessions(url, page)
    page.get_by_role("button", name="Claim").click()
    page.get_by_text("Your session has ended.").wait_for()
    assert page.get_by_label("Name", exact=True).input_value() == "admin"
    assert page.evaluate("document.activeElement.type") == "password", "one types on at once"
    assert not note.is_visible() and page.get_by_role("main").count() == 1, "what was open isn't seen meanwhile"
    assert looked_at(page) == []
    page.get_by_label("Password", exact=True).fill("wrong of the same person")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Name and password don't fit").wait_for()
    sign_in(page, "admin")
    assert note.input_value() == "half a thought" and page.get_by_label("reject").is_checked()
    page.get_by_role("button", name="Claim").click()
    page.get_by_role("button", name="Release").wait_for()  # and it works again
    page.get_by_role("button", name="Comment", exact=False).or_(page.get_by_role("button", name="Add")).first.click()
    page.get_by_text("half a thought").first.wait_for()

    # a dialog that is open is behind the door, too
    page.goto(f"{url}/processes/document-approval")
    page.get_by_role("button", name="Start", exact=True).click()
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_label("Business key")
    field.fill("K-1")
    end_sessions(url, page)
    dialog.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("Your session has ended.").wait_for()
    assert not dialog.is_visible()
    sign_in(page, "admin")
    assert field.input_value() == "K-1"

    # another person begins anew
    end_sessions(url, page)
    dialog.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("Your session has ended.").wait_for()
    sign_in(page, "rita")
    page.get_by_role("heading", name="Document approval").wait_for()
    assert dialog.count() == 0
    page.context.close()
    assert not said, f"the pages say: {said}"

"""Tasks of people in a real browser: found, claimed, filled in, handed on, completed; by keyboard; on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
def task(server: Served) -> str:
    server.call("PUT", "/v1/directory/users/rita", {"groups": ["reviewers"]})
    server.call("PUT", "/v1/directory/users/rob", {"groups": ["reviewers"]})
    return server.task_of(server.start("document-approval", document="the plan", author="ann"))


@pytest.mark.req("APG-HUM-004", "D-HUM-001", "TES-HUM-001")
def test_a_task_is_claimed_filled_in_and_completed(server: Served, open_page: Callable[..., Any], task: str) -> None:
    page = open_page(f"/tasks/{task}?view=groups", actor="rita")
    page.get_by_role("button", name="Claim").click()
    page.get_by_role("button", name="Release").wait_for()
    assert server.call("GET", f"/v1/tasks/{task}")["assignee"] == "rita"
    assert page.get_by_label("Document").input_value() == "the plan"  # what the process knows stands in the form
    page.get_by_role("button", name="Complete").click()
    page.get_by_text("Field is required.").wait_for()  # the browser refuses first
    assert server.call("GET", f"/v1/tasks/{task}")["status"] == "assigned"
    page.get_by_label("reject").check()
    page.get_by_label("Comment", exact=True).fill("too short")
    page.get_by_role("button", name="Complete").click()
    page.wait_for_url(re.compile(r"/tasks\?view=groups"))  # back in the list as it was
    done = server.call("GET", f"/v1/tasks/{task}")
    assert (done["status"], done["output"]["decision"], done["output"]["comment"]) == ("completed", "reject", "too short")


@pytest.mark.req("TES-HUM-002")
def test_tasks_of_one_process_are_told_apart_and_found_by_what_they_are_about(server: Served, open_page: Callable[..., Any]) -> None:
    titles = ("Budget of the moon base", "Budget of the lighthouse", "Travel expenses")
    ours = [server.task_of(server.start("document-approval", document=title, author="ann")) for title in titles]
    page = open_page("/tasks?view=all")
    for title in titles:
        page.get_by_role("row", name=title).first.wait_for()
    about = page.get_by_role("textbox", name="About")
    about.fill("Budget of the l")
    about.press("Enter")
    page.get_by_role("row", name=titles[0]).first.wait_for(state="detached")
    page.get_by_role("row", name=titles[1]).first.get_by_role("link").click()
    page.wait_for_url(re.compile(rf"/tasks/{ours[1]}\?.*reference_starts="))
    page.get_by_text(titles[1], exact=True).first.wait_for()
    phone = open_page("/tasks?view=all", width=390, height=844)
    phone.get_by_text(titles[2]).first.wait_for()


def test_what_was_typed_is_not_lost(server: Served, open_page: Callable[..., Any], task: str) -> None:
    """By the tab in this browser, by the draft for all others."""
    page = open_page(f"/tasks/{task}", actor="rita")
    page.get_by_label("Comment", exact=True).fill("half a thought")
    page.wait_for_timeout(800)
    page.reload()
    page.get_by_text("Your unsent entries are back").wait_for()
    assert page.get_by_label("Comment", exact=True).input_value() == "half a thought"
    page.get_by_role("button", name="Save draft").click()
    page.get_by_text("The draft is kept by the server").wait_for()
    again = open_page(f"/tasks/{task}", actor="rob")
    again.get_by_label("Comment", exact=True).wait_for()
    assert again.get_by_label("Comment", exact=True).input_value() == "half a thought"


@pytest.mark.req("APG-HUM-001", "APG-HUM-003", "APG-HUM-005", "APG-HUM-007")
def test_a_task_is_handed_on_with_comments_and_recalled(server: Served, open_page: Callable[..., Any], task: str) -> None:
    server.call("POST", f"/v1/tasks/{task}/claim", {"assignee": "rita"}, actor="rita")
    page = open_page(f"/tasks/{task}?tab=history", actor="rita")
    other = open_page(f"/tasks/{task}", actor="rob")
    page.get_by_label("Write a comment").fill("please look")
    page.get_by_role("button", name="Add").click()
    other.get_by_text("please look").wait_for()  # the other sees it at once
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Delegate").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("button", name="Delegate").is_disabled()  # to whom?
    dialog.get_by_label("To whom").fill("rob")
    dialog.get_by_label("Reason").fill("you know more")
    dialog.get_by_role("button", name="Delegate").click()
    page.get_by_text("rob holds this task").wait_for()
    page.get_by_role("tabpanel").get_by_text("you know more").wait_for()  # the dialog may be there for a moment longer
    page.get_by_role("button", name="Complete").click()
    page.get_by_label("approve").check()
    page.get_by_role("button", name="Complete").click()
    page.get_by_role("alert").get_by_text("Not allowed").wait_for()  # the server's word, in place; nothing typed is lost
    assert page.get_by_label("approve").is_checked()
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Recall").click()
    page.get_by_role("dialog").get_by_role("button", name="Recall").click()
    page.get_by_role("button", name="Release").wait_for()
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Escalate").click()
    dialog.get_by_label("To whom").fill("rob")
    dialog.get_by_role("button", name="Escalate").click()
    page.get_by_text("rob holds this task").wait_for()


def test_mine_my_groups_all_in_the_address(server: Served, open_page: Callable[..., Any], task: str) -> None:
    page = open_page("/tasks", actor="gina")  # nobody's name in the directory
    page.get_by_text("Nothing is assigned to you").wait_for()
    page.get_by_role("button", name="Look at my groups").click()
    page.get_by_text("The directory does not know gina").wait_for()
    page = open_page("/tasks?view=groups", actor="rob")
    page.get_by_role("row").get_by_text("Review document").first.wait_for()
    server.call("POST", f"/v1/tasks/{task}/claim", {"assignee": "rob"}, actor="rob")
    page.get_by_text("Mine", exact=True).click()
    page.locator(f"a[href*='/tasks/{task}']").wait_for()
    assert "view=mine" in page.url
    page.get_by_label("overdue").check(force=True)
    page.get_by_text("Nothing matches the filter").wait_for()
    page.get_by_role("button", name="Clear the filter").first.click()
    page.locator(f"a[href*='/tasks/{task}']").wait_for()
    nobody = open_page("/tasks?view=mine")
    nobody.get_by_text("Say who you are first").wait_for()
    nobody.get_by_role("main").get_by_role("button", name="Change name").click()
    nobody.get_by_role("textbox").last.fill("rob")
    nobody.get_by_role("button", name="Save").click()
    nobody.locator(f"a[href*='/tasks/{task}']").wait_for()


def test_a_task_by_keyboard_alone(server: Served, open_page: Callable[..., Any], task: str) -> None:
    server.call("POST", f"/v1/tasks/{task}/claim", {"assignee": "kim"}, actor="kim")
    page = open_page("/tasks?view=mine", actor="kim")
    page.get_by_role("row").nth(1).wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.dataset.row === '0'"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"/tasks/{task}"))
    page.get_by_label("approve").wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.type === 'radio'"):
            break
    page.keyboard.press("Space")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile(r"/tasks\?view=mine"))
    assert server.call("GET", f"/v1/tasks/{task}")["output"]["decision"] == "approve"


def test_a_task_without_a_form_is_answered_as_json(server: Served, open_page: Callable[..., Any]) -> None:
    made = server.call("POST", "/v1/tasks", {"name": "Call back", "details": {"assignee": "jo"}, "priority": "critical"})["task"]
    page = open_page(f"/tasks/{made}", actor="jo", width=390)
    box = page.get_by_label("Result (JSON)")
    box.fill("[1]")
    page.get_by_role("button", name="Complete").click()
    page.get_by_text("Expected a JSON object").wait_for()
    box.fill('{"reached": true}')
    page.get_by_role("button", name="Complete").click()
    page.wait_for_url(re.compile(r"/tasks(\?|$)"))
    assert server.call("GET", f"/v1/tasks/{made}")["output"] == {"reached": True}


@pytest.mark.req("APG-HUM-005", "APG-CON-009")
def test_a_file_is_attached_had_and_detached(server: Served, open_page: Callable[..., Any], task: str, tmp_path: Any) -> None:
    file, data = tmp_path / "the plan <1>.pdf", bytes(range(256)) * 800
    file.write_bytes(data)
    page = open_page(f"/tasks/{task}", actor="rita")
    other = open_page(f"/tasks/{task}", actor="rob")
    other.get_by_text("No files yet.").wait_for()
    page.get_by_label("Attach a file").last.set_input_files(str(file))
    page.get_by_text("205 KB · rita").wait_for()
    with other.expect_download() as begun:  # the other sees it at once, and has it by a click
        other.get_by_role("link", name="the plan <1>.pdf").click()
    assert begun.value.suggested_filename.startswith("the plan ") and open(begun.value.path(), "rb").read() == data
    page.get_by_role("button", name="Detach the plan <1>.pdf").click()
    other.get_by_text("No files yet.").wait_for()
    # what is refused is said
    file.write_bytes(b"")
    server.call("POST", f"/v1/tasks/{task}/cancel", {})
    page.get_by_role("button", name="Attach a file").wait_for(state="detached")

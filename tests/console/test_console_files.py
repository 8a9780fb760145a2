"""Files at the page of an instance, in a real browser: attached, seen by others at once, had, detached, and as they were in the past."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served, until
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-CON-009", "APG-UI-002")]


def test_a_file_of_an_instance_is_attached_had_and_detached(server: Served, open_page: Callable[..., Any], tmp_path: Any) -> None:
    key = server.start("order", "FILES", order={"id": "FILES", "items": [], "amount": 5})
    server.task_of(key)
    file, data = tmp_path / "the scan <1>.pdf", bytes(range(256)) * 800
    file.write_bytes(data)
    page = open_page(f"/instances/{key}?tab=files", actor="olga")
    other = open_page(f"/instances/{key}?tab=files", actor="rob", width=390, dark=True, language="de")
    other.get_by_text("Noch keine Dateien.").wait_for()
    sound(other)
    page.get_by_label("Attach a file").last.set_input_files(str(file))
    page.get_by_text("205 KB · olga").wait_for()
    sound(page)
    with other.expect_download() as begun:  # the other sees it at once, and has it by a click
        other.get_by_role("link", name="the scan <1>.pdf").click()
    assert begun.value.suggested_filename.startswith("the scan ") and open(begun.value.path(), "rb").read() == data
    page.get_by_role("button", name="Detach the scan <1>.pdf").click()
    other.get_by_text("Noch keine Dateien.").wait_for()

    # in the past it is told as it was, and nothing is attached there
    events = server.call("GET", f"/v1/instances/{key}/events?limit=200")["items"]
    attached, detached = [e["id"] for e in events if e["type"] == "workflow.files_changed"]
    page.goto(f"{server.url}/instances/{key}?tab=files&at={attached}")
    page.get_by_role("listitem").filter(has_text="the scan <1>.pdf").wait_for()
    assert page.get_by_role("button", name="Attach a file").count() == 0
    sound(page)
    # after the end it keeps what it has, and nothing is attached any more
    page.goto(f"{server.url}/instances/{key}?tab=files")
    page.get_by_label("Attach a file").last.set_input_files(str(file))
    page.get_by_role("link", name="the scan <1>.pdf").wait_for()
    server.call("POST", f"/v1/instances/{key}/cancel", {})
    page.get_by_role("button", name="Attach a file").wait_for(state="detached")
    page.get_by_role("link", name=re.compile("the scan")).wait_for()
    assert page.get_by_role("button", name=re.compile("Detach")).count() == 0
    assert detached and until(lambda: server.call("GET", f"/v1/instances/{key}/files")["items"])

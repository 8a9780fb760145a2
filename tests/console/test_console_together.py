"""Two people at one draft, in two browsers: each sees where the other is, and hears at once that the other has saved."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import ROOT, Served, until
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]


def test_two_see_where_each_other_is(server: Served, open_page: Callable[..., Any]) -> None:
    content = (ROOT / "examples" / "order.bpmn").read_text()
    draft = server.call("POST", "/v1/drafts", {"name": f"Together {uuid.uuid4().hex[:6]}", "kind": "process", "content": content})["id"]
    rita, olga = (open_page(f"/designer/{draft}", actor=name) for name in ("rita", "olga"))
    for page, other in ((rita, "olga"), (olga, "rita")):
        page.locator(".djs-palette.open").wait_for()
        page.get_by_role("group", name="Who else is here").get_by_text(other).wait_for()
    # a selection has the other's frame, in the same colour as their name
    rita.locator("[data-element-id=check]").first.click()
    frame = olga.locator(".fl-person-frame[data-person=rita]")
    frame.wait_for()
    name = olga.get_by_role("group", name="Who else is here").get_by_role("button", name="rita")
    assert frame.evaluate("(e) => getComputedStyle(e).borderTopColor") == name.evaluate("(e) => getComputedStyle(e).backgroundColor")
    # the cursor stands over the same element, whatever either of them has zoomed to
    olga.mouse.move(700, 500)
    spot = rita.locator("[data-element-id=ship] .djs-hit").first.bounding_box()
    rita.mouse.move(spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2)
    cursor = olga.locator(".fl-person[data-person=rita]")
    cursor.wait_for()

    def over() -> bool:
        at, shape = cursor.bounding_box(), olga.locator("[data-element-id=ship] .djs-hit").first.bounding_box()
        return bool(at and shape["x"] <= at["x"] <= shape["x"] + shape["width"] and shape["y"] <= at["y"] <= shape["y"] + shape["height"])

    until(over)
    olga.get_by_role("button", name="Show all").click()
    until(over)
    # on dark ground the drawing is made anew, and shows them again
    olga.emulate_media(color_scheme="dark")
    olga.locator("[data-mantine-color-scheme=dark]").wait_for()
    olga.locator(".djs-palette.open").wait_for()
    olga.locator(".fl-person[data-person=rita]").wait_for()
    until(over)
    # what one draws the other has at once, and hears that it was saved
    rita.locator("[data-element-id=ship] .djs-hit").first.click()
    rita.keyboard.press("Delete")
    olga.locator("[data-element-id=ship]").first.wait_for(state="detached")
    olga.get_by_text("v1 · not saved").wait_for()
    rita.get_by_role("button", name="Save", exact=True).click()
    olga.get_by_text("v2 · saved").wait_for()
    sound(olga)
    # who goes is gone, with all that was shown of them
    rita.goto(f"{server.url}/designer")
    cursor.wait_for(state="detached")
    frame.wait_for(state="detached")
    olga.get_by_role("group", name="Who else is here").wait_for(state="detached")
    kept = server.call("GET", f"/v1/drafts/{draft}")
    assert "rita" not in json.dumps(server.call("GET", f"/v1/drafts/{draft}/comments")) and kept["newest"] == 2
    assert "Ship" not in kept["content"]

"""Instances found by groups of conditions and by a text, in a real browser; the address and saved views keep the search."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .conftest import Served

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def where(page: Any) -> str:
    return parse_qs(urlsplit(page.url).query).get("where", [""])[0]


def row(page: Any, n: int, path: str, value: str, operator: str = "") -> None:
    page.get_by_label("Variable", exact=True).nth(n).fill(path)
    if operator:
        page.get_by_label("Comparison").nth(n).click()
        page.get_by_role("option", name=operator, exact=True).click()
    page.get_by_label("Value", exact=True).nth(n).fill(value)
    page.get_by_label("Value", exact=True).nth(n).press("Enter")


@pytest.mark.req("APG-UI-002")
def test_groups_of_conditions_are_built_kept_and_opened_again(server: Served, open_page: Callable[..., Any]) -> None:
    mark = uuid.uuid4().hex[:6]
    for name, amount, tier in (("dear", 900, "none"), ("gold", 5, "gold"), ("poor", 5, "none")):
        order = {"id": name, "items": [{"sku": mark}], "amount": amount}
        server.start("order", f"{mark}-{name}", order=order, customer={"tier": tier, "mark": mark})
    page = open_page("/instances", actor=f"ann{mark}")
    row(page, 0, "customer.mark", mark)
    page.get_by_role("button", name="and", exact=True).first.click()
    row(page, 1, "order.amount", "100", ">")
    page.get_by_text(f"{mark}-dear").wait_for()
    page.get_by_text(f"{mark}-gold").wait_for(state="detached")
    page.get_by_role("button", name="or", exact=True).click()
    row(page, 2, "customer.tier", "gold, silver", "is one of")
    page.get_by_text(f"{mark}-gold").wait_for()
    assert page.get_by_text(f"{mark}-poor").count() == 0 and page.get_by_text(f"{mark}-dear").count() == 1
    assert where(page) == f'customer.mark = "{mark}" and order.amount > 100 or customer.tier in ["gold", "silver"]'

    page.get_by_role("button", name="Views", exact=True).click()
    page.get_by_role("menuitem", name="Save as a view").click()
    page.get_by_role("dialog").get_by_label("Name").fill(f"Dear or gold {mark}")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    page.get_by_role("button", name=f"Dear or gold {mark}").wait_for()
    again = open_page("/instances", actor=f"ann{mark}", width=390, dark=True)
    again.get_by_role("button", name="Views", exact=True).click()
    again.get_by_role("menuitem", name=f"Dear or gold {mark}", exact=True).click()
    again.get_by_text(f"{mark}-gold").first.wait_for()
    assert again.get_by_role("group", name=re.compile("^Group ")).count() == 2
    assert again.get_by_label("Value", exact=True).nth(2).input_value() == "gold, silver"
    again.get_by_role("button", name="Drop the condition on customer.tier").click()
    again.get_by_text(f"{mark}-gold").wait_for(state="detached")
    again.get_by_text(f"{mark}-dear").first.wait_for()

    # what is found is what a batch is over
    page.get_by_role("button", name="Suspend", exact=True).click()
    page.get_by_role("dialog").get_by_text(re.compile(r"\d+ in all")).wait_for()


def test_a_search_as_text_says_what_is_wrong_and_a_word_is_found(server: Served, open_page: Callable[..., Any]) -> None:
    mark = uuid.uuid4().hex[:6]
    server.start("order", f"K{mark}", order={"id": "x", "items": [], "amount": 5}, who=f"w{mark}")
    page = open_page("/instances")
    page.get_by_role("button", name="as text").click()
    text = page.get_by_label("Conditions as FEEL")
    text.fill('run.status = "odd" or (who')
    text.press("Enter")
    page.get_by_role("alert").get_by_text("expected FEEL").first.wait_for()
    assert page.get_by_role("button", name="as rows").is_disabled()
    text.fill(f'run.status = "running" and (who = "w{mark}" or who = "nobody")')
    text.press("Enter")
    page.get_by_text(f"K{mark}").wait_for()
    page.get_by_role("button", name="Clear the filter").click()
    search = page.get_by_label("Search", exact=True)
    search.fill(f"w{mark}")
    search.press("Enter")
    page.get_by_text(f"K{mark}").wait_for()
    assert f"text=w{mark}" in page.url
    search.fill(f"K{mark[:4]}")
    search.press("Enter")
    page.get_by_text(f"K{mark}").wait_for()

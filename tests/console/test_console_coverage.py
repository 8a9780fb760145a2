"""A decision's rules with how often each fired, in a real browser: in the table itself, in a list, by time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served, until
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-ELM-002", "APG-UI-002")]


def test_rules_that_fired_are_marked_in_the_table_and_those_that_never_did(server: Served, open_page: Callable[..., Any]) -> None:
    def coverage() -> Any:
        return server.call("GET", "/v1/decisions/approval-level/coverage")

    before = coverage()["evaluations"]
    server.decided()
    told = until(lambda: (c := coverage())["evaluations"] > before and c)
    [table] = told["tables"]
    [director] = [r["index"] for r in table["rules"] if r["id"] == "large_or_risky"]
    page = open_page("/decisions/approval-level?tab=coverage")
    page.locator(f'.fl-dmn td[data-fired="{table["rules"][director - 1]["fired"]}×"]').first.wait_for()
    assert page.locator(".fl-dmn tr.fl-never").count() == told["never"] > 0
    page.get_by_text(re.compile(rf"{told['never']} of {told['rules']} rules never fired")).wait_for()
    rows = page.get_by_role("row").filter(has_text="never")
    rows.first.wait_for()
    sound(page)
    # what happens is counted as it happens
    server.decided()
    page.locator(f'.fl-dmn td[data-fired="{table["rules"][director - 1]["fired"] + 1}×"]').first.wait_for()
    page.get_by_text("24 hours").click()
    page.wait_for_url(re.compile("span=day"))
    page.get_by_text(re.compile("rules never fired")).wait_for()
    # elsewhere the table is as it was
    page.get_by_role("tab", name="Try it").click()
    page.locator(".fl-dmn td[data-fired]").first.wait_for(state="detached")
    assert page.locator(".fl-dmn tr.fl-never").count() == 0


def test_a_version_that_nobody_asked_says_so(server: Served, open_page: Callable[..., Any]) -> None:
    model = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" name="q" namespace="urn:q" id="q"><decision id="unasked" name="Unasked">
<variable name="Unasked"/><decisionTable id="t" hitPolicy="FIRST"><input id="i"><inputExpression id="ie"><text>a</text></inputExpression></input><output id="o"/>
<rule id="r"><inputEntry id="rie"><text>1</text></inputEntry><outputEntry id="roe"><text>2</text></outputEntry></rule></decisionTable></decision></definitions>"""
    server.call("POST", "/v1/deployments", {"resources": [{"name": "unasked.dmn", "content": model}]})
    until(lambda: server.call("GET", "/v1/definitions?definition_id=unasked")["items"])
    page = open_page("/decisions/unasked?tab=coverage", width=390, dark=True, language="de")
    page.get_by_text("Keine Instanz hat Version 1 in dieser Zeit gefragt.").wait_for()
    assert page.get_by_text("Alle Versionen zusammen").count() == 0, "there is one"
    server.call("POST", "/v1/deployments", {"resources": [{"name": "unasked.dmn", "content": model.replace(">2<", ">3<")}]})
    until(lambda: len(server.call("GET", "/v1/definitions?definition_id=unasked&kind=decision")["items"]) == 2)
    page.reload()
    page.get_by_role("switch", name="Alle Versionen zusammen").check()
    page.wait_for_url(re.compile("together=1"))
    page.get_by_text("Keine Instanz hat Version 2 in dieser Zeit gefragt.").wait_for()
    sound(page)
    assert page.locator(".fl-dmn tr.fl-never").count() == 0, "of nothing there is nothing to mark"

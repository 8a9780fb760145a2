"""An instance on a phone, why a person has its task by the names of people, and how fresh pages are that nobody tells of news, in a real browser."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import ROOT, Served, until
from .test_console_accessible import accessible

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" xmlns:flowledger="urn:flowledger:bpmn:1"
  targetNamespace="u" id="d{mark}"><process id="chosen{mark}" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
  <userTask id="t" name="Translate">
  <extensionElements><zeebe:userTask/><flowledger:task strategy="skill" groups="readers{mark}" skills="english"/></extensionElements></userTask>
  <sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""


@pytest.fixture(scope="module")
def chosen(server: Served) -> str:
    """An instance whose task one of three has."""
    mark = uuid.uuid4().hex[:6]
    for name, level in (("ann", 3), ("bob", 1), ("cy", 0)):
        given = {"groups": [f"readers{mark}"], "capabilities": {"english": level} if level else {}}
        server.call("PUT", f"/v1/directory/users/{name}{mark}", given)
    server.call("POST", "/v1/deployments", {"resources": [{"name": "chosen.bpmn", "content": MODEL.format(mark=mark)}]})
    said = {
        "customer": {"name": "Ada", "city": "London"},
        "amount": 1200.5,
        "a_rather_long_variable_name": "a rather long text that goes on a little",
    }
    key = server.start(f"chosen{mark}", f"N{mark}", **said)

    def shown() -> bool:
        try:
            return bool(server.call("GET", f"/v1/tasks?instance={key}&open=true")["items"])
        except AssertionError as e:  # a server that has just begun makes its projections first
            assert ": 503 " in str(e)
            return False

    until(shown)
    return key


@pytest.mark.req("APG-UI-010")
def test_on_a_phone_the_parts_of_an_instance_are_one_choice(chosen: str, open_page: Callable[..., Any]) -> None:
    page = open_page(f"/instances/{chosen}?tab=variables", width=320, actor="ann")
    page.get_by_text("a rather long text").wait_for()
    page.get_by_text("elsewhere", exact=True).first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.get_by_role("tab").count() == 0
    part = page.get_by_label("Which part")
    assert part.locator("option").count() == 11
    part.select_option("history")
    page.wait_for_url("**/instances/*?tab=history")
    page.get_by_text("Task assigned").locator("visible=true").first.wait_for()
    accessible(page)


@pytest.mark.req("APG-UI-002")
def test_why_names_who_had_it_who_stood_behind_and_who_was_left_out(chosen: str, open_page: Callable[..., Any]) -> None:
    page = open_page(f"/instances/{chosen}?tab=why", actor="ann")
    page.get_by_text(re.compile(r"ann\w+: has the highest skill: 3 over english")).wait_for()
    page.get_by_text(re.compile(r"bob\w+ could have had it, too: skill 1, 0 open tasks")).wait_for()
    page.get_by_text(re.compile(r"cy\w+ was left out: lacks the capability english")).wait_for()
    panel = page.get_by_role("tabpanel")
    panel.get_by_text("Translate", exact=True).wait_for()
    assert panel.get_by_text("t", exact=True).count() == 0, "by its name, not its id"
    accessible(page)


@pytest.mark.parametrize("path", ["/designer", "/api"])
def test_a_page_that_nobody_tells_of_news_says_when_it_asked(open_page: Callable[..., Any], path: str) -> None:
    page = open_page(path)
    page.get_by_role("banner").get_by_text(re.compile(r"^as of \d")).wait_for()
    page.get_by_role("link", name="Instances").click()
    page.get_by_role("banner").get_by_text("live").wait_for()
    page.get_by_role("link", name="Designer").click()
    page.get_by_role("banner").get_by_text(re.compile(r"^as of \d")).wait_for()


@pytest.mark.parametrize("path", ["/processes", "/decisions", "/designer", "/instances/{stuck}?tab=history"])
def test_on_a_tablet_lists_fit(server: Served, open_page: Callable[..., Any], path: str) -> None:
    """820 px: pages lie behind the menu's button, so that columns have the whole width."""
    server.call("POST", "/v1/drafts", {"name": "Fits", "content": (ROOT / "examples" / "order.bpmn").read_text()}, actor="rita")
    page = open_page(path.format(stuck=server.stuck()), width=820, height=1180)
    page.get_by_role("main").get_by_role("row").nth(1).wait_for()
    wide = """() => [...document.querySelectorAll('main [role=table], main [role=grid], main .fl-rows, main [role=rowgroup]')]
        .flatMap((e) => [e, e.parentElement]).filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.className)"""
    assert page.evaluate(wide) == []
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("navigation").get_by_role("link", name="Tasks").click()
    page.get_by_role("heading", name="Tasks", level=1).wait_for()

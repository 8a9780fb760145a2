"""What runs is changed on the drawing, in a real browser: tokens moved, a step run again, rolled back, another version; each is seen before it is done."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from flowledger.kernel.model import layout

from .conftest import Served
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-ENG-002", "WSM-ENG-003")]
ORDER = Path(__file__).resolve().parents[2] / "examples" / "order.bpmn"
NEEDS_TWO = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="needs-two" isExecutable="true"><startEvent id="s"/><parallelGateway id="f"/><endEvent id="e"/>{}
<sequenceFlow id="1" sourceRef="s" targetRef="f"/><sequenceFlow id="2" sourceRef="f" targetRef="a"/><sequenceFlow id="3" sourceRef="f" targetRef="b"/>
<sequenceFlow id="4" sourceRef="a" targetRef="q"/><sequenceFlow id="5" sourceRef="b" targetRef="q"/><sequenceFlow id="6" sourceRef="q" targetRef="e"/>
</process></definitions>""".format(
    "".join(
        f'<serviceTask id="{id}"{more}><extensionElements><zeebe:taskDefinition type="needs-two.{id}"/></extensionElements></serviceTask>'
        for id, more in (("a", ""), ("b", ""), ("q", ' startQuantity="2"'))
    )
)


def waits_at(server: Served, instance: str) -> list[str]:
    return sorted(t["element"] for t in server.call("GET", f"/v1/instances/{instance}/state")["tokens"])


def clicked(page: Any, element: str) -> None:
    """An element of the drawing."""
    page.locator(f'.fl-diagram g[data-element-id="{element}"] .djs-hit').first.click(force=True)


def act(page: Any, name: str) -> None:
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name=name).click()


def opened(open_page: Callable[..., Any], instance: str, **how: Any) -> Any:
    page = open_page(f"/instances/{instance}", actor="olga", **how)
    page.locator(".fl-diagram[data-shown]").wait_for()
    return page


def test_tokens_are_moved_on_the_drawing_and_the_way_back(server: Served, open_page: Callable[..., Any]) -> None:
    key = server.start("order", "MOVED", order={"id": "MOVED", "items": [], "amount": 5})
    server.task_of(key)
    page = opened(open_page, key)
    act(page, "Move tokens")
    panel = page.get_by_role("region", name="Change what runs")
    clicked(page, "check")
    panel.get_by_role("button", name="Move to").click()
    panel.get_by_text("Where to from Check order?").wait_for()
    clicked(page, "approve")
    panel.get_by_text("Move from Check order to Approve large order").wait_for()
    panel.get_by_text("Withdrawn:").wait_for()
    panel.get_by_text(re.compile(r"Then it stands at:.*[Aa]pprove.* \(.*task", re.S)).wait_for()
    page.locator('.fl-diagram g[data-element-id="approve"].fl-added').wait_for()
    page.locator('.fl-diagram g[data-element-id="check"].fl-gone').wait_for()
    assert waits_at(server, key) == ["check"], "nothing has happened yet"
    panel.get_by_role("button", name="Variables", exact=True).click()
    panel.get_by_label("Variables for approve").fill('{"note": "by hand"}')
    panel.get_by_role("button", name="Take them").click()
    sound(page)
    panel.get_by_label("Reason").fill("the check is down")
    panel.get_by_role("button", name="Apply 1 step").click()
    panel.wait_for(state="detached")
    page.locator('.fl-diagram g[data-element-id="approve"].fl-active').wait_for()
    state = server.call("GET", f"/v1/instances/{key}/state")
    assert [(t["element"], t["variables"]["note"]) for t in state["tokens"]] == [("approve", "by hand")]

    act(page, "Roll back")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Before the last change").click()
    dialog.get_by_text("Then it stands at:").wait_for()
    sound(page)
    dialog.get_by_role("button", name="Roll back").click()
    dialog.wait_for(state="detached")
    page.locator('.fl-diagram g[data-element-id="check"].fl-active').wait_for()
    assert waits_at(server, key) == ["check"]


def test_what_would_be_stuck_is_refused_unless_forced(server: Served, open_page: Callable[..., Any]) -> None:
    """By the list and the keyboard alone: it has what the drawing has."""
    drawn = etree.tostring(layout.add(etree.fromstring(NEEDS_TWO)), encoding="unicode")
    server.call("POST", "/v1/deployments", {"resources": [{"name": "needs-two.bpmn", "content": drawn}]})
    key = server.start("needs-two")
    server.work("needs-two.a", instance=key)
    page = opened(open_page, key)
    act(page, "Move tokens")
    panel = page.get_by_role("region", name="Change what runs")
    chosen = panel.get_by_role("combobox", name="Element")
    chosen.fill("b")
    chosen.press("ArrowDown")
    chosen.press("Enter")
    panel.get_by_role("button", name="Withdraw", exact=True).press("Enter")
    panel.get_by_role("alert").get_by_text("no other can come").wait_for()
    apply = panel.get_by_role("button", name="Apply 1 step")
    assert apply.is_disabled()
    sound(page)
    panel.get_by_label("Do it all the same").press("Space")
    panel.get_by_text("Know before you do it").wait_for()
    apply.press("Enter")
    panel.wait_for(state="detached")
    assert waits_at(server, key) == ["q"]
    server.call("POST", f"/v1/instances/{key}/cancel", {"reason": "stuck on purpose: the watchdog would tell of it"})


def test_a_step_is_run_again(server: Served, open_page: Callable[..., Any]) -> None:
    key = server.start("order", "AGAIN", order={"id": "AGAIN", "items": []}, amount=5)
    server.work("order.check", {"checked": True}, instance=key)
    server.task_of(key)
    page = opened(open_page, key)
    clicked(page, "check")
    act(page, "Run again")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text(re.compile(r"Then it stands at:.*[Cc]heck", re.S)).wait_for()
    sound(page)
    dialog.get_by_role("button", name="Run again").click()
    dialog.wait_for(state="detached")
    page.locator('.fl-diagram g[data-element-id="check"].fl-active').wait_for()
    assert waits_at(server, key) == ["check"]


def test_another_version_is_chosen_with_what_becomes_what(server: Served, open_page: Callable[..., Any]) -> None:
    text = ORDER.read_text().replace('id="order"', 'id="moved-on"').replace('bpmnElement="order"', 'bpmnElement="moved-on"')
    for model in (text, text.replace('"check"', '"verify"').replace(">check<", ">verify<")):
        server.call("POST", "/v1/deployments", {"resources": [{"name": "moved-on.bpmn", "content": model}]})
    begun = server.call(
        "POST", "/v1/instances", {"definition": "moved-on", "version": 1, "variables": {"order": {"id": "1", "items": [], "amount": 5}}}
    )
    server.task_of(begun["id"])
    page = opened(open_page, begun["id"])
    act(page, "Another version")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="What becomes of check").wait_for()
    dialog.get_by_text(re.compile(r"Then it stands at:.*[Vv]erify", re.S)).wait_for()
    sound(page)
    dialog.get_by_role("button", name="Another version").click()
    dialog.wait_for(state="detached")
    page.get_by_role("link", name="moved-on v2").wait_for()
    assert waits_at(server, begun["id"]) == ["verify"]

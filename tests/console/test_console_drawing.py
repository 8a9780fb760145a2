"""Two people draw in one diagram, in two browsers: each sees what the other draws, both changes of one element stay, each undoes their own, and nothing is
lost when the server goes away in between."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, Served, _free, ended, until
from .test_console_designer import append, tab

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(600)]


class Restarted(Served):
    """A server of its own, that can go down and come back with the same address and data."""

    def __init__(self) -> None:
        self.port, data = _free(), Path(tempfile.mkdtemp(prefix="flowledger-drawing-"))
        data.chmod(0o755)
        super().__init__(f"http://127.0.0.1:{self.port}", data)
        self.env = {**os.environ, "FLOWLEDGER_GRPC_PORT": str(_free())}
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def served(cls) -> Iterator[Restarted]:
        made = cls()
        try:
            made.up()
            yield made
        finally:
            made.end()

    def up(self) -> None:
        command = [sys.executable, "-m", "flowledger", "dev", "--port", str(self.port), "--data", str(self.data)]
        with (self.data / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.env, cwd=self.data)
        deadline = time.monotonic() + 300
        while True:
            try:
                self.call("GET", "/health/ready")
                return
            except (OSError, AssertionError):
                assert time.monotonic() < deadline and self.process.poll() is None, (self.data / "server.log").read_text()[-3000:]
                time.sleep(0.2)

    def down(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            ended(self.process, self.data)
        shutil.rmtree(self.data, ignore_errors=True)


@pytest.fixture(scope="module")
def server(built: Path) -> Iterator[Restarted]:
    with Restarted.served() as found:
        yield found


def opened(server: Served, open_page: Callable[..., Any], *names: str) -> tuple[str, list[Any]]:
    content = (ROOT / "examples" / "order.bpmn").read_text()
    draft = server.call("POST", "/v1/drafts", {"name": "Drawn together", "kind": "process", "content": content})["id"]
    pages = [open_page(f"/designer/{draft}", actor=name) for name in names]
    for page in pages:
        page.locator(".djs-palette.open").wait_for()
        page.locator("[data-element-id=check] .djs-hit").first.wait_for()
    return draft, pages


def at(page: Any, element: str) -> tuple[float, float]:
    """Where it stands in the drawing's own coordinates."""
    found = page.locator(f"g[data-element-id={element}]").first.get_attribute("transform")
    a, b = re.search(r"matrix\(1[, ]+0[, ]+0[, ]+1[, ]+([-\d.]+)[, ]+([-\d.]+)\)|translate\(([-\d.]+)[, ]+([-\d.]+)\)", found).groups()[:2]  # type: ignore[union-attr]
    return float(a), float(b)


def choose(page: Any, element: str) -> None:
    page.locator(f"[data-element-id={element}] .djs-hit").first.click()
    page.locator(f"[data-element-id={element}].selected").first.wait_for()


def unsent(page: Any) -> int:
    return int(page.evaluate("Object.keys(localStorage).filter((k) => k.startsWith('flowledger.together.')).length"))


@pytest.mark.req("APG-UI-007", "APG-CON-007")
def test_two_draw_at_once_and_both_see_all_of_it(server: Restarted, open_page: Callable[..., Any]) -> None:
    draft, (rita, olga) = opened(server, open_page, "rita", "olga")
    # an element that one appends stands in the other's drawing, with its flow
    choose(rita, "check")
    append(rita, "User task", "Rita's")
    olga.locator(".djs-shape", has_text="Rita's").first.wait_for()
    # at the same time: one names an element, the other moves it, a third thing is deleted
    before = at(rita, "ship")
    choose(olga, "ship")
    tab(olga, "Properties")
    olga.locator(".bio-properties-panel-group-header-title", has_text="General").click()
    olga.locator("#bio-properties-panel-name").fill("Send it off")
    choose(rita, "ship")
    for _ in range(5):
        rita.keyboard.press("ArrowDown")
    for page in (rita, olga):
        page.locator(".djs-shape", has_text="Send it off").first.wait_for()
        until(lambda page=page: at(page, "ship") != before)
    until(lambda: at(rita, "ship") == at(olga, "ship"))
    # what one has selected stays selected while the other draws
    olga.locator("[data-element-id=ship].selected").first.wait_for()
    # each undoes what they did themselves
    rita.get_by_role("button", name="Undo").click()
    until(lambda: at(olga, "ship") != at(rita, "check") and at(rita, "ship") == at(olga, "ship"))
    olga.locator(".djs-shape", has_text="Send it off").first.wait_for()
    olga.get_by_role("button", name="Undo").click()
    rita.locator(".djs-shape", has_text="Send it off").first.wait_for(state="detached")
    rita.locator(".djs-shape", has_text="Rita's").first.wait_for()
    # one saves, and both are at that version
    until(lambda: not unsent(rita) and not unsent(olga))
    olga.get_by_role("button", name="Save", exact=True).click()
    for page in (rita, olga):
        page.get_by_text("v2 · saved").wait_for()
    content = server.call("GET", f"/v1/drafts/{draft}")["content"]
    assert "Rita's" in content and "Send it off" not in content
    # a text that is saved by the API is in both drawings, with what was drawn since
    choose(rita, "check")
    append(rita, "User task", "Afterwards")
    olga.locator(".djs-shape", has_text="Afterwards").first.wait_for()
    server.call("PUT", f"/v1/drafts/{draft}", {"content": content.replace('name="Check order"', 'name="Checked by API"')}, actor="robot")
    for page in (rita, olga):
        page.locator(".djs-shape", has_text="Checked by API").first.wait_for()
        page.locator(".djs-shape", has_text="Afterwards").first.wait_for()
        page.get_by_text("v3 · not saved").wait_for()


@pytest.mark.req("APG-UI-007")
def test_the_server_goes_away_in_between_and_no_edit_is_lost(server: Restarted, open_page: Callable[..., Any]) -> None:
    draft, (rita, olga) = opened(server, open_page, "rita", "olga")
    choose(rita, "check")
    append(rita, "User task", "Before it went")
    olga.locator(".djs-shape", has_text="Before it went").first.wait_for()
    until(lambda: not unsent(rita))
    server.down()
    for page in (rita, olga):
        page.get_by_text("There is no connection to the server").wait_for()
    choose(rita, "check")
    append(rita, "User task", "By rita meanwhile")
    choose(olga, "ship")
    append(olga, "User task", "By olga meanwhile")
    # whoever closes the page meanwhile loses nothing either
    until(lambda: unsent(olga) == 1)
    server.up()
    for page in (rita, olga):
        for text in ("Before it went", "By rita meanwhile", "By olga meanwhile"):
            page.locator(".djs-shape", has_text=text).first.wait_for()
        page.get_by_text("There is no connection to the server").wait_for(state="detached")
    until(lambda: not unsent(rita) and not unsent(olga))
    rita.reload()
    for text in ("Before it went", "By rita meanwhile", "By olga meanwhile"):
        rita.locator(".djs-shape", has_text=text).first.wait_for()
    rita.get_by_text("v1 · not saved").wait_for()
    rita.get_by_role("button", name="Save", exact=True).click()
    olga.get_by_text("v2 · saved").wait_for()
    content = server.call("GET", f"/v1/drafts/{draft}")["content"]
    assert all(text in content for text in ("Before it went", "By rita meanwhile", "By olga meanwhile"))


def test_a_page_that_is_closed_before_its_changes_went_out_brings_them_when_it_comes_back(
    server: Restarted, open_page: Callable[..., Any]
) -> None:
    draft, (rita,) = opened(server, open_page, "rita")
    server.down()
    rita.get_by_text("There is no connection to the server").wait_for()
    choose(rita, "check")
    append(rita, "User task", "Only here")
    until(lambda: unsent(rita) == 1)
    context = rita.context
    rita.close()
    server.up()
    rita = context.new_page()
    rita.goto(f"{server.url}/designer/{draft}")
    rita.locator(".djs-shape", has_text="Only here").first.wait_for()
    until(lambda: not unsent(rita))
    (other,) = [open_page(f"/designer/{draft}", actor="olga")]
    other.locator(".djs-shape", has_text="Only here").first.wait_for()


POOL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="u"><collaboration id="c">
  <participant id="pool" name="Shop" processRef="p"/>
  </collaboration><process id="p" isExecutable="true"><laneSet id="ls"><lane id="sales" name="Sales"><flowNodeRef>s</flowNodeRef><flowNodeRef>offer</flowNodeRef></lane>
  <lane id="stock" name="Stock"><flowNodeRef>pack</flowNodeRef><flowNodeRef>e</flowNodeRef></lane></laneSet><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s"
  targetRef="offer"/><task id="offer" name="Offer"/><sequenceFlow id="f2" sourceRef="offer" targetRef="pack"/><subProcess id="pack" name="Pack"><startEvent id="ps"/>
  <sequenceFlow id="pf" sourceRef="ps" targetRef="pt"/><task id="pt" name="Wrap"/></subProcess><sequenceFlow id="f3" sourceRef="pack" targetRef="e"/><endEvent id="e"/>
  </process></definitions>"""


@pytest.mark.req("APG-UI-007")
def test_pools_lanes_and_what_is_in_a_sub_process(server: Restarted, open_page: Callable[..., Any]) -> None:
    drawn = server.call("POST", "/v1/models/convert", {"name": "pool.bpmn", "content": POOL})["content"]
    draft = server.call("POST", "/v1/drafts", {"name": "Pools", "kind": "process", "content": drawn})["id"]
    rita, olga = pages = [open_page(f"/designer/{draft}", actor=name) for name in ("rita", "olga")]
    for page in pages:
        page.locator("[data-element-id=pt]").first.wait_for()
        tab(page, "Properties")
    for page, element, name in (
        (rita, "pool", "Our shop"),
        (olga, "stock", "Warehouse"),
        (rita, "sales", "Sales desk"),
        (olga, "pt", "Wrap well"),
    ):
        page.locator(f"g[data-element-id={element}] .djs-visual text").first.click(force=True)  # a lane is hit where it says its name
        page.locator(f"[data-element-id={element}].selected").first.wait_for()
        group = page.locator(".bio-properties-panel-group-header-title", has_text="General")
        if not page.locator("#bio-properties-panel-name").is_visible():
            group.click()
        page.locator("#bio-properties-panel-name").fill(name)
        page.locator(f"g[data-element-id={element}]", has_text=name).first.wait_for()  # here; the other has it in its time
    for page in pages:
        for element, name in (("sales", "Sales desk"), ("stock", "Warehouse"), ("pool", "Our shop"), ("pt", "Wrap well")):
            page.locator(f"g[data-element-id={element}]", has_text=name).first.wait_for()
    until(lambda: not unsent(rita) and not unsent(olga))
    rita.get_by_role("button", name="Save", exact=True).click()
    olga.get_by_text("v2 · saved").wait_for()
    content = server.call("GET", f"/v1/drafts/{draft}")["content"]
    assert all(f'name="{n}"' in content for n in ("Sales desk", "Warehouse", "Our shop", "Wrap well"))
    assert content.count("flowNodeRef>") == 8, "each still in its lane"


@pytest.mark.req("APG-UI-007")
def test_what_is_being_typed_when_the_designer_is_made_anew_is_kept(server: Restarted, open_page: Callable[..., Any]) -> None:
    """From light to dark: what draws is another one then, and a field of the panel had not given yet what was typed in it."""
    _, (rita,) = opened(server, open_page, "rita")
    choose(rita, "ship")
    tab(rita, "Properties")
    rita.locator(".bio-properties-panel-group-header-title", has_text="General").click()
    rita.locator("#bio-properties-panel-name").fill("Typed by day")
    rita.emulate_media(color_scheme="dark")
    rita.locator(".djs-shape", has_text="Typed by day").first.wait_for()


FOLDED = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI"
 xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" xmlns:di="http://www.omg.org/spec/DD/20100524/DI" id="d" targetNamespace="u"><process id="p" isExecutable="true">
 <startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="pack"/><subProcess id="pack" name="Pack"><startEvent id="ps"/>
 <sequenceFlow id="pf" sourceRef="ps" targetRef="pt"/><task id="pt" name="Wrap"/></subProcess></process>
 <bpmndi:BPMNDiagram id="g1"><bpmndi:BPMNPlane id="g1p" bpmnElement="p"><bpmndi:BPMNShape id="s_di" bpmnElement="s"><dc:Bounds x="150" y="100" width="36" height="36"/>
 </bpmndi:BPMNShape><bpmndi:BPMNShape id="pack_di" bpmnElement="pack" isExpanded="false"><dc:Bounds x="250" y="78" width="100" height="80"/></bpmndi:BPMNShape>
 <bpmndi:BPMNEdge id="f1_di" bpmnElement="f1"><di:waypoint x="186" y="118"/><di:waypoint x="250" y="118"/></bpmndi:BPMNEdge></bpmndi:BPMNPlane></bpmndi:BPMNDiagram>
 <bpmndi:BPMNDiagram id="g2"><bpmndi:BPMNPlane id="g2p" bpmnElement="pack">
 <bpmndi:BPMNShape id="ps_di" bpmnElement="ps"><dc:Bounds x="150" y="100" width="36" height="36"/>
 </bpmndi:BPMNShape><bpmndi:BPMNShape id="pt_di" bpmnElement="pt"><dc:Bounds x="250" y="78" width="100" height="80"/></bpmndi:BPMNShape>
 <bpmndi:BPMNEdge id="pf_di" bpmnElement="pf"><di:waypoint x="186" y="118"/><di:waypoint x="250" y="118"/></bpmndi:BPMNEdge></bpmndi:BPMNPlane>
 </bpmndi:BPMNDiagram></definitions>"""


def inside(page: Any) -> None:
    page.locator(".bjs-drilldown").first.click()
    page.locator("[data-element-id=pt] .djs-hit").first.wait_for()


@pytest.mark.req("APG-UI-007")
def test_what_is_in_a_folded_sub_process(server: Restarted, open_page: Callable[..., Any]) -> None:
    draft = server.call("POST", "/v1/drafts", {"name": "Folded", "kind": "process", "content": FOLDED})["id"]
    rita, olga = [open_page(f"/designer/{draft}", actor=name) for name in ("rita", "olga")]
    for page in (rita, olga):
        page.locator("[data-element-id=pack] .djs-hit").first.wait_for()
    # one is inside, the other outside: each stays where they are
    inside(rita)
    choose(rita, "pt")
    append(rita, "User task", "Seal it")
    choose(olga, "pack")
    append(olga, "User task", "Ship it")
    until(lambda: not unsent(rita) and not unsent(olga))
    rita.locator(".djs-shape", has_text="Seal it").first.wait_for()
    assert rita.locator(".djs-shape:visible", has_text="Ship it").count() == 0
    inside(olga)
    olga.locator(".djs-shape:visible", has_text="Seal it").first.wait_for()
    # both inside
    choose(olga, "pt")
    tab(olga, "Properties")
    if not olga.locator("#bio-properties-panel-name").is_visible():
        olga.locator(".bio-properties-panel-group-header-title", has_text="General").click()
    olga.locator("#bio-properties-panel-name").fill("Wrap well")
    rita.locator(".djs-shape:visible", has_text="Wrap well").first.wait_for()
    # out again
    rita.locator(".bjs-breadcrumbs li").first.click()
    rita.locator(".djs-shape:visible", has_text="Ship it").first.wait_for()
    # deleted by one while the other is inside
    choose(rita, "pack")
    rita.keyboard.press("Delete")
    olga.locator(".djs-shape:visible", has_text="Ship it").first.wait_for()
    rita.get_by_role("button", name="Undo").click()
    rita.locator("[data-element-id=pack] .djs-hit").first.wait_for()
    olga.locator("[data-element-id=pack] .djs-hit").first.wait_for()
    inside(olga)
    olga.locator(".djs-shape:visible", has_text="Seal it").first.wait_for()
    until(lambda: not unsent(rita) and not unsent(olga))
    rita.get_by_role("button", name="Save", exact=True).click()
    olga.get_by_text("v2 · saved").wait_for()
    content = server.call("GET", f"/v1/drafts/{draft}")["content"]
    assert all(t in content for t in ("Seal it", "Ship it", "Wrap well")) and content.count("<bpmndi:BPMNPlane") == 2

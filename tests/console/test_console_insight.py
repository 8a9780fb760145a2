"""What was done, how long it took and where it waits: the insight page in a real browser, against what was really done."""

from __future__ import annotations

import json
import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.sdk import Flow

from .conftest import Served, until
from .test_console_accessible import accessible

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]


def model(process: str, n: int) -> str:
    flow = Flow(process, "Reported").start("begin").user("look", name=f"Look {n}").exclusive("which", name="Again?")
    return flow.when("= again = true").user("mend", name="Mend it").end("mended").at("which").otherwise().end("done").xml().decode()


@pytest.fixture(scope="module")
def reported(server: Served) -> str:
    """Two versions of a process: three instances of each done (one of them by another way), one more is left open."""
    process = f"reported-{uuid.uuid4().hex[:8]}"
    for n in (1, 2):
        server.call("POST", "/v1/deployments", {"resources": [{"name": f"{process}.bpmn", "content": model(process, n)}]})
        for i in range(3):
            key = server.start(process, f"R-{n}-{i}")
            task = server.task_of(key)
            if i == 0:
                server.call("POST", f"/v1/tasks/{task}/claim", actor="rita")
            server.call("POST", f"/v1/tasks/{task}/complete", {"variables": {"again": i == 2}}, actor="rita")
            if i == 2:
                server.call(
                    "POST", f"/v1/tasks/{until(lambda k=key, t=task: after(server, k, t))}/complete", {"variables": {}}, actor="rita"
                )
    server.start(process, "R-open")
    until(lambda: figures(server, process)["completed"] == 6)
    return process


def after(server: Served, instance: str, before: str) -> str | None:
    found = [t["id"] for t in server.call("GET", f"/v1/tasks?instance={instance}&open=true")["items"]]
    return found[0] if found and found[0] != before else None


def figures(server: Served, process: str) -> dict[str, Any]:
    found: dict[str, Any] = server.call("GET", f"/v1/measures?process={process}&measure=started,completed,wip")["items"][0]
    return found


@pytest.mark.req("APG-UI-012")
def test_from_all_processes_to_what_began_in_an_hour(server: Served, open_page: Callable[..., Any], reported: str) -> None:
    page = open_page("/")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Insight").click()
    page.get_by_role("img", name="Begun and ended").locator("svg").wait_for()  # ECharts came, drew, and the policy let it
    page.get_by_role("combobox", name="Process").fill("Reported")
    page.get_by_role("option", name="Reported").click()
    page.wait_for_url(re.compile(rf"process={reported}"))
    page.goto(f"{server.url}/insight?process={reported}&last=24h")
    page.locator("dl").filter(has_text="Started").get_by_text("7", exact=True).wait_for()
    page.locator("dl").filter(has_text="Started").get_by_text("1 not over").wait_for()
    page.locator("dl").filter(has_text="Success").get_by_text("100%").wait_for()
    page.get_by_text(re.compile(r"counted up to \d+-\d+")).wait_for()  # how fresh
    server.start(reported, "R-late")  # what happens now is counted by itself
    page.locator("dl").filter(has_text="Started").get_by_text("8", exact=True).wait_for()
    chart = page.get_by_role("img", name="Begun and ended")
    labels = "(svg) => [...svg.querySelectorAll('text')].map((t) => t.textContent).join(' ')"
    whole = chart.locator("svg").evaluate(labels)
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2)
    page.keyboard.down("Control")
    until(lambda: page.mouse.wheel(0, -400) or chart.locator("svg").evaluate(labels) != whole)  # it zooms
    page.keyboard.up("Control")
    page.get_by_text("The figures as a table").first.click()
    table = page.get_by_role("table", name="Begun and ended")
    rows = table.get_by_role("row").filter(has=page.get_by_role("cell", name="–").or_(page.get_by_role("cell", name="0")))
    rows.first.wait_for()
    begun = table.get_by_role("row").filter(has_not=page.get_by_role("columnheader"))
    busy = next(n for n in range(begun.count()) if begun.nth(n).get_by_role("cell").nth(1).inner_text() not in ("0", "–"))
    begun.nth(busy).get_by_role("button").click()
    page.wait_for_url(re.compile(r"/instances\?.*started_from="))
    page.get_by_text("R-1-0").or_(page.get_by_text("R-2-0")).or_(page.get_by_text("R-late")).first.wait_for()


@pytest.mark.req("D-ANA-006", "APG-ANA-008")
def test_reports_on_the_diagram_and_in_words(server: Served, open_page: Callable[..., Any], reported: str) -> None:
    page = open_page(f"/insight?process={reported}&tab=heat&heat=frequency")
    page.locator(".fl-diagram[data-shown]").wait_for()
    page.locator("[data-element-id=look].fl-heat-6").wait_for()  # the most frequent is the hottest
    assert page.locator("[data-element-id=mend].fl-heat-6").count() == 0
    page.locator("[data-element-id=mend]").first.click()
    page.wait_for_url(re.compile("element=mend"))  # what is chosen stands in the address
    page.get_by_role("heading", name="Mend it").wait_for()
    page.get_by_role("tab", name="Bottlenecks").click()
    first = page.get_by_role("group", name="Look 2")
    first.get_by_text("of all waiting").wait_for()
    told = server.call("GET", f"/v1/reports/bottlenecks?process={reported}")["items"]
    assert f"{next(i['count'] for i in told if i['element'] == 'look')} times" in first.inner_text()
    page.get_by_role("tab", name="Variants").click()
    page.get_by_text("6 instances went 2 ways.").wait_for()
    way = page.get_by_role("group", name="Way 2")
    assert "Mend it" in way.inner_text() and "2 instances" in way.inner_text() and "v1, v2" in way.inner_text()
    way.get_by_role("button", name="On the diagram").click()
    page.locator("[data-element-id=mend].fl-done").wait_for()
    page.get_by_role("tab", name="Two versions").click()
    page.get_by_text("p = ").first.wait_for()
    page.get_by_label("Also what doesn't differ").check()
    table = page.get_by_role("table", name="Differences by element")
    table.get_by_role("row").filter(has_text="Look 2").first.wait_for()
    page.wait_for_url(re.compile("every=true"))


def test_histories_are_taken_as_files(open_page: Callable[..., Any], reported: str, tmp_path: Path) -> None:
    page = open_page(f"/insight?process={reported}")
    read: dict[str, Callable[[str], int]] = {
        "XES (IEEE 1849)": lambda text: len([e for e in ET.fromstring(text) if e.tag.endswith("trace")]),
        "OCEL 2.0 (JSON)": lambda text: len([o for o in json.loads(text)["objects"] if o["type"] == reported]),
        "CSV": lambda text: len({line.split(",")[0] for line in text.splitlines()[1:]}),
    }
    for name, count in read.items():
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as started:
            page.get_by_role("menuitem", name=name).click()
        file = tmp_path / started.value.suggested_filename
        started.value.save_as(file)
        assert count(file.read_text()) >= 7, name


@pytest.mark.req("APG-UI-010", "APG-UI-008", "APG-UI-014")
@pytest.mark.parametrize("tab", ["", "time", "heat", "bottlenecks", "variants", "compare", "empty"])
def test_axe_finds_nothing(open_page: Callable[..., Any], reported: str, tab: str) -> None:
    where = {"": "", "empty": "?process=order&from=2001-01-01&to=2001-02-01"}.get(
        tab, f"?process={reported}&tab={tab}&element=look&every=true"
    )
    page = open_page(f"/insight{where}")
    page.wait_for_load_state("networkidle")
    ready = {"time": "[data-drawn]", "": "[data-drawn]", "heat": ".fl-diagram[data-shown]", "empty": "text=Nothing was done here"}
    page.locator(ready.get(tab, "main table, main [role=group]")).first.wait_for()
    accessible(page)


def test_it_speaks_german_and_says_when_there_is_nothing(open_page: Callable[..., Any]) -> None:
    page = open_page("/insight?process=nobody-drew-this&from=2001-01-01&to=2001-02-01", language="de")
    page.get_by_text("Hier wurde in dieser Zeit nichts getan.").wait_for()
    assert page.get_by_label("Erster Tag").input_value() == "2001-01-01"

"""axe on every page and tab, light and dark, wide and on a phone: no finding of WCAG 2.1 A and AA. Nothing is wider than a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Served, missing
from .test_console_catalogue import WEB, texts

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-UI-010", "APG-UI-008")]

AXE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
#: of texts; each page brings those that it says
KEYS = {key for key in texts(*(f.stem for f in (WEB / "i18n").glob("en*.ts"))) if "." in key}
#: what draws itself and can't be told otherwise: Swagger UI's page, and the sheet of dmn-js
FOREIGN = [[".fl-api"], [".fl-dmn"]]
PAGES = {
    "home": "/",
    "tasks": "/tasks?view=all",
    "tasks empty": "/tasks?view=mine",
    "task": "/tasks/{task}",
    "task history": "/tasks/{task}?tab=history",
    "alerts": "/insight/alerts",
    "kpis": "/insight/kpis",
    "capacity": "/insight/capacity",
    "reports": "/insight/reports",
    "report builder": "/insight/reports?build=%7B%7D",
    **{f"insight {tab}": f"/insight?process=order&tab={tab}" for tab in ("forecast", "anomalies", "whatif")},
    "subjects": "/operations/subjects",
    "approvals": "/approvals",
    "retention": "/operations/retention",
    **{f"evidence {tab}": f"/operations/evidence?tab={tab}" for tab in ("report", "duties", "access")},
    "processes": "/processes",
    "process": "/processes/order",
    "compare": "/processes/document-approval?tab=compare",
    "instances": "/instances",
    "instances empty": "/instances?business_key=none",
    "instances searched": "/instances?where=order.amount+%3E+1+and+tier+%3D+%22gold%22+or+run.status+in+%5B%22running%22%5D",
    "instances searched by a text": "/instances?where=(order.amount+%3E+1)&text=STUCK",
    **{
        f"instance {tab}": f"/instances/{{stuck}}?tab={tab}"
        for tab in ("now", "incidents", "variables", "work", "calls", "why", "comments", "files", "audit", "history")
    },
    "instance decisions": "/instances/{decided}?tab=decisions",
    "designer": "/designer",
    "designer empty": "/designer?name=nobody-drew-this",
    **{
        f"draft {tab}": f"/designer/{{draft}}?tab={tab}"
        for tab in ("properties", "findings", "try", "blocks", "texts", "versions", "comments")
    },
    "draft decision": "/designer/{drawn_decision}",
    "draft form": "/designer/{drawn_form}",
    "draft text": "/designer/{text}",
    "decisions": "/decisions",
    "decision": "/decisions/approval-level",
    "decision history": "/decisions/approval-level?tab=history",
    "decision coverage": "/decisions/approval-level?tab=coverage",
    **{
        f"operations {tab}": f"/operations?tab={tab}"
        for tab in (
            "incidents",
            "incidents&by=each",
            "batches",
            "batches&batch={batch}",
            "letters",
            "log",
            "holds",
            "triggers",
            "webhooks",
            "workers",
            "partitions",
            "limits",
            "settings",
        )
    },
    "api": "/api",
    "not found": "/instances/99",
}


@pytest.fixture(scope="module")
def places(server: Served) -> dict[str, str]:
    task = server.task_of(server.start("document-approval", document="plan", author="ann"))
    server.call("POST", f"/v1/tasks/{task}/comment", {"text": "hm"}, actor="rita")
    drawn = {
        name: server.call("POST", "/v1/drafts", {"name": name, "kind": kind, "content": content}, actor="rita")["id"]
        for name, kind, content in (
            ("draft", "process", (EXAMPLES / "order.bpmn").read_text()), ("drawn_decision", "decision", (EXAMPLES / "approval-level.dmn").read_text()),
            ("drawn_form", "form", next((EXAMPLES / "forms").glob("*.form")).read_text()), ("text", "process", "not a model"),
        )
    }  # fmt: skip
    stuck = server.stuck()
    server.call("POST", f"/v1/instances/{stuck}/comment", {"text": "called the shop", "element": "check"}, actor="rita")
    batch = server.call("POST", "/v1/batches", {"action": "set_variables", "params": {"variables": {"seen": True}}, "ids": [stuck, "77"]})[
        "id"
    ]
    return {**drawn, "task": task, "stuck": stuck, "decided": server.decided(), "batch": batch}


def looked_at(page: Any) -> list[str]:
    """What axe finds, in a line each. The script is given by the debugger, since the page's own policy lets no other script in."""
    if not AXE.exists():
        missing("axe is not installed: make web-check")
    page.get_by_role("main").locator(".mantine-Loader-root").first.wait_for(state="detached")
    page.wait_for_timeout(400)
    while page.evaluate("document.getAnimations().some((a) => a.playState === 'running' && a.effect?.getTiming().iterations !== Infinity)"):
        page.wait_for_timeout(50)
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": AXE.read_text() + ";0"})
    found = page.evaluate("([tags, foreign]) => axe.run({exclude: foreign}, {runOnly: {type: 'tag', values: tags}})", [TAGS, FOREIGN])[
        "violations"
    ]
    return [f"{v['id']}: {v['help']}: {n['html'][:160]} {n.get('failureSummary', '')[:200]}" for v in found for n in v["nodes"]]


def sound(page: Any) -> None:
    """As it is now: with a dialog open, amid what is done."""
    found = looked_at(page)
    assert not found, "\n".join(found)


def accessible(page: Any) -> None:
    """As it is, in the dark, on a tablet, and on a phone, which nothing is wider than. What is read are words, no keys of texts that nobody has loaded."""
    found = looked_at(page)
    found += [f"no text was there for {key}" for key in sorted(KEYS & set(page.evaluate("document.body.innerText").split()))]
    page.emulate_media(color_scheme="dark")
    found += [f"dark: {x}" for x in looked_at(page)]
    for width, height in ((820, 1180), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        found += [f"{width}: {x}" for x in looked_at(page)]
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"wider than {width}"
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(open_page: Callable[..., Any], places: dict[str, str], name: str) -> None:
    page = open_page(PAGES[name].format(**places), actor="rita")
    accessible(page)

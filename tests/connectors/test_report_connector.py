"""The report connector without a server's rows: what it says; and with a report at hand: what is sent, and what is too large."""

from __future__ import annotations

import json

import pytest

from flowledger.connectors import report
from flowledger.connectors.frame import Failed, Report
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure

HOOK = {"report": "r", "delivery.type": "webhook", "delivery.url": "http://x.example"}
FOUND = Report("T", b"a,b\n1,2\n", "text/csv", 1, "2026-11-01T00:00:00Z", "2026-11-30T00:00:00Z")


class Rows:
    def __init__(self, found: Report | Failed) -> None:
        self.found, self.asked = found, []

    async def of(self, *asked: str) -> Report:
        self.asked.append(asked)
        if isinstance(self.found, Failed):
            raise self.found
        return self.found


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "report"), ({"report": "r"}, "delivery"), ({**HOOK, "format": "pdf"}, "csv"), ({**HOOK, "delivery.type": "pigeon"}, "mail"),
        ({**HOOK, "delivery.colour": "x"}, "colour"),
        ({"report": "r", "delivery.type": "mail", "delivery.host": "h", "delivery.from": "a@b.example"}, "to"),
        ({"report": "r", "delivery.type": "mail", "delivery.host": "h", "delivery.from": "a@b.example", "delivery.to": "nobody"}, "addresses"),
    ],
)  # fmt: skip
def test_findings(given, words):
    found = said(given, {}, "flowledger:report")
    assert found and words in found[0][2] and found[0][1] == "error"
    assert said(HOOK, {}, "flowledger:report") == []


async def test_what_is_sent_and_what_is_not(bench, target):
    sent = {
        "report": "r",
        "format": "csv",
        "until": "2026-11-30T00:00:00Z",
        "delivery": {"type": "webhook", "url": f"{target.url}/echo", "headers": {"X-A": "1"}},
    }
    made = bench("report")
    lacking = await failure(made(sent))
    assert lacking.retries == 0 and "nobody has rows here" in lacking.message
    made.runner.reports = rows = Rows(FOUND)
    answer = await made(sent, {"resultVariable": "out"})
    assert answer["out"]["status"] == 200 and answer["out"]["rows"] == 1 and answer["out"]["file"] == "r.csv"
    assert rows.asked == [("", "r", "csv", "2026-11-30T00:00:00Z")]
    assert json.dumps(answer)
    wrong = await failure(made({**sent, "delivery": {**sent["delivery"], "url": f"{target.url}/nowhere"}}))
    assert "404" in wrong.message
    made.runner.reports = Rows(Failed("ROWS_BEHIND", "behind", again=True))
    assert (await failure(made(sent))).retries is None
    made.runner.reports = Rows(Report("T", b"x" * (report.BYTES_MAX + 1), "text/csv", 1, "", ""))
    assert "at most" in (await failure(made(sent))).message

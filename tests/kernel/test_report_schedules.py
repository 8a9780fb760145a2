"""What a schedule of a report is made of: models that are read without findings, whatever stands in the names and words of it, and from which it is read again."""

from __future__ import annotations

import pytest

from flowledger.connectors import check
from flowledger.kernel import model, report_schedules
from flowledger.kernel.model.connectors import REFERENCE
from flowledger.kernel.model.encodings import utf8

MAIL = {
    "host": "h",
    "from": "a@b.example",
    "to": ["Ü <c@d.example>", "e@f.example"],
    "subject": "=1+1 <&\"'>",
    "text": "a\nb\t]]>",
    "port": 25,
    "security": "off",
}
HOOK = {"url": "https://x.example/?a=1&b={{x}}", "headers": {"X-A": "=1"}, "authentication": {"type": "bearer", "token": "{{secrets.T}}"}}


@pytest.mark.parametrize("name", ["weekly", "Umsatz März", "a=b & <c>", "{{secrets.X}}", "x" * 100])
@pytest.mark.parametrize("way", [{"mail": MAIL}, {"webhook": HOOK}], ids=["mail", "webhook"])
def test_it_is_read_as_it_was_meant(name, way):
    spec = {"cron": "0 7 * * MON", "zone": "Europe/Berlin", "within": "P2D", "format": "xlsx", **way}
    text = report_schedules.process(name, 'T "q" <&', spec)
    graph, found = model.read(utf8(text), "r.bpmn")
    assert [f for f in [*found, *check.findings(graph, "r.bpmn")] if f.severity == "error"] == []
    assert report_schedules.spec_of(text) == spec
    ((id, process),) = graph.processes.items()
    headers = process.nodes["send"].config.headers
    assert id == report_schedules.process_of(name) and headers["report"] == name and headers["format"] == "xlsx"
    if "mail" in way:  # words are words, no expressions
        assert headers["delivery.subject"] == MAIL["subject"] and headers["delivery.text"] == MAIL["text"]
    graph, found = model.read(utf8(report_schedules.trigger(name, spec)), "r.trigger.yaml")
    assert (
        found == [] and graph.trigger.name == f"report:{name}" and graph.trigger.config == {k: spec[k] for k in ("cron", "zone", "within")}
    )


def test_two_names_are_two_processes():
    names = ["a b", "a_b", "a/b", "a?b", "ab"]
    assert len({report_schedules.process_of(n) for n in names}) == len(names)


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"mail": {"password": "hush"}}, "mail.password"), ({"mail": {"password": "x{{secrets.A}}"}}, "mail.password"),
        ({"webhook": {"secret": "s"}}, "webhook.secret"),
        ({"webhook": {"authentication": {"clientSecret": "s"}}}, "webhook.authentication.clientSecret"), ({"mail": {"password": "{{secrets.A}}"}}, ""),
        ({"webhook": HOOK}, ""),
        ({"webhook": {"authentication": {"client_secret": "s"}}}, "webhook.authentication.client_secret"),
        ({"webhook": {"headers": {"Authorization": "Bearer s"}}}, "webhook.headers.Authorization"),
        ({"webhook": {"headers": {"Authorization": "Bearer {{secrets.A}}"}}}, ""), ({"webhook": {"url": "https://u:s@x"}}, "webhook.url"),
        ({"webhook": {"url": "https://x/a:b@c"}}, ""),
    ],
)  # fmt: skip
def test_secrets_stand_in_it_by_reference_only(spec, where):
    assert report_schedules.misplaced(spec, REFERENCE) == where


def test_what_somebody_else_wrote_is_none_of_ours():
    text = report_schedules.process("a", "", {"cron": "@daily", "mail": MAIL})
    assert report_schedules.spec_of(text.replace("<documentation>{", "<documentation>")) is None

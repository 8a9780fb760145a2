"""Documents: what a template makes of data, where it is kept, its versions, and what is refused."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

from flowledger.connectors.document import CHARS_MAX, kind_of
from flowledger.events import commands as c
from flowledger.infra import blobs as b
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.settings import Settings
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from tests.connectors.conftest import running
from tests.connectors.test_http_connector import failure
from tests.connectors.test_stored_answers import until

TASK = """<serviceTask id="{id}"><extensionElements><zeebe:taskDefinition type="flowledger:document" retries="2"/><zeebe:ioMapping>
<zeebe:input source="={{rows: rows, who: who}}" target="data"/><zeebe:input source={name} target="fileName"/></zeebe:ioMapping><zeebe:taskHeaders>
<zeebe:header key="template" value={template}/><zeebe:header key="resultVariable" value="{id}"/><zeebe:header key="retryBackoff" value="PT0S"/>
</zeebe:taskHeaders></extensionElements></serviceTask>"""
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="p" isExecutable="true"><startEvent id="s"/>{tasks}<userTask id="u"/><endEvent id="e"/>{flows}</process></definitions>"""
REPORT = '# For {{ who }}\n{{ string join(for r in rows return "- " + r.name + ": " + string(r.n), "\\n") }}\n'


def model(*tasks: tuple[str, str, str]) -> c.Deploy:
    ids = ["s", *(id for id, _, _ in tasks), "u", "e"]
    flows = "".join(f'<sequenceFlow id="f{n}" sourceRef="{a}" targetRef="{z}"/>' for n, (a, z) in enumerate(itertools.pairwise(ids)))
    made = "".join(TASK.format(id=id, name=quoteattr(name), template=quoteattr(text, {"\n": "&#10;"})) for id, name, text in tasks)
    return c.Deploy(resources=[c.Resource("p.bpmn", MODEL.format(tasks=made, flows=flows))])


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine(MemoryLog(MemoryStore(1)))
    await made.start()
    yield made
    await made.stop()


DATA = {"rows": [{"name": "steel", "n": 7}, {"name": "<b>tin", "n": 8}], "who": "a & b {{ 1 + 1 }}"}


@pytest.mark.req("APG-CON-009", "D-DAT-019")
@pytest.mark.parametrize("tenant", ["", "acme"])
async def test_reports_are_files_of_the_instance_and_of_its_tenant(engine, tmp_path: Path, tenant: str):
    found = await engine.call(
        model(("md", "report.md", REPORT), ("html", "report.html", "<p>{{ who }}</p>"), ("again", "report.md", "v2")), Caller(tenant=tenant)
    )
    assert isinstance(found, dict), found
    async with running(engine, data=tmp_path, connector_tenants=("acme",)):
        made = await engine.call(c.StartInstance(id="p", variables=DATA), Caller(tenant=tenant))
        instance = engine.owners[0].state.instances[made["key"]]
        await until(lambda: any(t.element == "u" for t in instance.tokens.values()))
    kept = b.blobs_of(Settings(data=tmp_path))

    async def text(of: str) -> str:
        return b"".join([p async for p in kept.read(tenant, instance.vars[of]["document"]["sha256"])]).decode()

    assert await text("md") == "# For a & b {{ 1 + 1 }}\n- steel: 7\n- <b>tin: 8\n", "data is never taken for a template"
    assert await text("html") == "<p>a &amp; b {{ 1 + 1 }}</p>"
    assert instance.vars["md"]["document"]["mediaType"] == "text/markdown"
    assert sorted((f["name"], f["sha256"]) for f in instance.files) == [
        ("report.html", instance.vars["html"]["document"]["sha256"]), ("report.md", hashlib.sha256(b"v2").hexdigest())
    ], "the newest version holds"  # fmt: skip
    with pytest.raises(FileNotFoundError):
        async for _ in kept.read("" if tenant else "acme", instance.vars["md"]["document"]["sha256"]):
            pass


@pytest.mark.parametrize(("template", "away", "words"), [("{{ 1 / }}", False, "CONFIGURATION"), ("{{ who }}", True, "FILES_AWAY")])
async def test_what_goes_wrong_is_an_incident_and_leaves_no_file(engine, tmp_path: Path, template: str, away: bool, words: str):
    if away:
        (tmp_path / "blobs").write_text("no folder")
    await engine.call(model(("md", "a.md", template)))
    async with running(engine, data=tmp_path):
        made = await engine.call(c.StartInstance(id="p", variables=DATA))
        state = engine.owners[0].state
        incident = await until(lambda: next(iter(state.incidents.values()), None))
    assert f"({words})" in incident.message and state.instances[made["key"]].files is None


class Kept:
    """What is given to be kept, without a ledger."""

    def __init__(self, run: Any) -> None:
        self.data, self.run = b"", run
        run.runner.files = self

    async def keep(self, job: Any, tenant: str, name: str, kind: str, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
        self.data = b"".join([p async for p in pieces])
        return {"name": name, "mediaType": kind}

    async def kept(self, tenant: str, sha256: str) -> bytes:
        return self.data


@pytest.mark.parametrize(
    ("given", "data", "kind"),
    [
        ({"fileName": "a.json", "content": {"n": [1]}}, b'{"n":[1]}', "application/json"),
        ({"fileName": "a.csv", "content": "a;b\n"}, b"a;b\n", "text/csv"),
        ({"fileName": "a.bin", "base64": "AP8="}, b"\x00\xff", "application/octet-stream"),
        ({"fileName": "a", "content": "x", "mediaType": "text/plain; charset=utf-8"}, b"x", "text/plain"),
        ({"fileName": "a.txt", "content": "x" * CHARS_MAX}, b"x" * CHARS_MAX, "text/plain"),
    ],
)  # fmt: skip
async def test_what_is_at_hand_is_kept_as_it_is(bench, given: dict[str, Any], data: bytes, kind: str):
    kept = Kept(bench("document"))
    assert (await kept.run(given, {"resultVariable": "out"}))["out"]["document"]["mediaType"] == kind and kept.data == data


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"fileName": "a.txt"}, "CONFIGURATION"), ({"fileName": "a.txt", "content": "x", "base64": "AA=="}, "CONFIGURATION"),
        ({"fileName": "../a.txt", "content": "x"}, "CONFIGURATION"), ({"fileName": ".", "content": "x"}, "CONFIGURATION"),
        ({"fileName": "a\nb", "content": "x"}, "CONFIGURATION"), ({"fileName": "a.bin", "base64": "?"}, "CONFIGURATION"),
        ({"fileName": "a", "content": "x", "mediaType": "text/html\r\nX: y"}, "CONFIGURATION"), ({"content": "x"}, "CONFIGURATION"),
        ({"fileName": "a.txt", "content": "x" * (CHARS_MAX + 1)}, "DOCUMENT_TOO_LARGE"),
    ],
)  # fmt: skip
async def test_what_is_refused(bench, given: dict[str, Any], code: str):
    kept = Kept(bench("document"))
    found = await failure(kept.run(given))
    assert (found.code, found.retries, kept.data) == (code, 0, b"")


async def test_a_template_that_comes_as_data_is_none(bench):
    """It stands in a header alone: a variable of that name is passed over."""
    kept = Kept(bench("document"))
    found = await failure(kept.run({"fileName": "a.txt", "template": "{{ 1 }}"}))
    assert found.code == "CONFIGURATION" and "one of template, docx, content and base64" in found.message


def test_kinds_by_name():
    assert [kind_of(n) for n in ("a.MD", "a.b.csv", "a", "a.pdf")] == [
        "text/markdown",
        "text/csv",
        "application/octet-stream",
        "application/pdf",
    ]

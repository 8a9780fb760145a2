"""Lines of the catalogue about what definitions of processes and tasks say of themselves, how they are found by it, and how wide it may be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from asking import Caller

from flowledger.events.wire import WIRE
from flowledger.kernel import kpis
from flowledger.projections import words
from flowledger.projections.views import TABLES
from flowledger.sdk import Flow


@pytest.fixture
async def x(place, database, tmp_path) -> AsyncIterator[Caller]:
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (_, http):
        yield Caller(http, place)


def model(id: str, name: str = "", tag: str = "") -> dict[str, str]:
    return {"name": f"{id}.bpmn", "content": Flow(id, name, version_tag=tag).start().user("u", assignee="ann").end().xml().decode()}


BRANCHED = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t"><process id="branched" isExecutable="true">
<startEvent id="s"/><parallelGateway id="g"/><manualTask id="a"/><manualTask id="b"/><manualTask id="c"/><endEvent id="e"/>
<sequenceFlow id="f0" sourceRef="s" targetRef="g"/><sequenceFlow id="f1" sourceRef="g" targetRef="a"/><sequenceFlow id="f2" sourceRef="g" targetRef="b"/>
<sequenceFlow id="f3" sourceRef="g" targetRef="c"/><sequenceFlow id="f4" sourceRef="a" targetRef="e"/><sequenceFlow id="f5" sourceRef="b" targetRef="e"/>
<sequenceFlow id="f6" sourceRef="c" targetRef="e"/></process></definitions>"""
SAID = {
    "category": "billing",
    "tags": ["monthly"],
    "complexity_score": 7.5,
    "estimated_duration": "PT1H30M",
    "dependencies": ["ledger"],
    "own": {"a": 1},
}


async def found(x: Caller, noun: str, **asked: Any) -> set[str]:
    return {r.get("definition_id") or r["name"] for r in (await x.ok("GET", noun, **asked))["items"]}


@pytest.mark.req("D-MOD-003")
async def test_what_a_definition_says_of_itself_is_set_and_searched_by(x):
    await x.ok("POST", "deployments", {"resources": [model("said")], "metadata": SAID})
    await x.ok("POST", "deployments", {"resources": [{"name": "b.bpmn", "content": BRANCHED}], "metadata": {"complexity_score": None}})
    made = await x.ok("POST", "definitions", {**model("plain"), "metadata": {"estimated_duration_ms": 1000}})
    row = await x.ok("GET", "definitions/said", wait_for=made["position"])
    assert row["metadata"] == {**SAID, "estimated_duration_ms": 5_400_000} and row["complexity_score"] == 7.5
    scores = {r["definition_id"]: r["complexity_score"] for r in (await x.ok("GET", "definitions"))["items"]}
    assert scores == {"said": 7.5, "branched": 3, "plain": 1}, "a split into three ways is two more than one way"
    for asked, ids in (
        ({"category": "billing"}, {"said"}), ({"tag": "monthly"}, {"said"}), ({"depends_on": "ledger"}, {"said"}), ({"depends_on": "led"}, set()),
        ({"complexity_min": "3"}, {"said", "branched"}), ({"complexity_max": "3"}, {"plain", "branched"}),
        ({"complexity_min": "2", "complexity_max": "7"}, {"branched"}), ({"estimated_ms_min": "1001"}, {"said"}),
        ({"estimated_ms_max": "5400000"}, {"said", "plain"}), ({"category": "billing", "complexity_max": "7"}, set()),
    ):  # fmt: skip
        assert await found(x, "definitions", **asked) == ids, asked
    for wrong, told in (
        ({"category": 7}, "metadata.category: expected a text of 1 to 255 characters, found 7"),
        ({"tags": ["a", 1]}, "metadata.tags: expected a list of at most 100 texts of 1 to 255 characters, found a list of 2"),
        ({"dependencies": "ledger"}, "metadata.dependencies: expected a list of at most 100 texts"),
        ({"complexity_score": -1}, "metadata.complexity_score: expected a number from 0 to 1000000, found -1"),
        ({"complexity_score": True}, "metadata.complexity_score"),
        (
            {"estimated_duration": "soon"},
            "metadata.estimated_duration: expected a duration such as PT15M, of 100 years at most, found",
        ),
        ({"estimated_duration": "P102Y"}, "metadata.estimated_duration"),
        ({"estimated_duration": "PT1S", "estimated_duration_ms": 2000}, "PT1S is 1000 ms, and estimated_duration_ms is 2000"),
        ({"estimated_duration_ms": 1.5}, "metadata.estimated_duration_ms: expected a whole number"),
    ):
        status, said = await x.ask("POST", "deployments", {"resources": [model("wrong")], "metadata": wrong})
        assert status == 422 and told in said["detail"], (wrong, said)
    assert (await x.ask("GET", "definitions", complexity_min="-1"))[0] == 400


@pytest.mark.req("TES-TSK-011")
async def test_task_definitions_are_found_by_their_metadata_and_times(x):
    for name, metadata in (
        ("charge", {"team": "billing", "level": 3, "where": {"site": "Bern"}, "labels": ["a", "b"]}), ("check", {"team": "billing", "a.b": True}),
        ("pack", {"team": "stock"}), ("bare", None),
    ):  # fmt: skip
        await x.ok("PUT", f"task-definitions/{name}", {"type": "human_task"} | ({"metadata": metadata} if metadata else {}))
    for asked, names in (
        (["team=billing"], {"charge", "check"}), (["team=billing", "level=3"], {"charge"}), (["where.site=Bern"], {"charge"}), (["labels=b"], {"charge"}),
        (["a.b=true"], {"check"}), (["team=bill"], set()), (["where=x"], set()), (["gone.x=1"], set()),
    ):  # fmt: skip
        assert await found(x, "task-definitions", metadata=asked) == names | {f"{n}@1" for n in names}, asked
    first = await x.ok("GET", "task-definitions", metadata=["team=billing"], limit=3)
    rest = await x.ok("GET", "task-definitions", metadata=["team=billing"], limit=3, cursor=first["cursor"])
    assert [i["name"] for i in first["items"] + rest["items"]] == ["charge", "charge@1", "check", "check@1"] and rest["cursor"] is None
    assert await found(x, "task-definitions", updated_from="2100-01-01T00:00:00Z") == set()
    assert "pack" in await found(x, "task-definitions", created_from="2020-01-01T00:00:00Z", updated_to="2100-01-01T00:00:00Z")
    status, said = await x.ask("GET", "task-definitions", metadata="team")
    assert status == 422 and "NAME=VALUE was expected, found 'team'" in said["detail"]


@pytest.mark.req("D-DAT-020")
async def test_what_is_wider_than_its_column_is_refused_with_its_name_and_width(x):
    wide = "ü" * 255
    made = await x.ok("POST", "deployments", {"resources": [model("p", wide, "v" * 50)]})
    row = await x.ok("GET", "definitions/p", wait_for=made["position"])
    assert (row["name"], row["version_tag"]) == (wide, "v" * 50)
    for name, tag, told in (
        (wide + "x", "", "the name of process 'p': expected at most 255 characters, found 256"),
        ("n", "v" * 51, "the version tag of process 'p': expected at most 50 characters, found 51"),
    ):
        status, said = await x.ask("POST", "deployments", {"resources": [model("p", name, tag)]})
        [finding] = [f for f in said["findings"] if f["code"] == "TEXT_TOO_WIDE"]
        assert status == 422 and finding["message"] == told and finding["element"] == "p"
    [key] = await x.start("p", 1, metadata={"name": wide})
    assert (await x.ok("GET", f"instances/{key}"))["name"] == wide
    status, said = await x.ask("POST", "instances", {"definition": "p", "metadata": {"name": wide + "x"}})
    assert status == 422 and said["detail"] == "metadata.name: expected at most 255 characters, found 256"


@pytest.mark.req("D-DAT-020")
def test_the_words_of_the_product_fit_their_columns():
    wide = {(t.name, c): int(kind[8:-1]) for t in TABLES.values() for c, kind in t.columns.items() if kind.startswith("varchar(")}
    assert wide["workflow_definitions", "name"] == wide["workflow_instances", "name"] == wide["tasks", "name"] == 255
    assert wide["workflow_definitions", "version_tag"] == 50 and wide["tasks", "type"] == 30
    for table, all_of in (
        ("workflow_definitions", words.DEFINITION_STATUSES), ("workflow_instances", words.INSTANCE_STATUSES), ("tasks", words.TASK_STATUSES),
    ):  # fmt: skip
        assert wide[table, "status"] == 20 and max(map(len, all_of)) <= 20
    assert max(map(len, words.TASK_TYPES)) <= 30
    assert wide["workflow_events", "event_type"] == 50 and max(len(name) for _, name, _ in WIRE.values()) <= 50
    assert wide["execution_metrics", "metric_name"] == kpis.NAME_MAX == 100

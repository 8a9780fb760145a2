"""Capabilities: each operation of each against its stub (the contract suites), what may stand in the registry, and all of them in one process without code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from flowledger.connectors.capabilities import Operation
from flowledger.connectors.http.connector import HttpConnector
from flowledger.connectors.stubs.catalogue import records
from flowledger.connectors.stubs.platform import Platform
from flowledger.connectors.stubs.server import Stubs
from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel.tasks import capabilities, schemas
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from flowledger.sdk.job import BpmnError, JobFailed
from tests.connectors.conftest import running

EXAMPLE = Path(__file__).parents[2] / "examples" / "capabilities" / "all-capabilities.yaml"
TOKEN = "of-the-platform"
PLATFORM = records("http://stubs")
EIGHT = "auth_rbac audit_compliance ai_orchestration federated_learning real_time_collaboration notification_engine document_management time_series_analytics"
SIX = "agent_assistance model_manager simulation_manager analysis_manager knowledge_service data_manager"
#: capability.operation -> what comes before it, a good input, and what its answer has
GOOD: dict[str, tuple[list[tuple[str, dict]], dict, dict]] = {
    "auth_rbac.check": ([], {"user": "mallory", "permission": "pay"}, {"allowed": False}),
    "auth_rbac.require": ([], {"user": "ann", "permission": "pay"}, {"allowed": True}),
    "auth_rbac.roles": ([], {"user": "ann"}, {"roles": ["clerk"]}),
    "audit_compliance.record": ([], {"action": "a", "subject": {"deep": [1]}}, {"record": "audit-1"}),
    "audit_compliance.check": ([], {"policy": "p", "subject": {"personal_data": True}}, {"compliant": False, "must_report": True}),
    "audit_compliance.report": ([("audit_compliance.record", {"action": "a"})], {"incident": "7"}, {"report": "report of 7", "entries": 1}),
    "ai_orchestration.predict": ([], {"model": "m", "features": {"amount": 20_000}}, {"prediction": {"model": "m", "risk": "high", "score": 0.75}}),
    "ai_orchestration.classify": ([], {"text": "Malware here"}, {"severity": "high", "kinds": ["malware"]}),
    "ai_orchestration.summarise": ([], {"text": "long"}, {"summary": "long"}),
    "ai_orchestration.optimise": ([], {"choices": [{"cost": 2}, {"cost": 1}]}, {"best": {"cost": 1}}),
    "federated_learning.contribute": ([], {"model": "m", "tenant": "a", "weights": [1, 2]}, {"contributions": 1}),
    "federated_learning.aggregate": (
        [("federated_learning.contribute", {"model": "m", "tenant": t, "weights": [w]}) for t, w in (("a", 1), ("b", 3))], {"model": "m"},
        {"weights": [2.0], "tenants": 2}),
    "real_time_collaboration.open_room": ([], {"title": "t", "people": ["ann"]}, {"room": "room-1"}),
    "real_time_collaboration.post": ([("real_time_collaboration.open_room", {"title": "t"})], {"room": "room-1", "text": "x"}, {"messages": 1}),
    "real_time_collaboration.close_room": ([("real_time_collaboration.open_room", {"title": "t"})], {"room": "room-1"}, {"closed": True}),
    "notification_engine.send": ([], {"to": "ann", "text": "x"}, {"notice": "notice-1"}),
    "notification_engine.notices": ([("notification_engine.send", {"to": "ann", "text": "x"})], {"to": "ann"}, {"notices": ["x"]}),
    "document_management.store": ([], {"name": "n", "content": {"a": 1}}, {"document": "n", "version": 1}),
    "document_management.get": (
        [("document_management.store", {"name": "n", "content": v}) for v in ("old", "new")], {"document": "n"}, {"content": "new", "version": 2}),
    "document_management.fill": ([], {"template": "Dear {name}", "fields": {"name": "Ann"}}, {"content": "Dear Ann"}),
    "time_series_analytics.write": ([], {"series": "s", "value": 1.5}, {"count": 1}),
    "time_series_analytics.trend": (
        [("time_series_analytics.write", {"series": "s", "value": v}) for v in (1, 3)], {"series": "s"}, {"mean": 2.0, "slope": 2.0, "count": 2}),
    "agent_assistance.ask": ([], {"question": "Is it?", "context": {}}, {"answer": "Is it? Yes.", "confidence": 0.5}),
    "agent_assistance.ask_later": ([], {"question": "Is it?", "answer_to": "http://127.0.0.1:9/"}, {"asked": True}),
    "model_manager.run": ([], {"model": "m", "input": [1]}, {"output": [1], "model_version": "1"}),
    "simulation_manager.simulate": ([], {"scenario": "abcd", "runs": 5}, {"mean": 4.0, "p95": 6.0, "runs": 5}),
    "analysis_manager.analyse": ([], {"data": [1, 3]}, {"count": 2, "mean": 2.0, "least": 1, "most": 3}),
    "knowledge_service.add": ([], {"title": "t", "text": "x"}, {"entries": 1}),
    "knowledge_service.search": ([("knowledge_service.add", {"title": "Tea", "text": "x"})], {"query": "tea"}, {"hits": [{"title": "Tea", "text": "x"}]}),
    "data_manager.put": ([], {"key": "k", "value": False}, {"version": 1}),
    "data_manager.get": ([("data_manager.put", {"key": "k", "value": 7})], {"key": "k"}, {"value": 7, "version": 1}),
    "tool_manager.register": ([], {"tool": "t", "can": "tax", "calculation": "amount * 0.2"}, {"tools": 1}),
    "tool_manager.find": ([("tool_manager.register", {"tool": "t", "can": "tax", "calculation": "1"})], {"can": "tax"}, {"tools": ["t"]}),
    "tool_manager.call": (
        [("tool_manager.register", {"tool": "t", "can": "tax", "calculation": "(amount + 1) * 2"})], {"tool": "t", "arguments": {"amount": 4}}, {"result": 10}),
    "context_manager.context": ([("context_manager.tell", {"subject": "s", "key": "vip", "value": True})], {"subject": "s"}, {"context": {"vip": True}}),
    "context_manager.tell": ([], {"subject": "s", "key": "k", "value": 1}, {"known": 1}),
}  # fmt: skip
#: operation -> an input that it refuses, and by which code
REFUSED = {
    "auth_rbac.require": ({"user": "mallory", "permission": "pay"}, "DENIED"),
    "federated_learning.aggregate": ({"model": "m"}, "NO_CONTRIBUTIONS"),
    "real_time_collaboration.post": ({"room": "x", "text": "x"}, "NO_ROOM"),
    "real_time_collaboration.close_room": ({"room": "x"}, "NO_ROOM"),
    "document_management.get": ({"document": "x"}, "NOT_FOUND"),
    "time_series_analytics.trend": ({"series": "x"}, "NO_SERIES"),
    "analysis_manager.analyse": ({"data": ["x"]}, "NO_DATA"),
    "data_manager.get": ({"key": "x"}, "NOT_FOUND"),
    "tool_manager.call": ({"tool": "x", "arguments": {}}, "NO_TOOL"),
}


@asynccontextmanager
async def serving(app: Stubs) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done()
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def stubs() -> AsyncIterator[Stubs]:
    app = Stubs(TOKEN)
    async with serving(app) as url:
        app.url = url
        yield app


@pytest.fixture
def call(stubs, bench, monkeypatch) -> Any:
    """One job of an operation."""
    monkeypatch.setenv("FLOWLEDGER_SECRET_PLATFORM", TOKEN)
    b = bench()

    async def do(name: str, given: dict[str, Any], headers: dict[str, Any] | None = None, key: str = "77", **record: Any) -> Any:
        capability, _, operation = name.partition(".")
        found = {**records(stubs.url, "PLATFORM")[capability], **record}
        b.connector = Operation(capability, operation, found, HttpConnector(), b.runner.secrets)
        return await b(given, headers, key=key)

    do.bench = b
    return do


@pytest.mark.req("APG-CON-013", "APG-CON-014", "D-CON-002")
def test_the_catalogue_has_the_eight_and_the_six_each_with_its_contract():
    assert set(EIGHT.split()) <= set(PLATFORM) and set(SIX.split()) <= set(PLATFORM)
    operations = {f"{name}.{o}" for name, record in PLATFORM.items() for o in record["operations"]}
    assert operations == set(GOOD)
    assert {f"{n}.{o}" for n, r in PLATFORM.items() for o, row in r["operations"].items() if row.get("errors")} == set(REFUSED)
    for name, record in PLATFORM.items():
        assert capabilities.problems(name, record) == []


@pytest.mark.req("APG-CON-022", "D-CON-011")
@pytest.mark.parametrize("name", GOOD)
async def test_contract(name, call, stubs):
    before, given, has = GOOD[name]
    for i, (other, first) in enumerate(before):
        await call(other, first, key=f"1{i}")
    answer = await call(name, given)
    assert answer == has, "the answer is the task's variables"
    capability, _, operation = name.partition(".")
    assert schemas.check(PLATFORM[capability]["operations"][operation]["output"], answer) == []
    calls = len(stubs.calls)
    assert await call(name, given) == has and len(stubs.calls) == calls, "the same work is known by its key and not done again"
    with pytest.raises(JobFailed, match=r"\(INPUT\)") as wrong:
        schema = PLATFORM[capability]["operations"][operation]["input"]
        await call(name, {} if schema["required"] else {next(iter(schema["properties"])): 3})
    assert wrong.value.retries == 0 and len(stubs.calls) == calls, "what doesn't fit isn't sent, and another attempt can't help"


@pytest.mark.parametrize("name", REFUSED)
async def test_a_business_error_is_a_bpmn_error(name, call):
    given, code = REFUSED[name]
    with pytest.raises(BpmnError) as e:
        await call(name, given)
    assert e.value.code == code


async def test_what_is_away_is_tried_again_and_a_wrong_token_is_not(call, stubs, monkeypatch):
    stubs.fail = 1
    with pytest.raises(JobFailed) as e:
        await call("auth_rbac.roles", {"user": "ann"})
    assert e.value.code == "503" and e.value.retries is None
    assert await call("auth_rbac.roles", {"user": "ann"}) == {"roles": ["clerk"]}
    monkeypatch.setenv("FLOWLEDGER_SECRET_PLATFORM", "another-token")
    with pytest.raises(JobFailed) as e:
        await call("auth_rbac.roles", {"user": "bob"}, key="78")
    assert e.value.code == "401" and e.value.retries == 0 and "another-token" not in str(e.value)
    monkeypatch.delenv("FLOWLEDGER_SECRET_PLATFORM")
    with pytest.raises(JobFailed, match="SECRET_MISSING"):
        await call("auth_rbac.roles", {"user": "bob"}, key="79")


async def test_the_model_may_say_what_becomes_of_the_answer(call):
    found = await call("auth_rbac.roles", {"user": "ann"}, {"resultVariable": "all", "resultExpression": "={first: roles[1]}"})
    assert found == {"all": {"roles": ["clerk"]}, "first": "clerk"}


async def test_an_answer_that_is_not_as_it_was_said_is_an_incident(call):
    rows = json.loads(json.dumps(PLATFORM["auth_rbac"]["operations"]))
    rows["roles"]["output"]["properties"]["roles"] = {"type": "integer"}
    with pytest.raises(JobFailed, match=r"the answer of auth_rbac.roles isn't what its schema says: .*\(OUTPUT\)") as e:
        await call("auth_rbac.roles", {"user": "ann"}, operations=rows)
    assert e.value.retries == 0


@pytest.mark.parametrize("row", [{}, {"input": {"type": "object"}}, {"input": {"type": "object", "required": ["user"]}}])
async def test_where_no_fields_are_named_the_variable_input_is_sent_and_whatever_comes_is_taken(row, call):
    rows = {"roles": row}
    assert await call("auth_rbac.roles", {"input": {"user": "ann"}, "more": 1}, operations=rows) == {"roles": ["clerk"]}


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "name": ("No!", {"operations": {"a": {}}}, "name: expected small letters"),
    "key": ("a", {"operations": {"a": {}}, "x": 1}, "'x' is not known"),
    "no operations": ("a", {}, "operations: expected an object of 1 to 100"),
    "too many": ("a", {"operations": {f"o{i}": {} for i in range(101)}}, "operations: expected"),
    "operation's name": ("a", {"operations": {"A b": {}}}, "operations.A b: expected small letters"),
    "operation's key": ("a", {"operations": {"a": {"x": 1}}}, "operations.a: 'x' is not known"),
    "schema": ("a", {"operations": {"a": {"input": {"type": "money"}}}}, "operations.a.input"),
    "timeout": ("a", {"operations": {"a": {"timeout": "soon"}}}, "operations.a.timeout"),
    "path": ("a", {"operations": {"a": {"path": "x?y"}}}, "operations.a.path: expected a path"),
    "endpoint": ("a", {"operations": {"a": {}}, "endpoint": "ftp://x"}, "endpoint: expected an http or https URL"),
    "endpoint with a password": ("a", {"operations": {"a": {}}, "endpoint": "http://u:p@x"}, "endpoint: expected"),
    "a secret in clear text": (
        "a", {"operations": {"a": {}}, "authentication": {"type": "bearer", "token": "abcdef"}}, "authentication.token: expected a reference"),
    "authentication": ("a", {"operations": {"a": {}}, "authentication": {"type": "magic"}}, "authentication.type: expected one of"),
    "events": ("a", {"operations": {"a": {}}, "events": "x"}, "events: expected a list"),
    "headers": ("a", {"operations": {"a": {}}, "headers": {"a": 1}}, "headers: expected an object"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_may_not_be_registered_is_said(case):
    name, value, told = WRONG[case]
    assert any(told in problem for problem in capabilities.problems(name, value)), capabilities.problems(name, value)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine(MemoryLog(MemoryStore(2)), partitions=2)
    await made.start()
    yield made
    await made.stop()


async def done(engine: Engine, command: Any, caller: Caller = Caller()) -> dict[str, Any]:
    answer = await engine.call(command, caller, timeout_s=60)
    assert not isinstance(answer, Rejected), answer
    return answer


async def register(engine: Engine, found: dict[str, dict[str, Any]], tenant: str = "") -> None:
    for name, value in found.items():
        await done(
            engine, c.StoreRecord(registry="capability", name=f"{tenant}/{name}" if tenant else name, value=value), Caller(tenant=tenant)
        )


@pytest.mark.timeout(120)
@pytest.mark.req("APG-CON-002", "APG-CON-003", "APG-CON-013", "D-CON-004", "APG-POS-005", "APG-POS-020", "APG-MOD-008")
async def test_one_process_calls_all_of_them_by_name_and_operation_without_code(engine, stubs, monkeypatch):
    monkeypatch.setattr("flowledger.connectors.capabilities.LOOK_S", 0.1)
    monkeypatch.setenv("FLOWLEDGER_SECRET_PLATFORM", TOKEN)
    deploy = c.Deploy(resources=[c.Resource(EXAMPLE.name, EXAMPLE.read_text())], force=True)
    found = (await done(engine, deploy))["findings"]
    warned = [f["message"] for f in found if f["code"] == "CAPABILITY_UNREGISTERED"]
    assert len(warned) == 18 and "the capability 'auth_rbac' isn't registered" in warned, "deployment says what isn't there"
    given = {"user": "ann", "order": {"id": "o-1", "customer": "c", "amount": 50}}
    async with running(engine) as work:
        waiting = asyncio.create_task(done(engine, c.StartInstance(id="all-capabilities", variables=given, wait=True)))
        await asyncio.sleep(0.3)
        assert not waiting.done() and stubs.calls == [], "its first task waits until somebody serves it"
        await register(engine, records(stubs.url, "PLATFORM"))
        # a tool that is registered at run time is found by what it can
        await done(engine, c.StoreRecord(registry="capability", name="late", value={"operations": {"go": {}}}))
        stubs.platform.tools["vat"] = ("sales-tax", "amount * 0.2")
        answer = await waiting
        assert answer["status"] == "completed"
        assert answer["variables"]["tax"]["output"]["result"] == 10
        assert stubs.platform.notices["ann"] == ["o-1: tax 10"]
        assert {name for name, *_ in stubs.calls} == set(PLATFORM)
        # who may not is stopped at the first step
        denied = await done(engine, c.StartInstance(id="all-capabilities", variables={**given, "user": "mallory"}))
        async with asyncio.timeout(20):
            while not (incidents := [i for o in engine.owners.values() for i in o.state.incidents.values()]):
                await asyncio.sleep(0.05)
        assert incidents[0].instance == denied["key"] and "DENIED" in incidents[0].message
        async with asyncio.timeout(20):
            while work.runner.telemetry.metrics.capability_up.labels("", "auth_rbac")._value.get() != 1:
                await asyncio.sleep(0.1)
    assert [f for f in (await done(engine, deploy))["findings"] if f["code"] == "CAPABILITY_UNREGISTERED"] == []
    unknown = EXAMPLE.read_text().replace("operation: predict", "operation: guess").replace("id: all-", "id: other-")
    [told] = [
        f["message"]
        for f in (await done(engine, c.Deploy(resources=[c.Resource("o.yaml", unknown)])))["findings"]
        if f["code"] == "CAPABILITY_UNREGISTERED"
    ]
    assert told == "the capability 'ai_orchestration' has no operation 'guess', it has classify, optimise, predict, summarise"


@pytest.mark.timeout(120)
async def test_a_change_of_the_registry_is_served_at_once_and_a_tenant_has_its_own(engine, stubs, monkeypatch):
    monkeypatch.setattr("flowledger.connectors.capabilities.LOOK_S", 0.05)
    model = "id: ask\nsteps: [{id: a, type: capability, capability: auth_rbac, operation: roles, parameters: {user: ann}}]"
    for tenant in ("", "acme"):
        await done(engine, c.Deploy(resources=[c.Resource("a.yaml", model)]), Caller(tenant=tenant))
    everybody, own = ({"auth_rbac": {**records(stubs.url)["auth_rbac"], "endpoint": f"{stubs.url}/{x}"}} for x in ("nowhere", "auth_rbac"))
    stubs.token = ""
    await register(engine, own, "acme")
    await register(engine, everybody)
    start = c.StartInstance(id="ask", variables={}, wait=True)
    async with running(engine, connector_tenants=("acme",)) as work:
        assert (await done(engine, start, Caller(tenant="acme")))["variables"]["a"]["output"] == {"roles": ["clerk"]}
        other = asyncio.create_task(done(engine, start))
        async with asyncio.timeout(20):
            while not any(o.state.incidents for o in engine.owners.values()):
                await asyncio.sleep(0.05)
        assert not other.done(), "the one for all has an endpoint that isn't there"
        [incident] = [key for o in engine.owners.values() for key in o.state.incidents]
        await register(engine, own)
        await asyncio.sleep(0.3)
        await done(engine, c.ResolveIncident(key=incident))
        assert (await other)["status"] == "completed"
        up = work.runner.telemetry.metrics.capability_up
        async with asyncio.timeout(20):
            while not any(s.value for family in up.collect() for s in family.samples):
                await asyncio.sleep(0.05)
            await done(engine, c.StoreRecord(registry="capability", name="auth_rbac"))
            while [s for family in up.collect() for s in family.samples if s.labels["tenant"] == ""]:
                await asyncio.sleep(0.05)


def test_the_stubs_calculate_without_python():
    p = Platform()
    p.do("tool_manager", "register", {"tool": "t", "can": "x", "calculation": "__import__('os').system('true')"})
    p.do("tool_manager", "register", {"tool": "u", "can": "x", "calculation": "1 +"})
    for tool in ("t", "u"):
        with pytest.raises(Exception, match="expected numbers|can't be read"):
            p.do("tool_manager", "call", {"tool": tool, "arguments": {}})

"""Jobs of a task definition with a security context: who may have them, what the executor is told, and what may stand there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from workbench import Bench, one, service

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel.tasks import clearance, registry
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine

MODEL = one(service(type="pay"))


def bench(**context: Any) -> Bench:
    b = Bench(MODEL)
    b.store("task_definition", "pay", execution={"security_context": context})
    b.store("directory", "service:vault", certified=["pay"], permissions=["ledger:write"])
    b.store("directory", "service:all", certified=["*"])
    b.store("directory", "service:plain", permissions=["ledger:write"], certified=["payroll"])
    return b


def handed(b: Bench, actor: str, **more: Any) -> list[int]:
    return [j["key"] for j in b.do(c.ActivateTasks(job_type="pay", worker=actor or "w", **more), actor=actor)["jobs"]]


@pytest.mark.req("TES-SEC-001")
@pytest.mark.parametrize(
    ("context", "takers"),
    [
        ({"level": "HIGH"}, {"vault", "service:vault", "all"}),
        ({"level": "MEDIUM"}, {"vault", "service:vault", "all", "plain", "nobody", ""}),
        ({"level": "LOW"}, {"vault", "service:vault", "all", "plain", "nobody", ""}),
        ({"required_permissions": ["ledger:write"]}, {"vault", "service:vault", "plain"}),
        ({"level": "HIGH", "required_permissions": ["ledger:write"]}, {"vault", "service:vault"}),
    ],
)
def test_a_high_job_goes_to_a_certified_worker_alone(context, takers):
    found = set()
    for actor in ("vault", "service:vault", "all", "plain", "nobody", ""):
        b = bench(**context)
        b.start()
        [task] = b.p.tasks.values()
        if handed(b, actor):
            found.add(actor)
            assert b.do(c.CompleteTask(task=task.key, fence=task.fence)) is not None and not b.p.instances
            continue
        for command in (
            c.CompleteTask(task=task.key),
            c.FailTask(task=task.key, message="x", retries=0),
            c.ThrowTaskError(task=task.key, code="E1"),
        ):
            refused = b.ask(command, actor=actor)
            assert isinstance(refused, Rejected) and refused.code == "FORBIDDEN", "nor is it done without a lease"
            assert "to be certified for pay" in refused.message or "to have the permission ledger:write" in refused.message
        assert task.status == "created" and not task.worker
    assert found == takers


def test_what_holds_now_holds_and_what_held_when_it_was_made_too():
    b = bench(level="LOW")
    b.start()
    b.store("task_definition", "pay", execution={"security_context": {"level": "HIGH"}})
    assert handed(b, "plain") == [], "raised: all of its jobs"
    b.start()
    b.store("task_definition", "pay", execution={"security_context": {"level": "LOW"}})
    old, new = sorted(b.p.tasks)
    assert handed(b, "plain") == [old], "lowered: those that are made from now on"
    assert handed(b, "plain") == [] and handed(b, "all") == [new]


def test_one_that_names_a_definition_is_passed_over_and_the_others_are_handed_out():
    b = bench(level="LOW")
    b.store("task_definition", "secret", execution={"security_context": {"level": "HIGH"}})
    first = b.create(name="s", job_type="pay", details={"definition": "secret"})
    second = b.create(name="t", job_type="pay")
    assert handed(b, "plain") == [second] and handed(b, "plain") == [] and handed(b, "vault") == [first]


async def test_who_waits_first_and_may_not_have_it_keeps_nobody_from_it():
    engine = Engine(MemoryLog(MemoryStore(1)), partitions=1)
    await engine.start()

    async def done(command: Any) -> Any:
        answer = await engine.call(command, Caller(actor="boss"))
        assert not isinstance(answer, Rejected), answer
        return answer

    def wait(name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(engine.activate("pay", name, 1, 60_000, 20_000, caller=Caller(actor=name)))

    try:
        await done(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]))
        value = {"execution": {"security_context": {"level": "HIGH"}}}
        await done(c.StoreRecord(registry="task_definition", name="pay", value=value))
        await done(c.StoreRecord(registry="directory", name="service:vault", value={"certified": ["pay"]}))
        waiting = {name: wait(name) for name in ("a", "b", "vault", "d")}
        await asyncio.sleep(0)
        started = await done(c.StartInstance(id="p"))
        [job] = await asyncio.wait_for(waiting["vault"], 10)
        assert job["instance"] == started["key"] and not any(waiting[n].done() for n in "abd")
        await done(c.StartInstance(id="p"))
        await done(c.StoreRecord(registry="directory", name="service:b", value={"certified": ["*"]}))
        assert await asyncio.wait_for(waiting["b"], 10), "certified while it waits, it gets what is there"
        assert not waiting["a"].done() and not waiting["d"].done()
        for task in waiting.values():
            task.cancel()
    finally:
        await engine.stop()


@pytest.mark.req("TES-TSK-010")
def test_the_executor_is_told_how_to_do_it_and_secrets_are_references():
    execution = {
        "executor": "container", "environment": {"REGION": "eu", "DB_PASSWORD": "{{secrets.DB}}"},
        "security_context": {"level": "HIGH", "run_as": "svc-ledger", "required_permissions": ["ledger:write"]},
    }  # fmt: skip
    b = bench()
    b.store("task_definition", "pay", execution=execution, resources={"cpu": 2, "memory": 512})
    b.start()
    [job] = b.do(c.ActivateTasks(job_type="pay", worker="vault"), actor="vault")["jobs"]
    assert job["details"]["execution"] == execution and job["details"]["resources"] == {"cpu": 2, "memory": 512}
    wrong = {**execution, "environment": {"DB_PASSWORD": "hunter2"}}
    refused = b.ask(c.StoreRecord(registry="task_definition", name="pay", value={"execution": wrong}))
    assert isinstance(refused, Rejected) and "execution.environment.DB_PASSWORD: expected a reference to a secret" in refused.message
    assert "hunter2" not in refused.message and "hunter2" not in str(b.log)


LONG = clearance.TEXT_MAX


@pytest.mark.parametrize(
    ("execution", "told"),
    [
        ({"executor": "x" * LONG}, ""),
        ({"executor": "x" * (LONG + 1)}, "execution.executor: expected a text of 1 to 255 characters"),
        ({"executor": 5}, "execution.executor: expected a text of 1 to 255 characters"),
        ({"environment": ["A"]}, "execution.environment: expected an object of at most 100 texts"),
        ({"environment": {str(n): "x" for n in range(100)}}, ""),
        ({"environment": {str(n): "x" for n in range(101)}}, "execution.environment: expected an object of at most 100 texts"),
        ({"environment": {"A": "x" * clearance.VALUE_MAX}}, ""),
        ({"environment": {"A": "x" * (clearance.VALUE_MAX + 1)}}, "execution.environment.A: expected a text of at most 2000 characters"),
        ({"environment": {"A": 1}}, "execution.environment.A: expected a text of at most 2000 characters"),
        ({"environment": {"api-key": "abc"}}, "execution.environment.api-key: expected a reference to a secret, {{secrets.NAME}}, and nothing else"),
        ({"environment": {"My_Token": "Bearer {{secrets.T}}"}}, "execution.environment.My_Token: expected a reference to a secret, {{secrets.NAME}}, and nothing else"),
        ({"environment": {"TOKEN": "{{secrets.T}}"}}, ""),
        ({"security_context": "HIGH"}, "execution.security_context: expected an object, found string"),
        ({"security_context": {"level": "high"}}, "execution.security_context.level: expected one of LOW, MEDIUM, HIGH, found 'high'"),
        ({"security_context": {"levle": "HIGH"}}, "execution.security_context: 'levle' is not known"),
        ({"security_context": {"run_as": ""}}, "execution.security_context.run_as: expected a text of 1 to 255 characters"),
        ({"security_context": {"required_permissions": "a"}}, "execution.security_context.required_permissions: expected a list of at most 100 texts"),
    ],
)  # fmt: skip
def test_what_may_stand_in_an_execution(execution, told):
    found = registry.problems("task_definition", "pay", {"execution": execution})
    assert len(found) == bool(told) and all(text.startswith(told) for text in found), found


@pytest.mark.parametrize(("value", "fits"), [(["a"], True), (["*"], True), (None, True), ("a", False), ([""], False), (["a"] * 101, False)])
def test_what_may_stand_as_certified(value, fits):
    found = registry.problems("directory", "service:x", {"certified": value})
    assert found == ([] if fits else ["certified: expected a list of at most 100 job types, or *"])

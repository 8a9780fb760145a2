"""Histories to project: events as the kernel writes them, with positions and times that only go forward."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

from flowledger.events import definition as de
from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Envelope, Event, Recorded
from flowledger.events.commands import PARTITION_BITS

START_US = 1_729_928_000_000_000  # 2024-10-26: in the past of any clock


class Log:
    """Partitions in memory, and a source over them that waits at the end."""

    def __init__(self, partitions: int = 1, start_us: int = START_US) -> None:
        self.records: dict[int, list[Recorded]] = {p: [] for p in range(partitions)}
        self.keys = dict.fromkeys(range(partitions), 0)
        self.now_us = start_us
        self.batch = 50

    def key(self, partition: int = 0) -> int:
        self.keys[partition] += 1
        return partition << PARTITION_BITS | self.keys[partition]

    def add(self, *events: Event, partition: int = 0, tenant: str = "", actor: str = "ann", after_us: int = 1_000) -> list[Recorded]:
        """The events of one command."""
        self.now_us += after_us
        envelope = Envelope(self.now_us, tenant, actor, f"c{self.now_us}", "corr", "")
        log = self.records[partition]
        made = [Recorded(e, envelope, partition, len(log) + n) for n, e in enumerate(events)]
        log += made
        return made

    def all(self) -> list[Recorded]:
        return [r for log in self.records.values() for r in log]

    async def source(self, partition: int, offset: int) -> AsyncIterator[tuple[Sequence[Recorded], int]]:
        log = self.records[partition]
        while True:
            while offset < len(log):
                part = log[offset : offset + self.batch]
                offset += len(part)
                yield part, offset
            await asyncio.sleep(0.005)

    async def end(self, partition: int) -> int:
        return len(self.records[partition])

    # --- pieces of stories

    def definition(self, name: str = "order", version: int = 1, partition: int = 0, content: str = "<x/>", tenant: str = "") -> int:
        key = self.key()
        for p in self.records:
            self.add(
                de.DefinitionCreated(key=key, id=name, kind="process", version=version, hash=f"h-{name}-{version}", name=name.title(),
                                     resource=f"{name}.bpmn", content=content if p == 0 else "", metadata={"tags": ["a", "b"]}),
                partition=p, tenant=tenant,
            )  # fmt: skip
        return key

    def start(
        self, definition: int, variables: dict | None = None, partition: int = 0, process: str = "order", **more: object
    ) -> tuple[int, int]:
        """(instance, token at the start event's task)."""
        tenant = str(more.pop("tenant", ""))
        key, token = self.key(partition), self.key(partition)
        self.add(
            wf.WorkflowStarted(key=key, process=process, definition=definition, version=1, variables=variables,
                token=token, element="start",
                               **more),  # type: ignore[arg-type]
            fl.FlowTaken(key=key, token=token, flow="f1", source="start", target="work"),
            partition=partition, tenant=tenant,
        )  # fmt: skip
        return key, token

    def task(self, instance: int, token: int, element: str = "work", type: str = "service_task", partition: int = 0, **more: object) -> int:
        task = self.key(partition)
        tenant = str(more.pop("tenant", ""))
        more.setdefault("job_type", "charge" if type == "service_task" else "")
        self.add(
            ta.TaskCreated(key=instance, task=task, token=token, element=element, type=type, **more), partition=partition, tenant=tenant
        )  # type: ignore[arg-type]
        return task

    def lease(self, *tasks: int, worker: str = "w1", partition: int = 0) -> None:
        self.add(ta.TaskLeased(worker=worker, tasks=list(tasks), deadline_us=self.now_us + 60_000_000), partition=partition, actor=worker)

    def complete(self, instance: int, token: int, task: int, variables: dict | None = None, element: str = "work", partition: int = 0,
                 result: dict | None = None, end: bool = True, tenant: str = "") -> None:  # fmt: skip
        events: list[Event] = [
            ta.TaskCompleted(key=instance, task=task, token=token, element=element, variables=variables, merged=instance, result=result),
            fl.FlowTaken(key=instance, token=token, flow="f2", source=element, target="end"),
        ]
        if end:
            events.append(wf.WorkflowCompleted(key=instance, token=token, element="end"))
        self.add(*events, partition=partition, actor="w1", tenant=tenant)

    def one_task_instance(self, definition: int, n: int = 0, partition: int = 0, done: bool = True) -> tuple[int, int]:
        instance, token = self.start(definition, {"n": n, "name": f"order {n}"}, partition)
        task = self.task(instance, token, partition=partition)
        if done:
            self.lease(task, partition=partition)
            self.complete(instance, token, task, {"total": Decimal("12.50")}, partition=partition)
        return instance, task


def rich(partitions: int = 1) -> tuple[Log, dict[str, int]]:
    """A history with something in each table: (log, names of keys)."""
    log = Log(partitions)
    names: dict[str, int] = {}
    d = names["definition"] = log.definition()
    log.add(de.DefinitionStatusChanged(key=d, status="deprecated", reason="old"))
    for n in range(3):
        log.one_task_instance(d, n, partition=n % partitions)
    # a person's task that is assigned, accepted, worked on, with a metric
    i, t = log.start(
        d,
        {"amount": Decimal("1.10"), "tags": ["x"], "text": 'a\\b"c\td\ne'},
        business_key="PO-1",
        priority=80,
        metadata={"name": "Purchase", "options": {"a": 1}},
    )
    names["instance"], names["token"] = i, t
    task = names["task"] = log.task(
        i,
        t,
        "approve",
        "user_task",
        details={"candidate_groups": ["boss", "cfo"], "due_us": log.now_us + 3_600_000_000, "form": {"key": "f"}, "color": "red"},
        headers={"h": "1"},
    )
    log.add(
        ta.TaskAssigned(
            key=i,
            task=task,
            status="assigned",
            details={"assignee": "bob", "assignment": {"type": "human", "why": "least load"}},
            reason="round robin",
        )
    )
    log.add(ta.TaskAccepted(key=i, task=task, status="assigned"), actor="bob")
    log.add(ta.TaskStarted(key=i, task=task, status="started"), actor="bob")
    log.add(
        ta.TaskProgress(
            key=i, task=task, status="in_progress", details={"progress": {"percent": 50}, "metrics": {"cpu": 1.5, "big": 10**12}}
        ),
        actor="bob",
    )
    log.add(ta.TaskDelegated(key=i, task=task, status="assigned", details={"assignee": "cy"}, reason="holiday"), actor="bob")
    # a failing service task with an incident
    i2, t2 = log.start(d, {"x": True})
    failing = names["failing"] = log.task(i2, t2, retries=2)
    names["failed_instance"] = i2
    log.lease(failing, names["task"])
    log.add(ta.TaskFailed(key=i2, task=failing, token=t2, element="work", retries=1, code="E1", message="first"))
    log.lease(failing)
    log.add(ta.TaskTimedOut(tasks=[failing]), actor="")
    log.lease(failing)
    inc = names["incident"] = log.key()
    log.add(
        ta.TaskFailed(key=i2, task=failing, token=t2, element="work", retries=0, message="last"),
        wa.IncidentRaised(key=i2, incident=inc, token=t2, element="work", code="JOB_NO_RETRIES", message="last", task=failing),
    )
    # a sub-process with a task and a timer inside, interrupted from outside
    i3, t3 = log.start(d)
    inner, timer = log.key(), log.key()
    names["inner_timer"] = timer
    log.add(fl.ElementActivated(key=i3, token=inner, scope=t3, element="inner", variables={"local": 1}),
            wa.TimerScheduled(key=i3, timer=timer, token=inner, element="inner", due_us=log.now_us + 10**9))  # fmt: skip
    names["inner_task"] = log.task(i3, inner, "inner")
    log.add(fl.ElementTerminated(key=i3, token=t3, element="sub"), wf.WorkflowCancelled(key=i3, reason="changed my mind"))
    names["cancelled"] = i3
    # messages, a repeating timer that starts instances, variables, pause, a pending instance
    m = names["message"] = log.key()
    log.add(wa.MessageReceived(message=m, name="paid", correlation="42", variables={"sum": 5}, expires_us=log.now_us + 10**9))
    log.add(wa.MessageAssigned(key=i, message=m, subscription=99, process="order"))
    log.add(wa.MessageExpired(message=m), actor="")
    st = names["start_timer"] = log.key()
    log.add(wa.TimerScheduled(timer=st, token=0, element="start", due_us=log.now_us + 10**9, repeat="R/PT1H", left=-1, definition=d))
    log.add(wa.TimerTriggered(timer=st, token=0, element="start", next_us=log.now_us + 2 * 10**9), actor="")
    log.add(wf.VariableSet(key=i, scope=i, variables={"amount": 2, "new": None}), wf.VariableSet(key=i, scope=t, variables={"amount": 3}))
    log.add(wf.WorkflowPaused(key=i, reason="audit"))
    p = names["pending"] = log.key()
    log.add(wf.WorkflowCreated(key=p, process="order", definition=d, version=1, variables={"q": 1}))
    log.add(wf.WorkflowStarted(key=p, process="order", definition=d, version=1, variables={"q": 1}))
    alone = names["alone"] = log.key()
    log.add(
        ta.TaskCreated(
            key=0,
            task=alone,
            token=0,
            element="",
            type="human_task",
            details={"name": "Call back", "assignee": "dee", "reference": "Acme Ltd"},
        )
    )
    return log, names

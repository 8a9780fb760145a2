"""The model that drawn histories (`bench/histories.py`) go by, with its flows' names; and their events by instance."""

from __future__ import annotations

from collections import defaultdict

from flowledger.analytics import fold
from flowledger.bench.histories import JOBS, History
from flowledger.events import task as ta
from flowledger.events.base import Event

_FLOWS = (
    "start-check", "check-fine", "fine-mend", "mend-check", "fine-approve", "approve-split", "split-bill", "split-pack", "bill-join", "pack-join", "join-ship",
    "ship-end",
)  # fmt: skip
_TASKS = "".join(
    f'<serviceTask id="{e}"><extensionElements><zeebe:taskDefinition type="{job}"/></extensionElements></serviceTask>'
    for e, job in JOBS.items()
)
ORDER = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">'
    '<process id="order" isExecutable="true"><startEvent id="start"/><endEvent id="end"/><userTask id="approve"/>'
    '<exclusiveGateway id="fine" default="fine-approve"/><parallelGateway id="split"/><parallelGateway id="join"/>'
    + _TASKS
    + "".join(
        f'<sequenceFlow id="{f}" sourceRef="{f.split("-")[0]}" targetRef="{f.split("-")[1]}"'
        + ("><conditionExpression>=bad</conditionExpression></sequenceFlow>" if f == "fine-mend" else "/>")
        for f in _FLOWS
    )
    + "</process></definitions>"
)


def events_of(history: History) -> dict[int, list[tuple[Event, int]]]:
    by_key, of_task = defaultdict(list), {}
    for log in history.records().values():
        for r in log:
            e, us = r.event, r.envelope.time_us
            if type(e) is ta.TaskCreated:
                of_task[e.task] = e.key
            for key in {of_task[t] for t in e.tasks} if type(e) in fold.OF_TASKS else (e.key,):
                by_key[key].append((e, us))
    return {k: v for k, v in by_key.items() if type(v[0][0]).__name__ == "WorkflowStarted"}

"""What rule packs say of what is there already: models in force, instances that run or have ended, work that people have or had. Read from the rows, and
judged by the same functions as decisions are (`kernel/packs/judge.py`); nothing is changed, and nothing that is protected is opened."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from flowledger.events.avro import decode_json, encode_json
from flowledger.kernel import Facts, model
from flowledger.kernel.model.encodings import utf8
from flowledger.kernel.model.graph import Process
from flowledger.kernel.packs import contexts, judge
from flowledger.kernel.packs.judge import InForce, Look, Verdict
from flowledger.kernel.protection import PREFIX

Row = dict[str, Any]
#: what rules of an instance or a task read that may be protected
_READS = frozenset(("variables", "result"))


class Known(NamedTuple):
    """A definition with its model. `process`: None where its source can't be read any more."""

    row: Row
    process: Process | None

    @property
    def seen(self) -> dict[str, Any]:
        row = self.row
        return contexts.process(row["id"], row["name"] or "", row["version"], row["version_tag"] or "", self.tags)

    @property
    def tags(self) -> list[str]:
        return contexts.tags(self.row.get("metadata"), self.process)


def known(row: Row, content: str) -> Known:
    graph, _ = model.read(utf8(content), row["resource"] or "")
    processes = getattr(graph, "processes", None) or {}
    return Known(row, processes.get(row["id"]))


class Counts:
    """What was looked at. `hidden`: rules that were left out, since they read what is protected in this instance."""

    __slots__ = ("hidden", "instances", "models", "tasks")

    def __init__(self) -> None:
        self.models = self.instances = self.tasks = self.hidden = 0


def _facts() -> Facts:
    return Facts(time.time_ns() // 1000)


def of_model(packs: list[InForce], found: Known, retention: list[dict[str, str]], counts: Counts) -> Iterator[Row]:
    if found.process is None:
        return
    counts.models += 1
    for v in judge.of_model(Look(_facts()), packs, contexts.model(found.process, found.tags), retention):
        yield told(v, "model", found, "deploy")


def of_instance(packs: list[InForce], found: Known, row: Row, looks: frozenset[str], counts: Counts) -> Iterator[Row]:
    """Rules on instances by the values as they are now; rules on tasks by who did what, one after the other as it was done."""
    variables = _exact(row["variables"])
    hidden = any(isinstance(v, str) and v.startswith(PREFIX) for v in variables.values())
    process = found.seen
    if "instance" in looks:
        counts.instances += 1
        open_ = [_without(one, hidden, counts, "instance") for one in packs]
        sees = {
            "process": process, "actor": contexts.bare(row["initiator"] or "") or None, "business_key": row["business_key"] or None,
            "called": bool(row["parent"]), "variables": variables,
        }  # fmt: skip
        for v in judge.of_instance(Look(_facts()), open_, sees):
            yield told(v, "instance", found, "start", row, contexts.bare(row["initiator"] or ""))
    if "task" in looks:
        yield from _of_tasks(packs, found, row, variables, hidden, counts)


def _of_tasks(packs: list[InForce], found: Known, row: Row, variables: Row, hidden: bool, counts: Counts) -> Iterator[Row]:
    starter = contexts.bare(row["initiator"] or "")
    done: dict[str, list[str]] = {"": [starter]} if starter else {}
    for task in row["tasks"]:
        counts.tasks += 1
        who, held = list(task["who"] or ()), contexts.bare(task["assignee"] or "")
        ended = task["status"] == "completed"
        if ended or held:
            at = "complete" if ended else "assign"
            yield from _of_task(packs, found, row, task, at, who if ended else [""], held, done, variables, hidden, counts)
        if ended:
            done[task["element"]] = list(dict.fromkeys([*done.get(task["element"], ()), *who]))


def _of_task(
    packs: list[InForce], found: Known, row: Row, task: Row, at: str, who: list[str], held: str, done: dict[str, list[str]], variables: Row,
    hidden: bool, counts: Counts,
) -> Iterator[Row]:  # fmt: skip
    node = found.process.nodes.get(task["element"]) if found.process is not None else None
    kind, process = node.kind if node is not None else "", found.seen
    rules = judge.rules_of_task(
        [_without(one, hidden, counts, "task") for one in packs], process, task["element"], (kind, task["type"]), at
    )
    if not rules:
        return
    result = _exact(task["output"]) if isinstance(task["output"], dict) else {}
    sees = {
        "process": process, "instance_key": str(row["id"]), "business_key": row["business_key"] or None, "at": at,
        "task": {
            "key": str(task["id"]), "element": task["element"], "name": task["name"], "type": task["type"], "kind": kind, "job_type": task["job_type"],
            "priority": task["priority"], "candidate_groups": task["candidate_groups"] or [], "candidate_users": task["candidate_users"] or [],
            "created_us": int(task["created_at"].timestamp() * 1_000_000),
        },
        "assignee": held or None, "done_by": {k: v for k, v in done.items() if k}, "earlier": contexts.earlier(done, task["element"]),
        "started_by": next(iter(done.get("", ())), None), "variables": {**variables, **result}, "result": result,
    }  # fmt: skip
    look, seen = Look(_facts()), set[tuple[str, str]]()
    for name in who or [""]:
        for v in judge.of_task(look, rules, {**sees, "actor": contexts.bare(name) or None}):
            if (v.by.pack.name, v.rule.id) not in seen:  # several may have had a hand in it: once is enough
                seen.add((v.by.pack.name, v.rule.id))
                yield told(v, "task", found, at, row, name or held, task)


def _without(one: InForce, hidden: bool, counts: Counts, on: str) -> InForce:
    """The pack without the rules that read what is protected here."""
    if not hidden:
        return one
    left = [r for r in one.pack.rules if r.on != on or _READS.isdisjoint(r.reads)]
    if len(left) == len(one.pack.rules):
        return one
    counts.hidden += len(one.pack.rules) - len(left)
    pack = type(one.pack)(one.pack.name)
    pack.title, pack.tell_all, pack.rules = one.pack.title, one.pack.tell_all, left
    return one._replace(pack=pack)


def _exact(value: Any) -> Row:
    """Numbers as expressions have them."""
    found: Row = decode_json(encode_json(value))
    return found


def told(v: Verdict, on: str, found: Known, at: str, row: Row | None = None, who: str = "", task: Row | None = None) -> Row:
    return {
        "pack": v.by.pack.name, "version": v.by.version, "rule": v.rule.id, "title": v.rule.title, "severity": v.rule.severity, "outcome": v.outcome,
        "on": on, "at": at, "definition": found.row["id"], "definition_version": found.row["version"],
        "instance": str(row["id"]) if row is not None else None, "task": str(task["id"]) if task is not None else None, "element": v.element, "who": who,
        "message": v.rule.message, "why": v.why,
    }  # fmt: skip

"""How processes of BPML 1.0 are started: by a message, a signal or a schedule, as start events of BPMN."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.formats import bpml_expressions as ex
from flowledger.kernel.model.formats import bpml_map as bm
from flowledger.kernel.model.formats import bpml_nodes as bn
from flowledger.kernel.model.formats import build
from flowledger.kernel.model.formats.bpml_document import activities, form_of, kid, kids, local
from flowledger.kernel.model.formats.shared import Open


def received(m: bn.Mapper, start: Any) -> None:
    """Move the message's own mappings behind the initial values, so that they win."""
    holder = start.find(f"{{*}}extensionElements/{{{build.NSMAP['zeebe']}}}ioMapping")
    for mapping in [k for k in holder if k.get("data-from") == "message"] if holder is not None else ():
        del mapping.attrib["data-from"]
        holder.append(mapping)


def started(m: bn.Mapper, scope: build.Scope, element: Any, event: Any) -> list[tuple[Any, list[Open]]]:
    """Start events by `event/@activity`: the named activity is the first of the set, or first in the events of a leading choice."""
    names = event.get("activity", "").split()
    found: dict[str, tuple[Any, Any]] = {}
    todo = activities(element)[:1]
    while todo:
        first = todo.pop(0)
        kind = local(first)
        if kind in ("action", "synch"):
            found[first.get("name", "")] = (first, None)
        elif kind == "sequence" and kid(first, "context") is None:
            todo += activities(first)[:1]
        elif kind == "choice":
            for branch in kids(first, "event"):
                found[activities(branch)[0].get("name", "")] = (activities(branch)[0], branch)
        elif kind == "all":
            todo += [a for a in activities(first) if local(a) != "all"]
    starts = []
    for name in names:
        pair = found.get(name)
        if pair is None or (local(pair[0]) == "action" and form_of(pair[0]) not in ("in", "in-out")):
            m.r.find("040", f'event names "{name}", which is not a receiving action or synch that can run first', event)
            continue
        activity, branch = pair
        if branch is None and len(names) > 1:
            m.r.find("060", f'event names several activities; only those of a leading choice can be mapped, not "{name}"', event)
            continue
        start = scope.node("startEvent", name, bn.title_of(activity), m.r.place(activity))
        if local(activity) == "synch":
            scope.event(start, "signal", activity.get("signal").rsplit(":", 1)[-1], m.r.place(activity))
        else:
            scope.event(start, "message", ex.operation(activity), m.r.place(activity))
            ex.receive(m.r, start, activity)
            for mapping in start.iter(f"{{{build.NSMAP['zeebe']}}}output"):
                mapping.set("data-from", "message")
        m.consumed.add(activity)
        ends = [Open(start)]
        if branch is not None:
            ends = bm.after_trigger(m, scope, activity, ends)
            ends = bm.sequence(m, scope, activities(branch)[1:], ends)
            m.consumed.add(branch.getparent())
        starts.append((start, ends))
    return starts


def schedules(m: bn.Mapper, scope: build.Scope, process: Any, starts: list[Any]) -> None:
    """Schedules of the package that start this process: timer start events beside the others."""
    for schedule in kids(m.root, "schedule"):
        if schedule.get("process") is None or schedule.get("process").rsplit(":", 1)[-1] != process.get("name"):
            continue
        plain = next((s for s in starts if not list(s.iter("{*}messageEventDefinition", "{*}signalEventDefinition"))), None)
        start = (
            plain
            if plain is not None and not list(plain.iter("{*}timerEventDefinition"))
            else scope.node("startEvent", schedule.get("name"))
        )
        if start is not plain and starts:
            first = next((f for f, s, _ in m.draft._flows if s is starts[0]), None)
            m.r.find(
                "060", f'schedule "{schedule.get("name")}" and an event both start "{process.get("name")}"', schedule
            ) if first is not None else None
            starts.append(start)
        kind, text = bn.time_of(m, schedule)
        scope.event(start, kind, text, m.r.place(schedule))

"""What a migration leaves as it was though the target says otherwise: told with its plan and its answer, so that nobody is surprised later."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.decision import Decision
from flowledger.kernel.model.graph import Node, Process, Work
from flowledger.kernel.state import Instance, Token

TOLD_MAX = 100


def of(d: Decision, i: Instance, source: Process, process: Process, elements: dict[str, str], kept: set[int]) -> list[str]:
    """`elements`: old id -> new. `kept`: keys of what was there before."""
    found: list[str] = []
    back = {new: old for old, new in elements.items()}
    holders: list[Instance | Token] = [i, *i.tokens.values()]
    for holder in holders:
        for key in holder.holds or ():
            if key not in kept or (held := d.state.tasks.get(key) or d.state.timers.get(key) or d.state.subscriptions.get(key)) is None:
                continue
            new, old = process.nodes.get(held.element), source.nodes.get(back.get(held.element, held.element))
            if new is not None and old is not None and (text := _differs(d, key, held, old, new)):
                found.append(text)
    for node in process.nodes.values():
        before = source.nodes.get(back.get(node.id, node.id))
        if node.compensation is not None and before is not None and before.compensation is None and before.behaviour.activity:
            found.append(f"'{node.id}' can be compensated by '{node.compensation.id}' from now on; where it has completed before, it can't")
    for done in (i.compensable or {}).values():
        found += [
            f"what '{x.element}' has done can't be compensated any more: '{x.handler}' isn't there"
            for x in done
            if x.handler and x.handler not in process.nodes
        ]
    found = list(dict.fromkeys(found))
    return [*found[:TOLD_MAX], *([f"and {len(found) - TOLD_MAX} more"] if len(found) > TOLD_MAX else [])]


def _differs(d: Decision, key: int, held: Any, old: Node, new: Node) -> str:
    if key in d.state.tasks:
        said = new.config.job_type if isinstance(new.config, Work) else None
        type = said.static if said is not None and said.compiled is None else held.job_type
        return (
            f"the task at '{new.id}' keeps its job type '{held.job_type}', the target says '{type}'"
            if type != held.job_type and not held.listener
            else ""
        )
    event = new.events[held.which] if held.which < len(new.events) else None
    was = old.events[held.which] if held.which < len(old.events) else None
    if event is None or was is None:
        return ""
    if key in d.state.timers:
        same = event.timer is None or was.timer is None or (event.timer[0], event.timer[1].text) == (was.timer[0], was.timer[1].text)
        return "" if same else f"the timer at '{new.id}' keeps its moment, the target says {event.timer[1].text}"
    name = event.name.static if event.name is not None and event.name.compiled is None else held.name
    return (
        f"'{new.id}' goes on waiting for {held.kind} '{held.name}', the target says '{name}'"
        if name != held.name and held.kind in ("message", "signal")
        else ""
    )

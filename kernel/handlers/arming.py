"""Start events of definitions: armed when a version is the one in force, withdrawn when it is not."""

from __future__ import annotations

from typing import Any

from flowledger.events import waiting as wa
from flowledger.kernel import lookup, times
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import deployable
from flowledger.kernel.state import Definition


def close_starts(d: Decision, definition: int) -> None:
    p = d.state
    for s in [s for s in p.subscriptions.values() if s.definition == definition]:
        d.record(wa.SubscriptionClosed(subscription=s.key))
    for t in [t for t in p.timers.values() if t.definition == definition]:
        d.record(wa.TimerCancelled(timer=t.key, token=0, element=t.element))


def open_starts(d: Decision, definition: Definition) -> None:
    """Only the version in force is started by events, whichever `definition` is. Timers and signals start on partition 0 only; a message arrives anywhere."""
    p = d.state
    newest = lookup.latest(p, definition.tenant, "process", definition.id)
    for key in (p.process_versions.get((definition.tenant, "process", definition.id)) or {}).values():
        if newest is None or key != newest.key:
            close_starts(d, key)
    if (
        newest is None
        or any(s.definition == newest.key for s in p.subscriptions.values())
        or any(t.definition == newest.key for t in p.timers.values())
    ):
        return
    process = d.facts.processes[newest.key]
    first = p.meta.partition == 0
    for node in start_nodes(process):
        for which, event in enumerate(node.events):
            if event.kind == "conditional" and first and event.condition is not None:
                d.record(
                    wa.SubscriptionOpened(
                        subscription=d.key(), token=0, element=node.id, kind="conditional", name="", definition=newest.key, which=which
                    )
                )
            elif event.kind == "message" or (event.kind == "signal" and first):
                name = deployable.name_of(d, event, node)
                d.record(
                    wa.SubscriptionOpened(
                        subscription=d.key(), token=0, element=node.id, kind=event.kind, name=name, definition=newest.key, which=which
                    )
                )
            elif event.kind == "timer" and first:
                kind, expression = event.timer
                due, repeat, left = times.schedule(kind, deployable.value_of(d, expression), d.facts.now_us, f"timer of {node.id}")
                if due < 0:
                    continue
                d.record(
                    wa.TimerScheduled(
                        timer=d.key(), token=0, element=node.id, due_us=due, repeat=repeat, left=left, definition=newest.key, which=which
                    )
                )


def start_nodes(process: Any) -> list[Any]:
    """Nodes by which events start an instance: start events, instantiating receive tasks, what follows an instantiating event gateway."""
    nodes = [n for n in process.root.starts if n.events]
    for n in process.root.children:
        if n.kind == "receiveTask" and isinstance(n.config, dict) and n.config.get("instantiate") and n.events:
            nodes.append(n)
        if n.kind == "eventBasedGateway" and n.config.get("instantiate"):
            nodes += [f.target for f in n.outgoing]
    return nodes

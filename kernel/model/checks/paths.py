"""What can be reached, which loops can be left, and who waits for ever: advice by looking along the flows of each scope.

Source: BPMN 2.0.2, 10.5.2 and chapter 13; good practice.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.checks.common import declare, say, scopes
from flowledger.kernel.model.graph import Node, Process, Work, implicit_starts

declare(
    {
        "UNREACHABLE": ("warning", "No path leads from a start to an element", "10.5.2, 13.2", "join it to the flow, or remove it"),
        "LOOP_WITHOUT_EXIT": ("warning", "A loop of the flow that can't be left", "13.2, lint", "a gateway, or an interrupting event, that leads out of it"),
        "LOOP_WITHOUT_WAIT": ("warning", "A loop of the flow in which nothing waits: it runs as fast as the engine can", "lint",
                              "a timer or a task in the loop"),
        "TASK_WITHOUT_ERROR_PATH": ("info", "Jobs whose errors nothing catches: they become incidents", "lint",
                                    "an error boundary event, or an event sub-process for errors"),
        "USER_TASK_WITHOUT_TIMER": ("info", "User tasks without due date or timer: nobody notices when they are forgotten", "lint",
                                    "a due date, or a timer boundary event"),
        "WAIT_WITHOUT_TIMER": ("info", "Waits for messages that have no time limit", "lint", "a timer boundary event, or an event-based gateway with a timer"),
    }
)  # fmt: skip

_ALWAYS_WAIT = {
    "userTask",
    "receiveTask",
    "intermediateCatchEvent",
    "callActivity",
    "subProcess",
    "transaction",
    "adHocSubProcess",
    "eventBasedGateway",
}
_JOBS = {"serviceTask", "sendTask", "businessRuleTask", "scriptTask"}
#: findings of one kind per scope; a scope with more of them has one cause
_SHOWN_MAX = 20


def check(r: Any, process: Process) -> None:
    for scope in scopes(process):
        if scope.children and scope.kind != "adHocSubProcess":
            reached = _reached(scope)
            _unreachable(r, scope, reached)
            _loops(r, scope, reached)
    _unattended(r, process)


def followers(node: Node) -> list[Node]:
    """Where a token can go from here: along flows, to boundary events, to a link's target."""
    found = [f.target for f in node.outgoing]
    if node.attached:
        found += node.attached
    for event in node.events:
        if event.kind == "link" and node.kind != "intermediateCatchEvent":
            target = (node.scope or node.process.root).links.get(event.ref)
            if target is not None:
                found.append(target)
    return found


def begins(scope: Node) -> list[Node]:
    """Where tokens come from: start events, what has no incoming flow (reported elsewhere where it shouldn't be), links without source."""
    found = scope.starts + implicit_starts(scope)
    return found + [
        n
        for n in scope.children
        if n.kind == "intermediateCatchEvent" and n.event is not None and n.event.kind == "link" and n.incoming == []
    ]


def _reached(scope: Node) -> set[Node]:
    todo = begins(scope)
    todo += [n for n in scope.children if n.kind in ("receiveTask", "eventBasedGateway") and n.xml.get("instantiate") == "true"]
    seen = set(todo)
    while todo:
        for target in followers(todo.pop()):
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return seen


def _unreachable(r: Any, scope: Node, reached: set[Node]) -> None:
    if len(reached) >= len(scope.children):
        return
    lost = [n for n in scope.children if n not in reached and n.host is None and not n.for_compensation and not n.triggered_by_event
            and n.kind != "boundaryEvent" and not (n.incoming and all(f.source.for_compensation for f in n.incoming))]  # fmt: skip
    for node in lost[:_SHOWN_MAX]:
        say(r, "UNREACHABLE", node, f"'{node.id}' can't be reached from a start")


def _loops(r: Any, scope: Node, reached: set[Node]) -> None:
    rest = _peeled(reached)
    if not rest:
        return
    for component in _components(rest):
        inside = set(component)
        if len(component) == 1 and component[0] not in followers(component[0]):
            continue
        first = min(component, key=lambda n: n.order)
        left = any(t not in inside for n in component for t in followers(n))
        if not left and not _can_be_interrupted(scope):
            say(r, "LOOP_WITHOUT_EXIT", first, f"the loop through '{first.id}' can't be left")
        if not any(_waits(n) for n in component):
            say(r, "LOOP_WITHOUT_WAIT", first, f"nothing waits in the loop through '{first.id}'")


def _peeled(nodes: set[Node]) -> set[Node]:
    """Nodes in loops, and those behind loops: what is left when all without predecessor are taken away, again and again."""
    degree: dict[Node, int] = dict.fromkeys(nodes, 0)
    for node in nodes:
        for target in followers(node):
            degree[target] += 1
    todo = [n for n, count in degree.items() if not count]
    while todo:
        node = todo.pop()
        del degree[node]
        for target in followers(node):
            degree[target] -= 1
            if not degree[target]:
                todo.append(target)
    return set(degree)


def _components(nodes: set[Node]) -> list[list[Node]]:
    """Strongly connected components (Tarjan), without recursion."""
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    stack: list[Node] = []
    on_stack: set[Node] = set()
    found: list[list[Node]] = []
    for root in sorted(nodes, key=lambda n: n.order):
        if root in index:
            continue
        work = [(root, iter(followers(root)))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in nodes:
                    continue
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(followers(target))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component: list[Node] = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.append(member)
                        if member is node:
                            break
                    found.append(component)
    return found


def _waits(node: Node) -> bool:
    if node.kind in _ALWAYS_WAIT:
        return not (node.event is not None and node.event.kind == "link")
    return (node.kind in _JOBS and isinstance(node.config, Work)) or any(getattr(e, "work", None) is not None for e in node.events)


def _can_be_interrupted(scope: Node) -> bool:
    at: Node | None = scope
    while at is not None:
        if any(s.interrupting for sub in at.event_subs for s in sub.starts) or any(b.interrupting for b in at.attached):
            return True
        at = None if at.kind == "process" else at.scope or at.process.root
    return False


def _covered(node: Node, kind: str) -> bool:
    """Something from the node outwards catches that kind of event."""
    at: Node | None = node
    while at is not None:
        if any(e.kind == kind for b in at.attached for e in b.events) or any(
            e.kind == kind for sub in at.event_subs for s in sub.starts for e in s.events
        ):
            return True
        at = None if at.kind == "process" else at.scope or at.process.root
    return False


def _unattended(r: Any, process: Process) -> None:
    """One finding for all of a kind: they would drown the rest."""
    errors: list[Node] = []
    users: list[Node] = []
    waits: list[Node] = []
    known: dict[tuple[Any, str], bool] = {}
    for node in process.nodes.values():
        kind = node.kind
        if kind in _JOBS:
            if isinstance(node.config, Work) and not _known(known, node, "error"):
                errors.append(node)
        elif kind == "userTask":
            if not (node.config.dynamic and "due" in node.config.dynamic) and not _known(known, node, "timer"):
                users.append(node)
        elif kind == "receiveTask" or (kind == "intermediateCatchEvent" and len(node.events) == 1 and node.event.kind == "message"):
            after = any(f.source.kind == "eventBasedGateway" for f in node.incoming)
            if not after and node.event is not None and node.xml.get("instantiate") != "true" and not _known(known, node, "timer"):
                waits.append(node)
        elif kind == "eventBasedGateway" and node.xml.get("instantiate") != "true":
            if not any(e.kind == "timer" for f in node.outgoing for e in f.target.events) and not _known(known, node, "timer"):
                waits.append(node)
    for code, nodes, what in (
        ("TASK_WITHOUT_ERROR_PATH", errors, "no error path"),
        ("USER_TASK_WITHOUT_TIMER", users, "neither due date nor timer"),
        ("WAIT_WITHOUT_TIMER", waits, "no time limit"),
    ):
        if nodes:
            names = ", ".join(f"'{n.id}'" for n in nodes[:3]) + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "")
            say(r, code, nodes[0], f"{names}: {what}")


def _known(known: dict[tuple[Any, str], bool], node: Node, kind: str) -> bool:
    """`_covered`, looking at each scope once."""
    if any(e.kind == kind for b in node.attached for e in b.events):
        return True
    scope = node.scope or node.process.root
    found = known.get((scope, kind))
    if found is None:
        found = known[(scope, kind)] = _covered(scope, kind)
    return found

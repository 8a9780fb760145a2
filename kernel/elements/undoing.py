"""In which order completed activities of a scope are compensated (BPMN 2.0.2, 13.5.5).

What completed last is undone first. One rule is stronger: where a boundary event of A led to B, B is undone before A, though B may have completed while A
still went on. So is what came behind B in the meantime.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from flowledger.kernel.model.graph import Node
from flowledger.kernel.state import Compensable


def newest_first(nodes: Mapping[str, Node], kept: Sequence[Compensable]) -> list[Compensable]:
    hosts = {c.element for c in kept if (node := nodes.get(c.element)) is not None and _boundaries(node)}
    if not hosts or len(kept) == 1:
        return [*reversed(kept)]
    #: number of a record -> those that go before it
    before: dict[int, list[int]] = {}
    for n, c in enumerate(kept):
        if c.element in hosts:
            since = next((m + 1 for m in range(n - 1, -1, -1) if kept[m].element == c.element), 0)
            if found := _caused(nodes, nodes[c.element], kept, range(since, n)):
                before[n] = found
    order: list[Compensable] = []
    done: set[int] = set()
    for n in reversed(range(len(kept))):
        todo = [n]
        while todo:
            at = todo.pop()
            if at in done:
                continue
            ahead = [m for m in before.get(at, ()) if m not in done]
            if ahead:
                todo += [at, *ahead]  # the last of them is taken first: it completed last
            else:
                done.add(at)
                order.append(kept[at])
    return order


def _caused(nodes: Mapping[str, Node], host: Node, kept: Sequence[Compensable], numbers: Iterable[int]) -> list[int]:
    """Those of these records that the host's boundary events led to while it went on; the first of them can have come by no other way."""
    ways = _ways(host)
    found: list[int] = []
    for n in numbers:
        alone = ways.get(kept[n].element)
        if alone or (alone is not None and found):
            found.append(n)
    return found


def _ways(host: Node) -> dict[str, bool]:
    """Elements that its boundary events lead to; whether only they do. Without those that lead to the host itself."""
    known = host.process.notes.get(("undoing", host.id))
    if known is None:
        own = _boundaries(host)
        scope = host.scope or host.process.root
        starts = [n for n in scope.children if not n.incoming and n.host is None]
        others, leading = _reached(starts, without=own), _leading_to(host, scope)
        known = host.process.notes[("undoing", host.id)] = {n.id: n not in others for n in _reached(own) if n not in leading}
    found: dict[str, bool] = known
    return found


def _boundaries(node: Node) -> list[Node]:
    return [b for b in node.attached if not any(e.kind == "compensate" for e in b.events)]


def _following(node: Node) -> Iterator[Node]:
    for flow in node.outgoing:
        yield flow.target
    yield from _boundaries(node)
    if node.kind in ("intermediateThrowEvent", "endEvent"):
        links = (node.scope or node.process.root).links
        for event in node.events:
            if event.kind == "link" and event.ref in links:
                yield links[event.ref]


def _leading_to(host: Node, scope: Node) -> set[Node]:
    """It and those of its scope from which it is reached."""
    sources: dict[Node, list[Node]] = {}
    for node in scope.children:
        for target in _following(node):
            sources.setdefault(target, []).append(node)
    seen: set[Node] = set()
    todo = [host]
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo += sources.get(at, ())
    return seen


def _reached(begin: Iterable[Node], without: Iterable[Node] = ()) -> set[Node]:
    seen, not_these = set[Node](), {*without}
    todo = [*begin]
    while todo:
        at = todo.pop()
        if at not in seen and at not in not_these:
            seen.add(at)
            todo += _following(at)
    return seen

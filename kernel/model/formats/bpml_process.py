"""BPML's package and its processes -> BPMN: the whole document; what stands inside of a process is mapped by `bpml_map`."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.formats import bpml_expressions as ex
from flowledger.kernel.model.formats import bpml_map as bm
from flowledger.kernel.model.formats import bpml_nodes as bn
from flowledger.kernel.model.formats import bpml_starts, build
from flowledger.kernel.model.formats.bpml_document import Reader, kid, kids, local
from flowledger.kernel.model.formats.shared import Open


def document(r: Reader, root: Any) -> Any:
    r.draft = build.Draft(next((p.get("name") for p in kids(root, "process")), "package"), r.target or "urn:flowledger:models")
    for connector in kids(root, "connector"):
        _connector(r, connector)
    for process in kids(root, "process"):
        _process(bn.Mapper(r, root), process)
    return r.draft.finish()


def _connector(r: Reader, connector: Any) -> None:
    """A routing entry: messages that one operation sends are what the other receives."""
    ends = [f"{e.get('portType').rsplit(':', 1)[-1]}.{e.get('name')}" for e in kids(connector, "operation")]
    if len(ends) != 2:
        r.find("011", "<connector> needs two operations, the sender first", connector)
        return
    holder = build.extension(r.draft.root, "flowledger", "connectors")
    build.within(holder, "connector", type=connector.get("type"), source=ends[0], target=ends[1])


def _process(m: bn.Mapper, element: Any) -> None:
    scope = m.draft.process(element.get("name"), bn.title_of(element), m.r.place(element))
    build.document(scope.element, bn.text_of(kid(element, "documentation")))
    m.inside.append(element)
    event = kid(element, "event")
    starts: list[tuple[Any, list[Open]]] = []
    if event is None:
        start = scope.node("startEvent", f"{scope.id}_start", "", m.r.place(element))
        starts.append((start, [Open(start)]))
    declared = [d for d in (m.root, kid(element, "context")) if d is not None]
    plain = [e for d in declared for e in kids(d, "property")]
    if event is not None:
        starts = bpml_starts.started(m, scope, element, event)
    for start, _ in starts:
        for p in [*plain, *kids(element, "parameter")]:
            ex.initial(m.r, start, p, "output", keep=local(p) == "parameter")
        bpml_starts.received(m, start)
        for s in bn.signals(element, m.root):
            build.mapping(start, "output", "= 0", bn.latch_of(s))
    if not starts:
        return
    bpml_starts.schedules(m, scope, element, [s for s, _ in starts])
    opens = [o for _, open in starts for o in open]
    context = kid(element, "context")
    if event is not None and context is not None and kid(context, "exception") is not None:
        # exceptions are armed when their scope opens: with a scope of its own, that is after the message has set what they correlate on
        sub = scope.sub(f"{scope.id}_scope", element.get("name", ""), m.r.place(context))
        m.join(scope, opens, sub.element)
        scope.flow(sub.element, scope.node("endEvent", f"{scope.id}_done"))
        inner = sub.node("startEvent", f"{sub.id}_start")
        bm.body(m, sub, element, [Open(inner)])
    else:
        bm.body(m, scope, element, opens)
    bm.late_compensation(m)

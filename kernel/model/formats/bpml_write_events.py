"""What starts a process in BPML, what it waits for and throws, and what a context answers to."""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.formats import bpml_grammar as g
from flowledger.kernel.model.formats import bpml_words as words
from flowledger.kernel.model.formats import bpml_write_parts as parts
from flowledger.kernel.model.formats.bpml_document import iso_duration, iso_instant
from flowledger.kernel.model.formats.bpml_shapes import definitions_of, is_plain_end, meant, tag_of
from flowledger.kernel.model.formats.bpml_write_scope import Scope

_EXT = f"{{{g.EXT_NS}}}"
_PERIOD = re.compile(r"R\d*/(P.+)")


def kind_of(e: Any) -> str:
    """The one thing that an event is about; "" when there is none, "several" when there are more."""
    found = definitions_of(e)
    return "" if not found else tag_of(found[0]).removesuffix("EventDefinition") if len(found) == 1 else "several"


def code_of(w: Any, e: Any) -> str:
    root = w.roots.get(definitions_of(e)[0].get("errorRef"))
    return "" if root is None else root.get("errorCode") or root.get("name") or ""


def signal_of(e: Any) -> tuple[str, str] | None:
    """(signal, the variable that takes its value) of a condition on a latch; None: it is another condition."""
    found = definitions_of(e)[0].find(x.B + "condition")
    text = x.text_of(found).strip() if found is not None else ""
    m = re.fullmatch(r"=\s*signal_(\w+) != null and signal_\1 > \(if (signal_\1_seen_\d+) = null then 0 else \2\)", text)
    if m is None:
        return None
    outputs = [((o.get("source") or "").removeprefix("=").strip(), o.get("target") or "") for o in parts.mappings(e)[1]]
    if outputs[:1] != [(f"signal_{m[1]}", m[2])] or any(source != f"signal_{m[1]}_value" for source, _ in outputs[1:]) or len(outputs) > 2:
        return None
    return m[1], outputs[1][1] if len(outputs) > 1 else ""


# -------------------------------------------------------------------------------------------------------------- starts


def unwrapped(w: Any, scope: Any) -> Any:
    """The scope that holds all that follows the start, when it is there for its exceptions alone."""

    shape = scope.shape
    subs = [e for e in shape.nodes.values() if tag_of(e) == "subProcess"]
    if len(subs) != 1 or scope.handlers or any(kind_of(s) not in ("message", "conditional", "signal") for s in shape.starts):
        return None
    [sub] = subs
    others = [
        e
        for e in shape.nodes.values()
        if e is not sub and tag_of(e) not in ("startEvent",) and not is_plain_end(e) and tag_of(e) != "laneSet"
    ]
    if others or not shape.starts or parts.mappings(sub) != ([], []) or shape.on.get(sub.get("id")):
        return None
    inner = Scope(w, sub, scope.to, None)
    armed = [h for h in inner.handlers if any(kind_of(s) in ("message", "conditional") for s in h.findall(x.B + "startEvent"))]
    if (
        not armed
        or len(inner.shape.starts) != 1
        or definitions_of(inner.shape.starts[0])
        or sub.find(x.B + "multiInstanceLoopCharacteristics") is not None
    ):
        return None
    inner.outer_starts = shape.starts
    return inner


def started(w: Any, scope: Any, p: Any, made: Any) -> None:
    """The starts, and what follows them."""
    starts = scope.outer_starts or scope.shape.starts
    if not starts:
        w.left_out(p, "that it has no start")
        return
    good = [s for s in starts if kind_of(s) in ("", "message", "timer", "signal")]
    for s in starts:
        scope.seen.add(s.get("id"))
        if s not in good:
            w.left_out(s, "what starts it")
        parts.told(w, s, "zeebe:ioMapping")
    named = [s for s in good if kind_of(s) in ("message", "signal")]
    plain = [s for s in good if s not in named]
    if named and plain:
        for s in plain:
            w.left_out(s, "a start beside those by messages")
    event: Any = etree.SubElement(made, g.P + "event") if named else None
    first = made
    ways = []
    if len(named) > 1:
        first = etree.SubElement(made, g.P + "choice")
    for s in named:
        at = etree.SubElement(first, g.P + "event") if len(named) > 1 else made
        trigger = starting(w, scope, s, at)
        event.set("activity", f"{event.get('activity', '')} {trigger.get('name')}".strip())
        ways.append((s, at))
    if not named:
        for s in plain[:1]:
            values(w, scope, s, parts.mappings(s)[1])
            if kind_of(s) == "timer":
                schedule(w, s, w.root, f"tns:{made.get('name')}")
            ways.append((s, made))
        for s in plain[1:]:
            w.left_out(s, "a second start")
    if scope.outer_starts:
        inner = scope.shape.starts[0]
        out = scope.shape.out[inner.get("id")]
        w.follow(scope, out[0].get("targetRef") if out else None, None, made)
        parts.replies(made)
        return
    meet = None
    if len(ways) > 1:
        found = [scope.shape._after.get(s.get("id")) for s, _ in ways]
        common = set.intersection(*[f for f in found if f is not None]) if any(f is not None for f in found) else set()
        known = [n for n in common if not n.startswith("back to ") and not is_plain_end(scope.shape.nodes[n])]
        meet = max(known, key=lambda n: len(scope.shape._after.get(n) or ()), default=None)
    for s, at in ways:
        out = scope.shape.out.get(s.get("id"), [])
        if len(out) > 1:
            w.shaped(s, "begins several ways: here they are brought together")
            w.all(scope, s, out, None, at)
            continue
        w.follow(scope, out[0].get("targetRef") if out else None, meet, at)
        parts.replies(at)
    if meet is not None:
        w.follow(scope, meet, None, made)
    parts.replies(made)


def starting(w: Any, scope: Any, s: Any, to: Any) -> Any:
    """The receiving action or synch that a start is."""
    outputs = parts.mappings(s)[1]
    if kind_of(s) == "signal":
        root = w.roots.get(definitions_of(s)[0].get("signalRef"))
        name = re.sub(r"[^\w.-]", "_", (root.get("name") if root is not None else "") or "_")
        if not any(o.get("target") == f"signal_{name}" for o in outputs):
            scope.declare("signal", name=name)
        values(w, scope, s, outputs)
        return w.activity(to, "synch", s, signal=f"tns:{name}")
    first = [o for o in outputs if words.literal_of((o.get("source") or "").strip().removeprefix("=").strip()) is not None]
    values(w, scope, s, first)
    made = w.activity(to, "action", s)
    root = w.roots.get(definitions_of(s)[0].get("messageRef"))
    name = (root.get("name") if root is not None else "") or ""
    parts.operation(w, s, made, name, "Messages")
    rest = [o for o in outputs if o not in first]
    parts.takes(w, s, made, rest)
    if not rest:
        etree.SubElement(made, g.P + "input", part="message")
    return made


def values(w: Any, scope: Any, s: Any, outputs: list[Any]) -> None:
    """What variables begin with: parameters where a caller may give another, else properties."""
    for o in outputs:
        name, source = o.get("target") or "", o.get("source") or ""
        if not words.is_name(name):
            w.left_out(s, f"the variable '{name}'")
            continue
        signal = re.fullmatch(r"signal_(\w+)", name)
        if signal and meant(source) == meant("= 0"):
            scope.declare("signal", name=signal[1])
            continue
        w.names.add(name)
        parts.initial(w, scope.declare("property", name=name), source)


def schedule(w: Any, e: Any, to: Any, process: str) -> None:
    made = etree.Element(g.P + "schedule", name=w.name(e))
    if not timed(w, e, made):
        w.left_out(e, "when it is due")
        return
    made.set("process", process)
    to.append(made)


def timed(w: Any, e: Any, made: Any) -> bool:
    """When a timer is due; False: BPML can't say that."""
    d = definitions_of(e)[0]
    for tag, word in (("timeDuration", "duration"), ("timeDate", "instant")):
        if (found := d.find(x.B + tag)) is not None:
            text = x.text_of(found).strip()
            if text.startswith("="):
                made.set(word, text.removeprefix("=").strip())
                made.set(f"{_EXT}language", "feel")
                return True
            made.set(word, text)
            return iso_duration(text) if word == "duration" else iso_instant(text)
    found = d.find(x.B + "timeCycle")
    text = x.text_of(found).strip() if found is not None else ""
    period = _PERIOD.fullmatch(text)
    if period is None or not iso_duration(period[1]) or made.tag != g.P + "schedule":
        return False
    made.set("duration", period[1])
    made.set("repeat", text)
    return True


# -------------------------------------------------------------------------------------------------------------- amid the flow


def is_trigger(w: Any, e: Any) -> bool:
    """Whether a choice or an exception can begin with it."""
    if tag_of(e) == "receiveTask":
        return True
    kind = kind_of(e)
    if kind == "timer":
        return definitions_of(e)[0].find(x.B + "timeCycle") is None
    return kind == "message" or (kind == "conditional" and signal_of(e) is not None)


def trigger(w: Any, scope: Any, e: Any, to: Any) -> Any:
    parts.told(w, e, "zeebe:ioMapping")
    if tag_of(e) == "receiveTask":
        return parts.waits(w, e, to, e.get("messageRef"))
    kind = kind_of(e)
    if kind == "message":
        return parts.waits(w, e, to, definitions_of(e)[0].get("messageRef"))
    if kind == "conditional":
        found = signal_of(e)
        assert found is not None
        made = w.activity(to, "synch", e, signal=f"tns:{found[0]}")
        if found[1] and (target := parts.to_property(w, e, found[1])) is not None:
            made.set("property", target)
        declared(w, scope, found[0])
        return made
    made = w.activity(to, "delay", e)
    if not timed(w, e, made):
        w.left_out(e, "when it is due")
        made.attrib.pop("duration", None)
        made.attrib.pop("instant", None)
        made.set("duration", "PT0S")
    return made


def declared(w: Any, scope: Any, signal: str) -> None:
    """A signal that no context declares yet is declared in the outermost one: its count began nowhere, which reads the same."""
    at = scope
    while at is not None:
        if at.context is not None and any(s.get("name") == signal for s in at.context.findall(g.P + "signal")):
            return
        if at.outer is None:
            break
        at = at.outer
    if not any(s.get("name") == signal for s in w.root.findall(g.P + "signal")):
        w.root.insert(0, etree.Element(g.P + "signal", name=signal))


def between(w: Any, scope: Any, e: Any, to: Any) -> None:
    kind = kind_of(e)
    if tag_of(e) == "intermediateCatchEvent":
        if is_trigger(w, e):
            trigger(w, scope, e, to)
            return
    elif kind == "compensate":
        compensated(w, scope, e, to)
        return
    elif kind == "message" and e.find(f"{x.B}extensionElements/{x.Z}taskDefinition") is not None:
        w.shaped(e, "sends a message: here it is an action that does")
        parts.action(w, e, "sendTask", to)
        return
    elif not kind:
        parts.told(w, e)
        w.activity(to, "empty", e)
        return
    w.left_out(e, f"{'what is waited for' if tag_of(e) == 'intermediateCatchEvent' else 'what is thrown'} ({kind})")
    w.activity(to, "empty", e)


def compensated(w: Any, scope: Any, e: Any, to: Any) -> None:
    parts.told(w, e)
    named = definitions_of(e)[0].get("activityRef")
    if named:
        found = [w.undone[named]] if named in w.undone else []
    else:
        found = []
        at = scope
        while at is not None and not found:
            found = (
                [p.get("name") for p in at.context.findall(g.P + "process") if p.find(g.P + "compensation") is not None]
                if at.context is not None
                else []
            )
            at = at.outer
        if len(found) != 1:
            w.shaped(e, "compensates all: here what is compensated is named")
    if not found:
        w.left_out(e, "what is compensated")
        w.activity(to, "empty", e)
        return
    w.activity(to, "compensate", e, process=" ".join(f"tns:{name}" for name in found))


def ended(w: Any, scope: Any, e: Any, to: Any) -> None:
    kind = kind_of(e)
    if kind == "error" and (code := fault_code(w, e)):
        parts.told(w, e)
        w.activity(to, "fault", e, code=f"tns:{code}")
    elif kind == "compensate":
        w.shaped(e, "compensates and ends: here it compensates, and what follows ends")
        compensated(w, scope, e, to)
    elif kind == "message" and e.find(f"{x.B}extensionElements/{x.Z}taskDefinition") is not None:
        w.shaped(e, "sends a message at the end: here it is an action that does")
        parts.action(w, e, "sendTask", to)
    else:
        w.left_out(e, f"an end by {kind}" if kind else "what an end does")


def fault_code(w: Any, e: Any) -> str:
    code = code_of(w, e)
    if not code or re.fullmatch(g.NCNAME, code):
        return code
    w.left_out(e, f"the code '{code}'")
    return "_" + re.sub(r"[^A-Za-z0-9_]", "_", code)


def raised(w: Any, scope: Any, e: Any, to: Any) -> bool:
    """A script that counts a latch up is `raise`."""
    found = e.find(f"{x.B}extensionElements/{x.Z}script")
    outputs = parts.mappings(e)[1]
    m = re.fullmatch(r"=\s*\(if signal_(\w+) = null then 0 else signal_\1\) \+ 1", (found.get("expression") or "").strip())
    said = [((o.get("source") or "").removeprefix("=").strip(), o.get("target") or "") for o in outputs]
    if m is None or found.get("resultVariable") != "count" or said[:1] != [("count", f"signal_{m[1]}")] or len(said) > 2:
        return False
    if len(said) == 2 and said[1][1] != f"signal_{m[1]}_value":
        return False
    made = w.activity(to, "raise", e, signal=f"tns:{m[1]}")
    if len(said) == 2:
        parts.given(w, made, outputs[1].get("source"))
    declared(w, scope, m[1])
    return True


def spawned(w: Any, scope: Any, e: Any, ways: list[Any], to: Any) -> str | None:
    """A way that ends by itself, at an end that failure leads to as well, beside the one that goes on: `spawn`. Gives where it goes on."""
    if len(ways) != 2 or len(scope.shape.into[e.get("id")]) > 1:
        return None
    for f, other in ((ways[0], ways[1]), (ways[1], ways[0])):
        node = scope.shape.nodes[f.get("targetRef")]
        out = scope.shape.out[node.get("id")]
        on = [b for b in scope.shape.on.get(node.get("id"), []) if kind_of(b) == "error"]
        if (
            tag_of(node) not in ("callActivity", "subProcess")
            or len(out) != 1
            or len(on) != 1
            or len(scope.shape.into[node.get("id")]) != 1
        ):
            continue
        end = scope.shape.nodes[out[0].get("targetRef")]
        failed = scope.shape.out[on[0].get("id")]
        if not is_plain_end(end) or code_of(w, on[0]) or len(failed) != 1 or failed[0].get("targetRef") != end.get("id"):
            continue
        scope.seen.add(node.get("id"))
        scope.seen.add(e.get("id"))
        made = etree.SubElement(to, g.P + "sequence")
        if tag_of(node) == "subProcess":
            parts.nested(w, scope, node, parts.undone_by(scope, node), made)
        else:
            parts.call(w, node, made)
        for inner in list(made):
            if x.local(inner) == "call":
                inner.tag = g.P + "spawn"
                for taken in inner.findall(g.P + "input"):
                    w.left_out(node, "what it leaves behind")
                    inner.remove(taken)
            to.append(inner)
        to.remove(made)
        return str(other.get("targetRef"))
    return None


# -------------------------------------------------------------------------------------------------------------- contexts


def handlers(w: Any, scope: Any) -> None:
    """The event sub-processes of a scope."""
    for sub in scope.handlers:
        starts = sub.findall(x.B + "startEvent")
        start = starts[0] if len(starts) == 1 else None
        kind = kind_of(start) if start is not None else ""
        breaks = start is not None and start.get("isInterrupting") != "false"
        if start is not None and kind == "error" and breaks:
            caught(w, scope, sub, start)
        elif start is not None and breaks and is_trigger(w, start):
            excepted(w, scope, sub, start)
        elif start is None or kind != "timer" or breaks or not scheduled(w, scope, sub, start):
            w.left_out(sub, f"{'an answer' if breaks else 'an answer that interrupts nothing'} to {kind or 'what starts it'}")


def case_of(w: Any, scope: Any, event: Any) -> Any:
    faults = scope.opened().find(g.P + "faults")
    if faults is None:
        faults = etree.SubElement(scope.context, g.P + "faults")
    if not code_of(w, event):
        return etree.SubElement(faults, g.P + "default")
    made = etree.Element(g.P + "case", code=f"tns:{fault_code(w, event)}")
    default = faults.find(g.P + "default")
    faults.append(made) if default is None else default.addprevious(made)
    return made


def caught(w: Any, scope: Any, sub: Any, start: Any) -> None:

    parts.told(w, sub)
    parts.told(w, start)
    case = case_of(w, scope, start)
    inner = Scope(w, sub, case, scope)
    _go_on(w, inner, start, case)
    w.rest(inner, case)


def excepted(w: Any, scope: Any, sub: Any, start: Any) -> None:

    parts.told(w, sub)
    made = scope.declare("exception", name=w.name(sub))
    w.titled(made, sub)
    event = etree.SubElement(made, g.P + "event")
    inner = Scope(w, sub, made, scope)
    inner.seen.add(start.get("id"))
    event.set("activity", trigger(w, inner, start, made).get("name"))
    _go_on(w, inner, start, made)
    w.rest(inner, made)


def _go_on(w: Any, inner: Any, start: Any, to: Any) -> None:
    out = inner.shape.out[start.get("id")]
    w.follow(inner, out[0].get("targetRef") if out else None, None, to)
    parts.replies(to)


def scheduled(w: Any, scope: Any, sub: Any, start: Any) -> bool:
    """A timer that raises a signal, throws a fault or spawns, and nothing else."""

    made = etree.Element(g.P + "schedule", name=w.name(sub))
    if not timed(w, start, made):
        return False
    inner = Scope(w, sub, etree.Element(g.P + "sequence"), scope)
    found = len(w.findings)
    _go_on(w, inner, start, inner.to)
    done = [k for k in inner.to if x.local(k) in g.ACTIVITIES]
    ways = {"raise": "signal", "fault": "code", "spawn": "process"}
    if len(done) != 1 or x.local(done[0]) not in ways or len(done[0]) or inner.context is not None:
        del w.findings[found:]
        return False
    made.set({"code": "fault"}.get(ways[x.local(done[0])], ways[x.local(done[0])]), done[0].get(ways[x.local(done[0])]))
    at = scope.declare("schedule", name="_")
    at.getparent().replace(at, made)
    return True


def rejoins(w: Any, scope: Any, b: Any, then: str | None) -> bool:
    """Whether a boundary event can be said by a context around its activity: it breaks off, and its way comes to where the activity's goes on."""
    kind = kind_of(b)
    if b.get("cancelActivity") == "false":
        w.left_out(b, f"an event at an activity that does not break it off ({kind})")
    elif kind not in ("error", "message", "timer") or (kind == "timer" and definitions_of(b)[0].find(x.B + "timeCycle") is not None):
        w.left_out(b, f"an event at an activity ({kind})")
    elif then is None or any(not scope.shape.passes(f.get("targetRef"), then) for f in scope.shape.out[b.get("id")]):
        w.lost(b, "WRITE_LOST", f"'{b.get('id')}' is not kept: its way does not come back to where the activity goes on")
    else:
        return True
    return False


def boundary(w: Any, block: Any, b: Any, then: str | None) -> None:
    kind = kind_of(b)
    w.shaped(b, "stands at an activity: here it belongs to a context around it")
    block.seen.add(b.get("id"))
    parts.told(w, b, *(["zeebe:ioMapping"] if kind == "message" else []))
    out = block.shape.out[b.get("id")]
    if kind in ("message", "timer"):
        made = block.declare("exception", name=w.name(b, "_exception"))
        event = etree.SubElement(made, g.P + "event")
        event.set("activity", trigger(w, block, b, made).get("name"))
    else:
        made = case_of(w, block, b)
    w.follow(block, out[0].get("targetRef") if out else None, then, made)
    parts.replies(made)

"""A recorded history beside the run of another model: the same, another way, waiting, failed; and where it first was so."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import msgspec

from flowledger.sdk.testing.replay.desk import Desk
from flowledger.sdk.testing.replay.feed import Feed
from flowledger.sdk.testing.replay.record import Record
from flowledger.sdk.testing.replay.story import Entry, Place, Runs, Story

SAME, OTHER_WAY, WAITS, FAILED, OTHER_VALUES = "same", "other_way", "waits", "failed", "other_values"
#: names of variables that are told, characters of a value
NAMES_MAX, VALUE_MAX = 20, 200
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


class Outcome(msgspec.Struct, omit_defaults=True):
    """`element`: where it was first so, of `process`. `recorded`, `now`: flows (or elements) that were taken. `values`: name -> [recorded, now].

    `then`: what it waits for afterwards, or how it ended."""

    outcome: str
    process: str = ""
    element: str = ""
    message: str = ""
    recorded: list[str] = []
    now: list[str] = []
    values: dict[str, list[Any]] = {}
    then: str = ""
    #: recorded answers that nothing asked for: kind, element
    unused: list[str] = []


def compare(record: Record, desk: Desk, feed: Feed) -> Outcome:
    unused = [f"{s.kind} {s.name[1] if s.name else ''}".rstrip() for s in feed.waiting if s.key not in desk.done]
    found = _failed(record, desk, feed) or _differs(record, desk, feed) or _values(record, desk) or Outcome(SAME)
    found.unused = unused[:NAMES_MAX]
    return found


def _recorded(record: Record) -> dict[Place, Story]:
    return {s.place: s for s in record.family}


def _failed(record: Record, desk: Desk, feed: Feed) -> Outcome | None:
    root = desk.family.by_place.get(())
    process = root.process if root is not None else feed.process
    if desk.broken:
        return Outcome(FAILED, process=process, message=f"a defect of the engine: {desk.broken}")
    recorded = _recorded(record)
    for story in desk.family:
        then = recorded.get(story.place)
        known = {(x.element, x.runs) for x in then.incidents.values()} if then is not None else set()
        for incident in story.incidents.values():
            if (incident.element, incident.runs) not in known:
                return Outcome(FAILED, process=story.process, element=incident.element, message=f"{incident.code}: {incident.message}")
        if story.ended == "failed" and (then is None or then.ended != "failed"):
            return Outcome(FAILED, process=story.process, message="it ends with an error that nothing catches")
    for s, refused in feed.refused:
        what = s.name[1] if s.name else s.kind
        place = recorded[s.place].process if s.place in recorded else process
        return Outcome(FAILED, process=place, element=what, message=f"what was recorded ({s.kind}) is refused: {refused.message}")
    return None


def _differs(record: Record, desk: Desk, feed: Feed) -> Outcome | None:
    recorded = _recorded(record)
    stuck = _stuck(recorded, desk)
    extra: Outcome | None = None
    lost: Outcome | None = None
    for place, then in recorded.items():
        now = desk.family.by_place.get(place)
        if now is None:
            continue
        nodes = desk.facts.processes[now.definition].nodes
        found, missing, more = _ways(then, now, nodes, record)
        if found is not None:
            found.then = _state(now, stuck)
            return found
        lost, extra = lost or missing, extra or more
    if stuck is not None:
        return stuck
    if lost is not None or extra is not None:
        first = extra or lost
        assert first is not None
        root = desk.family.by_place[()]
        first.then = _state(root, stuck)
        return first
    for place, then in recorded.items():
        now = desk.family.by_place.get(place)
        if now is not None and now.ended != then.ended:
            return Outcome(OTHER_WAY, process=now.process, recorded=[then.ended or "running"], now=[now.ended or "running"])
    return None


def _state(story: Story, stuck: Outcome | None) -> str:
    return story.ended or (f"waits at {stuck.element}" if stuck is not None else "running")


def _by_element(story: Story, both: set[str], ways: bool) -> dict[tuple[str, Runs], list[Entry]]:
    found: dict[tuple[str, Runs], list[Entry]] = defaultdict(list)
    for entry in story.entries:
        if entry.element in both and bool(entry.ways) == ways:
            found[entry.element, entry.runs].append(entry)
    return found


def _ways(then: Story, now: Story, nodes: Any, record: Record) -> tuple[Outcome | None, Outcome | None, Outcome | None]:
    """(another flow was taken, something was not reached any more, something was reached that wasn't), each the first of its kind."""
    different: list[tuple[int, Outcome]] = []
    lost: list[tuple[int, Outcome]] = []
    more: list[tuple[int, Outcome]] = []
    old_nodes = record.nodes(then)
    both = set(nodes) & set(old_nodes or then.visited)
    for ways in (True, False):
        a, b = _by_element(then, both, ways), _by_element(now, both, ways)
        for key in {**a, **b}:
            old, new = a.get(key, []), b.get(key, [])
            for x, y in zip(old, new, strict=False):
                if ways and (_chooses(nodes, key[0]) or _chooses(old_nodes, key[0])) and not _alike(x, y, old_nodes, nodes, both):
                    values = {n: [_short(v), _short((y.values or {}).get(n))] for n, v in list((x.values or {}).items())[:NAMES_MAX]}
                    values |= {n: [None, _short(v)] for n, v in list((y.values or {}).items())[:NAMES_MAX] if n not in values}
                    different.append((x.order, Outcome(OTHER_WAY, now.process, key[0], "", _flows(x), _flows(y), values)))
                    break
            less = next((e for e in old[len(new) :] if not e.cut), None)
            surplus = next((e for e in new[len(old) :] if not e.cut), None)
            if less is not None:
                lost.append(
                    (less.order, Outcome(OTHER_WAY, now.process, key[0], "it was passed, and isn't any more", _flows(less) or [key[0]], []))
                )
            elif surplus is not None:
                found = _flows(surplus) or [key[0]]
                more.append((surplus.order, Outcome(OTHER_WAY, now.process, key[0], "it was not passed, and is", [], found)))
    gone = _first(lost)
    if gone is not None:  # what it came to instead, where the model of then had nothing of the kind
        gone.now = [x.element for x in now.entries if not x.ways and x.element not in both][:1]
    return _first(different), gone, _first(more)


def _first(found: list[tuple[int, Outcome]]) -> Outcome | None:
    return min(found, key=lambda x: x[0])[1] if found else None


def _chooses(nodes: Any, element: str) -> bool:
    """Where flows go apart. Elsewhere another target is another model, and no decision."""
    return element in nodes and len(nodes[element].outgoing) > 1


def _alike(x: Entry, y: Entry, old: Any, new: Any, both: set[str]) -> bool:
    """The same flows, or others that lead to the same elements, past those that only one of the models has."""
    if sorted(f for f, _ in x.ways) == sorted(f for f, _ in y.ways):
        return True
    return sorted(_landing(t, old, both) for _, t in x.ways) == sorted(_landing(t, new, both) for _, t in y.ways)


def _landing(element: str, nodes: Any, both: set[str]) -> str:
    seen = set()
    while element not in both and element not in seen and element in nodes and len(nodes[element].outgoing) == 1:
        seen.add(element)
        element = nodes[element].outgoing[0].target.id
    return element


def _flows(x: Entry) -> list[str]:
    return [f"{flow or ''} -> {target}".strip() for flow, target in x.ways]


def _stuck(recorded: dict[Place, Story], desk: Desk) -> Outcome | None:
    """A token that waits where none did at the end of the history."""
    for story in reversed(list(desk.family)):
        if story.ended:
            continue
        then = recorded.get(story.place)
        more = story.waiting() - (then.waiting() if then is not None else Counter())
        for (element, _), _n in more.items():
            what = _waits_for(story, element, desk)
            if what.startswith("called") and any(
                x.place[: len(story.place)] == story.place and x is not story and not x.ended for x in desk.family
            ):
                continue  # the called one is told
            return Outcome(WAITS, process=story.process, element=element, message=what)
    return None


def _waits_for(story: Story, element: str, desk: Desk) -> str:
    i = desk.state.instances.get(story.key)
    node = desk.facts.processes[story.definition].nodes.get(element)
    kind = node.kind if node is not None else ""
    if kind == "callActivity":
        return "called instance"
    p = desk.state
    for token in (t for t in (i.tokens.values() if i is not None else ()) if t.element == element):
        for key in token.holds or ():
            if (task := p.tasks.get(key)) is not None:
                return f"job '{task.job_type}'" if task.job_type else "a person's task"
            if (s := p.subscriptions.get(key)) is not None and s.element != element and kind != "eventBasedGateway":
                continue
            if (s := p.subscriptions.get(key)) is not None:
                return f"{s.kind} '{s.name}'"
            if (timer := p.timers.get(key)) is not None and timer.element == element:
                return "a moment that has not come"
    return "other tokens" if kind.endswith("Gateway") else kind


def _short(value: Any) -> Any:
    text = _encode(value)
    return value if len(text) <= VALUE_MAX else text[:VALUE_MAX].decode(errors="ignore") + " ..."


def _values(record: Record, desk: Desk) -> Outcome | None:
    for place, then in _recorded(record).items():
        now = desk.family.by_place.get(place)
        if now is None:
            continue
        a, b = then.vars[then.key], now.vars[now.key]
        differing = [n for n in {**a, **b} if a.get(n) != b.get(n) or (n in a) != (n in b)]
        if differing:
            return Outcome(
                OTHER_VALUES, process=now.process, message="the same way, with other variables at its end",
                values={n: [_short(a.get(n)), _short(b.get(n))] for n in sorted(differing)[:NAMES_MAX]},
            )  # fmt: skip
    return None

"""A run of a history as a test of the kit: the same steps at the same moments, and what was there at its end. Only one that passes is given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.sdk.testing import data
from flowledger.sdk.testing.errors import Endless, Refused
from flowledger.sdk.testing.replay.feed import Feed, Given
from flowledger.sdk.testing.replay.run import Replayer
from flowledger.sdk.testing.replay.story import Story
from flowledger.sdk.testing.trial import Bounded, TooMuch

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: bytes of the variables that are expected at the end
VARIABLES_MAX = 4_096
_encode = msgspec.json.Encoder(decimal_format="number").encode


class _No(Exception):
    """What the kit has no words for."""


def files(replayer: Replayer) -> dict[str, str]:
    """Name -> text of all that tests deploy."""
    return {r.name: r.content for r in replayer.resources}


def of(replayer: Replayer, feed: Feed, name: str) -> tuple[dict[str, Any] | None, str]:
    """The file of tests; or None, and why there is none."""
    try:
        steps = _steps(feed)
        now = _time(feed.given[0].time_us) if feed.given else ""
        engine = Bounded(now, replayer.clock)
        run = data.Run(engine)
        engine.deploy(files(replayer))
        for step in steps:
            run.step(data.verb_of(step), step)
    except _No as e:
        return None, str(e)
    except (AssertionError, Refused, ValueError, TypeError, RuntimeError, TooMuch, Endless) as e:
        return None, f"the kit does something else: {str(e).partition(chr(10))[0]}"
    expected: list[dict[str, Any]] = []
    for story in feed.desk.family:
        i = run.instance({"instance": _name(feed, story)})
        where = sorted(element for element, _ in story.waiting().elements())
        if i.status != (story.ended or "running") or sorted(i.waiting) != where:
            return None, f"the kit ends elsewhere: {i.name} {i.status}"
        says: dict[str, Any] = {"status": i.status}
        if passed := list(dict.fromkeys(i.path.names("leave"))):
            says["passed"] = passed
        if i.is_running:
            says["waiting_only_at"] = i.waiting
        if i.variables and len(_encode(i.variables)) <= VARIABLES_MAX:
            says["variables"] = i.variables
        expected.append({"expect": says, "instance": _name(feed, story)})
    return {"deploy": list(files(replayer)), "now": now, "tests": [{"name": name, "steps": [*steps, *expected]}]}, ""


def _time(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def _name(feed: Feed, story: Story) -> str:
    same = [s for s in feed.desk.family if s.process == story.process]
    return f"{story.process}#{same.index(story) + 1}"


def _steps(feed: Feed) -> list[dict[str, Any]]:
    """Raises: _No."""
    steps: list[dict[str, Any]] = []
    now = feed.given[0].time_us if feed.given else 0
    early = 0
    for g in feed.given:
        then = g.time_us
        if g.before_us:  # there a timer still waited for its turn, here it would fire at its moment
            then = min(then, max(now, g.before_us - early - 1))
            early = max(early, g.time_us - then)
        if then > now:
            now = then
            steps.append({"advance_to": _time(now)})
        make = _WORDS.get(g.stimulus.kind)
        if make is None:
            raise _No(f"the kit has no word for what was done by hand ({g.stimulus.kind})")
        step = make(feed, g)
        if step:
            story = feed.desk.family.by_place[g.stimulus.place]
            if data.verb_of(step) in _OF_INSTANCE:
                step["instance"] = _name(feed, story)
            steps.append({k: v for k, v in step.items() if v not in (None, "") or k == data.verb_of(step)})
    if feed.desk.facts.now_us > now:
        steps.append({"advance_to": _time(feed.desk.facts.now_us)})
    return steps


def _start(feed: Feed, g: Given) -> dict[str, Any]:
    s: Any = g.command
    if s.start_element:
        node = feed.desk.facts.processes[s.definition].nodes[s.start_element]
        event = node.events[0] if len(node.events) == 1 else None
        if event is not None and event.kind in ("message", "signal") and event.name.static:
            said: dict[str, Any] = {"publish" if event.kind == "message" else "signal": event.name.static, "variables": s.start_payload}
            return {**said, "key": s.business_key} if event.kind == "message" else said
        raise _No(f"the kit can't start it at '{s.start_element}'")
    return {"start": feed.process, "variables": s.variables, "business_key": s.business_key, "start_at": s.start_at}


def _complete(feed: Feed, g: Given) -> dict[str, Any]:
    if g.stimulus.data["status"] != "success" or g.stimulus.data["result"]:
        raise _No("the kit completes without a result of its own")
    return {"complete": g.element, "variables": g.stimulus.data["variables"], "nth": g.nth}


def _fail(feed: Feed, g: Given) -> dict[str, Any]:
    f: Any = g.command
    if f.variables or f.details:
        raise _No("the kit fails a job without variables and details")
    backoff = f.backoff_ms / 1000
    return {"fail": g.element, "message": f.message, "code": f.code, "retries": f.retries, "backoff": backoff, "nth": g.nth}


def _throw(feed: Feed, g: Given) -> dict[str, Any]:
    d = g.stimulus.data
    return {"throw": g.element, "code": d["code"], "message": d["message"], "variables": d["variables"], "nth": g.nth}


def _move(feed: Feed, g: Given) -> dict[str, Any]:
    m: Any = g.command
    return {"move": g.element, "to": m.move, "reason": m.reason, "nth": g.nth}


def _message(feed: Feed, g: Given) -> dict[str, Any]:
    m: Any = g.command
    return {"publish": m.name, "key": m.correlation, "variables": m.variables}


def _signal(feed: Feed, g: Given) -> dict[str, Any]:
    s: Any = g.command
    if not isinstance(s, c.BroadcastSignal):
        raise _No("a signal reached some of those that listen only")
    return {"signal": s.name, "variables": s.variables}


def _set(feed: Feed, g: Given) -> dict[str, Any]:
    return {"set": g.stimulus.data["variables"], "at": g.stimulus.data["at"]}


#: kind of what came from outside -> its step; None: the clock does it
_WORDS: dict[str, Any] = {
    "start": _start, "complete": _complete, "fail": _fail, "throw": _throw, "skip": _move, "drop": _move, "message": _message, "signal": _signal,
    "set": _set, "timer": lambda feed, g: None, "retry": lambda feed, g: None,
    "resolve": lambda feed, g: {"resolve": 1}, "cancel": lambda feed, g: {"cancel": g.stimulus.data["reason"] or True},
}  # fmt: skip
_OF_INSTANCE = frozenset({"complete", "fail", "throw", "move", "set", "resolve", "cancel"})

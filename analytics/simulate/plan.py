"""What a simulation assumes: when instances come, how long work waits and takes, which way gateways go, and who is there to do it. As JSON, in the spirit of BPSim.

{"instances": 500, "arrival": {"every": {"exponential": "PT10M"}}, "elements": {"approve": {"work": {"uniform": ["PT2M", "PT8M"]}, "resource": "boss"}},
 "branches": {"f-mend": 0.15}, "resources": {"boss": {"count": 2, "days": ["monday"], "from": "08:00", "to": "17:00"}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flowledger.analytics.simulate import draws
from flowledger.analytics.simulate.draws import NOTHING, Spread

#: instances of a run; runs of a scenario; scenarios beside the base; names in a plan
INSTANCES_MAX, RUNS_MAX, SCENARIOS_MAX, NAMES_MAX = 5_000, 50, 5, 1_000
#: people or machines of a resource
COUNT_MAX = 10_000
HOURS = 168
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY_US, MINUTE_US, HOUR_US = 86_400_000_000, 60_000_000, 3_600_000_000
#: 1970-01-01 was a Thursday
_FIRST_DAY = 3


class Work(NamedTuple):
    """Of an element. `wait`: until somebody begins, where no resource is named; with one the wait comes of its being busy."""

    work: Spread = NOTHING
    wait: Spread = NOTHING
    resource: str = ""


class Resource(NamedTuple):
    """`size` at a time, from `begin` to `end` (minutes of the day, UTC) on these days (0: Monday). What was begun is ended beyond. `by_day`: another size on a
    weekday."""

    size: int
    days: frozenset[int] = frozenset(range(7))
    begin: int = 0
    end: int = 1440
    by_day: tuple[int, ...] = ()

    def at(self, us: int) -> int:
        """How many are there on that day."""
        return self.by_day[(us // DAY_US + _FIRST_DAY) % 7] if self.by_day else self.size

    @property
    def usual(self) -> float:
        """How many are there, on average of the days on which anybody is."""
        return sum(self.by_day[d] for d in self.days) / len(self.days) if self.by_day else self.size

    def opens(self, us: int) -> int:
        """When work can begin next, at `us` or later."""
        for _ in range(9):
            day, rest = divmod(us, DAY_US)
            if (day + _FIRST_DAY) % 7 in self.days:
                if rest < self.begin * MINUTE_US:
                    return day * DAY_US + self.begin * MINUTE_US
                if rest < self.end * MINUTE_US:
                    return us
            us = (day + 1) * DAY_US
        return us


class Plan(NamedTuple):
    """`every`: between two that come; or `profile`: how many come in each hour of the week (UTC, from Monday)."""

    instances: int
    every: Spread | None
    profile: tuple[float, ...]
    elements: dict[str, Work]
    branches: dict[str, float]
    resources: dict[str, Resource]
    variables: dict[str, Any]
    warmup: float


def problem(given: Any) -> str:
    """What is wrong with a plan as it is given; empty: nothing."""
    if not isinstance(given, dict):
        return "plan: expected an object"
    known = {"instances", "arrival", "elements", "branches", "resources", "variables", "warmup"}
    if odd := sorted(set(given) - known):
        return f"{odd[0]}: unknown; known are {', '.join(sorted(known))}"
    n = given.get("instances", 1)
    if type(n) is not int or not 1 <= n <= INSTANCES_MAX:
        return f"instances: expected 1 to {INSTANCES_MAX}"
    if type(given.get("warmup", 0.0)) not in (int, float) or not 0 <= given.get("warmup", 0) <= 0.9:
        return "warmup: expected a share from 0 to 0.9"
    for name in ("elements", "branches", "resources", "variables"):
        if not isinstance(given.get(name, {}), dict) or len(given.get(name, {})) > NAMES_MAX:
            return f"{name}: expected an object with {NAMES_MAX} names at most"
    for flow, share in given.get("branches", {}).items():
        if type(share) not in (int, float) or not 0 <= share <= 1:
            return f"branches.{flow}: expected a share from 0 to 1"
    return _arrival(given.get("arrival")) or _resources(given.get("resources", {})) or _elements(given)


def _arrival(given: Any) -> str:
    if given is None:
        return "arrival: expected {every: a time between two} or {profile: how many in each hour of the week}"
    if not isinstance(given, dict) or len(given) != 1 or next(iter(given)) not in ("every", "profile"):
        return "arrival: expected an object with every, or profile"
    if "every" in given:
        wrong = draws.problem(given["every"])
        return (
            f"arrival.every: expected {wrong}"
            if wrong
            else ""
            if draws.read(given["every"]).mean > 0
            else "arrival.every: expected more than no time"
        )
    profile = given["profile"]
    right = isinstance(profile, list) and len(profile) == HOURS and all(type(x) in (int, float) and 0 <= x <= 1_000_000 for x in profile)
    return (
        ""
        if right and any(profile)
        else f"arrival.profile: expected {HOURS} numbers, how many come in each hour of the week from Monday, in UTC"
    )


def _elements(given: Mapping[str, Any]) -> str:
    for name, each in given.get("elements", {}).items():
        if not isinstance(each, dict) or set(each) - {"work", "wait", "resource"}:
            return f"elements.{name}: expected an object with work, wait, resource"
        for word in ("work", "wait"):
            if word in each and (wrong := draws.problem(each[word])):
                return f"elements.{name}.{word}: expected {wrong}"
        if each.get("resource") and each["resource"] not in given.get("resources", {}):
            return f"elements.{name}.resource: expected one of resources, found {str(each['resource'])[:100]!r}"
    return ""


def _resources(given: Mapping[str, Any]) -> str:
    for name, each in given.items():
        if not isinstance(each, dict) or set(each) - {"count", "days", "from", "to", "by_day"}:
            return f"resources.{name}: expected an object with count, days, from, to, by_day"
        if type(each.get("count")) is not int or not 1 <= each["count"] <= COUNT_MAX:
            return f"resources.{name}.count: expected 1 to {COUNT_MAX}"
        days = each.get("days", list(DAYS))
        if not isinstance(days, list) or not days or any(d not in DAYS for d in days):
            return f"resources.{name}.days: expected a list of {', '.join(DAYS)}"
        other = each.get("by_day", {})
        if not isinstance(other, dict) or any(d not in DAYS or type(n) is not int or not 1 <= n <= COUNT_MAX for d, n in other.items()):
            return f"resources.{name}.by_day: expected an object of weekdays with 1 to {COUNT_MAX} each"
        begin, end = _minutes(each.get("from", "00:00")), _minutes(each.get("to", "24:00"))
        if begin < 0 or end < 0 or begin >= end:
            return f"resources.{name}.from, to: expected times of the day such as 08:00 and 17:00, the one before the other"
    return ""


def _minutes(value: Any) -> int:
    if (
        not isinstance(value, str)
        or len(value) != 5
        or value[2] != ":"
        or not (value[:2] + value[3:]).isascii()
        or not (value[:2] + value[3:]).isdecimal()
    ):
        return -1
    found = int(value[:2]) * 60 + int(value[3:])
    return found if found <= 1440 and int(value[3:]) < 60 else -1


def read(given: Mapping[str, Any]) -> Plan:
    """One without a problem."""
    arrival = given["arrival"]
    resources = {
        name: Resource(
            each["count"], frozenset(DAYS.index(d) for d in each.get("days", DAYS)), _minutes(each.get("from", "00:00")), _minutes(each.get("to", "24:00")),
            tuple(each["by_day"].get(d, each["count"]) for d in DAYS) if each.get("by_day") else (),
        )
        for name, each in given.get("resources", {}).items()
    }  # fmt: skip
    elements = {
        name: Work(
            draws.read(each["work"]) if "work" in each else NOTHING, draws.read(each["wait"]) if "wait" in each else NOTHING, each.get("resource") or ""
        )
        for name, each in given.get("elements", {}).items()
    }  # fmt: skip
    return Plan(
        given.get("instances", 500), draws.read(arrival["every"]) if "every" in arrival else None, tuple(map(float, arrival.get("profile", ()))), elements,
        {k: float(v) for k, v in given.get("branches", {}).items()}, resources, dict(given.get("variables", {})), float(given.get("warmup", 0.1)),
    )  # fmt: skip


def changed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A plan with changes: what is an object is changed name by name, and so are its elements and resources; null takes a name away."""
    found = dict(base)
    for name, value in changes.items():
        if name in ("elements", "resources", "branches", "variables") and isinstance(value, dict) and isinstance(found.get(name, {}), dict):
            mine = dict(found.get(name, {}))
            for key, each in value.items():
                if each is None:
                    mine.pop(key, None)
                elif isinstance(each, dict) and isinstance(mine.get(key, {}), dict) and name in ("elements", "resources"):
                    mine[key] = {k: v for k, v in {**mine.get(key, {}), **each}.items() if v is not None}
                else:
                    mine[key] = each
            found[name] = mine
        else:
            found[name] = value
    return found

"""Who gets a task: candidates, constraints, strategies, fallbacks; and why, in words that stand on the log.

Source: requirements D-ASG-001 to 006, APG-ASG-001 to 003, TES-ASG-001, C-48. Pure: candidates are records of registry `directory`, load and history
are indexes of the partition. Settings come from `details.settings.assignment` (a task definition, or `flowledger:task` in the model):

    strategy: role | skill | least_loaded | load | round_robin | weighted | recommended | first
    groups, users: who may be chosen; without them everybody of the directory with the needed kind
    kind: human, ai_agent, service, tool, external_api, hybrid
    required_capabilities, required_permissions, place, resources: what the assignee must have
    fallback: users or agents in order, tried before the strategy chooses anew
    timeout: how long the chosen one has to start (ISO 8601), then the next is asked

A maximum (`max_concurrent`) holds over all partitions (`people.py`): a choice that falls on somebody who may have room elsewhere only waits until their
home has answered (`asks`). The load that strategies compare is what this partition knows of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from flowledger.events import task as ta
from flowledger.kernel.state import Partition, Task
from flowledger.kernel.tasks import calendars, duties, index, people, permits, stock

KINDS = ("human", "ai_agent", "service", "tool", "external_api", "hybrid")
#: kinds whose work is handed out as a job
MACHINES = frozenset({"ai_agent", "service", "tool", "external_api", "hybrid"})
#: names told in the reasons; more are counted
REASONS_MAX = 20
_KIND_OF = {"user": "human", "agent": "ai_agent", "service": "service", "tool": "tool", "api": "external_api"}


def texts(value: Any) -> list[str]:
    """A list of texts from a list, or from a text with commas."""
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, dict):
        value = list(value)
    return [str(v).strip() for v in value or () if str(v).strip()] if isinstance(value, (list, tuple)) else []


def settings_of(task: Task) -> dict[str, Any] | None:
    """The task's assignment settings as one object, None when it has none."""
    settings = (task.details or {}).get("settings")
    found = settings.get("assignment") if isinstance(settings, dict) else None
    if isinstance(found, list):
        found = found[0] if found else None
    return found if isinstance(found, dict) else None


def entry(p: Partition, tenant: str, name: str) -> dict[str, Any] | None:
    """The directory's record of somebody. A bare name is a user, an agent, a service ... in this order."""
    found = people.find(p, tenant, name)
    return found[1] if found is not None else None


def kind_of(name: str, record: dict[str, Any] | None) -> str:
    if record is not None and record.get("kind") in KINDS:
        return str(record["kind"])
    return _KIND_OF.get(name.split(":", 1)[0], "human") if ":" in name else "human"


def groups_of(record: dict[str, Any]) -> set[str]:
    return {*texts(record.get("groups")), *texts(record.get("roles"))}


def calendar_of(p: Partition, tenant: str, name: Any) -> dict[str, Any] | None:
    return index.record(p, "directory", tenant, f"calendar:{name}") if name else None


def listed(p: Partition, tenant: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """Everybody in the directory: (name without `user:`, record), in order of name."""
    table = p.registry.get("directory") or {}
    for full in sorted(table):
        owner, _, name = full.rpartition("/")
        if owner and owner != tenant:
            continue
        if not owner and tenant and f"{tenant}/{full}" in table:
            continue
        prefix, _, bare = name.partition(":")
        if prefix in people.PEOPLE:
            yield (bare if prefix == "user" else name), table[full]


# --- constraints ------------------------------------------------------------------------------------------------------


class Needs:
    """What a task asks of its assignee."""

    __slots__ = ("capabilities", "groups", "kinds", "permissions", "place", "resources", "task", "users")

    def __init__(self, task: Task, settings: dict[str, Any], lanes: list[str]) -> None:
        details = task.details or {}
        self.task = task
        self.capabilities = _levels(settings.get("required_capabilities") or settings.get("skills") or details.get("required_capabilities"))
        self.permissions = texts(settings.get("required_permissions"))
        self.place = texts(settings.get("place"))
        self.resources = {**_numbers(details.get("resources")), **_numbers(settings.get("resources"))}
        self.kinds = texts(settings.get("kind"))
        self.users = texts(settings.get("users")) or texts(details.get("candidate_users"))
        self.groups = texts(settings.get("groups") or settings.get("roles")) or texts(details.get("candidate_groups"))
        if not self.users and not self.groups:
            self.groups = lanes


def _levels(value: Any) -> dict[str, Decimal]:
    """Capability -> least level: `["python", "sql:3"]`, `{"python": 2}`."""
    if isinstance(value, dict):
        return {str(k): Decimal(str(v)) if _is_number(v) else Decimal(1) for k, v in value.items()}
    out = {}
    for part in texts(value):
        name, _, level = part.partition(":")
        out[name] = Decimal(level) if level.isascii() and level.isdigit() else Decimal(1)
    return out


def _is_number(v: Any) -> bool:
    return isinstance(v, (int, float, Decimal)) and not isinstance(v, bool)


def _numbers(value: Any) -> dict[str, Decimal]:
    return {str(k): Decimal(str(v)) for k, v in value.items() if _is_number(v)} if isinstance(value, dict) else {}


def _active(n: Needs, p: Partition, tenant: str, name: str, r: dict[str, Any], now: int) -> str:
    return "" if r.get("active", True) else "is not active"


def _kind(n: Needs, p: Partition, tenant: str, name: str, r: dict[str, Any], now: int) -> str:
    kind = kind_of(name, r)
    return f"is {kind}, needed is {' or '.join(n.kinds)}" if n.kinds and kind not in n.kinds and "hybrid" not in n.kinds else ""


def _other(n: Needs, p: Partition, tenant: str, name: str, r: dict[str, Any], now: int) -> str:
    done = duties.did(p, n.task, name)
    return f"did '{done}', and this is for another (four eyes)" if done else ""


def _member(n: Needs, p: Partition, tenant: str, name: str, r: dict[str, Any], now: int) -> str:
    if (not n.groups and not n.users) or name in n.users or groups_of(r) & set(n.groups):
        return ""
    return "is in none of " + ", ".join([*n.groups, *n.users])


def _capable(n: Needs, p: Partition, tenant: str, name: str, r: dict[str, Any], now: int) -> str:
    has = _levels(r.get("capabilities"))
    down = texts(r.get("capabilities_down"))
    lacks = [f"{c} {level}" if level > 1 else c for c, level in n.capabilities.items() if has.get(c, Decimal(0)) < level or c in down]
    return f"lacks the capability {', '.join(lacks)}" if lacks else ""


def _permitted(n: Needs, p: Partition, tenant: str, name: str, r: dict[str, Any], now: int) -> str:
    lacks = set(n.permissions) - set(texts(r.get("permissions")))
    return f"lacks the permission {', '.join(sorted(lacks))}" if lacks else ""


def _placed(n: Needs, p: Partition, tenant: str, name: str, r: dict[str, Any], now: int) -> str:
    places = texts(r.get("place"))
    return (
        f"is in {', '.join(places) or 'no known place'}, needed is {' or '.join(n.place)}"
        if n.place and not set(places) & set(n.place)
        else ""
    )


def _present(n: Needs, p: Partition, tenant: str, name: str, r: dict[str, Any], now: int) -> str:
    calendar = calendar_of(p, tenant, r.get("calendar"))
    return f"does not work now (calendar {r['calendar']})" if calendar is not None and not calendars.open_at(calendar, now) else ""


def _has_room(n: Needs, p: Partition, tenant: str, name: str, r: dict[str, Any], now: int) -> str:
    person = people.limit(p, tenant, name)
    if person is None or person.room(p, now, 1)[0] or person.unasked(p):
        return ""
    if stock.away(p, person.target):
        return f"has no room for more, at most {person.most} {AT_ONCE}"
    return f"has {person.total(p)} tasks, at most {person.most} {AT_ONCE}"


AT_ONCE = "at once"


def _equipped(n: Needs, p: Partition, tenant: str, name: str, r: dict[str, Any], now: int) -> str:
    has = _numbers(r.get("resources"))
    lacks = [f"{k} {has.get(k, 0)} of {v}" for k, v in n.resources.items() if has.get(k, Decimal(0)) < v]
    return f"lacks resources: {', '.join(lacks)}" if lacks and n.resources else ""


def _unbroken(n: Needs, p: Partition, tenant: str, name: str, r: dict[str, Any], now: int) -> str:
    breaker = p.records.get(("breaker", f"assignee:{name}"))
    return "its circuit breaker is open" if breaker is not None and breaker["state"] == "open" else ""


#: each says why somebody is excluded, `""` when not
CONSTRAINTS: tuple[Callable[[Needs, Partition, str, str, dict[str, Any], int], str], ...] = (
    _active, _kind, _member, _other, _capable, _permitted, _placed, _present, _has_room, _equipped, _unbroken,
)  # fmt: skip


def why_not(n: Needs, p: Partition, tenant: str, name: str, record: dict[str, Any], now_us: int) -> str:
    """The first reason against somebody, `""` when eligible."""
    for constraint in CONSTRAINTS:
        if reason := constraint(n, p, tenant, name, record, now_us):
            return reason
    return ""


# --- strategies: the eligible, and the best of them -------------------------------------------------------------------


def load(p: Partition, name: str, r: dict[str, Any]) -> Decimal:
    """Share of capacity in use; without a limit the number of tasks, behind all shares."""
    held = len(p.by_assignee.get(name) or ())
    most = people.balance(r, "max_concurrent")
    return Decimal(held) / most if isinstance(most, int) and most > 0 else Decimal(held)


def _least_loaded(p: Partition, n: Needs, pool: str, eligible: dict[str, dict[str, Any]]) -> tuple[str, str]:
    name = min(eligible, key=lambda x: (load(p, x, eligible[x]), x))
    return name, f"has the least load: {len(p.by_assignee.get(name) or ())} open tasks"


def _role(p: Partition, n: Needs, pool: str, eligible: dict[str, dict[str, Any]]) -> tuple[str, str]:
    name, _ = _least_loaded(p, n, pool, eligible)
    roles = sorted(groups_of(eligible[name]) & set(n.groups))
    return name, f"has the role {', '.join(roles)}" if roles else "is a candidate"


def skill(n: Needs, r: dict[str, Any]) -> Decimal:
    """The sum of levels of what is needed."""
    has = _levels(r.get("capabilities"))
    return sum((has.get(c, Decimal(0)) for c in n.capabilities), Decimal(0))


def _skill(p: Partition, n: Needs, pool: str, eligible: dict[str, dict[str, Any]]) -> tuple[str, str]:
    name = min(eligible, key=lambda x: (-skill(n, eligible[x]), load(p, x, eligible[x]), x))
    return name, f"has the highest skill: {skill(n, eligible[name])} over {', '.join(n.capabilities) or 'nothing needed'}"


def _round_robin(p: Partition, n: Needs, pool: str, eligible: dict[str, dict[str, Any]]) -> tuple[str, str]:
    last = (p.records.get(("round_robin", pool)) or {}).get("last", "")
    names = sorted(eligible)
    name = next((x for x in names if x > last), names[0])
    return name, f"is next in turn after {last or 'nobody'}"


def score(p: Partition, name: str, r: dict[str, Any]) -> Decimal:
    """Share of successes, speed and the directory's weight, against the load."""
    history = p.records.get(("history", name)) or {"done": 0, "failed": 0, "ms": 0}
    weight = people.balance(r, "weight")
    good: Decimal = Decimal(history["done"] + 1) / (history["done"] + history["failed"] + 2)
    speed = Decimal(3_600_000) / (3_600_000 + history["ms"]) if history["done"] else Decimal(1) / 2
    base = Decimal(str(weight)) if _is_number(weight) else Decimal(1)
    return base * good * good * speed * speed / (1 + load(p, name, r))


def _weighted(p: Partition, n: Needs, pool: str, eligible: dict[str, dict[str, Any]]) -> tuple[str, str]:
    name = min(eligible, key=lambda x: (-score(p, x, eligible[x]), x))
    return name, f"has the best record for its load: score {score(p, name, eligible[name]):.3f}"


#: so many tasks of what is usual count beside somebody's own, so that the first few decide little
USUAL = 3


def usual_ms(p: Partition, among: Iterable[str]) -> Decimal:
    """How long a task of these takes."""
    known = [h for x in among if (h := p.records.get(("history", x))) is not None and h["done"]]
    return sum((Decimal(h["ms"]) for h in known), Decimal(0)) / len(known) if known else Decimal(3_600_000)


def expected_ms(p: Partition, name: str, usual: Decimal) -> Decimal:
    """When somebody would be done with one more: all that they hold and this, each as long as theirs take (`usual`, as long as little is known of theirs),
    and again where theirs fail. How long theirs take has their waiting in it: so nobody is given so much that they fall behind."""
    mine = p.records.get(("history", name)) or {"done": 0, "failed": 0, "ms": 0}
    each = (mine["done"] * Decimal(mine["ms"]) + USUAL * usual) / (mine["done"] + USUAL)
    good = Decimal(mine["done"] + 1) / (mine["done"] + mine["failed"] + 1)
    found: Decimal = (len(p.by_assignee.get(name) or ()) + 1) * each / good
    return found


def _expects(p: Partition, name: str, usual: Decimal) -> str:
    """In words, whole seconds."""
    mine = p.records.get(("history", name)) or {"done": 0, "failed": 0}
    held = len(p.by_assignee.get(name) or ())
    return f"would be done in {int(expected_ms(p, name, usual) / 1000)} s: {held} open tasks, {mine['done']} done and {mine['failed']} failed before"


def _recommended(p: Partition, n: Needs, pool: str, eligible: dict[str, dict[str, Any]]) -> tuple[str, str]:
    usual = usual_ms(p, sorted(eligible))
    name = min(eligible, key=lambda x: (expected_ms(p, x, usual), x))
    return name, _expects(p, name, usual)


def overridden(task: Task, name: str) -> dict[str, Any]:
    """What stands with an assignment by hand, where somebody was recommended before: whom, and whether they were taken."""
    record = (task.details or {}).get("assignment")
    if not isinstance(record, dict) or record.get("strategy") != "recommended":
        return {}
    whom = str(record.get("recommended") or record.get("assignee") or "")
    return {"strategy": "recommended", "recommended": whom, "override": name != whom} if whom else {}


def _first(p: Partition, n: Needs, pool: str, eligible: dict[str, dict[str, Any]]) -> tuple[str, str]:
    order = {name: at for at, name in enumerate(n.users)}
    name = min(eligible, key=lambda x: (order.get(x, len(order)), x))
    return name, "is the first candidate"


STRATEGIES: dict[str, Callable[[Partition, Needs, str, dict[str, dict[str, Any]]], tuple[str, str]]] = {
    "role": _role, "skill": _skill, "least_loaded": _least_loaded, "load": _least_loaded, "round_robin": _round_robin,
    "weighted": _weighted, "history": _weighted, "recommended": _recommended, "first": _first,
}  # fmt: skip


def _standing(strategy: str, p: Partition, n: Needs, name: str, r: dict[str, Any], usual: Decimal) -> str:
    """By what the strategy compared somebody with whom it chose."""
    if strategy == "recommended":
        return _expects(p, name, usual)
    held, most = len(p.by_assignee.get(name) or ()), people.balance(r, "max_concurrent")
    loaded = f"{held} open tasks" + (f" of {most}" if isinstance(most, int) and most > 0 else "")
    if strategy in ("weighted", "history"):
        return f"score {score(p, name, r):.3f}"
    if strategy == "skill":
        return f"skill {skill(n, r)}, {loaded}"
    return "later in turn" if strategy == "round_robin" else "later in the list" if strategy == "first" else loaded


# --- choosing ---------------------------------------------------------------------------------------------------------


def choose(
    p: Partition, task: Task, settings: dict[str, Any], lanes: list[str], now_us: int, wish: str = "", but: Iterable[str] = ()
) -> dict[str, Any]:
    """The record of a choice: `{assignee, kind, strategy, why, excluded: {name: reason}, behind: {name: how they stood}, considered}`; `assignee` is "" when nobody is.

    `wish`: taken when eligible, else ignored with the reason (C-48). `but`: who had it and is passed over. Where it falls on somebody whose home is to be
    asked first, `assignee` is "" and `asks` names them.
    """
    found = _choose(p, task, settings, lanes, now_us, wish, but)
    person = people.limit(p, task.tenant, found["assignee"]) if found["assignee"] else None
    if person is None or person.room(p, now_us, 1)[0]:
        return found
    why = f"waits to hear whether {found['assignee']} has room for more"
    return {**found, "assignee": "", "asks": found["assignee"], "why": why}


def _choose(
    p: Partition, task: Task, settings: dict[str, Any], lanes: list[str], now_us: int, wish: str, but: Iterable[str]
) -> dict[str, Any]:
    needs = Needs(task, settings, lanes)
    preferred_record = entry(p, task.tenant, str(settings["assignee"])) if settings.get("assignee") else None
    strategy = str(settings.get("strategy") or ((preferred_record or {}).get("load_balancing") or {}).get("strategy") or "least_loaded")
    passed = list(but)
    out: dict[str, Any] = {"strategy": strategy, "assignee": "", "excluded": {}}
    eligible: dict[str, dict[str, Any]] = {}
    count = 0
    for name, record in listed(p, task.tenant):
        if not candidate(needs, name, record):
            continue
        count += 1
        reason = "had it before" if name in passed else why_not(needs, p, task.tenant, name, record, now_us)
        if not reason:
            eligible[name] = record
        elif len(out["excluded"]) < REASONS_MAX:
            out["excluded"][name] = reason
    out["considered"] = count
    told = [name for name in named(p, task, settings, passed) if name != settings.get("assignee")]
    fallback = [name for name in told if name not in passed]
    if wish:
        out["wish"] = {"assignee": wish, "used": wish in eligible}
        if wish in eligible:
            return {**out, "assignee": wish, "why": "was named by the task before", "kind": kind_of(wish, eligible[wish])}
        out["wish"]["reason"] = out["excluded"].get(wish) or "is no candidate"
    preferred = settings.get("assignee")
    order = [preferred, *fallback] if preferred and preferred not in passed else fallback if passed or not eligible else []
    for name in order:
        found = entry(p, task.tenant, name)
        reason = _against(needs, p, task.tenant, name, found, now_us)
        if not reason:
            why = "is the preferred assignee" if name == preferred else f"is fallback {told.index(name) + 1}"
            return {**out, "assignee": name, "why": why, "kind": kind_of(name, found)}
        out["excluded"][name] = reason
    if not eligible:
        again = _on_duty(p, task.tenant, needs, now_us)
        return {**out, "why": f"nobody of {count} candidates is eligible", **({"again_us": again} if again else {})}
    pool = pool_of(task, needs)
    name, why = STRATEGIES.get(strategy, _least_loaded)(p, needs, pool, eligible)
    others = sorted(eligible.keys() - {name})[:REASONS_MAX]
    usual = usual_ms(p, sorted(eligible)) if strategy == "recommended" else Decimal(0)
    behind = {x: _standing(strategy, p, needs, x, eligible[x], usual) for x in others}
    return {
        **out,
        **({"behind": behind} if behind else {}),
        "assignee": name,
        "why": why,
        "kind": kind_of(name, eligible[name]),
        **({"pool": pool} if strategy == "round_robin" else {}),
    }


def _against(needs: Needs, p: Partition, tenant: str, name: str, record: dict[str, Any] | None, now_us: int) -> str:
    """Of somebody whom the settings name, who need not be in the directory."""
    if record is None:
        return _other(needs, p, tenant, name, {}, now_us)
    return why_not(without_membership(needs), p, tenant, name, record, now_us)


def named(p: Partition, task: Task, settings: dict[str, Any], passed: Iterable[str] = ()) -> list[str]:
    """Whom the settings name in order: the preferred assignee, their fallbacks, and those that the records of the preferred and the passed name."""
    preferred = settings.get("assignee")
    found = [str(preferred)] if preferred else []
    found += texts(settings.get("fallback"))
    for name in [*([str(preferred)] if preferred else []), *passed]:
        found += texts((entry(p, task.tenant, name) or {}).get("fallback"))
    return list(dict.fromkeys(found))


def _on_duty(p: Partition, tenant: str, needs: Needs, now_us: int) -> int:
    """When the next candidate whose calendar is closed begins to work; 0 when none does."""
    found = []
    for name, record in listed(p, tenant):
        if (
            candidate(needs, name, record)
            and record.get("active", True)
            and (calendar := calendar_of(p, tenant, record.get("calendar"))) is not None
        ):
            if not calendars.open_at(calendar, now_us):
                found.append(calendars.add(calendar, now_us, 1) - 1)
    return min(found, default=0)


def pool_of(task: Task, needs: Needs) -> str:
    """Whose turn is kept together."""
    return f"{task.tenant}/{','.join(sorted([*needs.groups, *needs.users])) or task.element or task.job_type or 'all'}"


def candidate(n: Needs, name: str, record: dict[str, Any]) -> bool:
    """Asked for at all: strangers to the groups are not listed as excluded."""
    return bool((not n.groups and not n.users) or name in n.users or groups_of(record) & set(n.groups))


def without_membership(n: Needs) -> Needs:
    other = Needs.__new__(Needs)
    for slot in Needs.__slots__:
        setattr(other, slot, getattr(n, slot))
    other.groups, other.users = [], []
    return other


def assign(
    d: Any, task: Task, settings: dict[str, Any], lanes: list[str], reason: str = "", wish: str = "", but: Iterable[str] = ()
) -> bool:
    """Choose and record. False when nobody is eligible; that, too, is recorded with its reasons."""
    choice = choose(d.state, task, settings, lanes, d.facts.now_us, wish, but)
    name = choice["assignee"]
    if not name:
        wait_for(d, task, choice)
    passed = list(but)
    details: dict[str, Any] = {
        "assignment": {**choice, "type": choice.get("kind", "human"), "lanes": lanes, **({"passed": passed} if passed else {})}
    }
    required = Needs(task, settings, lanes).capabilities
    if required:
        details["assignment"]["required_capabilities"] = sorted(required)
    if not name:
        details |= {"assignee": None, **from_machine(task)}
        d.record(ta.TaskReleased(key=task.instance, task=task.key, status="created", reason=reason or choice["why"], details=details))
        return False
    details["assignee"] = name
    kind = "hybrid" if settings.get("kind") == "hybrid" and choice["kind"] in MACHINES else choice["kind"]
    if kind in MACHINES:
        record = entry(d.state, task.tenant, name) or {}
        details |= {"kind": kind, "job_type": str(record.get("job_type") or name)}
        if record.get("endpoint"):
            details["endpoint"] = record["endpoint"]
        if record.get("credential"):
            details["credential"] = record["credential"]  # a reference to a secret, never the secret
    else:
        details |= from_machine(task)
    d.record(ta.TaskAssigned(key=task.instance, task=task.key, status="assigned", reason=reason or choice["why"], details=details))
    return True


def wait_for(d: Any, task: Task, choice: dict[str, Any]) -> None:
    """A choice that found nobody: homes are asked for room, or here their turn is noted."""
    for name in [choice["asks"]] if "asks" in choice else [n for n, reason in choice["excluded"].items() if reason.endswith(AT_ONCE)]:
        person = people.limit(d.state, task.tenant, name)
        if person is not None:
            queue(d, task, person)


def queue(d: Any, task: Task, person: people.Person) -> None:
    """The task waits for room of theirs: elsewhere the home is asked, at home it is noted among those who wait."""
    if stock.away(d.state, person.target):
        permits.ask(d, person, 1, people.NEVER, task.priority)
    else:
        permits.own(d, person, task.priority)


def from_machine(task: Task) -> dict[str, Any]:
    """What changes when a task that a machine had becomes a person's, or nobody's: people's work is no job any more."""
    if (task.details or {}).get("kind") not in MACHINES:
        return {}
    return {"kind": "human", **({"job_type": ""} if task.type in ("human_task", "user_task") else {})}


def move_on(d: Any, task: Task, what: str, reason: str = "") -> bool:
    """The assignee refused, failed or let its time run out: on to the next, with fresh attempts. False when there is nobody (or no settings)."""
    settings = settings_of(task)
    details = task.details or {}
    if settings is None:  # named by the model or by hand: the fallbacks of the assignee's own record
        holder = str(details.get("assignee") or "")
        own = texts((entry(d.state, task.tenant, holder) or {}).get("fallback")) if holder else []
        if not own:
            return False
        settings = {"users": own, "strategy": "first"}
    record: dict[str, Any] = details["assignment"] if isinstance(details.get("assignment"), dict) else {}
    had = [*texts(record.get("passed")), *texts([details["assignee"]] if details.get("assignee") else [])]
    lanes = texts(record.get("lanes"))
    choice = choose(d.state, task, settings, lanes, d.facts.now_us, "", had)
    if not choice["assignee"] and "asks" not in choice:
        return False
    if task.retries <= 0:
        attempts = settings.get("attempts")
        d.record(ta.TaskRetried(key=task.instance, task=task.key, retries=attempts if isinstance(attempts, int) and attempts > 0 else 1))
    return assign(d, task, settings, lanes, f"{had[-1] if had else 'nobody'} {what}" + (f": {reason}" if reason else ""), "", had)

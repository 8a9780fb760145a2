"""What is held, and by what: asked by whoever hands out work or moves a token (docs/decisions/0009). Pure; nothing here changes the state.

A hold is one record. `Partition.holding` is its index, `{scope: {subject: {hold: Hold}}}`, and says in `STILL` which instances stand still or have something
kept; it is empty where nothing is held, and then nobody asks. Choices: a hold of one without tenant is over all tenants; called instances
are held with their callers, whose definitions and elements they know from their start (`$callers`); what is being cancelled is held by nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flowledger.kernel.state import WAITING, Definition, Hold, Instance, Partition, Task, Token
from flowledger.kernel.tasks import quotas
from flowledger.kernel.tasks.guards import targets

PAUSE, SUSPEND = "pause", "suspend"
SCOPES = ("instance", "definition", "version", "element", "job_type", "target", "tenant")
#: scopes that hold tokens; the others hold whole instances
_OF_TOKENS = ("element", "job_type", "target")
#: scopes over which new instances may be held or refused
OF_STARTS = frozenset({"definition", "version", "tenant"})
#: in the index: instances that stand still by themselves, or have something kept
STILL = "still"
#: statuses of those that stand still
STATUSES = frozenset({"suspended", "quarantined"})
#: every tenant
ALL = "*"
#: in an instance's metadata: definition and element of each caller, the outermost first
CALLERS = "$callers"


def stands(p: Partition, h: Hold, key: int, tenant: str) -> bool:
    """Whether it still holds what it is about in instance (or task) `key`."""
    return (not h.tenant or h.tenant == tenant) and (not h.upto or key in p.releasing.get(h.id, ()))


def _at(p: Partition, scope: str, subject: str, key: int, tenant: str) -> Iterator[Hold]:
    found = p.holding[scope].get(subject)
    if found:
        for h in found.values():
            if stands(p, h, key, tenant):
                yield h


def callers(i: Instance) -> Iterable[tuple[int, str]]:
    return (i.metadata or {}).get(CALLERS) or ()


def over_instance(p: Partition, i: Instance) -> Iterator[Hold]:
    """Holds over the whole of an instance, but for those that are placed on it alone."""
    holding, key, tenant = p.holding, i.key, i.tenant
    if "tenant" in holding:
        yield from _at(p, "tenant", tenant, key, tenant)
        yield from _at(p, "tenant", ALL, key, tenant)
    if "definition" in holding:
        yield from _at(p, "definition", i.process, key, tenant)
    if "version" in holding:
        yield from _at(p, "version", str(i.definition), key, tenant)
    for definition, element in callers(i):
        called_by = p.definitions.get(definition)
        for scope, subjects in (
            ("definition", (called_by.id,) if called_by is not None else ()),
            ("version", (str(definition),)),
            ("element", _elements(called_by.id if called_by is not None else "", definition, (element,))),
        ):
            if scope in holding:
                for subject in subjects:
                    yield from (h for h in _at(p, scope, subject, key, tenant) if h.children)


def _elements(process: str, definition: int, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield f"{process}/{name}"
        yield f"{definition}/{name}"


def over_token(p: Partition, i: Instance, token: int, element: str = "") -> Iterator[Hold]:
    """Holds over a token by where it stands, in whatever scopes, and by its work. `element`: of an event that waits on its behalf."""
    at = i.tokens.get(token)
    if "element" in p.holding:
        names = {element} if element else set()
        outer = at
        while outer is not None:
            names.add(outer.element)
            outer = i.tokens.get(outer.scope)
        for subject in _elements(i.process, i.definition, sorted(names)):
            yield from _at(p, "element", subject, i.key, i.tenant)
    if at is not None and ("job_type" in p.holding or "target" in p.holding):
        for key in at.holds or ():
            if (task := p.tasks.get(key)) is not None:
                yield from over_work(p, task)


def over_work(p: Partition, task: Task) -> Iterator[Hold]:
    """Holds over a task by what it is; of one without workflow, by its tenant as well."""
    holding, key = p.holding, task.instance or task.key
    if "job_type" in holding:
        yield from _at(p, "job_type", task.job_type, key, task.tenant)
    if "target" in holding:
        for target in targets(task):
            yield from _at(p, "target", target, key, task.tenant)
    if not task.instance and "tenant" in holding:
        yield from _at(p, "tenant", task.tenant, key, task.tenant)
        yield from _at(p, "tenant", ALL, key, task.tenant)


def _cancelling(i: Instance) -> bool:
    return any(t.data is not None and "cancelling" in t.data for t in i.tokens.values())


def frozen(p: Partition, i: Instance, token: int = 0, element: str = "") -> bool:
    """Nothing of the instance moves; with `token`: nothing of that."""
    if i.status in STATUSES:
        return True
    holds: Iterator[Hold] = over_instance(p, i)
    if any(h.mode == SUSPEND for h in holds):
        return not _cancelling(i)
    if token and any(h.mode == SUSPEND for h in over_token(p, i, token, element)):
        return not _cancelling(i)
    return False


def of_task(p: Partition, i: Instance | None, task: Task) -> str:
    """How a task is held: `""`, pause or suspend."""
    found = ""
    if i is not None:
        if i.status in STATUSES:
            return SUSPEND
        found = PAUSE if i.paused else ""
        for h in (*over_instance(p, i), *over_token(p, i, task.token), *over_work(p, task)):
            if h.mode == SUSPEND:
                return "" if _cancelling(i) else SUSPEND
            found = PAUSE
        return "" if found and not i.paused and _cancelling(i) else found
    for h in over_work(p, task):
        if h.mode == SUSPEND:
            return SUSPEND
        found = PAUSE
    return found


def of_start(p: Partition, tenant: str, found: Definition) -> Hold | None:
    """The hold over new instances of a definition: one that refuses them before others. What it releases already is over for them."""
    first = None
    for scope, subject in (("tenant", tenant), ("tenant", ALL), ("definition", found.id), ("version", str(found.key))):
        for h in (p.holding.get(scope) or {}).get(subject, {}).values():
            if not h.upto and (not h.tenant or h.tenant == tenant):
                if h.starts == "refuse":
                    return h  # type: ignore[no-any-return]
                first = first or h
    return first


def next_pending(p: Partition, now_us: int) -> int:
    """The first instance that waits for a place, is not held, and has one in its tenant's quota; 0: none."""
    return next((key for key in p.pending if may_begin(p, key, now_us)), 0)


def may_begin(p: Partition, key: int, now_us: int) -> bool:
    """Nothing holds an instance that waits for a place, and its tenant has one."""
    i = p.instances[key]
    if p.quotas and not quotas.has_place(p, i, now_us):
        return False
    return not p.holding or of_start(p, i.tenant, p.definitions[i.definition]) is None


def why(h: Hold) -> str:
    """In words, for whoever meets it."""
    return f"{h.mode} of {h.scope} '{h.subject}' (hold {h.id}{', ' + h.reason if h.reason else ''})"


def words(p: Partition, i: Instance | None, task: Task) -> str:
    """How a task is held, for whoever wanted something of it."""
    if i is not None and (i.status in STATUSES or i.paused):
        return i.status if i.status in STATUSES else "paused"
    over = [*(over_instance(p, i) if i is not None else ()), *(over_token(p, i, task.token) if i is not None else ()), *over_work(p, task)]
    return "held: " + "; ".join(why(h) for h in over)


def covered(p: Partition, h: Hold) -> list[int]:
    """What a hold over many is about: keys of instances, and of tasks without one, in order. Looks at all of them: once, when it is released."""
    if h.scope in _OF_TOKENS and h.scope != "element":
        tasks = [
            t for t in p.tasks.values() if _about(h, t.tenant) and h.subject in ((t.job_type,) if h.scope == "job_type" else targets(t))
        ]
        return sorted({t.instance or t.key for t in tasks})
    found = [k for k, i in p.instances.items() if _about(h, i.tenant) and _covers(p, h, i)]
    if h.scope == "tenant":
        found += [k for k, t in p.tasks.items() if not t.instance and h.subject in (t.tenant, ALL) and _about(h, t.tenant)]
    return sorted(found)


def _about(h: Hold, tenant: str) -> bool:
    return not h.tenant or h.tenant == tenant


def _covers(p: Partition, h: Hold, i: Instance) -> bool:
    if h.scope == "tenant":
        return h.subject in (i.tenant, ALL)
    by_callers = callers(i) if h.children else ()
    if h.scope == "version":
        return h.subject in (str(i.definition), *(str(d) for d, _ in by_callers))
    if h.scope == "definition":
        return h.subject == i.process or any((d := p.definitions.get(k)) is not None and d.id == h.subject for k, _ in by_callers)
    place, _, element = h.subject.partition("/")
    if place in (i.process, str(i.definition)) and (_within(p, i, element) or any(_within(p, t, element) for t in i.tokens.values())):
        return True
    return any(e == element and (place == str(k) or ((d := p.definitions.get(k)) is not None and d.id == place)) for k, e in by_callers)


def _within(p: Partition, holder: Instance | Token, element: str) -> bool:
    """It stands there, or waits for an event there."""
    if isinstance(holder, Token) and holder.element == element:
        return True
    return any(s.element == element for key in holder.holds or () for s in (p.subscriptions.get(key), p.timers.get(key)) if s is not None)


def goes_on(p: Partition, i: Instance) -> bool:
    """There is something to do once it is free, beside handing out its work."""
    return bool(i.kept or i.status == "pending" or i.spawning or i.key in p.by_condition) or any(
        t.phase != WAITING and not t.incident for t in i.tokens.values()
    )

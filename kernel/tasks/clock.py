"""Due and follow-up dates, reminders, escalation over several levels: timers of a task, planned from its details alone.

Source: requirements APG-HUM-002, APG-TSK-002, D-EVT-007. Settings (`details.settings`, by a task definition or `flowledger:task`):

    sla: ISO 8601 duration of working time until due; calendar: whose hours count
    reminders: durations before the due date, as a list or with commas
    escalation: levels in order, each {after | after_due, to, notify, priority, code, reason}

`to` is a user (or `agent:...`), or `group:NAME`; `notify` true leaves the assignee; `code` throws a BPMN escalation at the task's element.
A timer's element is `task:KIND:LEVEL:TASK`. Suspending stops the clock; resuming moves what is left by the time it stood still.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.kernel import times
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.state import Partition, Task
from flowledger.kernel.tasks import assignment, calendars, duties

LEVELS_MAX = 20
#: details that the plan follows from
PLANNED = frozenset({"due_us", "follow_up_us", "settings", "clock_us", "assignment"})


def span_us(text: Any) -> int:
    """Microseconds of an ISO 8601 duration without months, or of a number of milliseconds. Raises: ValueError."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text * 1000
    months, us = times.duration(str(text))
    if months:
        raise ValueError(f"'{text}' has months, whose length is not known")
    return us


def settings_of(task: Task) -> dict[str, Any]:
    found = (task.details or {}).get("settings")
    return found if isinstance(found, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """Levels as objects, from one object, a list, or `{levels: [...]}`."""
    if isinstance(value, dict):
        value = value["levels"] if isinstance(value.get("levels"), list) else [value]
    return [v for v in value if isinstance(v, dict)][:LEVELS_MAX] if isinstance(value, list) else []


def get(row: dict[str, Any], name: str) -> Any:
    """By name, also as it is written in XML (`after_due`, `afterDue`)."""
    if name in row:
        return row[name]
    head, *rest = name.split("_")
    return row.get(head + "".join(p.capitalize() for p in rest))


def due_us(p: Partition, tenant: str, settings: dict[str, Any], now_us: int) -> int:
    """When a task with an SLA is due, 0 without. Raises: ValueError."""
    sla = settings.get("sla")
    if not sla:
        return 0
    return calendars.add(assignment.calendar_of(p, tenant, settings.get("calendar")), now_us, span_us(sla))


def problems(settings: dict[str, Any]) -> list[str]:
    """What is wrong with the settings of a clock."""
    out: list[str] = []

    def duration(value: Any, where: str) -> None:
        try:
            if span_us(value) < 0:
                raise ValueError(f"'{value}' is negative")
        except ValueError as e:
            out.append(f"{where}: {e}")

    if settings.get("sla"):
        duration(settings["sla"], "sla")
    for text in assignment.texts(settings.get("reminders")):
        duration(text, "reminders")
    for n, row in enumerate(rows(settings.get("escalation")), 1):
        after, after_due = get(row, "after"), get(row, "after_due")
        if (after is None) == (after_due is None):
            out.append(f"escalation level {n}: expected either `after` or `after_due`")
        for value in (after, after_due):
            if value is not None:
                duration(value, f"escalation level {n}")
        if not (get(row, "to") or get(row, "code") or get(row, "notify")):
            out.append(f"escalation level {n}: expected `to`, `code` or `notify`")
    return out


def plan(p: Partition, task: Task) -> list[tuple[str, int, int]]:
    """(kind, level, due) of each timer that the task is to have, also of those that have fired."""
    details, settings = task.details or {}, settings_of(task)
    out: list[tuple[str, int, int]] = []
    calendar = assignment.calendar_of(p, task.tenant, settings.get("calendar"))
    stood = details.get("clock_us") or 0
    due = details.get("due_us") or 0
    if isinstance(due, int) and due:
        for n, text in enumerate(assignment.texts(settings.get("reminders")), 1):
            out.append(("remind", n, due - span_us(text)))
        out.append(("due", 0, due))
    if isinstance(follow := details.get("follow_up_us"), int) and follow:
        out.append(("follow_up", 0, follow))
    for n, row in enumerate(rows(settings.get("escalation")), 1):
        if (after := get(row, "after")) is not None:
            out.append(("escalate", n, calendars.add(calendar, task.created_us + stood, span_us(after))))
        elif due and (after := get(row, "after_due")) is not None:
            out.append(("escalate", n, calendars.add(calendar, due, span_us(after))))
    timeout = (assignment.settings_of(task) or {}).get("timeout")
    since = details.get("assigned_us")
    if timeout and isinstance(since, int) and task.status == "assigned":
        hops = len(assignment.texts((details.get("assignment") or {}).get("passed")))
        out.append(("timeout", hops, since + span_us(timeout)))
    if isinstance(choice := details.get("assignment"), dict) and choice.get("assignee") == "" and choice.get("again_us"):
        out.append(("offer", 0, choice["again_us"]))
    return out


def timers(p: Partition, task: Task) -> dict[tuple[str, int], Any]:
    """The task's timers that stand: (kind, level) -> timer."""
    i = p.instances.get(task.instance)
    holder: Any = task if i is None else i.tokens.get(task.token)
    out: dict[tuple[str, int], Any] = {}
    for key in (holder.holds if holder is not None else None) or ():
        t = p.timers.get(key)
        if t is not None and t.element.startswith("task:"):
            _, kind, level, owner = t.element.split(":", 3)
            if owner == str(task.key):
                out[kind, int(level)] = t
    return out


def schedule(d: Any, task: Task) -> None:
    """Set what the plan has and isn't set, withdraw what it hasn't or has at another time. What has fired stays fired."""
    fired = set((task.details or {}).get("fired") or ())
    stand = timers(d.state, task)
    wanted: dict[tuple[str, int], int] = {}
    if task.status != "suspended":
        wanted = {(kind, level): due for kind, level, due in plan(d.state, task) if f"{kind}:{level}" not in fired}
    for at, t in stand.items():
        if wanted.get(at) != t.due_us:
            cancel(d, task, t)
    for (kind, level), due in wanted.items():
        t = stand.get((kind, level))
        if t is None or t.due_us != due:
            element = f"task:{kind}:{level}:{task.key}"
            d.record(wa.TimerScheduled(key=task.instance, timer=d.key(), token=task.token, element=element, due_us=due))


def cancel(d: Any, task: Task, timer: Any) -> None:
    d.record(wa.TimerCancelled(key=task.instance, timer=timer.key, token=task.token, element=timer.element))


def stop(d: Any, task: Task) -> None:
    """The task ends: its timers go (those of a workflow's task go with its token)."""
    for timer in timers(d.state, task).values():
        cancel(d, task, timer)


# --- firing -----------------------------------------------------------------------------------------------------------


def fired(d: Any, t: Any) -> None:
    """A timer `task:KIND:LEVEL:TASK` is due."""
    d.record(wa.TimerTriggered(key=t.instance, timer=t.key, token=t.token, element=t.element))
    _, kind, level, key = t.element.split(":", 3)
    task = d.state.tasks.get(int(key))
    if task is not None and task.status != "suspended":
        FIRED[kind](d, task, int(level))


def _mark(task: Task, kind: str, level: int) -> list[str]:
    return [*((task.details or {}).get("fired") or ()), f"{kind}:{level}"]


def _remind(d: Any, task: Task, level: int) -> None:
    details = {"fired": _mark(task, "remind", level), "reminded": level}
    d.record(ta.TaskUpdated(key=task.instance, task=task.key, status=task.status, reason=f"reminder {level}", details=details))


def _follow_up(d: Any, task: Task, level: int) -> None:
    details = {"fired": _mark(task, "follow_up", level)}
    d.record(ta.TaskUpdated(key=task.instance, task=task.key, status=task.status, reason="follow-up date", details=details))


def _due(d: Any, task: Task, level: int) -> None:
    details = {"fired": _mark(task, "due", level), "breached_us": d.facts.now_us, "due_us": (task.details or {}).get("due_us")}
    d.record(ta.SlaBreached(key=task.instance, task=task.key, token=task.token, element=task.element, details=details))


def _escalate(d: Any, task: Task, level: int) -> None:
    levels = rows(settings_of(task).get("escalation"))
    if level <= len(levels):
        escalate(d, task, levels[level - 1], level, "time is up")


def escalate(d: Any, task: Task, row: dict[str, Any], level: int, reason: str) -> None:
    """One level of the path: who gets it or hears of it."""
    to = assignment.texts(get(row, "to"))
    groups = [t.removeprefix("group:") for t in to if t.startswith("group:")]
    users = [t.removeprefix("user:") for t in to if not t.startswith("group:")]
    barred = [name for name in users if duties.did(d.state, task, name)]
    users = [name for name in users if name not in barred]
    before = (task.details or {}).get("assignee")
    details: dict[str, Any] = {
        "fired": _mark(task, "escalate", level),
        "escalation": {
            "level": level,
            "to": to,
            "from": before,
            "notify": str(get(row, "notify") or "").lower() == "true",
            "at_us": d.facts.now_us,
        },
    }
    if (wanted := str(row.get("priority"))).isascii() and wanted.isdigit():
        details["priority"] = min(100, int(wanted[:9]))
    status = task.status
    if to and not details["escalation"]["notify"]:
        details |= assignment.from_machine(task)
        if users:
            record = assignment.entry(d.state, task.tenant, users[0])
            if (kind := assignment.kind_of(users[0], record)) in assignment.MACHINES:
                own = task.job_type or users[0]
                details |= {"kind": kind, "job_type": str((record or {}).get("job_type") or own)}
            details |= {"assignee": users[0], "assigned_us": d.facts.now_us}
            status = "assigned"
        else:
            details |= {"assignee": None}
            status = "created"
        if groups:
            details["candidate_groups"] = groups
        if len(users) > 1:
            details["candidate_users"] = users
    said = str(get(row, "reason") or reason)
    if barred:
        said += f"; passed over, since they did what comes before (four eyes): {', '.join(barred)}"
    d.record(ta.TaskEscalated(key=task.instance, task=task.key, status=status, reason=f"level {level}: {said}", details=details))
    schedule(d, task)
    if code := get(row, "code"):
        _throw(d, task, str(code))


def next_level(task: Task) -> tuple[int, dict[str, Any]] | None:
    """The first level of the path that was not reached yet."""
    done = ((task.details or {}).get("escalation") or {}).get("level", 0)
    levels = rows(settings_of(task).get("escalation"))
    return (done + 1, levels[done]) if done < len(levels) else None


def _throw(d: Any, task: Task, code: str) -> None:
    """The BPMN escalation `code` at the task's element; its handler need not interrupt."""
    i = d.state.instances.get(task.instance)
    if i is not None:
        token = i.tokens[task.token]
        HOOKS.throw_escalation(d, i, token, task.element, code, dict(token.vars or {}))


def _timeout(d: Any, task: Task, level: int) -> None:
    """Whoever was asked has not begun in time: the next in order, else it is free for all candidates."""
    if task.status != "assigned" or task.worker:
        return
    if assignment.move_on(d, task, "did not start in time"):
        assigned(d, task)
        return
    before = (task.details or {}).get("assignee")
    record = {**((task.details or {}).get("assignment") or {})}
    record["passed"] = [*assignment.texts(record.get("passed")), *([before] if before else [])]
    why = f"{before} did not start in time, nobody else is eligible"
    record |= {"assignee": "", "why": why}  # it found nobody, and waits for whoever comes
    details = {"assignee": None, "assignment": record, "fired": _mark(task, "timeout", level), **assignment.from_machine(task)}
    d.record(
        ta.TaskReleased(
            key=task.instance,
            task=task.key,
            status="created",
            reason=why,
            details=details,
        )
    )
    if (found := next_level(task)) is not None:
        escalate(d, task, found[1], found[0], "nobody started in time")


def assigned(d: Any, task: Task) -> None:
    """The clock of the assignee begins anew, where the settings have one."""
    if (assignment.settings_of(task) or {}).get("timeout"):
        details = {"assigned_us": d.facts.now_us}
        if (task.details or {}).get("assigned_us") != details["assigned_us"]:
            d.record(ta.TaskUpdated(key=task.instance, task=task.key, status=task.status, details=details))
        schedule(d, task)


def _offer(d: Any, task: Task, level: int) -> None:
    """Somebody comes on duty: the task that found nobody is offered again."""
    settings, record = assignment.settings_of(task), (task.details or {}).get("assignment") or {}
    if settings is None or (task.details or {}).get("assignee"):
        return
    assignment.assign(
        d, task, settings, assignment.texts(record.get("lanes")), "somebody came on duty", "", assignment.texts(record.get("passed"))
    )
    assigned(d, task)
    schedule(d, task)


FIRED: dict[str, Callable[[Any, Task, int], None]] = {
    "remind": _remind, "due": _due, "follow_up": _follow_up, "escalate": _escalate, "timeout": _timeout, "offer": _offer,
}  # fmt: skip

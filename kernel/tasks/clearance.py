"""Whom a job may be given to: the security context of its task definition (`execution.security_context`; requirements TES-SEC-001, TES-TSK-010).

    level: LOW, MEDIUM or HIGH; a HIGH job is for workers alone that are certified for it
    required_permissions: what the worker must have
    run_as: in whose name the executor does it; told to the worker, and no business of ours

A worker is known by the name that it asks with (with sign-in: who has signed in), as the directory has it: its `permissions`, and the job types that it
is `certified` for (`*`: all). Whoever stands in no directory has neither. What the definition says now holds for all its jobs, and what it said when a job
was made holds for that one, too.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.connectors import REFERENCE
from flowledger.kernel.state import Partition, Task
from flowledger.kernel.tasks import index, people
from flowledger.kernel.tasks.assignment import texts
from flowledger.kernel.tasks.shapes import are_texts, is_text, unknown
from flowledger.kernel.values import shown

LEVELS = ("LOW", "MEDIUM", "HIGH")
#: permissions of a context, job types of a record, variables of an environment; characters of one
LIST_MAX, TEXT_MAX = 100, 255
#: characters of the value of an environment's variable
VALUE_MAX = 2_000
EVERYTHING = "*"
#: parts of names whose values are nobody's business
_SECRET = ("PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE_KEY", "API_KEY", "APIKEY", "ACCESS_KEY")


def problems(execution: dict[str, Any]) -> list[str]:
    """What is wrong with what an execution says of its executor, environment and security."""
    out: list[str] = []
    if execution.get("executor") is not None and not is_text(execution["executor"], TEXT_MAX, 1):
        out.append(f"execution.executor: expected a text of 1 to {TEXT_MAX} characters")
    if (environment := execution.get("environment")) is not None:
        out += _environment(environment)
    if (context := execution.get("security_context")) is not None:
        at = "execution.security_context"
        out += unknown(context, ("level", "required_permissions", "run_as"), at)
        if isinstance(context, dict):
            if context.get("level") is not None and context["level"] not in LEVELS:
                out.append(f"{at}.level: expected one of {', '.join(LEVELS)}, found {shown(context['level'])}")
            if context.get("run_as") is not None and not is_text(context["run_as"], TEXT_MAX, 1):
                out.append(f"{at}.run_as: expected a text of 1 to {TEXT_MAX} characters")
            wanted = context.get("required_permissions")
            if wanted is not None and not are_texts(wanted, LIST_MAX, TEXT_MAX):
                out.append(f"{at}.required_permissions: expected a list of at most {LIST_MAX} texts")
    return out


def _environment(value: Any) -> list[str]:
    where = "execution.environment"
    if not isinstance(value, dict) or len(value) > LIST_MAX:
        return [f"{where}: expected an object of at most {LIST_MAX} texts"]
    out = []
    for name, text in value.items():
        if not is_text(name, TEXT_MAX, 1) or not is_text(text, VALUE_MAX):
            out.append(f"{where}.{name[:60]}: expected a text of at most {VALUE_MAX} characters")
        elif any(part in name.upper().replace("-", "_") for part in _SECRET) and not REFERENCE.fullmatch(text):
            out.append(f"{where}.{name[:60]}: expected a reference to a secret, {{{{secrets.NAME}}}}, and nothing else")
    return out


def certified_problems(value: Any) -> list[str]:
    """What is wrong with `certified` of a record of the directory."""
    good = value is None or are_texts(value, LIST_MAX, TEXT_MAX)
    return [] if good else [f"certified: expected a list of at most {LIST_MAX} job types, or *"]


def _context(holder: Any) -> dict[str, Any] | None:
    execution = holder.get("execution") if isinstance(holder, dict) else None
    found = execution.get("security_context") if isinstance(execution, dict) else None
    return found if isinstance(found, dict) else None


class Worker:
    """Somebody who asks for jobs; what the directory has of them is looked up once."""

    __slots__ = ("_actor", "_p", "_record", "_types", "refused")

    def __init__(self, p: Partition, actor: str) -> None:
        self._p, self._actor = p, actor
        self._record: dict[str, Any] | None = None
        #: (tenant, job type) -> what it lacks
        self._types: dict[tuple[str, str], str] = {}
        #: something was not for this worker
        self.refused = False

    def lacks(self, tenant: str, job_type: str) -> str:
        """What it would have to have for jobs of this type; empty: nothing."""
        place = (tenant, job_type)
        if (why := self._types.get(place)) is None:
            context = _context(index.record(self._p, "task_definition", tenant, job_type))
            why = self._types[place] = "" if context is None else self._of(tenant, job_type, context)
        return why

    def lacks_for(self, task: Task) -> str:
        if why := self.lacks(task.tenant, task.job_type):
            return why
        context = _context(task.details) if task.details is not None else None
        return "" if context is None else self._of(task.tenant, task.job_type, context)

    def takes(self, task: Task) -> bool:
        if self.lacks_for(task):
            self.refused = True
            return False
        return True

    def _of(self, tenant: str, job_type: str, context: dict[str, Any]) -> str:
        high, wanted = context.get("level") == "HIGH", context.get("required_permissions")
        if not high and not wanted:
            return ""
        if self._record is None:
            found = people.find(self._p, tenant, self._actor) if self._actor else None
            self._record = found[1] if found is not None else {}
        certified = self._record.get("certified") or ()
        if high and job_type not in certified and EVERYTHING not in certified:
            return f"to be certified for {job_type}, which is HIGH"
        held = texts(self._record.get("permissions"))
        missing = [name for name in wanted or () if name not in held]
        return f"to have the permission {missing[0]}" if missing else ""


def refusal(p: Partition, task: Task, actor: str) -> str:
    """Why `actor` may not work on a job without a lease, in words; empty: it may."""
    if not task.job_type or "task_definition" not in p.registry:
        return ""
    why = Worker(p, actor).lacks_for(task)
    return f"expected the worker of task {task.key} {why}, found '{actor}'" if why else ""

"""Kinds of findings: what each means, and what can be done about it. One table, which the API, the command line and the page show as it is."""

from __future__ import annotations

from typing import NamedTuple

from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.state import Instance, Partition

#: repair -> what it does
REPAIRS: dict[str, str] = {
    "enter": "enter the element anew: its job, timer, subscription or call is made again",
    "look": "let the element look at the token, as if what it waited for had come",
    "let_go": "let the join go on with what has come; from now on the joins of the instance wait for what can still come",
    "withdraw": "withdraw the token, and each scope around it that is left empty",
    "incident": "raise an incident at the token, for somebody to decide",
    "go_on": "let the instance go on: it begins, its tokens are looked at, what was kept is applied",
    "arm": "arm again what was lost",
    "terminate": "end the instance at once, without compensation",
    "cancel": "withdraw what nothing belongs to any more",
    "fire": "do now what was due",
    "offer": "offer the job to workers again",
    "resend": "send it again; numbers that are lost are filled, so that what stands behind them arrives",
    "take_over": "let the owner of the partition step down and take over anew, from the log",
    "restart": "end the projector's session with the database; it goes on from where the database is",
}
_TOKEN = ("withdraw", "incident")


class Kind(NamedTuple):
    """`says`: what is wrong with such a thing. `repairs`: the first is done where none is named."""

    says: str
    repairs: tuple[str, ...]


KINDS: dict[str, Kind] = {
    "token_stuck": Kind(
        "a token waits for nothing that can still come: its instance never ends by itself", ("enter", "look", "let_go", *_TOKEN)
    ),
    "wait_lost": Kind(
        "a token (or an instance) counts on a job, a timer or a subscription that isn't there: it never comes", ("arm", "incident")
    ),
    "token_without_scope": Kind("a token stands in a scope that is gone: nothing follows from its end", ("withdraw",)),
    "instance_without_token": Kind("an instance runs without any token: it never ends", ("terminate",)),
    "instance_idle": Kind("an instance has something to do that nothing keeps it from, and nobody does it", ("go_on",)),
    "task_without_token": Kind("a task is open for a token that is gone: nobody waits for what it brings", ("cancel",)),
    "job_without_task": Kind("a job stands in the queue of its type, and its task is gone: workers would be handed nothing", ("cancel",)),
    "job_not_offered": Kind("a job is free, and stands in no queue: no worker ever gets it", ("offer",)),
    "timer_without_token": Kind("a timer is set for a token that is gone", ("cancel",)),
    "timer_overdue": Kind("a timer was due, and did not fire", ("fire",)),
    "lease_overdue": Kind("a worker's lease ran out, and the job was not offered to others", ("fire",)),
    "retry_overdue": Kind("the pause before the next attempt of a job is over, and the job was not offered", ("fire",)),
    "message_overdue": Kind("a message's time to live is over, and it is still kept", ("fire",)),
    "incident_without_token": Kind("an incident is open for something that is gone: to resolve it moves nothing", ("cancel",)),
    "subscription_without_token": Kind("a subscription is open for a token that is gone: what it takes is lost for others", ("cancel",)),
    "subscription_unheard": Kind(
        "a token waits for a message, and the partition of its correlation key does not know: it never comes", ("arm",)
    ),
    "awaited_without_subscription": Kind("a message is awaited for a subscription that is gone: it would be sent to nobody", ("cancel",)),
    "child_without_parent": Kind(
        "a called instance runs, and the call that it belongs to is gone: nobody waits for its end", ("terminate",)
    ),
    "call_without_child": Kind("a call activity waits for an instance that is gone: it never goes on", ("enter", *_TOKEN)),
    "send_unconfirmed": Kind("what one partition sent to another is not confirmed, though it was sent again and again", ("resend",)),
    "commands_lag": Kind("commands wait on the topic of a partition, and its owner takes none", ("take_over",)),
    "projection_lag": Kind("the projections are behind the log and don't catch up: lists and pages show the past", ("restart",)),
}


#: findings that are about a partition, and nobody's thing
OF_PARTITION = frozenset({"send_unconfirmed", "commands_lag", "projection_lag"})


class Found(NamedTuple):
    """`subject`: the key of what it is about, or a text. `repairs`: those of its kind that fit, the first is usual."""

    kind: str
    subject: int | str
    says: str
    instance: int = 0
    element: str = ""
    tenant: str = ""
    token: int = 0
    repairs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Without the partition."""
        return f"{self.kind}-{self.subject}"


def found(kind: str, subject: int | str, says: str, i: Instance | None = None, element: str = "", token: int = 0, repairs: tuple[str, ...] = (),
          tenant: str = "", instance: int = 0) -> Found:  # fmt: skip
    return Found(kind, subject, says, i.key if i is not None else instance, element, i.tenant if i is not None else tenant, token,
                 repairs or KINDS[kind].repairs)  # fmt: skip


def id_of(partition: int, f: Found) -> str:
    return f"{partition}-{f.name}"


def parts_of(id: str) -> tuple[int, str, str] | None:
    """(partition, kind, subject) of the id of a finding; None: it isn't one."""
    partition, _, rest = id.partition("-")
    kind, _, subject = rest.partition("-")
    if not partition.isascii() or not partition.isdecimal() or len(partition) > 9 or kind not in KINDS:
        return None
    if not subject.isascii() or not subject.isdecimal() or len(subject) > 19:
        return None
    return int(partition), kind, subject


def no_finding(id: str) -> Rejected:
    """A stranger's can't be told from none."""
    return Rejected(RejectionCode.NOT_FOUND, f"expected the id of a finding that still holds, found '{id[:80]}': look again")


def tenant_of(p: Partition, subject: int, default: str) -> str:
    """Whose thing a subject is: a token's is its instance's."""
    if (i := p.instances.get(subject)) is not None:
        return i.tenant
    if (t := p.tasks.get(subject)) is not None:
        return t.tenant
    if (m := p.messages.get(subject)) is not None:
        return m.tenant
    if (a := p.awaited.get(subject)) is not None:
        return a.tenant
    for table in (p.timers, p.subscriptions, p.incidents):
        if (x := table.get(subject)) is not None:
            owner = p.instances.get(x.instance)
            return owner.tenant if owner is not None else default
    return next((i.tenant for i in p.instances.values() if subject in i.tokens), default)

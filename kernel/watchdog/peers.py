"""What only another partition can tell: whether the caller of an instance waits for it, whether a called instance runs, whether a message is awaited.

One partition asks another in one go, and says up to which number it has sent. The answer has what is missing there, how far the asked one has taken, and how
far it has sent. Something is missing for good when the asked one had heard all that was said to it before the question, what it had sent before its answer
has arrived, and the asker still sees the same: nothing can be under way then. That is exact; no time is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from flowledger.events import commands as c
from flowledger.kernel import holding
from flowledger.kernel.elements import cancelling
from flowledger.kernel.state import Awaited, Instance, Partition, Subscription
from flowledger.kernel.watchdog import looking
from flowledger.kernel.watchdog.kinds import Found, found

#: kinds of questions, with what they name
CALL, CHILD, START, AWAITED, SUBSCRIPTION = "call", "child", "start", "awaited", "subscription"
#: questions in one command
ASKED_MAX = 1_000


class Question(NamedTuple):
    """`of`: the keys that it is about, as the asked one needs them. `finding`: what is wrong where the answer is no."""

    to: int
    kind: str
    of: tuple[int, ...]
    finding: Found


def of_instance(look: looking.Look, i: Instance) -> Iterator[Question]:
    p, me = look.state, look.state.meta.partition
    if i.status == "pending" or i.status == "quarantined":
        return
    if i.parent and (to := c.partition_of_key(i.parent)) != me and not cancelling.is_one(i):
        says = (
            f"instance {i.key} of '{i.process}' was called by the token {i.parent_token} of instance {i.parent}, which does not wait for it"
        )
        yield Question(to, CALL, (i.parent, i.parent_token, i.key), found("child_without_parent", i.key, says, i))
    if i.kept or i.status != "running" or i.key in p.unsettled or (p.holding and holding.frozen(p, i)):
        return
    nodes = look.process(i).nodes
    for token in i.tokens.values():
        if not looking.is_call(token, nodes[token.element]) or any(k in p.tasks for k in token.holds or ()):
            continue
        child = (token.data or {}).get("child")
        if child and (to := c.partition_of_key(child)) != me:
            says = f"the token {token.key} at '{token.element}' waits for instance {child}, which is gone"
            yield Question(to, CHILD, (child,), found("call_without_child", token.key, says, i, token.element, token.key))
        elif not child and p.meta.partitions > 1 and not look.waits_for_place(token.key):
            says = f"the token {token.key} at '{token.element}' waits for an instance that was never started"
            finding = found("call_without_child", token.key, says, i, token.element, token.key)
            for to in range(p.meta.partitions):
                if to != me:
                    yield Question(to, START, (token.key,), finding)


def of_subscription(look: looking.Look, s: Subscription) -> Iterator[Question]:
    p = look.state
    if s.kind == "message" and not s.definition and s.partition != p.meta.partition:
        i = p.instances.get(s.instance)
        if i is not None and i.status != "quarantined":
            yield Question(s.partition, AWAITED, (s.key,), looking.unheard(s, i))


def of_awaited(look: looking.Look, a: Awaited) -> Iterator[Question]:
    if a.home != look.state.meta.partition:
        yield Question(a.home, SUBSCRIPTION, (a.subscription,), looking.for_nobody(a))


ASKS = {"instances": of_instance, "subscriptions": of_subscription, "awaited": of_awaited}


def again(look: looking.Look, q: Question) -> bool:
    """The asker still sees what it asked about, as it was."""
    subject = q.finding.subject
    for name, asks in ASKS.items():
        key = q.finding.token if q.kind in (CHILD, START) else subject
        table = getattr(look.state, name)
        own = table.get(q.finding.instance if name == "instances" else key)
        if own is not None and any(x.kind == q.kind and x.of == q.of and x.to == q.to for x in asks(look, own)):  # type: ignore[operator]
            return True
    return False


def missing(p: Partition, questions: list[list[str | int]]) -> list[int]:
    """The numbers of those that are answered with no. What can't be read is answered with yes: nothing is found by a guess."""
    out = []
    starts: set[int] | None = None
    for n, question in enumerate(questions):
        try:
            kind, *of = question
            keys = [int(k) for k in of]
        except (TypeError, ValueError):
            continue
        if len(keys) < (3 if kind == CALL else 1):
            continue
        if kind == CALL:
            there = looking.has_call(p, keys[0], keys[1], keys[2])
        elif kind == CHILD:
            there = keys[0] in p.instances
        elif kind == START:
            if starts is None:
                starts = {i.parent_token for i in p.instances.values()} | {
                    int((p.instances[k].request or {}).get("parent_token") or 0) for k in p.pending
                }
            there = keys[0] in starts
        elif kind == AWAITED:
            there = keys[0] in p.awaited
        elif kind == SUBSCRIPTION:
            there = keys[0] in p.subscriptions
        else:
            there = True
        if not there:
            out.append(n)
    return out

"""Message: to one receiver, found by name and correlation key, wherever its instance lives.

The subscription is opened at the partition of the correlation key, where messages of that key arrive; the two owners agree by commands
(`AwaitMessage`, `Correlate`, `MessageTaken`). Source: BPMN 2.0.2, chapter 10.5.5; `zeebe:subscription`.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import waiting as wa
from flowledger.kernel import limits, values
from flowledger.kernel.elements import jobs
from flowledger.kernel.elements.triggers.carried import carried
from flowledger.kernel.expressions import Failure, literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node


def read(event: Any, xml: Any, node: Node, r: Any) -> None:
    reference = xml.get("messageRef", "")
    if not reference:
        thrown = node.kind in ("intermediateThrowEvent", "endEvent")
        event.name = literal(node.name or node.id)
        event.named = False
        if not thrown:
            r.finding(
                "MESSAGE_MISSING",
                f"message event '{node.id}' names no message",
                node,
                severity="warning",
                hint='messageRef="..." of a <message>',
            )
    else:
        read_reference(event, reference, node, r)
    if node.kind in ("intermediateThrowEvent", "endEvent"):
        event.work = jobs.read_work("send_task", node, node.xml, r) or jobs.read_work("send_task", node, xml, r)


def read_reference(event: Any, reference: str, node: Node, r: Any) -> None:
    found = r.root(reference, "message", node)
    if found is None:
        event.name = literal(reference)
        return
    event.ref = found.get("id", "")
    event.name = r.expression(found.get("name") or found.get("id", ""), node, "message name")
    subscription = x.ext(found, "subscription")
    key = subscription.get("correlationKey", "") if subscription is not None else ""
    if key:
        event.correlation = r.condition(key, node, "correlation key")


def _correlation(d: Any, i: Any, holder: int, node: Node, event: Any) -> str:
    if event.correlation is not None:
        value = d.evaluate(event.correlation, i, holder)
        if isinstance(value, bool) or value is None or isinstance(value, (list, dict)):
            raise Failure(
                "EXTRACT_VALUE_ERROR",
                f"correlation key of {node.id}: expected a text or number from '{event.correlation.text}', found {values.shown(value)}",
            )
        return values.text(str(value), f"correlation key of {node.id}", limits.NAME_MAX)
    from flowledger.kernel.model import correlation

    return correlation.key_of(d, i, holder, node, event)


def arm(d: Any, i: Any, holder: int, node: Node, event: Any, interrupting: bool, which: int = 0) -> None:
    name = d.text(event.name, i, holder, f"message name of {node.id}")
    key = _correlation(d, i, holder, node, event)
    subscription = d.key()
    to = c.partition_of_text(key, d.state.meta.partitions)
    d.record(
        wa.SubscriptionOpened(
            key=i.key, subscription=subscription, token=holder, element=node.id, kind="message", name=name, correlation=key, partition=to,
            interrupting=interrupting, which=which,
        )
    )  # fmt: skip
    d.send(to, c.AwaitMessage(subscription=subscription, key=i.key, name=name, correlation=key, process=i.process, once=interrupting))


def throw(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    """A job when the model says so; else the message is published inside the engine."""
    if event.work is not None:
        jobs.create_task(d, i, token, node, event.work)
        return False
    name = d.text(event.name, i, token.key, f"message name of {node.id}")
    key = "" if event.correlation is None else _correlation(d, i, token.key, node, event)
    if event.correlation is None:
        from flowledger.kernel.model import correlation

        key = correlation.key_of(d, i, token.key, node, event)
    variables = carried(d, i, token, node)
    d.send(
        c.partition_of_text(key, d.state.meta.partitions),
        c.PublishMessage(name=name, correlation_key=key, variables=variables, ttl_ms=3_600_000),
    )
    return True

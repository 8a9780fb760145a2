"""The state of a partition as records of the `state` topic, and back. Pure.

A checkpoint writes what changed since the last one, then a mark. A record says the whole of its thing; an empty value removes it. Each record
has its digest in a header, the mark has its own, the number of records that stand, and the sum of their digests: whatever is changed, missing,
added or out of date does not fit, and the partition is folded anew from the log. The sum is kept as records come and go, so that it costs what
changed. It guards against damage; whoever can write the topic can also write a mark that fits, and is met by the chain of the log alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from heapq import heapify
from typing import Any

import msgspec

from flowledger.events.group import Place
from flowledger.kernel.folds import alerts, answers, control, holds, marks, triggers, webhooks
from flowledger.kernel.nouns import Alert, AlertWatch, Batch, BatchItems, Trigger, TriggerKeys, TriggerLetter, Webhook
from flowledger.kernel.state import (
    Awaited,
    Definition,
    Hold,
    Incident,
    Instance,
    InstanceImage,
    Letter,
    Message,
    Meta,
    Partition,
    Rollout,
    Subscription,
    Task,
    Timer,
)
from flowledger.kernel.stored import State, decode_state, encode_state
from flowledger.kernel.tasks import guards, index, quotas

MARK = b"!mark"


class Mark(State):
    """What stands at the end of a checkpoint. `end`: the events up to there are in it; `live`: keys that stand in the topic; `digest`: of all
    of them (empty: of before, not provable); `number`, `version`: groups that counted up to `end`, and the version of the chain there; `outbox`:
    sends to other partitions (those to itself are records of their own, `put_off`)."""

    end: int
    chain: bytes
    source: int
    live: int
    meta: Meta
    outbox: list[tuple[int, int, bytes]] = []
    number: int = 0
    version: int = 1
    digest: bytes = b""

    @property
    def place(self) -> Place:
        return Place(self.meta.epoch, self.meta.owner, self.chain, self.end, self.source, self.number, self.version)


#: table -> (attribute of Partition, type)
_TABLES: dict[str, tuple[str, type[State]]] = {
    "task": ("tasks", Task),
    "timer": ("timers", Timer),
    "subscription": ("subscriptions", Subscription),
    "incident": ("incidents", Incident),
    "message": ("messages", Message),
    "awaited": ("awaited", Awaited),
    "definition": ("definitions", Definition),
    "rollout": ("rollouts", Rollout),
    "letter": ("letters", Letter),
    "hold": ("holds", Hold),
    "batch": ("batches", Batch),
    "batch_items": ("batch_items", BatchItems),
    "trigger": ("triggers", Trigger),
    "trigger_keys": ("trigger_keys", TriggerKeys),
    "trigger_letter": ("trigger_letters", TriggerLetter),
    "webhook": ("webhooks", Webhook),
    "alert": ("alerts", Alert),
    "alert_watch": ("alert_watch", AlertWatch),
}
#: types whose key is another field
_NAMED: dict[type[State], str] = {Awaited: "subscription", Letter: "source", Hold: "id", Rollout: "name"}
_to_json = msgspec.json.Encoder(decimal_format="number").encode


def image(p: Partition, i: Instance) -> InstanceImage:
    """An instance with all that its tokens hold."""
    out = InstanceImage(instance=i, tasks=[], timers=[], subscriptions=[], incidents=[])
    holders: list[Any] = [i, *i.tokens.values()]
    for holder in holders:
        for key in holder.holds or ():
            if key in p.tasks:
                out.tasks.append(p.tasks[key])
            elif key in p.timers:
                out.timers.append(p.timers[key])
            elif key in p.subscriptions:
                out.subscriptions.append(p.subscriptions[key])
            elif key in p.incidents:
                out.incidents.append(p.incidents[key])
    return out


def name_of(table: str, key: Any) -> bytes:
    """Key of a record in the `state` topic."""
    return f"{table}:{key[0]}:{key[1]}".encode() if table == "record" else f"{table}:{key}".encode()


def records(p: Partition, changed: Iterable[tuple[str, Any]], placed: bool = True) -> list[tuple[bytes, bytes | None]]:
    """(key, value) of each thing that changed; None: it is gone. In a fixed order. `placed`: with what only a reader of the log knows."""
    out: list[tuple[bytes, bytes | None]] = []
    by_table: dict[str, list[Any]] = {}
    for table, key in changed:
        by_table.setdefault(table, []).append(key)
    for table, key in ((t, k) for t in sorted(by_table) for k in sorted(by_table[t], key=str)):
        value: bytes | None = None
        if table == "instance":
            i = p.instances.get(key)
            value = encode_state(image(p, i)) if i is not None else None
        elif table == "record":
            value = _to_json(p.records[key]) if key in p.records else None
        elif table == "answer":
            kept = p.answers.get(key)
            value = encode_state(kept if placed else kept.unplaced()) if kept is not None else None
        elif table == "put_off":
            value = p.outbox.get((p.meta.partition, key))
        else:
            thing = getattr(p, _TABLES[table][0]).get(key)
            value = encode_state(thing) if thing is not None else None
        out.append((name_of(table, key), value))
    return out


#: the header of a record of `state` with its digest
DIGEST = "digest"
_SUM_BYTES = 32


def digest_of(key: bytes, value: bytes) -> bytes:
    """Of one record: the length of its key goes first, so that nothing can move from one to the other."""
    return hashlib.sha256(len(key).to_bytes(4, "big") + key + value).digest()


class Standing:
    """What stands in the `state` topic: key -> digest, and the sum of all digests.

    `stale`: what stands there is not known for certain (a checkpoint that failed or did not fit), so the next one says everything anew.
    """

    __slots__ = ("digests", "stale", "total")

    def __init__(self, digests: Mapping[bytes, bytes] | None = None) -> None:
        self.found(digests or {}, False)

    def found(self, digests: Mapping[bytes, bytes], stale: bool) -> None:
        """That is what stands there now."""
        self.digests = dict(digests)
        self.total = sum(int.from_bytes(d, "big") for d in self.digests.values())
        self.stale = stale

    def next(self, p: Partition, changed: Iterable[tuple[str, Any]]) -> list[tuple[bytes, bytes | None]]:
        """The records of the next checkpoint: what changed; everything when it is not known what stands there."""
        if not self.stale:
            return [(k, v) for k, v in records(p, changed) if v is not None or k in self.digests]
        whole = fingerprint(p, placed=True)
        return [*((k, v) for k, v in whole.items() if v is not None), *((k, None) for k in sorted(self.digests) if whole.get(k) is None)]

    def take(self, entries: Iterable[tuple[bytes, bytes | None]]) -> list[bytes]:
        """They are being written: from here on they stand. Answers their digests, in order."""
        out, digests, total = [], self.digests, self.total
        for key, value in entries:
            if (old := digests.pop(key, None)) is not None:
                total -= int.from_bytes(old, "big")
            new = digest_of(key, value or b"")
            out.append(new)
            if value is not None:
                digests[key] = new
                total += int.from_bytes(new, "big")
        self.total, self.stale = total, False
        return out

    def digest(self) -> bytes:
        return (self.total % (1 << 8 * _SUM_BYTES)).to_bytes(_SUM_BYTES, "big")


def mark(p: Partition, at: Place, standing: Standing) -> bytes:
    """`at`: where the log stands whose events are in the state, all of them."""
    outbox = [(to, seq, command) for (to, seq), command in p.outbox.items() if to != p.meta.partition]
    return encode_state(
        Mark(end=at.end, chain=at.chain, source=at.source, live=len(standing.digests), meta=p.meta, outbox=outbox, number=at.number,
             version=at.version, digest=standing.digest())
    )  # fmt: skip


def restore(p: Partition, live: dict[bytes, bytes], at: Mark) -> None:
    """Fill an empty partition from the records that stand in the topic (without the mark), and make the indexes."""
    p.meta = at.meta
    kept: dict[str, answers.Remembered] = {}
    for key, value in live.items():
        table, _, name = key.decode().partition(":")
        if table == "instance":
            _restore_instance(p, decode_state(value, InstanceImage))
        elif table == "record":
            registry, _, rest = name.partition(":")
            p.records[(registry, rest)] = decode_state(value, dict) if value.startswith(b"{") else json.loads(value)
        elif table == "answer":
            kept[name] = answers.of_checkpoint(value)
        elif table == "put_off":
            p.outbox[(p.meta.partition, int(name))] = value
        else:
            attribute, cls = _TABLES[table]
            thing = decode_state(value, cls)
            getattr(p, attribute)[getattr(thing, _NAMED.get(cls, "key"))] = thing
    answers.restore(p, kept)
    for to, seq, command in at.outbox:
        p.outbox[(to, seq)] = command
    _index(p)
    p.changed.clear()


def _restore_instance(p: Partition, made: InstanceImage) -> None:
    i = made.instance
    p.instances[i.key] = i
    for task in made.tasks:
        p.tasks[task.key] = task
        task.tenant = i.tenant
    for timer in made.timers:
        p.timers[timer.key] = timer
    for s in made.subscriptions:
        p.subscriptions[s.key] = s
    for incident in made.incidents:
        p.incidents[incident.key] = incident


def _index(p: Partition) -> None:
    for d in p.definitions.values():
        if not d.deleted:
            p.process_versions.setdefault((d.tenant, d.kind, d.id), {})[d.version] = d.key
            if d.kind == "rules":
                p.packs.setdefault(d.tenant, {})[d.id] = None
    for key in sorted(k for k, i in p.instances.items() if i.status == "pending"):
        p.pending[key] = None
    marks.rebuild(p)
    index.rebuild(p)
    guards.rebuild(p)
    quotas.rebuild(p)
    control.rebuild(p)
    triggers.rebuild(p)
    webhooks.rebuild(p)
    alerts.rebuild(p)
    for key in sorted(p.tasks):
        task = p.tasks[key]
        if task.worker:
            p.leases.append((task.deadline_us, key, task.fence))
        elif task.retry_at_us:
            p.retrying.append((task.retry_at_us, key))
        else:
            holds.offer(p, task)
    p.due = [(t.due_us, t.key) for t in p.timers.values()] + [(m.expires_us, m.key) for m in p.messages.values()]
    heapify(p.due)
    heapify(p.leases)
    heapify(p.retrying)
    for key in sorted(p.subscriptions):
        s = p.subscriptions[key]
        i, definition = p.instances.get(s.instance), p.definitions.get(s.definition)
        holds.index_subscription(p, s, i.tenant if i is not None else definition.tenant if definition is not None else "")
    for key in sorted(p.messages):
        m = p.messages[key]
        p.by_message.setdefault((m.tenant, m.name, m.correlation), {})[key] = None
        if m.message_id:
            p.by_message_id.add((m.tenant, m.name, m.correlation, m.message_id))
    for key in sorted(p.awaited):
        a = p.awaited[key]
        p.by_awaited.setdefault((a.tenant, a.name, a.correlation), {})[key] = None


def unsettled(p: Partition) -> list[int]:
    """Instances with a token that waits for nobody: after a take-over they are looked at again."""
    return [
        k
        for k, i in p.instances.items()
        if i.status == "running" and (i.spawning or i.kept or any(t.phase != 1 and not t.incident for t in i.tokens.values()))
    ]


def fingerprint(p: Partition, placed: bool = False) -> dict[bytes, bytes | None]:
    """The whole state as records: equal for equal states, whatever way they came about."""
    everything: list[tuple[str, Any]] = [("instance", k) for k in p.instances]
    everything += [("task", k) for k, t in p.tasks.items() if not t.instance]
    everything += [("timer", k) for k, t in p.timers.items() if not t.instance]
    everything += [("subscription", k) for k, s in p.subscriptions.items() if not s.instance]
    everything += [("incident", k) for k, x in p.incidents.items() if not x.instance]
    for table in (
        "message",
        "awaited",
        "definition",
        "rollout",
        "letter",
        "hold",
        "batch",
        "batch_items",
        "trigger",
        "trigger_keys",
        "trigger_letter",
        "webhook",
        "alert",
        "alert_watch",
    ):
        everything += [(table, k) for k in getattr(p, _TABLES[table][0])]
    everything += [("record", k) for k in p.records] + [("answer", k) for k in p.answers]
    everything += [("put_off", seq) for to, seq in p.outbox if to == p.meta.partition]
    return dict(records(p, everything, placed))

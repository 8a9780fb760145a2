"""Folds of definitions and of what the log says of itself."""

from __future__ import annotations

from flowledger.events import definition as de
from flowledger.events import ledger as le
from flowledger.events.base import Envelope, Event
from flowledger.kernel import tenants
from flowledger.kernel.folds import answers, marks
from flowledger.kernel.folds.holds import offer
from flowledger.kernel.folds.tokens import seen_key
from flowledger.kernel.state import Definition, Letter, Partition, Rollout
from flowledger.kernel.tasks import guards, index, people, quotas, stock
from flowledger.kernel.undo import drop, keep, nest, put


def nothing(p: Partition, e: Event, v: Envelope) -> None:
    """A fact for readers; it changes no state."""


def definition_created(p: Partition, e: de.DefinitionCreated, v: Envelope) -> None:
    seen_key(p, e.key)
    seen_key(p, e.deployment)
    put(p, p.definitions, e.key, Definition(
        key=e.key, id=e.id, kind=e.kind, version=e.version, hash=e.hash, name=e.name, version_tag=e.version_tag, resource=e.resource,
        format=e.format, deployment=e.deployment, status=e.status, metadata=e.metadata, tenant=v.tenant, protect=marks.told(e),
        namespace=marks.whole(e).get("namespace"), imports=marks.bound(e),
    ))  # fmt: skip
    put(p, nest(p, p.process_versions, (v.tenant, e.kind, e.id)), e.version, e.key)
    p.changed.add(("definition", e.key))
    if e.kind == "rules":
        put(p, nest(p, p.packs, v.tenant), e.id, None)
    if p.definitions[e.key].protect:
        marks.defined(p, v.tenant)


def definition_status_changed(p: Partition, e: de.DefinitionStatusChanged, v: Envelope) -> None:
    if (d := p.definitions.get(e.key)) is not None:
        keep(p, d)
        d.status = e.status
        d.row_version += 1
        p.changed.add(("definition", e.key))


def definition_updated(p: Partition, e: de.DefinitionUpdated, v: Envelope) -> None:
    if (d := p.definitions.get(e.key)) is not None:
        keep(p, d)
        d.hash, d.name = e.hash, e.name or d.name
        if e.metadata is not None:
            d.metadata = e.metadata
        d.row_version += 1
        p.changed.add(("definition", e.key))
        if e.outline is not None and d.kind in ("drg", "decision"):
            d.imports, d.namespace = marks.bound(e), marks.whole(e).get("namespace")
        if (protects := marks.told(e)) != d.protect:
            d.protect = protects
            marks.defined(p, d.tenant)


def definition_deleted(p: Partition, e: de.DefinitionDeleted, v: Envelope) -> None:
    if (d := p.definitions.get(e.key)) is not None:
        keep(p, d)
        d.deleted = True
        versions = p.process_versions.get((d.tenant, d.kind, d.id))
        if versions:
            drop(p, versions, d.version)
            if not versions and drop(p, p.rollouts, (d.tenant, d.kind, d.id)) is not None:
                p.changed.add(("rollout", (d.tenant, d.kind, d.id)))
            if not versions and d.kind == "rules" and (packs := p.packs.get(d.tenant)) is not None:
                drop(p, packs, d.id)
                if not packs:
                    drop(p, p.packs, d.tenant)
        p.changed.add(("definition", e.key))


def rollout_changed(p: Partition, e: de.RolloutChanged, v: Envelope) -> None:
    r = Rollout(tenant=v.tenant, kind=e.kind, id=e.id, default=e.default_key, ramp=e.ramp_key, share=e.share, stopped=e.stopped_keys)
    if r.default or r.ramp or r.stopped:
        put(p, p.rollouts, r.name, r)
    else:
        drop(p, p.rollouts, r.name)
    p.changed.add(("rollout", r.name))


def epoch_reached(p: Partition, e: de.EpochReached, v: Envelope) -> None:
    keep(p, p.meta)
    p.meta.definitions = max(p.meta.definitions, e.epoch)


def partition_claimed(p: Partition, e: le.PartitionClaimed, v: Envelope) -> None:
    keep(p, p.meta)
    p.meta.epoch, p.meta.owner = e.epoch, e.owner
    p.meta.claimed_us, p.meta.boot, p.meta.boot_us = v.time_us, e.boot, e.boot_us


def key_introduced(p: Partition, e: le.KeyIntroduced, v: Envelope) -> None:
    p.meta.signer = e.id


def outbound(p: Partition, e: le.Outbound, v: Envelope) -> None:
    if e.seq > p.meta.sent.get(e.to, 0):  # a number that was lost is filled by a repair
        put(p, p.meta.sent, e.to, e.seq)
    put(p, p.outbox, (e.to, e.seq), e.command)
    if e.to == p.meta.partition:
        p.changed.add(("put_off", e.seq))


def outbound_confirmed(p: Partition, e: le.OutboundConfirmed, v: Envelope) -> None:
    for seq in range(p.meta.confirmed.get(e.to, 0) + 1, e.seq + 1):
        drop(p, p.outbox, (e.to, seq))
    put(p, p.meta.confirmed, e.to, max(e.seq, p.meta.confirmed.get(e.to, 0)))


def inbound(p: Partition, e: le.Inbound, v: Envelope) -> None:
    put(p, p.meta.taken, e.sender, max(e.seq, p.meta.taken.get(e.sender, 0)))
    if e.sender == p.meta.partition:  # what it sent to itself: to take it is to confirm it
        drop(p, p.outbox, (e.sender, e.seq))
        put(p, p.meta.confirmed, e.sender, max(e.seq, p.meta.confirmed.get(e.sender, 0)))
        p.changed.add(("put_off", e.seq))


def answered(p: Partition, e: le.Answered, v: Envelope) -> None:
    answers.remember(p, e, v)


def dead_lettered(p: Partition, e: le.DeadLettered, v: Envelope) -> None:
    if not e.instance:
        put(p, p.letters, e.source, Letter(source=e.source, tenant=v.tenant, command=e.command, size=e.size, sender=e.sender))
        p.changed.add(("letter", e.source))


def dead_letter_closed(p: Partition, e: le.DeadLetterReplayed | le.DeadLetterDiscarded, v: Envelope) -> None:
    drop(p, p.letters, e.source)
    p.changed.add(("letter", e.source))


def record_stored(p: Partition, e: le.RecordStored, v: Envelope) -> None:
    name = (e.registry, e.name)
    if e.value is None:
        drop(p, p.records, name)
    else:
        put(p, p.records, name, e.value)
    p.changed.add(("record", name))
    if e.registry in index.REGISTRIES:
        index.stored(p, e.registry, e.name)
        guards.stored(p, e.registry, e.name, offer)
        people.stored(p, e.registry, e.name)
        if e.registry == tenants.REGISTRY:
            quotas.stored(p, e.name)
    elif e.registry == stock.HERE and not e.name.startswith(stock.ENDLESS):
        guards.listen(p, e.name)

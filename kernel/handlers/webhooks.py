"""Webhooks at their home: made, changed, paused; sent by one; what became of it; asked for again (`kernel/webhooks/`)."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.events import webhooks as wh
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits, values
from flowledger.kernel.access import ANY_TENANT
from flowledger.kernel.access.rights import may
from flowledger.kernel.decision import Decision
from flowledger.kernel.nouns import Webhook, WebhookItem
from flowledger.kernel.webhooks import record
from flowledger.kernel.webhooks.schedule import due_us

TTL_MS = (1_000, 600_000)
LIST_MAX, TEXT_MAX, CODE_MAX = 200, 500, 60
OUTCOMES = ("delivered", "failed", "gone", "behind", "kept")
#: how long a last attempt for which there is no room among the dead letters waits
_FULL_US = 3_600_000_000


def _invalid(text: str) -> Rejected:
    return Rejected(RejectionCode.INVALID_ARGUMENT, text)


def _find(d: Decision, name: str) -> Webhook | Rejected:
    """By the caller's tenant."""
    w = d.state.webhooks.get(d.state.webhook_names.get((d.asked.tenant, name), 0))
    return w if w is not None else Rejected(RejectionCode.NOT_FOUND, f"expected a webhook named '{name[:200]}', found none")


def status_of(w: Webhook) -> str:
    """active, paused (somebody asked), disabled (410), full (no room for dead letters)."""
    return {"": "active", "asked": "paused", "gone": "disabled"}.get(w.paused, w.paused)


def put(d: Decision, e: wh.PutWebhook) -> Rejected | None:
    p = d.state
    if wrong := record.problem(e, p.meta.partitions):
        return _invalid(wrong)
    w = _find(d, e.name)
    if isinstance(w, Rejected):
        if len(p.webhooks) >= limits.WEBHOOKS_MAX:
            return Rejected(RejectionCode.RESOURCE_EXHAUSTED, f"expected at most {limits.WEBHOOKS_MAX} webhooks on a partition")
        key, cursors = d.key(), {str(n): e.cursors.get(str(n), 0) for n in range(p.meta.partitions)}
    else:
        key, cursors = w.key, {}
    own = ("url", "types", "definitions", "filter", "secrets", "order")
    changed = bool(cursors) or any(getattr(w, name) != getattr(e, name) for name in own)
    if changed:
        d.record(wh.WebhookPut(
            webhook=key, name=e.name, url=e.url, types=e.types, definitions=e.definitions, filter=e.filter, secrets=e.secrets, order=e.order,
            cursors=cursors or None,
        ))  # fmt: skip
    d.answer = {"key": key, "name": e.name, "created": bool(cursors), "changed": changed}
    return None


def delete(d: Decision, e: wh.DeleteWebhook) -> Rejected | None:
    w = _find(d, e.name)
    if isinstance(w, Rejected):
        return w
    d.record(wh.WebhookDeleted(webhook=w.key, reason=e.reason))
    d.answer = {"key": w.key}
    return None


def control(d: Decision, e: wh.ControlWebhook) -> Rejected | None:
    w = _find(d, e.name)
    if isinstance(w, Rejected):
        return w
    if e.move not in ("pause", "resume"):
        return _invalid(f"expected pause or resume, found '{e.move[:80]}'")
    if bool(w.paused) != (e.move == "resume"):
        return Rejected(RejectionCode.INVALID_STATE, f"webhook '{w.name}' is {status_of(w)}")
    if e.move == "resume" and len(w.dead) >= limits.WEBHOOK_DEAD_MAX:
        return Rejected(
            RejectionCode.RESOURCE_EXHAUSTED,
            f"webhook '{w.name}' has {len(w.dead)} dead letters, and no room for more: redeliver or discard some",
        )
    what = wh.WebhookPaused if e.move == "pause" else wh.WebhookResumed
    d.record(what(webhook=w.key, reason=e.reason))
    d.answer = {"key": w.key, "status": status_of(w)}
    return None


# --- its sender -------------------------------------------------------------------------------------------------------------


def claim(d: Decision, e: wh.ClaimWebhook) -> Rejected | None:
    w = _find(d, e.name)
    if isinstance(w, Rejected):
        return w
    now = d.facts.now_us
    if e.sender and e.sender != w.sender:
        return _stale(w, e.sender)
    if not (e.sender and not e.ttl_ms):  # what is given back may be in whatever state
        if w.paused:
            return Rejected(RejectionCode.INVALID_STATE, f"webhook '{w.name}' is {status_of(w)}")
        if not TTL_MS[0] <= e.ttl_ms <= TTL_MS[1]:
            return _invalid(f"ttl_ms: expected {TTL_MS[0]} to {TTL_MS[1]}, found {e.ttl_ms}")
    if not e.sender and w.until_us > now:
        return Rejected(RejectionCode.UNAVAILABLE, f"webhook '{w.name}' is sent by {w.node}", max(1, (w.until_us - now) // 1000))
    d.record(wh.WebhookClaimed(
        webhook=w.key, sender=e.sender or w.sender + 1, node=values.clean(e.node, TEXT_MAX), until_us=now + e.ttl_ms * 1000 if e.ttl_ms else 0,
    ))  # fmt: skip
    if (error := values.clean(e.error, TEXT_MAX)) != w.error:
        d.record(wh.WebhookNoted(webhook=w.key, error=error))
    d.answer = {
        "webhook": w.key, "sender": w.sender, "until_us": w.until_us, "url": w.url, "types": w.types, "definitions": w.definitions, "filter": w.filter,
        "secrets": w.secrets, "order": w.order, "cursors": dict(w.cursors), "rewinds": w.rewinds, "waiting": [msgspec.structs.asdict(i) for i in w.waiting.values()],
        **_room(w),
    }  # fmt: skip
    return None


def _stale(w: Webhook, sender: int) -> Rejected:
    return Rejected(RejectionCode.STALE, f"webhook '{w.name}' is sent by number {w.sender}, found {sender}")


def _room(w: Webhook) -> dict[str, Any]:
    return {
        "dead": len(w.dead), "room": limits.WEBHOOK_WAITING_MAX - len(w.waiting), "revision": w.revision, "status": status_of(w), "rewinds": w.rewinds,
    }  # fmt: skip


def report(d: Decision, e: wh.ReportWebhook) -> Rejected | None:
    w = _find(d, e.name)
    if isinstance(w, Rejected):
        return w
    if e.sender != w.sender:
        return _stale(w, e.sender)
    if len(e.attempts) > wh.REPORT_MAX:
        return _invalid(f"attempts: expected at most {wh.REPORT_MAX}, found {len(e.attempts)}")
    for a in e.attempts:
        if a.outcome not in OUTCOMES or not (record.place_of(a.at) or a.at.startswith("test-")):
            return _invalid(f"attempts: expected an event and one of {', '.join(OUTCOMES)}, found '{a.at[:80]}' and '{a.outcome[:80]}'")
    rows: list[wh.Row] = []
    behind: list[wh.Row] = []
    counts = dict.fromkeys(("delivered", "failed", "dead"), 0)
    dead, stop = len(w.dead), ""
    for a in e.attempts:
        row = _row(a)
        if a.outcome == "behind":
            if a.at not in w.waiting:
                behind.append(row)
            continue
        known = w.waiting.get(a.at)
        before = w.dead.get(a.at) if known is None else known if not known.asked else None
        if before is not None and before.attempt >= a.attempt and a.outcome != "delivered":
            continue  # it was reported before
        counts["delivered" if a.outcome == "delivered" else "failed"] += 1
        if a.outcome == "gone":
            stop = "gone"
        row["outcome"], row["due_us"] = _next(w, a, d.facts.now_us)
        if row["outcome"] == "dead":
            if dead >= limits.WEBHOOK_DEAD_MAX:
                row["outcome"], row["due_us"], stop = "waits", d.facts.now_us + _FULL_US, stop or "full"
            else:
                dead, counts["dead"] = dead + 1, counts["dead"] + 1
        rows.append(row)
    moved = {}
    if e.rewinds == w.rewinds:
        moved = {part: offset for part, offset in e.cursors.items() if part in w.cursors and offset > w.cursors[part]}
    if rows or behind or moved:
        d.batch(len(rows) + len(behind))
        d.record(wh.WebhookProgressed(
            webhook=w.key, first=w.count + 1, cursors=moved or None, attempts=rows or None, behind=behind or None, **counts,
        ))  # fmt: skip
    if stop and not w.paused:
        reason = (
            "the receiver answered 410 Gone" if stop == "gone" else f"there is no room for more than {limits.WEBHOOK_DEAD_MAX} dead letters"
        )
        d.record(wh.WebhookPaused(webhook=w.key, by=stop, reason=reason))
    d.answer = {"due": {a.at: w.waiting[a.at].due_us for a in e.attempts if a.at in w.waiting}, **_room(w)}
    return None


def _row(a: wh.Attempt) -> wh.Row:
    return {
        "at": a.at, "type": values.clean(a.type, TEXT_MAX), "instance": a.instance, "definition": a.definition, "process": values.clean(a.process, TEXT_MAX),
        "attempt": a.attempt, "outcome": a.outcome, "code": values.clean(a.code, CODE_MAX), "status": a.status, "ms": a.ms, "due_us": 0,
    }  # fmt: skip


def _next(w: Webhook, a: wh.Attempt, now_us: int) -> tuple[str, int]:
    """(outcome as it is told, when it is due again)."""
    if a.outcome == "delivered":
        return "delivered", 0
    if a.at.startswith("test-"):
        return "failed", 0
    if a.outcome == "kept":
        return "dead", 0
    due = due_us(w.key, a.at, max(1, a.attempt), now_us, a.after_ms)
    return ("waits", due) if due else ("dead", 0)


# --- asked for by people ----------------------------------------------------------------------------------------------------


def settle(d: Decision, e: wh.SettleDelivery) -> Rejected | None:
    w = _find(d, e.name)
    if isinstance(w, Rejected):
        return w
    if e.move not in ("redeliver", "discard"):
        return _invalid(f"expected redeliver or discard, found '{e.move[:80]}'")
    if not (e.ids or e.dead or e.cursors) or (e.move == "discard" and e.cursors):
        return _invalid("expected ids of events, all dead letters, or where to begin again")
    if len(e.ids) > limits.WEBHOOK_WAITING_MAX:
        return _invalid(f"ids: expected at most {limits.WEBHOOK_WAITING_MAX}, found {len(e.ids)}")
    wrong = next((at for at in e.ids if (place := record.place_of(at)) is None or str(place[0]) not in w.cursors), None)
    if wrong is not None or any(part not in w.cursors or offset < 0 for part, offset in e.cursors.items()):
        return _invalid(
            f"expected ids of events such as 0-17, of partitions that there are, found '{(wrong or str(list(e.cursors)))[:80]}'"
        )
    wanted = list(dict.fromkeys([*e.ids, *(w.dead if e.dead else ())]))
    return _redeliver(d, w, e, wanted) if e.move == "redeliver" else _discard(d, w, e, wanted)


def _redeliver(d: Decision, w: Webhook, e: wh.SettleDelivery, wanted: list[str]) -> Rejected | None:
    room = limits.WEBHOOK_WAITING_MAX - len(w.waiting)
    outcomes, items = {}, []
    for at in wanted:
        known = w.waiting.get(at) or w.dead.get(at)
        if at not in w.waiting:
            if room <= 0:
                outcomes[at] = "no_room"
                continue
            room -= 1
        again = msgspec.structs.replace(known or WebhookItem(at=at), attempt=0, due_us=0, asked=True)
        items.append(msgspec.structs.asdict(again))
        outcomes[at] = "redelivered"
    if wanted and not items:
        return Rejected(
            RejectionCode.RESOURCE_EXHAUSTED, f"webhook '{w.name}' has no room for more than {limits.WEBHOOK_WAITING_MAX} events that wait"
        )
    back = {part: offset for part, offset in e.cursors.items() if offset < w.cursors[part]}
    if items or back:
        d.batch(len(items))
        d.record(wh.WebhookAsked(
            webhook=w.key, items=items or None, settled=[i["at"] for i in items if i["at"] in w.dead], cursors=back or None, reason=e.reason,
        ))  # fmt: skip
    d.answer = {"outcomes": outcomes, "count": len(items)}
    return None


def _discard(d: Decision, w: Webhook, e: wh.SettleDelivery, wanted: list[str]) -> Rejected | None:
    found = [at for at in wanted if at in w.dead]
    if not found and e.ids:
        return Rejected(RejectionCode.NOT_FOUND, f"expected dead letters of webhook '{w.name}', found none of these")
    if found:
        d.record(wh.WebhookSettled(webhook=w.key, settled=found, reason=e.reason))
    d.answer = {"outcomes": {at: "discarded" if at in found else "not_found" for at in wanted}, "count": len(found)}
    return None


def test(d: Decision, e: wh.TestWebhook) -> Rejected | None:
    w = _find(d, e.name)
    if isinstance(w, Rejected):
        return w
    if w.paused:
        return Rejected(RejectionCode.INVALID_STATE, f"webhook '{w.name}' is {status_of(w)}: nothing is sent")
    if len(w.waiting) >= limits.WEBHOOK_WAITING_MAX:
        return Rejected(
            RejectionCode.RESOURCE_EXHAUSTED, f"webhook '{w.name}' has no room for more than {limits.WEBHOOK_WAITING_MAX} events that wait"
        )
    at = f"test-{w.revision + 1}"
    d.record(wh.WebhookAsked(webhook=w.key, items=[msgspec.structs.asdict(WebhookItem(at=at, type=record.TEST, asked=True))]))
    d.answer = {"key": w.key, "event": at}
    return None


def listing(d: Decision, e: wh.ListWebhooks) -> Rejected | None:
    p = d.state
    everybody = d.request is not None and may(d.request, ANY_TENANT)
    after = (e.after[0], e.after[1]) if len(e.after) == 2 else ("", "")
    names = sorted(n for n in p.webhook_names if n > after and (everybody or n[0] == d.asked.tenant))
    items = []
    for name in names[:LIST_MAX]:
        w = p.webhooks[p.webhook_names[name]]
        items.append({
            "tenant": w.tenant, "name": w.name, "webhook": w.key, "paused": bool(w.paused), "sender": w.sender, "node": w.node, "until_us": w.until_us,
            "revision": w.revision,
        })  # fmt: skip
    d.answer = {"items": items, "more": list(names[LIST_MAX - 1]) if len(names) > LIST_MAX else []}
    return None

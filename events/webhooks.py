"""Webhooks: how the world is told (docs/decisions/0011). These events stand on the webhook's home; none of them is ever sent by a webhook."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.events.base import Command, Event, Json


class WebhookPut(Event, frozen=True):
    """Webhook `name` is made, or is another one from now on. `cursors`, of a new one: partition -> the next offset of `events` that it looks at."""

    webhook: int
    name: str
    url: str
    types: list[str] = []
    definitions: list[str] = []
    filter: str = ""
    secrets: list[str] = []
    order: str = ""
    cursors: Json = None


class WebhookDeleted(Event, frozen=True):
    """With it go its cursors, what waits and its dead letters."""

    webhook: int
    reason: str = ""


class WebhookPaused(Event, frozen=True):
    """Nothing is sent, and it keeps its place. `by`: empty: somebody asked; `gone`: the receiver said 410; `full`: there is no room for dead letters."""

    webhook: int
    by: str = ""
    reason: str = ""


class WebhookResumed(Event, frozen=True):
    webhook: int
    reason: str = ""


class WebhookClaimed(Event, frozen=True):
    """Sender number `sender`, on `node`, sends until `until_us` (0: it has given it back)."""

    webhook: int
    sender: int
    node: str = ""
    until_us: int = 0


class WebhookNoted(Event, frozen=True):
    """What its sender says: `error` keeps it from sending at all (empty: nothing does)."""

    webhook: int
    error: str = ""


class WebhookProgressed(Event, frozen=True):
    """What became of what was sent. `cursors`: partition -> all before is told, or waits. `attempts`, the first of them with number `first`: `{at, type,
    instance, definition, process, attempt, outcome, code, status, ms, due_us}`, outcome delivered, waits (until `due_us`), dead or failed (of a test).
    `behind`: events that wait for an earlier one of their instance, in the same words."""

    webhook: int
    first: int = 0
    cursors: Json = None
    attempts: Json = None
    behind: Json = None
    delivered: int = 0
    failed: int = 0
    dead: int = 0


class WebhookAsked(Event, frozen=True):
    """Somebody wants events sent (again) now: `items`, in the words of `WebhookProgressed`; `settled`: those of them that were dead letters. `cursors`: all
    from there on is sent again."""

    webhook: int
    items: Json = None
    settled: list[str] = []
    cursors: Json = None
    reason: str = ""


class WebhookSettled(Event, frozen=True):
    """Nobody will send these dead letters."""

    webhook: int
    settled: list[str] = []
    reason: str = ""


# --- commands ---------------------------------------------------------------------------------------------------------------


class PutWebhook(Command, frozen=True):
    """`types`: of events, `workflow.*` for all of a kind; none: all that may be told. `definitions`: ids of processes, or keys of versions; none: all. `filter`:
    FEEL over the event. `secrets`: names; each signs. `order`: `instance`, or empty. `cursors`, of a new one: partition -> offset to begin at (0 where none is given).

    Answer: `{key, name, created, changed}`."""

    name: str
    url: str
    types: list[str] = []
    definitions: list[str] = []
    filter: str = ""
    secrets: list[str] = []
    order: str = ""
    cursors: dict[str, int] = {}
    reason: str = ""


class DeleteWebhook(Command, frozen=True):
    """Answer: `{key}`."""

    name: str
    reason: str = ""


class ControlWebhook(Command, frozen=True):
    """`move`: pause, resume. Answer: `{key, status}`."""

    name: str
    move: str
    reason: str = ""


class ClaimWebhook(Command, frozen=True):
    """To send. `sender`: the number that one has (0: none yet); `ttl_ms` 0 gives it back. `error`: as `WebhookNoted`.

    Answer: `{webhook, sender, until_us, url, types, definitions, filter, secrets, order, cursors, rewinds, waiting, dead, room, revision}`; UNAVAILABLE while another
    sends, STALE for a number of before."""

    name: str
    node: str
    sender: int = 0
    ttl_ms: int = 30_000
    error: str = ""


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of the event `at` (`PARTITION-OFFSET`, or `test-NUMBER`). `outcome`: delivered, failed, gone (410), behind (an earlier one of its instance waits), kept
    (it can't ever be sent: a dead letter at once). `attempt`: which one it was; one that was reported before isn't counted again. `after_ms`: the receiver
    wants no other before."""

    at: str
    outcome: str
    type: str = ""
    instance: int = 0
    definition: int = 0
    process: str = ""
    attempt: int = 0
    code: str = ""
    status: int = 0
    ms: int = 0
    after_ms: int = 0


#: attempts of one report
REPORT_MAX = 200


class ReportWebhook(Command, frozen=True):
    """What a sender did. `cursors`: as `WebhookProgressed`; they count where `rewinds` is that of now.

    Answer: `{due: {at: due_us}, dead, room, revision, status}`: when those that wait are due again."""

    name: str
    sender: int
    attempts: list[Attempt] = []
    cursors: dict[str, int] = {}
    rewinds: int = 0


class SettleDelivery(Command, frozen=True):
    """`move` redeliver: events `ids` (dead letters or not), all dead letters (`dead`), or all from `cursors` on are sent now, with the ids that they had. discard:
    dead letters `ids`, or all of them, are forgotten. Answer: `{outcomes: {id: outcome}, count}`."""

    name: str
    move: str
    ids: list[str] = []
    dead: bool = False
    cursors: dict[str, int] = {}
    reason: str = ""


class TestWebhook(Command, frozen=True):
    """An event `webhook.test` is sent, once. Answer: `{key, event}`."""

    name: str


class ListWebhooks(Command, frozen=True):
    """Webhooks at home on a partition, by name behind `after` (`[tenant, name]`). Nothing is changed.

    Answer: `{items: [{tenant, name, webhook, paused, sender, node, until_us, revision}], more}`."""

    after: list[str] = []


#: one of them; the union of all commands has these beside its own
AnyWebhook = (
    PutWebhook | DeleteWebhook | ControlWebhook | ClaimWebhook | ReportWebhook | SettleDelivery | TestWebhook | ListWebhooks
)  # fmt: skip
#: what `WebhookProgressed.attempts` and its like are made of
Row = dict[str, Any]


def rows(told: Json) -> list[Row]:
    """Of `WebhookProgressed` and `WebhookAsked`."""
    return [row for row in told if isinstance(row, dict) and "at" in row] if isinstance(told, list) else []

"""What a partition keeps of batches, triggers, webhooks and alerts, which are no part of any instance."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.stored import State


class Batch(State):
    """One action for many items, at its home. Items up to number `next` were sent; those `in_hand` (number -> key) have no result yet.

    `status`: collecting, running, paused, aborting. `paid_us`: up to when its rate is used up; `last`: the last item that came.
    """

    key: int
    action: str
    total: int
    params: dict[str, Any] | None = None
    rate: int = 0
    reason: str = ""
    tenant: str = ""
    actor: str = ""
    correlation: str = ""
    rights: list[str] | None = None
    groups: list[str] | None = None
    status: str = "collecting"
    added: int = 0
    last: int = 0
    next: int = 0
    in_hand: dict[int, int] = {}
    #: keys of what holds its items that were not sent yet
    chunks: list[int] = []
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    paid_us: int = 0
    timer: int = 0
    created_us: int = 0


class BatchItems(State):
    """Items of a batch, from number `at` on, so that none of its records is large."""

    key: int
    batch: int
    at: int
    items: list[int]
    #: numbers of those that aren't there
    missing: list[int] = []


class Trigger(State):
    """At its home. `timer`, `next_us`: of a schedule, as `TriggerTimed`; `reader`, `node`, `until_us`: as `TriggerClaimed`. `places`: part of the
    source -> how far it was taken. `parked`: how many items are."""

    key: int
    tenant: str
    name: str
    definition: int = 0
    source: str = ""
    paused: bool = False
    timer: int = 0
    next_us: int = 0
    reader: int = 0
    node: str = ""
    until_us: int = 0
    error: str = ""
    lag: int = -1
    places: dict[str, int] = {}
    parked: int = 0


class TriggerKeys(State):
    """Keys that trigger `trigger` has seen, until `until_us`."""

    key: int
    trigger: int
    until_us: int
    keys: list[str]


class TriggerLetter(State):
    """A parked item, see `TriggerParked`."""

    key: int
    trigger: int
    item: str
    part: str
    place: int
    context: Any


class WebhookItem(State):
    """An event that waits to be sent (again), until `due_us`, or is a dead letter: in the words of `WebhookProgressed`. `asked`: somebody wants it now."""

    at: str
    type: str = ""
    instance: int = 0
    definition: int = 0
    process: str = ""
    attempt: int = 0
    code: str = ""
    due_us: int = 0
    asked: bool = False


class Webhook(State):
    """At its home, see `WebhookPut`. `paused`: empty, or by what (`asked`, `gone`, `full`); `rewinds`: how often its cursors were set back; `count`: attempts
    that were made; `revision` grows with whatever others than its sender change."""

    key: int
    tenant: str
    name: str
    url: str = ""
    types: list[str] = []
    definitions: list[str] = []
    filter: str = ""
    secrets: list[str] = []
    order: str = ""
    paused: str = ""
    sender: int = 0
    node: str = ""
    until_us: int = 0
    error: str = ""
    cursors: dict[str, int] = {}
    rewinds: int = 0
    waiting: dict[str, WebhookItem] = {}
    dead: dict[str, WebhookItem] = {}
    count: int = 0
    revision: int = 0


class Firing(State):
    """A group of an alert that fires: with which number, since which moment of the figures."""

    number: int = 0
    since_us: int = 0
    group: dict[str, Any] = {}


class AlertAct(State):
    """What an alert did for firing `number`: a hold over `subject` until then. `hold` 0: it is asked for. `over`: undone, as the alert was over."""

    number: int = 0
    subject: str = ""
    at_us: int = 0
    until_us: int = 0
    hold: int = 0
    over: bool = False


class Alert(State):
    """At its home, see `AlertPut`. `firing`: key of a group -> since when; `count`: groups that fired so far; `revision` grows with each change of the rule.
    `acts`: what it did in the last hour, or what stands still; oldest first."""

    key: int
    tenant: str
    name: str
    rule: dict[str, Any] = {}
    silenced_us: int = 0
    error: str = ""
    firing: dict[str, Firing] = {}
    count: int = 0
    revision: int = 0
    acts: list[AlertAct] = []


class AlertWatch(State):
    """Who looks at the alerts of the partition."""

    key: int
    watch: int = 0
    node: str = ""
    until_us: int = 0

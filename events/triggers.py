"""Triggers: how the world comes in (docs/decisions/0011). These events stand on the trigger's home; only `TriggerRan` also tells of an instance."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.events.base import Command, Event, Json

#: place of the last item of a part that is no more: nothing is remembered of it
GONE = 1 << 62
#: what parts begin with that are many, and come and go: the home knows them, no row shows them
FILE = "file:"


class TriggerOpened(Event, frozen=True):
    """Trigger `name` has a version in force for the first time."""

    trigger: int
    name: str


class TriggerChanged(Event, frozen=True):
    """Version `definition` is in force (0: none), which reads a source of kind `source`. Its place, and the keys that it has seen, stay."""

    trigger: int
    definition: int = 0
    source: str = ""


class TriggerClosed(Event, frozen=True):
    """All versions are deleted: with it go its place, its keys and what is parked."""

    trigger: int


class TriggerPaused(Event, frozen=True):
    trigger: int
    reason: str = ""


class TriggerResumed(Event, frozen=True):
    trigger: int
    reason: str = ""


class TriggerTimed(Event, frozen=True):
    """A schedule has `timer`, which is due first at `next_us` (0: never). Without a timer (0) it was to be due then when it was stopped."""

    trigger: int
    timer: int = 0
    next_us: int = 0


class TriggerClaimed(Event, frozen=True):
    """Reader number `reader`, on `node`, reads the source until `until_us` (0: it has given it back)."""

    trigger: int
    reader: int
    node: str = ""
    until_us: int = 0


class TriggerNoted(Event, frozen=True):
    """What its reader says: `error` (empty: all is well), and how many items wait in the source (`lag`, -1: not known)."""

    trigger: int
    error: str = ""
    lag: int = -1


class TriggerTaken(Event, frozen=True):
    """Items were taken up to `place` of `part` of the source (-1: it has no places; `GONE`: the part is no more).

    `keys`, kept under the key `chunk` (0: none) until `until_us`, are seen from now on; those of the chunks `gone` no more. Of the items `ran` had an effect;
    `seen`, `filtered` and `parked` had none. `skipped_us`: the first nominal time of a schedule that nobody makes up for (0: none). `sample`: the last payload,
    masked."""

    trigger: int
    part: str = ""
    place: int = -1
    chunk: int = 0
    keys: list[str] = []
    until_us: int = 0
    gone: list[int] = []
    ran: int = 0
    seen: int = 0
    filtered: int = 0
    parked: int = 0
    skipped_us: int = 0
    sample: Json = None


class TriggerParked(Event, frozen=True):
    """An item that can't be used is kept as `letter`: what it was (`context`; null where it is larger than what is kept), and why. `again`: it was replayed
    in vain."""

    trigger: int
    letter: int
    item: str = ""
    part: str = ""
    place: int = -1
    code: str = ""
    reason: str = ""
    context: Json = None
    again: bool = False


class TriggerSettled(Event, frozen=True):
    """The parked item `letter` was replayed, or is discarded."""

    trigger: int
    letter: int
    replayed: bool = False
    reason: str = ""


class TriggerRan(Event, frozen=True):
    """What an item of trigger `name` did: `action` start, message or signal; of a start `key` is the new instance. `subject`: the process, or the name of the
    message or signal. `nominal_us`: of a schedule, when it was due. `letter`: the parked item that was replayed."""

    trigger: int
    name: str
    action: str
    subject: str = ""
    item: str = ""
    part: str = ""
    place: int = -1
    nominal_us: int = 0
    letter: int = 0


# --- commands ---------------------------------------------------------------------------------------------------------------


class TriggerItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """`context`: what expressions see. `place`: its own, -1: none. `key`: by which the source tells it from others, where the trigger has no expression for that.
    `reason`: it can't be read; `context` is then what is known of it. `passed`: nobody wants it, and only its place counts."""

    context: dict[str, Any]
    place: int = -1
    key: str = ""
    reason: str = ""
    passed: bool = False


class ClaimTrigger(Command, frozen=True):
    """To read a source. `reader`: the number that one has (0: none yet); `ttl_ms` 0 gives it back. `error`, `lag`: as `TriggerNoted`.

    Answer: `{trigger, reader, until_us, definition, places}`; UNAVAILABLE while another reads it, STALE for a number of before."""

    name: str
    node: str
    reader: int = 0
    ttl_ms: int = 30_000
    error: str = ""
    lag: int = -1


class TakeItems(Command, frozen=True):
    """Items of a source, in its order. `definition`: the version that they were read by. Those that there was no room for are to be sent again.

    Answer: `{outcomes: [started, published, signalled, seen, passed, filtered, parked], keys: [of each, what it started], place}`, as many as were taken."""

    name: str
    items: list[TriggerItem]
    definition: int = 0
    reader: int = 0
    part: str = ""
    sample: dict[str, Any] | None = None


class ControlTrigger(Command, frozen=True):
    """`move`: pause, resume. Answer: `{key, status}`."""

    name: str
    move: str
    reason: str = ""


class SettleParked(Command, frozen=True):
    """Parked items: `move` replay (by the version in force now) or discard. Answer: `{outcomes: {letter: outcome}}`."""

    name: str
    letters: list[int]
    move: str
    reason: str = ""


class ListTriggers(Command, frozen=True):
    """Triggers at home on a partition whose source is one of `sources`, by name behind `after` (`[tenant, name]`). Nothing is changed.

    Answer: `{items: [{tenant, name, trigger, definition, source, config, paused, reader, node, until_us}], more}`.

    `deployed`: of all triggers, wherever they are at home, what is deployed (the first partition has it before all others): `{tenant, name, definition,
    source, config}`."""

    sources: list[str]
    after: list[str] = []
    deployed: bool = False


#: one of them; the union of all commands has these beside its own
AnyTrigger = ClaimTrigger | TakeItems | ControlTrigger | SettleParked | ListTriggers

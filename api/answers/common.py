"""Answers: what all answers share: pages, the end of a command, plans, problems."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

Key = Annotated[str, Meta(description="A key: a 64-bit integer, as a text", examples=["2251799813685249"])]
Time = Annotated[str, Meta(description="RFC 3339, in UTC", examples=["2026-11-21T13:00:00.000000Z"])]
Place = Annotated[str, Meta(description="`partition-offset`, several separated by commas; to be given as `wait_for`", examples=["0-41"])]
T = TypeVar("T")
Json = dict[str, Any]


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """A page of a list, the newest first unless it says otherwise. `cursor`: to be given back for the next page; null: this is the last."""

    items: list[T]
    cursor: str | None = None
    #: the answer is at least as new as this
    position: str | None = None


class Put(msgspec.Struct, kw_only=True):
    """Something with a name stands on the ledger: it was made, or changed, or stood there so already."""

    id: Key
    name: str
    created: bool
    changed: bool
    position: str | None = None


class Done(msgspec.Struct, kw_only=True):
    """A command is on the log. `position` is that of its last event; empty: it changed nothing."""

    position: str | None = None
    id: str | None = None
    status: str | None = None
    #: of an instance, after the command
    row_version: int | None = None


class ObjectLog(msgspec.Struct, kw_only=True):
    """An object-centric event log as OCEL 2.0 has it (ocel-standard.org)."""

    objectTypes: list[Json]
    eventTypes: list[Json]
    objects: list[Json]
    events: list[Json]


class Plan(msgspec.Struct, kw_only=True):
    """What a command would do (`?dry_run=true`); nothing of it has happened. `plan` is its hash: sent as `?plan=` with the command it makes that one
    refused (STALE) where it would do something else by now.

    `cancelled`: what is withdrawn; `ended`: what has done its work; `created`, `armed` (timers, subscriptions): what is made; `moved`: tokens that go to
    another element; `changed`: all else, `[before, after]`; `told`: what other partitions are asked; `left`: where each token stands afterwards and what it
    waits for. New things have the keys `+1`, `+2` ... `counts` are of the whole lists, of which 1,000 entries each are told. `events`: how many of which
    type. `outcome`: what the command itself would answer. `continues`: more follows in later steps, which a dry run doesn't show.
    """

    dry_run: bool
    plan: str
    cancelled: list[Json] = []
    ended: list[Json] = []
    created: list[Json] = []
    armed: list[Json] = []
    moved: list[Json] = []
    changed: list[Json] = []
    told: list[Json] = []
    left: list[Json] = []
    counts: dict[str, int] = {}
    events: dict[str, int] = {}
    warnings: list[str] = []
    outcome: Json = {}
    continues: bool = False


class Finding(msgspec.Struct, kw_only=True):
    """What is wrong with a model, or odd."""

    code: str
    message: str
    severity: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    element: str | None = None
    hint: str | None = None
    #: whether the standard forbids it, be it runnable or not, and the chapter that does
    standard: bool = False
    chapter: str = ""


class Where(msgspec.Struct, kw_only=True):
    where: str
    message: str


class Problem(msgspec.Struct, kw_only=True):
    """RFC 9457. `code` is for programs, `detail` for people; `errors` say where; `findings` are those of a model."""

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    #: the path of the request
    instance: str | None = None
    errors: list[Where] | None = None
    findings: list[Finding] | None = None
    retry_after_ms: int | None = None

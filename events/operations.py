"""Who asked for what: `operation.*`, on the partition that decided it.

They change no state. What services ask for on the hot path (starts, completions) leaves none of these: its own events name the caller.
"""

from __future__ import annotations

from flowledger.events.base import Event, Json


class Operation(Event, frozen=True):
    """What both have in common. Who asked (actor, tenant), when, and by which request stands in the envelope.

    Attributes:
        operation: a verb and what it is about, as the API names it (`cancel_instance`).
        kind, subject: what it is about: `instance`, `task`, `definition` ..., and its key or name.
        instance: the instance that it concerns; 0: none.
        names: of the variables that were to be set, or of the files that were deployed.
        details: the command as it was asked, without the values of variables and the contents of files; `proof`: by a passkey, where one was shown
            (`events/control.py`).
        door, address, agent: by which door (`http`, `grpc`; empty: straight to the log), from which network address, with which program.
        roles, credential: as whom: the caller's roles and what it has shown (`session`, `key:ID`; empty: nothing).
    """

    operation: str
    kind: str = ""
    subject: str = ""
    instance: int = 0
    names: list[str] = []
    details: Json = None
    reason: str = ""
    door: str = ""
    address: str = ""
    agent: str = ""
    roles: list[str] = []
    credential: str = ""


class OperationAsked(Operation, frozen=True):
    """It was granted. The `events` events that stand before this one are what came of it: before them is how it was, here how it is."""

    events: int = 0


class OperationRefused(Operation, frozen=True):
    """It was refused, and nothing has changed. `skipped`: refusals since the last one told that were too many to be told."""

    code: str = ""
    message: str = ""
    skipped: int = 0

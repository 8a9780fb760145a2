"""How wide each field of a caller's command may be: texts by characters, lists by their number. What is JSON is bounded where it is recorded,
and models where they are read.

Found by the field's type, so that a new command has bounds from its first day.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits

#: texts for people
_PROSE = frozenset({"reason", "message"})
#: command -> fields with bounds of their own, elsewhere: models, and a record of `commands`
_ELSEWHERE: dict[type[c.AnyCommand], tuple[str, ...]] = {
    c.Deploy: ("resources",),
    c.ChangeDefinition: ("content",),
    c.ReplayDeadLetter: ("command",),
}


def _bounds(kind: type[c.AnyCommand]) -> tuple[tuple[str, int, int], ...]:
    """Field, the most that it may have, and the most that each of its texts may (0: they are none)."""
    found = []
    for field in msgspec.structs.fields(kind):
        if field.name in _ELSEWHERE.get(kind, ()):
            continue
        of = {field.type, *typing.get_args(field.type)} - {type(None)}
        if str in of:
            found.append((field.name, limits.PROSE_MAX if field.name in _PROSE else limits.NAME_MAX, 0))
        elif list[str] in of:
            found.append((field.name, limits.LIST_MAX, limits.NAME_MAX))
        elif any(typing.get_origin(one) is list for one in of):
            found.append((field.name, limits.LIST_MAX, 0))
    return tuple(found)


BOUNDS = {kind: _bounds(kind) for kind in typing.get_args(c.AnyCommand)}


def _of(kind: type[c.AnyCommand]) -> list[msgspec.structs.FieldInfo]:
    """Its fields that have bounds."""
    bounded = {name for name, *_ in BOUNDS[kind]}
    return [f for f in msgspec.structs.fields(kind) if f.name in bounded]


def _fields(kind: type[c.AnyCommand], lists: bool) -> Callable[[c.AnyCommand], tuple[Any, ...]]:
    """What gets all texts, or all lists, of a command at once."""
    names = [f.name for f in _of(kind) if (f.type is not str) is lists]
    return attrgetter(*names, *names[:1] * (len(names) == 1)) if names else lambda _: ("",)


#: what gets all texts of a command, and what gets all its lists (None: it has none): nothing is too wide where no text is longer than `NAME_MAX`
#: and no list has an item
QUICK = {
    kind: (_fields(kind, lists=False), _fields(kind, lists=True) if any(f.type is not str for f in _of(kind)) else None) for kind in BOUNDS
}


def too_wide(command: c.AnyCommand) -> Rejected | None:
    """Why not, or None."""
    for name, most, each in BOUNDS[type(command)]:
        value = getattr(command, name)
        if not value:
            continue
        if len(value) > most:
            what = "items" if isinstance(value, list) else "characters"
            return _refused(f"{name}: expected at most {most} {what}, found {len(value)}")
        if each and max(map(len, value)) > each:
            return _refused(f"{name}: expected texts of at most {each} characters, found one of {max(map(len, value))}")
    return None


def _refused(why: str) -> Rejected:
    return Rejected(RejectionCode.INVALID_ARGUMENT, why)

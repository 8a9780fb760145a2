"""How wide each field of a caller's command may be: texts by characters, lists by their number. What is JSON is bounded where it is recorded,
and models where they are read.

Found by the field's type, so that a new command has bounds from its first day.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
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


def _narrow(kind: type[c.AnyCommand]) -> Callable[[Any], bool]:
    """A function made for `kind`; its source is built from names of our own fields only, never from input."""
    tests = [f"len(e.{f.name}) <= {limits.NAME_MAX}" if f.type is str else f"not e.{f.name}" for f in _of(kind)]
    made: Callable[[Any], bool] = eval(f"lambda e: {' and '.join(tests) or True}")  # noqa: S307 - see above
    return made


#: whether nothing of a command can be too wide: no text is longer than `NAME_MAX`, and no list has an item
NARROW = {kind: _narrow(kind) for kind in BOUNDS}


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

"""What a JSON Schema may be: checked once, when it is stored."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flowledger.kernel.tasks.formats import FORMATS
from flowledger.kernel.tasks.references import LISTS, MAPS, SCHEMAS, References
from flowledger.kernel.tasks.schemas import DEPTH_MAX, TYPES, is_number, kind_of, pattern_of
from flowledger.kernel.values import shown

_ANCHOR = re.compile(r"[A-Za-z_][-A-Za-z0-9._]*")


def problems(schema: Any, at: str = "schema") -> list[str]:
    """What is wrong with a schema; empty when `schemas.check` can use it. `at`: its name in what is told."""
    return _Read(schema, at).problems


class _Read:
    """A schema, with those that its pointers lead to where no schemas stand."""

    def __init__(self, root: Any, at: str) -> None:
        self.references = References(root)
        self.problems: list[str] = []
        self.elsewhere: set[int] = set()
        self._schema(root, root, at, 0)

    def _schema(self, schema: Any, home: Any, at: str, depth: int) -> None:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            self.problems.append(f"{at}: expected an object or a boolean, found {kind_of(schema)}")
            return
        if depth > DEPTH_MAX:
            self.problems.append(f"{at}: nested more than {DEPTH_MAX} deep")
            return
        home = self.references.index.homes.get(id(schema), home)
        for word, value in schema.items():
            self._word(word, value, home, f"{at}.{word}", depth + 1)

    def _word(self, word: str, value: Any, home: Any, at: str, depth: int) -> None:
        if word in SCHEMAS:
            self._schema(value, home, at, depth)
        elif word in LISTS and isinstance(value, list) and value:
            for n, one in enumerate(value):
                self._schema(one, home, f"{at}[{n}]", depth)
        elif word in MAPS and isinstance(value, dict):
            for name, one in value.items():
                self._schema(one, home, f"{at}.{name}", depth)
        elif word in ("$ref", "$dynamicRef"):
            try:
                to, found = self.references.resolve(home, value)
            except ValueError as e:
                self.problems.append(f"{at}: {e}")
            else:
                if id(found) not in self.references.index.homes and id(found) not in self.elsewhere:
                    self.elsewhere.add(id(found))
                    self._schema(found, to, f"{at} ({value})", depth)
        elif (expected := _expected(word, value)) is not None:
            self.problems.append(f"{at}: expected {expected}, found {shown(value)}")
        for pattern in [value] if word == "pattern" else value if word == "patternProperties" and isinstance(value, dict) else ():
            try:
                pattern_of(pattern)
            except (TypeError, ValueError) as e:
                self.problems.append(f"{at}: {shown(pattern)} is no regular expression: {e}")


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and FORMATS["uri-reference"](value) and "#" not in value.removesuffix("#")


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


#: what the value of a word has to be, in words, beside those that have schemas
_WANTED: list[tuple[frozenset[str], str, Callable[[Any], bool]]] = [
    (frozenset(LISTS), "a list of schemas", lambda v: False),
    (frozenset(MAPS), "an object of schemas", lambda v: False),
    (frozenset(("$recursiveRef",)), "$dynamicRef: this word is of an older draft, and not supported", lambda v: False),
    (frozenset(("$id",)), "a URI without a fragment", _is_id),
    (
        frozenset(("$anchor", "$dynamicAnchor")), "a name of letters, digits, '-', '_' and '.'",
        lambda v: isinstance(v, str) and _ANCHOR.fullmatch(v) is not None,
    ),
    (
        frozenset(("type",)), f"one or several of {', '.join(TYPES)}",
        lambda v: v in TYPES if isinstance(v, str) else _names(v) and v != [] and all(name in TYPES for name in v),
    ),
    (frozenset(("enum",)), "a list", lambda v: isinstance(v, list)),
    (frozenset(("required",)), "a list of names", _names),
    (frozenset(("dependentRequired",)), "lists of names", lambda v: isinstance(v, dict) and all(_names(names) for names in v.values())),
    (
        frozenset("minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains".split()),
        "a whole number of 0 or more", lambda v: TYPES["integer"](v) and v >= 0,
    ),
    (frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")), "a number", is_number),
    (frozenset(("multipleOf",)), "a number above 0", lambda v: is_number(v) and v > 0),
    (frozenset(("pattern", "format")), "a text", lambda v: isinstance(v, str)),
]  # fmt: skip


def _expected(word: str, value: Any) -> str | None:
    """None: the value is as it has to be, or the word is not known."""
    return next((text for words, text, fits in _WANTED if word in words and not fits(value)), None)

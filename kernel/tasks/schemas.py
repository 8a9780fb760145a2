"""Checks a JSON value against a JSON Schema (draft 2020-12), in pure Python, so that a decision is the same on any machine and in any release.

Keywords: all of the core, applicator, unevaluated and validation vocabularies but references to other documents (`references.py`). `format` is
checked (`formats.py`). What a schema may be is checked once, when it is stored (`schema_rules.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import re2

from flowledger.kernel.tasks.formats import FORMATS
from flowledger.kernel.tasks.references import References, Scope
from flowledger.kernel.values import shown

#: errors told of one value
ERRORS_MAX = 20
#: alternatives, and characters of a value, that an error shows
WORDS_MAX = 20
DEPTH_MAX = 64
#: looks at a part of the value that one check may take
LOOKS_MAX = 100_000
#: so many plain comparisons, and characters that a pattern is tried on, count as a look
CHEAP, CHARACTERS = 10, 1_000
#: digits of a quotient: of the largest number by the smallest
_DIGITS = 13_000
_UNFINISHED = "value: not checked to the end, it takes too many steps"


def is_number(v: Any) -> bool:
    return isinstance(v, (int, float, Decimal)) and not isinstance(v, bool)


TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": is_number,
    "integer": lambda v: is_number(v) and v == int(v),
}


#: longest pattern, characters
PATTERN_MAX = 1_000
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_QUIET = re2.Options()
_QUIET.log_errors = False


@lru_cache(256)
def pattern_of(text: str) -> Any:
    """To search by, in time linear in the text, so without look-around and back references (RE2's syntax). Raises: ValueError."""
    if len(text) > PATTERN_MAX:
        raise ValueError(f"longer than {PATTERN_MAX} characters")
    try:
        return re2.compile(_ESCAPED.sub(r"\\x{\1}", text), _QUIET)
    except re2.error as e:
        why = e.args[0] if e.args else ""
        raise ValueError(why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)) from None


def kind_of(v: Any) -> str:
    return next(
        (name for name in ("null", "boolean", "integer", "number", "string", "array", "object") if TYPES[name](v)), type(v).__name__
    )


def _same(a: Any, b: Any) -> bool:
    """JSON equality: 1 and 1.0 are equal, true and 1 are not."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


class _Check:
    def __init__(self, references: References, scope: Scope, left: list[int]) -> None:
        self.references, self.scope = references, scope
        self.errors: list[str] = []
        #: looks that may still be taken, shared with the checks inside
        self.left = left
        #: names and places of the value's parts that its schemas have looked at so far; None: nobody asks
        self.seen: set[str | int] | None = None

    def holds(self, schema: Any, value: Any, depth: int, *, apart: bool = False) -> bool:
        """`apart`: what it looks at are not parts of the value, or say nothing of it."""
        inner = _Check(self.references, self.scope, self.left)
        inner.seen = None if apart or self.seen is None else set()
        inner._look(schema, value, "", depth)
        if inner.seen and not inner.errors:
            self.note(inner.seen)
        return not inner.errors

    def note(self, parts: Collection[str | int]) -> None:
        if self.seen is not None:
            self.seen.update(parts)
            self.spend(len(parts) // CHEAP)

    def spend(self, looks: int) -> None:
        """On what is done in one look, but takes longer the more there is."""
        self.left[0] -= looks

    def say(self, at: str, text: str) -> None:
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(f"{at or 'value'}: {text}")

    def look(self, schema: Any, value: Any, at: str, depth: int) -> None:
        """At a part of the value: its own parts are nobody's matter here."""
        seen, self.seen = self.seen, None
        self._look(schema, value, at, depth)
        self.seen = seen

    def within(self, schema: Any, value: Any, at: str, depth: int) -> None:
        """At the same value by another schema: what that looks at is looked at, but it doesn't see what others have looked at. (If it doesn't
        fit, neither does the schema around it, so nobody asks.)"""
        seen = self.seen
        self.seen = None if seen is None else set()
        self._look(schema, value, at, depth)
        seen, self.seen = self.seen, seen
        self.note(seen or ())

    def _look(self, schema: Any, value: Any, at: str, depth: int) -> None:
        if schema is True or schema == {}:
            return
        self.left[0] -= 1
        if self.left[0] < 0:
            self.say("", "not checked to the end, it takes too many steps")
            return
        if schema is False:
            self.say(at, "nothing is allowed here")
            return
        if depth > DEPTH_MAX:
            self.say(at, f"nested more than {DEPTH_MAX} deep")
            return
        outer, asked = self.scope, self.seen
        if "$id" in schema and self.references.names(schema):
            self.scope = (schema, outer)
        if asked is None and ("unevaluatedProperties" in schema or "unevaluatedItems" in schema):
            self.seen = set()
        for word, lead in REFERENCES.items():
            if word in schema:
                self._follow(lead, schema[word], value, at, depth)
        for word, check in ANY.items():
            if word in schema:
                check(self, schema, schema[word], value, at, depth)
        for belongs, words in BY_TYPE:
            if belongs(value):
                for word, check in words.items():
                    if word in schema:
                        check(self, schema, schema[word], value, at, depth)
        self.scope = outer
        if asked is None:
            self.seen = None

    def _follow(self, lead: Callable[[References, Scope, Any], tuple[Any, Any]], ref: Any, value: Any, at: str, depth: int) -> None:
        outer = self.scope
        try:
            home, schema = lead(self.references, outer, ref)
        except ValueError as e:  # stored by a release that read it otherwise
            self.say(at, f"the schema's {e}")
            return
        self.scope = (home, outer)
        self.within(schema, value, at, depth + 1)
        self.scope = outer


REFERENCES: dict[str, Callable[[References, Scope, Any], tuple[Any, Any]]] = {
    "$ref": lambda r, scope, ref: r.resolve(scope[0], ref), "$dynamicRef": lambda r, scope, ref: r.dynamic(scope, ref),
}  # fmt: skip


def _type(k: _Check, s: Any, names: Any, v: Any, at: str, n: int) -> None:
    names = [names] if isinstance(names, str) else names
    if not any(TYPES[name](v) for name in names):
        k.say(at, f"expected {' or '.join(names)}, found {kind_of(v)}")


def _enum(k: _Check, s: Any, values: Any, v: Any, at: str, n: int) -> None:
    k.spend(len(values) // CHEAP)
    if not any(_same(v, x) for x in values):
        more = f" and {len(values) - WORDS_MAX} more" if len(values) > WORDS_MAX else ""
        k.say(at, f"expected one of {', '.join(map(shown, values[:WORDS_MAX]))}{more}, found {shown(v)}")


def _const(k: _Check, s: Any, value: Any, v: Any, at: str, n: int) -> None:
    if not _same(v, value):
        k.say(at, f"expected {shown(value)}, found {shown(v)}")


def _all_of(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    for one in schemas:
        k.within(one, v, at, n + 1)


def _any_of(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    fits = (k.holds(one, v, n + 1) for one in schemas)
    if not (any(fits) if k.seen is None else sum(fits)):  # who asks what was looked at needs all of them
        k.say(at, f"fits none of {len(schemas)} alternatives")


def _one_of(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    fits = sum(k.holds(one, v, n + 1) for one in schemas)
    if fits != 1:
        k.say(at, f"expected to fit one of {len(schemas)} alternatives, fits {fits}")


def _not(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    if k.holds(schema, v, n + 1, apart=True):
        k.say(at, "is what it must not be")


def _if(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    branch = "then" if k.holds(schema, v, n + 1) else "else"
    if branch in s:
        k.within(s[branch], v, at, n + 1)


def _limit(holds: Callable[[Any, Any], bool], text: str, size: Callable[[Any], Any] = lambda v: v) -> Callable[..., None]:
    def check(k: _Check, s: Any, bound: Any, v: Any, at: str, n: int) -> None:
        if not holds(size(v), bound):
            k.say(at, f"expected {text} {bound}, found {size(v)}")

    return check


def _multiple(k: _Check, s: Any, step: Any, v: Any, at: str, n: int) -> None:
    number, by = Decimal(str(v)), Decimal(str(step))
    k.spend(max(0, number.adjusted() - by.adjusted()) // CHARACTERS)
    with localcontext(prec=_DIGITS):  # the whole quotient is wanted, however long
        rest = number % by
    if rest:
        k.say(at, f"expected a multiple of {step}, found {v}")


def _matches(k: _Check, s: Any, pattern: Any, v: Any, at: str, n: int) -> None:
    k.spend(len(v) // CHARACTERS)
    if not pattern_of(pattern).search(v):
        k.say(at, f"expected to match {pattern}, found {v[:80]!r}")


def _format(k: _Check, s: Any, name: Any, v: Any, at: str, n: int) -> None:
    if name in FORMATS and not FORMATS[name](v):
        k.say(at, f"expected a {name}, found {v[:80]!r}")


def _properties(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    for name, one in schemas.items():
        if name in v:
            k.look(one, v[name], f"{at}.{name}" if at else name, n + 1)
    if k.seen is not None:
        k.note([name for name in schemas if name in v])


def _required(k: _Check, s: Any, names: Any, v: Any, at: str, n: int) -> None:
    for name in names:
        if name not in v:
            k.say(at, f"'{name}' is missing")


def _pattern_properties(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    k.spend(len(schemas) * len(v))
    found: list[str] = []
    for pattern, one in schemas.items():
        for name in v if k.left[0] >= 0 else ():
            if pattern_of(pattern).search(name):
                k.look(one, v[name], f"{at}.{name}" if at else name, n + 1)
                found.append(name)
    k.note(found)


def _additional(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    patterns = [pattern_of(p) for p in s.get("patternProperties", {})]
    k.spend(len(patterns) * len(v) + len(v) // CHEAP)
    if k.left[0] >= 0:
        known = s.get("properties", {})
        _others(k, schema, [name for name in v if name not in known and not any(p.search(name) for p in patterns)], v, at, n)


def _unevaluated_properties(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    k.spend(len(v) // CHEAP)
    seen = k.seen or ()
    _others(k, schema, [name for name in v if name not in seen], v, at, n)


def _others(k: _Check, schema: Any, names: list[str], v: Any, at: str, n: int) -> None:
    """The properties that no other word speaks of."""
    for name in names if k.left[0] >= 0 else ():
        if schema is False:
            k.say(at, f"'{name}' is not known")
        else:
            k.look(schema, v[name], f"{at}.{name}" if at else name, n + 1)
    k.note(names)


def _property_names(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    for name in v:
        k.look(schema, name, f"name '{name}'", n + 1)


def _dependent(k: _Check, s: Any, needs: Any, v: Any, at: str, n: int) -> None:
    for name, others in needs.items():
        for other in others if name in v else ():
            if other not in v:
                k.say(at, f"'{other}' is missing beside '{name}'")


def _dependent_schemas(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    for name, one in schemas.items():
        if name in v:
            k.within(one, v, at, n + 1)


def _prefix(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    for index, (one, item) in enumerate(zip(schemas, v, strict=False)):
        k.look(one, item, f"{at}[{index}]", n + 1)
    k.note(range(min(len(schemas), len(v))))


def _items(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    _rest(k, schema, range(len(s.get("prefixItems", ())), len(v)), v, at, n)


def _unevaluated_items(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    k.spend(len(v) // CHEAP)
    seen = k.seen or ()
    _rest(k, schema, [index for index in range(len(v)) if index not in seen], v, at, n)


def _rest(k: _Check, schema: Any, places: Collection[int], v: Any, at: str, n: int) -> None:
    for index in places:
        k.look(schema, v[index], f"{at}[{index}]", n + 1)
    k.note(places)


def _contains(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    fits = [index for index, item in enumerate(v) if k.holds(schema, item, n + 1, apart=True)]
    if not s.get("minContains", 1) <= len(fits) <= s.get("maxContains", len(v)):
        k.say(at, f"{len(fits)} items fit what it must contain")
    k.note(fits)


def _unique(k: _Check, s: Any, wanted: Any, v: Any, at: str, n: int) -> None:
    if not wanted:
        return
    seen: set[Any] = set()
    for item in v:
        found = _comparable(k, item)
        if k.left[0] < 0:
            return
        if found in seen:
            k.say(at, "items repeat")
            return
        seen.add(found)


def _comparable(k: _Check, v: Any) -> Any:
    """What is equal for values that are the same, and can be looked up: 1 and 1.0 are, true and 1 are not."""
    k.spend(1)
    if isinstance(v, dict):
        return "object", frozenset((name, _comparable(k, x)) for name, x in v.items())
    if isinstance(v, list):
        return "array", tuple(_comparable(k, x) for x in v)
    return ("boolean", v) if isinstance(v, bool) else v


ANY: dict[str, Callable[..., None]] = {
    "type": _type, "enum": _enum, "const": _const, "allOf": _all_of, "anyOf": _any_of, "oneOf": _one_of, "not": _not, "if": _if,
}  # fmt: skip
BY_TYPE: list[tuple[Callable[[Any], bool], dict[str, Callable[..., None]]]] = [
    (is_number, {
        "minimum": _limit(lambda v, b: v >= b, "at least"), "maximum": _limit(lambda v, b: v <= b, "at most"),
        "exclusiveMinimum": _limit(lambda v, b: v > b, "more than"), "exclusiveMaximum": _limit(lambda v, b: v < b, "less than"),
        "multipleOf": _multiple,
    }),
    (TYPES["string"], {
        "minLength": _limit(lambda v, b: v >= b, "a length of at least", len), "maxLength": _limit(lambda v, b: v <= b, "a length of at most", len),
        "pattern": _matches, "format": _format,
    }),
    (TYPES["object"], {
        "required": _required, "properties": _properties, "patternProperties": _pattern_properties, "additionalProperties": _additional,
        "propertyNames": _property_names, "dependentRequired": _dependent, "dependentSchemas": _dependent_schemas,
        "minProperties": _limit(lambda v, b: v >= b, "at least so many properties:", len),
        "maxProperties": _limit(lambda v, b: v <= b, "at most so many properties:", len),
        "unevaluatedProperties": _unevaluated_properties,  # after all others, that have looked then
    }),
    (TYPES["array"], {
        "prefixItems": _prefix, "items": _items, "contains": _contains, "uniqueItems": _unique,
        "minItems": _limit(lambda v, b: v >= b, "at least so many items:", len), "maxItems": _limit(lambda v, b: v <= b, "at most so many items:", len),
        "unevaluatedItems": _unevaluated_items,
    }),
]  # fmt: skip


def check(schema: Any, value: Any, left: list[int] | None = None) -> list[str]:
    """What is wrong with `value`, at most `ERRORS_MAX`; empty when it fits. `schema` has passed `schema_rules.problems`. `left`: looks that it may take, and
    afterwards those that are left; below 0 it was not checked to the end."""
    k = _Check(References(schema), (schema, None), [LOOKS_MAX] if left is None else left)
    k.look(schema, value, "", 0)
    if k.left[0] < 0 and _UNFINISHED not in k.errors:  # an alternative that was not tried to its end says nothing
        k.errors.append(_UNFINISHED)
    return k.errors

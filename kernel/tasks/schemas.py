"""Checks a JSON value against a JSON Schema (draft 2020-12), in pure Python, so that a decision is the same on any machine and in any release.

Keywords: all of the core, applicator and validation vocabularies but `$dynamicRef`, `unevaluated*` and references to other documents. `format` is
checked (`formats.py`). What a schema may be is checked once, when it is stored (`problems`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import re2

from flowledger.kernel.tasks.formats import FORMATS

#: errors told of one value
ERRORS_MAX = 20
#: alternatives, and characters of a value, that an error shows
WORDS_MAX, SHOWN_MAX = 20, 100
DEPTH_MAX = 64
#: looks at a part of the value that one check may take
LOOKS_MAX = 100_000
#: so many plain comparisons, and characters that a pattern is tried on, count as a look
CHEAP, CHARACTERS = 10, 1_000
#: digits of a quotient: of the largest number by the smallest
_DIGITS = 13_000
_UNFINISHED = "value: not checked to the end, it takes too many steps"


def _number(v: Any) -> bool:
    return isinstance(v, (int, float, Decimal)) and not isinstance(v, bool)


TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": _number,
    "integer": lambda v: _number(v) and v == int(v),
}


#: longest pattern, characters
PATTERN_MAX = 1_000
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_QUIET = re2.Options()
_QUIET.log_errors = False


@lru_cache(256)
def _pattern(text: str) -> Any:
    """In time linear in the text, so without look-around and back references (RE2's syntax). Raises: ValueError."""
    if len(text) > PATTERN_MAX:
        raise ValueError(f"longer than {PATTERN_MAX} characters")
    try:
        return re2.compile(_ESCAPED.sub(r"\\x{\1}", text), _QUIET)
    except re2.error as e:
        why = e.args[0] if e.args else ""
        raise ValueError(why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)) from None


def _kind(v: Any) -> str:
    return next(
        (name for name in ("null", "boolean", "integer", "number", "string", "array", "object") if TYPES[name](v)), type(v).__name__
    )


def _shown(v: Any) -> str:
    """A value in an error: its beginning, when it is long."""
    text = repr(v)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}... ({len(text)} characters)"


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
    def __init__(self, root: Any, left: list[int] | None = None) -> None:
        self.root = root
        self.errors: list[str] = []
        #: looks that may still be taken, shared with the checks inside
        self.left = [LOOKS_MAX] if left is None else left

    def holds(self, schema: Any, value: Any, depth: int) -> bool:
        inner = _Check(self.root, self.left)
        inner.look(schema, value, "", depth)
        return not inner.errors

    def spend(self, looks: int) -> None:
        """On what is done in one look, but takes longer the more there is."""
        self.left[0] -= looks

    def say(self, at: str, text: str) -> None:
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(f"{at or 'value'}: {text}")

    def look(self, schema: Any, value: Any, at: str, depth: int = 0) -> None:
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
        if "$ref" in schema:
            self.look(_resolve(self.root, schema["$ref"]), value, at, depth + 1)
        for word, check in ANY.items():
            if word in schema:
                check(self, schema, schema[word], value, at, depth)
        for belongs, words in BY_TYPE:
            if belongs(value):
                for word, check in words.items():
                    if word in schema:
                        check(self, schema, schema[word], value, at, depth)


def _resolve(root: Any, ref: str) -> Any:
    here = root
    if not ref.startswith("#"):
        raise ValueError(f"'{ref}' leads out of the schema")
    if ref[1:2] not in ("", "/"):
        found = next(_anchored(root, ref[1:]), None)
        if found is None:
            raise ValueError(f"'{ref}' leads nowhere")
        return found
    for part in ref[1:].split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        try:
            here = here[int(part)] if isinstance(here, list) else here[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise ValueError(f"'{ref}' leads nowhere") from None
    return here


def _anchored(here: Any, name: str, depth: int = 0) -> Iterator[Any]:
    """The schemas below `here` whose `$anchor` is `name`."""
    if depth > DEPTH_MAX:
        return
    if isinstance(here, dict) and here.get("$anchor") == name:
        yield here
    for inner in here.values() if isinstance(here, dict) else here if isinstance(here, list) else ():
        yield from _anchored(inner, name, depth + 1)


def _type(k: _Check, s: Any, names: Any, v: Any, at: str, n: int) -> None:
    names = [names] if isinstance(names, str) else names
    if not any(TYPES[name](v) for name in names):
        k.say(at, f"expected {' or '.join(names)}, found {_kind(v)}")


def _enum(k: _Check, s: Any, values: Any, v: Any, at: str, n: int) -> None:
    k.spend(len(values) // CHEAP)
    if not any(_same(v, x) for x in values):
        more = f" and {len(values) - WORDS_MAX} more" if len(values) > WORDS_MAX else ""
        k.say(at, f"expected one of {', '.join(map(_shown, values[:WORDS_MAX]))}{more}, found {_shown(v)}")


def _const(k: _Check, s: Any, value: Any, v: Any, at: str, n: int) -> None:
    if not _same(v, value):
        k.say(at, f"expected {_shown(value)}, found {_shown(v)}")


def _all_of(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    for one in schemas:
        k.look(one, v, at, n + 1)


def _any_of(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    if not any(k.holds(one, v, n + 1) for one in schemas):
        k.say(at, f"fits none of {len(schemas)} alternatives")


def _one_of(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    fits = sum(k.holds(one, v, n + 1) for one in schemas)
    if fits != 1:
        k.say(at, f"expected to fit one of {len(schemas)} alternatives, fits {fits}")


def _not(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    if k.holds(schema, v, n + 1):
        k.say(at, "is what it must not be")


def _if(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    branch = "then" if k.holds(schema, v, n + 1) else "else"
    if branch in s:
        k.look(s[branch], v, at, n + 1)


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
    if not _pattern(pattern).search(v):
        k.say(at, f"expected to match {pattern}, found {v[:80]!r}")


def _format(k: _Check, s: Any, name: Any, v: Any, at: str, n: int) -> None:
    if name in FORMATS and not FORMATS[name](v):
        k.say(at, f"expected a {name}, found {v[:80]!r}")


def _properties(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    for name, one in schemas.items():
        if name in v:
            k.look(one, v[name], f"{at}.{name}" if at else name, n + 1)


def _required(k: _Check, s: Any, names: Any, v: Any, at: str, n: int) -> None:
    for name in names:
        if name not in v:
            k.say(at, f"'{name}' is missing")


def _pattern_properties(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    k.spend(len(schemas) * len(v))
    for pattern, one in schemas.items():
        for name in v if k.left[0] >= 0 else ():
            if _pattern(pattern).search(name):
                k.look(one, v[name], f"{at}.{name}" if at else name, n + 1)


def _additional(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    patterns = [_pattern(p) for p in s.get("patternProperties", {})]
    k.spend(len(patterns) * len(v) + len(v) // CHEAP)
    for name in v if k.left[0] >= 0 else ():
        if name not in s.get("properties", {}) and not any(p.search(name) for p in patterns):
            if schema is False:
                k.say(at, f"'{name}' is not known")
            else:
                k.look(schema, v[name], f"{at}.{name}" if at else name, n + 1)


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
            k.look(one, v, at, n + 1)


def _prefix(k: _Check, s: Any, schemas: Any, v: Any, at: str, n: int) -> None:
    for index, (one, item) in enumerate(zip(schemas, v, strict=False)):
        k.look(one, item, f"{at}[{index}]", n + 1)


def _items(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    for index in range(len(s.get("prefixItems", ())), len(v)):
        k.look(schema, v[index], f"{at}[{index}]", n + 1)


def _contains(k: _Check, s: Any, schema: Any, v: Any, at: str, n: int) -> None:
    fits = sum(k.holds(schema, item, n + 1) for item in v)
    if not s.get("minContains", 1) <= fits <= s.get("maxContains", len(v)):
        k.say(at, f"{fits} items fit what it must contain")


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
    (_number, {
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
    }),
    (TYPES["array"], {
        "prefixItems": _prefix, "items": _items, "contains": _contains, "uniqueItems": _unique,
        "minItems": _limit(lambda v, b: v >= b, "at least so many items:", len), "maxItems": _limit(lambda v, b: v <= b, "at most so many items:", len),
    }),
]  # fmt: skip
_SCHEMAS = {"not", "if", "then", "else", "additionalProperties", "propertyNames", "items", "contains"}
_LISTS = {"allOf", "anyOf", "oneOf", "prefixItems"}
_MAPS = {"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}
_COUNTS = {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"}
_NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_REFUSED = {"$dynamicRef", "$recursiveRef", "unevaluatedProperties", "unevaluatedItems"}


def check(schema: Any, value: Any, left: list[int] | None = None) -> list[str]:
    """What is wrong with `value`, at most `ERRORS_MAX`; empty when it fits. `schema` has passed `problems`. `left`: looks that it may take, and
    afterwards those that are left; below 0 it was not checked to the end."""
    k = _Check(schema, left)
    k.look(schema, value, "")
    if k.left[0] < 0 and _UNFINISHED not in k.errors:  # an alternative that was not tried to its end says nothing
        k.errors.append(_UNFINISHED)
    return k.errors


def problems(schema: Any, root: Any = None, at: str = "schema", depth: int = 0) -> list[str]:
    """What is wrong with a schema; empty when `check` can use it."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return []
    if not isinstance(schema, dict):
        return [f"{at}: expected an object or a boolean, found {_kind(schema)}"]
    if depth > DEPTH_MAX:
        return [f"{at}: nested more than {DEPTH_MAX} deep"]
    out: list[str] = []
    for word, value in schema.items():
        here = f"{at}.{word}"
        if word in _REFUSED:
            out.append(f"{here}: not supported")
        elif word in _SCHEMAS:
            out += problems(value, root, here, depth + 1)
        elif word in _LISTS:
            if isinstance(value, list) and value:
                out += [p for n, one in enumerate(value) for p in problems(one, root, f"{here}[{n}]", depth + 1)]
            else:
                out.append(f"{here}: expected a list of schemas")
        elif word in _MAPS:
            if isinstance(value, dict):
                out += [p for name, one in value.items() for p in problems(one, root, f"{here}.{name}", depth + 1)]
            else:
                out.append(f"{here}: expected an object of schemas")
        elif word == "type":
            names = [value] if isinstance(value, str) else value
            if not isinstance(names, list) or not names or any(n not in TYPES for n in names):
                out.append(f"{here}: expected {', '.join(TYPES)}, found {value!r}")
        elif word == "enum" and not isinstance(value, list):
            out.append(f"{here}: expected a list")
        elif word == "required" and not (isinstance(value, list) and all(isinstance(v, str) for v in value)):
            out.append(f"{here}: expected a list of names")
        elif word == "dependentRequired" and not (isinstance(value, dict) and all(isinstance(v, list) for v in value.values())):
            out.append(f"{here}: expected lists of names")
        elif word in _COUNTS and not (TYPES["integer"](value) and value >= 0):
            out.append(f"{here}: expected a whole number of 0 or more")
        elif word in _NUMBERS and not (_number(value) and (word != "multipleOf" or value > 0)):
            out.append(f"{here}: expected a number")
        elif word in ("pattern", "format") and not isinstance(value, str):
            out.append(f"{here}: expected a text")
        elif word == "$ref":
            try:
                _resolve(root, value if isinstance(value, str) else "")
            except ValueError as e:
                out.append(f"{here}: {e}")
        patterns = (
            [value]
            if word == "pattern" and isinstance(value, str)
            else list(value)
            if word == "patternProperties" and isinstance(value, dict)
            else []
        )
        for pattern in patterns:
            try:
                _pattern(pattern)
            except ValueError as e:
                out.append(f"{here}: {pattern!r} is no regular expression: {e}")
    return out

"""Forms are checked by the server as well: what a form's fields ask for, by field, when a task is completed and when a process is started.

Source: form-js (the schema of Camunda forms): `components` of `type` with `key`, `validate` (required, minLength, maxLength, min, max, pattern,
validationType), `decimalDigits` and `increment` of a number,
options (`values`, `valuesKey`, `valuesExpression`), `subtype` and `disallowPassedDates` of a datetime, `conditional.hide`, groups and
dynamic lists with a `path`, whose rows see `this`, `parent` and `i`. Choices: a field that is hidden, disabled or read-only is not checked; an empty
text or list is as good as none; a value may be a variable of the scope when the form did not send it, except for a required one, which the form
must send. A condition that has no answer hides nothing.
"""

from __future__ import annotations

import operator
import re
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import feel, lookup, times
from flowledger.kernel.expressions import Expression, feel_expression
from flowledger.kernel.tasks.patterns import Patterns, Unasked
from flowledger.kernel.values import shown

#: errors told; more are counted by none
ERRORS_MAX = 50
_GROUPS = frozenset({"group", "dynamiclist"})
_TEXTS = frozenset({"textfield", "textarea"})
_CHOICES = frozenset({"radio", "select"})
_LISTS = frozenset({"checklist", "taglist"})
#: subtype of a datetime field -> what it is written like
_SHAPES = {
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "time": re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9.]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"),
    "datetime": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:.+"),
}
#: characters and decimal places that a form may count up to
_COUNTED = 1_000_000_000
#: digits of a number by which its step is divided
_DIGITS = 400
#: the last zone in which it still is the day before
_WEST_US = 12 * 3_600_000_000
_DAY_US = 86_400_000_000
_EMBEDDED = "camunda-forms:bpmn:"


def check(form: Any, sent: dict[str, Any], scope: dict[str, Any], facts: Any) -> list[str]:
    """What is wrong, each as `field: what`. `form` is the schema, `sent` the values, `scope` what an expression sees beside them."""
    wrong: list[str] = []
    if isinstance(form, dict):
        _check(form.get("components"), sent, {**scope, **sent}, "", facts, wrong, Patterns(facts.javascript))
    return wrong[:ERRORS_MAX]


def _check(components: Any, sent: Any, seen: dict[str, Any], at: str, facts: Any, wrong: list[str], patterns: Patterns) -> None:
    for field in components if isinstance(components, list) else ():
        if not isinstance(field, dict) or len(wrong) >= ERRORS_MAX or _off(field, seen, facts):
            continue
        kind = field.get("type")
        if kind in _GROUPS:
            _inside(field, sent, seen, at, facts, wrong, patterns)
        elif isinstance(key := field.get("key"), str) and key:
            value = _at(sent, key)
            for message in _of_field(str(kind), field, value, seen, facts, patterns):
                wrong.append(f"{at}{key}: {message}")


def _off(field: dict[str, Any], seen: dict[str, Any], facts: Any) -> bool:
    hide = (field.get("conditional") or {}).get("hide") if isinstance(field.get("conditional"), dict) else None
    return _true(hide, seen, facts) or any(_true(field.get(word), seen, facts) for word in ("disabled", "readonly"))


def _inside(field: dict[str, Any], sent: Any, seen: dict[str, Any], at: str, facts: Any, wrong: list[str], patterns: Patterns) -> None:
    path = field.get("path") or ""
    value = _at(sent, path) if path else sent
    group = field["type"] == "group"
    if value is not None and not isinstance(value, dict if group else list):
        wrong.append(f"{at}{path}: expected {'an object' if group else 'a list'}, found {shown(value)}")
    elif group:
        _check(field.get("components"), value or {}, seen, f"{at}{path}." if path else at, facts, wrong, patterns)
    for n, row in enumerate(value if isinstance(value, list) and not group else ()):
        if isinstance(row, dict):
            around = {**seen, **row, "this": row, "parent": seen.get("this", seen), "i": n + 1}
            _check(field.get("components"), row, around, f"{at}{path}[{n}].", facts, wrong, patterns)
        elif len(wrong) < ERRORS_MAX:
            wrong.append(f"{at}{path}[{n}]: expected an object, found {shown(row)}")


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


@lru_cache(maxsize=2_000)
def _compiled(text: str) -> Expression | None:
    try:
        return feel_expression(text.removeprefix("="))
    except feel.FeelSyntaxError:
        return None


def _value(setting: Any, seen: dict[str, Any], facts: Any) -> Any:
    """A setting, or what its expression gives."""
    if isinstance(setting, str) and setting.startswith("="):
        e = _compiled(setting)
        return e.json(seen, facts) if e is not None else None
    return setting


def _true(setting: Any, seen: dict[str, Any], facts: Any) -> bool:
    return _value(setting, seen, facts) is True


def _of_field(kind: str, field: dict[str, Any], value: Any, seen: dict[str, Any], facts: Any, patterns: Patterns) -> list[str]:
    rules = {k: _value(v, seen, facts) for k, v in (field.get("validate") or {}).items()} if isinstance(field.get("validate"), dict) else {}
    if value is None or value == "" or value == [] or (kind == "checkbox" and value is False):
        return ["is required"] if rules.get("required") is True else []
    if kind in _TEXTS:
        return _text(value, rules, patterns)
    if kind == "number":
        return _number(value, field, rules)
    if kind == "checkbox":
        return [] if isinstance(value, bool) else [f"expected true or false, found {shown(value)}"]
    if kind in _CHOICES:
        options = _options(field, seen, facts)
        return [] if options is None or _among(value, options) else [f"expected one of {_words(options)}, found {shown(value)}"]
    if kind in _LISTS:
        if not isinstance(value, list):
            return [f"expected a list, found {shown(value)}"]
        options = _options(field, seen, facts)
        extra = [v for v in value if options is not None and not _among(v, options)]
        return [f"expected some of {_words(options or [])}, found {shown(extra[0])}"] if extra else []
    if kind == "datetime":
        return _time(value, field, facts)
    return []


def _text(value: Any, rules: dict[str, Any], patterns: Patterns) -> list[str]:
    if not isinstance(value, str):
        return [f"expected a text, found {shown(value)}"]
    out, size = [], len(value.encode("utf-16-le", "surrogatepass")) // 2  # as the browser counts, which knows characters of two parts
    if (n := _whole(rules.get("minLength"))) is not None and size < n:
        out.append(f"expected at least {n} characters, found {size}")
    if (n := _whole(rules.get("maxLength"))) is not None and size > n:
        out.append(f"expected at most {n} characters, found {size}")
    pattern = {"email": r"[^@\s]+@[^@\s]+\.[^@\s]+", "phone": r"\+?[0-9 ()/.-]{3,30}"}.get(str(rules.get("validationType")))
    own = rules.get("pattern")
    for text, what in ((pattern, rules.get("validationType")), (own, f"the pattern {own}")):
        if not isinstance(text, str) or not text:
            continue
        try:
            if patterns.refuse(f"^(?:{text})$" if text is pattern else text, value):
                out.append(f"expected {what}, found {value[:60]!r}")
        except Unasked as e:
            out.append(f"can't be checked by {what}: {e}")
    return out


def _limit(value: Any) -> Decimal | None:
    """A number, or a text of one: form-js compares either."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = Decimal(str(value).strip())
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def _whole(value: Any) -> int | None:
    number = _limit(value)
    return int(number) if number is not None and abs(number) < _COUNTED and number == int(number) else None


def _number(value: Any, field: dict[str, Any], rules: dict[str, Any]) -> list[str]:
    if isinstance(value, str) and field.get("serializeToString"):
        if (said := _limit(value)) is None:
            return [f"expected a number as a text, found {shown(value)}"]
        value = said
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return [f"expected a number, found {shown(value)}"]
    out, number = [], Decimal(str(value))
    for word, says, bad in (("min", "at least", operator.lt), ("max", "at most", operator.gt)):
        limit = _limit(rules.get(word))
        if limit is not None and bad(number, limit):
            out.append(f"expected {says} {limit}, found {value}")
    digits = _whole(field.get("decimalDigits"))
    exponent = number.normalize().as_tuple().exponent
    if digits is not None and isinstance(exponent, int) and -exponent > digits:
        out.append(f"expected at most {digits} decimal places, found {value}")
    step = _decimal(field.get("increment"))
    if step is not None and not _multiple(number, step):
        out.append(f"expected a multiple of {step}, found {value}")
    return out


def _decimal(value: Any) -> Decimal | None:
    """A number above zero."""
    number = _limit(value)
    return number if number is not None and number > 0 else None


def _multiple(number: Decimal, step: Decimal) -> bool:
    """Of a quotient with more digits than are counted nobody can say."""
    with localcontext(prec=_DIGITS) as c:
        try:
            return c.remainder(number, step) == 0
        except ArithmeticError:
            return True


def _words(options: list[Any]) -> str:
    return ", ".join(o if isinstance(o, str) else shown(o) for o in options[:20])


def _among(value: Any, options: list[Any]) -> bool:
    """Python takes true for 1."""
    return any(value == o and isinstance(value, bool) == isinstance(o, bool) for o in options)


def _options(field: dict[str, Any], seen: dict[str, Any], facts: Any) -> list[Any] | None:
    """None when nobody can say what the options are."""
    rows = field.get("values")
    if field.get("valuesKey"):
        rows = _at(seen, field["valuesKey"])
    elif field.get("valuesExpression"):
        rows = _value(field["valuesExpression"], seen, facts)
    if not isinstance(rows, list):
        return None
    return [row.get("value", row.get("label")) if isinstance(row, dict) else row for row in rows]


def _time(value: Any, field: dict[str, Any], facts: Any) -> list[str]:
    """Of a day that lies behind, the whole world's: the server doesn't know the day of the one who sends it."""
    kind = field.get("subtype") or "date"
    text = value if isinstance(value, str) else ""
    try:
        if not _SHAPES.get(kind, _SHAPES["datetime"]).fullmatch(text):
            raise ValueError(text)
        moment = times.instant(f"2000-01-01T{text}" if kind == "time" else text)
    except ValueError:
        return [f"expected a {kind}, found {shown(value)}"]
    if (
        kind != "time"
        and field.get("disallowPassedDates") is True
        and moment < facts.now_us - _WEST_US - (_DAY_US if kind == "date" else 0)
    ):
        return [f"expected a {kind} that has not passed, found {value}"]
    return []


# --- which form -------------------------------------------------------------------------------------------------------


def of_task(d: Any, i: Any, said: Any) -> Any:
    """The schema of the form that a task's details or a start event name; None when it is not here."""
    if not isinstance(said, dict):
        return None
    if isinstance(said.get("components"), list):
        return said
    key = str(said.get("formKey") or "")
    if key.startswith(_EMBEDDED):
        return (d.process(i).notes.get("forms") or {}).get(key[len(_EMBEDDED) :])
    id = str(said.get("formId") or said.get("id") or "")
    found = lookup.bound(d.state, i, "form", id, said.get("bindingType") or "latest", said.get("versionTag") or "") if id else None
    return d.facts.forms[found.key] if found is not None and found.key in d.state.definitions else None


def refused(d: Any, i: Any, said: Any, sent: dict[str, Any], scope: dict[str, Any], what: str) -> Rejected | None:
    """A rejection that names each field; None when the form is content, or there is none."""
    form = of_task(d, i, said)
    wrong = check(form, sent, scope, d.facts) if form is not None else []
    return Rejected(RejectionCode.INVALID_ARGUMENT, f"FORM_INVALID: {what}: {'; '.join(wrong)}") if wrong else None

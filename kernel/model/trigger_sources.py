"""What each kind of source of a trigger is told: its fields, and how each is checked. A new source is a row here and a module that reads it
(`flowledger.connectors.triggers`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from flowledger.kernel import cron

#: -> what was expected; `""`: it fits
Check = Callable[[Any], str]
DAY_US = 86_400_000_000
#: items of a list, characters of a text
LIST_MAX, TEXT_MAX = 400, 2_000
PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._~-]{0,99}(?:/[A-Za-z0-9_-][A-Za-z0-9._~-]{0,99}){0,7}")
_DURATION = re.compile(r"P(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9})S)?)?")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}(?:\.[A-Za-z_][A-Za-z0-9_]{0,62})?")


def duration_us(text: Any) -> int:
    """Microseconds of days, hours, minutes and seconds (`P1DT2H`), which are of the same length always. Raises: ValueError."""
    m = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if m is None or not any(m.groups()):
        raise ValueError(f"expected a duration of days, hours, minutes and seconds such as PT15M, found {text!r}")
    days, hours, minutes, seconds = (int(g or 0) for g in m.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and 0 < len(value) <= TEXT_MAX else f"a text of 1 to {TEXT_MAX} characters"


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _one_of(*words: str) -> Check:
    return lambda value: "" if value in words and isinstance(value, str) else f"one of {', '.join(words)}"


def _whole(low: int, high: int) -> Check:
    return lambda value: "" if type(value) is int and low <= value <= high else f"a whole number from {low} to {high}"


def _within(low: str, high: str) -> Check:
    def check(value: Any) -> str:
        try:
            found = duration_us(value)
        except ValueError:
            found = -1
        return "" if duration_us(low) <= found <= duration_us(high) else f"a duration from {low} to {high}"

    return check


def _cron(value: Any) -> str:
    try:
        cron.Cron(value if isinstance(value, str) else "")
    except (ValueError, OverflowError) as e:
        return f"a cron text ({e})"
    return "" if not value.lstrip().startswith(("CRON_TZ", "QUARTZ")) else "a cron text without CRON_TZ and QUARTZ (there is the field zone)"


def _zone(value: Any) -> str:
    try:
        cron.zone(value if isinstance(value, str) else "")
    except ValueError:
        return "a time zone such as Europe/Berlin"
    return ""


def _moment(value: Any) -> str:
    try:
        return "" if datetime.fromisoformat(value).tzinfo is not None else "a time with its offset, such as 2026-01-31T12:00:00Z"
    except (ValueError, TypeError):
        return "a time such as 2026-01-31T12:00:00Z"


def _dates(value: Any) -> str:
    try:
        fits = isinstance(value, list) and len(value) <= LIST_MAX and all(date.fromisoformat(d) for d in value)
    except (ValueError, TypeError):
        fits = False
    return "" if fits else f"a list of at most {LIST_MAX} dates such as 2026-12-24"


def _texts(value: Any) -> str:
    fits = isinstance(value, list) and 0 < len(value) <= LIST_MAX and all(not _text(v) for v in value)
    return "" if fits else f"a list of 1 to {LIST_MAX} texts"


def _secret(value: Any) -> str:
    """Named, never written."""
    one = value if isinstance(value, list) else [value]
    fits = 0 < len(one) <= 10 and all(isinstance(v, str) and _REFERENCE.fullmatch(v) for v in one)
    return "" if fits else "a reference such as {{secrets.NAME}}, or a list of up to 10 of them"


_REFERENCE = re.compile(r"\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_-]{0,127})\s*\}\}")


def names_of(value: Any) -> list[str]:
    """Names of the secrets that a field refers to."""
    return [m[1] for v in (value if isinstance(value, list) else [value]) if isinstance(v, str) and (m := _REFERENCE.fullmatch(v))]


def _matching(pattern: re.Pattern[str], words: str) -> Check:
    return lambda value: "" if isinstance(value, str) and pattern.fullmatch(value) else words


class Field(NamedTuple):
    check: Check
    needed: bool = False


class Source(NamedTuple):
    """`whole`: what is wrong with all fields together. `sees`: names of expressions' variables, for the documentation and the dry run."""

    fields: Mapping[str, Field]
    whole: Callable[[Mapping[str, Any]], str] = lambda config: ""
    sees: tuple[str, ...] = ()


# --- schedule ---------------------------------------------------------------------------------------------------------------


def _schedule(config: Mapping[str, Any]) -> str:
    if ("cron" in config) == ("every" in config):
        return "expected cron or every, one of them"
    if "zone" in config and "every" in config:
        return "zone is for cron: every counts in UTC"
    if config.get("starting") and "cron" in config:
        return "starting is for every"
    if "most" in config and config.get("catch_up") != "all":
        return "most is for catch_up all"
    return ""


# --- webhook ----------------------------------------------------------------------------------------------------------------

_ALGORITHMS = ("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
_HEADER = _matching(re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"), "a name of a header")
#: kind of authentication -> its fields
AUTH: dict[str, Mapping[str, Field]] = {
    "none": {},
    "standard": {"secret": Field(_secret, True), "tolerance": Field(_within("PT1S", "PT1H"))},
    "hmac": {
        "secret": Field(_secret, True), "header": Field(_HEADER, True), "prefix": Field(_text), "encoding": Field(_one_of("hex", "base64")),
        "hash": Field(_one_of("sha256", "sha512")),
    },
    "github": {"secret": Field(_secret, True)},
    "basic": {"user": Field(_text, True), "password": Field(_secret, True)},
    "bearer": {"token": Field(_secret, True)},
    "jwt": {
        "secret": Field(_secret), "jwks": Field(_matching(re.compile(r"https?://[^\s@\\]{1,1000}"), "an address of a JWKS")),
        "algorithms": Field(lambda v: "" if isinstance(v, list) and v and all(a in _ALGORITHMS for a in v) else f"a list of {', '.join(_ALGORITHMS)}", True),
        "issuer": Field(_text), "audience": Field(_text), "tolerance": Field(_within("PT1S", "PT1H")),
    },
}  # fmt: skip


def _auth(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in AUTH or not isinstance(kind, str):
        return f"an object whose type is one of {', '.join(AUTH)}"
    wrong = problems(AUTH[kind], {k: v for k, v in value.items() if k != "type"})
    if not wrong and kind == "jwt":
        if ("secret" in value) == ("jwks" in value):
            return "secret or jwks, one of them"
        if any(a.startswith("HS") != ("secret" in value) for a in value["algorithms"]):
            return "algorithms that fit: HS... with a secret, the others with a jwks"
    return "; ".join(f"{name}: expected {what}" for name, what in wrong)


def problems(fields: Mapping[str, Field], config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, what was expected) of what doesn't fit."""
    found = [(name, f"one of {', '.join(fields)}") for name in config if name not in fields]
    for name, field in fields.items():
        if name in config:
            if what := field.check(config[name]):
                found.append((name, what))
        elif field.needed:
            found.append((name, "it: it is missing"))
    return found


SOURCES: dict[str, Source] = {
    "schedule": Source(
        {
            "cron": Field(_cron), "zone": Field(_zone), "every": Field(_within("PT1S", "P366D")), "starting": Field(_moment), "except": Field(_dates),
            "catch_up": Field(_one_of("none", "last", "all")), "most": Field(_whole(1, 1_000)), "within": Field(_within("PT1S", "P3660D")),
        },
        _schedule, ("scheduled", "now"),
    ),
    "webhook": Source(
        {
            "path": Field(_matching(PATH, "a path of 1 to 8 parts of letters, digits, and . _ ~ - inside, without a slash in front"), True),
            "auth": Field(_auth, True), "bytes_max": Field(_whole(1, 1_000_000)), "rate": Field(_whole(1, 100_000)),
        },
        sees=("payload", "headers", "query", "path"),
    ),
}  # fmt: skip


def zone_of(config: Mapping[str, Any]) -> Any:
    return cron.zone(config.get("zone") or "UTC")


__all__ = ["AUTH", "DAY_US", "SOURCES", "Source", "duration_us", "names_of", "problems", "zone_of"]

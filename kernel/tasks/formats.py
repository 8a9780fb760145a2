"""What JSON Schema's `format` says of a text. Source: JSON Schema 2020-12 validation, chapter 7.3, and the RFCs that it names for each.

Each takes time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from ipaddress import IPv4Address, IPv6Address

Check = Callable[[str], bool]
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_WIDE_LABEL = re.compile(r"(?!-)[\w\u00b7\u200c\u200d\u05f3\u05f4\u0375\u30fb-]{1,63}(?<!-)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:Z|([+-])([0-9]{2}):([0-9]{2}))", re.I)
#: RFC 3339, appendix A: units stand side by side, none is left out between two
_DURATION = re.compile(
    r"P(?:[0-9]+W|(?=[0-9]|T[0-9])(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)?"
    r"(?:T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S))?)"
)
_POINTER = r"(?:/(?:[^~/]|~[01])*)*"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf'{_ATOM}(?:\.{_ATOM})*|"(?:[^"\\\r\n]|\\.)*"')
_TEMPLATE = re.compile(
    r"(?:[^\x00-\x20\"'<>\\^`{|}%]|%[0-9A-Fa-f]{2}|\{[+#./;?&=,!@|]?[\w.%]+(?::[0-9]{1,4}|\*)?(?:,[\w.%]+(?::[0-9]{1,4}|\*)?)*\})*"
)
_SECONDS, _MINUTES, _HOURS, _NAME_MAX = 60, 60, 24, 253


def _url(wide: bool, whole: bool) -> re.Pattern[str]:
    """RFC 3986 chapter 3 and appendix A, RFC 3987; `whole`: with a scheme."""
    more = r"\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U000efffd" if wide else ""
    char = rf"(?:[A-Za-z0-9._~!$&'()*+,;=:@{more}-]|%[0-9A-Fa-f]{{2}})"
    host = (
        rf"(?:\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+\]|(?:[A-Za-z0-9._~!$&'()*+,;={more}-]|%[0-9A-Fa-f]{{2}})*)"
    )
    user = rf"(?:(?:[A-Za-z0-9._~!$&'()*+,;=:{more}-]|%[0-9A-Fa-f]{{2}})*@)?"
    scheme = r"[A-Za-z][A-Za-z0-9+.-]*:" if whole else r"(?:[A-Za-z][A-Za-z0-9+.-]*:|(?![^/?#]*:))"
    path = rf"(?://{user}{host}(?::[0-9]*)?(?:/{char}*)*|(?!//){char}*(?:/{char}*)*)"
    return re.compile(rf"{scheme}{path}(?:\?(?:{char}|[/?])*)?(?:#(?:{char}|[/?])*)?")


def _whole(pattern: re.Pattern[str]) -> Check:
    return lambda text: pattern.fullmatch(text) is not None


def _date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _time(text: str) -> bool:
    """With its offset, as RFC 3339 asks; a leap second only where one can be."""
    found = _TIME.fullmatch(text)
    if found is None:
        return False
    hour, minute, second, off_hour, off_minute = (int(found[n] or 0) for n in (1, 2, 3, 5, 6))
    if hour >= _HOURS or minute >= _MINUTES or second > _SECONDS or off_hour >= _HOURS or off_minute >= _MINUTES:
        return False
    offset = (off_hour * _MINUTES + off_minute) * (-1 if found[4] == "-" else 1)
    return second < _SECONDS or (hour * _MINUTES + minute - offset) % (_HOURS * _MINUTES) == _HOURS * _MINUTES - 1


def _moment(text: str) -> bool:
    return len(text) > len("2026-01-31") and text[10] in "Tt" and _date(text[:10]) and _time(text[11:])


def _ip(kind: type[IPv4Address] | type[IPv6Address]) -> Check:
    def check(text: str) -> bool:
        try:
            return "%" not in text and text.isascii() and bool(str(kind(text)))
        except ValueError:
            return False

    return check


def _host(label: re.Pattern[str]) -> Check:
    return lambda text: 0 < len(text) <= _NAME_MAX and all(label.fullmatch(part) for part in text.split("."))


def _mail(host: Check, ascii: bool) -> Check:
    def check(text: str) -> bool:
        local, at, domain = text.rpartition("@")
        if not at or (ascii and not text.isascii()):
            return False
        if domain.startswith("[") and domain.endswith("]"):
            inner = domain[1:-1]
            known = FORMATS["ipv6"](inner[5:]) if inner.lower().startswith("ipv6:") else FORMATS["ipv4"](inner)
        else:
            known = host(domain)
        plain = local if ascii else "".join(c if c.isascii() else "a" for c in local)
        return known and _LOCAL.fullmatch(plain) is not None

    return check


def _expression(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


FORMATS: dict[str, Check] = {
    "date": _date, "time": _time, "date-time": _moment, "duration": _whole(_DURATION),
    "email": _mail(_host(_LABEL), True), "idn-email": _mail(_host(_WIDE_LABEL), False),
    "hostname": _host(_LABEL), "idn-hostname": _host(_WIDE_LABEL),
    "ipv4": _ip(IPv4Address), "ipv6": _ip(IPv6Address),
    "uri": _whole(_url(False, True)), "uri-reference": _whole(_url(False, False)),
    "iri": _whole(_url(True, True)), "iri-reference": _whole(_url(True, False)), "uri-template": _whole(_TEMPLATE),
    "uuid": _whole(re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    "json-pointer": _whole(re.compile(_POINTER)), "relative-json-pointer": _whole(re.compile(rf"(?:0|[1-9][0-9]*)(?:#|{_POINTER})")),
    "regex": _expression,
}  # fmt: skip

"""What the JSON and YAML formats share: typed access to keys with a finding for each thing wrong, durations, and open ends of a flow."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.findings import Finding
from flowledger.kernel.model.formats import build
from flowledger.kernel.model.formats.source import Value

_ISO_DURATION = re.compile(r"P(?=.)(?:\d+Y)?(?:\d+M)?(?:\d+W)?(?:\d+D)?(?:T(?=.)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?")
_SHORT_DURATION = re.compile(r"(\d+)\s*(ms|s|m|min|h|d|w)")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PARTS = re.compile(r"(\d+(?:\.\d+)?)([YMWDHS])")
_DATE_MS = {"Y": 31_557_600_000, "M": 2_629_800_000, "W": 604_800_000, "D": 86_400_000}
_TIME_MS = {"H": 3_600_000, "M": 60_000, "S": 1_000}


def iso_of_ms(ms: int) -> str:
    """Milliseconds as an ISO 8601 duration in the largest units that fit."""
    if ms == 0:
        return "PT0S"
    days, rest = divmod(ms, 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds = format((Decimal(rest) / 1000).normalize(), "f")
    date = f"{days}D" if days else ""
    time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "") + (f"{seconds}S" if rest else "")
    return "P" + date + (f"T{time}" if time else "")


def ms_of_iso(text: str) -> int:
    """Milliseconds of a checked ISO duration; years and months at their mean length (for comparing only)."""
    date, _, time = text[1:].partition("T")
    total = sum((Decimal(n) * _DATE_MS[u] for n, u in _PARTS.findall(date)), Decimal(0))
    return int(total + sum((Decimal(n) * _TIME_MS[u] for n, u in _PARTS.findall(time)), Decimal(0)))


class Open:
    """An end of the flow that still leads nowhere: from `source`, under `when`, as the default flow when `default`."""

    __slots__ = ("at", "default", "name", "source", "state", "when")

    def __init__(self, source: Any, when: str | None = None, default: bool = False, name: str = "", at: Any = None) -> None:
        self.source, self.when, self.default, self.name, self.at = source, when, default, name, at
        #: business state that is entered on this way (steps)
        self.state = ""


class Flows:
    """Leading open ends on."""

    def join(self, scope: build.Scope, opens: list[Open], target: Any) -> None:
        """Lead the open ends to `target`, through a merge when there are several."""
        if len(opens) > 1 and not str(target.tag).endswith(("}exclusiveGateway", "}eventBasedGateway")):
            merge = scope.node("exclusiveGateway", f"{target.get('id')}_merge")
            for o in opens:
                self.lead(scope, o, merge)
            scope.flow(merge, target)
            return
        for o in opens:
            self.lead(scope, o, target)

    @staticmethod
    def lead(scope: build.Scope, o: Open, target: Any) -> None:
        flow = scope.flow(o.source, target, o.when, o.name, o.at)
        if o.default:
            o.source.set("default", flow.get("id"))
        if o.state:
            build.extension(flow, "flowledger", "businessState", enter=o.state)


class Base(Flows):
    """One reading: the draft, the findings, and access to keys. `prefix` begins the codes of its findings."""

    def __init__(self, prefix: str, file: str) -> None:
        self.prefix, self.file = prefix, file
        self.findings: list[Finding] = []
        self.draft: build.Draft = build.Draft("model")

    # ------------------------------------------------------------------ findings

    def find(self, code: str, message: str, at: Any = None, *, hint: str = "", severity: str = "error", element: str | None = None) -> None:
        line, column = (at.line, at.column) if at is not None else (0, 0)
        self.findings.append(Finding(f"{self.prefix}_{code}", message, severity, element, line, column, hint, self.file))

    @property
    def failed(self) -> bool:
        return any(f.severity == "error" for f in self.findings)

    def known(self, value: Value, keys: Iterable[str], what: str, element: str | None = None) -> None:
        """A finding for each key that isn't one of `keys`."""
        keys = list(keys)
        for key, inner in value.items():
            if key in keys or key.startswith("x-"):
                continue
            close = difflib.get_close_matches(key, keys, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"allowed: {', '.join(sorted(keys))}; own keys start with 'x-'"
            line, column = value.keys.get(key, (inner.line, inner.column))
            self.find("KEY_UNKNOWN", f"unknown key '{key}' in {what}", build.Place(line, column), hint=hint, element=element)

    # ------------------------------------------------------------------ typed values

    def text(self, value: Value, key: str, default: str = "", required: bool = False, what: str = "") -> str:
        found = value.get(key)
        if found is None or found.data is None:
            if required:
                self.find("KEY_MISSING", f"{what or 'this'} needs '{key}'", value, hint=f'add "{key}": "..."')
            return default
        if isinstance(found.data, str):
            if required and not found.data.strip():
                self.find("VALUE_INVALID", f"expected a text as '{key}', found an empty one", found)
            return found.data
        if isinstance(found.data, (int, Decimal)) and not isinstance(found.data, bool):
            return str(found.data)
        self.find("TYPE_WRONG", f"expected a text as '{key}', found {found.kind()}", found)
        return default

    def flag(self, value: Value, key: str, default: bool = False) -> bool:
        found = value.get(key)
        if found is None or found.data is None:
            return default
        if isinstance(found.data, bool):
            return found.data
        self.find("TYPE_WRONG", f"expected true or false as '{key}', found {found.kind()}", found)
        return default

    def number(self, value: Value, key: str, low: int, high: int) -> int | None:
        found = value.get(key)
        if found is None or found.data is None:
            return None
        if isinstance(found.data, int) and not isinstance(found.data, bool) and low <= found.data <= high:
            return found.data
        self.find("VALUE_INVALID", f"expected a whole number from {low} to {high} as '{key}', found {found.kind()}", found)
        return None

    def sequence(self, value: Value, key: str, required: bool = False, what: str = "") -> list[Value]:
        found = value.get(key)
        if found is None or found.data is None:
            if required:
                self.find("KEY_MISSING", f"{what or 'this'} needs '{key}', a list", value)
            return []
        if isinstance(found.data, list):
            return found.data
        self.find("TYPE_WRONG", f"expected a list as '{key}', found {found.kind()}", found)
        return []

    def mapping(self, value: Value, key: str) -> Value | None:
        found = value.get(key)
        if found is None or found.data is None:
            return None
        if isinstance(found.data, dict):
            return found
        self.find("TYPE_WRONG", f"expected an object as '{key}', found {found.kind()}", found)
        return None

    def texts(self, value: Value, key: str) -> list[Value]:
        """A text or a list of texts."""
        found = value.get(key)
        if found is None or found.data is None:
            return []
        items = found.data if isinstance(found.data, list) else [found]
        good = []
        for item in items:
            if isinstance(item.data, str) and item.data:
                good.append(item)
            else:
                self.find("TYPE_WRONG", f"expected texts in '{key}', found {item.kind()}", item)
        return good

    def duration(self, value: Value, key: str) -> str:
        """ISO 8601, `90s`/`5m`/`2h`/`1d`, or a number of milliseconds; an expression (`=`) stays. `""` when absent or wrong."""
        found = value.get(key)
        return "" if found is None or found.data is None else self.as_duration(found, key)

    def as_duration(self, found: Value, what: str) -> str:
        data = found.data
        if isinstance(data, (int, Decimal)) and not isinstance(data, bool) and data >= 0:
            return iso_of_ms(int(data))
        if isinstance(data, str):
            text = data.strip()
            if text.startswith("="):
                return self.checked(text, found, what)
            if _ISO_DURATION.fullmatch(text):
                return text
            if m := _SHORT_DURATION.fullmatch(text):
                return iso_of_ms(int(m[1]) * _UNIT_MS[m[2]])
        self.find("DURATION_INVALID", f"expected a duration as '{what}', found {found.kind()}", found,
                  hint="PT5M, 5m, or a number of milliseconds")  # fmt: skip
        return ""

    def checked(self, text: str, at: Any, what: str) -> str:
        """The FEEL text as it is, with a finding when it can't be read."""
        source = text.strip()
        try:
            feel.compile(source[1:] if source.startswith("=") else source)
        except feel.FeelSyntaxError as e:
            self.find("EXPRESSION_INVALID", f"{what} '{source}': {e}", at, hint="write a FEEL expression (docs/feel.md)")
        return text

    def condition(self, value: Value, key: str) -> str | None:
        found = value.get(key)
        if found is None or found.data is None:
            return None
        if isinstance(found.data, bool):
            return "= true" if found.data else "= false"
        if isinstance(found.data, str) and found.data.strip():
            return build.condition_of(self.checked(found.data, found, f"condition '{key}'"))
        self.find("TYPE_WRONG", f"expected a FEEL condition as '{key}', found {found.kind()}", found, hint='"= amount > 1000"')
        return None

    def check_expressions(self, found: Value, what: str) -> None:
        """Every text that starts with `=`, at any depth."""
        if isinstance(found.data, str) and found.data.lstrip().startswith("="):
            self.checked(found.data, found, what)
        elif isinstance(found.data, dict):
            for key, inner in found.items():
                self.check_expressions(inner, f"{what}.{key}")
        elif isinstance(found.data, list):
            for inner in found.data:
                self.check_expressions(inner, what)

"""A trigger (`*.trigger.yaml`, or JSON) as a resource: which source it reads, what it lets pass, and what an item starts or sends.

format: flowledger/trigger@1
name: nightly
source: {schedule: {cron: 0 2 * * *, zone: Europe/Berlin}}
start: {process: report, variables: {day: =scheduled}}
"""

from __future__ import annotations

import hashlib
from typing import Any

from flowledger.kernel import feel, limits
from flowledger.kernel.expressions import Expression, expression, feel_expression
from flowledger.kernel.findings import Finding
from flowledger.kernel.model import trigger_webhook as webhook
from flowledger.kernel.model.formats.source import BadText, Value, parse_object
from flowledger.kernel.model.graph import Graph
from flowledger.kernel.model.trigger_sources import SOURCES, duration_us, problems

FORMAT = "flowledger/trigger"
NAME_MAX = 200
LIFETIME = "P7D"
#: action -> its fields; those in capitals are needed
ACTIONS: dict[str, tuple[str, ...]] = {
    "start": ("PROCESS", "version", "version_tag", "business_key", "variables", "priority"),
    "message": ("NAME", "correlation_key", "variables", "ttl"),
    "signal": ("NAME", "variables"),
}
_TOP = ("format", "name", "description", "source", "filter", "key", "key_lifetime", *ACTIONS)
_HINT = "docs/triggers.md shows each source and its fields"


class Trigger:
    """A trigger as it was read. `fields`: of its action, by name; `variables`: one expression for all, or one for each."""

    __slots__ = ("action", "config", "description", "fields", "filter", "key", "lifetime_us", "name", "source", "variables")

    def __init__(self, name: str) -> None:
        self.name, self.description = name, ""
        self.source, self.config = "", {}  # type: str, dict[str, Any]
        self.filter: Expression | None = None
        self.key: Expression | None = None
        self.lifetime_us = duration_us(LIFETIME)
        self.action = ""
        self.fields: dict[str, Expression] = {}
        self.variables: Expression | dict[str, Expression] | None = None


class _Reader:
    def __init__(self, file: str) -> None:
        self.file, self.found = file, []  # type: str, list[Finding]

    def error(self, code: str, message: str, at: Value | None = None, element: str | None = None) -> None:
        self.found.append(Finding(code, message, "error", element, at.line if at else 1, at.column if at else 1, _HINT, self.file))

    def trigger(self, root: Value) -> Trigger:
        name = root.get("name")
        text = name.data if name is not None else None
        if not isinstance(text, str) or not 0 < len(text) <= NAME_MAX or "/" in text:
            found = name.kind() if name is not None else "none"
            self.error("TRIGGER_NAME", f"expected a name of 1 to {NAME_MAX} characters without a slash, found {found}", name or root)
            text = ""
        t = Trigger(text)
        for key, value in root.items():
            if key not in _TOP and not key.startswith("x-"):
                self.error("TRIGGER_FIELD", f"expected one of {', '.join(_TOP)}, found '{key}'", value)
        if (described := root.get("description")) is not None and isinstance(described.data, str):
            t.description = described.data
        self._source(t, root)
        t.filter = self._expression(root.get("filter"), "filter", feel_only=True)
        t.key = self._expression(root.get("key"), "key", feel_only=True)
        if (lifetime := root.get("key_lifetime")) is not None:
            self._lifetime(t, lifetime)
        self._action(t, root)
        self._together(t, root)
        return t

    def _together(self, t: Trigger, root: Value) -> None:
        """What is wrong with its parts as a whole."""
        if t.source == "webhook" and not self.found and t.lifetime_us < (needed := webhook.replay_us(t.config)):
            text = f"key_lifetime: expected at least PT{needed // 1_000_000}S, for so long the same signature is good; found a shorter one"
            self.error("TRIGGER_FIELD", text, root.get("key_lifetime"))
        process = t.fields.get("process")
        if t.source != "events" or process is None or process.compiled is not None:
            return
        if process.static in (t.config.get("definitions") or ()):
            text = f"expected another process than '{process.static}', whose own events would start it again and again"
            self.error("TRIGGER_LOOP", text, (root.get("start") or root).get("process"))

    def _lifetime(self, t: Trigger, value: Value) -> None:
        try:
            t.lifetime_us = duration_us(value.data)
        except ValueError as e:
            self.error("TRIGGER_FIELD", f"key_lifetime: {e}", value)
        else:
            if not 1_000_000 <= t.lifetime_us <= limits.TRIGGER_KEY_DAYS_MAX * 86_400_000_000:
                self.error("TRIGGER_FIELD", f"key_lifetime: expected PT1S to P{limits.TRIGGER_KEY_DAYS_MAX}D, found {value.data}", value)

    def _source(self, t: Trigger, root: Value) -> None:
        value = root.get("source")
        kinds = [k for k, _ in value.items()] if value is not None else []
        if value is None or len(kinds) != 1 or kinds[0] not in SOURCES:
            found = ", ".join(kinds) or "none"
            self.error("TRIGGER_SOURCE", f"source: expected one of {', '.join(SOURCES)}, found {found}", value or root)
            return
        t.source = kinds[0]
        config = value.get(t.source)
        if config is None or not isinstance(config.data, dict):
            self.error(
                "TRIGGER_SOURCE", f"source {t.source}: expected an object, found {config.kind() if config else 'none'}", config or value
            )
            return
        t.config = config.plain()
        source = SOURCES[t.source]
        wrong = problems(source.fields, t.config)
        for name, what in wrong:
            at = config.get(name) or config
            shown = f", found {at.kind()}" if at is not config else ""
            self.error("TRIGGER_SOURCE", f"source {t.source}, {name}: expected {what}{shown}", at)
        if not wrong and (text := source.whole(t.config)):
            self.error("TRIGGER_SOURCE", f"source {t.source}: {text}", config)

    def _action(self, t: Trigger, root: Value) -> None:
        given = [a for a in ACTIONS if a in root]
        if len(given) != 1:
            self.error("TRIGGER_ACTION", f"expected one of {', '.join(ACTIONS)}, found {', '.join(given) or 'none'}", root)
            return
        t.action = given[0]
        value = root.get(t.action)
        if value is None or not isinstance(value.data, dict):
            self.error("TRIGGER_ACTION", f"{t.action}: expected an object, found {value.kind() if value else 'none'}", value or root)
            return
        known = {name.lower(): name.isupper() for name in ACTIONS[t.action]}
        for name, field in value.items():
            if name not in known:
                self.error("TRIGGER_ACTION", f"{t.action}: expected one of {', '.join(known)}, found '{name}'", field)
            elif name == "variables":
                t.variables = self._variables(field)
            elif (made := self._expression(field, f"{t.action}, {name}")) is not None:
                t.fields[name] = made
                self._fixed(t, name, made, field)
        for name in (n for n, needed in known.items() if needed and n not in value):
            self.error("TRIGGER_ACTION", f"{t.action}: expected {name}, found none", value)

    def _fixed(self, t: Trigger, name: str, made: Expression, at: Value) -> None:
        """A literal is checked here, an expression when it is evaluated."""
        if made.compiled is None and (wrong := field_problem(name, made.static)):
            self.error("TRIGGER_ACTION", f"{t.action}, {name}: expected {wrong}, found {at.kind()}", at)

    def _variables(self, value: Value) -> Expression | dict[str, Expression] | None:
        if isinstance(value.data, dict):
            made = {k: self._expression(v, f"variables, {k}") for k, v in value.items()}
            return {k: e for k, e in made.items() if e is not None}
        return self._expression(value, "variables", feel_only=True)

    def _expression(self, value: Value | None, what: str, feel_only: bool = False) -> Expression | None:
        if value is None:
            return None
        if not isinstance(value.data, str):
            if feel_only:
                self.error("TRIGGER_EXPRESSION", f"{what}: expected an expression in FEEL, found {value.kind()}", value)
                return None
            return Expression(str(value.data)[:100], static=value.plain())
        try:
            return feel_expression(value.data) if feel_only else expression(value.data)
        except feel.FeelSyntaxError as e:
            self.error("TRIGGER_EXPRESSION", f"{what}: {e}", value)
            return None


def field_problem(name: str, value: Any) -> str:
    """What was expected of a field of an action; `""`: it fits."""
    if name in ("process", "name"):
        return "" if isinstance(value, str) and 0 < len(value) <= limits.NAME_MAX else "a name"
    if name in ("version", "priority"):
        most = 100 if name == "priority" else 1 << 31
        return "" if not isinstance(value, bool) and isinstance(value, int) and 0 <= value <= most else f"a whole number from 0 to {most}"
    if name == "ttl":
        try:
            return "" if duration_us(value) // 1000 <= limits.TTL_MS_MAX else "a shorter duration"
        except ValueError:
            return "a duration such as PT1H"
    return "" if isinstance(value, str) and len(value) <= limits.NAME_MAX else f"a text of at most {limits.NAME_MAX} characters"


def read(data: bytes, name: str = "") -> tuple[Graph | None, list[Finding]]:
    """(graph whose name is the trigger's, findings); None when it is no trigger."""
    try:
        root = parse_object(data)
    except BadText as e:
        return None, [Finding("TRIGGER_UNREADABLE", e.message, line=e.line, column=e.column, file=name)]
    reader = _Reader(name)
    trigger = reader.trigger(root)
    graph = Graph("trigger", trigger.name)
    graph.hash = hashlib.sha256(data).hexdigest()
    graph.source = data
    graph.trigger = trigger
    return graph, reader.found

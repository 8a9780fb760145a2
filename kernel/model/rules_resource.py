"""A rule pack (`*.rules.yaml`, or JSON) as a resource: what must hold of models when they are deployed, of instances when they start, of tasks when
somebody does them or gets them.

format: flowledger/rules@1
name: four-eyes
rules:
  - id: approved-by-another
    on: task
    severity: refuse
    applies: {definitions: payment*, elements: approve*}
    holds: not(list contains(earlier, actor))
    message: who entered a payment can't approve it
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from flowledger.kernel import feel
from flowledger.kernel.expressions import Expression, feel_expression
from flowledger.kernel.findings import Finding
from flowledger.kernel.model.formats.source import BadText, Value, parse_object
from flowledger.kernel.model.graph import Graph

FORMAT: Final = "flowledger/rules"
#: on what a rule looks -> the moments at which it may
MODEL, INSTANCE, TASK = "model", "instance", "task"
MOMENTS: dict[str, tuple[str, ...]] = {MODEL: ("deploy",), INSTANCE: ("start",), TASK: ("complete", "assign", "skip")}
SEVERITIES: Final = ("info", "warn", "refuse")
#: what follows when the condition can't be evaluated
ALLOW, REFUSE = "allow", "refuse"
#: which verdicts are told
TELLS: Final = ("violations", "all")
#: how a rule is limited to what it is about -> what stands in its list: patterns with * and ?, or words
APPLIES: Final = ("definitions", "tags", "elements", "kinds")
NAME_MAX, TEXT_MAX, DESCRIPTION_MAX = 200, 500, 2_000
RULES_MAX, PATTERNS_MAX, EXPRESSION_MAX = 50, 50, 4_000
_NAME = re.compile(r"[^/\x00-\x1f\x7f]+")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]+")
_TOP = ("format", "name", "title", "description", "version_tag", "applies", "tell", "rules")
_RULE = ("id", "title", "on", "at", "severity", "applies", "when", "holds", "message", "on_error")
#: on what -> the names that its expressions see (`kernel/packs/contexts.py`)
SEES: dict[str, frozenset[str]] = {
    MODEL: frozenset(("process", "element", "retention")),
    INSTANCE: frozenset(("process", "actor", "business_key", "called", "variables")),
    TASK: frozenset(("process", "instance_key", "business_key", "task", "actor", "assignee", "at", "done_by", "earlier", "started_by", "variables", "result")),
}  # fmt: skip
_HINT = "docs/rules.md shows each field"


class Applies:
    """What a rule is about; an empty list: all."""

    __slots__ = (*APPLIES, "_definitions", "_elements")

    def __init__(self, **given: list[str]) -> None:
        self.definitions, self.tags, self.elements, self.kinds = (given.get(name) or [] for name in APPLIES)
        self._definitions, self._elements = _pattern(self.definitions), _pattern(self.elements)

    def process(self, id: str, tags: list[str]) -> bool:
        return self._definitions.fullmatch(id) is not None and (not self.tags or not set(self.tags).isdisjoint(tags))

    def element(self, id: str, kind: str) -> bool:
        return self._elements.fullmatch(id) is not None and (not self.kinds or kind in self.kinds)

    def told(self) -> dict[str, list[str]]:
        return {name: found for name in APPLIES if (found := getattr(self, name))}

    @property
    def narrow(self) -> bool:
        """It is about elements."""
        return bool(self.elements or self.kinds)


def _pattern(texts: list[str]) -> re.Pattern[str]:
    """That any of them fits; without any, all do."""
    each = [re.escape(text).replace(r"\*", ".*").replace(r"\?", ".") for text in texts]
    return re.compile("|".join(f"(?:{one})" for one in each) if each else ".*", re.S)


class Rule:
    """One rule. `when`: whether it is to be looked at, `holds`: what must be true."""

    __slots__ = ("applies", "at", "holds", "id", "message", "on", "on_error", "reads", "severity", "title", "when", "within")

    def __init__(self, id: str, on: str) -> None:
        self.id, self.on, self.title, self.message = id, on, "", ""
        self.at: tuple[str, ...] = MOMENTS[on][:1]
        self.severity, self.on_error = "warn", ALLOW
        #: of the rule, and of its whole pack
        self.applies, self.within = Applies(), Applies()
        self.when: Expression | None = None
        self.holds: Expression | None = None
        self.reads: frozenset[str] = frozenset()

    def about(self, process: str, tags: list[str]) -> bool:
        return self.within.process(process, tags) and self.applies.process(process, tags)

    def about_element(self, id: str, kind: str) -> bool:
        return self.within.element(id, kind) and self.applies.element(id, kind)


class Pack:
    """A rule pack as it was read. `tell_all`: verdicts of rules that hold are told, too."""

    __slots__ = ("description", "name", "rules", "tell_all", "title", "version_tag")

    def __init__(self, name: str) -> None:
        self.name, self.title, self.description, self.version_tag = name, "", "", ""
        self.tell_all = False
        self.rules: list[Rule] = []


class _Reader:
    def __init__(self, file: str) -> None:
        self.file, self.found = file, []  # type: str, list[Finding]

    def error(self, code: str, message: str, at: Value | None, element: str | None = None) -> None:
        self.found.append(Finding(code, message, "error", element, at.line if at else 1, at.column if at else 1, _HINT, self.file))

    def pack(self, root: Value) -> Pack:
        name = root.get("name")
        text = name.data if name is not None else None
        if not isinstance(text, str) or not len(text) <= NAME_MAX or not _NAME.fullmatch(text):
            found = name.kind() if name is not None else "none"
            self.error("RULES_NAME", f"expected a name of 1 to {NAME_MAX} characters without a slash, found {found}", name or root)
            text = ""
        p = Pack(text)
        self._known(root, _TOP, "")
        p.title = self._text(root, "title", "", TEXT_MAX)
        p.description = self._text(root, "description", "", DESCRIPTION_MAX, lines=True)
        p.version_tag = self._text(root, "version_tag", "", 100)
        p.tell_all = self._word(root, "tell", TELLS, "violations", "") == "all"
        within = self._applies(root, "")
        rules = root.get("rules")
        if rules is None or not isinstance(rules.data, list) or not 1 <= len(rules.data) <= RULES_MAX:
            found = "none" if rules is None else f"{len(rules.data)}" if isinstance(rules.data, list) else rules.kind()
            self.error("RULES_NONE", f"rules: expected a list of 1 to {RULES_MAX}, found {found}", rules or root)
            return p
        seen: set[str] = set()
        for n, value in enumerate(rules.data):
            rule = self._rule(value, n)
            if rule is not None:
                if rule.id in seen:
                    self.error("RULE_TWICE", f"rule '{rule.id}': expected an id of its own, found it twice", value, rule.id)
                seen.add(rule.id)
                rule.within = within
                p.rules.append(rule)
        return p

    def _rule(self, value: Value, n: int) -> Rule | None:
        where = f"rule {n + 1}"
        if not isinstance(value.data, dict):
            self.error("RULE_FIELD", f"{where}: expected an object, found {value.kind()}", value)
            return None
        id = value.get("id")
        if id is None or not isinstance(id.data, str) or not _ID.fullmatch(id.data):
            found = "none" if id is None else id.kind()
            self.error("RULE_FIELD", f"{where}: expected an id of letters, digits and ._-, 100 at most, found {found}", id or value)
            return None
        where = f"rule '{id.data}'"
        on = self._word(value, "on", tuple(MOMENTS), "", where)
        if on not in MOMENTS:
            return None
        rule = Rule(id.data, on)
        self._known(value, _RULE, where)
        rule.title = self._text(value, "title", where, TEXT_MAX) or rule.id
        rule.message = self._text(value, "message", where, TEXT_MAX) or rule.title
        rule.severity = self._word(value, "severity", SEVERITIES, "warn", where)
        rule.on_error = self._word(value, "on_error", (ALLOW, REFUSE), ALLOW, where)
        if rule.on_error == REFUSE and rule.severity != "refuse":
            self.error("RULE_FIELD", f"{where}, on_error: only a rule of severity refuse can refuse, found {rule.severity}", value, rule.id)
        rule.applies = self._applies(value, where)
        rule.at = self._moments(value, rule, where)
        rule.when = self._expression(value, "when", rule, where)
        rule.holds = self._expression(value, "holds", rule, where)
        if rule.holds is None and value.get("holds") is None:
            self.error("RULE_FIELD", f"{where}: expected holds, found none", value, rule.id)
        rule.reads = frozenset().union(*(e.reads for e in (rule.when, rule.holds) if e is not None))
        return rule

    def _moments(self, value: Value, rule: Rule, where: str) -> tuple[str, ...]:
        at, known = value.get("at"), MOMENTS[rule.on]
        if at is None:
            return known[:1]
        given = [v.data for v in at.data] if isinstance(at.data, list) else [at.data]
        if not given or any(not isinstance(word, str) or word not in known for word in given):
            self.error("RULE_FIELD", f"{where}, at: expected some of {', '.join(known)}, found {at.kind()}", at, rule.id)
            return known[:1]
        return tuple(dict.fromkeys(given))

    def _applies(self, value: Value, where: str) -> Applies:
        given = value.get("applies")
        prefix = f"{where}, applies" if where else "applies"
        if given is None:
            return Applies()
        if not isinstance(given.data, dict):
            self.error("RULE_FIELD", f"{prefix}: expected an object, found {given.kind()}", given)
            return Applies()
        self._known(given, APPLIES, prefix)
        found: dict[str, list[str]] = {}
        for name in APPLIES:
            if (one := given.get(name)) is None:
                continue
            texts = [v.data for v in one.data] if isinstance(one.data, list) else [one.data]
            if not 1 <= len(texts) <= PATTERNS_MAX or not all(isinstance(t, str) and 0 < len(t) <= NAME_MAX for t in texts):
                self.error("RULE_FIELD", f"{prefix}, {name}: expected 1 to {PATTERNS_MAX} texts, found {one.kind()}", one)
            else:
                found[name] = texts
        return Applies(**found)

    def _expression(self, value: Value, name: str, rule: Rule, where: str) -> Expression | None:
        given = value.get(name)
        if given is None:
            return None
        if not isinstance(given.data, str) or not 0 < len(given.data.strip()) <= EXPRESSION_MAX:
            text = f"{where}, {name}: expected FEEL of 1 to {EXPRESSION_MAX} characters, found {given.kind()}"
            self.error("RULE_EXPRESSION", text, given, rule.id)
            return None
        try:
            made = feel_expression(given.data)
        except feel.FeelSyntaxError as e:
            self.error("RULE_EXPRESSION", f"{where}, {name}: {e}", given, rule.id)
            return None
        # in a filter (`list[people]`) a name may be that of an item's entry, which nobody knows before
        strange = sorted(made.reads - SEES[rule.on]) if "[" not in given.data else []
        if strange:
            known = ", ".join(sorted(SEES[rule.on]))
            text = f"{where}, {name}: a rule on a {rule.on} sees {known}, found {', '.join(strange)}"
            self.error("RULE_EXPRESSION", text, given, rule.id)
        return made

    def _known(self, value: Value, known: tuple[str, ...], where: str) -> None:
        for key, at in value.items():
            if key not in known and not key.startswith("x-"):
                self.error("RULE_FIELD", f"{where}{': ' if where else ''}expected one of {', '.join(known)}, found '{key[:80]}'", at)

    def _text(self, value: Value, name: str, where: str, longest: int, lines: bool = False) -> str:
        given = value.get(name)
        if given is None:
            return ""
        text = given.data
        if not isinstance(text, str) or len(text) > longest or not (lines or _LINE.fullmatch(text)):
            what = "a text" if lines else "a line of text"
            prefix = f"{where}, {name}" if where else name
            self.error("RULE_FIELD", f"{prefix}: expected {what} of at most {longest} characters, found {given.kind()}", given)
            return ""
        return text

    def _word(self, value: Value, name: str, words: tuple[str, ...], default: str, where: str) -> str:
        given = value.get(name)
        if given is None and default:
            return default
        if given is None or given.data not in words:
            found = "none" if given is None else given.kind()
            prefix = f"{where}, {name}" if where else name
            self.error("RULE_FIELD", f"{prefix}: expected one of {', '.join(words)}, found {found}", given or value)
            return default
        return str(given.data)


def read(data: bytes, name: str = "") -> tuple[Graph | None, list[Finding]]:
    """(graph whose name is the pack's, findings); None when it is no rule pack."""
    try:
        root = parse_object(data)
    except BadText as e:
        return None, [Finding("RULES_UNREADABLE", e.message, line=e.line, column=e.column, file=name)]
    reader = _Reader(name)
    pack = reader.pack(root)
    graph = Graph("rules", pack.name)
    graph.hash = hashlib.sha256(data).hexdigest()
    graph.source = data
    graph.rules = pack
    return graph, reader.found

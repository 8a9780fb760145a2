"""A template as something that runs: called with the variables in scope, like compiled FEEL.

What JUEL refuses is a `Failure` EXTRACT_VALUE_ERROR, hence an incident: these engines raise, they do not go on with null.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flowledger.kernel.expressions import Failure
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.model.dialects.juel import coerce, methods
from flowledger.kernel.model.dialects.juel.parser import JuelError, Node, Template

#: names of the engine's own objects, and what may be asked of them
SCOPES = ("execution", "task")
#: what `execution` tells of its instance (a member, or a method `getMember()`); what it tells of a step isn't known where an expression runs
TOLD: dict[str, Callable[[Any], Any]] = {
    "processInstanceId": lambda i: str(i.key),
    "processBusinessKey": lambda i: i.business_key or None,
    "businessKey": lambda i: i.business_key or None,
    "processInstanceBusinessKey": lambda i: i.business_key or None,
    "processDefinitionId": lambda i: str(i.definition),
    "tenantId": lambda i: i.tenant or None,
}
#: characters of a text that a template makes
TEXT_MAX = 1_000_000
Run = Callable[[Mapping[str, Any], Any], Any]


class Compiled:
    """`compiled(variables, facts)`; `reads` are the variables that it asks for."""

    __slots__ = ("_run", "reads", "text")

    def __init__(self, text: str, run: Run, reads: frozenset[str]) -> None:
        self.text, self._run, self.reads = text, run, reads

    def __call__(
        self, variables: Mapping[str, Any], facts: Any = None, warnings: list[Any] | None = None, runtime: Runtime | None = None
    ) -> Any:
        """Raises: Failure EXTRACT_VALUE_ERROR."""
        try:
            value = self._run(variables, facts)
        except coerce.Wrong as e:
            told = runtime.warnings if warnings is None and runtime is not None else warnings
            if told is not None:
                told.append(e)  # type: ignore[arg-type]
                return None
            raise Failure("EXTRACT_VALUE_ERROR", f"'{self.text}': {e}") from None
        return value.isoformat() if isinstance(value, datetime.datetime) else value


def compile_template(text: str, template: Template) -> Compiled:
    """Raises: JuelError: a method, function or object that isn't known."""
    reads = frozenset(name for part in template if isinstance(part, Node) for name in _names(part))
    if len(template) == 1 and isinstance(template[0], Node):
        return Compiled(text, _compile(template[0]), reads)
    runs: list[str | Run] = [part if isinstance(part, str) else _compile(part) for part in template]

    def joined(variables: Mapping[str, Any], facts: Any) -> str:
        made = "".join(part if isinstance(part, str) else coerce.to_text(part(variables, facts)) for part in runs)
        if len(made) > TEXT_MAX:
            raise coerce.Wrong(f"expected a text of at most {TEXT_MAX} characters, found {len(made)}")
        return made

    return Compiled(text, joined, reads)


def variable_asked(node: Node) -> str | None:
    """The variable that `execution.getVariable("x")` and the like ask for, when its name is written there."""
    if (
        node.kind == "call"
        and node.value in ("getVariable", "getVariableLocal", "hasVariable", "hasVariableLocal")
        and len(node.parts) == 2
    ):
        on, name = node.parts
        if on.kind == "name" and on.value in SCOPES and name.kind == "literal" and isinstance(name.value, str):
            return name.value
    return None


def told(node: Node) -> str | None:
    """The member of `TOLD` that a node asks for: `execution.businessKey`, `execution.getBusinessKey()`."""
    if node.kind not in ("property", "call") or len(node.parts) != 1 or node.parts[0].kind != "name" or node.parts[0].value != "execution":
        return None
    name = str(node.value)
    if node.kind == "call":
        name = name[3:4].lower() + name[4:] if name.startswith("get") else ""
    return name if name in TOLD else None


def _names(node: Node) -> Iterator[str]:
    asked = variable_asked(node)
    if told(node) is not None:
        return
    if asked is not None:
        yield asked
    elif node.kind == "name":
        yield node.value
    else:
        for part in node.parts:
            yield from _names(part)


def _compile(node: Node) -> Run:
    return _COMPILERS[node.kind](node)


def _literal(node: Node) -> Run:
    value = node.value
    return lambda variables, facts: value


def _name(node: Node) -> Run:
    name = node.value
    if name in SCOPES:
        more = f", and of its instance {', '.join(sorted(TOLD))}" if name == "execution" else ""
        raise JuelError(f"the object '{name}' offers getVariable and hasVariable only{more}", 0)

    def run(variables: Mapping[str, Any], facts: Any) -> Any:
        try:
            return variables[name]
        except KeyError:
            raise coerce.Wrong(f"there is no variable '{name}'") from None

    return run


def _told(name: str) -> Run:
    of = TOLD[name]

    def run(variables: Mapping[str, Any], facts: Any) -> Any:
        if (instance := getattr(facts, "about", None)) is None:
            raise coerce.Wrong(f"there is no instance here to tell its {name}")
        return of(instance)

    return run


def _property(node: Node) -> Run:
    if (member := told(node)) is not None:
        return _told(member)
    on, name = node.parts[0], node.value
    base = _compile(on)
    return lambda variables, facts: _part(base(variables, facts), name)


def _index(node: Node) -> Run:
    base, key = (_compile(p) for p in node.parts)
    return lambda variables, facts: _part(base(variables, facts), key(variables, facts))


def _part(base: Any, key: Any) -> Any:
    """1.6: of null everything is null; a list counts from 0 and has null outside; a map has null for what it lacks. Raises: Wrong."""
    if base is None or key is None:
        return None
    if isinstance(base, dict):
        return base.get(coerce.to_text(key))
    if isinstance(base, list):
        at = int(coerce.to_number(key))
        return base[at] if 0 <= at < len(base) else None
    raise coerce.Wrong(f"expected a map or a list to take '{coerce.to_text(key)}' of, found {coerce.said(base)}")


def _call(node: Node) -> Run:
    if (member := told(node)) is not None:
        return _told(member)
    asked = variable_asked(node)
    if asked is not None:
        name = asked
        if node.value.startswith("has"):
            return lambda variables, facts: name in variables
        return lambda variables, facts: variables.get(name)
    on, *arguments = node.parts
    method = node.value
    if (method, len(arguments)) not in methods.KNOWN:
        raise JuelError(f"the method '{method}' with {len(arguments)} arguments is not known", 0)
    base, runs = _compile(on), [_compile(a) for a in arguments]
    return lambda variables, facts: methods.call(base(variables, facts), method, [r(variables, facts) for r in runs])


def _function(node: Node) -> Run:
    if node.value in ("now", "dateTime") and len(node.parts) == 1:
        return _now
    raise JuelError(f"the function '{node.value}' is not known", 0)


def _now(variables: Mapping[str, Any], facts: Any) -> datetime.datetime:
    now_us = getattr(facts, "now_us", None)
    if not isinstance(now_us, int):
        raise coerce.Wrong("there is no time here")
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=now_us)


def _unary(node: Node) -> Run:
    operand = _compile(node.parts[0])
    if node.value == "!":
        return lambda variables, facts: not coerce.to_boolean(operand(variables, facts))
    if node.value == "empty":
        return lambda variables, facts: coerce.is_empty(operand(variables, facts))
    return lambda variables, facts: -coerce.to_number(operand(variables, facts))


def _binary(node: Node) -> Run:
    op = node.value
    left, right = (_compile(p) for p in node.parts)
    if op == "&&":
        return lambda v, f: coerce.to_boolean(left(v, f)) and coerce.to_boolean(right(v, f))
    if op == "||":
        return lambda v, f: coerce.to_boolean(left(v, f)) or coerce.to_boolean(right(v, f))
    if op == "==":
        return lambda v, f: coerce.equal(left(v, f), right(v, f))
    if op == "!=":
        return lambda v, f: not coerce.equal(left(v, f), right(v, f))
    if op in ("<", ">", "<=", ">="):
        return lambda v, f: coerce.ordered(op, left(v, f), right(v, f))
    return lambda v, f: coerce.arithmetic(op, left(v, f), right(v, f))


def _choice(node: Node) -> Run:
    condition, yes, no = (_compile(p) for p in node.parts)
    return lambda v, f: yes(v, f) if coerce.to_boolean(condition(v, f)) else no(v, f)


_COMPILERS: dict[str, Callable[[Node], Run]] = {
    "literal": _literal, "name": _name, "property": _property, "index": _index, "call": _call, "function": _function,
    "unary": _unary, "binary": _binary, "choice": _choice,
}  # fmt: skip

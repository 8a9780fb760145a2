"""What a modification asks for, made into exact keys before anything is done: which tokens go, and where new ones come (docs/control.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.control import ModifyInstance
from flowledger.kernel.elements import placing
from flowledger.kernel.model.graph import Node, Process
from flowledger.kernel.state import Instance, Token
from flowledger.kernel.values import shown

#: instructions of one command
INSTRUCTIONS_MAX = 1_000
_WORDS = {
    "activate": frozenset({"activate", "scope", "variables", "scopes"}), "cancel": frozenset({"cancel"}),
    "move": frozenset({"move", "scope", "variables", "scopes"}),
}  # fmt: skip


class Wrong(Exception):
    """An instruction that can't be followed, in words for its caller."""


class Placing(NamedTuple):
    """A token before `element`. `scope`: from which on scopes are opened (a token, or the instance; 0: by what runs `within`); `body`: a further run
    of this loop; `variables`: by scope, `""` the instance."""

    element: str
    scope: int
    variables: dict[str, dict[str, Any]]
    within: int = 0
    body: bool = False


class Resolved(NamedTuple):
    activate: list[Placing]
    terminate: list[int]


def resolve(i: Instance, process: Process, e: ModifyInstance) -> Resolved | Rejected:
    """All instructions in the order given. Nothing is changed."""
    made = _Resolver(i, process)
    at = 0
    try:
        if (number := len(e.instructions or ())) > INSTRUCTIONS_MAX:
            raise Wrong(f"expected at most {INSTRUCTIONS_MAX} instructions, found {number}")
        for instruction in e.instructions or ():
            at += 1
            made.take(instruction)
        at = 0
        for wish in e.activate or ():
            made.wish(wish)
        for key in e.terminate or ():
            if key not in i.tokens:
                raise Wrong(f"expected a token of instance {i.key}, found {key}")
            made.terminate.append(key)
        made.check()
    except Wrong as wrong:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"instruction {at}: {wrong}" if at else str(wrong))
    return Resolved(made.placings, list(dict.fromkeys(made.terminate)))


class _Resolver:
    def __init__(self, i: Instance, process: Process) -> None:
        self.i, self.process = i, process
        self.placings: list[Placing] = []
        self.terminate: list[int] = []
        #: sub-processes that earlier instructions open
        self.opened: set[str] = set()

    def wish(self, wish: dict[str, Any]) -> None:
        element, variables = wish.get("element", ""), wish.get("variables") or {}
        if not isinstance(element, str) or not isinstance(variables, dict) or not all(isinstance(v, dict) for v in variables.values()):
            raise Wrong('expected {"element": an id, "ancestor": a key, "variables": {scope: {name: value}}}')
        self.activate(element, self.key(wish.get("ancestor") or 0), variables)

    def take(self, instruction: dict[str, Any]) -> None:
        kinds = [k for k in _WORDS if k in instruction]
        if len(kinds) != 1:
            raise Wrong(f"expected one of activate, cancel, move, found {', '.join(kinds) or 'none'}")
        if unknown := sorted(instruction.keys() - _WORDS[kinds[0]]):
            raise Wrong(f"expected {', '.join(sorted(_WORDS[kinds[0]]))}, found {', '.join(unknown)}")
        if kinds[0] == "cancel":
            self.terminate += [t.key for t in self.tokens(instruction["cancel"])]
            return
        scope = self.key(instruction.get("scope") or 0)
        own, scopes = _variables(instruction, "variables"), _variables(instruction, "scopes")
        if not all(isinstance(v, dict) for v in scopes.values()):
            raise Wrong("expected `scopes` as {scope: {name: value}}")
        if kinds[0] == "activate":
            element = str(instruction["activate"])
            self.activate(element, scope, {**scopes, **({element: own} if own else {})})
            return
        move = instruction["move"]
        if not isinstance(move, dict) or move.keys() != {"from", "to"}:
            raise Wrong('expected {"from": a token\'s key or an element, "to": an element}')
        for token in self.tokens(move["from"]):
            self.move(token, str(move["to"]), scope, own, scopes)
            self.terminate.append(token.key)

    def key(self, value: Any) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise Wrong(f"expected a key, found {shown(value)}")

    def tokens(self, named: Any) -> list[Token]:
        """One by its key; by an element's id all that stand there, of a loop its body."""
        i = self.i
        if isinstance(named, str) and not (named.isascii() and named.isdigit()):
            if named not in self.process.nodes:
                raise Wrong(f"expected an element of '{self.process.id}' or a token's key, found '{named}'; {self._stands()}")
            at = {t.key: t for t in i.tokens.values() if t.element == named}
            if not at:
                raise Wrong(f"no token stands at '{named}'; {self._stands()}")
            return [t for t in at.values() if not any(s in at for s in placing.scopes_of(i, t.key))]
        token = i.tokens.get(self.key(named))
        if token is None:
            raise Wrong(f"expected a token of instance {i.key}, found {named}")
        return [token]

    def _stands(self) -> str:
        places = sorted({t.element for t in self.i.tokens.values()})
        return f"it stands at {', '.join(places[: placing.CHOICES_MAX])}{' ...' if len(places) > placing.CHOICES_MAX else ''}"

    def node(self, element: str) -> Node:
        if wrong := placing.problem(self.process, element):
            raise Wrong(wrong)
        return self.process.nodes[element]

    def activate(self, element: str, ancestor: int, variables: dict[str, dict[str, Any]], within: int = 0) -> None:
        node = self.node(element)
        if wrong := placing.unknown_scope(node, variables):
            raise Wrong(wrong)
        body = self.i.tokens.get(ancestor)
        if body is not None and placing.is_body(body, node):
            if wrong := placing.no_further_run(self.i, body, node, variables.get(element) or {}):
                raise Wrong(wrong)
            self.placings.append(Placing(element, ancestor, variables, body=True))
            return
        found = placing.scope_of(self.i, node, ancestor, self.opened, within)
        if isinstance(found, str):
            raise Wrong(found)
        if not ancestor:
            self.opened |= placing.to_open(self.i, node)
        self.placings.append(Placing(element, ancestor, variables, within))

    def move(self, token: Token, to: str, scope: int, own: dict[str, Any], scopes: dict[str, Any]) -> None:
        """Into the innermost scope of the token that is around the target, unless the caller names one."""
        node = self.node(to)
        body = self.i.tokens.get(token.scope)
        if not scope and body is not None and placing.is_body(body, node):  # its run again: with its own item
            scope = body.key
            name = node.loop.element if node.loop is not None else ""
            own = {**({name: token.vars[name]} if name and token.vars and name in token.vars else {}), **own}
        within = 0 if scope else next((s for s in placing.scopes_of(self.i, token.key) if placing.is_run_around(self.i, s, node)), 0)
        self.activate(to, scope, {**scopes, **({to: own} if own else {})}, within)

    def check(self) -> None:
        """Nothing is put into what is withdrawn."""
        gone = set(self.terminate)
        for each in self.placings:
            scope = each.scope or self._found(each)
            if lost := next((s for s in (scope, *placing.scopes_of(self.i, scope)) if s in gone), 0):
                outer = self.i.tokens[lost]
                raise Wrong(
                    f"'{outer.element}' ({lost}) is to be withdrawn and '{each.element}' to be activated in it: for a new one "
                    f"give the scope above it, {outer.scope}"
                )

    def _found(self, p: Placing) -> int:
        found = placing.scope_of(self.i, self.process.nodes[p.element], 0, within=p.within)
        return found if isinstance(found, int) else 0


def _variables(instruction: dict[str, Any], name: str) -> dict[str, Any]:
    found = instruction.get(name) or {}
    if not isinstance(found, dict):
        raise Wrong(f"expected `{name}` as an object, found {shown(found)}")
    return found


def said(resolved: Resolved, e: ModifyInstance, skipped: Iterable[str]) -> dict[str, Any]:
    """What stands in the event: as it was asked for, and as it was understood."""
    found: dict[str, Any] = {
        "activate": [
            {"element": p.element, "ancestor": p.scope or p.within, "variables": p.variables, **({"run": True} if p.body else {})}
            for p in resolved.activate
        ],
        "terminate": resolved.terminate,
    }
    if e.instructions:
        found["asked"] = e.instructions
    if e.force:
        found["forced"] = True
    if names := list(skipped):
        found["without_inputs"] = names
    return found

"""Deadlock and lack of synchronisation, by reducing the graph of a scope.

Nodes that pass one token on are merged with their neighbours, as are gateways of the same kind that follow each other directly; when two ways from one
split then lead to the same join, their kinds must fit: an exclusive split gives one token, so a parallel join waits for ever; a parallel split
gives several, so an exclusive join lets all pass. Each merge takes a node away and moves the smaller set of flows, so it is about linear. What is left
unreduced (unstructured parts) is not spoken of: these are warnings, and silence is no proof.
Source: BPMN 2.0.2, 13.4 and table 13.1 to 13.3; Sadiq and Orlowska, "Analyzing process models using graph reduction techniques" (2000).
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.checks.common import declare, say, scopes
from flowledger.kernel.model.checks.paths import begins, followers
from flowledger.kernel.model.graph import Node, Process

declare(
    {
        "DEADLOCK": ("warning", "A parallel join waits for several ways out of an exclusive split, of which only one gets a token", "13.4.1, 13.4.2",
                     "join with an exclusive or inclusive gateway, or split with a parallel one"),
        "DEADLOCK_INCLUSIVE": ("warning", "A parallel join waits for ways out of an inclusive split, of which not all need get a token", "13.4.1, 13.4.3",
                               "join with an inclusive gateway"),
        "DEADLOCK_IN_LOOP": ("warning", "A parallel join waits for a token that must first pass it", "13.4.1", "join the way back with an exclusive gateway"),
        "NOT_SYNCHRONISED": ("warning", "Ways out of a parallel split meet without a parallel join: what follows runs once for each", "13.4.1, 13.4.2",
                             "join with a parallel gateway"),
        "NOT_SYNCHRONISED_INCLUSIVE": ("warning", "Ways out of an inclusive split meet without an inclusive join: what follows may run several times",
                                       "13.4.2, 13.4.3", "join with an inclusive gateway"),
        "TOKENS_MULTIPLY": ("warning", "A parallel split leads back before itself: each round makes more tokens", "13.4.1", "join the ways before going back"),
    }
)  # fmt: skip

_ONE, _ALL, _SOME, _UNKNOWN = "exclusive", "parallel", "inclusive", "unknown"
_GATEWAYS = {
    "exclusiveGateway": _ONE,
    "eventBasedGateway": _ONE,
    "parallelGateway": _ALL,
    "inclusiveGateway": _SOME,
    "complexGateway": _UNKNOWN,
}
_MISFITS = {
    (_ONE, _ALL): "DEADLOCK",
    (_SOME, _ALL): "DEADLOCK_INCLUSIVE",
    (_ALL, _ONE): "NOT_SYNCHRONISED",
    (_SOME, _ONE): "NOT_SYNCHRONISED_INCLUSIVE",
}


def check(r: Any, process: Process) -> None:
    for scope in scopes(process):
        if scope.kind != "adHocSubProcess" and any(_splits(n) != _ONE or _joins(n) != _ONE for n in scope.children):
            _Reduction(r, scope).run()


def _splits(node: Node) -> str:
    if node.kind in _GATEWAYS:
        all_events = node.kind == "eventBasedGateway" and node.config["type"] == "Parallel"
        return _ALL if all_events else _GATEWAYS[node.kind]
    if any(not b.interrupting for b in node.attached) or (node.extra is not None and node.extra.completion_quantity > 1):
        return _UNKNOWN
    if len(node.outgoing) > 1:
        return _ALL if all(f.condition is None for f in node.outgoing) else _SOME
    return _ONE


def _joins(node: Node) -> str:
    if node.kind in ("parallelGateway", "inclusiveGateway", "complexGateway"):
        return _GATEWAYS[node.kind]
    return _UNKNOWN if node.extra is not None and node.extra.start_quantity > 1 else _ONE


class _Reduction:
    """Vertices are numbers. `kind` says how a vertex splits or joins: no vertex that isn't exclusive does both."""

    def __init__(self, r: Any, scope: Node) -> None:
        self.r = r
        self.scope = scope
        self.next: list[dict[int, None]] = []
        self.before: list[dict[int, None]] = []
        self.kind: list[str] = []
        #: the gateway that is meant when it splits, and when it joins
        self.split: list[Node] = []
        self.join: list[Node] = []
        #: more ways in than there are edges (the start), or out (an end)
        self.more_in: list[int] = []
        self.more_out: list[int] = []
        #: consists of end events only: several tokens may end there
        self.ends: list[bool] = []
        self.gone: list[bool] = []
        self.told: set[tuple[str, str, str]] = set()
        self.work: list[int] = []

    def vertex(self, node: Node, kind: str) -> int:
        self.next.append({})
        self.before.append({})
        self.kind.append(kind)
        self.split.append(node)
        self.join.append(node)
        self.more_in.append(0)
        self.more_out.append(0)
        self.ends.append(False)
        self.gone.append(False)
        return len(self.kind) - 1

    def run(self) -> None:
        self._build()
        self.work = list(range(len(self.kind) - 1, -1, -1))
        while self.work:
            v = self.work.pop()
            if not self.gone[v]:
                self._reduce(v)

    # --- building

    def _build(self) -> None:
        scope = self.scope
        came: dict[Node, int] = {}
        goes: dict[Node, int] = {}
        nodes = [n for n in scope.children if not n.triggered_by_event and not n.for_compensation]
        for node in nodes:
            kind_in, kind_out = _joins(node), _splits(node)
            came[node] = goes[node] = self.vertex(node, kind_in if len(node.incoming) > 1 else kind_out)
            ways = followers(node)
            if len(node.incoming) > 1 and len(ways) > 1 and (kind_in != _ONE or kind_out != _ONE):
                goes[node] = self.vertex(node, kind_out)
                self._edge(came[node], goes[node])
            if not ways:
                self.more_out[goes[node]] = 1
                self.ends[goes[node]] = node.kind == "endEvent"
        first = begins(scope)
        if len(first) > 1:
            all_start = scope.kind != "process" or not scope.starts
            root = self.vertex(first[0], _ALL if all_start else _ONE)
            self.more_in[root] = 1
            for node in first:
                if node in came:
                    self._edge(root, came[node])
        elif first:
            self.more_in[came[first[0]]] += 1 if first[0] in came else 0
        for node in nodes:
            flows = node.outgoing
            start = goes[node]
            interrupting = [b for b in node.attached if b.interrupting and b in came]
            if interrupting and len(flows) > 1 and self.kind[start] in (_ALL, _SOME):
                # either the normal ways, by their own kind, or one of the boundary's
                inner = self.vertex(node, self.kind[start])
                self.kind[start] = _ONE
                self._edge(start, inner)
                start = inner
            for target in followers(node):
                if target in came:
                    self._edge(goes[node] if target.host is node else start, came[target])

    # --- edges

    def _edge(self, u: int, v: int) -> None:
        """A second edge between the same two is where kinds must fit."""
        if u == v:
            return  # an exclusive vertex that goes back to itself
        if v in self.next[u]:
            code = _MISFITS.get((self.kind[u], self.kind[v]))
            if code is not None and not (self.kind[v] == _ONE and self.ends[v]):
                self._tell(code, u, v)
        self.next[u][v] = None
        self.before[v][u] = None

    def _cut(self, u: int, v: int) -> None:
        del self.next[u][v]
        del self.before[v][u]

    def _tell(self, code: str, u: int, v: int) -> None:
        split, join = self.split[u], self.join[v]
        if (code, split.id, join.id) in self.told:
            return
        self.told.add((code, split.id, join.id))
        say(self.r, code, join, f"ways from the {self.kind[u]} split at '{split.id}' meet in the {self.kind[v]} join at '{join.id}'")

    # --- reducing

    def _reduce(self, v: int) -> None:
        came = len(self.before[v]) + self.more_in[v]
        goes = len(self.next[v]) + self.more_out[v]
        if came <= 1 and goes <= 1 and self.kind[v] != _ONE:
            self.kind[v] = _ONE
            self.work.extend((*self.before[v], *self.next[v], v))
            return
        if self.kind[v] == _ONE:
            if came == 1 and goes == 1 and self.before[v] and self.next[v]:
                self._skip(v)
                return
            for w in self.next[v]:
                if self.kind[w] == _ONE and (goes == 1 or len(self.before[w]) + self.more_in[w] == 1):
                    self._merge(v, w)
                    return
            for u in self.before[v]:
                if self.kind[u] == _ONE and (came == 1 or len(self.next[u]) + self.more_out[u] == 1):
                    self._merge(u, v)
                    return
        elif self.kind[v] == _ALL:
            self._parallel(v, came, goes)

    def _parallel(self, v: int, came: int, goes: int) -> None:
        for w in self.next[v]:
            if self.kind[w] == _ALL:
                alone = len(self.before[w]) + self.more_in[w] == 1
                w_goes = len(self.next[w]) + self.more_out[w]
                if (came <= 1 and alone and w_goes > 1) or (came > 1 and goes == 1 and not alone and w_goes <= 1):
                    self._merge(v, w)
                    return
        for w in list(self.next[v]):
            if self.kind[w] != _ONE or v not in self.next[w]:
                continue
            if came > 1 and goes == 1 and len(self.before[w]) + self.more_in[w] == 1:
                self._loop("DEADLOCK_IN_LOOP", w, v, self.join[v])
                return
            if came <= 1 and goes > 1 and len(self.next[w]) + self.more_out[w] == 1:
                self._loop("TOKENS_MULTIPLY", v, w, self.split[v])
                return

    def _loop(self, code: str, u: int, v: int, at: Node) -> None:
        if (code, at.id, "") not in self.told:
            self.told.add((code, at.id, ""))
            say(self.r, code, at, f"the way from '{self.split[u].id}' leads back to '{self.join[v].id}'")
        self._cut(u, v)
        self.work.extend((u, v))

    def _skip(self, v: int) -> None:
        """A vertex with one way in and one out is taken away."""
        u, w = next(iter(self.before[v])), next(iter(self.next[v]))
        self._cut(u, v)
        self._cut(v, w)
        self.gone[v] = True
        if u == w and self.kind[u] == _ALL:
            self._loop_through(u)
        self._edge(u, w)
        self.work.extend((u, w))

    def _loop_through(self, v: int) -> None:
        if len(self.before[v]) + self.more_in[v] >= 1 and self.more_out[v] + len(self.next[v]) >= 1:
            code = "DEADLOCK_IN_LOOP" if len(self.next[v]) + self.more_out[v] == 1 else "TOKENS_MULTIPLY"
            at = self.join[v]
            if (code, at.id, "") not in self.told:
                self.told.add((code, at.id, ""))
                say(self.r, code, at, f"a way out of '{at.id}' leads back to it")

    def _merge(self, u: int, v: int) -> None:
        """u -> v become one: the one with fewer edges goes."""
        split = self.split[u] if len(self.next[u]) + self.more_out[u] > 1 else self.split[v]
        join = self.join[v] if len(self.before[v]) + self.more_in[v] > 1 else self.join[u]
        ends = self.ends[v] and len(self.before[u]) + self.more_in[u] <= 1 and len(self.next[u]) + self.more_out[u] == 1
        self._cut(u, v)
        stays, goes = (u, v) if len(self.next[u]) + len(self.before[u]) >= len(self.next[v]) + len(self.before[v]) else (v, u)
        after, before = list(self.next[goes]), list(self.before[goes])
        for w in after:
            self._cut(goes, w)
        for w in before:
            self._cut(w, goes)
        self.gone[goes] = True
        self.split[stays], self.join[stays], self.ends[stays] = split, join, ends
        self.more_in[stays] += self.more_in[goes]
        self.more_out[stays] += self.more_out[goes]
        for w in after:
            self._edge(stays, w)
        for w in before:
            self._edge(w, stays)
        self.work.extend((*after, *before, stays))

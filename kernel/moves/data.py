"""Values on their way between variables and data: what the associations of a model (`kernel/model/data.py`) carry when a token enters or leaves."""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.kernel import protection
from flowledger.kernel.feel.values import to_json
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.model.data import STORE, VARIABLE, Association, DataSet, End
from flowledger.kernel.model.graph import Node


def value_of(d: Any, i: Any, end: End, variables: dict[str, Any]) -> Any:
    if end.kind == STORE:
        found = d.state.records.get(("data_store", f"{i.tenant}/{end.name}"))
        return protection.opened_value(d, found["value"]) if found else None
    return variables.get(end.name)


def _chosen(sets: list[DataSet], has: Any) -> DataSet:
    return next((s for s in sets if all(has(s, name) for name in s.needed)), sets[0])


def _carry(d: Any, i: Any, a: Association, variables: dict[str, Any]) -> list[tuple[str, Any]]:
    """(target path, value) of one association."""
    found: list[tuple[str, Any]] = []
    values = {s.name: value_of(d, i, s, variables) for s in a.sources}
    if a.target is not None:
        if a.transformation is not None:
            found.append((a.target.name, to_json(a.transformation({**variables, **values}, d.facts))))
        elif a.sources and not a.assignments and (value := values[a.sources[0].name]) is not None:
            found.append((a.target.name, value))
    for expression, path in a.assignments:
        found.append((path, to_json(expression({**variables, **values}, d.facts))))
    return found


def _put(results: dict[str, Any], path: str, value: Any, before: Any) -> None:
    head, *rest = path.split(".")
    if not rest:
        results[head] = value
        return
    top = results.get(head, before)
    holder = results[head] = dict(top) if isinstance(top, dict) else {}
    for name in rest[:-1]:
        inner = holder.get(name)
        holder[name] = dict(inner) if isinstance(inner, dict) else {}
        holder = holder[name]
    holder[rest[-1]] = value


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    """Data inputs become local variables."""
    variables = d.variables(i, token.key)

    def has(s: DataSet, name: str) -> bool:
        return any(
            a.target is not None and a.target.name == name and any(v is not None for _, v in _carry(d, i, a, variables))
            for a in s.associations
        )

    results: dict[str, Any] = {}
    for a in _chosen(node.extra.data_in, has).associations:  # type: ignore[union-attr]
        for path, value in _carry(d, i, a, variables):
            if a.sources and a.sources[0].kind == VARIABLE and a.sources[0].name == path and a.transformation is None:
                continue  # seen under this very name anyway
            _put(results, path, value, variables.get(path.split(".")[0]))
    if results:
        d.set_variables(i, token.key, _following(d, i, token, results, _chosen(node.extra.data_in, has)), local=True)  # type: ignore[union-attr]


def leave(d: Any, i: Any, token: Any, node: Node) -> None:
    """Data outputs go to data objects and stores."""
    variables = d.variables(i, token.key)
    chosen = _chosen(node.extra.data_out, lambda s, name: variables.get(name) is not None)  # type: ignore[union-attr]
    results: dict[str, Any] = {}
    for a in chosen.associations:
        for path, value in _carry(d, i, a, variables):
            if a.target is not None and a.target.kind == STORE:
                write(d, i, a.target.name, value)
            elif not (a.sources and a.sources[0].name == path and a.transformation is None and path in i.vars and i.vars[path] == value):
                _put(results, path, value, variables.get(path.split(".")[0]))
    if results:
        d.set_variables(i, token.scope, _following(d, i, token, results, chosen))


def _following(d: Any, i: Any, token: Any, results: dict[str, Any], carried: DataSet) -> dict[str, Any]:
    """As protected as what the associations read."""
    reads = {s.name for a in carried.associations for s in a.sources}
    for a in carried.associations:
        for expression in (a.transformation, *(e for e, _ in a.assignments)):
            reads |= getattr(expression, "reads", frozenset())
    return d.following(i, token.key, reads, results)  # type: ignore[no-any-return]


def write(d: Any, i: Any, store: str, value: Any) -> None:
    d.record(fl.DataWritten(key=i.key, store=store, value=value))
    meta = d.state.meta
    for to in range(meta.partitions):
        if to != meta.partition:
            d.send(to, c.StoreRecord(registry="data_store", name=f"{i.tenant}/{store}", value={"value": value}, relayed=True))
    if d.state.by_start.get((d.envelope.tenant, "conditional", "")):
        stores = {name.split("/", 1)[1]: v["value"] for (registry, name), v in d.state.records.items() if registry == "data_store"}
        HOOKS.conditional.start_by(d, stores, {store})

"""Context functions (DMN 1.5, 10.3.4.10)."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.feel.builtins.registry import builtin
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.values import kind


@builtin("get value", "m: context, key: string")
def get_value(r: Runtime, m: dict[str, Any], key: str) -> Any:
    """The value of an entry, null if there is none."""
    return m.get(key)


@builtin("get entries", "m: context", work=10)
def get_entries(r: Runtime, m: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries as a list of contexts with `key` and `value`."""
    r.room(len(m))
    return [{"key": k, "value": v} for k, v in m.items()]


@builtin("context", "entries: list")
def context(r: Runtime, entries: list[Any]) -> dict[str, Any]:
    """The context with these entries, each a context with `key` and `value`."""
    out: dict[str, Any] = {}
    r.room(len(entries))
    for entry in entries:
        if type(entry) is not dict or type(entry.get("key")) is not str or "value" not in entry:
            raise ValueError("an entry needs a key, which is a string, and a value")
        if entry["key"] in out:
            raise ValueError(f"the key {entry['key']!r} is there twice")
        out[entry["key"]] = entry["value"]
    return out


@builtin("context put", "context: context, key: string, value: any", work=10)
def context_put(r: Runtime, m: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The context with another entry; a list of keys leads to an entry further inside."""
    r.room(len(m))
    return {**m, key: value}


@builtin("context put", "context: context, keys: pure list, value: any", work=10)
def context_put_nested(r: Runtime, m: dict[str, Any], keys: list[Any], value: Any) -> dict[str, Any]:
    if not keys or not all(type(k) is str for k in keys):
        raise ValueError("the keys must be a list of one string or more")
    if len(keys) > 100:
        raise ValueError("too many keys")
    if len(keys) == 1:
        return context_put(r, m, keys[0], value)
    inner = m.get(keys[0])
    if type(inner) is not dict:
        raise ValueError(f"the entry {keys[0]!r} is a {kind(inner)}")
    return context_put(r, m, keys[0], context_put_nested(r, inner, keys[1:], value))


@builtin("context merge", "contexts: list")
def context_merge(r: Runtime, contexts: list[Any]) -> dict[str, Any]:
    """One context with all entries; later ones win."""
    out: dict[str, Any] = {}
    for m in contexts:
        if type(m) is not dict:
            raise ValueError(f"a {kind(m)} among the contexts")
        r.room(len(m))
        out.update(m)
    return out

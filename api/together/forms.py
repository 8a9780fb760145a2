"""A form (JSON) as a flat table of values, and back, for `flat.py`: a field of the form is an element, each of its properties an entry.

An entry `%path` is a value as JSON, at a path of properties; an object in a list (a component, an option) is an element of its own that says in which list
it stands (`[`). Its key is its id, else what names it there, else its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

Fields = dict[str, dict[str, Any]]
#: key and name of the form itself
ROOT, ITEM = "form", "item"
_NAMING = ("key", "value", "name")
#: properties that a reader looks for first
_FIRST = ("type", "id", "key", "label", "text")
#: objects and lists within each other; more is no form
DEPTH_MAX = 100
_MISSING = object()


class NoForm(ValueError):
    """Not a form."""


def is_form(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n").startswith("{")


def read(text: str) -> Fields:
    """Raises: NoForm."""
    try:
        tree = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as e:
        raise NoForm(f"a form as JSON was expected: {str(e)[:200]}") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("components"), list):
        raise NoForm("a form with a list of `components` was expected")
    found: Fields = {}
    _element(tree, found, {"<": ROOT, "^": "", "#": 0}, ROOT, 0)
    return found


def _element(tree: Mapping[str, Any], found: Fields, of: dict[str, Any], base: str, depth: int) -> None:
    key, n = base, 1
    while key in found:
        n += 1
        key = f"{base}~{n}"
    found[key] = of
    lists: list[tuple[str, list[dict[str, Any]]]] = []
    _properties(tree, "", of, lists, depth)
    for path, items in lists:
        for i, item in enumerate(items):
            told = next((item[name] for name in _NAMING if isinstance(item.get(name), str) and item[name]), "")
            id = item.get("id")
            below = id if isinstance(id, str) and id else f"{key}/{path}" + (f"={told[:100]}" if told else "")
            _element(item, found, {"<": ITEM, "^": key, "#": i, "[": path}, below, depth + 1)


def _properties(tree: Mapping[str, Any], above: str, of: dict[str, Any], lists: list[tuple[str, list[dict[str, Any]]]], depth: int) -> None:
    if depth + above.count("/") > DEPTH_MAX:
        raise NoForm(f"at most {DEPTH_MAX} objects within each other were expected")
    for name, value in tree.items():
        path = above + name.replace("~", "~0").replace("/", "~1").replace("|", "~2")
        if isinstance(value, dict) and value:
            _properties(value, path + "/", of, lists, depth)
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            lists.append((path, value))
        else:
            of[f"%{path}"] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def write(all: Fields, root: str, children: Mapping[str, Iterable[str]]) -> str:
    """The form of a table that has one."""

    def tree(key: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        of = all[key]
        for name in sorted(n for n in of if n[0] == "%"):
            try:
                value = json.loads(of[name])
            except (ValueError, RecursionError):
                continue  # anybody may have written into the table
            _put(made, name[1:], value)
        lists: dict[str, list[Any]] = {}
        for below in children.get(key, ()) if depth < DEPTH_MAX else ():
            lists.setdefault(str(all[below].get("[", "components")), []).append(tree(below, depth + 1))
        for path in sorted(lists):
            _put(made, path, lists[path])
        if key == root:
            made.setdefault("components", [])
        return _ordered(made)

    return json.dumps(tree(root, 0), ensure_ascii=False, indent=2) + "\n"


def _put(made: dict[str, Any], path: str, value: Any) -> None:
    *above, last = (part.replace("~2", "|").replace("~1", "/").replace("~0", "~") for part in path.split("/"))
    for name in above:
        below = made.get(name, _MISSING)
        if not isinstance(below, dict):
            below = made[name] = {}
        made = below
    if not (isinstance(made.get(last), dict) and value == {}):
        made[last] = value


def _ordered(made: dict[str, Any]) -> dict[str, Any]:
    order = sorted(made, key=lambda n: (_FIRST.index(n) if n in _FIRST else len(_FIRST), n == "components", n))
    return {name: _ordered(made[name]) if isinstance(made[name], dict) else made[name] for name in order}

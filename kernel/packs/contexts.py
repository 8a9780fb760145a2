"""What rules see, as FEEL values. The same words stand in docs/rules.md; who reads rows builds the same of them (`api/rules.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowledger.kernel.model.graph import Node, Process, Work
from flowledger.kernel.tasks import duties

#: tags of one definition that are looked at
TAGS_MAX = 100


def tags(metadata: Any, process: Process | None) -> list[str]:
    """Of a deployment's metadata (`tags`, a list or a text with commas), and of the model itself (property `tags`)."""
    given = metadata.get("tags") if isinstance(metadata, dict) else None
    own = process.properties.get("tags", "") if process is not None else ""
    found: list[str] = []
    for one in (given, own):
        texts = one.split(",") if isinstance(one, str) else one if isinstance(one, list) else ()
        found += [t.strip() for t in texts if isinstance(t, str) and t.strip()]
    return list(dict.fromkeys(found))[:TAGS_MAX]


def process(id: str, name: str, version: int, version_tag: str, of_tags: list[str]) -> dict[str, Any]:
    return {"id": id, "name": name, "version": version, "version_tag": version_tag, "tags": of_tags}


def model(found: Process, of_tags: list[str]) -> dict[str, Any]:
    """A process as rules on models see it."""
    names = (found.protect or {}).get("names") or {}
    return {
        "id": found.id, "name": found.name, "version_tag": found.version_tag, "tags": of_tags, "documentation": found.documentation,
        "elements": [_element(node) for node in found.nodes.values()],
        "protects": [{"name": name, "class": cls} for name, cls in names.items()], "classes": sorted(set(names.values())),
        "subject": (found.protect or {}).get("subject") or None,
    }  # fmt: skip


def _element(node: Node) -> dict[str, Any]:
    work = node.config if isinstance(node.config, Work) else None
    details = (work.details or {}) if work is not None else {}
    settings = details.get("settings") if isinstance(details.get("settings"), dict) else {}
    named: Any = (work.dynamic or {}) if work is not None else {}
    return {
        "id": node.id, "name": node.name, "kind": node.kind, "documentation": node.documentation, "lanes": list(node.lanes),
        "people": node.kind == "userTask", "job_type": str(work.job_type.static or "") if work is not None and work.job_type is not None else "",
        "not_by": duties.elements(details), "form": "form" in details,
        "assignee": _said(details, named, "assignee"), "candidate_groups": _said(details, named, "candidate_groups"),
        "settings": {k: v for k, v in (settings or {}).items() if isinstance(v, str)}, "properties": {k: v for k, v in node.properties.items() if isinstance(v, str)},
        "called": _called(node),
    }  # fmt: skip


def _said(details: Mapping[str, Any], named: Mapping[str, Any], name: str) -> Any:
    """As the model has it: a text that may be an expression; null where it says nothing."""
    if (expression := named.get(name)) is not None:
        return str(getattr(expression, "text", expression))
    value = details.get(name)
    return value if isinstance(value, str | list) and value else None


def _called(node: Node) -> str:
    """Of a call activity: the process that it names in plain words."""
    config = node.config
    expression = config.get("process") if isinstance(config, dict) else None
    return str(getattr(expression, "static", "") or "")


def bare(name: str) -> str:
    return name.removeprefix("user:")


def done_by(stores: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Element -> who did it so far, as the instance has noted it; `""`: who started the instance."""
    size = len(duties.NOTED)
    return {key[size:]: list(names) for key, names in (stores or {}).items() if key.startswith(duties.NOTED)}


def earlier(done: Mapping[str, Iterable[str]], element: str) -> list[str]:
    """Who did anything else of the instance, its start included."""
    return list(dict.fromkeys(name for other, names in done.items() if other != element for name in names))


def retention(table: Mapping[str, Any], tenant: str) -> list[dict[str, str]]:
    """Rules of retention of a tenant. `table`: the registry."""
    return [
        {"name": name.rpartition("/")[2], "definition": rule["definition"], "class": rule["class"], "after": rule["after"]}
        for name, rule in sorted(table.items())
        if name.rpartition("/")[0] == tenant
    ]

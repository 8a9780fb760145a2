"""Filters of lists that people keep and share: what may stand in registry `saved_view`, under an id, a tenant's own as `tenant/id`. No decision reads them."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.tasks.shapes import are_texts, is_text, unknown
from flowledger.kernel.values import shown

REGISTRY = "saved_view"
PAGES = ("instances", "tasks", "incidents")
SHARED = ("no", "groups", "all")
#: characters of a name, of a filter's name or value; filters of a view; values of a filter; groups that it is shared with
NAME_MAX, TEXT_MAX, FILTERS_MAX, VALUES_MAX, GROUPS_MAX = 200, 2_000, 50, 50, 50
_KNOWN = ("name", "page", "query", "owner", "shared", "groups")


def problems(_: str, value: dict[str, Any]) -> list[str]:
    """What is wrong with a view."""
    out = unknown(value, _KNOWN, "view")
    if not is_text(value.get("name"), NAME_MAX, 1):
        out.append(f"name: expected a text of 1 to {NAME_MAX} characters")
    if value.get("page") not in PAGES:
        out.append(f"page: expected one of {', '.join(PAGES)}, found {shown(value.get('page'))}")
    if not is_text(value.get("owner"), NAME_MAX):
        out.append(f"owner: expected a text of at most {NAME_MAX} characters")
    if value.get("shared") not in SHARED:
        out.append(f"shared: expected one of {', '.join(SHARED)}, found {shown(value.get('shared'))}")
    if not are_texts(value.get("groups"), GROUPS_MAX, NAME_MAX):
        out.append(f"groups: expected a list of at most {GROUPS_MAX} names")
    query = value.get("query")
    if not isinstance(query, dict) or len(query) > FILTERS_MAX:
        out.append(f"query: expected an object of at most {FILTERS_MAX} filters")
    elif not all(is_text(k, TEXT_MAX, 1) and (is_text(v, TEXT_MAX) or are_texts(v, VALUES_MAX, TEXT_MAX)) for k, v in query.items()):
        out.append(f"query: expected texts, or lists of at most {VALUES_MAX} texts, each of at most {TEXT_MAX} characters")
    return out

"""Which tasks of a model a connector serves, and which secrets they name."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.connectors.catalogue import name_of
from flowledger.kernel.markup import BadXml
from flowledger.kernel.model import formats
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.connectors import secrets_of, type_of
from flowledger.kernel.model.drawn import as_bpmn


class Use(msgspec.Struct, kw_only=True):
    """`secrets`: names that the task refers to, never what is behind them. `definition`: a key; `version`: the newest of its id."""

    definition: str
    process: str
    version: int
    element: str
    name: str
    job_type: str
    secrets: list[str]


def uses(data: bytes, file: str, connector: str) -> list[dict[str, Any]]:
    """In a model of any format. What can't be read has none."""
    source = data if formats.detect(data, file) == "bpmn" else as_bpmn(data, file)[0]
    try:
        tree = None if source is None else x.parse(source)
    except BadXml:
        return []
    found = []
    for element in () if tree is None else tree.iter():
        if not isinstance(element.tag, str) or not element.get("id"):
            continue
        if (job_type := type_of(element)) and name_of(job_type) == connector:
            about = {"element": element.get("id"), "name": element.get("name") or element.get("id"), "job_type": job_type}
            found.append(about | {"secrets": secrets_of(element), "process": _process(element)})
    return found


def _process(element: Any) -> str:
    while element is not None and element.tag != f"{x.B}process":
        element = element.getparent()
    return "" if element is None else element.get("id", "")

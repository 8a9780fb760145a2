"""Helpers: a text in any format as BPMN, and played on the kernel, live and with a crash after every step."""

from __future__ import annotations

from typing import Any

from lxml import etree
from scenario import Scenario, play

from flowledger.kernel import model
from flowledger.kernel.model import formats, layout


def xml(text: str | bytes, name: str = "") -> str:
    """The BPMN with a diagram. Fails with the findings when there is none."""
    data = text.encode() if isinstance(text, str) else text
    done = formats.convert(formats.detect(data, name), data, name)
    assert done.tree is not None, "\n".join(f"{f.line}:{f.column} {f.code} {f.message}" for f in done.findings)
    return etree.tostring(layout.add(done.tree)).decode()


def codes(text: str | bytes, name: str = "", severities: tuple[str, ...] = ("error", "warning")) -> list[str]:
    """`CODE line` of what is found in a text, in order of the lines."""
    data = text.encode() if isinstance(text, str) else text
    _, findings = model.read(data, name)
    return [f"{f.code} {f.line}" for f in sorted(findings, key=lambda f: (f.line, f.column)) if f.severity in severities]


def run(text: str, moves: str, id: str = "p", **variables: Any) -> Scenario:
    return play(xml(text), moves, id, **variables)

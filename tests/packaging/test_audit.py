"""Reports of known holes are read as they are: a report that isn't one is never taken for none found."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
try:
    _spec = importlib.util.spec_from_file_location("audit_tool", TOOLS / "audit.py")
    assert _spec is not None and _spec.loader is not None
    audit = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(audit)
finally:
    sys.path.remove(str(TOOLS))

PIP = {
    "dependencies": [
        {"name": "fine", "version": "1.0", "vulns": []},
        {"name": "jinja2", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1", "3.0"], "aliases": []}]},
    ]
}
NPM = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "above": {"name": "above", "severity": "high", "via": ["below"], "range": "*"},
        "below": {
            "name": "below",
            "severity": "high",
            "via": [{"source": 1, "title": "Prototype pollution", "url": "https://a.example/1", "severity": "high", "range": "<2.0.0"}],
            "range": "<2.0.0",
        },
    },
}


@pytest.mark.parametrize(
    ("read", "report", "holes"),
    [
        (audit.by_pip, PIP, ["jinja2 2.0: PYSEC-1, mended in 2.1, 3.0"]),
        (audit.by_pip, {"dependencies": []}, []),
        (audit.by_npm, NPM, ["below <2.0.0: Prototype pollution (high), https://a.example/1"]),
        (audit.by_npm, {"auditReportVersion": 2, "vulnerabilities": {}}, []),
    ],
)
def test_holes_are_named(read: Callable[[str], list[str]], report: Any, holes: list[str]) -> None:
    assert read(json.dumps(report)) == holes


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (audit.by_pip, ""),
        (audit.by_pip, json.dumps({"dependencies": [{"name": "odd", "skip_reason": "not found"}]})),
        (audit.by_npm, ""),
        (audit.by_npm, json.dumps({"message": "405 Method Not Allowed", "statusCode": 405, "error": {}})),
    ],
)
def test_what_is_no_report_finds_nothing_out(read: Callable[[str], list[str]], text: str) -> None:
    with pytest.raises(ValueError):
        read(text)


@pytest.mark.parametrize(
    ("python", "console", "args", "code"),
    [
        ([], [], [], 0), (["a hole"], [], [], 1), ([], ["a hole"], [], 1), (["a hole"], None, ["--if-reachable"], 1), (None, [], [], 3), ([], None, [], 3),
        (None, None, ["--if-reachable"], 0),
    ],
)  # fmt: skip
def test_what_it_ends_with(python: Any, console: Any, args: list[str], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "python", lambda: python)
    monkeypatch.setattr(audit, "console", lambda: console)
    monkeypatch.setattr(sys, "argv", ["audit.py", *args])
    assert audit.main() == code

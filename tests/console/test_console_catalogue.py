"""Every status and every type of event that exists has its words, its look and a listener in the browser. Made from the catalogue and the API's document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.api.evidence import CONFLICTS
from flowledger.events import wire
from flowledger.events.base import PRIORITIES
from flowledger.kernel.handlers.moves import MOVES
from flowledger.projections import words

WEB = Path(__file__).resolve().parents[2] / "web" / "src"
OPENAPI = json.loads((WEB.parents[1] / "schemas" / "openapi.json").read_text())


def texts(*names: str) -> dict[str, str]:
    return {
        k: v
        for n in names
        for k, v in re.findall(r'^  "((?:[^"\\]|\\.)+)": "((?:[^"\\]|\\.)*)",$', (WEB / "i18n" / f"{n}.ts").read_text(), re.MULTILINE)
    }


LANGUAGES = {"en": texts("en", "en-events"), "de": texts("de", "de-events")}


def statuses() -> set[str]:
    """What the API's filters name as status, and what rows may say."""

    def enums(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (word for word in node.get("enum") or () if word)
            for each in node.values():
                yield from enums(each)
        elif isinstance(node, list):
            for each in node:
                yield from enums(each)

    asked = (p for path in OPENAPI["paths"].values() for o in path.values() for p in o.get("parameters", ()) if p["name"] == "status")
    found = {word for p in asked for word in enums(p["schema"])}
    return found | words.TASK_STATUSES | words.RESULT_STATUSES | words.DEFINITION_STATUSES


def test_the_words_are_read() -> None:
    assert len(LANGUAGES["en"]) > 300 and LANGUAGES["en"]["status.running"] == "running"
    assert {"running", "quarantined", "in_progress", "deprecated", "open", "timeout"} <= statuses()


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_status_has_a_word(language: str) -> None:
    assert sorted(s for s in statuses() if f"status.{s}" not in LANGUAGES[language]) == []


def test_each_status_has_a_look() -> None:
    looks = (WEB / "shared" / "Status.tsx").read_text()
    assert sorted(s for s in statuses() if not re.search(rf"^  {s}: \{{ color", looks, re.MULTILINE)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_event_has_a_word(language: str) -> None:
    known = {k.removeprefix("event.") for k in LANGUAGES[language] if k.startswith("event.")}
    assert known == set(wire.CURRENT)


def test_the_browser_listens_to_each_event() -> None:
    assert json.loads((WEB / "api" / "event-types.json").read_text()) == [*sorted(wire.CURRENT), "subscribed"], "make schemas"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_kind_of_work_and_each_priority_has_a_word(language: str) -> None:
    known = LANGUAGES[language]
    assert [t for t in sorted(words.TASK_TYPES) if f"kind.{t}" not in known] == []
    assert [p for p in sorted(PRIORITIES) if f"priority.{p}" not in known] == []


def test_moves_of_the_console_are_those_of_the_kernel() -> None:
    """It offers a move in no status that the kernel's table refuses."""
    source = (WEB / "pages" / "tasks" / "Moves.tsx").read_text()
    sets: dict[str, set[str]] = {}
    for name, text in re.findall(r"const (OPEN|BUSY|ALL) = (.*);", source):
        sets[name] = (
            sets["OPEN"] - {"created"}
            if "slice" in text
            else set(re.findall(r'"(\w+)"', text)) | (sets["OPEN"] if "...OPEN" in text else set())
        )
    rows = re.findall(r'\{ move: "(\w+)", from: (.*?)(?:, to:|, danger:| \})', source)
    assert len(rows) >= 10
    for move, text in rows:
        offered = sets[text] if text in sets else set(re.findall(r'"(\w+)"', text)) | (sets["OPEN"] if "...OPEN" in text else set())
        assert offered <= MOVES[move][1], move


@pytest.mark.parametrize("language", ["en", "de"])
def test_each_conflict_of_rights_says_why(language: str) -> None:
    words = texts(f"{language}-audit")
    assert {k for k in words if k.startswith("duties.why.")} == {f"duties.why.{one} {other}" for one, other, _ in CONFLICTS}
    if language == "en":
        assert all(words[f"duties.why.{one} {other}"] == why for one, other, why in CONFLICTS)


def test_only_what_can_wait_for_a_place_of_the_log_is_asked_to():
    found = re.search(r"^const rows = /(.+)/;$", (WEB / "api" / "client.ts").read_text(), re.MULTILINE)
    assert found is not None
    rows = re.compile(found[1].replace("\\/", "/"))
    for path, operations in OPENAPI["paths"].items():
        if "get" in operations and path.startswith("/v1/"):
            can = any(p.get("name") == "wait_for" for p in operations["get"].get("parameters", ()))
            assert bool(rows.match(path.removeprefix("/v1"))) is can, path

"""What connectors say of themselves, and the fields of their element templates, have their German texts; a new one without them fails here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from flowledger.connectors.catalogue import CONFIGS
from flowledger.connectors.templates import template

from .test_console_catalogue import WEB

FOLDER = WEB / "i18n" / "connectors"
#: `"text": "Text",` or `Text: "Text",`; texts with quotes of their own stand in others
ROW = re.compile(r"""^  (?:("(?:[^"\\]|\\.)*")|'([^']*)'|(\w+)): (?:("(?:[^"\\]|\\.)*")|'([^']*)'),$""", re.M)


def german() -> dict[str, str]:
    found = {}
    for file in sorted(FOLDER.glob("de-*.ts")):
        for quoted, other, word, said, said_other in ROW.findall(file.read_text()):
            text = json.loads(quoted) if quoted else other or word
            assert text not in found, f"{text!r} stands twice"
            found[text] = json.loads(said) if said else said_other
    return found


GERMAN = german()
SAME = set(json.loads("[" + re.search(r"SAME = \[(.*?),\s*\]", (FOLDER / "de.ts").read_text(), re.S)[1] + "]"))  # type: ignore[index]


def said(name: str) -> Iterator[str]:
    """What people read of a connector: values that go to the service are not among it."""
    found: dict[str, Any] = template(name)
    rows = [found, *found["groups"], *found["properties"]]
    rows += [choice for row in found["properties"] for choice in row.get("choices", ()) if choice["name"] != choice["value"]]
    for row in rows:
        yield from (row[key] for key in ("name", "label", "description") if row.get(key))


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_each_text_of_a_connector_is_said_in_german(name: str) -> None:
    known = GERMAN.keys() | SAME
    assert [text for text in said(name) if text not in known] == []


def test_no_text_is_of_what_is_gone() -> None:
    all_of_them = {text for name in CONFIGS for text in said(name)}
    assert len(GERMAN) > 400, "the files are read"
    assert sorted((GERMAN.keys() | SAME) - all_of_them) == []
    assert sorted(GERMAN.keys() & SAME) == []


@pytest.mark.parametrize("text", sorted(GERMAN))
def test_what_one_writes_stays_as_it_is(text: str) -> None:
    """References, FEEL in braces, names in code: whoever reads German types the same."""
    code = re.compile(r"\{\{[^}]*\}\}|\{[^}]*\}|`[^`]*`|\$\w+|application/[\w-]+|text/plain|\b[a-z]+(?:[A-Z]\w+)+")
    assert sorted(code.findall(GERMAN[text])) == sorted(code.findall(text))

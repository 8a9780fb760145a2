"""Each code that `validate` knows of BPMN has a German text, made from the checks' own tables; and no text is of a code that is gone."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import pytest

from flowledger.kernel.model.checks.common import CODES

from .conftest import ROOT
from .test_console_catalogue import WEB, texts


def said_by_readers() -> dict[str, Any]:
    """Codes of what is found beside the checks, read from the calls by what writes the page of them."""
    spec = importlib.util.spec_from_file_location("validation_page", ROOT / "tools" / "validation_page.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    found: dict[str, Any] = tool.said_by_readers()
    return found


GERMAN = texts(*(f"findings/{f.stem}" for f in (WEB / "i18n" / "findings").glob("de-*.ts")))
#: what is the same in each language: markup, attributes, names in camel case, codes
MARKUP = re.compile(r'<[^>]*>|[\w:]+="[^"]*"|\b[a-z]+(?:[A-Z]\w*)+|##\w+')


def test_each_code_has_a_text() -> None:
    known = {*CODES, *said_by_readers()}
    assert len(known) > 280, "the tables are read"
    assert sorted(known - set(GERMAN)) == []
    assert sorted({key.removesuffix(".hint") for key in GERMAN} - known) == []


def test_each_hint_in_words_is_said_in_german() -> None:
    words = {code for code, row in CODES.items() if re.search(r"[A-Za-z]{2,}", MARKUP.sub("", row.hint))}
    assert len(words) > 150
    assert sorted(code for code in words if f"{code}.hint" not in GERMAN) == []


@pytest.mark.parametrize("code", sorted(CODES))
def test_what_is_markup_stays(code: str) -> None:
    """Names of the standard are the same in both: whoever reads German finds the attribute."""
    tags = re.compile(r"</?[\w:]+|\b[a-z]+(?:[A-Z]\w+)+")
    assert set(tags.findall(CODES[code].hint)) <= set(tags.findall(GERMAN.get(f"{code}.hint", CODES[code].hint)))

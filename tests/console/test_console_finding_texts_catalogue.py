"""What the server says has its German text, and no text is of what is gone: findings by their code, refusals by their sentence, settings by their name."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import pytest

from flowledger.infra.settings import Settings
from flowledger.kernel.model.checks.common import CODES

from .conftest import ROOT
from .said_by_server import codes_of_problems, found_elsewhere, refusals
from .test_console_catalogue import LANGUAGES, WEB, texts


def said_by_readers() -> dict[str, Any]:
    """Codes of what is found beside the checks, read from the calls by what writes the page of them."""
    spec = importlib.util.spec_from_file_location("validation_page", ROOT / "tools" / "validation_page.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    found: dict[str, Any] = tool.said_by_readers()
    return found


HINTS = texts("findings/de-hints")
GERMAN = texts(*(f"findings/{f.stem}" for f in (WEB / "i18n" / "findings").glob("de-*.ts") if f.stem != "de-hints"))
#: what is the same in each language: markup, attributes, names in camel case, codes
MARKUP = re.compile(r'<[^>]*>|[\w:]+="[^"]*"|\b[a-z]+(?:[A-Z]\w*)+|##\w+')


def test_each_code_has_a_text() -> None:
    known = {*CODES, *said_by_readers(), *found_elsewhere()[0]}
    assert len(known) > 380, "the tables are read"
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


def test_each_hint_outside_of_bpmn_is_said_in_german() -> None:
    hints = found_elsewhere()[1]
    assert "one of …" in hints
    said = {key.replace('\\"', '"') for key in HINTS}
    markup = {h for h in hints if h.startswith(("{", '"')) or h in ("timeout: 15m", "output")}
    assert sorted(hints - markup - said) == []
    assert sorted(said - hints) == [
        "give each a namespace of its own, or name the file of the one that is meant as the import's locationURI"
    ], "by a variable"


def test_each_code_of_a_problem_has_a_title() -> None:
    assert {"NOT_FOUND", "CSRF", "BODY_TOO_LARGE", "APPROVAL_NEEDED"} <= codes_of_problems()
    for language in LANGUAGES:
        said = texts(*(f.stem for f in (WEB / "i18n").glob(f"{language}*.ts")))
        assert sorted(c for c in codes_of_problems() if f"problem.{c}" not in said) == [], language
        known = {key.removeprefix("problem.") for key in said if key.startswith("problem.")}
        assert known - codes_of_problems() == {"NETWORK", "NOT_JSON", "STEP_UP_CANCELLED", "STEP_UP_FAILED"}, "what the browser says itself"


def test_each_sentence_of_a_refusal_has_a_german_one() -> None:
    german = texts(*(f"refusals/{f.stem}" for f in (WEB / "i18n" / "refusals").glob("de-*.ts")))
    said = {key.replace('\\"', '"') for key in german}
    assert len(refusals()) > 350
    assert sorted(refusals() - said) == []
    assert sorted(said - refusals(everywhere=True)) == []


def test_each_setting_is_described_in_german() -> None:
    said = texts("settings/de")
    assert sorted(set(Settings.model_fields) ^ set(said)) == []
    for name, field in Settings.model_fields.items():
        quoted = set(re.findall(r"`[^`]+`", field.description or ""))
        assert quoted <= set(re.findall(r"`[^`]+`", said[name])), f"{name}: what is typed is the same in both"

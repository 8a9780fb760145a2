"""docs/testing.md names every word there is, and no other."""

import re
from pathlib import Path

from flowledger.sdk.testing import InstanceAssert, JobAssert, data

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text()


def public(cls: type) -> set[str]:
    return {n for n in vars(cls) if not n.startswith("_")}


def test_every_assertion_stands_on_the_page():
    named = set(re.findall(r"\b(?:has|is|was)_\w+", PAGE))
    assert named == public(InstanceAssert) | public(JobAssert)


def test_every_verb_option_and_expectation_stands_on_the_page():
    section = PAGE.split("## Tests as data")[1]
    words = set(re.findall(r"\w+", section))
    known = {
        *data._VERBS,
        *data._EXPECT,
        *data._EXPECT_ENGINE,
        *data._ANY_STEP,
        *(o for _, options in data._VERBS.values() for o in options),
    }
    assert known <= words

"""What everybody may do with it is said where people and tools look for it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.req("APG-POS-014", "APG-POS-026", "WSM-POS-001")
def test_the_licence_is_an_open_one_and_permits_use_for_nothing() -> None:
    text = " ".join((ROOT / "LICENSE").read_text().split())
    assert text.startswith("Apache License Version 2.0, January 2004")
    for granted in (
        "a perpetual, worldwide, non-exclusive, no-charge, royalty-free, irrevocable copyright license to reproduce, prepare Derivative Works of",
        "patent license to make, have made, use, offer to sell, sell, import, and otherwise transfer the Work",
    ):
        assert granted in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0" and project["license-files"] == ["LICENSE"]
    assert "Apache" in (ROOT / "README.md").read_text()

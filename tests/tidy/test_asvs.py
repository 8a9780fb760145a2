"""docs/asvs.md: each line of level 1 and 2 of the standard is there once with a verdict, and each test that it names is one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: section -> last number in it
SECTIONS = {
    "1.1": 7, "1.2": 4, "1.4": 5, "1.5": 4, "1.6": 4, "1.7": 2, "1.8": 2, "1.9": 2, "1.10": 1, "1.11": 3, "1.12": 2, "1.14": 6, "2.1": 12, "2.2": 7, "2.3": 3, "2.4": 6,
    "2.5": 7, "2.6": 3, "2.7": 6, "2.8": 7, "2.9": 3, "2.10": 4, "3.1": 1, "3.2": 4, "3.3": 4, "3.4": 5, "3.5": 3, "3.6": 2, "3.7": 1, "4.1": 5, "4.2": 2, "4.3": 3,
    "5.1": 5, "5.2": 8, "5.3": 10, "5.4": 3, "5.5": 4, "6.1": 3, "6.2": 8, "6.3": 3, "6.4": 2, "7.1": 4, "7.2": 2, "7.3": 4, "7.4": 3, "8.1": 6, "8.2": 3, "8.3": 8,
    "9.1": 3, "9.2": 5, "10.1": 1, "10.2": 6, "10.3": 3, "11.1": 8, "12.1": 3, "12.2": 1, "12.3": 6, "12.4": 2, "12.5": 2, "12.6": 1, "13.1": 5, "13.2": 6, "13.3": 2,
    "13.4": 2, "14.1": 5, "14.2": 6, "14.3": 3, "14.4": 7, "14.5": 4,
}  # fmt: skip
DELETED = {"1.4.2", "1.4.3", "1.12.1", "4.1.4", "7.3.2", "13.1.2", "13.2.4", "14.3.1"}
LEVEL_3 = {
    "1.11.3", "2.2.4", "2.2.5", "2.2.6", "2.2.7", "3.6.1", "3.6.2", "6.2.7", "6.2.8", "6.3.3", "8.1.5", "8.1.6", "9.2.5", "10.1.1", "10.2.3", "10.2.4", "10.2.5",
    "10.2.6", "14.1.5",
}  # fmt: skip
VERDICTS = ("held", "practice", "n/a", "falls short")
_ROW = re.compile(r"\| (\d+\.\d+\.\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")
_TEST = re.compile(r"`(test_\w+)`")


def rows(text: str) -> list[tuple[str, ...]]:
    return [m.groups() for line in text.splitlines() if (m := _ROW.fullmatch(line))]


def tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for f in files for name in re.findall(r"^(?:async )?def (test_\w+)", f.read_text(), re.MULTILINE)}


def wrong(text: str, known: set[str]) -> list[str]:
    found = rows(text)
    ids = [id for id, *_ in found]
    wanted = {f"{s}.{n}" for s, last in SECTIONS.items() for n in range(1, last + 1)} - DELETED - LEVEL_3
    out = [f"{id} is missing" for id in sorted(wanted - set(ids))]
    out += [f"{id} is none of level 1 or 2, or stands there twice" for id in ids if id not in wanted or ids.count(id) > 1]
    for id, _, verdict, by in found:
        named = _TEST.findall(by)
        if verdict not in VERDICTS:
            out.append(f"{id}: one of {', '.join(VERDICTS)} was expected, found {verdict}")
        if verdict == "held" and not named:
            out.append(f"{id}: what is held names a test")
        out += [f"{id}: there is no test {name}" for name in named if name not in known]
    for verdict in VERDICTS:
        said = re.search(rf"^\| {re.escape(verdict)} \| (\d+) \|", text, re.MULTILINE)
        if said is None or int(said[1]) != sum(1 for r in found if r[2] == verdict):
            out.append(f"{verdict}: the number of its lines isn't the one that is said")
    return out


def test_each_line_has_a_verdict_and_each_named_test_is_there():
    assert wrong((ROOT / "docs" / "asvs.md").read_text(), tests()) == []


def test_what_is_wrong_is_found():
    text = (ROOT / "docs" / "asvs.md").read_text()
    known = tests()
    first = rows(text)[0][0]
    assert f"{first} is missing" in wrong(text.replace(f"| {first} |", "| 9.9.9 |"), known)
    assert any("no test test_nowhere" in w for w in wrong(text.replace("`test_the_cookie_s_flags`", "`test_nowhere`"), known))
    assert any("names a test" in w for w in wrong(text.replace("`test_the_cookie_s_flags`", "faith"), known))
    assert any("number of its lines" in w for w in wrong(text.replace("| falls short | ", "| falls short | 1", 1), known))

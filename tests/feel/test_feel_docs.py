"""The pages about FEEL are run: every example, every signature, every limit."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from flowledger.kernel import feel
from flowledger.kernel.feel import limits
from flowledger.kernel.feel.builtins import BUILTINS

DOCS = Path(__file__).resolve().parents[2] / "docs"
FUNCTIONS = (DOCS / "feel-functions.md").read_text(encoding="utf-8")
LANGUAGE = (DOCS / "feel.md").read_text(encoding="utf-8")
#: 2026-03-01T08:30:00Z
FACTS = SimpleNamespace(now_us=1_772_353_800_000_000)


def examples(text):
    for block in re.findall(r"```feel\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if " => " in line:
                expression, _, expected = line.rpartition(" => ")
                yield expression, expected


@pytest.mark.parametrize(("expression", "expected"), [*examples(FUNCTIONS), *examples(LANGUAGE)])
def test_example(expression, expected):
    context = {"amount": 1500, "Monthly Salary": 1000, "a-b": 7, "order": {"total": 20, "lines": [{"price": 5}, {"price": 15}]}}
    wanted = feel.evaluate(expected, context)
    assert (wanted is None) == (expected == "null")
    actual = feel.evaluate(expression, context, facts=FACTS)
    assert type(actual) is type(wanted)
    assert feel.evaluate("is(x, y)", {"x": actual, "y": wanted}) is True, actual


def test_every_function_is_documented_as_it_is():
    sections = {part.split("\n", 1)[0]: part for part in FUNCTIONS.split("\n### ")[1:]}
    assert set(sections) == set(BUILTINS)
    for name, section in sections.items():
        shown = re.findall(r"^`(.+)`  $", section, re.MULTILINE)
        assert shown == [f"{name}({s.text})" for s in BUILTINS[name].signatures]
        assert BUILTINS[name].doc in section
        assert " => " in section


def test_extensions_stand_apart():
    standard, _, extensions = FUNCTIONS.partition("## Extensions")
    for name, function in BUILTINS.items():
        assert f"\n### {name}\n" in (extensions if function.extension else standard)


def test_limits_are_documented_as_they_are():
    shown = dict(re.findall(r"^\| `(\w+_max)` \| ([0-9,]+) \|", LANGUAGE, re.MULTILINE))
    assert {n: int(v.replace(",", "")) for n, v in shown.items()} == {n: v for n, v in vars(limits).items() if n.endswith("_max")}


def test_warning_codes_are_documented():
    source = "".join(p.read_text(encoding="utf-8") for p in Path(feel.__file__).parent.rglob("*.py"))
    codes = set(re.findall(r'(?:warn|always_null|LimitReached)\(\s*"([A-Z_]+)"', source))
    assert len(codes) > 8
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", LANGUAGE, re.MULTILINE)) == codes

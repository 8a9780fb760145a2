"""The examples of docs/dmn.md run, and its list of finding codes is complete."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "dmn.md").read_text()


def test_the_examples_run():
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) >= 5
    space: dict = {}
    for number, block in enumerate(blocks, 1):
        code = compile(block, f"docs/dmn.md, example {number}", "exec")
        exec(code, space)


def test_every_finding_code_is_documented():
    source = (ROOT / "kernel" / "dmn" / "checks.py").read_text() + '"BAD_EXPRESSION", "LANGUAGE_UNKNOWN"'
    codes = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+|CIRCULAR)"', source))
    assert "RULES_OVERLAP" in codes and "TYPE_CONFLICT" in codes and len(codes) > 20
    assert not {code for code in codes if f"`{code}`" not in TEXT}

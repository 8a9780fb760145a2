"""For each code of the checks: a model that has it, and one that hasn't."""

import pytest
from notation import NAMESPACES, bpmn
from wrong_data import ROWS as DATA_ROWS
from wrong_flows import ROWS as FLOW_ROWS
from wrong_read import ROWS as READ_ROWS
from wrong_standard import ROWS as STANDARD_ROWS

from flowledger.kernel import model
from flowledger.kernel.model import checks

ROWS = FLOW_ROWS + DATA_ROWS + STANDARD_ROWS


def findings(text: str) -> list[model.Finding]:
    if text.lstrip().startswith("<definitions"):
        data = text
    elif text.lstrip().startswith("<"):
        data = f'<definitions {NAMESPACES} id="definitions_" targetNamespace="t">\n{text}</definitions>'
    else:
        data = bpmn(text)
    return model.read(data.encode(), "m.bpmn")[1]


def found_and_not_found(code, text, old, new):
    """The findings of this code in a model, which must have some until `old` is mended to `new`."""
    assert old in text
    bad = [f for f in findings(text) if f.code == code]
    assert bad, f"not found: {[f.code for f in findings(text)]}"
    assert all(not f.standard or f.chapter for f in bad), bad
    good = findings(text.replace(old, new))
    assert code not in [f.code for f in good], [f.message for f in good]
    return bad


@pytest.mark.parametrize(("code", "text", "old", "new"), ROWS, ids=[r[0] for r in ROWS])
def test_each_code_is_found_and_not_found(code, text, old, new):
    for finding in found_and_not_found(code, text, old, new):
        assert finding.severity == checks.CODES[code].severity
        assert finding.element and finding.line and finding.hint, finding


def test_each_code_has_a_row():
    assert sorted({r[0] for r in ROWS}) == sorted(checks.CODES)


@pytest.mark.parametrize(("code", "text", "old", "new"), READ_ROWS, ids=[r[0] for r in READ_ROWS])
def test_what_reading_finds_is_found_and_not_found(code, text, old, new):
    for finding in found_and_not_found(code, text, old, new):
        assert finding.line and finding.message and (finding.element or code == "NOT_BPMN"), finding

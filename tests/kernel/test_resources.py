# ruff: noqa: E501 - models are lines
"""DMN files and forms as resources of a deployment."""

import pytest
from scenario import Scenario

from flowledger.events import commands as c
from flowledger.kernel.handlers.definitions import contents
from flowledger.kernel.model import dmn_resource, form_resource

DMN = b"""<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="drg" name="Rules" namespace="n"><decision id="d1" name="Discount"><variable name="Discount"/>
<literalExpression><text>amount / 10</text></literalExpression></decision></definitions>"""


def test_a_decision_is_deployed_and_evaluated():
    graph, findings = dmn_resource.read(DMN, "r.dmn")
    assert graph is not None and not [f for f in findings if f.severity == "error"] and len(graph.hash) == 64
    assert contents(graph) == [("drg", "drg", "Rules", ""), ("decision", "d1", "Discount", "")]
    s = Scenario(resources=[("r.dmn", DMN.decode())])
    assert s.do(c.EvaluateDecision(id="d1", variables={"amount": 50}))["output"] == 5


def test_a_broken_decision_is_a_finding():
    graph, findings = dmn_resource.read(b"<nix", "r.dmn")
    assert graph is None and [f.code for f in findings] == ["DMN_UNREADABLE"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b'{"id": "f", "components": []}', None),
        (b'{"id": "f"}', "FORM_WITHOUT_COMPONENTS"),
        (b'{"components": []}', "FORM_WITHOUT_ID"),
        (b"[1]", "FORM_WITHOUT_ID"),
        (b"{", "FORM_UNREADABLE"),
    ],
)
def test_forms(text, code):
    graph, findings = form_resource.read(text, "f.form")
    assert [f.code for f in findings] == ([code] if code else [])
    assert (graph is None) == any(f.severity == "error" for f in findings)
    if graph is not None:
        assert contents(graph) == [("form", "f", "f", "")]

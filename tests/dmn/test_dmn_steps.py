"""Steps bound decision models as they bound FEEL: what is repeated counts with all that it does. Calls of functions are counted, not time."""

from __future__ import annotations

import pytest

from flowledger.kernel import dmn
from flowledger.kernel.feel import limits
from tests.counting import calls

STEPS = 5_000
#: calls of functions that a step may cost on average
CALLS = 25


def text(feel: str) -> str:
    return f"<literalExpression><text>{feel}</text></literalExpression>"


def loop(kind: str, body: str, over: str = "[1..1000000]") -> str:
    last = "return" if kind == "for" else "satisfies"
    return f'<{kind} iteratorVariable="i"><in>{text(over)}</in><{last}>{body}</{last}></{kind}>'


def decision(logic: str, more: str = "", needs: str = "") -> str:
    return (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="urn:m">'
        f'<decision id="d" name="d"><variable name="d"/>{needs}{logic}</decision>{more}</definitions>'
    )


def table(rules: str, policy: str = "COLLECT") -> str:
    return f'<decisionTable hitPolicy="{policy}"><input><inputExpression><text>i</text></inputExpression></input><output name="o"/>{rules}</decisionTable>'


RULE = '<rule><inputEntry><text>{}</text></inputEntry><outputEntry><text>"x"</text></outputEntry></rule>'
CALLED = '<businessKnowledgeModel id="f" name="f"><variable name="f"/><encapsulatedLogic><formalParameter name="i"/>{}</encapsulatedLogic></businessKnowledgeModel>'
NEEDS = '<knowledgeRequirement><requiredKnowledge href="#f"/></knowledgeRequirement>'
ENTRIES = "".join(f'<contextEntry><variable name="e{n}"/>{text(str(n))}</contextEntry>' for n in range(300))

MODELS = {
    "loops of loops": decision(loop("for", loop("for", loop("for", text("1"))))),
    "some of some": decision(loop("some", loop("some", text("false")))),
    "every": decision(loop("every", loop("every", text("true")))),
    "a filter": decision(
        f"<filter><in>{text('[1..1000000]')}</in><match>{loop('some', text('false'), '[1..1000]')}</match></filter>",
    ),
    "a context": decision(loop("for", f"<context>{ENTRIES}</context>")),
    "a list": decision(loop("for", "<list>" + text("1") * 300 + "</list>")),
    "a relation": decision(loop("for", '<relation><column name="c"/>' + f"<row>{text('1')}</row>" * 300 + "</relation>")),
    "a long text": decision(loop("for", text("+".join(["i"] * 400)))),
    "rules that only FEEL can test": decision(loop("for", table("".join(RULE.format(f"? + {n} = 0") for n in range(1, 400))))),
    "rules that all hold": decision(loop("for", table(RULE.format("-") * 400))),
    "a called model": decision(loop("for", text("f(i)")), CALLED.format(table(RULE.format("-") * 400)), NEEDS),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_repeated_counts_as_much_as_it_does(name, monkeypatch):
    monkeypatch.setattr(limits, "steps_max", STEPS)
    model = dmn.read(MODELS[name])
    model.evaluate("d")  # compiled
    found = []
    made = calls(lambda: found.append(model.evaluate("d")))
    (evaluation,) = found
    assert evaluation.value is None and "LIMIT_STEPS" in {w.code for w in evaluation.warnings}
    assert made < CALLS * STEPS, f"{made / STEPS:.1f} calls a step"


def test_a_large_table_by_its_index_costs_little(monkeypatch):
    monkeypatch.setattr(limits, "steps_max", STEPS)
    rules = "".join(RULE.format(str(n)) for n in range(2_000))
    found = dmn.read(decision(loop("for", table(rules, "UNIQUE"), "[1..300]"))).evaluate("d")
    assert found.value == ["x"] * 300, "a look-up, not a scan"

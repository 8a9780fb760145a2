"""What the log tells of a gateway, and of why somebody changed something by hand."""

from __future__ import annotations

import pytest
from notation import bpmn
from scenario import Refused, Scenario

from flowledger.events import commands as c
from flowledger.events import flow as fl

ONE, TWO = "startEvent s\nserviceTask a\nendEvent e\ns > a > e", "startEvent s\nserviceTask a\nserviceTask b\ns > a > b"
SPLIT = "startEvent s\n{kind} g\ntask a\ntask b\n{kind} j\ns > g\ng > a{one}\ng > b{other}\na > j\nb > j"


@pytest.mark.req("D-EVT-005")
@pytest.mark.parametrize(
    ("kind", "one", "other", "reached"),
    [
        ("exclusiveGateway", " ? x = 1", " !", "g j"),
        ("exclusiveGateway", " ? x = 2", " !", "g j"),
        ("parallelGateway", "", "", "g j+1"),
        ("inclusiveGateway", " ? x = 1", " !", "g j"),
        ("inclusiveGateway", " ? x > 0", " ? x < 2", "g j+1"),
        ("complexGateway", " ? x > 0", " ? x < 2", "g j+1"),
    ],
)
@pytest.mark.parametrize("crash", [False, True])
def test_each_gateway_that_a_token_reaches_is_told(kind, one, other, reached, crash):
    """Also one that only splits or merges; `+n` for those that a join consumed."""
    s = Scenario(SPLIT.format(kind=kind, one=one, other=other), crash=crash).start(x=1)
    told = [f"{e.element}+{len(e.consumed)}".removesuffix("+0") for e, _ in s.log if isinstance(e, fl.GatewayReached)]
    assert " ".join(told) == reached and s.empty


@pytest.mark.req("D-EVT-005")
def test_an_event_based_gateway_is_told_before_anything_occurs():
    s = Scenario(
        "startEvent s\neventBasedGateway g\nintermediateCatchEvent m : message M\nintermediateCatchEvent t : timer PT1H\ns > g > m\ng > t"
    ).start()
    assert [e.element for e, _ in s.log if isinstance(e, fl.GatewayReached)] == ["g"] and s.at == "g"


def _definition(s: Scenario) -> int:
    return int(s.deployed[0]["key"])


def _draft(s: Scenario) -> int:
    answer = s.do(c.Deploy(resources=[c.Resource("d.bpmn", bpmn(ONE, process="d"))], status="draft"))
    return int(answer["definitions"][0]["key"])


def _edit(s: Scenario) -> c.AnyCommand:
    return c.ChangeDefinition(key=_draft(s), move="draft", content=bpmn(TWO, process="d"), reason="why")


BY_HAND = {
    "variables": lambda s: c.SetVariables(key=s.key, variables={"x": 1}, reason="why"),
    "variables of a scope": lambda s: c.SetVariables(key=s.token("a"), variables={"x": 1}, local=True, reason="why"),
    "variables found outwards": lambda s: c.SetVariables(key=s.token("a"), variables={"x": 1}, reason="why"),
    "cancel": lambda s: c.CancelInstance(key=s.key, reason="why"),
    "terminate": lambda s: c.CancelInstance(key=s.key, reason="why", force=True),
    "suspend": lambda s: c.ControlInstance(key=s.key, move="suspend", reason="why"),
    "pause": lambda s: c.ControlInstance(key=s.key, move="pause", reason="why"),
    "modify": lambda s: c.ModifyInstance(key=s.key, terminate=[s.token("a")], reason="why"),
    "migrate": lambda s: c.MigrateInstance(key=s.key, definition=_second(s), elements={}, same_ids=True, reason="why"),
    "deprecate": lambda s: c.ChangeDefinition(key=_definition(s), move="deprecate", reason="why"),
    "edit a draft": _edit,
    "delete a draft": lambda s: c.ChangeDefinition(key=_draft(s), move="delete", reason="why"),
}  # fmt: skip


def _second(s: Scenario) -> int:
    return int(s.do(c.Deploy(resources=[c.Resource("m0.bpmn", bpmn(TWO))]))["definitions"][0]["key"])


@pytest.mark.req("D-API-008", "D-API-010", "WSM-API-006")
@pytest.mark.parametrize("name", BY_HAND)
def test_the_reason_of_a_change_by_hand_stands_on_the_ledger(name):
    s = Scenario(ONE).start()
    command = BY_HAND[name](s)
    before = len(s.log)
    s.do(command)
    assert {e.reason for e, _ in s.log[before:] if getattr(e, "reason", "")} == {"why"}


@pytest.mark.parametrize(
    ("same_ids", "elements", "fits"), [(False, {"a": "a"}, True), (False, {}, False), (True, {}, True), (True, {"a": "b"}, True)]
)
def test_equal_ids_may_be_left_out_of_a_migration(same_ids, elements, fits):
    """At the HTTP door; Zeebe's clients name each active element."""
    s = Scenario(ONE).start()
    command = c.MigrateInstance(key=s.key, definition=_second(s), elements=elements, same_ids=same_ids)
    if fits:
        s.do(command)
        assert s.at == elements.get("a", "a")
    else:
        with pytest.raises(Refused, match="expected a mapping for the active element 'a'"):
            s.do(command)

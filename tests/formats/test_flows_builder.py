"""Processes written in Python become models; what is wrong is said all at once."""

import pytest
from scenario import Scenario

from flowledger.sdk.flows import Flow


def order() -> Flow:
    flow = Flow("p", name="Order")
    flow.start("received").service("check", job="order.check", outputs={"total": "= price * 2"}).exclusive("size")
    flow.at("size").when("total > 100").user("approve", groups=["sales"], due="P1D").to("ship")
    flow.at("size").otherwise().service("ship", retries=4).parallel("fork")
    flow.at("fork").service("bill").to("join")
    flow.at("fork").service("pack").each("items", "one").parallel("join").end("shipped")
    flow.on("check", "failed", error="BAD").end("refused")
    inner = flow.at("failed").sub("undo")
    inner.start("u1").script("u2", "1 + 1", "two").end("u3")
    return flow


@pytest.mark.parametrize(
    ("moves", "tasks"),
    [
        (["complete check price=10", "complete ship", "complete bill", "complete pack", "complete pack"], "check ship bill pack pack"),
        (["complete check price=60", "complete approve", "complete ship", "complete pack", "complete bill", "complete pack"],
         "check approve ship bill pack pack"),
    ],
)  # fmt: skip
def test_a_flow_runs(moves, tasks):
    flow = order()
    flow.at("undo").end("undone")
    s = Scenario(flow.xml().decode())
    s.start("p", items=[1, 2]).moves(*moves)
    assert s.tasks == tasks and s.line.endswith("done") and s.empty


def test_the_result_is_a_graph_with_a_diagram():
    flow = order()
    ship = flow.graph().processes["p"].nodes["ship"]
    assert (ship.config.retries.text, ship.config.job_type.static) == ("4", "ship")
    assert b"BPMNShape" in order().xml()


def test_all_that_is_wrong_at_once():
    flow = Flow("p")
    flow.start().service("a").service("a").to("nowhere")
    flow.at("missing").wait("w", message="m")
    flow.on("a", "t", timeout="PT1H", error="E")
    with pytest.raises(ValueError) as e:
        flow.xml()
    said = str(e.value)
    for part in ("'a' is used twice", "no such element", "at('missing')", "message needs key", "exactly one of timeout"):
        assert part in said

"""What a step costs the processes of a node: from their own figures, some seconds apart; anew when one of them was started anew."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flowledger.api.loads import Loads


class Node:
    """Two processes of which the costs are known. Figures of the other process come with numbers as decimals, as JSON is read here."""

    def __init__(self) -> None:
        self.now_s, self.steps, self.started = 0.0, 0.0, 0.0

    async def figures(self) -> list[Any]:
        steps = self.steps - self.started
        return [
            ["flowledger_events", [["flowledger_events_total", {"type": "flow.taken"}, Decimal(int(steps * 0.75))],
                                   ["flowledger_events_total", {"type": "workflow.started"}, steps - int(steps * 0.75)],
                                   ["flowledger_events_total", {"type": "task.created"}, 1e9]]],
            ["flowledger_process_cpu_seconds", [["x", {"process": "main"}, 0.05 * self.now_s + steps * 0.0005]]],
            ["flowledger_process_cpu_seconds", [["x", {"process": "owner-0"}, Decimal(str(0.01 * self.now_s + steps * 0.0002))]]],
        ]  # fmt: skip

    def go_on(self, rate: float) -> None:
        self.now_s += 10
        self.steps += 10 * rate


@pytest.mark.req("D-ANA-001")
async def test_costs_are_those_of_the_processes_and_forgotten_when_one_was_started_anew():
    node = Node()
    loads = Loads(node.figures, lambda: node.now_s)
    assert loads.costs() == {}
    for rate in (10, 200, 50, 400, 20, 300, 5):
        await loads.look()
        node.go_on(rate)
    await loads.look()
    found = loads.costs()
    assert found["main"] == pytest.approx((0.0005, 0.05), rel=1e-3) and found["owner-0"] == pytest.approx((0.0002, 0.01), rel=1e-3)
    node.started = node.steps  # counters begin at nought again
    await loads.look()
    assert loads.costs() == {"main": None, "owner-0": None}


async def test_where_always_as_much_is_to_do_nothing_is_told():
    node = Node()
    loads = Loads(node.figures, lambda: node.now_s)
    for _ in range(10):
        node.go_on(100)
        await loads.look()
    assert loads.costs() == {"main": None, "owner-0": None}

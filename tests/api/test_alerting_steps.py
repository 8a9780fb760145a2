"""Rules on anomalies are of whole steps: their figures are asked for once in each, and anew when the rule is another one."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.api.alerting import Alerting
from flowledger.kernel.alerts import rule as ar
from flowledger.projections.alert_figures import SETTLE_US, Point

HOUR = ar.HOUR_US
RULE = {"measure": "anomalies", "process": "order", "above": 0, "group": ["element"]}


class Reads:
    def __init__(self) -> None:
        self.asked: list[int] = []

    async def figures(self, name: str, rule: dict[str, Any], us: int, tenant: str) -> Any:
        self.asked.append(us)
        return [({"element": "approve"}, [Point(us, 1.0, None)])]


@pytest.mark.req("APG-MON-005")
@pytest.mark.parametrize(("more", "step"), [({}, HOUR), ({"kinds": ["path", "value"], "window": "PT5M"}, ar.MINUTE_US)])
async def test_figures_of_anomalies_are_asked_once_in_a_step(more, step):
    reads = Reads()
    alerting = Alerting(None, reads, None, "n")  # type: ignore[arg-type]
    item = {"name": "a", "tenant": "", "revision": 1, "rule": {**RULE, **more}, "firing": {}}
    rule = ar.read("a", item["rule"])
    assert rule.step_us == step
    begin = 1_000 * HOUR + SETTLE_US  # from here on the hour before is judged
    for us in (begin, begin + 5_000_000, begin + step - 1):
        (seen,) = await alerting._figures(rule, item, us, 0.0)
        assert (seen.key, seen.firing, seen.value) == (ar.key_of({"element": "approve"}), True, 1.0)
    assert reads.asked == [begin]
    await alerting._figures(rule, item, begin + step, 0.0)
    assert reads.asked == [begin, begin + step]
    await alerting._figures(rule, {**item, "revision": 2}, begin + step, 0.0)
    await alerting._figures(rule, {**item, "tenant": "acme", "revision": 2}, begin + step, 0.0)
    assert len(reads.asked) == 4 and len(alerting._told) == 2
    await alerting._figures(rule, item, begin + 5 * HOUR, 0.0)
    assert len(alerting._told) == 1, "what is past is forgotten"
    measured = {"name": "m", "tenant": "", "revision": 1, "rule": {"measure": "failed", "above": 3}, "firing": {}}
    for _ in range(2):
        await alerting._figures(ar.read("m", measured["rule"]), measured, begin, 0.0)
    assert len(reads.asked) == 7, "of others each look asks"

"""What `flowledger:task` says of a service task stands in its details, as for tasks of people."""

import pytest
from scenario import Scenario

SETTINGS = '<flowledger:task sla="PT8H" category="billing" kind="approval"/>'


@pytest.mark.parametrize("tag, work", [("serviceTask", '<zeebe:taskDefinition type="t"/>'), ("userTask", "<zeebe:userTask/>")])
def test_settings_stand_in_the_details(tag, work):
    s = Scenario(f"startEvent s\n{tag} a\n{work}\n{SETTINGS}\nendEvent e\ns > a > e")
    s.start("p")
    details = s.task("a").details
    assert details["settings"] == {"sla": "PT8H", "category": "billing", "kind": "approval"}
    assert (details["due_us"] - s.task("a").created_us) // 1_000_000 == 8 * 3_600

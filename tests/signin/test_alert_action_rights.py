"""Whoever makes alerts may say what one does; to let it act one may place holds as well."""

from __future__ import annotations

import pytest

from flowledger.api.access.rights import ROLES

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-SEC-002")]
ACTION = {"kind": "hold", "scope": "definition", "for": "PT5M"}


@pytest.mark.parametrize("role", sorted(ROLES))
async def test_an_action_that_is_switched_on_needs_the_right_to_hold(world, role):
    world.ledger.answers["PutAlert"] = {"key": 7, "name": "many", "created": True, "changed": True}
    http = await world.user("ann", role)
    rights = ROLES[role][1]
    makes = "alerts:write" in rights
    for action, may in (
        (None, makes),
        (ACTION, makes),
        ({**ACTION, "enabled": False}, makes),
        ({**ACTION, "enabled": True}, makes and "holds:control" in rights),
    ):
        rule = {"measure": "started", "process": "order", "above": 2, **({"action": action} if action else {})}
        r = await http.put("/v1/alerts/many", json=rule)
        assert r.status_code == (200 if may else 403), r.text
        if makes and not may:
            assert "the right holds:control is needed" in r.json()["detail"]


def test_some_role_makes_alerts_and_places_no_holds():
    assert any("alerts:write" in rights and "holds:control" not in rights for _, rights in ROLES.values())

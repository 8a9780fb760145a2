"""The people of the report of capacity: each is counted once, by their own calendar, and calendars that nobody has are not reckoned."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.analytics.capacity import WEEK, Hours
from flowledger.kernel.tasks import calendars

DAYS = {"zone": "UTC", "days": {day: ["08:00-16:00"] for day in ("mon", "tue", "wed", "thu", "fri")}}
DIRECTORY = {
    "user:": {
        "ann": {"groups": ["clerks"], "roles": ["leads"], "calendar": "days"}, "ben": {"groups": ["leads"], "calendar": "gone"},
        "cas": {"groups": ["clerks"], "active": False}, "dee": {"groups": ["others"], "calendar": "nights"},
    },
    "calendar:": {"days": DAYS, "nights": DAYS, "unused": DAYS},
}  # fmt: skip


@pytest.mark.req("D-ANA-001")
async def test_who_is_in_several_groups_of_the_work_is_one_person(http: Any, client: Any, reads: Any, monkeypatch: pytest.MonkeyPatch):
    hours = Hours(*[[1] * WEEK * 6] * 3, [600_000_000] * WEEK * 6)
    row = {"kind": "people", "name": "approve", "process": "order", "element": "approve", "groups": ["clerks", "leads"], "hours": hours}

    async def insight(name: str, given: dict[str, str], tenant: str) -> dict[str, Any]:
        return {"at": "2026-01-05T00:00:00+00:00", "items": [row], "position": "0-1"}

    def listed(asked: Any) -> dict[str, Any]:
        found = DIRECTORY.get(asked.prefix, {}) if asked.registry == "directory" else {}
        return {"records": [{"name": f"{asked.prefix}{name}", "value": value} for name, value in found.items()], "more": False}

    reckoned: list[Any] = []
    between = calendars.between
    monkeypatch.setattr(reads, "insight", insight, raising=False)
    monkeypatch.setattr(calendars, "between", lambda calendar, *span: reckoned.append(calendar) or between(calendar, *span))
    client.answers["ListRecords"] = listed
    told = (await http.get("/v1/reports/capacity", headers={"X-Tenant": "acme"})).json()
    (item,) = told["items"]
    assert (item["people"], item["by"], item["hands"]["value"]) == (2, "calendar", 2.0), told
    assert item["open_hours"] == (WEEK + 40) / 2, "one by day on five days, the other at all hours"
    assert len(reckoned) == 2 * WEEK, "each calendar of theirs once, no other"

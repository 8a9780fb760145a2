"""Moments of long histories: the same answer whatever is in memory, and few events read for it; memory has a bound, and tenants have their own."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowledger.api import moments
from flowledger.api.instance_views import replay
from flowledger.api.moments import EVERY, Moments
from flowledger.api.replay import Replay

from .conftest import KEY, instance_row

pytestmark = pytest.mark.req("D-VAR-001")
EVENTS = 3_000
BEGAN = datetime(2026, 11, 21, 12, tzinfo=UTC)


def history() -> list[dict[str, Any]]:
    """An instance whose variable `n` is set again and again; three events share each time."""

    def row(n: int, type: str, **data: Any) -> dict[str, Any]:
        offset = 10 + 2 * n
        return {
            "position": f"2-{offset}", "id": f"2-{offset}", "type": type, "time": (BEGAN + timedelta(seconds=n // 3)).isoformat(), "instance": str(KEY),
            "data": {**data, "key": str(KEY)}, "metadata": {"actor": "ann", "tenant": ""}, "correlation_id": "c", "causation_id": "",
        }  # fmt: skip

    start = {"process": "order", "definition": 5, "version": 1, "message": 0, "variables": {"n": 0}, "token": KEY + 1, "element": "s"}
    return [row(0, "workflow.started", **start), *(row(n, "variable.set", scope=KEY, variables={"n": n}) for n in range(1, EVENTS))]


class Counted:
    def __init__(self, reads: Any) -> None:
        self.reads, self.rows = reads, 0

    async def events(self, *given: Any) -> Any:
        page = await self.reads.events(*given)
        self.rows += len(page["items"])
        return page


def asked(dice: random.Random) -> list[str]:
    offsets = [dice.randrange(10, 10 + 2 * EVENTS) for _ in range(20)]
    times = [(BEGAN + timedelta(seconds=dice.randrange(EVENTS // 3))).isoformat().replace("+00:00", "Z") for _ in range(20)]
    edges = [str(10 + 2 * n) for k in (1, 2) for n in (k * EVERY - 2, k * EVERY - 1, k * EVERY)]
    some = [*map(str, offsets[:10]), *(f"2-{o}" for o in offsets[10:]), *times, *edges, ""]
    dice.shuffle(some)
    return some


@pytest.mark.parametrize("seed", range(3))
async def test_any_moment_in_any_order_is_what_a_whole_fold_says(services, reads, seed: int) -> None:
    reads.history = history()
    for at in asked(random.Random(seed)):
        known = (await replay(services, Replay(KEY), "", at)).state()
        services.moments, kept = Moments(), services.moments
        assert (await replay(services, Replay(KEY), "", at)).state() == known, at
        services.moments = kept
    assert services.moments.hits > 20


async def test_a_step_of_the_slider_reads_little(http, services, reads, monkeypatch: pytest.MonkeyPatch) -> None:
    reads.rows["instances"].append(instance_row())
    reads.history = history()
    assert (await http.get(f"/v1/instances/{KEY}/state")).json()["variables"] == {"n": EVENTS - 1}
    services.reads = counted = Counted(reads)
    counted.rows = 0
    found = await replay(services, Replay(KEY), "", f"2-{10 + 2 * 1_400}")
    assert found.state()["variables"] == {"n": 1_400} and counted.rows <= EVERY
    counted.rows = 0
    await replay(services, Replay(KEY), "other", f"2-{10 + 2 * 2_900}")
    assert counted.rows > EVERY, "what one tenant has folded is not another's"


async def test_what_is_done_with_one_changes_none(services, reads) -> None:
    reads.history = history()
    await replay(services, Replay(KEY), "")
    first = await replay(services, Replay(KEY), "", f"2-{10 + 2 * (EVERY - 1)}")
    first.partition.instances[KEY].vars["n"] = "changed"
    again = await replay(services, Replay(KEY), "", f"2-{10 + 2 * (EVERY - 1)}")
    assert again.state()["variables"] == {"n": EVERY - 1}


async def test_memory_is_bounded(services, reads, monkeypatch: pytest.MonkeyPatch) -> None:
    reads.history = history()
    await replay(services, Replay(KEY), "")
    one = services.moments.size
    assert one > 0
    services.moments = Moments(int(2.5 * one))
    for tenant in "abcd":
        await replay(services, Replay(KEY), tenant)
    assert services.moments.size <= 2.5 * one and [w for w, _ in services.moments._lines] == ["c", "d"], "the oldest go"
    monkeypatch.setattr(moments, "ONE_MAX", 10)
    services.moments = Moments()
    await replay(services, Replay(KEY), "")
    assert services.moments.size == 0, "what is too large is not kept"

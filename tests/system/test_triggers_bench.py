"""`flowledger bench triggers` in its shortest form: a whole system, and what each figure says. Never how fast."""

import pytest

from flowledger.bench import triggers

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.timeout(280)]


def test_webhooks_first_tasks_and_schedules_once_each():
    found = {each["name"]: each for each in triggers.run(rate=20, seconds=1.0, slow_seconds=1.0, count=100)}
    print(*found.values(), sep="\n")
    first, acknowledged, schedules = (found[n] for n in ("trigger_to_first_task.p95", "webhooks.ack.p99", "schedules.last_started"))
    assert first["sent"] == first["reached"] == 20 and first["value"] >= found["trigger_to_first_task.p50"]["value"] > 0
    assert sum(acknowledged["statuses"].values()) == 20 and acknowledged["value"] >= found["webhooks.ack.p50"]["value"] > 0
    assert schedules["due"] == schedules["started"] == schedules["of_schedules"] == 100 and schedules["value"] >= 0

"""What a failure tells: code, text, details, when, and for development where the worker's code was; a server in production keeps none of that."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asking import Caller
from test_lines_by_api import deploy, job

from flowledger.infra.settings import Settings
from flowledger.sdk import Flow, Worker


def test_a_server_in_production_keeps_none_unless_told_to():
    assert [Settings(profile=p, stack_traces=s).keeps_stack_traces for p in ("", "secure") for s in ("", "keep", "drop")] == [
        True, True, False, False, True, False,
    ]  # fmt: skip


def breaks(secret: str) -> None:
    raise ValueError("no such account")


@pytest.mark.req("TES-RES-001")
@pytest.mark.parametrize("kept", ["keep", "drop"])
async def test_an_error_tells_where_the_code_was_in_development_only(place, database, tmp_path, kept):
    async with place.system(data=tmp_path, postgres=database, partitions=1, stack_traces=kept) as (system, http):
        x = Caller(http, place)
        await deploy(x, Flow("p").start().service("a", job="w").service("b", job="v").end())
        [key] = await x.start("p", 1, variables={"secret": "s3cr3t"})
        worker = Worker(str(http.base_url), name="w")
        worker.job("w", fetch=["secret"])(breaks)
        running = asyncio.create_task(worker.run())

        async def stopped() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await x.ok("GET", "incidents", instance=key))["items"]
            return found

        [listed] = await place.until(stopped, 120)
        await worker.stop()
        await running
        incident = await x.ok("GET", f"incidents/{listed['id']}")
        error = incident["error"]
        assert (error["code"], error["message"]) == ("ValueError", "ValueError: no such account") and error["at"] == incident["created_at"]
        trace = (error.get("details") or {}).get("stack_trace", "")
        assert ("in breaks" in trace and 'raise ValueError("no such account")' in trace) == (kept == "keep") and "s3cr3t" not in trace
        await x.ok("POST", f"incidents/{listed['id']}/resolve", {})

        by_hand = await job(x, "w")
        body = {"message": "again", "retries": 0, "details": {"n": 1}, "stack_trace": "first line\n" + "x" * 20_000 + "\nlast line"}
        over = await x.ok("POST", f"jobs/{by_hand['key']}/fail", body)
        [newest] = (await x.ok("GET", "incidents", instance=key, status="open", wait_for=over["position"]))["items"]
        details = (await x.ok("GET", f"incidents/{newest['id']}"))["error"]["details"]
        told = details.pop("stack_trace", "")
        assert details == {"n": 1} and len(told) == (16_000 if kept == "keep" else 0) and told.endswith("last line" if told else "")
        everything = [
            await x.ok("GET", path) for path in (f"instances/{key}/events", f"tasks/{by_hand['key']}/events", f"tasks/{by_hand['key']}")
        ]
        assert ("stack_trace" in json.dumps(everything)) == (kept == "keep"), "nowhere, not in the history either"

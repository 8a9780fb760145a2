"""A workflow manager in Python: makes workflows, watches them, pauses and resumes them, and finds out what failed.

    flowledger dev                          # in another terminal
    python examples/workflow_manager.py     # or with the server's address behind it

The steps "draw" and "review" are done by a worker of this very file; of a drawing named "torn" the first attempt of a review fails.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from flowledger.sdk import Client, Flow, JobFailed, Worker

MODEL = Flow("drawing").start().service("draw", job="draw").service("review", job="review", retries=2).end()


def worker_of(server: str, step_s: float) -> Worker:
    worker = Worker(server, name="drawing-office")
    tried: set[str] = set()

    @worker.job("draw")
    async def draw(title: str) -> dict[str, Any]:
        await asyncio.sleep(step_s)
        return {"pages": len(title)}

    @worker.job("review")
    async def review(title: str) -> dict[str, Any]:
        await asyncio.sleep(step_s)
        if title == "torn" and title not in tried:
            tried.add(title)
            raise JobFailed("a page is missing", backoff_s=0.0)
        return {"accepted": True}

    return worker


async def ended(flows: Client, id: str) -> dict[str, Any]:
    """Its last status, once it has ended; shows its progress meanwhile."""
    shown = None
    while True:
        status: dict[str, Any] = await flows.workflow_status(id)
        if (status["state"], status["progress"]) != shown:
            shown = (status["state"], status["progress"])
            print(f"  {id}: {status['state']}, {status['progress']} %, open: {', '.join(status['pending_steps']) or 'nothing'}")
        if status["state"] in ("completed", "failed", "cancelled", "terminated"):
            return status
        await asyncio.sleep(0.1)


async def main(server: str, step_s: float = 0.5, rest_s: float = 5.0) -> None:
    worker = worker_of(server, step_s)
    working = asyncio.create_task(worker.run())
    async with Client(server) as flows:
        await flows.deploy(MODEL)

        print("1. one workflow, and how far it is")
        one = await flows.create_workflow("drawing", "task-123", priority=60, context={"title": "house"}, metadata={"project_id": "north"})
        await ended(flows, one)

        print("2. five at once, then those that are active")
        five = [await flows.create_workflow("drawing", f"task-{n}", context={"title": f"room {n}"}) for n in range(5)]
        active = {row["id"] for row in await flows.list_active_workflows("drawing")}
        print(f"  {len(active & set(five))} of 5 are active")
        await asyncio.gather(*(ended(flows, id) for id in five))

        print("3. one whose review fails at first")
        torn = await flows.create_workflow("drawing", "task-torn", context={"title": "torn"})
        await ended(flows, torn)
        figures = await flows.workflow_metrics(torn)
        print(f"  retries: {figures['retry_count']}, steps done: {figures['steps_completed']}, in {figures['total_duration_ms']:.0f} ms")

        print(f"4. one that is paused, and goes on after {rest_s:g} seconds")
        rested = await flows.create_workflow("drawing", "task-rested", context={"title": "garden"})
        await flows.pause_workflow(rested, "the office is closed")
        await asyncio.sleep(rest_s)
        print(f"  meanwhile it was {(await flows.workflow_state(rested))['state']}")
        await flows.resume_workflow(rested, "and open again")
        await ended(flows, rested)
        for entry in await flows.workflow_history(rested):
            print(f"  {entry['at']} {entry['state']}{': ' + entry['reason'] if entry['reason'] else ''}")
    await worker.stop()
    await working


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"))

"""docs/webhooks.md says what is so, and its receiver believes what is signed."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import httpx2

from flowledger.connectors.webhooks import post, sender, signing, told
from flowledger.events import webhooks as wh
from flowledger.kernel import limits
from flowledger.kernel.webhooks import record, schedule

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/webhooks.md").read_text()
SECRET = "whsec_c2VjcmV0LW9mLWFuLWV4YW1wbGUh"


def test_the_page_names_the_limits_as_they_are():
    pauses = "5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h"
    told_s = [5, 300, 1_800, *(h * 3_600 for h in (2, 5, 10, 14, 20, 24))]
    assert tuple(told_s) == schedule.PAUSES_S and schedule.JITTER == 0.1
    for text in (
        pauses, f"within {post.TIMEOUT_S:.0f} s", f"after {sender.TTL_S:.0f} s", f"{told.BODY_BYTES_MAX // 1024} KiB", f"{limits.WEBHOOK_WAITING_MAX:,} events wait",
        f"{limits.WEBHOOK_DEAD_MAX:,} dead letters", f"last {limits.WEBHOOK_LOG_MAX:,} attempts", f"{sender.CALLS} requests",
        f"{limits.WEBHOOKS_MAX} webhooks are at home", f"pauses up to {sender.PAUSE_S[1] / 60:.0f} min",
    ):  # fmt: skip
        assert text in PAGE, text
    assert (sender.TROUBLE, limits.WEBHOOK_SECRETS_MAX) == (8, 5)
    assert all(f"`{field}`" in PAGE for field in wh.PutWebhook.__struct_fields__ if field not in ("name", "cursors", "reason"))
    assert all(t in record.TYPES for t in ("workflow.completed", "task.completed"))


async def test_the_receiver_of_the_examples_believes_what_is_signed():
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "examples/webhooks/receiver.py"), "0", env={**os.environ, "HOOK": SECRET}, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            port = (await process.stdout.readline()).decode().split()[-1]
            body = b'{"type": "workflow.started", "process": "p", "instance": "7"}'
            keys, now = [b"another", signing.key_of(SECRET)], int(time.time())
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

                async def sent(headers: dict[str, str], content: bytes = body) -> int:
                    return (await http.post("/", content=content, headers=headers)).status_code

                good = signing.headers(keys, "1-0-7", now, body)
                assert [await sent(good), await sent(good)] == [204, 204], "taken, and known by its id"
                assert await sent(good, body + b" ") == await sent({}) == 401
                assert (
                    await sent(signing.headers(keys, "1-0-8", now - 301, body))
                    == await sent(signing.headers(keys[:1], "1-0-9", now, body))
                    == 401
                )
                assert await sent(signing.headers(keys, "1-0-8", now, body)) == 204
            assert [(await process.stdout.readline()).decode() for _ in range(2)] == ["workflow.started p 7\n"] * 2
    finally:
        process.kill()
        await process.wait()

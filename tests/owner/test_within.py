"""Waiting for an answer: it comes, it doesn't come in time, and whoever is cancelled meanwhile ends."""

from __future__ import annotations

import asyncio

import pytest

from flowledger.events.base import Rejected, RejectionCode
from flowledger.processors.client import within


async def test_an_answer_in_time_and_none_in_time():
    answer = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.01, answer.set_result, {"key": 1})
    assert await within(answer, 5) == {"key": 1}
    late = await within(asyncio.get_running_loop().create_future(), 0.01)
    assert isinstance(late, Rejected) and late.code == RejectionCode.DEADLINE_EXCEEDED


async def test_a_cancellation_that_comes_with_the_answer_is_heard():
    """Else a loop around the call goes on for ever (`asyncio.wait_for` of Python 3.11 gives the answer and forgets the cancellation)."""
    answer = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(within(answer, 5))
    await asyncio.sleep(0)
    answer.set_result({"key": 1})
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

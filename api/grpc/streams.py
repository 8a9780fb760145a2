"""A call under way, on its stream of HTTP/2."""

from __future__ import annotations

import asyncio

from flowledger.api.grpc.messages import Head


class Stream:
    """A call under way. `held`: bytes of its message that are not given back to the client's window yet."""

    __slots__ = ("data", "deadline", "ended", "ending", "head", "head_sent", "held", "id", "late", "since", "task", "waiting")

    def __init__(self, id: int, head: Head) -> None:
        self.id, self.head = id, head
        self.data = bytearray()
        self.held = 0
        self.task: asyncio.Task[None] | None = None
        self.deadline: asyncio.TimerHandle | None = None
        self.late: asyncio.TimerHandle | None = None
        #: `waiting`: its task has not begun yet, `since` then
        self.since = 0.0
        self.ended = self.head_sent = self.waiting = False
        #: why we cancelled it, if we did
        self.ending: tuple[int, str] | None = None

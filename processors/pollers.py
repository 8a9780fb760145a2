"""Who waits for jobs, in turn. A lease is given only to one who still waits; what reaches nobody goes back at once.

A hand-out takes two steps: the owner records the lease (`next_for`, `taken`), and once that is on the log the jobs are delivered. In between
the one who waits may run out of time, hang up, or the owner may step down. So each hand-out is a `Turn` of its own: a refusal restores the
credit and the place in the queue, a long poll whose time is over waits for what is under way to it, and jobs for one who has left are
returned (`ReturnTasks`). So are those of a refused hand-out: after an append in doubt the lease may be on the log, and nobody has it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.kernel import Partition
from flowledger.kernel.state import Lane
from flowledger.processors.client import Caller

Jobs = list[dict[str, Any]]
#: how long a long poll whose time is over waits for jobs that were leased to it and aren't on the log yet (seconds)
UNDER_WAY_S = 10.0


class Hands(Protocol):
    """An owner, as pollers see it."""

    state: Partition

    def _wake(self) -> None: ...


class Poller:
    """A worker that waits for jobs: once (long poll) or for as long as it lives (stream). `take` gets the jobs."""

    __slots__ = (
        "caller",
        "credit_left",
        "fetch",
        "gone",
        "job_type",
        "lane",
        "once",
        "take",
        "tenants",
        "timeout_ms",
        "under_way",
        "worker",
    )

    def __init__(
        self, job_type: str, worker: str, credit: int, timeout_ms: int, fetch: Sequence[str] | None, caller: Caller, once: bool,
        take: Callable[[Jobs], None],
    ) -> None:  # fmt: skip
        self.job_type, self.worker, self.credit_left, self.timeout_ms = job_type, worker, credit, timeout_ms
        self.lane = (caller.tenant, job_type)
        self.fetch = list(fetch) if fetch else None
        self.caller, self.once, self.take = caller, once, take
        #: hand-outs that are not on the log yet
        self.under_way = 0
        #: nobody waits any more
        self.gone = False


class Turn:
    """One hand-out to one poller."""

    __slots__ = ("_pollers", "jobs", "poller")

    def __init__(self, pollers: Pollers, poller: Poller) -> None:
        self._pollers, self.poller = pollers, poller
        self.jobs: Jobs = []

    def request(self) -> c.Request:
        p = self.poller
        return c.Request(
            command=c.ActivateTasks(job_type=p.job_type, worker=p.worker, max=p.credit_left, timeout_ms=p.timeout_ms, fetch=p.fetch),
            actor=p.caller.actor or p.worker, tenant=p.caller.tenant, groups=p.caller.groups, rights=p.caller.rights,
            cause=f"request:{p.worker}",
        )  # fmt: skip

    def deliver(self, answer: Any) -> None:
        """The lease is on the log, or (`Rejected`) nobody knows."""
        p = self.poller
        p.under_way -= 1
        if isinstance(answer, Rejected):
            self._pollers.restore(p, len(self.jobs))
            self._pollers.unwanted(self.jobs)
        elif p.gone:
            self._pollers.unwanted(self.jobs)
        else:
            p.take(self.jobs)


class Pollers:
    """Who waits for jobs of which tenant and type; shared by the owners of a process. `unwanted` gets jobs whose worker has left."""

    def __init__(self, unwanted: Callable[[Jobs], None] = lambda jobs: None) -> None:
        self.by_lane: dict[Lane, deque[Poller]] = {}
        self.owners: list[Hands] = []
        self.unwanted = unwanted

    def attach(self, owner: Hands) -> None:
        if owner not in self.owners:
            self.owners.append(owner)
        owner.state.job_listener.update(owner.state.ready)
        owner._wake()

    def detach(self, owner: Hands) -> None:
        if owner in self.owners:
            self.owners.remove(owner)

    def add(self, poller: Poller) -> None:
        self.by_lane.setdefault(poller.lane, deque()).append(poller)
        self.look(poller.lane)

    def look(self, lane: Lane) -> None:
        """Jobs may wait already."""
        for owner in self.owners:
            if lane in owner.state.ready:
                owner.state.job_listener.add(lane)
                owner._wake()

    def remove(self, poller: Poller) -> None:
        """It waits no more; what is under way to it goes back."""
        poller.gone = True
        self._out(poller)

    def _out(self, poller: Poller) -> None:
        queue = self.by_lane.get(poller.lane)
        if queue is not None and poller in queue:
            queue.remove(poller)
            if not queue:
                del self.by_lane[poller.lane]

    def next_for(self, lane: Lane) -> Turn | None:
        queue = self.by_lane.get(lane)
        for _ in range(len(queue) if queue else 0):
            assert queue is not None
            queue.rotate(-1)
            poller = queue[-1]
            if poller.credit_left > 0:
                return Turn(self, poller)
        return None

    def waiting(self, lane: Lane) -> int:
        return len(self.by_lane.get(lane, ()))

    def taken(self, turn: Turn, jobs: Jobs) -> None:
        """These are leased to it; `turn.deliver` says when that is on the log."""
        turn.jobs = jobs
        poller = turn.poller
        poller.under_way += 1
        poller.credit_left -= len(jobs)
        if poller.once:
            self._out(poller)

    def restore(self, poller: Poller, jobs: int) -> None:
        """A hand-out was refused: it waits as before."""
        was = poller.credit_left
        poller.credit_left += jobs
        if poller.gone:
            return
        if poller.once:
            self.add(poller)
        elif was <= 0:
            self.look(poller.lane)

    def credit(self, poller: Poller, more: int) -> None:
        was = poller.credit_left
        poller.credit_left += more
        if was <= 0 < poller.credit_left:
            self.look(poller.lane)


async def once(
    pollers: Pollers, job_type: str, worker: str, max_jobs: int, timeout_ms: int, wait_s: float, fetch: Sequence[str] | None, caller: Caller
) -> Jobs:
    """A long poll: the first jobs within `wait_s` seconds. What is leased to it when its time is over still comes, a moment later."""
    future: asyncio.Future[Jobs] = asyncio.get_running_loop().create_future()
    poller = Poller(job_type, worker, max_jobs, timeout_ms, fetch, caller, True, future.set_result)
    pollers.add(poller)
    try:
        await asyncio.wait((future,), timeout=wait_s)
        if not future.done() and poller.under_way:
            await asyncio.wait((future,), timeout=UNDER_WAY_S)
        return future.result() if future.done() else []
    except asyncio.CancelledError:
        if future.done():
            pollers.unwanted(future.result())
        raise
    finally:
        pollers.remove(poller)


class Stream:
    """`JobStream` of the client port."""

    def __init__(self, pollers: Pollers, poller_of: Callable[[Callable[[Jobs], None]], Poller]) -> None:
        self._pollers = pollers
        self._queue: asyncio.Queue[Jobs | None] = asyncio.Queue()
        self._poller = poller_of(self._queue.put_nowait)
        pollers.add(self._poller)

    def credit(self, more: int) -> None:
        self._pollers.credit(self._poller, more)

    async def __aiter__(self) -> AsyncIterator[Jobs]:
        while (jobs := await self._queue.get()) is not None:
            yield jobs

    async def close(self) -> None:
        """What is in the queue may still be read; what is under way goes back."""
        self._pollers.remove(self._poller)
        self._queue.put_nowait(None)

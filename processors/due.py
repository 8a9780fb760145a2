"""What time makes happen on a partition: timers, messages that expire, leases that run out, retries. Pure: `now` comes from the caller.

The heaps hold what may be due; what was changed or cancelled meanwhile stays in them and is passed over here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heapify, heappop

from flowledger.events import commands as c
from flowledger.kernel import Partition
from flowledger.kernel.access.subjects import of_message, of_task, of_timer

#: microseconds UTC behind all others
NEVER = 1 << 62
#: a heap is cleared of what is passed over when it is longer than this and mostly that
HEAP_MIN = 10_000
#: of so many entries, one at least is still true
STALE_SHARE = 4


def collect(state: Partition, now: int, most: int) -> list[c.AnyCommand]:
    """Commands for what is due at `now` (microseconds UTC), at the most `most` things of a kind; they are taken off the heaps."""
    due, leases, retrying = state.due, state.leases, state.retrying
    if max(len(due), len(leases), len(retrying)) > HEAP_MIN:
        prune(state)
    timers: list[int] = []
    messages: list[int] = []
    while due and due[0][0] <= now and len(timers) < most:
        at, key = heappop(due)
        timer = state.timers.get(key)
        if timer is not None:
            if timer.due_us == at:
                timers.append(key)
        elif (message := state.messages.get(key)) is not None and message.expires_us == at:
            messages.append(key)
    over: list[int] = []
    while leases and leases[0][0] <= now and len(over) < most:
        deadline, key, fence = heappop(leases)
        task = state.tasks.get(key)
        if task is not None and task.worker and task.fence == fence and task.deadline_us == deadline:
            over.append(key)
    back: list[int] = []
    while retrying and retrying[0][0] <= now and len(back) < most:
        at, key = heappop(retrying)
        task = state.tasks.get(key)
        if task is not None and task.retry_at_us == at:
            back.append(key)
    commands: list[c.AnyCommand] = [c.FireTimers(timers=keys) for keys in by_tenant(state, list(dict.fromkeys(timers)), of_timer)]
    commands += [c.ExpireMessages(messages=keys) for keys in by_tenant(state, list(dict.fromkeys(messages)), of_message)]
    commands += [c.ExpireLeases(tasks=keys) for keys in by_tenant(state, over, of_task)]
    commands += [c.ReadyTasks(tasks=keys) for keys in by_tenant(state, back, of_task)]
    return commands


def by_tenant(state: Partition, keys: list[int], tenant_of: Callable[[Partition, int], str]) -> Iterable[list[int]]:
    """A command acts for one tenant: what it causes is that tenant's."""
    if len(keys) < 2:
        return [keys] if keys else []
    out: dict[str, list[int]] = {}
    for key in keys:
        out.setdefault(tenant_of(state, key), []).append(key)
    return out.values()


def prune(state: Partition) -> None:
    """Drop what was answered or cancelled long before its time: a job done in a millisecond leaves its lease of minutes behind.

    The cost is shared by the entries that came since the last time, so a step pays next to nothing.
    """
    tasks = state.tasks
    if len(state.leases) > HEAP_MIN and len(state.leases) > STALE_SHARE * len(tasks):
        state.leases[:] = [(t.deadline_us, k, t.fence) for k, t in tasks.items() if t.worker]
        heapify(state.leases)
    if len(state.retrying) > HEAP_MIN and len(state.retrying) > STALE_SHARE * len(tasks):
        state.retrying[:] = [(t.retry_at_us, k) for k, t in tasks.items() if t.retry_at_us]
        heapify(state.retrying)
    if len(state.due) > HEAP_MIN and len(state.due) > STALE_SHARE * (len(state.timers) + len(state.messages)):
        state.due[:] = [(t.due_us, k) for k, t in state.timers.items()] + [(m.expires_us, k) for k, m in state.messages.items()]
        heapify(state.due)


def next_at(state: Partition) -> int:
    """When `collect` may next have something, in microseconds UTC; `NEVER` if nothing waits for its time."""
    return min(heap[0][0] if heap else NEVER for heap in (state.due, state.leases, state.retrying))

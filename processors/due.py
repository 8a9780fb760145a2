"""What time makes happen on a partition: timers, messages that expire, leases that run out, retries. Pure: `now` comes from the caller.

The heaps hold what may be due; what was changed or cancelled meanwhile stays in them and is passed over here.
"""

from __future__ import annotations

from heapq import heappop

from flowledger.events import commands as c
from flowledger.kernel import Partition

#: microseconds UTC behind all others
NEVER = 1 << 62


def collect(state: Partition, now: int, most: int) -> list[c.Command]:
    """Commands for what is due at `now` (microseconds UTC), at the most `most` things of a kind; they are taken off the heaps."""
    due, leases, retrying = state.due, state.leases, state.retrying
    timers: list[int] = []
    messages: list[int] = []
    while due and due[0][0] <= now and len(timers) < most:
        at, key = heappop(due)
        timer = state.timers.get(key)
        if timer is not None:
            if timer.due_us == at:
                timers.append(key)
        elif key in state.messages:
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
    commands: list[c.Command] = []
    if timers:
        commands.append(c.FireTimers(timers=timers))
    if messages:
        commands.append(c.ExpireMessages(messages=messages))
    if over:
        commands.append(c.ExpireLeases(tasks=over))
    if back:
        commands.append(c.ReadyTasks(tasks=back))
    return commands


def next_at(state: Partition) -> int:
    """When `collect` may next have something, in microseconds UTC; `NEVER` if nothing waits for its time."""
    return min(heap[0][0] if heap else NEVER for heap in (state.due, state.leases, state.retrying))

"""Why something happened: what stands as `cause` on each event, from which anybody can walk back to the first request.

A cause names one thing that stands on the log, or the request of a caller:

    request:ID                     a caller asked (its `Idempotency-Key`, else an id that the door made); here the walk ends
    task:KEY, timer:KEY            the job or timer of that key, see `task.created`, `timer.scheduled`
    incident:KEY, instance:KEY     see `incident.raised`; `workflow.created`, else `workflow.started`
    message:KEY                    see `message.received`
    send:FROM-TO-SEQ               what partition FROM sent, see its `partition.outbound`
    batch:KEY, trigger:KEY         see `batch.created`, `trigger.opened`
    command:PARTITION-OFFSET       a record of `commands` that nobody could read
    owner:ID                       the owner of the partition did it of itself (claims, heads, keys)

Keys are known when a decision is made, positions only once it is on the log; and a key stands on the log with its position. Pure.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events.base import Envelope
from flowledger.kernel.state import Instance, Partition

#: commands about a task: whatever comes of them comes of the task
_TASK = frozenset({c.CompleteTask, c.FailTask, c.ThrowTaskError, c.ExtendLease, c.UpdateRetries, c.MoveTask})
#: of them, what the holder of a lease does
_WORK = frozenset({c.CompleteTask, c.FailTask, c.ThrowTaskError, c.ExtendLease})
#: length of `VERSION-TRACE` in a traceparent (W3C Trace Context, 3.2)
_TRACE = 35


#: commands with a cause of their own beside those
_KNOWN = frozenset({c.ResolveIncident, c.Confirm, c.Continue})


def envelope_of(state: Partition, request: c.Request, now_us: int, tenant: str) -> Envelope:
    """Of all events of one decision, as far as a handler doesn't know it better. What a worker did in its own name has the worker's."""
    command: Any = request.command
    kind, actor = type(command), request.actor
    if kind in _TASK and (task := state.tasks.get(command.task)) is not None:
        if not actor and kind in _WORK:
            actor = task.worker
        cause = f"task:{command.task}"
    elif request.sender < 0 and kind not in _KNOWN:
        cause = request.cause or (f"request:{request.id}" if request.id else "")
    else:
        cause = _cause_of(state, request, command)
    return Envelope(now_us, tenant, actor, cause, request.correlation, request.trace)


def _cause_of(state: Partition, request: c.Request, command: Any) -> str:
    kind = type(command)
    if request.sender >= 0:
        return f"send:{request.sender}-{state.meta.partition}-{request.seq}"
    if kind is c.ResolveIncident and command.key in state.incidents:
        return f"incident:{command.key}"
    if kind is c.Confirm:
        return f"send:{state.meta.partition}-{command.to}-{command.seq}"
    if request.cause:
        return request.cause
    if request.id:
        return f"request:{request.id}"
    return f"instance:{command.key}" if kind is c.Continue else ""


def about(i: Instance, v: Envelope) -> Envelope:
    """The envelope of what happens to this instance: its tenant, and the correlation and the trace that it began with, whoever moves it on.
    A caller's own span stays where it is one of that trace."""
    correlation, trace = i.correlation or v.correlation, i.trace
    if not trace or trace == v.trace or v.trace[:_TRACE] == trace[:_TRACE]:
        trace = v.trace
        if correlation == v.correlation and i.tenant == v.tenant:
            return v
    return Envelope(v.time_us, i.tenant, v.actor, v.cause, correlation, trace)

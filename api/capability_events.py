"""Events of capabilities: a service says what happened there, and each trigger of its tenant that has subscribed to it takes it, once.

The body is an event as CloudEvents 1.0 writes it in JSON (structured mode); `id`, `type` and `data` are enough.
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, post
from msgspec import Meta

from flowledger.api.directory import EntryName
from flowledger.api.edge import ApiRequest, Body, Text, reply, time_text
from flowledger.api.hooks.door import Hooks, Taken
from flowledger.api.hooks.known import Hook
from flowledger.api.problems import Problem, problem_of, senseless
from flowledger.api.services import Services, services_of
from flowledger.events import avro
from flowledger.events import triggers as tr
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits

#: triggers that one event goes to
TRIGGERS_MAX = 100


class CapabilityEvent(Body):
    """`type`: one that the capability is registered with. `id`: an event that comes again by it is taken once. `data`: anything. `time`: when it happened."""

    id: Annotated[str, Meta(min_length=1, max_length=200)]
    type: Annotated[str, Meta(min_length=1, max_length=200)]
    data: Any = None
    time: Annotated[str, Meta(max_length=100)] = ""
    source: Text = ""
    subject: Text = ""
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Text = ""


class TakenBy(Taken, kw_only=True):
    trigger: str


class Told(msgspec.Struct):
    """What became of it at each trigger that has subscribed to it; none: nobody has."""

    triggers: list[TakenBy]


@post("/capabilities/{name:str}/events", status_code=200, summary="Tell an event of a capability")
async def tell_capability(request: ApiRequest, name: EntryName, data: CapabilityEvent) -> Response[Told]:
    """Answered when the log has what became of it. After an error send it again: who has taken it takes it as seen."""
    s = services_of(request)
    record = await s.record(request, "capability", name)
    if record is None:
        raise Problem(RejectionCode.NOT_FOUND, f"expected a registered capability, found '{name}'")
    if data.type not in (told := record.get("events") or []):
        raise senseless(
            f"type: expected one of the events that '{name}' is registered with ({', '.join(told) or 'it has none'}), found '{data.type}'"
        )
    if s.hooks is None:
        raise Problem(RejectionCode.UNAVAILABLE, "triggers are not handed anything here")
    hooks: Hooks = s.hooks
    event = {"id": data.id, "type": data.type, "capability": name, "source": data.source, "subject": data.subject, "data": data.data}
    context = {"event": {**event, "time": data.time or time_text(time.time_ns() // 1000)}}
    if len(avro.encode_json(context)) > limits.TRIGGER_ITEM_BYTES_MAX:
        raise Problem("BODY_TOO_LARGE", f"expected an event of at most {limits.TRIGGER_ITEM_BYTES_MAX} bytes", status=413)
    for again in (True, False):
        await hooks.told.again()  # one that was deployed before this event hears of it
        answers = await _handed(s, hooks, request, name, context)
        if not (again and any(isinstance(a, Rejected) and a.code in (RejectionCode.STALE, RejectionCode.NOT_FOUND) for _, a in answers)):
            break
    found = []
    for hook, answer in answers:
        if isinstance(answer, Rejected):
            raise _problem(hook, answer)
        (outcome,), (key,) = answer["outcomes"], answer["keys"]
        found.append(TakenBy(outcome=outcome, id=str(key) if outcome == "started" else None, trigger=hook.name))
    return reply(Told(found))


async def _handed(s: Services, hooks: Hooks, request: ApiRequest, name: str, context: dict[str, Any]) -> list[tuple[Hook, Any]]:
    """Raises: Problem (503: the first partition doesn't say which triggers there are; 422: too many have subscribed)."""
    if hooks.told.away:
        raise Problem(RejectionCode.UNAVAILABLE, "which triggers have subscribed can't be told now", retry_after_ms=1_000)
    caller = s.identify(request)
    type = context["event"]["type"]
    wanted = [h for h in hooks.told.all if h.tenant == caller.tenant and h.config["name"] == name and type in h.config["events"]]
    if len(wanted) > TRIGGERS_MAX:
        raise senseless(f"expected at most {TRIGGERS_MAX} triggers on one event, found {len(wanted)}")
    timeout_s = s.settings.command_timeout_ms / 1000

    async def hand(hook: Hook) -> Any:
        item = tr.TriggerItem(context=context, key=f"{name}:{context['event']['id']}")
        command = tr.TakeItems(name=hook.name, items=[item], definition=hook.definition, sample=hooks.sample(hook, context))
        return await hooks.client.call(command, caller, timeout_s=timeout_s)

    return list(zip(wanted, await asyncio.gather(*map(hand, wanted)), strict=True))


def _problem(hook: Hook, answer: Rejected) -> Problem:
    if answer.code in (RejectionCode.STALE, RejectionCode.NOT_FOUND, RejectionCode.INVALID_STATE):
        return Problem(RejectionCode.UNAVAILABLE, f"trigger '{hook.name}' takes nothing now", retry_after_ms=10_000)
    return problem_of(answer)


HANDLERS: list[Any] = [tell_capability]

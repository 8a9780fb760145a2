"""One-time addresses: made for a job that is held, and answered by whoever was given one. The token is all that they show, so these routes ask
for no sign-in; they do nothing but end that one job, once."""

from __future__ import annotations

import hashlib
import time
from typing import Annotated, Any

import msgspec
from litestar import Response, post
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, Body, Fence, KeyPath, Name, Variables, Words, key_of, reply
from flowledger.api.problems import Problem, problem_of
from flowledger.api.services import Services, services_of
from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.infra.callbacks import DAYS_MAX, TOKEN_MAX, Expired, NoCallback, Target
from flowledger.processors.client import Caller

Token = Annotated[str, Parameter(schema_extra={"minLength": 1, "maxLength": TOKEN_MAX})]
#: who did it, on the log
ACTOR = "callback"
#: refusals that mean that the address has been used, or nobody waits there any more
_OVER = frozenset({RejectionCode.NOT_FOUND, RejectionCode.STALE, RejectionCode.INVALID_STATE, RejectionCode.ID_REUSED})


class CallbackBody(Body):
    """`fence` is the job's. The lease lasts as long as the address: answer nothing for the job, whoever has the address does."""

    timeout_ms: Annotated[int, Meta(ge=1, le=DAYS_MAX * 86_400_000)] = 3_600_000
    fence: Fence = 0


class CallbackMade(msgspec.Struct):
    url: str
    deadline: str


class ErrorBody(Body):
    """A BPMN error of the model."""

    code: Name
    message: Words = ""
    variables: Variables = {}


@post("/jobs/{key:str}/callback", status_code=200, summary="Make a one-time address for a job")
async def make(request: ApiRequest, key: KeyPath, data: CallbackBody | None = None) -> Response[CallbackMade]:
    """Whoever posts to it ends the job, once; until then the job rests. The address is as good as a key: it stands in no log of ours."""
    s, data, job = services_of(request), data or CallbackBody(), key_of(key, "job")
    await s.call(c.ExtendLease(task=job, timeout_ms=data.timeout_ms, fence=data.fence), request)
    until_s = int(time.time() + data.timeout_ms / 1000) + 1
    if s.workers is not None:
        s.workers.rests(job)
    url = _callbacks(s).url(Target(job, s.identify(request).tenant, until_s))
    return reply({"url": url, "deadline": _text(until_s)})


def _text(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _callbacks(s: Services) -> Any:
    if s.callbacks is None:
        raise Problem("UNAVAILABLE", "this process makes no addresses: it has no key for them", status=503)
    return s.callbacks


@post("/callbacks/{token:str}", status_code=200, tags=["callbacks"], summary="Answer by a one-time address")
async def answer(request: ApiRequest, token: Token, data: Variables | None = None) -> Response[a.Done]:
    """The body's fields are the variables of the task's result. Said again with the same body it gets the first answer."""
    return await _ended(request, token, lambda job: c.CompleteTask(task=job, variables=data or {}))


@post("/callbacks/{token:str}/error", status_code=200, tags=["callbacks"], summary="Answer by a one-time address with a BPMN error")
async def error(request: ApiRequest, token: Token, data: ErrorBody) -> Response[a.Done]:
    return await _ended(
        request, token, lambda job: c.ThrowTaskError(task=job, code=data.code, message=data.message, variables=data.variables)
    )


async def _ended(request: ApiRequest, token: str, command_of: Any) -> Response[a.Done]:
    s = services_of(request)
    try:
        target = _callbacks(s).read(token, time.time())
    except Expired:
        raise Problem("GONE", "the time of this address is over", status=410) from None
    except NoCallback:
        raise Problem("NOT_FOUND", "expected an address that was given out here, found another", status=404) from None
    caller = Caller(
        ACTOR, target.tenant, str(request.scope.get("flowledger_correlation", "")), str(request.scope.get("flowledger_trace", ""))
    )
    said = f"callback:{hashlib.sha256(token.encode()).hexdigest()}"
    found = await s.client.call(command_of(target.job), caller, id=said)
    if isinstance(found, Rejected):
        if found.code in _OVER:
            raise Problem("GONE", "this address has been used, or nobody waits there any more", status=410)
        raise problem_of(found)
    if s.workers is not None:
        s.workers.settled(target.job)
    return reply(found)


HANDLERS: list[Any] = [make]
AT_ROOT: list[Any] = [answer, error]

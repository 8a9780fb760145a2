"""`POST /hooks/{path}`: whoever a trigger knows as its sender hands something over, and is answered when the log has what became of it.

Nobody signs in here: the trigger itself says who may. To those who may not nothing is said but that, and nothing of them gets to the ledger.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, post
from litestar.params import Parameter

from flowledger.api.edge import ApiRequest, reply, time_text
from flowledger.api.hooks import content
from flowledger.api.hooks.known import Deployed, Hook, Paths
from flowledger.api.hooks.sender import Refused, Sender, Unusable, known
from flowledger.api.problems import Problem, problem_of
from flowledger.api.refusals import DECIDED
from flowledger.api.services import Services, services_of
from flowledger.events import avro
from flowledger.events import triggers as tr
from flowledger.events.base import Rejected, RejectionCode
from flowledger.infra.secrets import Secrets
from flowledger.kernel import limits
from flowledger.kernel.model.trigger_webhook import BYTES, RATE
from flowledger.kernel.triggers.samples import sample
from flowledger.logs import log
from flowledger.processors.client import Caller, Client

#: bodies that are read or decided at once
UNDER_WAY_MAX = 256
#: requests of one address to one webhook that may be refused in a second, and addresses that are remembered. Above it passwords and tokens are not looked
#: at, as they could be guessed; a signature is, for all who come through one proxy have one address
REFUSED_MAX, ADDRESSES_MAX = 20, 10_000
#: a payload is shown as the last one not more often than this (seconds)
SAMPLE_S = 10.0
GUESSABLE = frozenset(("basic", "bearer"))
#: who it was, on the log, in what isn't said of the trigger itself
ACTOR = "webhook"
#: source of triggers on events of capabilities (`api/capability_events.py`)
CAPABILITY = "capability"
#: headers that nobody needs in a mapping, and that show who may do what
HIDDEN = frozenset(
    ("authorization", "proxy-authorization", "cookie", "host", "content-length", "connection", "transfer-encoding", "expect")
)
log_ = log("hooks")
PathOfHook = Annotated[str, Parameter(schema_extra={"maxLength": 201})]


class Taken(msgspec.Struct):
    """`outcome`: started (`id`: the instance), published, signalled, seen (it came before), filtered, or parked: it could not be used as it is, and is
    kept. In all of them the log has it: don't send it again."""

    outcome: Literal["started", "published", "signalled", "seen", "filtered", "parked"]
    id: str | None = None


class Bucket:
    """So many in a second, and as many at once."""

    __slots__ = ("left", "since")

    def __init__(self, rate: float) -> None:
        self.left, self.since = rate, time.monotonic()

    def fill(self, rate: float) -> None:
        now = time.monotonic()
        self.left, self.since = min(rate, self.left + (now - self.since) * rate), now

    def take(self, rate: float) -> bool:
        self.fill(rate)
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Hooks:
    """Of one node."""

    def __init__(self, client: Client, secrets: Secrets) -> None:
        self.known, self.secrets, self.client = Paths(client), secrets, client
        #: triggers on events of capabilities
        self.told = Deployed(client, CAPABILITY)
        self.under_way = 0
        self._rates: OrderedDict[str, Bucket] = OrderedDict()
        self._strangers: OrderedDict[tuple[str, str], Bucket] = OrderedDict()
        self._sampled: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def find(self, path: str) -> Hook:
        """Raises: Problem (404, 503)."""
        found = self.known.get(path)
        if found is None:
            await self.known.again()
            found = self.known.get(path)
        if found is None and self.known.away:
            raise Problem(RejectionCode.UNAVAILABLE, "whether there is such a webhook can't be told now")
        if found is None:
            raise Problem(RejectionCode.NOT_FOUND, "no webhook is here")
        return found

    def stranger(self, path: str, address: str) -> Bucket:
        return _of(self._strangers, (path, address), REFUSED_MAX)

    def within_rate(self, path: str, rate: int) -> bool:
        return _of(self._rates, path, rate).take(rate)

    def sample(self, hook: Hook, context: dict[str, Any]) -> dict[str, Any] | None:
        now, of = time.monotonic(), (hook.tenant, hook.name)
        if now - self._sampled.get(of, -SAMPLE_S) < SAMPLE_S:
            return None
        self._sampled[of] = now
        if len(self._sampled) > ADDRESSES_MAX:
            self._sampled.popitem(last=False)
        return sample(context)


def _of(buckets: OrderedDict[Any, Bucket], key: Any, rate: float) -> Bucket:
    found = buckets.get(key)
    if found is None:
        found = buckets[key] = Bucket(rate)
        if len(buckets) > ADDRESSES_MAX:
            buckets.popitem(last=False)
    return found


@post("/hooks/{path:path}", status_code=200, tags=["hooks"], summary="Hand something to a webhook", opt={"any_query": True})
async def take(request: ApiRequest, path: PathOfHook) -> Response[Taken]:
    """A path of a trigger's own (docs/triggers.md). The body is JSON, a form or text, as the trigger says."""
    s = services_of(request)
    scope: Any = request.scope
    scope[DECIDED] = True  # what strangers are refused is no operation of anybody
    if s.hooks is None:
        raise Problem(RejectionCode.NOT_FOUND, "no webhook is here")
    hooks: Hooks = s.hooks
    if hooks.under_way >= UNDER_WAY_MAX:
        raise Problem(RejectionCode.RESOURCE_EXHAUSTED, "too many requests to webhooks are under way", retry_after_ms=1_000)
    hooks.under_way += 1
    try:
        return await _taken(s, hooks, request, path.lstrip("/"))
    finally:
        hooks.under_way -= 1


async def _taken(s: Services, hooks: Hooks, request: ApiRequest, path: str) -> Response[Taken]:
    hook = await hooks.find(path)
    with s.closing.interrupts():
        body = await content.read(request, hook.config.get("bytes", BYTES))
    for again in (True, False):
        answer = await _handed(s, hooks, request, path, hook, body)
        if not isinstance(answer, Rejected):
            break
        if not again or answer.code not in (RejectionCode.STALE, RejectionCode.NOT_FOUND, RejectionCode.INVALID_STATE):
            raise _problem(answer)
        await hooks.known.again()  # another version is in force: it says anew who may
        hook = await hooks.find(path)
    (outcome,), (key,) = answer["outcomes"], answer["keys"]
    return reply({"outcome": outcome, "id": str(key)} if outcome == "started" else {"outcome": outcome})


def _problem(answer: Rejected) -> Problem:
    if answer.code in (RejectionCode.STALE, RejectionCode.INVALID_STATE):  # it was paused meanwhile, or is changed all the time
        return Problem(RejectionCode.UNAVAILABLE, "this webhook takes nothing now", retry_after_ms=10_000)
    if answer.code == RejectionCode.NOT_FOUND:
        return Problem(RejectionCode.NOT_FOUND, "no webhook is here")
    return problem_of(answer)


async def _handed(s: Services, hooks: Hooks, request: ApiRequest, path: str, hook: Hook, body: bytes) -> Any:
    headers = {k.lower(): v for k, v in reversed(list(request.headers.multi_items()))}  # the first of several counts
    sender = await _sender(hooks, request, path, hook, headers, body)
    if not hooks.within_rate(path, hook.config.get("rate", RATE)):
        raise Problem(RejectionCode.RESOURCE_EXHAUSTED, "more than this webhook takes in a second", retry_after_ms=1_000)
    if hook.paused:
        return Rejected(RejectionCode.INVALID_STATE, "it is paused")
    kind, options = request.content_type
    payload = content.meant(body, hook.config.get("body", "auto"), kind.lower(), options.get("charset", "utf-8"))
    context: dict[str, Any] = {
        "payload": payload, "headers": {k: v for k, v in headers.items() if k not in HIDDEN and k not in sender.hidden},
        "query": content.form(str(request.url.query)), "path": path, "received": time_text(time.time_ns() // 1000),
    }  # fmt: skip
    if sender.claims is not None:
        context["claims"] = sender.claims
    if len(avro.encode_json(context)) > limits.TRIGGER_ITEM_BYTES_MAX:
        raise Problem("BODY_TOO_LARGE", "more than can be kept of one request", status=413)
    named = headers.get(hook.config["id"].lower(), "") if "id" in hook.config else ""
    item = tr.TriggerItem(context=context, key=named or sender.key)
    command = tr.TakeItems(name=hook.name, items=[item], definition=hook.definition, sample=hooks.sample(hook, context))
    scope: Any = request.scope
    caller = Caller(ACTOR, hook.tenant, scope.get("flowledger_correlation", ""), scope.get("flowledger_trace", ""))
    return await hooks.client.call(command, caller, timeout_s=s.settings.command_timeout_ms / 1000)


async def _sender(hooks: Hooks, request: ApiRequest, path: str, hook: Hook, headers: dict[str, str], body: bytes) -> Sender:
    """Raises: Problem (401, 429, 503)."""
    address = request.client.host if request.client else ""
    stranger = hooks.stranger(path, address)
    stranger.fill(REFUSED_MAX)
    guessing = stranger.left < 1
    if guessing and hook.config["authentication"]["type"] in GUESSABLE:
        raise Problem(RejectionCode.RESOURCE_EXHAUSTED, "too many requests from here were refused", retry_after_ms=1_000)
    try:
        return await known(hook.config["authentication"], headers, body, hooks.secrets, time.time())
    except Refused as e:
        stranger.left = max(0.0, stranger.left - 1)
        about = {"path": path, "trigger": hook.name, "tenant": hook.tenant, "client": address, "why": str(e)}
        log_.warning("a request to a webhook was refused", each=not guessing, **about)
        raise Problem("UNAUTHENTICATED", "expected the sender that this webhook knows", status=401) from None
    except Unusable as e:
        log_.error("a webhook can't know its sender", path=path, trigger=hook.name, tenant=hook.tenant, why=str(e))
        raise Problem(RejectionCode.UNAVAILABLE, "who sends can't be looked up now", retry_after_ms=10_000) from None


AT_ROOT: list[Any] = [take]

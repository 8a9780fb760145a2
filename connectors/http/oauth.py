"""OAuth 2.0 client credentials (RFC 6749, 4.4) with tokens that are kept: one request for a token, however many calls wait for it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

import httpx2
import msgspec

from flowledger.connectors.frame import Call, Failed
from flowledger.connectors.http import body
from flowledger.connectors.http.config import OAuth
from flowledger.connectors.outcomes import AGAIN

TOKENS_MAX = 1_000
ANSWER_BYTES_MAX = 256 * 1024
#: a token is renewed so long before its end: a tenth of its life, within these bounds (seconds)
EARLY_S = (1.0, 60.0)
#: life of a token whose server says nothing
LIFE_S = 60.0
#: a server that refused us is not asked again for so long: a wrong secret does not become a flood
COOL_S = 5.0


class Tokens:
    """Tokens by the hash of all that they were asked with, so that a rotated secret asks anew."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._refused: dict[str, tuple[Failed, float]] = {}
        self._asking: dict[str, asyncio.Task[str]] = {}

    async def of(self, auth: OAuth, call: Call) -> str:
        """Raises: Failed, and what the client raises."""
        name = self._name(auth)
        if (kept := self._kept.get(name)) is not None and kept[1] > self._clock():
            call.mask.add(kept[0])
            return kept[0]
        if (refused := self._refused.get(name)) is not None:
            if refused[1] > self._clock():
                raise refused[0]
            del self._refused[name]
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.create_task(self._ask(name, auth, call))
            asking.add_done_callback(lambda task: self._asked(name, task))
        token = await asyncio.shield(asking)
        call.mask.add(token)
        return token

    def _asked(self, name: str, task: asyncio.Task[str]) -> None:
        del self._asking[name]
        if not task.cancelled():
            task.exception()  # whoever waited has it; when all were cancelled nobody needs it

    def forget(self, auth: OAuth, token: str) -> None:
        """The server refuses this token: the next call asks for another."""
        name = self._name(auth)
        if (kept := self._kept.get(name)) is not None and kept[0] == token:
            del self._kept[name]

    @staticmethod
    def _name(auth: OAuth) -> str:
        return hashlib.sha256(auth.model_dump_json().encode()).hexdigest()

    async def _ask(self, name: str, auth: OAuth, call: Call) -> str:
        data = {"grant_type": "client_credentials"}
        if auth.scopes:
            data["scope"] = auth.scopes
        if auth.audience:
            data["audience"] = auth.audience
        login: tuple[str, str] | None = (auth.client_id, auth.client_secret)
        if auth.client_authentication == "credentialsBody":
            data |= {"client_id": auth.client_id, "client_secret": auth.client_secret}
            login = None
        url = call.gate.url(auth.oauth_token_endpoint)
        request = call.client.build_request(
            "POST", url, data=data, headers={"accept": "application/json", "user-agent": call.user_agent, "accept-encoding": "identity"}
        )
        basic = httpx2.BasicAuth(*login) if login else None
        response, text = await body.exchanged(call.client, request, ANSWER_BYTES_MAX, auth=basic)
        if response.status_code != 200:
            again = response.status_code in AGAIN
            failure = Failed("OAUTH", f"the server of tokens answered {response.status_code}{_why(text)}", again=again)
            if not again:
                self._refused[name] = failure, self._clock() + COOL_S
                while len(self._refused) > TOKENS_MAX:
                    del self._refused[next(iter(self._refused))]
            raise failure
        try:
            found = msgspec.json.decode(text)
            token, kind, life = found["access_token"], str(found.get("token_type", "bearer")), float(found.get("expires_in") or LIFE_S)
            if not isinstance(token, str) or not token or kind.lower() != "bearer" or not token.isascii() or any(ch <= " " for ch in token):
                raise ValueError
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
            raise Failed("OAUTH", "expected an access_token of type bearer from the server of tokens (RFC 6749, 5.1)") from None
        early = min(max(life / 10, EARLY_S[0]), EARLY_S[1])
        self._kept[name] = token, self._clock() + max(0.0, life - early)
        self._kept.move_to_end(name)
        while len(self._kept) > TOKENS_MAX:
            self._kept.popitem(last=False)
        return token


def _why(text: bytes) -> str:
    """The error code of RFC 6749, 5.2, if it is one."""
    try:
        code = msgspec.json.decode(text).get("error")
    except (msgspec.DecodeError, AttributeError):
        return ""
    return f" ({code[:60]})" if isinstance(code, str) and code.isprintable() else ""

"""The call: authentication, the request, redirects, and what the answer means."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http import body
from flowledger.connectors.http.config import REDIRECTS_MAX, ApiKey, Basic, Bearer, HttpConfig, OAuth
from flowledger.connectors.http.oauth import Tokens
from flowledger.connectors.outcomes import AGAIN, after_s, failed
from flowledger.connectors.profiles import Clients
from flowledger.infra.egress import SCHEMES

#: headers that go along to another server when a redirect leads there
_EVERYWHERE = frozenset({"accept", "accept-language", "accept-encoding", "user-agent", "traceparent"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


#: bytes, or what a file is known by
Answer = bytes | dict[str, Any]


class HttpConnector:
    name = "http"
    job_type = "flowledger:http"
    aliases: tuple[str, ...] = ("io.camunda:http-json:1",)
    config: type[Config] = HttpConfig

    def __init__(self) -> None:
        self.tokens = Tokens()
        self.clients = Clients()

    async def close(self) -> None:
        await self.clients.close()

    async def call(self, config: HttpConfig, call: Call, raw: bool = False) -> dict[str, Any]:
        """`{status, reason, headers, body}`, with `document` where the answer is stored. `raw`: bodies stay bytes, for connectors above this one.

        Raises: Failed, and what httpx2 and the gate raise.
        """
        async with self.placed(config, call) as placed:
            return await self._called(placed, call, raw)

    @asynccontextmanager
    async def placed(self, config: HttpConfig, call: Call) -> AsyncIterator[HttpConfig]:
        """What a call is with its profile's address, authentication and limits; the call's client is then the profile's own. What happens within is judged by it.

        Raises: Failed, and what happened.
        """
        if not config.profile:
            yield config
            return
        if call.profile is None:
            raise Failed("CONFIGURATION", "profile: nobody looks API profiles up here")
        profile = await call.profile(config.profile)
        call.notes |= {"profile": profile.name, "profile_version": profile.version}
        try:
            url, limit = profile.url(config.url), profile.timeout_s or config.timeout_in_seconds
            config = config.model_copy(update={
                "url": url, "authentication": profile.authentication, "headers": _over(profile.headers, config.headers),
                "timeout_in_seconds": min(limit, config.timeout_in_seconds),
            })  # fmt: skip
            if not profile.tls:
                yield config
                return
            async with self.clients.of(profile.tls, call.gate) as call.client:
                yield config
        except Exception as e:
            if (failure := failed(e)) is None:
                raise
            raise profile.judged(failure) from e

    async def _called(self, config: HttpConfig, call: Call, raw: bool) -> dict[str, Any]:
        async with asyncio.timeout(min(config.timeout_in_seconds, call.seconds_max)):
            response, data = await self._sent(config, call)
            if response.status_code == 401 and isinstance(config.authentication, OAuth):
                # the server may have taken the token back: once more with a fresh one, then it counts
                response, data = await self._sent(config, call)
        return self._answer(config, response, data, raw)

    async def _sent(self, config: HttpConfig, call: Call) -> tuple[httpx2.Response, Answer]:
        url = call.gate.url(config.url)
        if config.query_parameters:
            url = url.copy_merge_params(config.query_parameters)
        method: str = config.method
        headers = self.headers(config, call)
        parts = body.parts_of(config.body, headers.get("content-type", ""))
        if parts.pop("type", ""):
            headers["content-type"] = "application/json" if not isinstance(config.body, str) else "text/plain; charset=utf-8"
        if "files" in parts:
            del headers["content-type"]  # httpx adds the boundary
        url, token = await self.authenticated(config, call, url, headers)
        for hop in range(REDIRECTS_MAX + 1):
            call.target = f"{url.scheme}://{url.raw_host.decode()}:{url.port or SCHEMES[url.scheme]}"
            response, data = await self._once(config, call, method, url, headers, parts)
            call.status = str(response.status_code)
            if token and response.status_code == 401:
                assert isinstance(config.authentication, OAuth)
                self.tokens.forget(config.authentication, token)
            if not (config.follow_redirects and response.has_redirect_location):
                return response, data
            if hop == REDIRECTS_MAX:
                break
            method, url, headers, parts = self._next(call, response, method, url, headers, parts)
        raise Failed("REDIRECT", f"expected at most {REDIRECTS_MAX} redirects")

    async def _once(
        self, config: HttpConfig, call: Call, method: str, url: httpx2.URL, headers: httpx2.Headers, parts: dict[str, Any]
    ) -> tuple[httpx2.Response, Answer]:
        limit = httpx2.Timeout(config.read_timeout_in_seconds, connect=config.connection_timeout_in_seconds)
        try:
            request = call.client.build_request(method, url, headers=headers, timeout=limit, **parts)
        except (ValueError, TypeError, UnicodeError) as e:
            raise Failed("CONFIGURATION", f"the request can't be written: {type(e).__name__}") from None
        response = await call.client.send(request, stream=True)
        try:
            if config.store_response and response.status_code < 400 and not (config.follow_redirects and response.has_redirect_location):
                return response, await self._document(config, call, response)
            return response, await body.read(response, call.answer_bytes_max)
        finally:
            await response.aclose()

    @staticmethod
    async def _document(config: HttpConfig, call: Call, response: httpx2.Response) -> dict[str, Any]:
        """The answer as a file of the instance. Raises: Failed."""
        if call.keep is None:
            raise Failed("CONFIGURATION", "storeResponse: nobody keeps files here")
        kind, _ = body.media_type(response.headers.get("content-type", ""))
        return await call.keep(config.file_name, kind, body.pieces(response, call.file_bytes_max, "blob_bytes_max"))

    def headers(self, config: HttpConfig, call: Call) -> httpx2.Headers:
        headers = httpx2.Headers(
            {"accept": "application/json, */*;q=0.5", "user-agent": call.user_agent, "accept-encoding": "gzip, deflate"}
        )
        if call.trace:
            headers["traceparent"] = call.trace
        if config.idempotency_header and config.method not in _SAFE:
            headers[config.idempotency_header] = call.key
        for name, value in config.headers.items():
            headers[name] = value
        headers["accept-encoding"] = "gzip, deflate"  # what `body.read` unpacks
        return headers

    async def authenticated(self, config: HttpConfig, call: Call, url: httpx2.URL, headers: httpx2.Headers) -> tuple[httpx2.URL, str]:
        """Raises: Failed."""
        auth = config.authentication
        token = ""
        if isinstance(auth, Basic):
            login = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()
            call.mask.add(login)
            headers["authorization"] = f"Basic {login}"
        elif isinstance(auth, Bearer):
            headers["authorization"] = _line(f"Bearer {auth.token}", "authentication.token")
        elif isinstance(auth, ApiKey):
            if auth.api_key_location == "query":
                url = url.copy_add_param(auth.name, auth.value)
            else:
                headers[auth.name] = _line(auth.value, "authentication.value")
        elif isinstance(auth, OAuth):
            token = await self.tokens.of(auth, call)
            headers["authorization"] = f"Bearer {token}"
        return url, token

    @staticmethod
    def _next(
        call: Call, response: httpx2.Response, method: str, url: httpx2.URL, headers: httpx2.Headers, parts: dict[str, Any]
    ) -> tuple[str, httpx2.URL, httpx2.Headers, dict[str, Any]]:
        """Where a redirect leads (RFC 9110, 15.4). Raises: Failed, Refused."""
        status = response.status_code
        if status == 303 and method != "HEAD":
            method, parts = "GET", {}
        elif method not in _SAFE:
            raise Failed("REDIRECT", f"a {method} is not sent again to another address, as the answer {status} asks")
        try:
            target = call.gate.url(str(url.join(response.headers["location"])))
        except (httpx2.InvalidURL, ValueError) as e:
            raise Failed("REDIRECT", f"expected a URL as Location: {type(e).__name__}") from None
        if url.scheme == "https" and target.scheme == "http":
            raise Failed("REDIRECT", "a redirect from https to http is not followed")
        origins = [(u.scheme, u.raw_host, u.port or SCHEMES[u.scheme]) for u in (url, target)]
        keep = httpx2.Headers([(k, v) for k, v in headers.multi_items() if origins[0] == origins[1] or k.lower() in _EVERYWHERE])
        if not parts:
            keep.pop("content-type", None)
        return method, target, keep, parts

    @staticmethod
    def _answer(config: HttpConfig, response: httpx2.Response, data: Answer, raw: bool) -> dict[str, Any]:
        """Raises: Failed for 4xx and 5xx, with the answer in it."""
        status = response.status_code
        headers: dict[str, Any] = {}
        for name, value in response.headers.multi_items():
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if isinstance(data, dict):
            return {"status": status, "reason": response.reason_phrase, "headers": headers, "body": None, "document": data}
        try:
            content = data if raw else body.value_of(data, response.headers.get("content-type", ""))
        except Failed:
            if status < 400:
                raise
            content = None
        found = {"status": status, "reason": response.reason_phrase, "headers": headers, "body": content}
        if status >= 400:
            words = f"{config.method} answered {status} {response.reason_phrase}".rstrip()
            after = after_s(response.headers.get("retry-after"), time.time())
            raise Failed(str(status), words, again=status in AGAIN, after_s=after, response=found)
        return found


def _over(low: dict[str, str], high: dict[str, str]) -> dict[str, str]:
    """The task's headers over those of its profile, whatever case they are written in."""
    own = {name.lower() for name in high}
    return {**{name: value for name, value in low.items() if name.lower() not in own}, **high}


def _line(text: str, what: str) -> str:
    """A header's value. Raises: Failed, without the value."""
    if not text.isascii() or any(ch < " " or ch == "\x7f" for ch in text):
        raise Failed("CONFIGURATION", f"{what}: expected one line of ASCII")
    return text

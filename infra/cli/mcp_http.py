"""`flowledger mcp --http PORT`: the tools of `flowledger mcp` for assistants that come over the network, by the protocol's own library (streamable HTTP).

Nobody's calls are made with a key of this process: each request carries its caller's own credential, which goes on to the API, and the API says who that is
and what they may. A session belongs to who opened it. Only the transport is the library's; what the tools do is `mcp.Tools`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from flowledger import __version__
from flowledger.infra.cli.mcp import INSTRUCTIONS, LINE_BYTES_MAX, Tools, Wrong
from flowledger.infra.cli.output import USAGE, Failed, console, fail
from flowledger.infra.cli.server import Server
from flowledger.infra.settings import LOOPBACK

T = TypeVar("T")
PATH = "/mcp"
#: where it is told whose tokens are taken (RFC 9728): below the well-known name stands the path of what is protected; some ask without
METADATA = "/.well-known/oauth-protected-resource"
#: issuers that the API told are told again for so long (seconds)
ISSUERS_S = 60.0
#: sessions that are open, seconds of silence after which one ends, calls of the API that are under way, characters of a credential
SESSIONS_MAX, SILENT_S, CALLS_MAX, CREDENTIAL_CHARS_MAX = 1_000, 1_800, 32, 16_384
#: entry of a request's `_meta` with the caller's own key of the work, which is the same over sessions (our connector sends it)
KEY = "flowledger/idempotency-key"
_METHODS = {"POST", "DELETE"}


class Bearing(Server):
    """The API as one caller sees it: by their credential, and none of this process."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        super().__init__(url)
        self._own = headers

    def _headers(self, more: dict[str, str] | None) -> dict[str, str]:
        sent = {"Accept": "application/json, */*;q=0.5", "User-Agent": f"flowledger-mcp/{__version__}", **self._own}
        return sent | {k.replace("_", "-"): v for k, v in (more or {}).items()}


class Door:
    """The ASGI application. `outside`: others than this machine reach it, so that nobody is let in without a credential."""

    def __init__(self, api: str, processes: list[str], reads: bool, outside: bool, names: list[str]) -> None:
        from mcp.server.lowlevel import Server as Protocol
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
        from mcp.server.transport_security import TransportSecuritySettings

        self._api, self._processes, self._reads, self._outside = api, processes, reads, outside
        self._calls = ThreadPoolExecutor(CALLS_MAX, "api")
        self._names = frozenset(names)
        self._issuers: tuple[float, list[str]] = (-ISSUERS_S, [])
        protocol: Any = Protocol(
            "flowledger", version=__version__, instructions=INSTRUCTIONS, on_list_tools=self._listed, on_call_tool=self._called
        )
        # a page in a browser is nobody's assistant: what carries an Origin is refused
        hosts = [f"{name}{port}" for name in names for port in ("", ":*")]
        self._sessions = StreamableHTTPSessionManager(
            protocol, json_response=True, session_idle_timeout=SILENT_S, max_sessions=SESSIONS_MAX, max_request_body_size=LINE_BYTES_MAX,
            security_settings=TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[]),
        )  # fmt: skip

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with self._sessions.run():
            yield
        self._calls.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].rstrip("/")
        if path in (METADATA, METADATA + PATH):
            await self._metadata(scope, send)
        elif path != PATH:
            await _refuse(send, 404, f"the tools are at {PATH}")
        elif scope["method"] not in _METHODS:  # a stream of what the server tells of itself: it tells nothing
            await _refuse(send, 405, "expected POST, or DELETE to end a session", [(b"allow", b"POST, DELETE")])
        elif (user := await self._known(scope, send)) is not None:
            await self._sessions.handle_request({**scope, "user": user}, receive, send)

    async def _metadata(self, scope: Any, send: Any) -> None:
        """Of RFC 9728: no secret, so that whoever has no token yet may ask."""
        if scope["method"] not in ("GET", "HEAD"):
            await _refuse(send, 405, "expected GET", [(b"allow", b"GET, HEAD")])
            return
        if not (base := self._base(scope)):
            await _refuse(send, 421, "this server is not called so: see --name")
            return
        try:
            issuers = await self._threaded(self._issuers_now)
        except Failed as e:
            await _refuse(send, 503, str(e), [(b"retry-after", b"1")])
            return
        found: dict[str, Any] = {"resource": base + PATH, "resource_name": "Flowledger", "bearer_methods_supported": ["header"]}
        if issuers:
            found["authorization_servers"] = issuers
        await _answer(send, 200, found, [(b"cache-control", b"max-age=60")], body=scope["method"] == "GET")

    def _issuers_now(self) -> list[str]:
        """Raises: Failed."""
        if time.monotonic() - self._issuers[0] > ISSUERS_S:
            status, found = Bearing(self._api, {}).ask("GET", "/v1/session/issuers")
            rows = found.get("items") if status == 200 and isinstance(found, dict) else None
            if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("issuer"), str) for row in rows):
                fail(f"{self._api} doesn't tell its issuers: it answered {status}")
            self._issuers = time.monotonic(), [row["issuer"] for row in rows]
        return self._issuers[1]

    def _base(self, scope: Any) -> str:
        """Scheme and place as the caller sees them: what others than this machine reach stands behind what ends TLS. Empty: it isn't called so."""
        host = next((v.decode("latin-1") for n, v in scope["headers"] if n == b"host"), "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in self._names:
            return ""
        return f"{'http' if name in (*LOOPBACK[:2], '[::1]') else 'https'}://{host}"

    def _challenge(self, scope: Any, error: str = "") -> list[tuple[bytes, bytes]]:
        """`WWW-Authenticate` with where it is told whose tokens are taken (RFC 9728, 5.1)."""
        base = self._base(scope)
        parts = [f'error="{error}"'] * bool(error) + [f'resource_metadata="{base}{METADATA}{PATH}"'] * bool(base)
        return [(b"www-authenticate", f"Bearer {', '.join(parts)}".strip().encode("latin-1"))]

    async def _known(self, scope: Any, send: Any) -> Any:
        """Who asks, as the API says; None: they were refused."""
        from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
        from mcp.server.auth.provider import AccessToken

        carried = _carried(scope["headers"])
        if len(carried.get("Authorization", "")) > CREDENTIAL_CHARS_MAX:
            await _refuse(send, 401, "the credential is too long", self._challenge(scope, "invalid_token"))
            return None
        if self._outside and "Authorization" not in carried:
            await _refuse(send, 401, "expected Authorization: Bearer, found none", self._challenge(scope))
            return None
        try:
            status, me = await self._threaded(lambda: Bearing(self._api, carried).ask("GET", "/v1/me"))
        except Failed as e:
            await _refuse(send, 503, str(e), [(b"retry-after", b"1")])
            return None
        words = str(me.get("detail") or status) if isinstance(me, dict) else str(status)
        if status == 401:
            await _refuse(send, 401, words, self._challenge(scope, "invalid_token"))
        elif status >= 400:
            await _refuse(send, status, words)
        elif not isinstance(me, dict) or not me.keys() >= {"auth", "kind", "name", "tenant"}:
            await _refuse(send, 502, f"what answers at {self._api} is no Flowledger: it doesn't say who asks")
        elif self._outside and me["auth"] == "none":
            await _refuse(send, 403, "the server has no sign-in: its tools are for this machine only")
        else:
            # a session is one person's (or program's) in one tenant; a fresh token of theirs goes on with it
            who = json.dumps([me["auth"], me["kind"], me["name"], me["tenant"]])
            return AuthenticatedUser(AccessToken(token="", client_id=who, scopes=[]))
        return None

    async def _threaded(self, do: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._calls, do)

    def _tools(self, context: Any) -> Tools:
        """For one request."""
        carried = _carried(context.request.headers.raw)
        given = (context.meta or {}).get(KEY)
        who = context.request.scope["user"].access_token.client_id
        session = context.request.headers.get("mcp-session-id") or uuid.uuid4().hex
        # within a session ids of the protocol tell what is asked again; across sessions only the caller's own key can
        base = f"key {given}" if isinstance(given, str) and given else f"session {session} {context.request_id!r}"
        return Tools(Bearing(self._api, carried), self._processes, self._reads, hashlib.sha256(f"{who} {base}".encode()).hexdigest())

    async def _listed(self, context: Any, _: Any) -> Any:
        from mcp.shared.exceptions import MCPError
        from mcp.types import INTERNAL_ERROR, ListToolsResult

        tools = self._tools(context)
        try:
            return ListToolsResult.model_validate({"tools": await self._threaded(tools.listed)})
        except Failed as e:
            raise MCPError(INTERNAL_ERROR, str(e)) from None

    async def _called(self, context: Any, params: Any) -> Any:
        from mcp.shared.exceptions import MCPError
        from mcp.types import CallToolResult

        tools = self._tools(context)
        try:
            return CallToolResult.model_validate(await self._threaded(lambda: tools.call(params.name, params.arguments or {}, "")))
        except Wrong as e:
            raise MCPError(e.code, str(e)) from None


def _carried(headers: Any) -> dict[str, str]:
    """What goes on to the API of a request's headers."""
    wanted = {b"authorization": "Authorization", b"x-tenant": "X-Tenant", b"x-correlation-id": "X-Correlation-Id"}
    return {wanted[name]: value.decode("latin-1") for name, value in headers if name in wanted}


async def _refuse(send: Any, status: int, words: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    """As the protocol's transport has it: an error without an id."""
    await _answer(send, status, {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": words}}, headers or [])


async def _answer(send: Any, status: int, value: Any, headers: list[tuple[bytes, bytes]], body: bool = True) -> None:
    raw = json.dumps(value).encode()
    more = [(b"content-type", b"application/json"), (b"content-length", str(len(raw)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": more})
    await send({"type": "http.response.body", "body": raw if body else b""})


def application(api: str, processes: list[str], reads: bool, host: str, names: list[str]) -> Door:
    """Raises: Failed."""
    outside = host not in LOOPBACK
    if outside and not names:
        fail("--name: expected the name that assistants call this server by, with --host", USAGE)
    try:
        return Door(api, processes, reads, outside, [*LOOPBACK[:2], "[::1]", *names])
    except ImportError:
        fail("this needs the package mcp: pip install 'flowledger[connectors]'", USAGE)


def serve(api: str, processes: list[str], reads: bool, host: str, port: int, names: list[str]) -> None:
    """Until Ctrl+C. Raises: Failed."""
    import uvicorn

    door = application(Server(api).url, processes, reads, host, names)

    async def main() -> None:
        config = uvicorn.Config(door, host=host, port=port, log_level="warning", lifespan="off", server_header=False, timeout_keep_alive=75)
        async with door.open():
            await uvicorn.Server(config).serve()

    console(stderr=True).print(f"tools at http://{f'[{host}]' if ':' in host else host}:{port}{PATH}, for whoever {Server(api).url} knows")
    asyncio.run(main())

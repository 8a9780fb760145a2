"""Tools of servers of the Model Context Protocol, over its streamable HTTP transport, by the protocol's own Python library.

A session lives for one call and in one task. The library's connections go through the gate, and what it keeps to itself (statuses, broken connections, how
much came) is seen where it passes. What a server says of its tools is believed for one thing only: whether a call may be made again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal, Self

import httpx2
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from flowledger.connectors.fields import ProfileName, Seconds, dropped
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http.config import PROFILE, Authentication, Headers, HttpConfig, IdempotencyHeader, NoAuth, OAuth, Url, alone
from flowledger.connectors.outcomes import AGAIN, after_s, failed
from flowledger.connectors.reach import lacking, plain, too_large, within
from flowledger.infra.egress import SCHEMES
from flowledger.kernel.tasks import schema_rules, schemas

#: pages of a list of tools, tools, characters of a server's words that an incident repeats, and seconds that a session may take to say good-bye
PAGES_MAX, TOOLS_MAX, WORDS_MAX, BYE_S = 20, 1_000, 300, 2.0
#: the request's own entry for the key of the work
KEY = "flowledger/idempotency-key"


class McpConfig(Config):
    """Calls a tool of a server of the Model Context Protocol, or lists its tools."""

    model_config = ConfigDict(title="MCP tools")

    profile: ProfileName = PROFILE
    url: Url
    operation: Literal["call", "list"] = Field("call", description="Call a tool, or list them", title="Operation")
    tool: Annotated[str, Field(max_length=256)] = Field("", description="Name of the tool, as the server has it", title="Tool")
    arguments: Annotated[dict[str, Any], BeforeValidator(dropped)] = Field(
        {}, description="A context, checked against the tool's schema", title="Arguments"
    )
    errors: Literal["fail", "take"] = Field("fail", description="A tool that fails: an incident, or an answer", title="Errors of the tool")
    repeat: Literal["marked", "always", "never"] = Field(
        "marked",
        title="Call again",
        description="After a call whose outcome isn't known: tools that say they may be called again, all, none",
    )
    authentication: Authentication = Field(NoAuth(), description="Who we are to the server", title="Authentication")
    headers: Headers = Field({}, description="Headers of the requests", title="Headers")
    connection_timeout_in_seconds: Seconds = Field(20, description="Until there is a connection", title="Connection time limit (s)")
    timeout_in_seconds: Seconds = Field(60, description="For all of the call, the session included", title="Time limit (s)")
    idempotency_header: IdempotencyHeader = Field(
        "Idempotency-Key", description="Header that carries the key of the work; empty: none", title="Idempotency header"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        alone(self.profile, self.authentication)
        if (self.operation == "call") != bool(self.tool):
            raise ValueError(
                "tool: expected the name of a tool to call" if self.operation == "call" else "tool: expected none to list them"
            )
        return self


class McpConnector:
    name = "mcp"
    job_type = "flowledger:mcp"
    aliases: tuple[str, ...] = ()
    config: type[Config] = McpConfig

    def __init__(self) -> None:
        from flowledger.connectors.http.connector import HttpConnector

        self._http = HttpConnector()

    async def close(self) -> None:
        await self._http.close()

    async def call(self, config: McpConfig, call: Call) -> dict[str, Any]:
        """`{tool, isError, text, value, content}`, or `{server, tools}`. Raises: Failed, and what httpx2 and the gate raise."""
        try:
            import mcp  # noqa: F401
        except ImportError:
            raise lacking("mcp") from None
        given = HttpConfig.model_validate({
            "profile": config.profile, "url": config.url, "method": "POST", "authentication": config.authentication, "headers": config.headers,
            "connection_timeout_in_seconds": config.connection_timeout_in_seconds, "read_timeout_in_seconds": config.timeout_in_seconds,
            "timeout_in_seconds": config.timeout_in_seconds, "idempotency_header": config.idempotency_header,
        })  # fmt: skip
        state = _State()
        try:
            async with self._http.placed(given, call) as request, within(request.timeout_in_seconds, call):
                try:
                    return await self._asked(config, request, call, state)
                except Failed as e:
                    if e.code != "401" or not isinstance(request.authentication, OAuth):
                        raise
                # the server may have taken the token back: once more with a fresh one
                return await self._asked(config, request, call, state)
        except Exception as e:
            if (found := _judged(e, config, state)) is e:
                raise
            raise found from e

    async def _asked(self, config: McpConfig, request: HttpConfig, call: Call, state: _State) -> dict[str, Any]:
        headers = self._http.headers(request, call)
        url, token = await self._http.authenticated(request, call, call.gate.url(request.url), headers)
        for name in ("accept", "accept-encoding", "content-type"):  # the library's own
            headers.pop(name, None)
        headers["accept-encoding"] = "identity"
        call.target = f"{url.scheme}://{url.raw_host.decode()}:{url.port or SCHEMES[url.scheme]}"
        way = _Way(call)
        limit = httpx2.Timeout(request.timeout_in_seconds, connect=request.connection_timeout_in_seconds)
        async with httpx2.AsyncClient(transport=way, headers=headers, timeout=limit, trust_env=False) as client:
            work = asyncio.create_task(_session(config, str(url), client, call, state))
            broken = asyncio.create_task(way.broken.wait())
            try:
                await asyncio.wait({work, broken}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    await asyncio.wait({work}, timeout=0.05)  # what the server says of it may be on its way
            finally:
                work.cancel()
                broken.cancel()
                await asyncio.wait({work, broken}, timeout=BYE_S)
            if way.status == 401 and token and isinstance(request.authentication, OAuth):
                self._http.tokens.forget(request.authentication, token)
            return _outcome(work, way)


class _State:
    """`sent`: the call of the tool is on its way. `harmless`: the tool says that it may be called again."""

    sent = False
    harmless = False


class _Way(httpx2.AsyncBaseTransport):
    """Where the library's requests pass to the gate's client. `broken` is set with the first POST that fails, and `error` says how."""

    def __init__(self, call: Call) -> None:
        self._call, self._left = call, call.answer_bytes_max
        self.broken, self.status = asyncio.Event(), 0
        self.error: BaseException | None = None
        self.after_s: float | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        tells = request.method == "POST"
        try:
            response = await self._call.client._transport.handle_async_request(request)
        except Exception as e:
            if tells:
                self._fail(e)
            raise
        if tells:
            self.status, self._call.status = response.status_code, str(response.status_code)
            self.after_s = after_s(response.headers.get("retry-after"), time.time())
            if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
                self._fail(Failed("ANSWER_UNREADABLE", "expected an answer as it is, found one that is packed"))
            elif response.status_code >= 400 or response.has_redirect_location:
                self._fail(self._refused(response))
        response.stream = _Counted(self, response.stream, tells)
        return response

    def _refused(self, response: httpx2.Response) -> Failed:
        if response.status_code < 400:
            return Failed("REDIRECT", "a POST is not sent again to another address")
        status = response.status_code
        words = f"the MCP server answered {status} {response.reason_phrase}".rstrip()
        return Failed(
            str(status), words, again=status in AGAIN, after_s=self.after_s, response={"status": status, "headers": dict(response.headers)}
        )

    def took(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            self._fail(too_large(self._call.answer_bytes_max))
            raise httpx2.ReadError("too large")

    def _fail(self, error: BaseException) -> None:
        self.error = self.error or error
        self.broken.set()

    def cut(self, error: BaseException) -> None:
        self._fail(error)


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, way: _Way, inner: Any, tells: bool) -> None:
        self._way, self._inner, self._tells = way, inner, tells

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._inner:
                self._way.took(len(piece))
                yield piece
        except Exception as e:
            if self._tells:
                self._way.cut(e)
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _session(config: McpConfig, url: str, client: httpx2.AsyncClient, call: Call, state: _State) -> dict[str, Any]:
    from mcp import ClientSession, types
    from mcp.client.streamable_http import streamable_http_client

    async with streamable_http_client(url, http_client=client, max_sse_event_size=call.answer_bytes_max) as (read, write):
        about = types.Implementation(name="flowledger", version=call.user_agent.rpartition("/")[2])
        async with ClientSession(read, write, client_info=about) as session:
            said = await session.initialize()
            tools = await _tools(session)
            if config.operation == "list":
                server = {"name": said.server_info.name, "version": said.server_info.version}
                return {
                    "server": server,
                    "tools": [plain(t.model_dump(mode="json", by_alias=True, exclude_none=True)) for t in tools.values()],
                }
            tool = tools.get(config.tool)
            if tool is None:
                there = ", ".join(list(tools)[:20]) or "none"
                raise Failed("TOOL_UNKNOWN", f"the server has no tool '{config.tool}'; there is {there}")
            _fits(tool.input_schema, config.arguments, "REQUEST_INVALID", "arguments")
            marks = tool.annotations
            state.harmless = marks is not None and bool(marks.read_only_hint or marks.idempotent_hint)
            state.sent = True
            asked = {"name": config.tool, "arguments": _numbers(config.arguments), "_meta": {KEY: call.key}}
            params = types.CallToolRequestParams.model_validate(asked)
            # not `call_tool`: it checks answers without a bound on the work that a server's schema makes
            found = await session.send_request(types.CallToolRequest(params=params), types.CallToolResult)
            return _answer(config, tool.output_schema, found)


async def _tools(session: Any) -> dict[str, Any]:
    from mcp import types

    found: dict[str, Any] = {}
    cursor = None
    for _ in range(PAGES_MAX):
        page = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None)
        found |= {tool.name: tool for tool in page.tools}
        cursor = page.next_cursor
        if not cursor:
            break
    if cursor or len(found) > TOOLS_MAX:
        raise Failed("ANSWER_TOO_LARGE", f"expected at most {TOOLS_MAX} tools on {PAGES_MAX} pages")
    return found


def _fits(schema: Any, value: Any, code: str, what: str) -> None:
    """Raises: Failed."""
    if schema is None:
        return
    if wrong := schema_rules.problems(schema, "schema"):
        raise Failed("TOOL_SCHEMA", f"the server's schema for {what} can't be used: {wrong[0][:WORDS_MAX]}")
    if wrong := schemas.check(schema, value):
        raise Failed(code, f"{what}: {'; '.join(wrong[:5])}")


def _answer(config: McpConfig, schema: Any, found: Any) -> dict[str, Any]:
    """Raises: Failed."""
    content = [plain(block.model_dump(mode="json", by_alias=True, exclude_none=True)) for block in found.content]
    text = "\n".join(block["text"] for block in content if block.get("type") == "text" and isinstance(block.get("text"), str))
    answer = {"tool": config.tool, "isError": found.is_error, "text": text, "value": plain(found.structured_content), "content": content}
    if found.is_error:
        if config.errors == "fail":
            raise Failed("TOOL", f"the tool {config.tool} fails: {' '.join(text.split())[:WORDS_MAX] or 'without a word'}", response=answer)
    elif schema is not None:
        _fits(schema, answer["value"], "ANSWER_SHAPE", "the tool's answer")
    return answer


def _numbers(value: Any) -> Any:
    """Fractions as the library writes them: of exact ones it makes texts."""
    if isinstance(value, dict):
        return {k: _numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    return value if value is None or isinstance(value, (bool, int, str)) else float(value)


def _outcome(work: asyncio.Task[dict[str, Any]], way: _Way) -> dict[str, Any]:
    """What the session came to; what broke below it says more than what the library makes of that. Raises: whatever it was."""
    if work.done() and not work.cancelled() and work.exception() is None:
        return work.result()
    said = None if not work.done() or work.cancelled() else _innermost(work.exception())
    if isinstance(said, Failed):
        raise said
    if way.error is not None:
        raise way.error
    if isinstance(said, ValidationError):
        raise Failed(
            "ANSWER_UNREADABLE",
            f"the server's answer is not as the protocol has it: {said.errors(include_input=False)[0]['msg'][:WORDS_MAX]}",
        )
    if said is None:
        raise Failed("CUT", "the session ended without an answer", again=True)
    code = getattr(getattr(said, "error", None), "code", None)
    words = " ".join(str(said).split())[:WORDS_MAX]
    if (code == -32000 and "closed" in words.lower()) or "without a response" in words:
        raise Failed("CUT", "the connection broke", again=True)
    raise Failed("MCP", f"the server answers with an error{f' {code}' if code is not None else ''}: {words}")


def _innermost(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup):
        error = next((e for e in error.exceptions if isinstance(_innermost(e), Failed)), error.exceptions[0])
    return error


def _judged(error: BaseException, config: McpConfig, state: _State) -> BaseException:
    """Whether a tool is called again after a call of which nobody knows what it did."""
    found = failed(error)
    if found is None or not state.sent or not found.again or found.code in ("429", "CONNECT", "CONNECT_TIMEOUT", "UNRESOLVED", "BUSY"):
        return found or error
    if config.repeat == "never" or (config.repeat == "marked" and not state.harmless):
        found.again = False
        found.message += "; whether the tool did it is not known, and it doesn't say that it may be called again (repeat)"
    return found

"""Protected values on their way out: one place for all routes, streams and sockets.

What is protected is sealed wherever it stands (`kernel/protection.py`), so whatever a handler answers has sealed texts in it, and this layer, around the
application, puts something else in their place: the mask; or the value, where somebody asked for clear text with a reason, has the right, and the ledger
has it written down before the answer goes. What has been erased is told as erased. Nobody ever gets the sealed text.

Clear text is asked for by the header `X-Clear-Text: WHY`. A handler may say itself that its answer is for somebody who must see it (`may_see`): who works
on a task sees its form.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import unquote

from litestar.connection import ASGIConnection
from litestar.types import Send

from flowledger.api.access.door import CLEAR
from flowledger.api.openapi import operation_id
from flowledger.api.problems import MEDIA_TYPE, Problem, encode_problem
from flowledger.events.avro import encode_json
from flowledger.events.base import Rejected
from flowledger.events.control import NoteReading
from flowledger.kernel.operations import NAMES_MAX
from flowledger.kernel.protection import ERASED, MASKED, PREFIX, Erased, KeysAway, Sealed, sealed

_MARK = PREFIX.encode()
_SEALED = re.compile(rb'(?<!\\)"(flk1\.[a-z][a-z0-9_-]*\.[A-Za-z0-9_-]+\.[0-9]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+)"')
_ANYWHERE = re.compile(rb"flk1\.[a-z][a-z0-9_-]*\.[A-Za-z0-9_-]+\.[0-9]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+")
#: in the scope of a request: why its answer may show clear text
WHY = "flowledger_clear"
NOTE_S = 10.0
#: values that one answer may open
OPENED_MAX = 10_000
REASON_MAX = 500


def masked(body: bytes) -> bytes:
    """Without sealed texts."""
    return _ANYWHERE.sub(MASKED.encode(), body) if _MARK in body else body


def masked_values(values: Any) -> Any:
    """The same of JSON values."""
    if isinstance(values, str):
        return MASKED if sealed(values) is not None else values
    if isinstance(values, dict):
        return {name: masked_values(value) for name, value in values.items()}
    return [masked_values(value) for value in values] if isinstance(values, list) else values


def may_see(request: Any, why: str) -> None:
    """The answer to this request is for somebody who has to see what is protected in it."""
    if request.app.state["services"].vault is not None:
        request.scope[WHY] = why


def why_of(header: str) -> str:
    """Raises: Problem (400)."""
    why = unquote(header).strip()
    if not 0 < len(why) <= REASON_MAX:
        raise Problem("MALFORMED", f"a reason of 1 to {REASON_MAX} characters was expected", where="header X-Clear-Text")
    return why


async def read_by(services: Any, caller: Any, read: list[Sealed], about: tuple[str, str], why: str) -> None:
    """Write down who sees what, before it is shown. Raises: Problem (503): it isn't written down."""
    command = NoteReading(
        operation="read_protected", kind=about[0], subject=about[1], names=sorted({s.name for s in read})[:NAMES_MAX],
        instances=sorted({s.origin for s in read if s.origin})[:NAMES_MAX], classes=sorted({s.cls for s in read}), reason=why,
    )  # fmt: skip
    await noted(services, caller, command)


async def noted(services: Any, caller: Any, command: NoteReading) -> None:
    """Raises: Problem (503)."""
    answer = await services.client.call(command, caller, timeout_s=NOTE_S)
    if isinstance(answer, Rejected):
        raise Problem("UNAVAILABLE", f"clear text is shown once that is on the ledger: {answer.message}", retry_after_ms=1000)


class Veil:
    """Of one process. `services` has the vault, the client of the ledger, and who asks."""

    def __init__(self, services: Any) -> None:
        self._services = services

    def over(self, scope: Any, send: Send) -> Send:
        """`send` of a request, behind which nothing sealed comes out."""
        begun: list[Any] = []

        async def sent(message: Any) -> None:
            kind = message["type"]
            if kind == "http.response.start":
                begun.append(message)  # its length may be another
                return
            if kind == "http.response.body":
                body = message.get("body", b"")
                if _MARK in body:
                    message = await self._veiled(scope, begun, message, body)
                if begun:
                    await send(begun.pop())
            elif kind == "websocket.send":
                text = message.get("text")
                if text is not None and PREFIX in text:
                    message = {**message, "text": masked(text.encode()).decode()}
                elif (data := message.get("bytes")) is not None and _MARK in data:
                    message = {**message, "bytes": masked(data)}
            await send(message)

        return sent

    async def _veiled(self, scope: Any, begun: list[Any], message: Any, body: bytes) -> Any:
        start: Any = begun[0] if begun else None
        if start is None or message.get("more_body"):  # one of several pieces: as long as it was, where a length was said
            return {**message, "body": _as_long(body)}
        try:
            made = await self._shown(scope, body)
        except Problem as p:
            made = encode_problem(p, scope["path"])
            start["status"] = p.status
            start["headers"] = [(n, v) for n, v in start["headers"] if n.lower() != b"content-type"] + [
                (b"content-type", MEDIA_TYPE.encode())
            ]
        start["headers"] = [
            (n, b"%d" % len(made) if n.lower() == b"content-length" else v) for n, v in start["headers"] if n.lower() != b"etag"
        ]
        return {**message, "body": made}

    async def _shown(self, scope: Any, body: bytes) -> bytes:
        """Raises: Problem (503): clear text was asked for and can't be had, or not be written down."""
        vault, why = self._services.vault, scope.get(WHY) or scope.get(CLEAR)
        if not why or vault is None:
            return masked(body)
        connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope)
        caller = self._services.asking(connection)
        try:
            shown, read = await asyncio.to_thread(opened, vault, caller.tenant, body)
        except KeysAway as e:
            raise Problem("UNAVAILABLE", f"the keys of protected values can't be had: {e}", retry_after_ms=1000) from None
        if read:
            params = scope.get("path_params") or {}
            operation = operation_id(scope["route_handler"], scope["method"], []) if "route_handler" in scope else ""
            about = operation.partition("_")[2], str(params.get("id") or params.get("key") or "")
            await read_by(self._services, caller, read, about, why)
        return shown


def opened(vault: Any, tenant: str, body: bytes) -> tuple[bytes, list[Sealed]]:
    """The body in clear text, and what was opened. Raises: KeysAway."""
    read: list[Sealed] = []

    def each(found: re.Match[bytes]) -> bytes:
        text = found[1].decode()
        about = sealed(text)
        if about is None or len(read) >= OPENED_MAX:
            return b'"' + MASKED.encode() + b'"'
        try:
            value = vault.open(tenant, text, False)
        except Erased:
            return b'"' + ERASED.encode() + b'"'
        if value == text:  # moved or changed
            return b'"' + MASKED.encode() + b'"'
        read.append(about)
        return encode_json(value)

    return masked(_SEALED.sub(each, body)), read


def _as_long(body: bytes) -> bytes:
    """Masked, with spaces for what was longer."""
    return _ANYWHERE.sub(lambda m: MASKED.encode().ljust(len(m[0])), body)

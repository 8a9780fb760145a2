"""Talks to a server over HTTP, with the standard library alone: importing it costs nothing."""

from __future__ import annotations

import http.client
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NoReturn
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from flowledger import __version__
from flowledger.infra.cli.output import NO, UNREACHABLE, USAGE, Failed, command, fail, for_programs
from flowledger.infra.variables import misspelt

DEFAULT = "http://127.0.0.1:8080"
TIMEOUT_S = 70.0


class Server:
    """`actor` and `tenant` go along as headers, and an API key: that of FLOWLEDGER_API_KEY (or FLOWLEDGER_TOKEN), else what `login` has kept."""

    def __init__(self, url: str = "", clear: str = "") -> None:
        """`clear`: why protected values are to be told in clear text."""
        self._clear = quote(clear)
        for found, meant in misspelt(os.environ):
            sys.stderr.write(f"{found} is unknown; did you mean {meant}?\n")
        said = url or os.environ.get("FLOWLEDGER_SERVER") or DEFAULT
        self.url = said if said.endswith("://") else said.rstrip("/")
        try:
            parts = urlsplit(self.url if "//" in self.url else "http://" + self.url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            fail(f"--server must be like {DEFAULT}, found {url!r}", USAGE)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.open: Callable[[], http.client.HTTPConnection] = lambda: kind(parts.hostname or "", port, timeout=TIMEOUT_S)
        self._base = parts.path
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, headers=headers)

    def call(
        self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        """The answer's JSON. Fails with the problem's own words."""
        status, answer = self.ask(method, path, body, query, headers)
        if status >= 400:
            problem(status, answer)
        return answer

    def ask(
        self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON of the answer, whatever it is."""
        sent = self._headers(headers)
        data = None
        if body is not None:
            data = msgspec.json.Encoder(decimal_format="number").encode(body)
            sent["Content-Type"] = "application/json"
        return self._send(method, self._target(path, query), data, sent)

    def _headers(self, more: dict[str, str] | None) -> dict[str, str]:
        sent = {"Accept": "application/json, */*;q=0.5", "X-Actor": os.environ.get("FLOWLEDGER_ACTOR") or _user()}
        sent["User-Agent"] = f"flowledger-cli/{__version__}"
        if tenant := os.environ.get("FLOWLEDGER_TENANT"):
            sent["X-Tenant"] = tenant
        if approval := os.environ.get("FLOWLEDGER_APPROVAL"):
            sent["X-Approval"] = approval
        if shown := os.environ.get("FLOWLEDGER_STEP_UP_ID"):
            sent["X-Step-Up"] = shown
        if self._clear:
            sent["X-Clear-Text"] = self._clear
        if "Authorization" not in (more or {}) and (token := self._key()):
            sent["Authorization"] = f"Bearer {token}"
        return sent | {k.replace("_", "-"): v for k, v in (more or {}).items()}

    def _target(self, path: str, query: dict[str, Any] | None = None) -> str:
        if any(part in ("", ".", "..") for part in path.split("/")[1:]):  # it would name something else
            fail(f"an id or a name was expected, found none that can stand in {path}", USAGE)
        asked = {k: v for k, v in (query or {}).items() if v not in (None, "", [])}
        return self._base + quote(path, safe="/.") + ("?" + urlencode(asked, doseq=True) if asked else "")

    def text(self, path: str, **query: Any) -> str:
        """An answer that isn't JSON, or isn't to be read as such."""
        return self.raw(path, **query).decode("utf-8", "replace")

    def raw(self, path: str, **query: Any) -> bytes:
        """An answer that is no text."""
        status, raw = self._exchange("GET", self._target(path, query), None, self._headers(None))
        if status >= 400:
            problem(status, _decoded(raw))
        return raw

    def stream(
        self, method: str, path: str, body: BinaryIO | None = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """An answer that is read piece by piece, to a body that is. Fails with the problem's own words."""
        connection = self.open()
        try:
            connection.request(method, self._target(path), body, self._headers(headers))
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as e:
            self.unreachable(e)
        if response.status >= 400:
            problem(response.status, _decoded(response.read()))
        return response

    def _send(self, method: str, target: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
        status, raw = self._exchange(method, target, data, headers)
        return status, _decoded(raw)

    def _exchange(self, method: str, target: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            connection = self._connection or self.open()
            self._connection = connection
            connection.request(method, target, data, headers)
            response = connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException) as e:
            self._connection = None
            self.unreachable(e)
        return response.status, raw

    def unreachable(self, e: Exception) -> NoReturn:
        why = getattr(e, "strerror", None) or type(e).__name__
        fail(f"no server answers at {self.url} ({why})", UNREACHABLE, f"start one with `{command()} dev`, or name it with --server URL")

    def _key(self) -> str:
        from flowledger.infra.cli.device import token_for
        from flowledger.infra.cli.keys import keys

        given = os.environ.get("FLOWLEDGER_API_KEY") or os.environ.get("FLOWLEDGER_TOKEN")
        return given or keys().get(self.url) or token_for(self.url)

    def pages(self, path: str, limit: int, **query: Any) -> Iterator[dict[str, Any]]:
        """Items of a list, page by page, `limit` of them at most (0: all)."""
        left = limit or 1 << 60
        while left > 0:
            page = self.get(path, limit=min(left, 200), **query)
            yield from page["items"][:left]
            left -= len(page["items"])
            if not page.get("cursor"):
                return
            query["cursor"] = page["cursor"]

    @staticmethod
    def new_id() -> dict[str, str]:
        """Header that makes a repeated command harmless."""
        return {"Idempotency_Key": uuid.uuid4().hex}


def _decoded(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw) if raw else {}
    except msgspec.DecodeError:
        return raw.decode("utf-8", "replace")


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def problem(status: int, answer: Any) -> None:
    if not isinstance(answer, dict):
        fail(f"the server answered {status}: {str(answer)[:200]}")
    if answer.get("findings") and not for_programs():
        from flowledger.infra.cli.models import show_findings

        show_findings(answer["findings"])
    text = answer.get("detail") or answer.get("title") or f"status {status}"
    where = ", ".join(e["where"] for e in answer.get("errors", ()) if e.get("where"))
    message = f"{text}{f' (at {where})' if where else ''} [{answer.get('code', status)}]"
    hint = f"sign in with `{command()} login`, or set FLOWLEDGER_API_KEY" if status == 401 else ""
    if isinstance(asked := answer.get("step_up"), dict):
        hint = f"show your passkey in a browser on this server's page {asked['page']}, then say the same again with FLOWLEDGER_STEP_UP_ID={asked['id']} before it"
    raise Failed(message, UNREACHABLE if status in (502, 503) else NO, hint, problem=answer)

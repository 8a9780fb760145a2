"""Secrets of HashiCorp Vault or OpenBao: one secret of a KV version 2 engine, whose fields are the names.

Source: Vault's HTTP API, "KV secrets engine, version 2": `GET /v1/<mount>/data/<path>` answers `{"data": {"data": {NAME: value}}}`. The token is read
for each request, so that an agent may renew it in its file. What was read is good for `FRESH_S`, so a rotated value is used soon after.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

FRESH_S = 10.0
TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 1024 * 1024


class Vault:
    """`url`: `https://host:8200/MOUNT/PATH`. Raises: ValueError."""

    def __init__(self, url: str, token: Callable[[], str], ca_file: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        mount, _, path = parts.path.strip("/").partition("/")
        if parts.scheme not in ("http", "https") or not parts.hostname or not mount or not path or parts.username or parts.query:
            raise ValueError("expected vault:https://HOST:PORT/MOUNT/PATH")
        self.name = f"vault:{parts.scheme}://{parts.netloc}/{mount}/{path}"
        self._url = f"{parts.scheme}://{parts.netloc}/v1/{mount}/data/{path}"
        self._token, self._ca_file, self._clock = token, ca_file, clock
        self._read: tuple[float, dict[str, Any]] | None = None
        self._lock = threading.Lock()

    def get(self, name: str) -> str | None:
        with self._lock:
            if self._read is None or self._clock() - self._read[0] > FRESH_S:
                self._read = self._clock(), self._fetch()
            value = self._read[1].get(name)
        if value is not None and not isinstance(value, str):
            raise ValueError("expected a text")
        return value

    def _fetch(self) -> dict[str, Any]:
        import httpx2

        verify: Any = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
        try:
            with httpx2.Client(timeout=TIMEOUT_S, verify=verify, trust_env=False) as client:
                answer = client.get(self._url, headers={"x-vault-token": self._token(), "x-vault-request": "true"})
        except httpx2.HTTPError as e:
            raise ConnectionError(0, f"no answer ({type(e).__name__})") from None
        if answer.status_code == 404:
            return {}
        if answer.status_code in (400, 401, 403):
            raise ValueError(f"it refuses us: HTTP {answer.status_code} (token, policy or path)")
        if answer.status_code != 200:
            raise ConnectionError(0, f"HTTP {answer.status_code}")
        try:
            found = answer.json()["data"]["data"]
        except (ValueError, KeyError, TypeError):
            found = None
        if not isinstance(found, dict) or len(answer.content) > ANSWER_BYTES_MAX:
            raise ValueError("expected the answer of a KV version 2 engine")
        return found

"""One request to a receiver, and what came of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import httpx2

from flowledger import __version__
from flowledger.connectors.frame import Failed
from flowledger.connectors.outcomes import after_s, failed
from flowledger.connectors.webhooks import signing
from flowledger.infra.egress import Gate
from flowledger.infra.secrets import SecretError, Secrets
from flowledger.infra.secrets.mask import Mask
from flowledger.kernel.values import clean
from flowledger.logs import log

#: for all of a request: the standard's recommendation (seconds)
TIMEOUT_S = 20.0
#: of an answer so much is read, so that the connection can be used again; nobody looks at it
ANSWER_BYTES = 16 * 1024
AGENT = f"flowledger-webhooks/{__version__}"
#: answers that say something of the receiver as a whole, not of one event
_TROUBLE = frozenset({408, 429})


class NotNow(Exception):
    """Nothing can be sent at all: a secret can't be had, or the gate refuses the address. `code`, and words without any secret."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(slots=True)
class Result:
    """`outcome`: as `Attempt.outcome`. `trouble`: the receiver as a whole is unwell. `after_s`: it wants no other before."""

    outcome: str
    code: str = ""
    status: int = 0
    ms: int = 0
    after_s: float = 0.0
    trouble: bool = False


class Post:
    """Sends for all webhooks of a process."""

    def __init__(self, client: httpx2.AsyncClient, gate: Gate, secrets: Secrets, timeout_s: float = TIMEOUT_S) -> None:
        self.client, self.gate, self.secrets, self.timeout_s = client, gate, secrets, timeout_s

    async def __call__(self, url: str, secrets: list[str], id: str, body: bytes) -> Result:
        """Raises: NotNow."""
        mask = Mask()
        try:
            values = await self.secrets.resolve(secrets)
            mask.add(*values.values())
            keys = [signing.key_of(values[name]) for name in secrets]
        except SecretError as e:
            raise NotNow(e.code, e.message) from None
        except ValueError as e:
            raise NotNow("SECRET_UNUSABLE", f"a secret of {', '.join(secrets)}: {e}") from None
        began = time.perf_counter()
        headers = {"content-type": "application/json", "user-agent": AGENT, **signing.headers(keys, id, int(time.time()), body)}
        try:
            async with asyncio.timeout(self.timeout_s):
                found = await self._send(url, headers, body)
        except Exception as e:  # noqa: BLE001 - whatever a call ends with is its outcome
            found = self._of_error(e, mask)
        found.ms = int((time.perf_counter() - began) * 1000)
        return found

    async def _send(self, url: str, headers: dict[str, str], body: bytes) -> Result:
        request = self.client.build_request(
            "POST", self.gate.url(url), headers=headers, content=body, timeout=httpx2.Timeout(self.timeout_s)
        )
        response = await self.client.send(request, stream=True)
        try:
            status = response.status_code
            await self._rest(response)
        finally:
            await response.aclose()
        if 200 <= status < 300:
            return Result("delivered", status=status)
        if status == 410:
            return Result("gone", "410", status)
        after = after_s(response.headers.get("retry-after"), time.time()) or 0.0
        return Result("failed", str(status), status, after_s=after, trouble=status >= 500 or status in _TROUBLE)

    @staticmethod
    async def _rest(response: httpx2.Response) -> None:
        """What is known already isn't undone by how the answer goes on."""
        size = 0
        try:
            async with asyncio.timeout(1.0):
                async for part in response.aiter_raw():
                    if (size := size + len(part)) > ANSWER_BYTES:
                        return
        except (httpx2.HTTPError, TimeoutError):
            return

    @staticmethod
    def _of_error(e: Exception, mask: Mask) -> Result:
        """Raises: NotNow."""
        found = failed(e)
        if found is None:
            log("webhooks").error("a webhook failed", exc_info=e)
            found = Failed("DEFECT", type(e).__name__)
        if found.code in ("EGRESS_REFUSED", "CONFIGURATION"):
            raise NotNow(found.code, mask.text(clean(found.message, 400))) from None
        return Result("failed", found.code, trouble=True)

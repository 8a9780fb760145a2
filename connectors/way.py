"""How a request to a service of a cloud goes out: for a job, or for a source of triggers, which has no call."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import httpx2

from flowledger.connectors.frame import Call
from flowledger.connectors.http import body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowledger.infra.egress import Gate


class Way(NamedTuple):
    """`seconds`: that it may take. `call`: of whom target and status are told."""

    gate: Gate
    client: httpx2.AsyncClient
    agent: str
    answer_bytes_max: int
    seconds: float
    call: Call | None = None

    @classmethod
    def of(cls, call: Call, seconds: float) -> Way:
        return cls(call.gate, call.client, call.user_agent, call.answer_bytes_max, seconds, call)

    def to(self, url: str) -> httpx2.URL:
        """The address, where it may be gone to. Raises: what the gate raises."""
        found = self.gate.url(url)
        if self.call is not None:
            self.call.target = f"{found.scheme}://{found.netloc.decode()}"
        return found

    async def send(self, method: str, url: httpx2.URL, headers: Mapping[str, str], data: bytes | None) -> tuple[httpx2.Response, bytes]:
        """The answer, whatever its status, and its body. Raises: Failed, and what httpx2 raises."""
        headers = {**headers, "user-agent": self.agent, "accept-encoding": "identity"}
        request = self.client.build_request(method, url, headers=headers, content=data, timeout=httpx2.Timeout(self.seconds))
        response, found = await body.exchanged(self.client, request, self.answer_bytes_max)
        if self.call is not None:
            self.call.status = str(response.status_code)
        return response, found

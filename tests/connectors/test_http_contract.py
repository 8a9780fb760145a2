"""The HTTP connector against the contract that all connectors pass."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.conftest import Request, Target
from tests.connectors.contract import SECRET, Contract, Rig


class HttpRig(Rig):
    connector = "http"
    secret_at = "authentication.token"
    wrong_code = "401"

    def __init__(self, target: Target) -> None:
        self.to, self.key, self.target = ("127.0.0.1", target.port), SECRET, target
        target.routes |= {"/book": self._book, "/big": (200, {}, {"text": "x" * 5000})}

    def _book(self, request: Request) -> tuple[int, dict[str, str], Any]:
        return (200, {}, {"number": 7}) if request.headers.get("authorization") == f"Bearer {self.key}" else (401, {}, b"")

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        auth = {"type": "bearer", "token": "{{secrets.KEY}}"}
        return {"url": f"http{'s' if tls else ''}://{host}:{port}/book", "method": "POST", "body": {"a": 1}, "authentication": auth}

    def checked(self, answer: Any) -> None:
        assert (answer["status"], answer["body"]) == (200, {"number": 7})

    async def rotate(self, value: str) -> None:
        self.key = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"url": f"http://{host}:{port}/big"}, {}

    async def effects(self) -> list[str]:
        return [r.headers["idempotency-key"] for r in self.target.seen]


class TestContract(Contract):
    @pytest.fixture
    async def rig(self, target: Target) -> Rig:
        return HttpRig(target)

"""Accounts on a real PostgreSQL beside a scripted engine, with a clock of our own and a cheap Argon2: what takes 50 ms for a reason takes 1 here."""

from __future__ import annotations

import io
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from argon2 import PasswordHasher

import flowledger.signin
from flowledger.api import job_stream
from flowledger.api.access.changes import Accounts
from flowledger.api.access.door import Door
from flowledger.api.access.known import Known
from flowledger.api.app import create_app
from flowledger.api.services import Services
from flowledger.api.workers import Workers
from flowledger.connectors import api as connectors
from flowledger.events.base import Rejected
from flowledger.infra.accounts.secrets import Passwords
from flowledger.infra.accounts.store import Store
from flowledger.infra.settings import Settings
from flowledger.plugins import api as plugins
from tests.api.conftest import RowsInMemory, ScriptedClient
from tests.cli.conftest import running, settings_for

PASSWORD = "correct horse battery"
HOST = "http://127.0.0.1:8080"


def first_admin(url: str, said: io.StringIO, **more: Any) -> httpx2.Client:
    """Whoever follows the link that the first start of a server says is signed in."""
    deadline = time.monotonic() + 60
    while not (link := re.search(r"/sign-in#(\S+)", said.getvalue())):
        assert time.monotonic() < deadline, "the first start says a link"
        time.sleep(0.05)
    http = httpx2.Client(base_url=url, timeout=60, **more)
    answer = http.post("/v1/session/link", json={"link": link[1], "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    http.headers["x-csrf-token"] = answer.json()["csrf"]
    return http


@contextmanager
def local_server(empty_database: Any, data: Path, **more: Any) -> Iterator[Any]:
    """A whole server with accounts of its own, and `more` settings; `system.said` is where it says its one-time link."""
    said = io.StringIO()

    class Errors:
        stderr = said

    kept, flowledger.signin.sys = flowledger.signin.sys, Errors  # type: ignore[assignment, attr-defined]
    try:
        with empty_database() as url:
            settings = settings_for(data, url, roles=("api", "owner", "projector", "grpc"), **{"auth": "local", **more})
            with running(settings) as found:
                found.system.said = said
                yield found
    finally:
        flowledger.signin.sys = kept  # type: ignore[attr-defined]


class Clock:
    """Microseconds UTC."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += int(seconds * 1e6)


class Ledger(ScriptedClient):
    """Remembers what it was told of accounts."""

    def told(self) -> list[tuple[str, str, dict[str, Any]]]:
        return [
            (caller.actor, c.name, c.value) for c, caller, _ in self.calls if type(c).__name__ == "StoreRecord" and c.registry == "identity"
        ]

    def takes_nothing(self) -> None:
        self.answers["StoreRecord"] = Rejected("UNAVAILABLE", "no owner")


class World(NamedTuple):
    accounts: Accounts
    known: Known
    store: Store
    ledger: Ledger
    reads: RowsInMemory
    clock: Clock
    app: Any

    def client(self, key: str = "", **headers: str) -> httpx2.AsyncClient:
        """A browser or a program of its own: with its own cookies."""
        more = {"authorization": f"Bearer {key}"} if key else {}
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app, raise_app_exceptions=False), base_url=HOST, headers=more | headers
        )

    async def user(self, name: str, *roles: str, tenants: tuple[str, ...] = ("",)) -> httpx2.AsyncClient:
        """Somebody who has chosen a password and has signed in; what is sent carries their token."""
        from flowledger.processors.client import Caller

        _, link = await self.accounts.make_user(Caller("admin"), name, list(roles), list(tenants))
        http = self.client()
        said = await http.post("/v1/session/link", json={"link": link, "password": PASSWORD})
        assert said.status_code == 200, said.text
        http.headers["x-csrf-token"] = said.json()["csrf"]
        return http

    async def admin(self) -> httpx2.AsyncClient:
        made = await self.accounts.first()
        assert made is not None
        http = self.client()
        said = await http.post("/v1/session/link", json={"link": made[1], "password": PASSWORD})
        http.headers["x-csrf-token"] = said.json()["csrf"]
        return http


_APP: Any = None


def _app(services: Services) -> Any:
    """One application for all tests, since its routes take a while to be made; each test has services of its own."""
    global _APP
    if _APP is None:
        more = [*job_stream.handlers(services.client, services.workers, services.identify), *connectors.HANDLERS, *plugins.HANDLERS]
        _APP = create_app(services, more)
    guard = _APP.asgi_handler
    guard.__init__(guard.app, services)
    _APP.state["services"] = services
    return _APP


@pytest.fixture(scope="module")
def database(empty_database: Callable[..., Any]) -> Iterator[str]:
    with empty_database() as url:
        yield url


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    store, clock, settings = Store(database), Clock(), Settings(auth="local", subscription_s_max=0.1, wait_ms_max=200)
    await store.open()
    await store.prepared()
    await store.rows("TRUNCATE users, api_keys, sessions, guests, passkeys, challenges, people, groups, members")
    known, ledger, reads = Known(store, settings, clock), Ledger(), RowsInMemory()
    await known.refresh()
    accounts = Accounts(known, ledger, settings, Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)))  # type: ignore[arg-type]
    services = Services(ledger, reads, settings)  # type: ignore[arg-type]
    services.sign_in_with(Door(known, settings), accounts)
    services.workers = Workers()
    yield World(accounts, known, store, ledger, reads, clock, _app(services))
    await store.close()

"""A whole system in a thread: embedded log, real PostgreSQL, HTTP on a free port. One for all tests of this folder."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from flowledger.infra.settings import Settings
from flowledger.system import System


class Running(NamedTuple):
    url: str
    data: Path
    postgres: str
    system: Any


@contextmanager
def empty_database(postgres_url: str, name: str) -> Iterator[str]:
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]
        conn.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    yield psycopg.conninfo.make_conninfo(postgres_url, dbname=name)
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def database(postgres_url: str) -> Iterator[str]:
    """A database of our own, empty; each worker of a parallel run has its own."""
    with empty_database(postgres_url, f"flowledger_cli_{os.getpid()}") as url:
        yield url


@pytest.fixture
def own_server(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Iterator[Running]:
    """One of a test's own, with the settings of its parameter."""
    with (
        empty_database(postgres_url, f"flowledger_own_{os.getpid()}") as url,
        running(settings_for(tmp_path, url, **getattr(request, "param", {}))) as found,
    ):
        yield found


@contextmanager
def running(settings: Settings) -> Iterator[Running]:
    """A whole system in a thread, until it is left."""
    up, end, said = threading.Event(), threading.Event(), []

    async def serve() -> None:
        async with System(settings) as system:
            said.append(system)
            up.set()
            while not end.is_set():
                await asyncio.sleep(0.05)

    def body() -> None:
        try:
            asyncio.run(serve())
        except BaseException as e:
            said.append(e)
            up.set()

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    assert up.wait(60) and not isinstance(said[0], BaseException), said
    yield Running(said[0].url, settings.data, settings.postgres, said[0])
    end.set()
    thread.join(30)
    assert not thread.is_alive(), "the system goes down when it is told to"


def settings_for(data: Path, postgres: str, **more: Any) -> Settings:
    roles = ("api", "owner", "projector")
    return Settings(data=data, postgres=postgres, port=0, grpc_port=0, partitions=2, durability="normal", roles=roles, **more)


@pytest.fixture(scope="session")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("system"), database)) as found:
        yield found

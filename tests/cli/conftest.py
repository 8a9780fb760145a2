"""A whole system in a thread: embedded log, real PostgreSQL, HTTP on a free port. One for all tests of this folder."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from flowledger.__main__ import build
from flowledger.infra.settings import Settings


class Running(NamedTuple):
    url: str
    data: Path
    postgres: str
    system: Any


@pytest.fixture(scope="session")
def database(postgres_url: str) -> Iterator[str]:
    """A database of our own, empty."""
    name = f"flowledger_cli_{os.getpid()}"  # each worker of a parallel run has its own
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]
        conn.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    yield psycopg.conninfo.make_conninfo(postgres_url, dbname=name)
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("system")
    settings = Settings(
        data=data, postgres=database, port=0, grpc_port=0, partitions=2, durability="normal", roles=("api", "owner", "projector")
    )
    up, end, said = threading.Event(), threading.Event(), []

    async def serve() -> None:
        async with build(settings) as system:
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
    yield Running(said[0].url, data, database, said[0])
    end.set()
    thread.join(30)
    assert not thread.is_alive(), "the system goes down when it is told to"

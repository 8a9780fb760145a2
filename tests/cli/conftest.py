"""A whole system in a thread: embedded log, real PostgreSQL, HTTP on a free port. One for all tests of this folder."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flowledger.infra.cli.main import run
from flowledger.infra.settings import Settings
from flowledger.system import System


class Running(NamedTuple):
    url: str
    data: Path
    postgres: str
    system: Any


@pytest.fixture(scope="session")
def database(empty_database: Any) -> Iterator[str]:
    """A database of our own, empty; each worker of a parallel run has its own."""
    with empty_database() as url:
        yield url


@pytest.fixture
def own_server(request: pytest.FixtureRequest, empty_database: Any, tmp_path: Path) -> Iterator[Running]:
    """One of a test's own, with the settings of its parameter."""
    with empty_database() as url, running(settings_for(tmp_path, url, **getattr(request, "param", {}))) as found:
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


@pytest.fixture(scope="module")
def server_with_grpc(empty_database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One of its own, with all doors."""
    with empty_database() as url:
        settings = settings_for(tmp_path_factory.mktemp("doors"), url, roles=("api", "owner", "projector", "grpc"))
        with running(settings) as found:
            yield found


@pytest.fixture
def two_servers(empty_database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Running]]:
    """A test environment and a productive one, of a test's own."""
    with empty_database() as first, empty_database() as second:
        one, other = (settings_for(tmp_path_factory.mktemp(name), url) for name, url in (("test", first), ("productive", second)))
        with running(one) as test, running(other) as productive:
            yield test, productive


def settings_for(data: Path, postgres: str, roles: tuple[str, ...] = ("api", "owner", "projector"), **more: Any) -> Settings:
    return Settings(data=data, postgres=postgres, port=0, grpc_port=0, partitions=2, durability="normal", roles=roles, **more)


@pytest.fixture(scope="session")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("system"), database)) as found:
        yield found


@pytest.fixture
def command_line(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`command_line("start", "x")` -> (exit code, stdout, stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def at_server(
    command_line: Callable[..., tuple[int, str, str]], server: Running, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """The same, at the server of these tests."""
    monkeypatch.setenv("FLOWLEDGER_SERVER", server.url)
    return command_line


@pytest.fixture
def done(at_server: Any) -> Callable[..., str]:
    """A command that ends as expected, and what it says (of one that fails: on both channels)."""

    def call(*arguments: object, expect: int = 0) -> str:
        code, out, err = at_server(*arguments)
        assert code == expect, (out, err)
        return str(out if not expect else out + err)

    return call


def until(look: Callable[[], Any]) -> Any:
    """What it found, in the end."""
    deadline = time.monotonic() + 120
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return found

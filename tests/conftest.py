"""Real servers for the tests, started once a session (for all xdist workers together) and only when a test asks for one.

`kafka_bootstrap`: KAFKA_BOOTSTRAP if set, else a container when an engine answers, else our own one-node broker.
`postgres_url`: POSTGRES_URL if set, else the embedded PostgreSQL.

With CI=true whatever a test can't have (a server, a tool, reference data) is a failure: no test is skipped there, neither by itself, nor with its
module, nor because the set of its parameters is empty, unless the reason begins with `not asked for: `. Elsewhere it is skipped, with the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from flowledger.infra import secret_text
from flowledger.infra.kafka_broker import Broker, BrokerUnavailable, locked
from flowledger.infra.postgres_server import PostgresUnavailable
from flowledger.infra.postgres_server import start as start_postgres
from flowledger.infra.postgres_server import stop as stop_postgres

#: How long an example takes says something of the machine, not of the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

#: Names the folder of this session's servers to the workers, which inherit the environment.
SERVERS = "FLOWLEDGER_TEST_SERVERS"
NAME = "flowledger-tests-"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        _sweep()
        folder = tempfile.mkdtemp(prefix=f"{NAME}{os.getpid()}-")
        Path(folder).chmod(0o755)
        os.environ[SERVERS] = folder
        config.add_cleanup(lambda: _stop(Path(folder)))


def _sweep() -> None:
    """Servers of sessions that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{NAME}*-*"):
        with contextlib.suppress(ValueError, OSError):
            pid = int(folder.name.removeprefix(NAME).split("-")[0])
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                _stop(folder)


def _stop(folder: Path) -> None:
    with contextlib.suppress(OSError, PostgresUnavailable):
        stop_postgres(folder / "postgres")
    with contextlib.suppress(OSError):
        Broker(folder / "kafka").kill()
    for note in folder.glob("*/server.pid"):
        with contextlib.suppress(OSError, ValueError):
            os.killpg(int(note.read_text()), signal.SIGKILL)
    with contextlib.suppress(OSError, ValueError):
        container = json.loads((folder / "kafka.json").read_text()).get("container")
        if container:
            subprocess.run(["docker", "rm", "-f", container], capture_output=True, timeout=60)
    shutil.rmtree(folder, ignore_errors=True)


def _shared(name: str, start: Callable[[Path], dict[str, str]]) -> dict[str, str]:
    """What `start` said, called by the first worker that asks. A failure is remembered too."""
    folder = Path(os.environ[SERVERS])
    note = folder / f"{name}.json"
    with locked(folder / f"{name}.lock"):
        if not note.exists():
            try:
                said = start(folder / name)
            except (BrokerUnavailable, PostgresUnavailable, OSError) as error:
                said = {"error": str(error)}
            note.write_text(json.dumps(said))
        said = json.loads(note.read_text())
    if "error" in said:
        _missing(name, said["error"])
    return said


def _missing(name: str, why: str) -> None:
    pytest.skip(f"no {name}: {why}")


def _kafka(folder: Path) -> dict[str, str]:
    return _container() or {"address": Broker(folder).up(progress=lambda line: print(line, file=sys.stderr))}


def _container() -> dict[str, str] | None:
    """Kafka in a container, when there is an engine that answers and can have the image."""
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True, timeout=20).returncode:
        return None
    try:
        # Its reaper would stop the container with the worker that started it; `_stop` does it at the end of the session.
        os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
        from testcontainers.community.kafka import KafkaContainer

        container = KafkaContainer().with_kraft()
        container.start()
        return {"address": container.get_bootstrap_server(), "container": container.get_wrapped_container().id}
    except Exception as error:  # any engine's own trouble: there is another way
        print(f"no Kafka from a container ({error}); starting our own", file=sys.stderr)
        return None


@pytest.fixture(autouse=True, scope="module")
def secrets_of_one_module() -> Iterator[None]:
    """A process hides the secrets that it has used for ever. Those of tests are common words, and would be missing in what other modules look at."""
    yield
    secret_text._used.clear()


@pytest.fixture(scope="session")
def kafka_bootstrap() -> str:
    """Address of a real Kafka, shared by the session: use topics with a prefix of your own."""
    return os.environ.get("KAFKA_BOOTSTRAP") or _shared("kafka", _kafka)["address"]


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """URL of a real PostgreSQL, shared by the session: use a schema or database of your own."""
    given = os.environ.get("POSTGRES_URL")
    return given or _shared("postgres", lambda folder: {"url": start_postgres(folder, long_lived=True)})["url"]


@pytest.fixture(scope="session")
def empty_database(postgres_url: str) -> Callable[[], contextlib.AbstractContextManager[str]]:
    """`with empty_database() as url`: a database of one's own, empty, for as long as it lasts."""

    @contextlib.contextmanager
    def make() -> Iterator[str]:
        name = f"flowledger_test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        try:
            yield psycopg.conninfo.make_conninfo(postgres_url, dbname=name)
        finally:
            with psycopg.connect(postgres_url, autocommit=True) as conn:
                conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]

    return make


@pytest.fixture
def database(empty_database: Callable[[], contextlib.AbstractContextManager[str]]) -> Iterator[str]:
    """A database for one test, empty."""
    with empty_database() as url:
        yield url


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker that one test may kill, pause and start again."""
    broker = Broker(tmp_path / "kafka")
    try:
        try:
            broker.up()
        except BrokerUnavailable as error:
            _missing("own broker", str(error))
        yield broker
    finally:
        broker.resume()
        broker.kill()


def _none_in_ci(report: Any) -> Any:
    if report.outcome == "skipped" and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        why = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        if "not asked for: " in str(why):  # what no fresh machine must have
            return report
        report.outcome, report.longrepr = "failed", f"no test is skipped with CI=true: {why}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    return _none_in_ci((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    return _none_in_ci((yield))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that ask for a server carry its marker, so that `-m "not kafka"` leaves them out. What ends a test that hangs is no measure of a
    machine: in CI, which may be slow, it comes three times as late."""
    for item in items:
        if os.environ.get("CI") == "true" and (ends := item.get_closest_marker("timeout")) is not None:
            item.add_marker(pytest.mark.timeout(3 * ends.args[0]), append=False)
        names = getattr(item, "fixturenames", ())
        if "kafka_bootstrap" in names or "own_broker" in names:
            item.add_marker(pytest.mark.kafka)
        if "postgres_url" in names:
            item.add_marker(pytest.mark.postgres)

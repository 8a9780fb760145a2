"""A target of the test's own over real sockets, and a runner of connectors without a process around it."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flowledger.connectors.catalogue import connectors
from flowledger.connectors.frame import Closing
from flowledger.connectors.runner import Runner
from flowledger.connectors.serve import Connectors
from flowledger.infra.egress import Gate
from flowledger.infra.secrets import secrets_of
from flowledger.infra.settings import Settings
from flowledger.infra.telemetry import Telemetry
from flowledger.sdk.frames import Job as Data
from flowledger.sdk.job import Job
from tests.conftest import _shared
from tests.connectors import servers

pytest.register_assert_rewrite("tests.connectors.contract")


class Request:
    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body


class Target:
    """Answers `routes[path without query]`: (status, headers, body), or a function of the request; a coroutine function gets the writer too."""

    def __init__(self) -> None:
        self.routes: dict[str, Any] = {}
        self.seen: list[Request] = []

    async def start(self) -> Target:
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
                if "chunked" in headers.get("transfer-encoding", ""):
                    body = b""
                    while size := int(await reader.readline(), 16):
                        body += (await reader.readexactly(size + 2))[:-2]
                    await reader.readline()
                else:
                    body = await reader.readexactly(int(headers.get("content-length", "0")))
                request = Request(method, path, headers, body)
                self.seen.append(request)
                route = self.routes.get(path.split("?")[0], (404, {}, b"no such path"))
                if asyncio.iscoroutinefunction(route):
                    await route(request, writer)
                    continue
                status, more, content = route(request) if callable(route) else route
                if not isinstance(content, bytes):
                    more, content = {"content-type": "application/json", **more}, json.dumps(content).encode()
                lines = "".join(f"{k}: {v}\r\n" for k, v in more.items())
                writer.write(f"HTTP/1.1 {status} Word\r\n{lines}content-length: {len(content)}\r\n\r\n".encode() + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def echo(request: Request) -> tuple[int, dict[str, str], Any]:
    return 200, {}, {"method": request.method, "path": request.path, "headers": request.headers, "body": request.body.decode("latin-1")}


@pytest.fixture(scope="session")
def mariadb_server() -> dict[str, str]:
    """`socket`, `port`, `ca`: a MariaDB with TLS, shared by the session."""
    return _shared("mariadb", servers.mariadb)


@pytest.fixture(scope="session")
def rabbitmq_server() -> dict[str, str]:
    """`port`, and what `servers.rabbitmq` says of its control program."""
    return _shared("rabbitmq", servers.rabbitmq)


@pytest.fixture(scope="session")
def redis_server() -> dict[str, str]:
    """`port`."""
    # one for each worker: its tests begin with an empty one
    return _shared(f"redis-{os.environ.get('PYTEST_XDIST_WORKER', '')}", servers.redis)


@pytest.fixture(scope="session")
def ferretdb_server() -> dict[str, str]:
    """`port`: what speaks MongoDB's protocol."""
    return _shared("ferretdb", servers.ferretdb)


@pytest.fixture(scope="session")
def dovecot_server() -> dict[str, str]:
    """`port`: an IMAP server that takes every user with the password `hush-hush`."""
    return _shared("dovecot", servers.dovecot)


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, int]]:
    """S3, SQS, SNS, Lambda, with what they hold shared by all servers of this process: names are the tests' own."""
    from moto import settings as moto_settings
    from moto.server import ThreadedMotoServer

    moto_settings.S3_IGNORE_SUBDOMAIN_BUCKETNAME = "true"  # a host such as server.example is no bucket
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


def boto(service: str, moto: tuple[str, int]) -> Any:
    import boto3

    return boto3.client(
        service, endpoint_url=f"http://127.0.0.1:{moto[1]}", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    found = await Target().start()
    found.routes["/echo"] = echo
    yield found
    await found.close()


Run = Callable[..., Awaitable[dict[str, Any]]]


class Bench:
    """Runs one job of a connector. `telemetry` has what was recorded."""

    def __init__(self, connector: str = "http", **settings: Any) -> None:
        self.settings = Settings(**{"egress_private": ("127.0.0.1",), **settings})
        self.telemetry = Telemetry()
        self.runner = Runner(self.settings, Gate.of(self.settings), secrets_of(self.settings), self.telemetry)
        self.connector = next(c for c in connectors() if c.name == connector)

    async def __call__(
        self, variables: dict[str, Any], headers: dict[str, Any] | None = None, secrets: dict[str, list[str]] | None = None, key: str = "77",
        retries: int = 3, trace: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        told = {**(headers or {}), **({"flowledger:secrets": json.dumps(secrets)} if secrets else {})}
        data = Data(
            key=int(key), type=self.connector.job_type, variables=variables, headers=told, idempotency_key=key, retries=retries, trace=trace,
            element="call", instance=5,
        )  # fmt: skip
        return await self.runner.run(self.connector, Job(data, None))


@pytest.fixture
async def bench() -> AsyncIterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(connector: str = "http", **settings: Any) -> Bench:
        made.append(Bench(connector, **settings))
        return made[-1]

    yield make
    for each in made:
        if isinstance(each.connector, Closing):
            await each.connector.close()
        await each.runner.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """Key and certificate of `api.test`, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("api.test")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True).sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "api.pem"
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def at_work(work: Any) -> AsyncIterator[Any]:
    """What runs until it is cancelled."""
    task = asyncio.create_task(work.run())
    try:
        yield work
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def running(engine: Any, **settings: Any) -> AsyncIterator[Connectors]:
    """The connectors of one process over an engine in this one."""
    async with at_work(Connectors(engine, Settings(**{"egress_private": ("127.0.0.1",), **settings}), Telemetry())) as work:
        yield work

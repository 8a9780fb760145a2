"""The SDK's HTTP against servers that say what they got: it sends what httpx2 would, and fails as httpx2 does."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flowledger.sdk import Client, Exhausted
from flowledger.sdk import wire as w
from flowledger.sdk.wire import Wire, wire

pytestmark = pytest.mark.req("WSM-API-011", "D-PER-003")
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
Said = Callable[[bytes], bytes]


class Told:
    """What a server was told, request by request; `connections`: how many came."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""


@contextlib.asynccontextmanager
async def telling(said: Said = lambda _: OK, tls: ssl.SSLContext | None = None, pause_s: float = 0.0) -> AsyncIterator[Told]:
    """A server that answers each request with what `said` makes of it; nothing: it closes the connection."""
    told = Told()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in request.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                request += await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
                told.requests.append(request)
                await asyncio.sleep(pause_s)
                if not (answer := said(request)):
                    break
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    told.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield told
    finally:
        server.close()


#: said of a DELETE by one of them
NO_BODY = (b"content-length", b"0")


def parts(request: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """The first line, the headers that both libraries are asked for, the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    headers = {n.lower(): v.strip() for n, _, v in (f.partition(b":") for f in fields)}
    return (
        line,
        {n: v for n, v in headers.items() if n not in (b"user-agent", b"accept-encoding", b"connection") and (n, v) != NO_BODY},
        body,
    )


SENT: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/v1/instances/1", {}),
    (
        "GET",
        "/v1/instances",
        {"params": {"limit": 5, "paused": True, "status": ["running", "failed"], "var.a b": "ü&=+%", "cursor": "a/b"}},
    ),
    ("GET", "/v1/definitions/räum auf", {}),
    ("GET", "/v1/definitions/a%20b/c;d", {}),
    ("POST", "/v1/instances", {"content": b'{"a": 1}', "headers": {"content-type": "application/json", "idempotency-key": "k 1"}}),
    ("POST", "/v1/instances/1/cancel", {}),
    ("PATCH", "/v1/instances/1/variables", {"content": b"{}", "headers": {"content-type": "application/json"}, "params": {}}),
    ("DELETE", "/v1/triggers/a", {}),
]


@pytest.mark.parametrize(("method", "path", "more"), SENT)
async def test_it_sends_what_httpx2_sends(method: str, path: str, more: dict[str, Any]) -> None:
    headers = {"accept": "application/json", "x-actor": "ann"}
    async with telling() as told, httpx2.AsyncClient(base_url=told.url, headers=headers) as theirs:
        ours = wire(told.url + "/", headers, 5)
        assert isinstance(ours, Wire)
        answer = await ours.request(method, path, **more)
        expected = await theirs.request(method, path, **more)
        await ours.aclose()
    assert (answer.status_code, answer.content, answer.reason_phrase) == (expected.status_code, expected.content, "OK")
    assert answer.headers["Content-Type"] == answer.headers["content-type"] == "application/json"
    assert parts(told.requests[0]) == parts(told.requests[1])


async def test_an_answer_is_taken_as_it_comes() -> None:
    """No redirect is followed; what isn't JSON is text; `Retry-After` is heard."""
    moved = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\ncontent-length: 5\r\n\r\n\xffoops"
    async with telling(lambda _: moved) as told:
        found = wire(told.url, {}, 5)
        answer = await found.request("GET", "/")
        assert (answer.status_code, answer.headers["location"], answer.text, len(told.requests)) == (307, "/elsewhere", "\ufffdoops", 1)
        await found.aclose()
    busy = b'HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 29\r\n\r\n{"code":"RESOURCE_EXHAUSTED"}'
    async with telling(lambda _: busy) as told, Client(told.url) as client:
        with pytest.raises(Exhausted):
            await client.start("a")
        keys = {parts(r)[1][b"idempotency-key"] for r in told.requests}
        assert len(told.requests) == 5 and len(keys) == 1


FAILURES: list[tuple[str, Said, type[httpx2.TransportError]]] = [
    ("closed", lambda _: b"", httpx2.RemoteProtocolError),
    ("no HTTP", lambda _: b"SSH-2.0-x\r\n\r\n", httpx2.RemoteProtocolError),
    ("silent", lambda _: b"HTTP/1.1 200 OK\r\n", httpx2.ReadTimeout),
    ("half a body", lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", httpx2.ReadTimeout),
]


@pytest.mark.parametrize(("what", "said", "expected"), FAILURES)
async def test_it_fails_as_httpx2_does(what: str, said: Said, expected: type[httpx2.TransportError]) -> None:
    async with telling(said) as told, httpx2.AsyncClient(base_url=told.url, timeout=0.2) as theirs:
        ours = wire(told.url, {}, 0.2)
        for each in (ours, theirs):
            with pytest.raises(expected):
                await each.request("POST", "/v1/instances", content=b"{}")
        await ours.aclose()


async def test_a_server_that_is_not_there_and_a_client_that_is_closed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = wire(f"http://127.0.0.1:{taken.getsockname()[1]}", {}, 5)
        with pytest.raises(httpx2.ConnectError):
            await found.request("GET", "/v1/me")
        await found.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await found.request("GET", "/v1/me")
    with pytest.raises(httpx2.ConnectError):
        nowhere = wire("http://nowhere.invalid", {}, 5)
        try:
            await nowhere.request("GET", "/")
        finally:
            await nowhere.aclose()


async def test_headers_that_can_not_be_sent_are_refused() -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        Client("http://127.0.0.1:1", actor="Jürgen")
    async with Client("http://127.0.0.1:1") as client:
        for bad in ("ü", "a\r\nx-actor: boss"):
            with pytest.raises(ValueError, match="printable ASCII"):
                await client.start("order", id=bad)


async def test_connections_are_kept_and_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    async with telling(pause_s=0.01) as told:
        found = wire(told.url, {}, 5)
        for _ in range(3):
            await asyncio.gather(*(found.request("POST", "/", content=b"{}") for _ in range(40)))
        assert (told.connections, len(told.requests)) == (40, 120)
        await found.aclose()
    monkeypatch.setattr(w, "CONNECTIONS_MAX", 3)
    async with telling(pause_s=0.01) as told:
        found = wire(told.url, {}, 5)
        await asyncio.gather(*(found.request("POST", "/", content=b"{}") for _ in range(20)))
        assert (told.connections, len(told.requests)) == (3, 20)
        await found.aclose()


def test_a_client_is_made_before_the_loop_and_outlives_it() -> None:
    async def once() -> None:
        async with telling() as told:
            client._http._base = told.url
            await client.request("GET", "/me")

    client = Client("http://127.0.0.1:1")
    asyncio.run(once())
    asyncio.run(once())
    asyncio.run(client.close())


@pytest.mark.parametrize(
    ("base", "env", "direct"),
    [
        ("http://a.test:1", {}, True),
        ("https://a.test/flow", {}, True),
        ("http://a.test", {"https_proxy": "http://p:1"}, True),
        ("http://a.test", {"http_proxy": "http://p:1"}, False),
        ("https://a.test", {"all_proxy": "socks5://p:1"}, False),
        ("http://a.test", {"http_proxy": "http://p:1", "no_proxy": "localhost,.test"}, True),
        ("http://ann:pw@a.test", {}, False),
        ("ftp://a.test", {}, False),
        ("http://", {}, False),
    ],
)
def test_which_way_is_taken(monkeypatch: pytest.MonkeyPatch, base: str, env: dict[str, str], direct: bool) -> None:
    for scheme in ("http", "https", "all", "no"):
        for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper()):
            monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert w.direct(base) is direct


async def test_through_a_proxy_it_goes_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async with telling() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with Client("http://flowledger.test:8080", api_key="k") as client:
            await client.request("GET", "/me")
        line, headers, _ = parts(proxy.requests[0])
        assert line == b"GET http://flowledger.test:8080/v1/me HTTP/1.1" and headers[b"authorization"] == b"Bearer k"


async def test_tls_is_checked(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True).sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (path := tmp_path / "own.pem").write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    async with telling(tls=context) as told:
        named = told.url.replace("127.0.0.1", "localhost")
        for base, trusted in ((named, False), (named, True), (told.url, True)):
            if trusted:
                monkeypatch.setenv("SSL_CERT_FILE", str(path))
            found = wire(base, {}, 5)
            if trusted and base == named:
                assert (await found.request("GET", "/v1/me")).status_code == 200
            else:
                with pytest.raises(httpx2.ConnectError):
                    await found.request("GET", "/v1/me")
            await found.aclose()

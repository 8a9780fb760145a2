"""The gate of outgoing calls, each trick a row; servers and the resolver are the test's own."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from typing import Any

import httpx2
import pytest

from flowledger.connectors.outcomes import failed
from flowledger.infra import egress, egress_transport
from flowledger.infra.egress import ADDRESSES_MAX, URL_CHARS_MAX, Gate, Refused, Unresolved, kind_of
from flowledger.infra.egress_transport import client_of
from flowledger.infra.settings import Settings, SettingsError
from tests.connectors.conftest import Target

PUBLIC = "93.184.216.34"


def names(**known: list[str]):
    """A resolver of these names; a list of lists answers in turn."""

    async def resolve(host: str, port: int) -> list[str]:
        if host.replace(".", "_").replace("-", "_") not in known:
            raise OSError(-2, "Name or service not known")
        return known[host.replace(".", "_").replace("-", "_")]

    return resolve


class Server:
    """Counts connections; answers each request with what `answer` makes of its path."""

    def __init__(self, answer=lambda path: (200, {}, b"ok"), tls: ssl.SSLContext | None = None) -> None:
        self.answer, self.seen, self.connections, self.tls = answer, [], 0, tls

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
                self.seen.append((method, path, head.decode()))
                if method == "CONNECT":
                    writer.write(b"HTTP/1.1 502 no\r\ncontent-length: 0\r\n\r\n")
                    continue
                status, headers, body = self.answer(path)
                lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
                writer.write(f"HTTP/1.1 {status} x\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.mark.req("APG-SEC-007")
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0177.0.0.1/",
        "http://017700000001/", "http://127.0.0.1./", "http://127.255.255.254/", "http://0.0.0.0/", "http://0/", "http://0.1.2.3/", "http://[::1]/",
        "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:ffff:7f00:1]/", "http://[::127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/", "http://[64:ff9b:1::1]/", "http://[2002:7f00:1::]/", "http://[2001:0:0:0:0:0:80ff:fffe]/", "http://[fe80::1]/",
        "http://[fe80::1%25eth0]/", "http://[fc00::1]/", "http://[fd12:3456::1]/", "http://[fec0::1]/", "http://[ff02::1]/", "http://10.0.0.1/",
        "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.0.1/", "http://100.64.0.1/", "http://169.254.169.254/latest/meta-data/",
        "http://169.254.0.1/", "http://[::ffff:169.254.169.254]/", "http://[64:ff9b::a9fe:a9fe]/", "http://100.100.100.200/", "http://192.0.0.192/",
        "http://168.63.129.16/", "http://[fd00:ec2::254]/", "http://224.0.0.1/", "http://255.255.255.255/", "http://240.0.0.1/", "http://192.0.2.1/",
        "http://198.18.0.1/", "http://\uff11\uff12\uff17.0.0.1/", "http://example.com@127.0.0.1/", "http://user:pw@example.com/", "http://127.0.0.1\\@example.com/",
        "http://example.com\\.evil/", "http:///x", "http://", "//example.com/", "example.com", "file:///etc/passwd", "ftp://example.com/", "gopher://x/",
        "http://exa mple.com/", "http://example.com/\r\nHost: x", "\thttp://example.com/", "http://example.com:0/", "http://example.com:99999/", "http://ex%61mple.com/",
        "http://-x.com/", "http://a..b/", "http://[::1/", "http://example.com:8O/", "", "http://example.com/" + "a" * URL_CHARS_MAX,
    ],
)  # fmt: skip
async def test_refused_before_anything_is_sent(url: str):
    with pytest.raises(Refused):
        found = Gate(resolve=names()).url(url)
        await Gate(resolve=names()).addresses(found.scheme, found.raw_host.decode(), 80)


def test_longest_url():
    Gate().url("http://example.com/" + "a" * (URL_CHARS_MAX - len("http://example.com/")))


@pytest.mark.parametrize(
    "address,kind",
    [
        ("8.8.8.8", "public"), ("2606:4700::1111", "public"), ("::ffff:8.8.8.8", "public"), ("64:ff9b::808:808", "public"), ("2002:808:808::", "public"),
        ("127.0.0.1", "private"), ("10.9.8.7", "private"), ("::1", "private"), ("fd00::1", "private"), ("100.64.1.1", "private"),
        ("169.254.169.254", "forbidden"), ("fe80::1", "forbidden"), ("::ffff:169.254.1.1", "forbidden"), ("168.63.129.16", "forbidden"),
        ("0.0.0.0", "forbidden"), ("::", "forbidden"), ("224.0.0.251", "forbidden"), ("ff02::fb", "forbidden"),
    ],
)  # fmt: skip
def test_kinds(address: str, kind: str):
    assert kind_of(ipaddress.ip_address(address)) == kind


@pytest.mark.parametrize(
    "allow,url,goes",
    [
        ((), "https://api.test/", True),
        (("api.test",), "https://api.test/", True),
        (("api.test",), "https://API.TEST./", True),
        (("api.test",), "https://other.test/", False),
        (("api.test",), "https://x.api.test/", False),
        (("*.api.test",), "https://x.api.test/", True),
        (("*.api.test",), "https://api.test/", False),
        (("*.api.test",), "https://evilapi.test/", False),
        (("api.test:443",), "https://api.test/", True),
        (("api.test:443",), "https://api.test:8443/", False),
        (("https://api.test",), "https://api.test:8443/", True),
        (("https://api.test",), "http://api.test/", False),
        (("93.184.216.0/24",), "https://api.test/", True),
        (("8.8.8.0/24",), "https://api.test/", False),
        (("[2606:4700::]/32",), "https://api.test/", False),
        (("*",), "https://other.test/", True),
    ],
)
async def test_allow_lists(allow: tuple[str, ...], url: str, goes: bool):
    gate = Gate(allow, resolve=names(api_test=[PUBLIC], other_test=[PUBLIC], x_api_test=[PUBLIC], evilapi_test=[PUBLIC]))

    async def look() -> list[str]:
        found = gate.url(url)
        return await gate.addresses(found.scheme, found.raw_host.decode(), found.port or 443)

    if goes:
        assert await look() == [PUBLIC]
    else:
        with pytest.raises(Refused, match="egress_allow"):
            await look()


@pytest.mark.parametrize(
    "private,host,addresses,goes",
    [
        ((), "db.test", ["10.0.0.5"], False),
        (("db.test",), "db.test", ["10.0.0.5"], True),
        (("db.test:443",), "db.test", ["10.0.0.5"], True),
        (("db.test:444",), "db.test", ["10.0.0.5"], False),
        (("10.0.0.0/8",), "db.test", ["10.0.0.5"], True),
        (("10.0.0.0/8",), "db.test", ["::ffff:10.0.0.5"], True),
        (("10.0.0.0/8",), "db.test", ["10.0.0.5", "192.168.1.1"], False),  # one bad address spoils the name
        (("db.test",), "db.test", ["169.254.169.254"], False),  # a name never opens what is never called
        (("*",), "db.test", ["169.254.169.254"], False),
        (("169.254.169.254",), "db.test", ["169.254.169.254"], True),
        (("*",), "db.test", ["127.0.0.1"], True),
        ((), "db.test", [PUBLIC, "127.0.0.1"], False),
    ],
)
async def test_private_places(private: tuple[str, ...], host: str, addresses: list[str], goes: bool):
    gate = Gate((), private, resolve=names(db_test=addresses))
    if goes:
        assert await gate.addresses("https", host, 443) == addresses
    else:
        with pytest.raises(Refused):
            await gate.addresses("https", host, 443)


@pytest.mark.req("APG-SEC-007")
async def test_the_address_that_was_checked_is_the_one_that_is_connected_to():
    """DNS rebinding: the second answer is another address, and nobody asks a second time for the same connection."""
    async with Server() as server:
        answers = [["127.0.0.1"], ["10.11.12.13"]]
        asked = []

        async def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return answers[min(len(asked), 2) - 1]

        gate = Gate((), ("127.0.0.0/8",), resolve=resolve)
        async with client_of(gate) as client:
            assert (await client.get(f"http://rebind.test:{server.port}/")).text == "ok"
            assert asked == ["rebind.test"]
            assert "host: rebind.test" in server.seen[0][2].lower()
        async with client_of(gate) as client:  # a new connection looks again
            with pytest.raises(Refused, match="rebind.test"):
                await client.get(f"http://rebind.test:{server.port}/")
        assert server.connections == 1


async def test_a_refused_call_does_not_reach_the_server():
    async with Server() as server:
        async with client_of(Gate(resolve=names(local_test=["127.0.0.1"]))) as client:
            for host in ("127.0.0.1", "local.test", "[::ffff:127.0.0.1]"):
                with pytest.raises(Refused):
                    await client.get(f"http://{host}:{server.port}/")
        assert server.connections == 0


async def test_the_next_address_is_tried():
    async with Server() as server:
        gate = Gate((), ("127.0.0.0/8", "[::1]"), resolve=names(two_test=["::1", "127.0.0.1"]))
        async with client_of(gate) as client:
            assert (await client.get(f"http://two.test:{server.port}/")).text == "ok"


async def test_a_name_that_is_not_there_is_no_refusal():
    async with client_of(Gate(resolve=names())) as client:
        with pytest.raises(Unresolved, match=r"gone\.test"):
            await client.get("http://gone.test/")


async def test_no_redirect_is_followed_by_itself():
    async with Server(lambda path: (302, {"location": "http://169.254.169.254/"}, b"")) as server:
        async with client_of(Gate((), ("127.0.0.1",))) as client:
            assert (await client.get(f"http://127.0.0.1:{server.port}/")).status_code == 302


async def test_settings_of_the_environment_are_not_read(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with Server() as server:
        async with client_of(Gate((), ("127.0.0.1",))) as client:
            assert (await client.get(f"http://127.0.0.1:{server.port}/")).text == "ok"


async def test_a_proxy_gets_the_call_and_private_places_stay_shut():
    async with Server() as proxy:
        gate = Gate(proxy=f"http://127.0.0.1:{proxy.port}", resolve=names(inner_test=["10.0.0.1"]))
        async with client_of(gate) as client:
            assert (await client.get("http://far.test/x")).text == "ok"  # a name that this machine can't resolve
            with pytest.raises(httpx2.ProxyError):
                await client.get("https://far.test/x")
            for url in ("http://inner.test/", "http://127.0.0.1/", "http://169.254.169.254/"):
                with pytest.raises(Refused):
                    await client.get(url)
        assert [(m, p) for m, p, _ in proxy.seen] == [("GET", "http://far.test/x"), ("CONNECT", "far.test:443")]


async def test_no_more_than_so_many_addresses_are_looked_at():
    many = [f"93.184.216.{n}" for n in range(ADDRESSES_MAX + 5)]
    assert len(await Gate(resolve=names(many_test=many)).addresses("http", "many.test", 80)) == ADDRESSES_MAX


@pytest.mark.parametrize("rule", ["", "ftp://x", "a b", "x:99999", "http://", "*.*.x", "x/y", "[::1", "http://u@x"])
def test_a_wrong_rule_is_refused_at_the_start(rule: str):
    with pytest.raises(SettingsError, match="egress"):
        Gate.of(Settings(egress_allow=(rule,)))


def test_a_wrong_file_of_certificates_is_refused_at_the_start(tmp_path):
    with pytest.raises(SettingsError, match="egress"):
        Gate.of(Settings(egress_ca_file=str(tmp_path / "none.pem")))


# --- TLS --------------------------------------------------------------------------------------------------------------


async def test_tls_is_checked_by_name_though_the_connection_goes_to_an_address(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with Server(tls=context) as server:
        resolve = names(api_test=["127.0.0.1"], other_test=["127.0.0.1"])
        async with client_of(Gate((), ("127.0.0.1",), resolve=resolve, ca_file=str(certificate))) as client:
            assert (await client.get(f"https://api.test:{server.port}/")).text == "ok"
            for url in (f"https://other.test:{server.port}/", f"https://127.0.0.1:{server.port}/"):
                with pytest.raises(httpx2.ConnectError) as e:
                    await client.get(url)
                found = failed(e.value)
                assert found is not None and (found.code, found.again) == ("TLS", False)
        async with client_of(Gate((), ("127.0.0.1",), resolve=resolve)) as client:
            with pytest.raises(httpx2.ConnectError) as e:
                await client.get(f"https://api.test:{server.port}/")
            assert failed(e.value).code == "TLS"


async def test_a_request_goes_out_at_once_and_a_large_one_as_it_comes(target: Target, monkeypatch):
    """Head and body of a small request are one call of the system; nothing of a large one is lost or held."""
    told: list[int] = []
    go = egress_transport._Stream._go

    def counted(self: Any) -> None:
        if self._kept:
            told.append(sum(map(len, self._kept)))
        go(self)

    monkeypatch.setattr(egress_transport._Stream, "_go", counted)
    target.routes["/take"] = lambda r: (200, {}, {"size": len(r.body)})
    async with client_of(Gate(private=["127.0.0.1"])) as client:
        for size in (0, 1_000, egress_transport.SMALL - 1_000, egress_transport.SMALL, 5 * egress_transport.SMALL):
            told.clear()
            answer = await client.post(f"{target.url}/take", content=b"x" * size)
            assert answer.json() == {"size": size} and sum(told) > size
            assert len(told) == 1 or size >= egress_transport.SMALL, told


def test_addresses_that_were_looked_at_are_remembered_but_for_those_with_a_query():
    gate = Gate(allow=["api.example"])
    assert gate.url("https://api.example/a") is gate.url("https://api.example/a")
    gate.url("https://api.example/a?key=secret")
    for n in range(egress.KNOWN_MAX + 5):
        gate.url(f"https://api.example/{n}")
    assert len(gate._known) <= egress.KNOWN_MAX and not any("secret" in text for text in gate._known)
    gate.url(f"https://api.example/{'x' * egress.KNOWN_CHARS_MAX}")
    assert max(map(len, gate._known)) <= egress.KNOWN_CHARS_MAX
    for _ in range(2):
        with pytest.raises(Refused):
            gate.url("https://other.example/a")

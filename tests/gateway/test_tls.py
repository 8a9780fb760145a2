"""TLS by settings: one-sided and mutual, with grpcio and pyzeebe as clients; files that change; settings that can't be meant."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from certificates import Authority
from pyzeebe import ZeebeClient, create_secure_channel

from flowledger.api.grpc.gateway import Gateway
from flowledger.api.grpc.http2 import listen
from flowledger.api.openapi import MODEL
from flowledger.infra import server_tls
from flowledger.infra.settings import Settings, SettingsError
from flowledger.system import System

PASSWORD = "s3cr&t"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "house")


async def serving(engine, **settings):
    gateway = Gateway(engine)
    return gateway, await listen(gateway, "localhost", 0, tls=server_tls.server_tls(Settings(roles=("grpc",), **settings), "grpc"))


async def partitions(port: int, ca: Path, own: tuple[Path, Path] | None = None) -> int:
    cert, key = (p.read_bytes() for p in own) if own else (None, None)
    channel = create_secure_channel(f"localhost:{port}", channel_credentials=grpc.ssl_channel_credentials(ca.read_bytes(), key, cert))
    try:
        return (await ZeebeClient(channel).topology()).partitions_count
    finally:
        await channel.close()


async def test_a_certificate_by_file_and_its_password_by_reference(engine, authority, tmp_path):
    cert, key = authority.issue("gateway", PASSWORD)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    gateway, server = await serving(
        engine, grpc_cert_file=str(cert), grpc_key_file=str(key), grpc_key_password=f"file:{tmp_path / 'password'}"
    )
    assert await partitions(gateway.port, authority.file) == 3
    async with grpc.aio.insecure_channel(f"localhost:{gateway.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as e:
            await channel.unary_unary("/gateway_protocol.Gateway/Topology")(b"", timeout=30)
        assert e.value.code() is grpc.StatusCode.UNAVAILABLE
    await server.close(0.1)


@pytest.mark.req("D-SEC-003")
async def test_mutual_tls_lets_in_whom_the_authority_signed_and_nobody_else(engine, authority, tmp_path):
    cert, key = authority.issue("gateway")
    other = Authority(tmp_path, "street")
    gateway, server = await serving(engine, grpc_cert_file=str(cert), grpc_key_file=str(key), grpc_client_ca_file=str(authority.file))
    assert await partitions(gateway.port, authority.file, authority.issue("worker")) == 3
    for stranger in (None, other.issue("stranger")):
        credentials = [authority.file.read_bytes(), *(reversed([p.read_bytes() for p in stranger]) if stranger else ())]
        async with grpc.aio.secure_channel(f"localhost:{gateway.port}", grpc.ssl_channel_credentials(*credentials)) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as e:
                await channel.unary_unary("/gateway_protocol.Gateway/Topology")(b"", timeout=30)
            assert e.value.code() is grpc.StatusCode.UNAVAILABLE
    await server.close(0.1)


def talks(port: int, root: Path, own: tuple[Path, Path], session: ssl.SSLSession | None = None, most: ssl.TLSVersion | None = None) -> bool:
    """Whether the server speaks to who shows this certificate. With TLS 1.3 a client hears only with what it reads first that it is refused."""
    context = ssl.create_default_context(cafile=str(root))
    context.load_cert_chain(*own)
    context.set_alpn_protocols(["h2"])
    if most is not None:
        context.maximum_version = most
    try:
        with (
            socket.create_connection(("localhost", port), timeout=30) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as line,
        ):
            line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
            found = bool(line.recv(9))
            assert not found or line.session is None or not line.session.has_ticket, "there is nothing to go on with"
            return found
    except ssl.SSLError:
        return False
    except ConnectionResetError:
        return False


@pytest.mark.req("D-SEC-003")
async def test_who_is_on_a_list_of_revoked_certificates_is_out(engine, authority, tmp_path, monkeypatch):
    monkeypatch.setattr(server_tls, "LOOK_S", 0.0)
    cert, key = authority.issue("gateway")
    other = Authority(tmp_path, "street")
    good, bad, street = authority.issue("good"), authority.issue("bad"), other.issue("there")
    trusted, lists = tmp_path / "trusted.pem", tmp_path / "revoked.pem"
    trusted.write_bytes(authority.file.read_bytes() + other.file.read_bytes())
    lists.write_bytes(authority.revokes())
    gateway, server = await serving(
        engine, grpc_cert_file=str(cert), grpc_key_file=str(key), grpc_client_ca_file=str(trusted), grpc_client_crl_file=str(lists)
    )

    async def let_in(own: tuple[Path, Path], **more: Any) -> bool:
        return await asyncio.to_thread(talks, gateway.port, authority.file, own, **more)

    assert [await let_in(own) for own in (good, bad)] == [True, True]
    assert not await let_in(street), "its authority has no list"
    assert not await let_in(good, most=ssl.TLSVersion.TLSv1_2)
    lists.write_bytes(authority.revokes(bad[0]) + other.revokes())
    assert [await let_in(own) for own in (good, bad, street)] == [True, False, True]
    assert await partitions(gateway.port, authority.file, good) == 3
    lists.write_text("half a list")  # the old one stays
    assert [await let_in(own) for own in (good, bad)] == [True, False]
    lists.write_bytes(authority.revokes(bad[0], days=-1) + other.revokes())
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(
        server_tls,
        "log",
        lambda name: SimpleNamespace(error=lambda text, **f: told.append((text, f["authority"])), info=lambda *a, **f: None),
    )
    assert [await let_in(own) for own in (good, bad, street)] == [False, False, True], "a list that is over says nothing"
    assert told == [("a list of revoked certificates is over: none of its authority is let in", "CN=house")]
    await server.close(0.1)


async def test_files_that_change_are_read_at_the_next_connection(engine, authority, tmp_path, monkeypatch):
    monkeypatch.setattr(server_tls, "LOOK_S", 0.0)
    cert, key = authority.issue("gateway")
    gateway, server = await serving(engine, grpc_cert_file=str(cert), grpc_key_file=str(key))
    assert await partitions(gateway.port, authority.file) == 3
    newer = Authority(tmp_path, "newer")
    newer.issue("gateway")
    assert await partitions(gateway.port, newer.file) == 3
    key.write_text("not a key")  # half written: the old ones stay
    assert await partitions(gateway.port, newer.file) == 3
    await server.close(0.1)


async def test_a_server_of_these_settings_deploys_for_a_client_with_a_certificate(authority, tmp_path):
    cert, key = authority.issue("gateway")
    settings = Settings(
        data=tmp_path / "data", roles=("owner", "grpc"), port=0, grpc_port=0, partitions=1, durability="normal", node="tls",
        grpc_cert_file=str(cert), grpc_key_file=str(key), grpc_client_ca_file=str(authority.file),
    )  # fmt: skip
    (tmp_path / "hello.bpmn").write_text(MODEL)
    own = tuple(p.read_bytes() for p in reversed(authority.issue("worker")))
    async with System(settings) as system:
        credentials = grpc.ssl_channel_credentials(authority.file.read_bytes(), *own)
        channel = create_secure_channel(system.grpc_address, channel_credentials=credentials)
        client = ZeebeClient(channel)
        await client.deploy_resource(tmp_path / "hello.bpmn")
        assert (await client.run_process("hello")).process_instance_key
        await channel.close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"grpc_key_file": "k.key"}, "grpc_key_file is set without grpc_cert_file"),
        ({"grpc_client_ca_file": "house.pem"}, "grpc_client_ca_file is set without grpc_cert_file"),
        ({"grpc_client_crl_file": "house.pem"}, "grpc_client_crl_file is set without grpc_cert_file"),
        ({"grpc_cert_file": "k.crt", "grpc_key_file": "k.key", "grpc_client_crl_file": "house.pem"}, "set without grpc_client_ca_file"),
        (
            {"grpc_cert_file": "k.crt", "grpc_key_file": "k.key", "grpc_client_ca_file": "house.pem", "grpc_client_crl_file": "house.pem"},
            "grpc_client_crl_file: a list of revoked certificates was expected",
        ),
        ({"grpc_cert_file": "nowhere.crt"}, "No such file"),
        ({"grpc_cert_file": "k.crt"}, "grpc_cert_file, grpc_key_file"),
        ({"grpc_cert_file": "k.crt", "grpc_key_file": "other.key"}, "KEY_VALUES_MISMATCH|key values mismatch"),
        ({"grpc_cert_file": "k.crt", "grpc_key_file": "locked.key", "grpc_key_password": PASSWORD}, "expected file:PATH or env:NAME"),
        ({"grpc_cert_file": "locked.crt", "grpc_key_file": "locked.key", "grpc_key_password": "env:TLS_TEST_WRONG"}, "grpc_key_password"),
        ({"grpc_cert_file": "k.crt", "grpc_key_file": "k.key", "grpc_client_ca_file": "k.key"}, "grpc_client_ca_file"),
    ],
)
def test_what_cannot_be_meant_stops_the_start(authority, tmp_path, monkeypatch, wrong, said):
    monkeypatch.setenv("TLS_TEST_WRONG", "another")
    authority.issue("k")
    authority.issue("other")
    authority.issue("locked", PASSWORD)
    given = {n: v if n == "grpc_key_password" else str(tmp_path / v) for n, v in wrong.items()}
    with pytest.raises(SettingsError, match=said) as e:
        server_tls.server_tls(Settings(roles=("grpc",), **given), "grpc")
    assert PASSWORD not in str(e.value)

"""HTTPS by settings: one-sided and mutual, files that change; and the profile that lets nothing plain start."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx2
import pytest
from certificates import Authority

from flowledger import secure
from flowledger.infra import server_tls
from flowledger.infra.settings import Settings, SettingsError
from flowledger.system import System


def settings(**more: Any) -> Settings:
    return Settings(**more)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "house")


def trusting(*files: Path, own: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for file in files:
        context.load_verify_locations(file)
    if own is not None:
        context.load_cert_chain(*own)
    return context


def shaken(port: int, context: ssl.SSLContext) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain, context.wrap_socket(plain):
        pass


async def live(system: System, context: ssl.SSLContext) -> dict[str, Any]:
    async with httpx2.AsyncClient(verify=context, timeout=30) as http:
        found: dict[str, Any] = (await http.get(f"{system.url}/health/live")).json()
        return found


@pytest.mark.req("D-SEC-006")
async def test_the_http_port_speaks_tls_and_nothing_else_and_reads_new_certificates(authority, tmp_path, monkeypatch):
    monkeypatch.setattr(server_tls, "LOOK_S", 0.0)
    cert, key = authority.issue("http")
    s = settings(
        data=tmp_path / "data", roles=("owner",), port=0, partitions=1, durability="normal", tls_cert_file=str(cert), tls_key_file=str(key)
    )
    async with System(s) as system:
        assert system.url.startswith("https://")
        assert (await live(system, trusting(authority.file)))["status"] == "live"
        with pytest.raises(httpx2.TransportError):  # plain text: the connection ends
            async with httpx2.AsyncClient(timeout=5) as http:
                await http.get(system.url.replace("https", "http") + "/health/live")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode, old.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_1
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.set_ciphers("ALL:@SECLEVEL=0")  # else this side refuses it, whatever the server would say
        with pytest.raises(OSError, match="(?i)UNEXPECTED_EOF|alert.protocol.version|reset"):  # by the server, not by this side
            await asyncio.to_thread(shaken, int(system.url.rpartition(":")[2]), old)
        with pytest.raises(httpx2.TransportError):
            await live(system, ssl.create_default_context())  # who signed it isn't known to that one
        newer = Authority(tmp_path, "newer")
        newer.issue("http")
        assert (await live(system, trusting(newer.file)))["status"] == "live", "read again, without a restart"
        key.write_text("not a key")
        assert (await live(system, trusting(newer.file)))["status"] == "live", "half written: the old ones stay"


@pytest.mark.req("D-SEC-003", "D-SEC-006")
async def test_clients_show_certificates_where_they_must(authority, tmp_path):
    cert, key = authority.issue("http")
    s = settings(
        data=tmp_path / "data", roles=("owner",), port=0, partitions=1, durability="normal", tls_cert_file=str(cert), tls_key_file=str(key),
        tls_client_ca_file=str(authority.file),
    )  # fmt: skip
    async with System(s) as system:
        assert (await live(system, trusting(authority.file, own=authority.issue("me"))))["status"] == "live"
        with pytest.raises(httpx2.TransportError):
            await live(system, trusting(authority.file))
        silent = await asyncio.open_connection("127.0.0.1", int(system.url.rpartition(":")[2]))  # hinders nobody
        assert (await live(system, trusting(authority.file, own=authority.issue("me"))))["status"] == "live"
        silent[1].close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tls_key_file": "k"}, "tls_key_file is set without tls_cert_file"),
        ({"tls_cert_file": "nowhere.crt"}, "tls_cert_file.*No such file"),
    ],
)
def test_what_cannot_be_meant_stops_the_start(wrong, said):
    with pytest.raises(SettingsError, match=said):
        server_tls.server_tls(settings(**wrong), "http")


GOOD: dict[str, Any] = {
    "profile": "secure", "auth": "local", "roles": ("api", "owner", "grpc"), "host": "0.0.0.0", "tls_cert_file": "c", "grpc_cert_file": "c",
    "kafka": "k:9093", "kafka_security": "SASL_SSL", "kafka_mechanism": "SCRAM-SHA-512", "kafka_user": "u", "kafka_password": "env:SECURE_TEST",
    "postgres": "postgresql://u:x9-long-and-own@db/f?sslmode=verify-full", "callback_url": "https://flows.example.org",
}  # fmt: skip
REFUSED = [
    ({"auth": "none"}, "auth is none"), ({"tls_cert_file": ""}, "HTTP port would speak plain text"), ({"grpc_cert_file": ""}, "gateway would speak plain"),
    ({"metrics_open": True}, "figures"), ({"kafka_security": "SASL_PLAINTEXT"}, "SASL_PLAINTEXT"), ({"kafka_security": "PLAINTEXT"}, "Kafka is spoken to"),
    ({"kafka_check_hostname": False}, "any broker"), ({"kafka_password": "env:SECURE_KNOWN"}, "password for Kafka"),
    ({"postgres": "postgresql://u:x9-long@db/f"}, "sslmode prefer"), ({"postgres": "postgresql://u:x9-long@db/f?sslmode=require"}, "sslmode require"),
    ({"postgres": "postgresql://u:postgres@db/f?sslmode=verify-full"}, "password for PostgreSQL"), ({"callback_url": "http://flows.example.org"}, "callback_url"),
    ({"embed_origins": ("http://portal.example.org",)}, "embed_origins"),
    ({"origins": ("http://other.example",)}, "origins"), ({"host": "127.0.0.1", "auth": "none"}, "auth is none"),
]  # fmt: skip


@pytest.mark.req("D-SEC-006", "D-SEC-008")
@pytest.mark.parametrize(("wrong", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_the_profile_secure_refuses_what_is_plain_believed_or_known(wrong, said, monkeypatch):
    monkeypatch.setenv("SECURE_TEST", "x9-own-password")
    monkeypatch.setenv("SECURE_KNOWN", "ChangeMe")
    monkeypatch.delenv("PGSSLMODE", raising=False)
    secure.check(settings(**GOOD))
    with pytest.raises(SettingsError, match=said):
        secure.check(settings(**{**GOOD, **wrong}))
    secure.check(settings(**{**GOOD, **wrong, "profile": ""}))


def test_all_that_is_wrong_is_said_at_once_and_what_is_local_may_stay():
    with pytest.raises(SettingsError) as e:
        secure.check(settings(profile="secure", roles=("api", "grpc", "owner"), kafka="k:9092"))
    assert len(str(e.value).splitlines()) == 4
    secure.check(settings(profile="secure", roles=("owner", "projector"), postgres="postgresql:///f?host=/run/postgresql"))


async def test_a_system_that_does_not_fit_opens_nothing(tmp_path):
    with pytest.raises(SettingsError, match="profile secure"):
        async with System(settings(profile="secure", data=tmp_path / "data", port=0)):
            pass
    assert not (tmp_path / "data").exists()

"""Kafka behind TLS and SASL: a real broker with such listeners, by the settings that an operator gives."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flowledger.infra.kafka_broker import Broker, BrokerUnavailable
from flowledger.infra.kafka_security import security_of
from flowledger.infra.secret_text import hidden
from flowledger.infra.settings import Settings, SettingsError, load
from flowledger.processors.log import EVENTS, Group, LogError
from flowledger.stores import make_log
from tests import kafka_listeners as listeners

PASSWORD = "s3cret-of-alice"


def port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def certificates(folder: Path) -> None:
    """`ca.pem`; `server.pem` (key and chain) for 127.0.0.1; `client.pem` and `client.key`."""
    now = datetime.datetime.now(datetime.UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def cert(subject: str, key: Any, issuer: x509.Name, by: Any, ca: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca, None), True)
        )
        if not ca:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        return builder.sign(by, hashes.SHA256())

    def pem(key: Any) -> bytes:
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    root = ec.generate_private_key(ec.SECP256R1())
    ca = cert("ca", root, name("ca"), root, True)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    for who in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        own = cert(who, key, name("ca"), root, False).public_bytes(serialization.Encoding.PEM)
        if who == "server":
            (folder / "server.pem").write_bytes(pem(key) + own)
        else:
            (folder / "client.pem").write_bytes(own)
            (folder / "client.key").write_bytes(pem(key))


@pytest.fixture(scope="module")
def secured(tmp_path_factory) -> Iterator[dict[str, Any]]:
    """One broker: PLAINTEXT for itself, SASL over TLS (PLAIN and SCRAM), TLS with certificates on both sides."""
    folder = tmp_path_factory.mktemp("secured")
    certificates(folder)
    plain, sasl, mutual, controller = port(), port(), port(), port()
    jaas = "org.apache.kafka.common.security"
    pems = {
        "ssl.keystore.type": "PEM", "ssl.keystore.location": folder / "server.pem", "ssl.truststore.type": "PEM",
        "ssl.truststore.location": folder / "ca.pem",
    }  # fmt: skip
    broker = Broker(folder / "kafka")
    (folder / "kafka").mkdir()
    more = {
        **listeners.told(
            folder / "kafka", {"PLAINTEXT": (plain, "PLAINTEXT"), "SASLED": (sasl, "SASL_SSL"), "MUTUAL": (mutual, "SSL")}, controller
        ),
        "listener.name.sasled.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.sasled.plain.sasl.jaas.config": f'{jaas}.plain.PlainLoginModule required user_alice="{PASSWORD}";',
        "listener.name.sasled.scram-sha-256.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule required;",
        "listener.name.sasled.scram-sha-512.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule required;",
        "listener.name.mutual.ssl.client.auth": "required",
        **pems,
    }
    users = [f"SCRAM-SHA-{bits}=[name=alice,password={PASSWORD}]" for bits in (256, 512)]
    try:
        broker.up(plain, more=more, users=users, progress=lambda _: None)
    except BrokerUnavailable as e:
        pytest.skip(str(e))
    (folder / "password").write_text(f"{PASSWORD}\n")
    for one in (sasl, mutual):  # it opens one listener after the other, and answers on the first before the last is there
        listening(one)
    try:
        yield {"folder": folder, "sasl": f"127.0.0.1:{sasl}", "mutual": f"127.0.0.1:{mutual}"}
    finally:
        broker.kill()


def listening(port: int, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens on {port}"
            time.sleep(0.1)


def settings(**given: Any) -> Settings:
    return load(environment={}, **{k: str(v) for k, v in given.items()})


async def works(found: Settings) -> None:
    log = make_log(found)
    await log.open()
    try:
        await log.create_topics(1)
        await log.append(EVENTS, 0, Group([b"k"], [b"v"]))
        assert [r.value async for batch in log.read(EVENTS, 0, 0) for r in batch][-1] == b"v"
        async with log.ownership("x") as members:
            async for change in members:
                assert change.held == {0}
                break
    finally:
        await log.close()


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_user_signs_in_over_tls(secured, mechanism):
    folder = secured["folder"]
    own = {
        "kafka": secured["sasl"],
        "kafka_security": "SASL_SSL",
        "kafka_ca_file": folder / "ca.pem",
        "kafka_mechanism": mechanism,
        "kafka_user": "alice",
    }
    prefix = f"sec-{mechanism.lower()}"
    await works(settings(**own, kafka_password=f"file:{folder / 'password'}", prefix=prefix))
    (folder / "wrong").write_text("not-it")
    log = make_log(settings(**own, kafka_password=f"file:{folder / 'wrong'}", prefix=prefix))
    with pytest.raises(LogError) as refused:
        await log.open()
    assert "not-it" not in str(refused.value)


@pytest.mark.kafka
@pytest.mark.req("D-SEC-003")
async def test_certificates_on_both_sides(secured):
    folder = secured["folder"]
    own = {"kafka": secured["mutual"], "kafka_security": "SSL", "prefix": "sec-mutual"}
    client = {"kafka_cert_file": folder / "client.pem", "kafka_key_file": folder / "client.key"}
    await works(settings(**own, **client, kafka_ca_file=folder / "ca.pem"))
    for wrong in ({"kafka_ca_file": folder / "ca.pem"}, client):  # no certificate of one's own; a broker that nobody vouches for
        log = make_log(settings(**own, **wrong))
        with pytest.raises(LogError):
            await log.open()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"kafka_security": "SASL_SSL"}, "kafka_mechanism"),
        ({"kafka_security": "SASL_SSL", "kafka_mechanism": "PLAIN", "kafka_user": "a"}, "kafka_password"),
        (
            {"kafka_security": "SASL_SSL", "kafka_mechanism": "PLAIN", "kafka_user": "a", "kafka_password": PASSWORD},
            "file:PATH or env:NAME",
        ),
        (
            {"kafka_security": "SASL_SSL", "kafka_mechanism": "PLAIN", "kafka_user": "a", "kafka_password": "file:/not/there"},
            "No such file",
        ),
        ({"kafka_security": "SASL_SSL", "kafka_mechanism": "OAUTHBEARER"}, "kafka_token"),
        ({"kafka_user": "a"}, "expected SASL_SSL"),
        ({"kafka_ca_file": "ca.pem"}, "expected SSL"),
        ({"kafka_security": "SSL", "kafka_ca_file": "/not/there.pem"}, "kafka_ca_file"),
    ],
)
def test_wrong_settings_are_named_and_no_secret_is_shown(given, why):
    with pytest.raises(SettingsError, match=why) as wrong:
        security_of(settings(kafka="k:9092", **given))
    assert PASSWORD not in str(wrong.value)


async def test_a_token_is_read_again_for_each_connection(tmp_path):
    token = tmp_path / "token"
    token.write_text("one\n")
    own = {"kafka_security": "SASL_PLAINTEXT", "kafka_mechanism": "OAUTHBEARER", "kafka_token": f"file:{token}"}
    provider = security_of(settings(kafka="k:9092", **own))["sasl_oauth_token_provider"]
    assert await provider.token() == "one"
    token.write_text("two")
    assert await provider.token() == "two"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://ledger:{PASSWORD}@db/x",
        f'missing "=" after "postgres+odd://u:{PASSWORD}@h:5432/d?x=1" in connection info string',
        f"connection failed: host=db password={PASSWORD} dbname=x",
        f"password = '{PASSWORD}' host=h",
        f"HTTPSConnectionPool(https://me:{PASSWORD}@anchor.example/heads)",
        f"DSN: user=a;Pwd={PASSWORD};host=b",
    ],
)
def test_no_password_is_shown(text, capsys):
    assert PASSWORD not in hidden(text) and "***" in hidden(text)
    from flowledger.logs import configure, log

    configure("info", "json", "n")
    log("test").warning("no database", why=text, error=ValueError(text))
    try:
        raise ValueError(text)
    except ValueError as e:
        log("test").error("failed", exc_info=e)
    assert PASSWORD not in capsys.readouterr().err


def test_what_is_no_password_stays():
    for text in ("http://127.0.0.1:8080/v1/x@y", "kafka at host:9092 and bob@example.org", "postgresql://db/x"):
        assert hidden(text) == text

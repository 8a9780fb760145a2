"""Wrapping keys that stay with a provider: Vault's transit engine and KMS, against moto, a stub that checks what it is asked, and a real Vault where one is named."""

from __future__ import annotations

import base64
import http.server
import json
import os
import secrets
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typer.testing import CliRunner

from flowledger import secure
from flowledger.infra.cli.main import app
from flowledger.infra.protection import remote
from flowledger.infra.protection.vault import KEEP_S, Vault
from flowledger.infra.protection.wrapping import PLACES_MAX, REUSE_S, Several, wrapper_of
from flowledger.infra.secrets.encrypted import new_key
from flowledger.infra.settings import Settings, SettingsError
from flowledger.kernel.protection import Erased, KeysAway
from tests.connectors.conftest import boto, moto  # noqa: F401 - fixtures

sys.path.append(str(Path(__file__).parents[1] / "kernel"))
from protected import MemoryKeys

pytestmark = pytest.mark.req("D-SEC-005", "APG-SEC-003")
MARK = "MARKER-4711"


class Engine(http.server.BaseHTTPRequestHandler):
    """The transit engine: versions of keys, tokens, associated data, and its words of refusal."""

    keys: dict[str, list[bytes]] = {}
    token = "t-1"
    seen: list[str] = []
    status = 0

    def do_GET(self) -> None:
        self._answer(lambda name, _: {"latest_version": len(self.keys[name]), "type": "aes256-gcm96"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._answer(lambda name, action: {"encrypt": self._encrypt, "decrypt": self._decrypt}[action](name, body))

    def _encrypt(self, name: str, body: Any) -> dict[str, Any]:
        nonce, version = secrets.token_bytes(12), len(self.keys[name])
        made = AESGCM(self.keys[name][-1]).encrypt(nonce, base64.b64decode(body["plaintext"]), base64.b64decode(body["associated_data"]))
        return {"ciphertext": f"vault:v{version}:{base64.b64encode(nonce + made).decode()}", "key_version": version}

    def _decrypt(self, name: str, body: Any) -> dict[str, Any]:
        _, version, text = body["ciphertext"].split(":")
        data = base64.b64decode(text)
        found = AESGCM(self.keys[name][int(version[1:]) - 1]).decrypt(data[:12], data[12:], base64.b64decode(body["associated_data"]))
        return {"plaintext": base64.b64encode(found).decode()}

    def _answer(self, do: Callable[[str, str], dict[str, Any]]) -> None:
        *_, mount, action, name = self.path.split("/")
        self.seen.append(f"{self.command} {self.path}")
        status, body = self.status or 200, {}
        if not self.status:
            if self.headers["x-vault-token"] != self.token:
                status, body = 403, {"errors": ["permission denied"]}
            elif mount != "transit" or name not in self.keys:
                status, body = (404, {"errors": []}) if self.command == "GET" else (400, {"errors": ["encryption key not found"]})
            else:
                try:
                    body = {"data": do(name, action)}
                except Exception:
                    status, body = 400, {"errors": ["invalid ciphertext: unable to decrypt"]}
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


class Rig:
    """A provider with a key that can be given a new version."""

    def __init__(self, where: str, more: dict[str, str], turn: Callable[[], None], away: Callable[[bool], None] | None) -> None:
        self.where, self.more, self.turn, self.away = where, more, turn, away

    def settings(self, protect_key: str = "") -> Settings:
        return Settings(protect_key=protect_key or self.where, **self.more)


@pytest.fixture
def transit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    Engine.keys, Engine.seen, Engine.status = {"flow": [secrets.token_bytes(32)]}, [], 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("VAULT_TOKEN_HERE", "t-1")
    yield Rig(
        f"vault:http://127.0.0.1:{server.server_port}/transit/flow", {"protect_vault_token": "env:VAULT_TOKEN_HERE"},
        lambda: Engine.keys["flow"].append(secrets.token_bytes(32)), lambda on: setattr(Engine, "status", 503 if on else 0),
    )  # fmt: skip
    server.shutdown()


@pytest.fixture
def kms(moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Rig:  # noqa: F811
    client, alias = boto("kms", moto), f"alias/flow-{uuid.uuid4().hex[:8]}"
    client.create_alias(AliasName=alias, TargetKeyId=client.create_key()["KeyMetadata"]["KeyId"])
    monkeypatch.setenv("AWS_KEY_HERE", "AKID a-secret-key a-session")
    more = {"protect_aws_key": "env:AWS_KEY_HERE", "protect_kms_endpoint": f"http://127.0.0.1:{moto[1]}"}
    turn = lambda: client.update_alias(AliasName=alias, TargetKeyId=client.create_key()["KeyMetadata"]["KeyId"])  # noqa: E731
    return Rig(f"kms:us-east-1/{alias}", more, turn, None)


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A Vault or OpenBao that somebody has started: `VAULT_ADDR`, `VAULT_TOKEN`; a transit engine is made in it."""
    import httpx2

    at, mount = os.environ["VAULT_ADDR"], f"transit-{uuid.uuid4().hex[:6]}"
    client = httpx2.Client(base_url=f"{at}/v1/", headers={"x-vault-token": os.environ["VAULT_TOKEN"]})
    client.post(f"sys/mounts/{mount}", json={"type": "transit"}).raise_for_status()
    client.post(f"{mount}/keys/flow", json={}).raise_for_status()
    return Rig(
        f"vault:{at}/{mount}/flow", {"protect_vault_token": "env:VAULT_TOKEN"},
        lambda: client.post(f"{mount}/keys/flow/rotate").raise_for_status() and None, None,
    )  # fmt: skip


PROVIDERS = ["transit", "kms", *(["real"] if os.environ.get("VAULT_ADDR") else [])]


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Rig:
    return request.getfixturevalue(request.param)


providers = pytest.mark.parametrize("rig", PROVIDERS, indirect=True)


def wrapper(settings: Settings) -> Several:
    found = wrapper_of(settings)
    assert found is not None
    return found


@providers
def test_a_provider_wraps_and_unwraps_and_is_turned_without_a_stop(rig: Rig):
    keys = MemoryKeys()
    vault = Vault(keys, wrapper(rig.settings()))
    text = vault.seal("", vault.key_of("", "c1", "personal", False), "personal", 7, "x", MARK)
    (row,) = keys.rows.values()
    assert row.wrapped_by.startswith(rig.where.partition(":")[0]) and len(row.wrapped) > 32
    assert vault.rotate() == 0, "it is wrapped by the newest"
    rig.turn()
    assert Vault(keys, wrapper(rig.settings())).open("", text, False) == MARK, "the older version still unwraps"
    assert vault.rotate() == 1 and vault.rotate() == 0
    assert keys.rows[row.id].wrapped_by != row.wrapped_by
    assert Vault(keys, wrapper(rig.settings())).open("", text, False) == MARK


@providers
def test_one_moves_from_a_file_to_a_provider_and_back(rig: Rig, tmp_path: Path):
    file = tmp_path / "with a space.keys"
    file.write_text(new_key() + "\n")
    keys, places = MemoryKeys(), [f"file:{file}", f"{rig.where} file:{file}", rig.where, f"file:{file}, {rig.where}", f"file:{file}"]
    first = Vault(keys, wrapper(rig.settings(places[0])))
    text = first.seal("", first.key_of("", "c1", "personal", False), "personal", 7, "x", MARK)
    for place in places:
        vault = Vault(keys, wrapper(rig.settings(place)))
        assert vault.open("", text, False) == MARK, place
        vault.rotate()
    with pytest.raises(KeysAway, match="which protect_key doesn't have any more"):
        Vault(keys, wrapper(rig.settings())).open("", text, False)


@providers
def test_what_it_has_wrapped_is_of_one_data_key_only(rig: Rig):
    found = wrapper(rig.settings())
    by, wrapped = found.wrap("key-1", b"k" * 32)
    assert found.unwrap("key-1", by, wrapped) == b"k" * 32
    with pytest.raises(ValueError, match="refuses"):
        found.unwrap("key-2", by, wrapped)
    with pytest.raises(ValueError, match="refuses"):
        found.unwrap("key-1", by, wrapped[:-8] + b"AAAAAAA=")


def test_another_client_of_kms_opens_it(kms: Rig, moto: tuple[str, int]):  # noqa: F811
    """The request is what AWS says it is, not what only we understand."""
    _, wrapped = wrapper(kms.settings()).wrap("key-1", b"k" * 32)
    assert boto("kms", moto).decrypt(CiphertextBlob=wrapped, EncryptionContext={"flowledger": "key-1"})["Plaintext"] == b"k" * 32


def test_while_a_provider_is_away_what_was_unwrapped_goes_on_and_nothing_is_lost(transit: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote, "AGAIN_S", 0.0)
    now, keys = [0.0], MemoryKeys()
    vault = Vault(keys, wrapper(transit.settings()), lambda: now[0])
    text = vault.seal("", vault.key_of("", "c1", "personal", False), "personal", 7, "x", MARK)
    assert transit.away is not None
    transit.away(True)
    asked = len(Engine.seen)
    now[0] = REUSE_S - 1
    assert vault.open("", text, False) == MARK and len(Engine.seen) == asked, "the store is asked each 30 s, the provider isn't"
    with pytest.raises(KeysAway, match=r"the key transit/flow of http://127.0.0.1:\d+ can't answer now \(HTTP 503\)"):
        vault.key_of("", "c2", "personal", False)
    assert len(keys.rows) == 1, "no key that couldn't be wrapped is kept"
    now[0] = REUSE_S + KEEP_S
    with pytest.raises(KeysAway, match="HTTP 503"):
        vault.open("", text, False)
    with pytest.raises(KeysAway, match="0 were wrapped anew"):
        vault.rotate()
    transit.away(False)
    assert vault.open("", text, False) == MARK
    vault.destroy("", "c1")
    with pytest.raises(Erased):
        vault.open("", text, False)


def test_all_who_wait_for_one_that_is_away_are_told_at_once(transit: Rig):
    found = wrapper(transit.settings())
    assert transit.away is not None
    transit.away(True)
    for _ in range(5):
        with pytest.raises(OSError, match="HTTP 503"):
            found.wrap("k", b"k" * 32)
    assert len(Engine.seen) == 1
    nobody = wrapper(Settings(protect_key="vault:http://127.0.0.1:1/transit/flow", protect_vault_token="env:VAULT_TOKEN_HERE"))
    with pytest.raises(OSError, match="can't be reached"):
        nobody.wrap("k", b"k" * 32)


def test_a_refusal_says_who_refuses_what(transit: Rig, kms: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Engine, "token", "t-2")
    with pytest.raises(ValueError, match=r"transit/flow of .* refuses to encrypt: HTTP 403 \(token or policy\)"):
        wrapper(transit.settings()).wrap("k", b"k" * 32)
    with pytest.raises(ValueError, match=r"refuses to encrypt: HTTP 403"):
        wrapper(transit.settings(transit.where + "x")).wrap("k", b"k" * 32)
    with pytest.raises(ValueError, match=r"the key 1234 of KMS .* refuses Encrypt: HTTP 400 \(NotFoundException\)"):
        wrapper(kms.settings("kms:us-east-1/1234")).wrap("k", b"k" * 32)


def test_a_token_is_read_again_for_each_request(transit: Rig, monkeypatch: pytest.MonkeyPatch):
    found = wrapper(transit.settings())
    found.wrap("k", b"k" * 32)
    monkeypatch.setattr(Engine, "token", "t-2")
    monkeypatch.setenv("VAULT_TOKEN_HERE", "t-2")
    found.wrap("k", b"k" * 32)


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("vault:http://h:1/transit/k", {}, "needs the setting protect_vault_token"),
        ("vault:http://h:1/k", {"protect_vault_token": "env:HOME"}, "expected vault:https://HOST:PORT/MOUNT/KEY"),
        ("vault:http://u:p@h:1/transit/k", {"protect_vault_token": "env:HOME"}, "expected vault:https://HOST:PORT/MOUNT/KEY"),
        ("vault:http://h:1/../k", {"protect_vault_token": "env:HOME"}, "expected vault:https://HOST:PORT/MOUNT/KEY"),
        ("vault:http://h:1/transit/k", {"protect_vault_token": "a-token"}, "expected file:PATH or env:NAME"),
        ("kms:us-east-1/k", {}, "needs the setting protect_aws_key"),
        ("kms:k", {"protect_aws_key": "env:HOME"}, "expected kms:REGION/KEY"),
        ("kms:eu-west-1/k", {"protect_aws_key": "env:HOME", "protect_kms_endpoint": "http://h/path"}, "protect_kms_endpoint: expected https://HOST:PORT"),
        ("a-key-itself", {}, "a key itself is not taken"),
        (" ".join(["env:HOME"] * (PLACES_MAX + 1)), {}, f"expected at most {PLACES_MAX} places, found {PLACES_MAX + 1}"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_it_is_said_at_the_start(text: str, more: dict[str, str], said: str):
    with pytest.raises(SettingsError, match="setting protect_key") as e:
        wrapper_of(Settings(protect_key=text, **more))
    assert said in str(e.value) and "a-token" not in str(e.value) and "a-key-itself" not in str(e.value)


def test_the_secure_profile_wants_a_line_that_is_checked(transit: Rig):
    plain = "vault:http://vault.example:8200/transit/k file:/x"
    assert [p for p in secure.problems(Settings(protect_key=plain)) if "protect_key" in p]
    assert not [p for p in secure.problems(Settings(protect_key=plain.replace("http:", "https:"))) if "protect_key" in p]


def test_an_operator_tries_each_place(transit: Rig, tmp_path: Path):
    (tmp_path / "k").write_text(new_key())
    given = {"FLOWLEDGER_PROTECT_KEY": f"{transit.where} file:{tmp_path / 'k'}", "FLOWLEDGER_PROTECT_VAULT_TOKEN": "env:VAULT_TOKEN_HERE"}
    good = CliRunner().invoke(app, ["protection", "check", "--json"], env=given)
    assert good.exit_code == 0 and [(i["kind"], i["wrong"]) for i in json.loads(good.output)["items"]] == [("vault", ""), ("file", "")]
    assert transit.away is not None
    transit.away(True)
    bad = CliRunner().invoke(app, ["protection", "check"], env=given)
    assert bad.exit_code == 1 and "can't answer now (HTTP 503)" in bad.output and "✓ file" in bad.output

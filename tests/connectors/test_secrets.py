"""Secrets by reference: providers, limits, rotation, the encrypted file and its commands, and what hides values."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from flowledger.infra.secret_text import SECRET_BYTES_MAX, hidden, remember
from flowledger.infra.secrets import NAMES_MAX, Environment, Folder, SecretError, Secrets, secrets_of
from flowledger.infra.secrets.encrypted import COUNT_MAX, EncryptedFile, new_key
from flowledger.infra.secrets.mask import Mask
from flowledger.infra.secrets.vault import FRESH_S, Vault
from flowledger.infra.settings import Settings, SettingsError, load


async def test_the_first_provider_that_knows_a_name_answers(tmp_path, monkeypatch):
    (tmp_path / "TOKEN").write_text("from-the-folder\n")
    (tmp_path / "ONLY_HERE").write_text("only-here")
    monkeypatch.setenv("FLOWLEDGER_SECRET_TOKEN", "from-the-environment")
    found = secrets_of(Settings(secrets=("env", f"folder:{tmp_path}")))
    assert await found.resolve(["TOKEN", "ONLY_HERE"]) == {"TOKEN": "from-the-environment", "ONLY_HERE": "only-here"}
    assert await secrets_of(Settings(secrets=(f"folder:{tmp_path}", "env"))).resolve(["TOKEN"]) == {"TOKEN": "from-the-folder"}


async def test_a_missing_one_is_told_by_its_name(tmp_path):
    with pytest.raises(SecretError, match=r"there is no secret 'GONE'; asked: env, folder:") as e:
        await secrets_of(Settings(secrets=("env", f"folder:{tmp_path}"))).resolve(["GONE"])
    assert e.value.code == "SECRET_MISSING" and not e.value.again


@pytest.mark.req("D-SEC-004", "APG-SEC-004")
async def test_rotation_needs_no_restart(tmp_path):
    path = tmp_path / "TOKEN"
    found = Secrets([Folder(str(tmp_path))])
    path.write_text("first-value")
    assert (await found.resolve(["TOKEN"]))["TOKEN"] == "first-value"
    # as Kubernetes does it: a new folder, and a link that is moved
    (tmp_path / "..new").mkdir()
    (tmp_path / "..new" / "TOKEN").write_text("second-value")
    path.unlink()
    path.symlink_to(Path("..new") / "TOKEN")
    assert (await found.resolve(["TOKEN"]))["TOKEN"] == "second-value"


@pytest.mark.parametrize(
    "content,code",
    [
        (b"abc", "SECRET_UNUSABLE"), (b"abcd", ""), (b"x" * SECRET_BYTES_MAX, ""), (b"x" * (SECRET_BYTES_MAX + 1), "SECRET_UNUSABLE"),
        (b"\xff\xfe\xfd\xfc", "SECRET_UNUSABLE"), (b"", "SECRET_UNUSABLE"),
    ],
)  # fmt: skip
async def test_limits_of_a_value(tmp_path, content: bytes, code: str):
    (tmp_path / "A").write_bytes(content)
    asked = Secrets([Folder(str(tmp_path))]).resolve(["A"])
    if not code:
        assert await asked == {"A": content.decode()}
        return
    with pytest.raises(SecretError) as e:
        await asked
    assert e.value.code == code and "'A'" in e.value.message


@pytest.mark.parametrize("name", ["", "../passwd", "a/b", "..", "a.b", "1a", "a" * 129, "a b", "é"])
async def test_a_name_can_not_lead_out_of_the_folder(tmp_path, name: str):
    (tmp_path / "inner").mkdir()
    (tmp_path / "passwd").write_text("outside")
    with pytest.raises(SecretError) as e:
        await Secrets([Folder(str(tmp_path / "inner"))]).resolve([name])
    assert e.value.code == "SECRET_UNUSABLE"


async def test_neither_can_a_link(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "outside").write_text("outside-value")
    (tmp_path / "inner" / "A").symlink_to(tmp_path / "outside")
    with pytest.raises(SecretError) as e:
        await Secrets([Folder(str(tmp_path / "inner"))]).resolve(["A"])
    assert e.value.code == "SECRET_UNUSABLE" and "outside-value" not in str(e.value)


async def test_how_many_names(monkeypatch):
    names = [f"N{n}" for n in range(NAMES_MAX + 1)]
    for name in names:
        monkeypatch.setenv(f"FLOWLEDGER_SECRET_{name}", f"value-{name}")
    secrets = Secrets([Environment()])
    assert len(await secrets.resolve(names[:-1])) == NAMES_MAX
    with pytest.raises(SecretError, match="at most"):
        await secrets.resolve(names)


def test_a_variable_with_a_secret_is_no_unknown_setting():
    load(environment={"FLOWLEDGER_SECRET_TOKEN": "x", "FLOWLEDGER_PORT": "0"})
    with pytest.raises(SettingsError, match="FLOWLEDGER_SECRETSS"):
        load(environment={"FLOWLEDGER_SECRETSS": "env"})


@pytest.mark.parametrize("text", ["nope", "folder:", "vault:ftp://x/a/b", "vault:https://x", "vault:https://u:p@x/a/b", "file:x.json"])
def test_a_wrong_provider_is_refused_at_the_start_or_at_its_use(text: str):
    if text == "file:x.json":  # the key is read with each use
        assert secrets_of(Settings(secrets=(text,))).providers
        return
    with pytest.raises(SettingsError, match="setting secrets"):
        secrets_of(Settings(secrets=(text,), secrets_vault_token="env:X"))


# --- the encrypted file -----------------------------------------------------------------------------------------------


def test_encrypted_file(tmp_path):
    key = new_key()
    file = EncryptedFile(tmp_path / "s.json", lambda: key)
    file.put("A", "the value of A")
    file.put("B", "the value of B")
    assert (file.get("A"), file.get("B"), file.get("C"), file.names()) == ("the value of A", "the value of B", None, ["A", "B"])
    text = (tmp_path / "s.json").read_text()
    assert "the value" not in text and base64.b64encode(b"the value of A").decode() not in text
    assert (tmp_path / "s.json").stat().st_mode & 0o077 == 0
    other = EncryptedFile(tmp_path / "s.json", lambda: key)
    file.put("A", "rotated value")
    assert other.get("A") == "rotated value"
    assert file.remove("B") and not file.remove("B") and other.get("B") is None


def test_values_can_not_be_swapped_and_another_key_opens_nothing(tmp_path):
    key = new_key()
    file = EncryptedFile(tmp_path / "s.json", lambda: key)
    file.put("A", "the value of A")
    kept = json.loads(file.path.read_text())
    kept["secrets"]["B"] = kept["secrets"]["A"]
    file.path.write_text(json.dumps(kept))
    for found in (file, EncryptedFile(file.path, new_key)):
        with pytest.raises(ValueError, match="can't be decrypted"):
            found.get("B")


def test_a_key_is_changed_by_a_new_line_on_top(tmp_path):
    old, new = new_key(), new_key()
    EncryptedFile(tmp_path / "s", lambda: old).put("A", "the value of A")
    both = EncryptedFile(tmp_path / "s", lambda: f"{new}\n{old}\n")
    assert both.get("A") == "the value of A"
    both.put("A", "again")
    assert EncryptedFile(tmp_path / "s", lambda: new).get("A") == "again"


@pytest.mark.parametrize("key", ["", "short", base64.b64encode(b"x" * 31).decode()])
def test_a_wrong_key(tmp_path, key: str):
    with pytest.raises(ValueError, match="key"):
        EncryptedFile(tmp_path / "s", lambda: key).put("A", "value")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 2, "secrets": {}}', b'{"version": 1, "secrets": {"A": 1}}', b"\xff"])
async def test_a_broken_file(tmp_path, content: bytes):
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(SecretError) as e:
        await Secrets([EncryptedFile(tmp_path / "s", new_key)]).resolve(["A"])
    assert e.value.code == "SECRET_UNUSABLE"


def test_how_many_are_kept(tmp_path):
    key = new_key()
    file = EncryptedFile(tmp_path / "s", lambda: key)
    file.put("A", "value")
    kept = json.loads(file.path.read_text())
    kept["secrets"] = {f"N{n}": "x" for n in range(COUNT_MAX)}
    file.path.write_text(json.dumps(kept))
    file.put("N0", "value")
    with pytest.raises(ValueError, match="at most"):
        file.put("ONE_MORE", "value")


def test_commands(tmp_path):
    env = {**os.environ, "FLOWLEDGER_SECRETS": f"env,file:{tmp_path}/s.json", "FLOWLEDGER_SECRETS_KEY": f"file:{tmp_path}/key"}

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flowledger", "secrets", *arguments], env=env, input=stdin, capture_output=True, text=True, timeout=120
        )

    assert run("key", f"{tmp_path}/key").returncode == 0
    assert run("key", f"{tmp_path}/key").returncode == 1
    assert run("set", "TOKEN", stdin="hush-hush\n").returncode == 0
    assert run("set", "a/b", stdin="hush-hush").returncode == 2
    assert run("set", "SHORT", stdin="abc").returncode == 2
    shown = run("list", "--json")
    assert json.loads(shown.stdout) == [{"name": "TOKEN"}]
    assert EncryptedFile(tmp_path / "s.json", (tmp_path / "key").read_text).get("TOKEN") == "hush-hush"
    assert run("rm", "TOKEN").returncode == 0 and run("rm", "TOKEN").returncode == 1
    env["FLOWLEDGER_SECRETS"] = "env"
    assert "no encrypted file is set" in run("list").stderr


# --- Vault, OpenBao ----------------------------------------------------------------------------------------------------


class _Kv(http.server.BaseHTTPRequestHandler):
    """What the KV engine, version 2, answers."""

    state: dict = {}

    def do_GET(self) -> None:
        s = self.state
        status = s["status"] if self.headers["x-vault-token"] == s["token"] else 403
        found = status == 200 and self.path == "/v1/secret/data/flow/ledger"
        body = json.dumps({"data": {"data": s["data"], "metadata": {"version": 1}}} if found else {"errors": []}).encode()
        self.send_response(status if status != 200 or found else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        s["asked"] += 1

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def vault():
    _Kv.state = {"token": "t-1", "data": {"A": "value of A", "N": 7}, "status": 200, "asked": 0}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Kv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/secret/flow/ledger", _Kv.state
    finally:
        server.shutdown()
        server.server_close()


async def test_vault(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("t-1\n")
    with vault() as (url, state):
        secrets = secrets_of(Settings(secrets=(f"vault:{url}",), secrets_vault_token=f"file:{tmp_path}/token"))
        assert await secrets.resolve(["A"]) == {"A": "value of A"}
        for name, code in (("GONE", "SECRET_MISSING"), ("N", "SECRET_UNUSABLE")):
            with pytest.raises(SecretError) as e:
                await secrets.resolve([name])
            assert e.value.code == code
        assert state["asked"] == 1


def test_vault_is_read_again_after_a_while_with_the_token_of_that_moment():
    now, token = [0.0], ["t-1"]
    with vault() as (url, state):
        found = Vault(url, lambda: token[0], clock=lambda: now[0])
        assert found.get("A") == "value of A"
        state.update(token="t-2", data={"A": "rotated"})
        now[0] = FRESH_S
        assert found.get("A") == "value of A"
        now[0] = FRESH_S + 0.1
        with pytest.raises(ValueError, match="HTTP 403"):
            found.get("A")
        token[0] = "t-2"
        assert found.get("A") == "rotated"
        now[0] *= 3
        state["status"] = 503
        with pytest.raises(OSError):
            found.get("A")


async def test_vault_that_is_away_is_tried_again():
    with pytest.raises(SecretError) as e:
        await Secrets([Vault("http://127.0.0.1:1/secret/x", lambda: "t")]).resolve(["A"])
    assert e.value.code == "SECRETS_AWAY" and e.value.again


# --- hiding -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "p&ss wörd/+=", "bearer p&ss wörd/+= x", "p%26ss%20w%C3%B6rd%2F%2B%3D", "p%26ss+w%C3%B6rd%2F%2B%3D", base64.b64encode("p&ss wörd/+=".encode()).decode(),
        json.dumps("p&ss wörd/+="), "p&ss wörd/+=".encode().hex(),
    ],
)  # fmt: skip
def test_a_value_is_hidden_in_each_form(text: str):
    mask = Mask()
    mask.add("p&ss wörd/+=")
    shown = mask.text(text)
    assert "***" in shown and len(shown) <= len("bearer *** x")


def test_values_of_json_are_hidden_wherever_they_stand():
    mask = Mask()
    assert mask.value({"a": 1.5}) == {"a": 1.5}
    mask.add("hush-hush", "1234567")
    found = mask.value({"a": ["x hush-hush y"], "hush-hush": {"b": 1234567, "c": Decimal("1234567"), "d": True, "e": None, "f": 7}})
    assert found == {"a": ["x *** y"], "***": {"b": "***", "c": "***", "d": True, "e": None, "f": 7}}


def test_lines_of_a_key_are_hidden_one_by_one():
    mask = Mask()
    mask.add("-----BEGIN KEY-----\nMIIBVgIBADANBgkqhkiG9w0B\nAQEFAASCAUAwggE8AgEAAkEA\n-----END KEY-----")
    assert mask.text("reformatted: MIIBVgIBADANBgkqhkiG9w0B AQEFAASCAUAwggE8AgEAAkEA") == "reformatted: *** ***"


def test_no_line_of_this_process_shows_a_used_value():
    remember(["a-value-that-was-used"])
    assert hidden("x a-value-that-was-used y postgres://u:pw@h/d") == "x *** y postgres://u:***@h/d"

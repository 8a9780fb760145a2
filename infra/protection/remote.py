"""Wrapping keys that stay with somebody else: Vault's or OpenBao's transit engine, and AWS KMS or what speaks as it does.

vault:URL/MOUNT/KEY     `POST /v1/MOUNT/encrypt|decrypt/KEY`, `GET /v1/MOUNT/keys/KEY` (Vault's HTTP API, "Transit secrets engine"); the key's type is
                        aes256-gcm96 (the default) or chacha20-poly1305, whose associated data bind what is wrapped to the id of the data key
kms:REGION/KEY          the actions Encrypt, Decrypt and DescribeKey (AWS KMS API reference); KEY: an id, an ARN or alias/NAME; bound by the encryption context

The provider never gives its key away: data keys go to it and come back, over a line that is checked. What it has unwrapped is used for `wrapping.REUSE_S`
seconds, so one that is away for less than that is not noticed by what runs. Tokens and credentials are read for each request, so they may be renewed.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from flowledger.infra.aws_signing import Keys, Request, endpoint, signed

TIMEOUT_S = 5.0
#: after it was away it isn't asked for so long
AGAIN_S = 1.0
ANSWER_BYTES_MAX = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_KMS_KEY = re.compile(
    r"(alias/[A-Za-z0-9/_-]{1,250}|[A-Za-z0-9-]{1,128}|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]{1,250})"
)
_REGION = re.compile(r"[a-z0-9-]{1,64}")


class Line:
    """HTTP to a provider: one client, one more try where a kept connection was closed."""

    def __init__(self, name: str, ca_file: str) -> None:
        self.name, self._ca_file = name, ca_file
        self._client: Any = None
        self._away: tuple[float, str] = (0.0, "")
        self._lock = threading.Lock()

    def _open(self) -> Any:
        import httpx2

        with self._lock:
            if self._client is None:
                verify: Any = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
                self._client = httpx2.Client(timeout=TIMEOUT_S, verify=verify, trust_env=False)
            return self._client

    def ask(self, method: str, url: str, headers: Mapping[str, str], data: bytes) -> tuple[int, dict[str, Any], str]:
        """(status, the answer when it is an object of JSON, the provider's code in its headers). Raises: OSError: it is away."""
        until, why = self._away
        if until > time.monotonic():  # all those who wait are told at once, not one after the other's time limit
            raise ConnectionError(0, why)
        try:
            return self._asked(method, url, headers, data)
        except ConnectionError as e:
            self._away = time.monotonic() + AGAIN_S, str(e.strerror)
            raise

    def _asked(self, method: str, url: str, headers: Mapping[str, str], data: bytes) -> tuple[int, dict[str, Any], str]:
        import httpx2

        client = self._open()
        for left in (1, 0):
            try:
                answer = client.request(method, url, headers=dict(headers), content=data or None)
                break
            except httpx2.TimeoutException as e:
                raise ConnectionError(0, f"{self.name} doesn't answer ({type(e).__name__})") from None
            except httpx2.HTTPError as e:
                if not left:
                    raise ConnectionError(0, f"{self.name} can't be reached ({type(e).__name__})") from None
        if answer.status_code == 429 or answer.status_code >= 500:
            raise ConnectionError(0, f"{self.name} can't answer now (HTTP {answer.status_code})")
        try:
            found = json.loads(answer.content) if 0 < len(answer.content) <= ANSWER_BYTES_MAX else {}
        except (ValueError, RecursionError):
            found = {}
        code = str(answer.headers.get("x-amzn-errortype", "")).partition(":")[0]
        return answer.status_code, found if isinstance(found, dict) else {}, code


class Transit:
    """`where`: `https://HOST:8200/MOUNT/KEY`. Raises: ValueError."""

    kind = "vault"

    def __init__(self, where: str, token: Callable[[], str], ca_file: str = "") -> None:
        parts = urlsplit(where)
        mount, _, key = parts.path.strip("/").rpartition("/")
        if (
            parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or not _NAME.fullmatch(key)
            or not mount or not all(_NAME.fullmatch(part) for part in mount.split("/"))
        ):  # fmt: skip
            raise ValueError("expected vault:https://HOST:PORT/MOUNT/KEY")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._base, self._key, self._token = f"{self.url}/v1/{mount}", key, token
        self._line = Line(f"the key {mount}/{key} of {self.url}", ca_file)
        # which key it is, also when another server stands at the address of an older one; its versions are told by what it has wrapped
        self._name = f"vault:{hashlib.sha256(f'{parts.netloc}/{mount}/{key}'.encode()).hexdigest()[:12]}"

    @property
    def newest(self) -> str:
        found = self._ask("GET", f"keys/{self._key}").get("latest_version")
        if not isinstance(found, int):
            raise ValueError(f"{self._line.name}: expected a key of the transit engine")
        return f"{self._name}:v{found}"

    def owns(self, by: str) -> bool:
        return by.rpartition(":")[0] == self._name

    def wrap(self, id: str, key: bytes) -> tuple[str, bytes]:
        text = self._ask("POST", f"encrypt/{self._key}", {"plaintext": _text(key), "associated_data": _text(id.encode())}).get("ciphertext")
        if not isinstance(text, str) or not (version := re.fullmatch(r"vault:(v[0-9]+):.+", text)):
            raise ValueError(f"{self._line.name}: expected a ciphertext of the transit engine")
        return f"{self._name}:{version[1]}", text.encode()

    def unwrap(self, id: str, by: str, wrapped: bytes) -> bytes:
        asked = {"ciphertext": wrapped.decode("ascii", "replace"), "associated_data": _text(id.encode())}
        return _bytes(self._ask("POST", f"decrypt/{self._key}", asked).get("plaintext"), self._line.name)

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        """Raises: OSError (away), ValueError (refused)."""
        headers = {"x-vault-token": self._token(), "x-vault-request": "true", "content-type": "application/json"}
        status, found, _ = self._line.ask(method, f"{self._base}/{path}", headers, json.dumps(body).encode() if body is not None else b"")
        if status == 200 and isinstance(data := found.get("data"), dict):
            return data
        why = {403: "token or policy", 404: "there is no such key or engine"}.get(status, _said(found.get("errors")))
        raise ValueError(f"{self._line.name} refuses to {path.partition('/')[0]}: HTTP {status} ({why})")


class Kms:
    """`where`: `REGION/KEY`; `at`: of what speaks as KMS does, empty: AWS's own. `who` gives `ACCESS_KEY SECRET_KEY [SESSION_TOKEN]`. Raises: ValueError."""

    kind = "kms"

    def __init__(self, where: str, who: Callable[[], str], at: str = "", ca_file: str = "") -> None:
        region, _, key = where.partition("/")
        if not _REGION.fullmatch(region) or not _KMS_KEY.fullmatch(key):
            raise ValueError("expected kms:REGION/KEY, where KEY is an id, an ARN or alias/NAME")
        parts = urlsplit(at or endpoint("kms", region))
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.username or parts.query:
            raise ValueError("setting protect_kms_endpoint: expected https://HOST:PORT")
        self.url, self._host = f"{parts.scheme}://{parts.netloc}", parts.netloc
        self._region, self._key, self._who = region, key, who
        self._line = Line(f"the key {key} of KMS ({self.url})", ca_file)

    @property
    def newest(self) -> str:
        """An alias may stand for another key by now."""
        found = self._ask("DescribeKey", {"KeyId": self._key}).get("KeyMetadata")
        return self._by(found.get("Arn") if isinstance(found, dict) else None)

    def owns(self, by: str) -> bool:
        """Whatever key of KMS it was: the ciphertext says which one, and the credentials whether they may."""
        return by.startswith("kms:")

    def wrap(self, id: str, key: bytes) -> tuple[str, bytes]:
        found = self._ask("Encrypt", {"KeyId": self._key, "Plaintext": _text(key), "EncryptionContext": {"flowledger": id}})
        return self._by(found.get("KeyId")), _bytes(found.get("CiphertextBlob"), self._line.name)

    def unwrap(self, id: str, by: str, wrapped: bytes) -> bytes:
        asked = {"KeyId": by.removeprefix("kms:"), "CiphertextBlob": _text(wrapped), "EncryptionContext": {"flowledger": id}}
        return _bytes(self._ask("Decrypt", asked).get("Plaintext"), self._line.name)

    def _by(self, arn: Any) -> str:
        if not isinstance(arn, str) or not _KMS_KEY.fullmatch(arn):
            raise ValueError(f"{self._line.name}: expected an answer with the ARN of a key")
        return f"kms:{arn}"

    def _ask(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises: OSError (away), ValueError (refused)."""
        access, secret, session = (*self._who().split(), "", "")[:3]
        if not access or not secret:
            raise ValueError("setting protect_aws_key: expected ACCESS_KEY SECRET_KEY and, of temporary credentials, SESSION_TOKEN")
        data = json.dumps(body).encode()
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"TrentService.{action}"}
        asked = Request("kms", self.url, "POST", "/", {}, headers, data)
        headers = signed(
            Keys(self._region, access, secret, session or None), asked, {**headers, "host": self._host}, datetime.datetime.now(datetime.UTC)
        )
        status, found, code = self._line.ask("POST", f"{self.url}/", headers, data)
        if status == 200:
            return found
        code = (str(found.get("__type") or code)).rpartition("#")[2][:100]
        if code.startswith(("Throttling", "KMSInternal", "DependencyTimeout")):
            raise ConnectionError(0, f"{self._line.name} can't answer now ({code})")
        raise ValueError(f"{self._line.name} refuses {action}: HTTP {status} ({quote(code) or 'no reason'})")


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: Any, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ValueError(f"{name}: expected bytes in base64") from None


def _said(errors: Any) -> str:
    """What a provider says of itself, in one short line."""
    words = "; ".join(str(e) for e in errors) if isinstance(errors, list) else ""
    return " ".join(words.split())[:200] or "no reason"

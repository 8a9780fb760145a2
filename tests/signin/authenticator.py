"""An authenticator in software: what a browser and a security key do together (WebAuthn Level 3, 5.1 and 6). What it is told to get wrong, it does."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

ORIGIN = "http://localhost:8080"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class Authenticator:
    """One passkey. `count`: signatures so far."""

    def __init__(self, origin: str = ORIGIN, verifies: bool = True) -> None:
        self.origin, self.verifies, self.count = origin, verifies, 0
        self.id, self.key = os.urandom(32), ec.generate_private_key(ec.SECP256R1())
        self.handle = b""

    def _client(self, kind: str, challenge: str, /, **wrong: Any) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False, **wrong}).encode()

    def _data(self, rp_id: str, more: int = 0) -> bytes:
        flags = PRESENT | (VERIFIED if self.verifies else 0) | more
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def create(self, options: dict[str, Any], **wrong: Any) -> dict[str, Any]:
        """`navigator.credentials.create`"""
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        self.handle = base64url_to_bytes(options["user"]["id"])
        data = self._data(wrong.pop("rp_id", options["rp"]["id"]), ATTESTED) + bytes(16) + len(self.id).to_bytes(2, "big") + self.id
        attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data + cbor2.dumps(cose)})
        client = self._client("webauthn.create", options["challenge"], **wrong)
        return self._answer(
            {"clientDataJSON": bytes_to_base64url(client), "attestationObject": bytes_to_base64url(attested), "transports": ["internal"]}
        )

    def get(self, options: dict[str, Any], **wrong: Any) -> dict[str, Any]:
        """`navigator.credentials.get`"""
        self.count += 1
        data = self._data(wrong.pop("rp_id", options["rpId"]))
        client = self._client("webauthn.get", options["challenge"], **wrong)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": bytes_to_base64url(client), "authenticatorData": bytes_to_base64url(data),
                "signature": bytes_to_base64url(signature), "userHandle": bytes_to_base64url(self.handle),
            }
        )  # fmt: skip

    def _answer(self, response: dict[str, Any]) -> dict[str, Any]:
        id = bytes_to_base64url(self.id)
        return {
            "id": id,
            "rawId": id,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
        }

"""Signatures by which a receiver knows who sends. Source: Standard Webhooks 1.0 (github.com/standard-webhooks), "Signature scheme", symmetric."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """`whsec_` and base64, as the standard writes secrets; any other text is taken as it is. Raises: ValueError."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        found = base64.b64decode(secret[len(PREFIX) :], validate=True)
    except binascii.Error:
        raise ValueError(f"expected base64 after {PREFIX}") from None
    if not found:
        raise ValueError(f"expected a secret after {PREFIX}")
    return found


def headers(keys: Iterable[bytes], id: str, now_s: int, body: bytes) -> dict[str, str]:
    """One signature for each key, so that a receiver may know either of two while one takes the other's place."""
    text = f"{id}.{now_s}.".encode() + body
    signatures = [base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode() for key in keys]
    return {"webhook-id": id, "webhook-timestamp": str(now_s), "webhook-signature": " ".join(f"v1,{s}" for s in signatures)}

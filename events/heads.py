"""Signed heads: what stands under a signature, byte for byte, and how a head is written down. Pure; who signs and checks is `infra/signing.py`.

A head says: behind its group `number`, which ends before offset `end`, the chain of this partition stands at `chain`. Whoever knows the public
key and a head knows what the log was up to there, whatever anybody with access to the log does later. Source: `docs/log-protocol.md`.
"""

from __future__ import annotations

import hashlib

import msgspec

from flowledger.events.ledger import HeadSigned


class Head(msgspec.Struct, frozen=True):
    """One line of an anchor, JSON. `chain` and `signature` in hex; `signed_us`: microseconds since the epoch; `signer`: id of the key."""

    partition: int
    epoch: int
    number: int
    end: int
    chain: str
    signed_us: int
    signer: str
    signature: str = ""

    @property
    def message(self) -> bytes:
        """What is signed."""
        return (
            f"flowledger.head.1\npartition={self.partition} epoch={self.epoch} number={self.number} end={self.end} chain={self.chain} "
            f"signed_us={self.signed_us} signer={self.signer}\n"
        ).encode()


def key_id(public: bytes) -> str:
    """Name of a key: the first 16 hex digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(public).hexdigest()[:16]


def key_message(public: bytes, by: str) -> bytes:
    """What the key `by` signs to say that `public` is the next one; `by` empty: the key says it of itself."""
    return f"flowledger.key.1\nid={key_id(public)} public={public.hex()} by={by}\n".encode()


def head_of(event: HeadSigned, partition: int) -> Head:
    return Head(partition, event.epoch, event.number, event.end, event.chain.hex(), event.signed_us, event.signer, event.signature.hex())


def event_of(head: Head) -> HeadSigned:
    return HeadSigned(
        number=head.number, end=head.end, chain=bytes.fromhex(head.chain), epoch=head.epoch, signed_us=head.signed_us, signer=head.signer,
        signature=bytes.fromhex(head.signature),
    )  # fmt: skip


def parse_head(text: str) -> Head:
    """A line of an anchor, or `PARTITION-END:CHAIN` (hex), which names a head without its signature. Raises: ValueError."""
    text = text.strip()
    if text.startswith("{"):
        try:
            return msgspec.json.decode(text, type=Head)
        except msgspec.DecodeError as e:
            raise ValueError(f"no head of a log: {e}") from None
    position, _, chain = text.partition(":")
    partition, _, end = position.partition("-")
    if not (
        partition.isascii()
        and partition.isdigit()
        and end.isascii()
        and end.isdigit()
        and len(chain) == 64
        and set(chain) <= set("0123456789abcdef")
    ):
        raise ValueError(f"expected a line of an anchor (JSON) or PARTITION-END:CHAIN with 64 hex digits, found {text[:80]!r}")
    return Head(int(partition), 0, 0, int(end), chain, 0, "")


__all__ = ["Head", "event_of", "head_of", "key_id", "key_message", "parse_head"]

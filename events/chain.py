"""The hash chain of a partition: what is under it, and how its bytes are framed. Pure.

Version 2 (written by this release): everything that a reader is told of a group but the chain value itself,

    SHA-256( "flowledger.chain.2\\0" || previous chain value (32)
             || timestamp in milliseconds (u64) || headers h (u32) || records n (u32)
             || h times: length of name, length of value (u32, u32)
             || n times: length of key (0xFFFFFFFF: no key), length of value (u32, u32)
             || names and values of the headers, in order || keys, in order || values, in order )

with integers big-endian. Counts and lengths come first, so no two different groups give the same bytes. The headers are those of each
record (`epoch`, `owner`, `source`), then those of the last one without `chain` (`last`; of a claim `read`; `number`).
Version 1 (logs of before): SHA-256 over the previous value and the values alone. A claim says which version its epoch is written in, and
a later claim never goes back. Source: `docs/log-protocol.md`, "The chain".
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

Header = tuple[str, bytes]
Headers = tuple[Header, ...]

GENESIS = b"\x00" * 32
#: what this release writes
VERSION = 2
_TAG = b"flowledger.chain.2\x00"
_NO_KEY = 0xFFFFFFFF


def chain_v1(previous: bytes, values: Sequence[bytes]) -> bytes:
    h = hashlib.sha256(previous)
    for value in values:
        h.update(value)
    return h.digest()


def chain_v2(previous: bytes, headers: Headers, keys: Sequence[bytes | None], values: Sequence[bytes], timestamp_ms: int) -> bytes:
    """`headers`: of each record, then of the last one, without `chain`."""
    n = len(values)
    lengths = [0] * (2 * n)
    whole = None not in keys
    lengths[0::2] = map(len, keys) if whole else [_NO_KEY if k is None else len(k) for k in keys]  # type: ignore[arg-type]
    lengths[1::2] = map(len, values)
    names = [(name.encode(), value) for name, value in headers]
    for name, value in names:
        lengths += (len(name), len(value))  # moved to the front below
    table = struct.pack(f">{len(lengths)}I", *lengths[2 * n :], *lengths[: 2 * n])
    h = hashlib.sha256(_TAG + previous + struct.pack(">QII", timestamp_ms, len(names), n) + table)
    h.update(b"".join([part for pair in names for part in pair]))
    h.update(b"".join(keys if whole else [k for k in keys if k is not None]))  # type: ignore[arg-type]
    h.update(b"".join(values))
    return h.digest()

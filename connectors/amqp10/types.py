"""The types of AMQP 1.0 on the wire (part 1 of the standard): values to bytes, and bytes to values. Pure, and bounded whatever comes."""

from __future__ import annotations

import contextlib
import struct
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

#: of values within values; of entries in all of one message or frame
DEPTH_MAX, ENTRIES_MAX = 32, 100_000


class Garbled(ValueError):
    """Bytes that are no value of AMQP 1.0."""


class Symbol(str):
    __slots__ = ()


class UByte(int):
    pass


class UInt(int):
    pass


class ULong(int):
    pass


class Described(NamedTuple):
    """A value with what it is: a number, or a symbol."""

    code: Any
    value: Any


def encode(value: Any) -> bytes:
    """Python's `int` goes as `long`, `float` as `double`. Raises: TypeError, struct.error (out of range)."""
    if value is None:
        return b"\x40"
    if isinstance(value, bool):  # the one-byte form: RabbitMQ 3 takes no other where it looks at one
        return b"\x41" if value else b"\x42"
    if isinstance(value, Described):
        return b"\x00" + encode(value.code) + encode(value.value)
    if isinstance(value, UByte):
        return struct.pack(">BB", 0x50, value)
    if isinstance(value, UInt):
        return b"\x43" if value == 0 else struct.pack(">BB", 0x52, value) if value < 256 else struct.pack(">BI", 0x70, value)
    if isinstance(value, ULong):
        return b"\x44" if value == 0 else struct.pack(">BB", 0x53, value) if value < 256 else struct.pack(">BQ", 0x80, value)
    if isinstance(value, int):
        return struct.pack(">Bb", 0x55, value) if -128 <= value < 128 else struct.pack(">Bq", 0x81, value)
    if isinstance(value, float):
        return struct.pack(">Bd", 0x82, value)
    if isinstance(value, Symbol):
        return _sized(0xA3, value.encode("ascii"))
    if isinstance(value, str):
        return _sized(0xA1, value.encode())
    if isinstance(value, (bytes, bytearray)):
        return _sized(0xA0, bytes(value))
    if isinstance(value, dict):
        return _listed(0xC1, [part for pair in value.items() for part in pair])
    if isinstance(value, (list, tuple)):
        return _listed(0xC0, value) if value else b"\x45"
    raise TypeError(f"no type of AMQP 1.0: {type(value).__name__}")


def _sized(code: int, raw: bytes) -> bytes:
    """The wide form of a code is 16 beyond the narrow one."""
    return struct.pack(">BB", code, len(raw)) + raw if len(raw) < 256 else struct.pack(">BI", code + 0x10, len(raw)) + raw


def _listed(code: int, values: Any) -> bytes:
    raw = b"".join(map(encode, values))
    if len(raw) < 255 and len(values) < 256:
        return struct.pack(">BBB", code, len(raw) + 1, len(values)) + raw
    return struct.pack(">BII", code + 0x10, len(raw) + 4, len(values)) + raw


#: code -> (bytes, how they are read)
_FIXED: dict[int, tuple[int, Any]] = {
    0x40: (0, lambda raw: None), 0x41: (0, lambda raw: True), 0x42: (0, lambda raw: False), 0x43: (0, lambda raw: 0), 0x44: (0, lambda raw: 0),
    0x45: (0, lambda raw: []), 0x56: (1, lambda raw: raw != b"\x00"), 0x71: (4, lambda raw: int.from_bytes(raw, "big", signed=True)),
    0x72: (4, lambda raw: struct.unpack(">f", raw)[0]), 0x73: (4, lambda raw: raw.decode("utf-32-be")),
    0x82: (8, lambda raw: struct.unpack(">d", raw)[0]), 0x98: (16, lambda raw: uuid.UUID(bytes=raw)),
    **{code: (size, lambda raw: int.from_bytes(raw, "big")) for code, size in ((0x50, 1), (0x52, 1), (0x53, 1), (0x60, 2), (0x70, 4), (0x80, 8))},
    **{code: (size, lambda raw: int.from_bytes(raw, "big", signed=True)) for code, size in ((0x51, 1), (0x54, 1), (0x55, 1), (0x61, 2), (0x81, 8), (0x83, 8))},
    **{code: (size, bytes) for code, size in ((0x74, 4), (0x84, 8), (0x94, 16))},
}  # fmt: skip
_VARIABLE: dict[int, Any] = {0xA0: bytes, 0xA1: lambda raw: raw.decode(), 0xA3: lambda raw: Symbol(raw.decode("ascii"))}


class _Reader:
    def __init__(self, raw: bytes, at: int = 0) -> None:
        self.raw, self.at, self.left = raw, at, ENTRIES_MAX

    def take(self, size: int) -> bytes:
        if size > len(self.raw) - self.at:
            raise Garbled("it ends too early")
        found = self.raw[self.at : self.at + size]
        self.at += size
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def value(self, depth: int = 0) -> Any:
        code: Any = self.take(1)[0]
        if code == 0:
            if depth >= DEPTH_MAX:
                raise Garbled("too deep")
            return Described(self.value(depth + 1), self.value(depth + 1))
        return self.of(code, depth)

    def of(self, code: int, depth: int) -> Any:
        if code in _FIXED:
            size, read = _FIXED[code]
            return read(self.take(size))
        kind, wide = code & 0xE0, 4 if code & 0x10 else 1
        if kind == 0xA0 and code & ~0x10 in _VARIABLE:
            return _VARIABLE[code & ~0x10](self.take(self.number(wide)))
        if code & ~0x10 not in (0xC0, 0xC1, 0xE0):
            raise Garbled(f"no type has the code {code:#x}")
        if depth >= DEPTH_MAX:
            raise Garbled("too deep")
        size = self.number(wide)
        end = self.at + size
        count = self.number(wide)
        self.left -= count
        if self.left < 0 or end > len(self.raw):
            raise Garbled("too many entries, or it ends too early")
        found = self.array(count, depth) if kind == 0xE0 else [self.value(depth + 1) for _ in range(count)]
        if self.at != end:
            raise Garbled("its size is another one than it says")
        return dict(zip(found[::2], found[1::2], strict=True)) if code & ~0x10 == 0xC1 else found

    def array(self, count: int, depth: int) -> list[Any]:
        """Entries of one type, which stands once."""
        described, code = None, self.take(1)[0]
        if code == 0:
            described, code = (self.value(depth + 1),), self.take(1)[0]
        found = [self.of(code, depth + 1) for _ in range(count)]
        return [Described(described[0], v) for v in found] if described is not None else found


def decode(raw: bytes) -> tuple[Any, int]:
    """The first value, and how many bytes it has. Raises: Garbled."""
    reader = _Reader(raw)
    with _garbled():
        return reader.value(), reader.at


def decode_all(raw: bytes) -> list[Any]:
    """Value after value, together of no more entries than one may have. Raises: Garbled."""
    reader, found = _Reader(raw), list[Any]()
    with _garbled():
        while reader.at < len(raw):
            reader.left -= 1
            if reader.left < 0:
                raise Garbled("too many entries")
            found.append(reader.value())
    return found


@contextlib.contextmanager
def _garbled() -> Iterator[None]:
    try:
        yield
    except Garbled:
        raise
    except (ValueError, TypeError, struct.error, OverflowError) as e:  # no text, a map whose keys can't be keys
        raise Garbled(f"it can't be read: {type(e).__name__}") from None

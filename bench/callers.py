"""Callers for the bench of overload, over HTTP or gRPC: each keeps a connection and has one call at a time on it, most of them starts.

One thread, `epoll`, requests encoded once: on two cores the load must not take what it measures. Source of the frames: RFC 9113, RFC 7541.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from heapq import heappop, heappush
from typing import Any, NamedTuple

#: what a caller does: work on what runs (asking for jobs; over gRPC, for the topology), a start, an unimportant start
RUNNING, USUAL, LOW = "running", "usual", "low"
#: of so many callers one is unimportant; of so many others one does work on what runs
LOW_EVERY, RUNNING_EVERY = 5, 16
#: so long after the end answers are waited for (seconds)
GIVE_UP_S = 30.0
OK, REFUSED = 201, 429

_REQUESTS = {
    kind: f"POST /v1/{path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n{body}".encode()
    for kind, path, more, body in (
        (RUNNING, "jobs/activate", "", '{"type": "none", "worker": "w", "max": 1}'),
        (USUAL, "instances", "", '{"definition": "much"}'),
        (LOW, "instances", "priority: u=6\r\n", '{"definition": "much", "priority": "low"}'),
    )
}


class Counts:
    """What callers heard: (what it does, status) -> latencies in seconds. `hints`: how often they
    were told when to come again, by what they do."""

    def __init__(self) -> None:
        self.by: dict[tuple[str, int], list[float]] = {}
        self.hints = dict.fromkeys((RUNNING, USUAL, LOW), 0)

    def of(self, status: int, *kinds: str) -> list[float]:
        return sorted(t for (kind, s), found in self.by.items() if s == status and kind in kinds for t in found)


class Answer(NamedTuple):
    """`hint`: it says when to come again; `rest`: what came behind it."""

    status: int
    hint: bool
    rest: bytes = b""


class Callers:
    """Over HTTP."""

    def __init__(self, port: int, callers: int) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(callers):
            one = socket.create_connection(("127.0.0.1", port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[one.fileno()] = one
            self.begin(one)
            one.setblocking(False)
            self._poll.register(one, select.EPOLLIN)
        #: file descriptor -> what its caller does
        self._does = {fd: LOW if n % LOW_EVERY == LOW_EVERY - 1 else USUAL for n, fd in enumerate(self._sockets)}

    def begin(self, one: socket.socket) -> None:
        pass

    def some_run(self) -> None:
        """From now on some of them do work on what runs."""
        for n, fd in enumerate(self._does):
            if n % RUNNING_EVERY == RUNNING_EVERY - 1:
                self._does[fd] = RUNNING

    def request(self, fd: int, kind: str) -> bytes:
        return _REQUESTS[kind]

    def answer(self, fd: int, data: bytes) -> Answer | bytes:
        """The answer, or what there is of it yet."""
        head = data.find(b"\r\n\r\n")
        size = int(data[data.index(b"content-length: ") + 16 : head].split(b"\r", 1)[0]) if head > 0 else 0
        return (
            data
            if head < 0 or len(data) < head + 4 + size
            else Answer(OK if data[9:10] == b"2" else int(data[9:12]), b"retry-after" in data)
        )

    def run(self, seconds: float, pace: float) -> Counts:
        """A call of each every `pace` seconds, or when the one before is answered."""
        counts, clock = Counts(), time.perf_counter
        begin = clock()
        end = begin + seconds
        next_at = [(begin + i * pace / len(self._sockets), fd) for i, fd in enumerate(self._sockets)]  # sorted: a heap
        sent: dict[int, float] = {}
        parts: dict[int, bytes] = {}
        while sent or clock() < end:
            now = clock()
            while next_at and next_at[0][0] <= now < end:
                fd = heappop(next_at)[1]
                sent[fd] = clock()
                self._sockets[fd].send(self.request(fd, self._does[fd]))
            if now > end + GIVE_UP_S:
                counts.by.setdefault((USUAL, 0), []).extend(now - t for t in sent.values())
                break
            for fd, _ in self._poll.poll(max(0.0, min(0.05, next_at[0][0] - clock() if next_at else 0.05))):
                got = self._sockets[fd].recv(65_536)
                if not got:
                    if fd in sent:
                        raise ConnectionResetError("the server has closed a connection")
                    self._poll.unregister(fd)
                    continue
                found = self.answer(fd, parts.pop(fd, b"") + got)
                if isinstance(found, bytes):
                    parts[fd] = found
                    continue
                if found.rest:
                    parts[fd] = found.rest
                took = clock() - sent.pop(fd)
                counts.by.setdefault((self._does[fd], found.status), []).append(took)
                counts.hints[self._does[fd]] += found.hint
                heappush(next_at, (clock() + max(0.0, pace - took), fd))
        return counts

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()
        self._poll.close()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">HBBBL", len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def _literal(*fields: tuple[str, str]) -> bytes:
    """HPACK: literals that are not indexed."""
    return b"".join(b"\0" + bytes([len(n)]) + n.encode() + bytes([len(v)]) + v.encode() for n, v in fields)


_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END, _END_HEADERS, _ACK = 1, 4, 1
_BLOCKS = {
    kind: _literal((":method", "POST"), (":scheme", "http"), (":path", f"/gateway_protocol.Gateway/{call}"), (":authority", "x"),
                   ("content-type", "application/grpc"), ("te", "trailers"), *more)
    for kind, call, more in (
        (RUNNING, "Topology", ()), (USUAL, "CreateProcessInstance", ()), (LOW, "CreateProcessInstance", (("priority", "u=6"),)))
}  # fmt: skip
#: CreateProcessInstanceRequest: bpmnProcessId (2) "much", version (3) -1
_START = b"\x12\x04much\x18" + b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
#: gRPC's codes as the statuses of HTTP
_STATUS = {"0": OK, "8": REFUSED}


class GrpcCallers(Callers):
    """Over HTTP/2, as any gRPC client."""

    def __init__(self, port: int, callers: int) -> None:
        from hpack import Decoder

        self._decoders: dict[int, Any] = {}
        self._streams: dict[int, int] = {}
        self._decoder = Decoder
        super().__init__(port, callers)

    def begin(self, one: socket.socket) -> None:
        window = struct.pack(">L", (1 << 31) - 1 - 65_535)
        one.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, b"") + _frame(8, 0, 0, window) + _frame(_SETTINGS, _ACK, 0, b"")
        )
        one.recv(65_536)  # its settings: the connection stands before the first call, as pools of clients keep theirs
        self._decoders[one.fileno()], self._streams[one.fileno()] = self._decoder(), -1

    def request(self, fd: int, kind: str) -> bytes:
        stream = self._streams[fd] = self._streams[fd] + 2
        message = b"" if kind == RUNNING else _START
        body = b"\0" + struct.pack(">L", len(message)) + message
        return _frame(_HEADERS, _END_HEADERS, stream, _BLOCKS[kind]) + _frame(_DATA, _END, stream, body)

    def answer(self, fd: int, data: bytes) -> Answer | bytes:
        found: tuple[int, bool] | None = None
        while len(data) >= 9:
            high, size_low, kind, flags, stream = struct.unpack(">HBBBL", data[:9])
            size = 9 + (high << 8 | size_low)
            if len(data) < size:
                break
            if kind == _HEADERS:
                fields = dict(self._decoders[fd].decode(data[9:size]))
                if flags & _END and stream == self._streams[fd]:
                    status = fields.get("grpc-status", "?")
                    found = _STATUS.get(status, 1000 + int(status) if status.isdecimal() else 0), "grpc-retry-pushback-ms" in fields
            data = data[size:]
        return data if found is None else Answer(*found, data)

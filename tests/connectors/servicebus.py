"""What Azure Service Bus is to a client of AMQP 1.0, as its protocol guide says: `$cbs` takes signed tokens, queues hand messages out under a lock. Frames and
messages are read and written by Microsoft's own library, so that ours is held to another one than itself.

https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections import deque
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from azure.servicebus._pyamqp import performatives as p
from azure.servicebus._pyamqp._decode import decode_frame, decode_payload
from azure.servicebus._pyamqp._encode import encode_frame, encode_payload
from azure.servicebus._pyamqp.endpoints import Source, Target
from azure.servicebus._pyamqp.error import AMQPError
from azure.servicebus._pyamqp.message import Message, Properties
from azure.servicebus._pyamqp.outcomes import Accepted, Rejected

SASL, AMQP = b"AMQP\x03\x01\x00\x00", b"AMQP\x00\x01\x00\x00"


class ServiceBus:
    """`entities`: name -> payloads that wait. `refuse`: what becomes of each message that is sent, as a condition; empty: it is taken."""

    def __init__(self, key_name: str, key: str, *entities: str) -> None:
        self.key_name, self.key = key_name, key
        self.entities: dict[str, deque[tuple[bytes, int]]] = {name: deque() for name in entities}
        self.sent: list[Message] = []
        self.tokens: list[str] = []
        self.refuse = ""
        self.session = ""
        self.clients: set[_Client] = set()

    async def start(self) -> ServiceBus:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        self._server.close()

    def status(self, token: str, name: str) -> tuple[int, str]:
        """Of a token for a name."""
        kind, _, rest = token.partition(" ")
        told = {k: v[0] for k, v in parse_qs(rest, strict_parsing=True).items()}
        raw = dict(part.split("=", 1) for part in rest.split("&"))
        assert kind == "SharedAccessSignature" and told.keys() == {"sr", "sig", "se", "skn"} and told["sr"] == name
        signed = base64.b64encode(hmac.digest(self.key.encode(), f"{quote(name, safe='')}\n{told['se']}".encode(), hashlib.sha256)).decode()
        if told["skn"] != self.key_name or unquote(raw["sig"]) != signed or int(told["se"]) < time.time():
            return 401, "InvalidSignature: the token has an invalid signature"
        return (202, "Accepted") if name.rsplit("/", 1)[-1] in self.entities else (404, "the messaging entity could not be found")

    def put(self, name: str, raw: bytes, count: int = 0) -> None:
        """A message comes, or comes back, and is handed to who waits."""
        self.entities[name].append((raw, count))
        self.offer()

    def offer(self) -> None:
        for client in self.clients:
            client.hand_out()

    @property
    def empty(self) -> bool:
        return not any(self.entities.values()) and not any(client.locked for client in self.clients)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(self, reader, writer)
        self.clients.add(client)
        try:
            await client.run()
        except (EOFError, OSError):
            pass
        finally:
            self.clients.discard(client)
            writer.close()
            self.offer()


class _Client:
    def __init__(self, bus: ServiceBus, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.bus, self.reader, self.writer = bus, reader, writer
        self.allowed: set[str] = set()
        #: handle -> (address, whether the client sends)
        self.links: dict[int, tuple[str, bool]] = {}
        #: handle -> what it may still be given, and what it was
        self.credit: dict[int, int] = {}
        self.counts: dict[int, int] = {}
        self.locked: dict[int, tuple[str, bytes, int]] = {}
        self.number = 0
        self.parts = bytearray()

    def write(self, frame: Any, kind: bytes = b"\x00") -> None:
        head, body = encode_frame(frame, kind)
        self.writer.write(head + b"\x00\x00" + bytes(body or b""))

    async def read(self) -> tuple[int, Any]:
        size = int.from_bytes((await self.reader.readexactly(8))[:4], "big")
        return decode_frame(memoryview(await self.reader.readexactly(size - 8))) if size > 8 else (0, None)

    async def run(self) -> None:
        assert await self.reader.readexactly(8) == SASL
        self.writer.write(SASL)
        self.write(p.SASLMechanism([b"MSSBCBS", b"PLAIN", b"ANONYMOUS", b"EXTERNAL"]), b"\x01")
        kind, fields = await self.read()
        assert (kind, fields[0]) == (0x41, b"ANONYMOUS")
        self.write(p.SASLOutcome(0, None), b"\x01")
        assert await self.reader.readexactly(8) == AMQP
        self.writer.write(AMQP)
        try:
            while True:
                kind, fields = await self.read()
                if kind == 0x10:
                    self.write(p.OpenFrame("bus", None, 65_536, 10, 240_000, *[None] * 5))
                elif kind == 0x11:
                    self.write(p.BeginFrame(0, 1, 5000, 5000, 255, None, None, None))
                elif kind == 0x12:
                    self.attach(fields)
                elif kind == 0x13 and fields[4] is not None:
                    self.credit[fields[4]] = (fields[5] or 0) + fields[6] - self.counts.get(fields[4], 0)
                elif kind == 0x14:
                    self.transfer(fields)
                elif kind == 0x15:
                    for number in range(fields[1], (fields[1] if fields[2] is None else fields[2]) + 1):
                        assert fields[4] == {"accepted": []}
                        self.locked.pop(number, None)
                elif kind == 0x16:
                    self.write(p.DetachFrame(fields[0], True, None))
                    self.links.pop(fields[0])
                elif kind == 0x18:
                    self.write(p.CloseFrame(None))
                    return
                self.hand_out()
                await self.writer.drain()
        finally:  # a lock ends with its link
            for _, (name, raw, count) in sorted(self.locked.items(), reverse=True):
                self.bus.entities[name].appendleft((raw, count + 1))

    def attach(self, fields: Any) -> None:
        name, handle, receives = fields[0].decode(), fields[1], fields[2]
        address = fields[5 if receives else 6][0].decode()
        source, target = (kind(address=end[0] if end else None) for kind, end in ((Source, fields[5]), (Target, fields[6])))
        count = 0 if receives else None
        if address == "$cbs" or (address in self.bus.entities and address in self.allowed):
            self.write(p.AttachFrame(name, handle, not receives, 0, 0, source, target, None, None, count, 1_048_576, *[None] * 3))
            self.links[handle] = (address, not receives)
            self.credit[handle] = self.counts[handle] = 0
            if not receives:
                self.write(p.FlowFrame(1, 5000, 1, 5000, handle, 0, 100))
            return
        empty = (None, target) if receives else (source, None)
        self.write(p.AttachFrame(name, handle, not receives, 0, 0, *empty, None, None, count, None, *[None] * 3))
        self.write(
            p.DetachFrame(handle, True, AMQPError(condition=b"amqp:unauthorized-access", description="Send claims are needed", info=None))
        )

    def transfer(self, fields: Any) -> None:
        self.parts += fields[11]
        if fields[5]:
            return
        message, self.parts = decode_payload(memoryview(bytes(self.parts))), bytearray()
        address, _ = self.links[fields[0]]
        if self.bus.refuse and address != "$cbs":
            outcome: Any = Rejected(AMQPError(condition=self.bus.refuse.encode(), description="not now", info=None))
        else:
            outcome = Accepted()
        self.write(p.DispositionFrame(True, fields[1], fields[1], True, outcome, None))
        if address != "$cbs":
            self.bus.sent.append(message)
            return
        said = message.application_properties or {}
        assert said[b"operation"] == b"put-token" and said[b"type"] == b"servicebus.windows.net:sastoken"
        uri, token = said[b"name"].decode(), message.value.decode()
        self.bus.tokens.append(token)
        code, words = self.bus.status(token, uri)
        if code == 202:
            self.allowed.add(uri.split("/", 3)[3])
        handle = next(h for h, (a, sends) in self.links.items() if a == "$cbs" and not sends)
        out = bytearray()
        encode_payload(out, Message(
            properties=Properties(correlation_id=message.properties.message_id, to=message.properties.reply_to),
            application_properties={"status-code": {"TYPE": "INT", "VALUE": code}, "status-description": words},
        ))  # fmt: skip
        self.give(handle, bytes(out), "", 0)

    def give(self, handle: int, raw: bytes, name: str, count: int) -> None:
        self.number += 1
        self.counts[handle] += 1
        self.write(p.TransferFrame(handle, self.number, str(self.number).encode(), 0, False, False, payload=raw))
        if name:
            self.locked[self.number] = (name, raw, count)

    def hand_out(self) -> None:
        for handle, (name, sends) in self.links.items():
            waiting = self.bus.entities.get(name)
            while not sends and waiting and self.credit.get(handle, 0) > 0:
                self.credit[handle] -= 1
                raw, count = waiting.popleft()
                self.give(handle, raw, name, count)

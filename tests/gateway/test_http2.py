"""Our HTTP/2 wire: other clients, flow control, deadlines, and peers that misbehave."""

from __future__ import annotations

import asyncio
import gzip
import os
import struct

import grpc
import pytest
from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.config import Configuration
from grpclib.exceptions import GRPCError
from hpack import Decoder, Encoder
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from flowledger.api.grpc import http2_frames as h
from flowledger.api.grpc.service import MESSAGE_BYTES_MAX, Gateway
from flowledger.events import commands as c


@pytest.fixture
async def gateway(engine):
    g = Gateway(engine)
    server = await g.start(port=0)
    yield g
    await server.close(0.1)


class Raw:
    """A client that speaks frames."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.encoder, self.decoder = Encoder(), Decoder()

    @classmethod
    async def open(cls, gateway, settings=()):
        raw = cls(*await asyncio.open_connection("127.0.0.1", gateway.port))
        raw.writer.write(h.PREFACE + h.frame(h.SETTINGS, 0, 0, b"".join(struct.pack(">HL", *s) for s in settings)))
        return raw

    def headers(self, stream=1, path="/gateway_protocol.Gateway/CompleteJob", flags=h.END_HEADERS, **more):
        fields = {":method": "POST", ":scheme": "http", ":path": path, "te": "trailers", "content-type": "application/grpc", **more}
        self.writer.write(h.frame(h.HEADERS, flags, stream, self.encoder.encode(list(fields.items()))))

    def message(self, body, stream=1, flags=h.END_STREAM, compressed=0):
        self.writer.write(h.frame(h.DATA, flags, stream, struct.pack(">BL", compressed, len(body)) + body))

    async def frames(self):
        """(type, flags, stream, payload) until the server closes or falls silent."""
        while True:
            try:
                head = await asyncio.wait_for(self.reader.readexactly(9), 0.5)
            except (TimeoutError, asyncio.IncompleteReadError):
                return
            high, low, kind, flags, stream = struct.unpack(">HBBBL", head)
            yield kind, flags, stream, await self.reader.readexactly(high << 8 | low)

    async def trailers(self, stream=1):
        found = {}
        async for kind, flags, id, payload in self.frames():
            if kind == h.HEADERS and id == stream:
                found.update(self.decoder.decode(payload))
                if flags & h.END_STREAM:
                    return found
        return found

    async def goaway(self):
        async for kind, _, _, payload in self.frames():
            if kind == h.GOAWAY:
                return struct.unpack(">LL", payload[:8])[1]
        return None


COMPLETE = pb.CompleteJobRequest(jobKey=1, variables="{}").SerializeToString()


async def test_a_call_by_hand_with_padding_priority_pieces_and_gzip(gateway, engine):
    engine.answers[c.CompleteTask] = {"position": ""}
    raw = await Raw.open(gateway)
    block = raw.encoder.encode(
        [
            (":method", "POST"),
            (":path", "/gateway_protocol.Gateway/CompleteJob"),
            ("content-type", "application/grpc+proto"),
            ("grpc-encoding", "gzip"),
        ]
    )
    raw.writer.write(h.frame(h.HEADERS, h.PADDED | h.WITH_PRIORITY, 1, b"\x02" + b"\0" * 5 + block[:7] + b"\0\0"))
    raw.writer.write(h.frame(h.CONTINUATION, 0, 1, block[7:9]) + h.frame(h.CONTINUATION, h.END_HEADERS, 1, block[9:]))
    body = gzip.compress(COMPLETE)
    data = struct.pack(">BL", 1, len(body)) + body
    raw.writer.write(h.frame(h.DATA, h.PADDED, 1, b"\x01" + data[:3] + b"\0") + h.frame(h.DATA, h.END_STREAM, 1, data[3:]))
    found = await raw.trailers()
    assert found["grpc-status"] == "0" and found[":status"] == "200" and engine.calls[-1][0].task == 1
    raw.writer.close()


async def test_the_same_header_bytes_mean_something_else_after_the_table_moved(gateway, engine):
    engine.answers[c.CompleteTask] = {"position": ""}
    raw = await Raw.open(gateway)
    for stream, path in ((1, "CompleteJob"), (3, "CompleteJob"), (5, "ResolveIncident"), (7, "CompleteJob"), (9, "ResolveIncident")):
        raw.headers(stream, f"/gateway_protocol.Gateway/{path}")
        raw.message(COMPLETE, stream)
        assert (await raw.trailers(stream))["grpc-status"] == "0"
    assert [type(command).__name__ for command, _ in engine.calls] == [
        "CompleteTask", "CompleteTask", "ResolveIncident", "CompleteTask", "ResolveIncident",
    ]  # fmt: skip
    raw.writer.close()


@pytest.mark.parametrize(
    ("say", "code"),
    [
        (lambda r: r.writer.write(h.frame(h.DATA, 0, 1, b"x")), h.PROTOCOL_ERROR),
        (lambda r: r.writer.write(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"), h.FRAME_SIZE_ERROR),
        (lambda r: r.headers(2), h.PROTOCOL_ERROR),
        (lambda r: (r.headers(5), r.headers(3)), h.STREAM_CLOSED),
        (lambda r: r.writer.write(h.frame(h.HEADERS, h.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\x0f")), h.COMPRESSION_ERROR),
        (lambda r: r.writer.write(h.frame(h.HEADERS, 0, 1, b"") + h.frame(h.PING, 0, 0, b"12345678")), h.PROTOCOL_ERROR),
        (lambda r: r.writer.write(h.frame(h.HEADERS, 0, 1) + h.frame(h.CONTINUATION, 0, 1, b"\0" * 16000) * 5), h.ENHANCE_YOUR_CALM),
        (lambda r: r.writer.write(h.frame(h.PING, 0, 0, b"12345678") * (h.FLOOD_MAX + 10)), h.ENHANCE_YOUR_CALM),
        (lambda r: r.writer.write(h.frame(h.PUSH_PROMISE, 0, 1, b"")), h.PROTOCOL_ERROR),
        (lambda r: r.writer.write(h.frame(h.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")), h.FLOW_CONTROL_ERROR),
        (lambda r: r.writer.write(h.frame(h.SETTINGS, 0, 0, b"123")), h.FRAME_SIZE_ERROR),
    ],
)
async def test_a_broken_protocol_ends_the_connection_and_no_other(gateway, engine, say, code):
    raw = await Raw.open(gateway)
    say(raw)
    assert await raw.goaway() == code
    raw.writer.close()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        await GatewayStub(channel).Topology(pb.TopologyRequest())


@pytest.mark.parametrize(
    ("headers", "body", "found"),
    [
        ({"path": "/gateway_protocol.Gateway/Nothing"}, COMPLETE, ("grpc-status", "12")),
        ({":method": "GET"}, None, (":status", "405")),
        ({"content-type": "text/html"}, None, (":status", "415")),
        ({}, b"\xff\xff\xff", ("grpc-status", "13")),
    ],
)
async def test_wrong_requests_are_answered(gateway, headers, body, found):
    raw = await Raw.open(gateway)
    raw.headers(**headers)
    if body is not None:
        raw.message(body)
    assert (await raw.trailers())[found[0]] == found[1]
    raw.writer.close()


async def test_a_message_that_is_too_large_or_a_bomb_is_refused(gateway):
    raw = await Raw.open(gateway)
    raw.headers(1, **{"grpc-encoding": "gzip"})
    raw.message(gzip.compress(b"\0" * (MESSAGE_BYTES_MAX + 1000)), compressed=1)
    assert (await raw.trailers())["grpc-status"] == "8"
    raw.writer.close()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as e:
            await GatewayStub(channel).PublishMessage(pb.PublishMessageRequest(name="n", variables='{"a":"' + "x" * (5 << 20) + '"}'))
        assert e.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_small_window_is_kept_to(gateway, engine):
    raw = await Raw.open(gateway, [(h.SETTING_WINDOW, 10)])
    raw.headers(path="/gateway_protocol.Gateway/Topology")
    raw.message(b"")
    got = b""
    async for kind, flags, _, payload in raw.frames():
        if kind == h.DATA:
            assert len(payload) <= 10
            got += payload
            raw.writer.write(h.frame(h.WINDOW_UPDATE, 0, 1, struct.pack(">L", len(payload))))
        if kind == h.HEADERS and flags & h.END_STREAM:
            break
    assert len(pb.TopologyResponse.FromString(got[5:]).brokers[0].partitions) == 3
    raw.writer.close()


async def test_grpclib_as_client_with_deadline_and_many_calls_at_once(gateway, engine):
    gate = asyncio.Event()

    async def slow(command):
        await gate.wait()
        return {"position": ""}

    engine.answers[c.CompleteTask] = slow
    channel = Channel("127.0.0.1", gateway.port)
    complete = UnaryUnaryMethod(channel, "/gateway_protocol.Gateway/CompleteJob", pb.CompleteJobRequest, pb.CompleteJobResponse)
    with pytest.raises((GRPCError, TimeoutError)):
        await complete(pb.CompleteJobRequest(jobKey=1), timeout=0.1)
    calls = [asyncio.ensure_future(complete(pb.CompleteJobRequest(jobKey=k))) for k in range(300)]
    await asyncio.sleep(0.2)
    gate.set()
    assert len(await asyncio.gather(*calls)) == 300
    channel.close()


async def test_a_client_that_reads_slowly_is_not_buffered_without_end(gateway, engine):
    engine.add(400, variables={"x": "y" * 10_000})
    channel = Channel("127.0.0.1", gateway.port, config=Configuration(http2_stream_window_size=65_535, http2_connection_window_size=65_535))
    method = UnaryStreamMethod(channel, "/gateway_protocol.Gateway/StreamActivatedJobs", pb.StreamActivatedJobsRequest, pb.ActivatedJob)
    seen = set()
    async with method.open() as stream:
        await stream.send_message(pb.StreamActivatedJobsRequest(type="pay", worker="w", timeout=60_000), end=True)
        await asyncio.sleep(0.2)
        while len(seen) < 400:
            job = await stream.recv_message()
            seen.add(job.key)
        await stream.cancel()
    channel.close()
    for _ in range(100):
        if not engine.streams:
            break
        await asyncio.sleep(0.02)
    assert not engine.streams


async def test_closing_ends_streams_as_unavailable_and_lets_calls_finish(engine):
    gateway = Gateway(engine)
    server = await gateway.start(port=0)

    async def slow(command):
        await asyncio.sleep(0.2)
        return {"position": ""}

    engine.answers[c.CompleteTask] = slow
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        stub = GatewayStub(channel)
        stream = stub.StreamActivatedJobs(pb.StreamActivatedJobsRequest(type="pay", worker="w", timeout=1000))
        reading = asyncio.ensure_future(stream.read())
        call = asyncio.ensure_future(stub.CompleteJob(pb.CompleteJobRequest(jobKey=1)))
        await asyncio.sleep(0.05)
        await server.close(2)
        await call
        with pytest.raises(grpc.aio.AioRpcError) as e:
            await reading
        assert e.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_tls(engine, tmp_path):
    import ssl
    import subprocess

    key, cert = tmp_path / "k.pem", tmp_path / "c.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        assert os.environ.get("CI") != "true", "openssl is missing"
        pytest.skip("no openssl here to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    gateway = Gateway(engine)
    server = await gateway.start("localhost", 0, tls=context)
    credentials = grpc.ssl_channel_credentials(cert.read_bytes())
    async with grpc.aio.secure_channel(f"localhost:{gateway.port}", credentials) as channel:
        assert (await GatewayStub(channel).Topology(pb.TopologyRequest())).partitionsCount == 3
    await server.close(0.1)

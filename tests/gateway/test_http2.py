"""The gateway's HTTP/2: other clients, flow control, deadlines, and peers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import struct

import grpc
import pytest
from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.config import Configuration
from grpclib.exceptions import GRPCError
from http2_frames import COMPLETE, Raw, h
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from flowledger.api.grpc import http2 as wire
from flowledger.api.grpc.gateway import MESSAGE_BYTES_MAX, Gateway
from flowledger.api.grpc.http2 import listen
from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode


async def test_a_call_by_hand_with_padding_priority_pieces_and_gzip(gateway, engine):
    engine.answers[c.CompleteTask] = {"position": ""}
    raw = await Raw.open(gateway)
    block = raw.encoder.encode(
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "localhost"),
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
        raw.message(COMPLETE if path == "CompleteJob" else pb.ResolveIncidentRequest(incidentKey=1).SerializeToString(), stream)
        assert (await raw.trailers(stream))["grpc-status"] == "0"
    assert [type(command).__name__ for command, _ in engine.calls] == [
        "CompleteTask", "CompleteTask", "ResolveIncident", "CompleteTask", "ResolveIncident",
    ]  # fmt: skip
    raw.writer.close()


@pytest.mark.parametrize(
    "settings", [(), ((h.SETTING_TABLE, 0),), ((h.SETTING_WINDOW, 3),), ((h.SETTING_TABLE, 64), (h.SETTING_WINDOW, 0))]
)
async def test_answers_are_the_same_whatever_a_client_has_room_for(gateway, engine, settings):
    """A table that shrank has to be said with the next headers; a window without room lets an answer go in pieces, or wait."""
    engine.answers[c.CompleteTask] = {"position": ""}
    raw = await Raw.open(gateway, settings)
    raw.decoder.max_allowed_table_size = dict(settings).get(h.SETTING_TABLE, 4_096)
    await raw.until_heard()
    for stream in range(1, 21, 2):
        raw.headers(stream)
        raw.message(COMPLETE, stream)
        said, body = {}, b""
        async for kind, flags, id, payload in raw.frames():
            if kind == h.HEADERS and id == stream:
                said.update(raw.decoder.decode(payload))
                if flags & h.END_STREAM:
                    break
                if h.SETTING_WINDOW in dict(settings):
                    raw.put(h.WINDOW_UPDATE, 0, stream, struct.pack(">L", 2))
                    raw.put(h.WINDOW_UPDATE, 0, stream, struct.pack(">L", 100))
            elif kind == h.DATA and id == stream:
                body += payload
        assert said == {":status": "200", "content-type": "application/grpc", "grpc-status": "0"} and body == struct.pack(">BL", 0, 0)
    raw.writer.close()


async def test_headers_that_were_in_order_once_are_looked_at_again_where_they_may_not_be(gateway, engine):
    """The same bytes as trailers of a call, and on a stream that has ended."""
    engine.answers[c.CompleteTask] = {"position": ""}
    raw = await Raw.open(gateway)
    raw.encoder.header_table_size = 0  # each block is the same bytes
    for stream in (1, 3, 5):
        raw.headers(stream)
        raw.message(COMPLETE, stream)
        assert (await raw.trailers(stream))["grpc-status"] == "0"
    raw.headers(7)
    raw.headers(7, flags=h.END_HEADERS | h.END_STREAM)
    found = [f async for f in _until(raw, h.RST_STREAM)]
    assert found[-1][2:] == (7, struct.pack(">L", h.PROTOCOL_ERROR)), "a request's headers are no trailers"
    raw.headers(3)
    assert await raw.goaway() == h.STREAM_CLOSED
    raw.writer.close()


async def _until(raw, kind):
    async for frame in raw.frames():
        yield frame
        if frame[0] == kind:
            return


@pytest.mark.parametrize(
    ("say", "code"),
    [
        (lambda r: r.writer.write(h.frame(h.DATA, 0, 1, b"x")), h.PROTOCOL_ERROR),
        (lambda r: r.writer.write(h.frame(h.DATA, 0, 1, b"x" * 16_385)), h.FRAME_SIZE_ERROR),
        (lambda r: r.writer.write(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 20_000), h.FRAME_SIZE_ERROR),
        (lambda r: r.headers(2), h.PROTOCOL_ERROR),
        (lambda r: (r.headers(5), r.headers(3)), h.PROTOCOL_ERROR),
        (lambda r: r.writer.write(h.frame(h.HEADERS, h.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\x0f")), h.COMPRESSION_ERROR),
        (lambda r: r.writer.write(h.frame(h.HEADERS, 0, 1, b"") + h.frame(h.PING, 0, 0, b"12345678")), h.PROTOCOL_ERROR),
        (lambda r: r.writer.write(h.frame(h.HEADERS, 0, 1) + h.frame(h.CONTINUATION, 0, 1, b"\0" * 100) * 70), h.PROTOCOL_ERROR),
        (lambda r: r.writer.write(h.frame(h.PING, 0, 0, b"12345678") * (wire.FLOOD_MAX + 10)), h.ENHANCE_YOUR_CALM),
        (lambda r: r.writer.write(h.frame(h.PUSH_PROMISE, h.END_HEADERS, 1, b"\0\0\0\2")), h.PROTOCOL_ERROR),
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
    server = await listen(gateway, port=0)

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


@pytest.mark.parametrize("turns", range(8))
async def test_a_connection_that_comes_while_it_closes_is_ended_too(engine, turns):
    """However far it got: in the queue, taken and without a protocol, or made."""
    gateway = Gateway(engine)
    server = await listen(gateway, port=0)
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.close(1)
        client.settimeout(2)
        with contextlib.suppress(ConnectionResetError):
            while await asyncio.to_thread(client.recv, 65_536):
                pass


async def test_half_sent_messages_hold_one_window_and_no_more(gateway):
    """What a client sends counts until its message is taken: sixty half messages of four megabytes don't fill our memory."""
    raw = await Raw.open(gateway)
    for n in range(60):
        raw.headers(1 + 2 * n)
    left = wire.CONNECTION_WINDOW
    while left:  # within the windows that we were given: 16 MiB for all
        size = min(left, 16_384)
        raw.put(h.DATA, 0, 1 + 2 * (left // 16_384 % 60), (struct.pack(">BL", 0, 4_000_000) + b"x" * 16_379)[:size])
        left -= size
    await raw.writer.drain()
    more = sum(int.from_bytes(payload, "big") for kind, _, id, payload in await raw.until_heard() if kind == h.WINDOW_UPDATE and id == 0)
    assert more == wire.CONNECTION_WINDOW - 65_535, "nothing is given back for what is not taken"
    raw.put(h.DATA, 0, 1, b"x")
    assert await raw.goaway() == h.FLOW_CONTROL_ERROR
    raw.writer.close()


async def test_a_message_that_never_comes_whole_is_given_up(gateway, monkeypatch):
    monkeypatch.setattr(wire, "REQUEST_S", 0.2)
    raw = await Raw.open(gateway)
    raw.headers(1)
    raw.writer.write(h.frame(h.DATA, 0, 1, b"\0\0"))
    assert (await raw.trailers(1))["grpc-status"] == "4"
    raw.writer.close()


async def test_no_more_calls_at_once_than_told(gateway, engine):
    """The one too many is refused, and may be tried again; the others go on, and make room as they end."""
    engine.answers[c.CompleteTask] = {"position": ""}
    raw = await Raw.open(gateway)
    most = wire.CONCURRENT_CALLS_MAX
    for n in range(most + 1):
        raw.headers(1 + 2 * n)
    found = await raw.until_heard()
    assert [(stream, payload) for kind, _, stream, payload in found if kind == h.RST_STREAM] == [
        (1 + 2 * most, struct.pack(">L", h.REFUSED_STREAM))
    ]
    raw.message(COMPLETE, 7)
    assert (await raw.trailers(7))["grpc-status"] == "0"
    raw.headers(3 + 2 * most)
    raw.message(COMPLETE, 3 + 2 * most)
    assert (await raw.trailers(3 + 2 * most))["grpc-status"] == "0"
    raw.writer.close()


@pytest.mark.parametrize("timeout", ["", "S", "5", "-1S", "1.5S", "999999999S", "1X", "\u0661S", "1 S"])
async def test_an_odd_deadline_is_refused_and_harms_nobody(gateway, timeout):
    raw = await Raw.open(gateway)
    raw.headers(1, **{"grpc-timeout": timeout})
    raw.message(COMPLETE)
    assert (await raw.trailers(1))["grpc-status"] == "3"
    raw.headers(3, "/gateway_protocol.Gateway/Topology", **{"grpc-timeout": "99999999H"})
    raw.message(b"", 3)
    assert (await raw.trailers(3))["grpc-status"] == "0"
    raw.writer.close()


@pytest.mark.req("WOS-RES-010", "WOS-PER-002")
@pytest.mark.parametrize(
    ("call", "metadata", "wait_s", "let_in"),
    [
        ("CreateProcessInstance", (), 0.08, True),
        ("CreateProcessInstance", (("priority", "u=6"),), 0.08, False),
        ("CreateProcessInstance", (("priority", "u=2"),), 0.08, True),
        ("CreateProcessInstance", (), 0.3, False),
        ("PublishMessage", (), 0.3, False),
        ("BroadcastSignal", (), 0.3, False),
        ("DeployResource", (), 0.3, False),
        ("EvaluateDecision", (), 0.3, False),
        ("CompleteJob", (("priority", "u=6"),), 0.3, True),
        ("CompleteJob", (), 1.5, False),
    ],
)
async def test_under_overload_new_calls_are_refused_at_once_with_the_reason_and_the_time(gateway, engine, call, metadata, wait_s, let_in):
    engine.answers[c.StartInstance] = engine.answers[c.CompleteTask] = {
        "key": 5,
        "definition": 5,
        "process": "p",
        "version": 1,
        "position": "",
    }
    gateway.queue.cost_s, gateway.queue.waiting = wait_s / 100, 100
    requests = {"CreateProcessInstance": pb.CreateProcessInstanceRequest(processDefinitionKey=5, variables="{}"), "CompleteJob": pb.CompleteJobRequest(
        jobKey=1, variables="{}"), "PublishMessage": pb.PublishMessageRequest(name="m"), "BroadcastSignal": pb.BroadcastSignalRequest(signalName="s"),
        "DeployResource": pb.DeployResourceRequest(), "EvaluateDecision": pb.EvaluateDecisionRequest(decisionId="d")}  # fmt: skip
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        ask = getattr(GatewayStub(channel), call)
        if let_in:
            await ask(requests[call], metadata=metadata)
            assert gateway.queue.waiting == 100, "whoever was let in has left"
            return
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(requests[call], metadata=metadata)
        e = refused.value
        assert e.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and "busy" in e.details() and f"{wait_s:.2f} s" in e.details()
        assert int(dict(e.trailing_metadata())["grpc-retry-pushback-ms"]) >= 1000 and not engine.calls
        gateway.queue.waiting = 0
        await GatewayStub(channel).CompleteJob(requests["CompleteJob"])


async def test_calls_that_are_taken_later_are_taken_whole(gateway, engine, monkeypatch):
    monkeypatch.setattr("flowledger.api.slices.SLICE_S", -1.0)  # all are
    engine.answers[c.CompleteTask] = {"position": ""}
    variables = '{"a": "' + "x" * 1_000_000 + '"}'
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        stub = GatewayStub(channel)
        await asyncio.gather(*(stub.CompleteJob(pb.CompleteJobRequest(jobKey=n, variables=variables)) for n in range(1, 11)))
    assert sorted(command.task for command, _ in engine.calls) == list(range(1, 11))
    assert all(len(command.variables["a"]) == 1_000_000 for command, _ in engine.calls)


async def test_a_call_that_waited_too_long_for_its_turn_in_a_crowd_is_refused_then(gateway, engine, monkeypatch):
    engine.answers[c.CompleteTask] = engine.answers[c.BroadcastSignal] = {"position": "", "key": 1}
    monkeypatch.setattr(gateway.queue, "entered", lambda since: 0.3)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        stub = GatewayStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.BroadcastSignal(pb.BroadcastSignalRequest(signalName="s"))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and "0.30 s" in refused.value.details() and not engine.calls
        await stub.CompleteJob(pb.CompleteJobRequest(jobKey=1, variables="{}"))


async def test_what_a_partition_refuses_says_when_to_come_again(gateway, engine):
    engine.answers[c.CompleteTask] = Rejected(RejectionCode.RESOURCE_EXHAUSTED, "partition 1 is busy", 700)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await GatewayStub(channel).CompleteJob(pb.CompleteJobRequest(jobKey=1, variables="{}"))
        assert dict(refused.value.trailing_metadata())["grpc-retry-pushback-ms"] == "700"

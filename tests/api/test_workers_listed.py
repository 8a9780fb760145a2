"""The list of workers is bounded, whatever names somebody makes up."""

import time

import grpc
import pytest
from pyzeebe import create_insecure_channel
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from flowledger.api.grpc.gateway import Gateway
from flowledger.api.grpc.http2 import listen
from flowledger.api.grpc.jobs import TENANTS_MAX
from flowledger.api.workers import POLLING_MAX, TYPES_MAX, Workers
from flowledger.infra.log_memory import MemoryLog
from flowledger.kernel.limits import NAME_MAX
from flowledger.processors.engine import Engine


def test_those_that_poll_are_kept_as_far_as_there_is_room_those_heard_of_last():
    workers = Workers()
    stays = workers.connect("stays", "stream")
    for n in range(POLLING_MAX):
        workers.polled(f"w{n}", "http")
    workers.polled("w0", "http")  # heard of again
    workers.polled("new", "http")
    names = {s.name for s in workers.sessions.values()}
    assert len(workers.sessions) == POLLING_MAX + 1 and {"stays", "w0", "new"} <= names and "w1" not in names
    workers.gone(stays)
    assert len(workers.sessions) == POLLING_MAX


def test_who_is_forgotten_holds_nothing_any_more():
    workers = Workers()
    first = workers.polled("first", "http")
    workers.handed(first, [{"key": 7, "type": "t", "fence": 3}])
    for n in range(POLLING_MAX):
        workers.polled(f"w{n}", "http")
    assert workers.fence(7) == 0 and not first.held


def test_the_silent_are_forgotten():
    workers = Workers(silence_s=1000.0)
    old, new = workers.polled("old", "http"), workers.polled("new", "http")
    old.heard = time.monotonic() - 2000
    assert [s["worker"] for s in workers.listing()] == ["new"] and new.id in workers.sessions
    assert workers.polled("old", "http") is not old


def test_the_types_asked_for_last_are_listed():
    session = Workers().polled("w", "http")
    for n in range(TYPES_MAX):
        session.asks_for(f"t{n}")
    session.asks_for("t0")
    session.asks_for("new")
    assert len(session.types) == TYPES_MAX and {"t0", "new"} <= set(session.types) and "t1" not in session.types


@pytest.mark.parametrize(
    "more",
    [{"type": "x" * (NAME_MAX + 1)}, {"worker": "x" * (NAME_MAX + 1)}, {"tenantIds": [f"t{n}" for n in range(TENANTS_MAX + 1)]}],
    ids="type worker tenants".split(),
)
async def test_the_gateway_refuses_names_that_are_too_long_and_too_many_tenants(more):
    engine = Engine(MemoryLog(), partitions=1)
    await engine.start()
    gateway = Gateway(engine)
    server = await listen(gateway, port=0)
    channel = create_insecure_channel(grpc_address=f"127.0.0.1:{gateway.port}")
    stub = GatewayStub(channel)
    asked = {"type": "t", "worker": "w", "timeout": 1000, **more}
    try:
        for call in (
            stub.ActivateJobs(pb.ActivateJobsRequest(maxJobsToActivate=1, requestTimeout=-1, **asked)),
            stub.StreamActivatedJobs(pb.StreamActivatedJobsRequest(**asked)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as e:
                async for _ in call:
                    pass
            assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "at most" in e.value.details()
        at_the_edge = {k: v[:-1] for k, v in more.items()}
        request = pb.ActivateJobsRequest(maxJobsToActivate=1, requestTimeout=-1, **{**asked, **at_the_edge})
        assert [r async for r in stub.ActivateJobs(request)] == []
    finally:
        await channel.close()
        await server.close(0.2)
        await engine.kill()

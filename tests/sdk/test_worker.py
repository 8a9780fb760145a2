"""A worker over the job stream and over the Zeebe protocol: what a job can end with, leases, drain, lost connections."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from decimal import Decimal
from types import SimpleNamespace

import pytest

from flowledger.api import job_stream
from flowledger.api.grpc.gateway import Gateway
from flowledger.api.grpc.http2 import listen
from flowledger.api.workers import Workers
from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.sdk import BpmnError, Job, JobFailed, Result, Waits, Worker
from flowledger.sdk import job as job_module
from flowledger.sdk import worker as worker_module


class Place:
    """A server of workers in front of the scripted engine."""

    def __init__(self, kind, engine):
        self.kind, self.engine, self.registry = kind, engine, Workers()
        self.port = 0

    async def start(self):
        if self.kind == "stream":
            self.server = await job_stream.serve(self.engine, self.registry, port=self.port)
            self.port = next(iter(self.server.sockets)).getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
        else:
            self.server = await listen(Gateway(self.engine, self.registry), port=self.port)
            self.port = self.server.port
            self.url = f"zeebe://127.0.0.1:{self.port}"

    async def stop(self):
        if self.kind == "stream":
            self.server.close()
            await self.server.wait_closed()
        else:
            await self.server.close(0.1)


@pytest.fixture(params=["stream", "zeebe"])
async def place(request, engine):
    place = Place(request.param, engine)
    await place.start()
    yield place
    await place.stop()


@asynccontextmanager
async def running(worker, grace_s=2.0):
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        await asyncio.sleep(0)
        await worker.stop(grace_s)
        await asyncio.wait([task])


async def until(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        await asyncio.sleep(0.005)


async def test_each_end_of_a_job(place, engine):
    worker = Worker(place.url, name="w")

    @worker.job("ok")
    async def ok(a: Decimal, job: Job, b: str = "none") -> dict:
        return {"a": a + 1, "b": b, "key": job.idempotency_key}

    @worker.job("bpmn")
    def bpmn(job: Job):
        raise BpmnError("NO_MONEY", "empty", {"left": 0})

    @worker.job("fail")
    async def fail():
        raise JobFailed("later", retries=2, backoff_s=1.5)

    @worker.job("bug", inline=True)
    def bug():
        raise KeyError("x")

    (key,) = engine.add(1, "ok", variables={"a": Decimal("0.10")})
    (thrown,), (failed,), (broken,) = engine.add(1, "bpmn"), engine.add(1, "fail"), engine.add(1, "bug", retries=4)
    async with running(worker):
        await until(lambda: len(engine.held) == 0 and len(engine.asked(c.CompleteTask)) == 1 and len(engine.asked(c.FailTask)) >= 2)
        await until(lambda: engine.asked(c.ThrowTaskError))
    done = engine.asked(c.CompleteTask)[0]
    assert done.task == key and done.variables["a"] == Decimal("1.10") and done.variables["b"] == "none" and done.fence == 1
    error = engine.asked(c.ThrowTaskError)[0]
    assert (error.task, error.code, error.message, error.variables) == (thrown, "NO_MONEY", "empty", {"left": 0})
    fails = {f.task: f for f in reversed(engine.asked(c.FailTask))}
    assert (fails[failed].retries, fails[failed].backoff_ms, fails[failed].message) == (2, 1500, "later")
    assert "KeyError" in fails[broken].message and fails[broken].retries in (-1, 3)


async def test_a_handler_says_more_than_variables(place, engine):
    worker = Worker(place.url, name="w")

    @worker.job("half")
    async def half():
        return Result({"a": 1}, partial=True, summary="half of it", metrics={"pages": 3})

    @worker.job("named", result="sum")
    async def named():
        return Result(7)

    (one,), (two,) = engine.add(1, "half"), engine.add(1, "named")
    async with running(worker):
        await until(lambda: len(engine.asked(c.CompleteTask)) + len(engine.asked(c.FailTask)) == 2)
    done, failed = {x.task: x for x in engine.asked(c.CompleteTask)}, {x.task: x for x in engine.asked(c.FailTask)}
    if place.kind == "zeebe":  # no field for it: nothing is lost unsaid
        assert not done and failed[one].retries == 0 and "variables only" in failed[one].message
        return
    assert not failed
    assert (done[one].variables, done[one].status, done[one].fence) == ({"a": 1}, "partial_success", 1)
    assert done[one].result == {"summary": "half of it", "metrics": {"pages": 3}}
    assert (done[two].variables, done[two].status, done[two].result) == ({"sum": 7}, "success", None)


SAID = {
    "an object": lambda job: {"a": object()},
    "an object by its name": lambda job: Result({"a": 1}, summary=object()),
    "half a pair": lambda job: {"a": "\ud800"},
    "a circle": lambda job: {"a": circle()},
    "an error with an object": lambda job: raised(BpmnError("NO", "no", {"a": object()})),
    "a failure with an object": lambda job: raised(JobFailed("no", variables={"a": object()})),
    "a message of half a pair": lambda job: raised(ValueError("\ud800")),
    "progress": lambda job: job.progress(5, rows=object()),
}


def raised(error):
    raise error


def circle():
    found = []
    found.append(found)
    return found


async def test_what_no_json_can_hold_harms_its_own_job_only(place, engine, monkeypatch):
    # half a pair in what was logged can't be told to the controller of the tests
    monkeypatch.setattr(worker_module.log, "exception", lambda *_: None)
    worker = Worker(place.url, name="w")

    def answering(answer):
        def handler(job: Job):
            return answer(job)

        return handler

    for name, answer in SAID.items():
        worker.job(name, inline=True)(answering(answer))
    worker.job("ok", inline=True)(lambda: {"a": 1})
    keys = [engine.add(1, name)[0] for name in SAID]
    async with running(worker) as task:
        await until(lambda: {x.task for x in engine.asked(c.FailTask)} >= set(keys))
        engine.add(1, "ok")
        await until(lambda: len(engine.asked(c.CompleteTask)) == 1)
        assert not task.done() and worker.metrics.connects == 1
    said = {x.task: x.message for x in engine.asked(c.FailTask)}
    assert all("JSON can hold" in said[k] or name == "progress" for k, name in zip(keys, SAID, strict=True)), said
    assert all(text.isascii() and "expected a variable" not in text for text in said.values()), said


async def test_a_job_that_somebody_else_ends_leaves_the_hands(place, engine):
    worker, begun = Worker(place.url, name="w", max_jobs=1), []

    @worker.job("ask")
    async def ask(job: Job):
        begun.append(job.key)
        return Waits(3600)

    keys = engine.add(2, "ask")
    async with running(worker):
        await until(lambda: len(begun) == 2 and len(engine.asked(c.ExtendLease)) == 2)
    assert sorted(begun) == sorted(keys), "the second is taken though the first goes on"
    assert all(e.timeout_ms == 3_600_000 for e in engine.asked(c.ExtendLease))
    assert not engine.asked(c.CompleteTask) and not engine.asked(c.FailTask)
    with pytest.raises(ValueError, match="more than no time"):
        Waits(0)


async def test_no_more_jobs_than_hands(place, engine):
    worker, most, now = Worker(place.url, max_jobs=3), 0, 0

    @worker.job("pay")
    async def pay():
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1

    engine.add(40)
    async with running(worker):
        await until(lambda: len(engine.asked(c.CompleteTask)) == 40)
    assert (1 <= most <= 3) if place.kind == "stream" else most <= 6
    assert worker.metrics.of("pay").completed == 40 and 'outcome="completed"} 40' in worker.metrics.prometheus()


async def test_heartbeats_keep_the_lease_and_tell_of_its_loss(place, engine):
    worker, cancelled = Worker(place.url, lease_s=1.5), []

    @worker.job("slow")
    async def slow(job: Job):
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(job.key)
            raise

    @worker.job("thread")
    def thread(job: Job):
        while True:
            try:
                job.sleep(0.02)
            except Exception:
                cancelled.append(job.key)
                raise

    (a,), (b,) = engine.add(1, "slow"), engine.add(1, "thread")
    async with running(worker, 0.1):
        await until(lambda: len([e for e in engine.asked(c.ExtendLease) if e.task == a]) >= 3)
        assert engine.held[a]["deadline_us"] > time.time() * 1e6
        del engine.held[a], engine.held[b]  # cancelled at the server
        await until(lambda: sorted(cancelled) == sorted([a, b]))
    assert not engine.asked(c.CompleteTask) and not engine.asked(c.FailTask)


@pytest.mark.parametrize("off_s", [-3600, 3600])
async def test_heartbeats_go_by_no_wall_clock(place, engine, monkeypatch, off_s):
    """A worker whose clock differs from the server's, or steps, keeps its leases as any other."""
    there = SimpleNamespace(time=lambda: time.time() + off_s, monotonic=time.monotonic, perf_counter=time.perf_counter)
    monkeypatch.setattr(worker_module, "time", there)
    monkeypatch.setattr(job_module, "time", there)
    worker, done = Worker(place.url, lease_s=1.2), asyncio.Event()

    @worker.job("slow")
    async def slow():
        await asyncio.sleep(2.0)
        done.set()

    (key,) = engine.add(1, "slow")
    async with running(worker, 0.1):
        await asyncio.wait_for(done.wait(), 30)
    assert 2 <= len([e for e in engine.asked(c.ExtendLease) if e.task == key]) <= 20


async def test_drain_finishes_what_is_in_hand_and_takes_no_more(place, engine):
    worker, begun = Worker(place.url, max_jobs=2), asyncio.Event()

    @worker.job("pay")
    async def pay():
        begun.set()
        await asyncio.sleep(0.2)

    engine.add(2)
    task = asyncio.create_task(worker.run())
    await begun.wait()
    await until(lambda: len(engine.held) == 2)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0.05)
    engine.add(2)
    await asyncio.wait_for(stopping, 20)
    await task
    assert len(engine.asked(c.CompleteTask)) == 2 and len(engine.waiting["pay"]) == 2 and not engine.held


async def test_what_is_not_done_in_time_goes_back(place, engine):
    worker, begun = Worker(place.url), asyncio.Event()

    @worker.job("pay")
    async def pay():
        begun.set()
        await asyncio.sleep(60)

    (key,) = engine.add(1)
    task = asyncio.create_task(worker.run())
    await begun.wait()
    await worker.stop(0.05)
    await task
    await until(lambda: [j["key"] for j in engine.waiting["pay"]] == [key])


async def test_the_server_goes_away_and_comes_back(place, engine):
    worker = Worker(place.url)
    go = asyncio.Event()

    @worker.job("pay")
    async def pay():
        await go.wait()

    (key,) = engine.add(1)
    async with running(worker):
        await until(lambda: key in worker.running)  # leased is not received: the lease of a job lost on the way has to run out
        await place.stop()
        go.set()
        await asyncio.sleep(0.05)
        assert not engine.asked(c.CompleteTask)
        await place.start()
        await until(lambda: key in {d.task for d in engine.asked(c.CompleteTask)})
        (more,) = engine.add(1)
        await until(lambda: more in {d.task for d in engine.asked(c.CompleteTask)})
    assert worker.metrics.connects >= 2 and not engine.held


@pytest.mark.req("APG-RES-009")
async def test_a_lost_job_of_a_killed_worker_is_done_once_by_another(engine):
    place = Place("stream", engine)
    await place.start()
    first, second = Worker(place.url, name="first", lease_s=30), Worker(place.url, name="second", lease_s=30)
    gate, ran = asyncio.Event(), []

    @first.job("pay")
    async def one(job: Job):
        ran.append(("first", job.fence))
        await asyncio.shield(gate.wait())

    @second.job("pay")
    async def two(job: Job):
        ran.append(("second", job.fence))

    (key,) = engine.add(1)
    async with running(first, 0.1):
        await until(lambda: ran)
        assert [h["key"] for w in place.registry.listing() for h in w["holds"]] == [str(key)]
        async with running(second):
            await until(lambda: len(place.registry.sessions) == 2)
            engine.expire(key)  # the first one stalls past its lease; whoever is asked next gets it
            await until(lambda: ("second", 2) in ran or ("first", 2) in ran)
            gate.set()
            await until(lambda: not engine.held)
            await asyncio.sleep(0.05)
    assert len([d for d in engine.asked(c.CompleteTask) if d.fence == 2]) == 1
    await place.stop()


@pytest.mark.parametrize(
    "event",
    [
        lambda key: ta.TaskCancelled(key=7, task=key, token=9, element="e1"),
        lambda key: ta.TaskTimedOut(key=0, tasks=[key]),
        lambda key: wf.WorkflowCancelled(key=7),
    ],
)
async def test_cancellation_on_the_log_reaches_the_worker_at_once(engine, event):
    place = Place("stream", engine)
    await place.start()
    worker, told = Worker(place.url, max_jobs=1), []

    @worker.job("pay")
    async def pay(job: Job):
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            told.append(job.cancelled)
            raise

    engine.add(1)
    async with running(worker, 0.1):
        await until(lambda: worker.running)
        (key,) = worker.running
        place.registry.see(event(key))
        await until(lambda: told == [True])
        (more,) = engine.add(1)  # its hand is free again
        await until(lambda: more in worker.running)
    await place.stop()


async def test_progress_and_refusals_that_pass(engine):
    place = Place("stream", engine)
    await place.start()
    worker, answers = Worker(place.url), iter(["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
    complete = engine.complete

    def busy(command):
        from flowledger.events.base import Rejected

        code = next(answers, None)
        return Rejected(code, "busy") if code else complete(command)

    engine.answers[c.CompleteTask] = busy

    @worker.job("pay")
    def pay(job: Job):
        job.progress(50, "half", rows=3)

    engine.add(1)
    async with running(worker):
        await until(lambda: len(engine.asked(c.CompleteTask)) == 3 and not engine.held and not worker._pending)
    assert engine.asked(c.MoveTask)[0].details == {"progress": 50, "message": "half", "rows": 3}
    await place.stop()


async def test_progress_is_not_taken_for_the_end_of_the_job(engine):
    """The outcome stands until the server has it, however progress and outcome share out to frames."""
    place = Place("stream", engine)
    await place.start()
    worker, answers = Worker(place.url), iter(["UNAVAILABLE", "UNAVAILABLE"])
    complete, answer_now = engine.complete, asyncio.Event()

    async def slow(command):
        from flowledger.events.base import Rejected

        await answer_now.wait()
        code = next(answers, None)
        return Rejected(code, "busy") if code else complete(command)

    async def slow_progress(command):
        await until(lambda: engine.asked(c.CompleteTask))
        return engine.move(command)

    engine.answers[c.CompleteTask], engine.answers[c.MoveTask] = slow, slow_progress

    @worker.job("pay")
    async def pay(job: Job):
        job.progress(50, "half")
        await until(lambda: engine.asked(c.MoveTask))  # it went out in a frame of its own

    (key,) = engine.add(1)
    async with running(worker):
        await until(lambda: engine.asked(c.CompleteTask))
        await asyncio.sleep(0.1)
        assert key in worker._pending, "nobody has acknowledged how it ended"
        answer_now.set()
        await until(lambda: not engine.held and not worker._pending)
    assert len(engine.asked(c.CompleteTask)) == 3
    await place.stop()


async def test_bad_frames_end_the_stream(engine):
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    place = Place("stream", engine)
    await place.start()
    for frame in ("no", '["out",[]]', '["hello","w",[["",1,1]]]', '["hello","w",[["t",0,1]]]', '["jobs",[]]'):
        async with connect(f"ws://127.0.0.1:{place.port}/v1/jobs/stream") as socket:
            await socket.send(frame)
            with pytest.raises(ConnectionClosed) as e:
                await socket.recv()
            assert e.value.rcvd.code == 1007
    assert place.registry.listing() == []
    await place.stop()


def test_the_sdk_needs_nothing_of_the_server():
    code = (
        "import sys, importlib.abc\n"
        "banned = {'litestar','uvicorn','psycopg','aiokafka','uvloop','orjson','structlog','pydantic','typer','grpc','pyzeebe'}\n"
        "class No(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in banned: raise ImportError('banned: ' + name)\n"
        "sys.meta_path.insert(0, No())\n"
        "import flowledger.sdk as s; s.Client; s.Worker('http://x'); s.Worker('poll+http://x')\n"
        "import flowledger.sdk.transports.stream, flowledger.sdk.transports.poll\n"
        "server = {'api', 'processors', 'kernel', 'infra', 'projections'}\n"
        "bad = [m for m in sys.modules if m.startswith('flowledger.') and m.split('.')[1] in server]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

"""The embedded log's file: who may read it, what a flipped bit in it does, and a writer that fails."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events.heads import parse_head
from flowledger.infra import audit, signing, sqlite_writing
from flowledger.infra.anchors import Anchors, places
from flowledger.infra.log_sqlite import SqliteLog
from flowledger.processors.engine import Engine
from flowledger.processors.heads import Signing
from flowledger.processors.log import EVENTS, STATE, Doubt, Group, LogError
from flowledger.processors.owner import Settings

pytestmark = pytest.mark.req("APG-CMP-001")
FLIPS = int(os.environ.get("FLOWLEDGER_TEST_FLIPS", "150"))
SEED = int(os.environ.get("FLOWLEDGER_TEST_SEED", "7"))
PROCESS = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t"><process id="p" isExecutable="true">
<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="e"/><endEvent id="e"/></process></definitions>"""


async def written(folder: Path) -> tuple[Path, audit.Wanted]:
    """A log of two partitions with models, instances, checkpoints and heads, closed."""
    key = signing.generate(folder / "ledger.pem")
    anchors = Anchors(places([f"file:{folder / 'heads.jsonl'}"]))
    engine = Engine(SqliteLog(folder / "log.sqlite3"), partitions=2, settings=Settings(signing=Signing(key, anchors, 5, 0.1)))
    await engine.start()
    assert isinstance(await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", PROCESS)])), dict)
    for i in range(30):
        await engine.call(c.CreateTask(job_type="w", variables={"amount": i, "text": "x" * 50 * (i % 7)}), id=f"t{i}", partition=i % 2)
    await asyncio.sleep(0.25)
    await engine.stop()
    anchors.close()
    heads = [parse_head(x) for x in (folder / "heads.jsonl").read_text().splitlines()]
    with sqlite3.connect(folder / "log.sqlite3") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode=DELETE")
    return folder / "log.sqlite3", audit.Wanted(key.known, heads)


async def looked_at(path: Path, wanted: audit.Wanted) -> tuple[list[str], dict[str, Any]]:
    """What is found wrong, and what a reader gets."""
    log = SqliteLog(path, readonly=True)
    try:
        await log.open()
    except LogError as e:
        return [str(e)], {}
    try:
        found = await log.damage()
        reports = await audit.verify(log, wanted=wanted)
        found += [f"{f.code} {f.text}" for r in reports for f in r.findings]
        read: dict[str, Any] = {}
        if not found:
            for p in range(log.partitions):
                read[f"events-{p}"] = [r async for batch in log.read(EVENTS, p, await log.begin(EVENTS, p)) for r in batch]
                read[f"state-{p}"] = await log.load(STATE, p)  # their times and offsets mean nothing to anybody
            read["models"] = await log.load("definitions", 0)
        return found, read
    finally:
        await log.close()


async def test_bits_that_flip_anywhere_in_the_file_are_found_or_harmless(tmp_path):
    """Harmless: what any reader gets of events, checkpoints and models is the same to the last byte (unused space, counters of SQLite)."""
    path, wanted = await written(tmp_path)
    wrong, true = await looked_at(path, wanted)
    assert wrong == [] and len(true["events-0"]) > 20
    data, chance, found = path.read_bytes(), random.Random(SEED), 0
    copy = tmp_path / "copy.sqlite3"
    for n in range(FLIPS):
        at = chance.randrange(len(data) * 8)
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        copy.write_bytes(changed)
        wrong, read = await looked_at(copy, wanted)
        found += bool(wrong)
        assert wrong or read == true, f"bit {at} (seed {SEED}, flip {n}) changes what is read, and nobody says so"
    assert found, "some of them hit what is used"


async def test_only_its_owner_may_read_the_file(tmp_path):
    os.umask(0o022)
    old = tmp_path / "old.sqlite3"
    sqlite3.connect(old).close()
    old.touch(mode=0o644)
    old.chmod(0o644)
    for path in (tmp_path / "new.sqlite3", old):
        log = SqliteLog(path)
        await log.open()
        await log.create_topics(1)
        await log.append(EVENTS, 0, Group([b"k"], [b"v"]))
        for each in tmp_path.glob(f"{path.name}*"):
            assert stat.S_IMODE(each.stat().st_mode) == 0o600, each
        await log.close()


@pytest.mark.parametrize("error", [ValueError("odd"), MemoryError(), RuntimeError("x"), sqlite3.OperationalError("disk I/O error")])
async def test_a_commit_that_fails_for_any_reason_is_a_doubt_and_the_writer_goes_on(tmp_path, monkeypatch, error):
    log = SqliteLog(tmp_path / "log.db")
    await log.open()
    await log.create_topics(1)
    real, armed = sqlite_writing.Writer._write, [True]

    def write(self: SqliteLog, *args: Any) -> Any:
        if armed.pop() if armed else False:
            raise error
        return real(self, *args)

    monkeypatch.setattr(sqlite_writing.Writer, "_write", write)
    with pytest.raises(Doubt):
        await asyncio.wait_for(log.append(EVENTS, 0, Group([b"k"], [b"a"]), expected_end=0), 5)
    await log.reopen(EVENTS, 0)
    assert (await asyncio.wait_for(log.append(EVENTS, 0, Group([b"k"], [b"b"]), expected_end=0), 5)).first == 0
    await log.close()


async def test_a_writer_that_cannot_even_begin_tells_everybody(tmp_path, monkeypatch):
    log = SqliteLog(tmp_path / "log.db")
    real = sqlite_writing.connect

    def connect(path: Path, *args: Any, **more: Any) -> sqlite3.Connection:
        import threading

        if threading.current_thread().name == "flowledger-log-write":
            raise RuntimeError("no connection")
        return real(path, *args, **more)

    monkeypatch.setattr(sqlite_writing, "connect", connect)
    await log.open()
    await log.create_topics(1)
    for _ in range(3):
        with pytest.raises(Doubt, match="no connection"):
            await asyncio.wait_for(log.append(EVENTS, 0, Group([b"k"], [b"a"])), 5)
    with pytest.raises(Doubt):
        await asyncio.wait_for(log.reopen(EVENTS, 0), 5)
    await asyncio.wait_for(log.close(), 5)


@pytest.mark.parametrize(
    ("change", "code"),
    {
        "a group is deleted": ("DELETE FROM chunks WHERE id = (SELECT id FROM chunks WHERE id >> 48 = {s} ORDER BY id LIMIT 1 OFFSET 3)", "RECORDS_MISSING"),
        "the last group is deleted": ("DELETE FROM chunks WHERE id = (SELECT max(id) FROM chunks WHERE id >> 48 = {s})", "RECORDS_MISSING"),
        "the first group is deleted": ("DELETE FROM chunks WHERE id = (SELECT min(id) FROM chunks WHERE id >> 48 = {s})", "RECORDS_MISSING"),
        "the count of a group": ("UPDATE chunks SET count = count + 1 WHERE id = (SELECT max(id) FROM chunks WHERE id >> 48 = {s})", "UNREADABLE"),
        "the time of a group": ("UPDATE chunks SET stamp_ms = stamp_ms + 1 WHERE id = (SELECT max(id) FROM chunks WHERE id >> 48 = {s})", "CHAIN_BROKEN"),
        "a partition is emptied": ("DELETE FROM chunks WHERE id >> 48 = {s}", "RECORDS_MISSING"),
        "a partition never was": ("DELETE FROM streams WHERE stream = {s}", "PARTITION_MISSING"),
        "a model": ("UPDATE latest SET value = CAST('<definitions/>' AS BLOB) WHERE stream IN (SELECT stream FROM streams WHERE topic = 'definitions')", "MODEL_ALTERED"),
        "no model": ("DELETE FROM latest WHERE stream IN (SELECT stream FROM streams WHERE topic = 'definitions')", "MODEL_MISSING"),
    }.values(),
)  # fmt: skip
async def test_rows_that_somebody_changes_are_found(tmp_path, change, code):
    path, _ = await written(tmp_path)
    with sqlite3.connect(path) as db:
        (stream,) = db.execute("SELECT stream FROM streams WHERE topic = 'events' AND partition = 1").fetchone()
        db.execute(change.format(s=stream))
    found, _ = await looked_at(path, audit.Wanted())
    assert any(text.startswith(code) for text in found), found
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)

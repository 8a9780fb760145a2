"""The log in one SQLite file in WAL mode: durable, one machine, several processes; another process may read beside it.

A group is one row (packed by msgpack), so a group of 500 records costs one insert. What writes is in `sqlite_writing.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from flowledger.infra.lease_sqlite import LEASE_S, SqliteOwnership
from flowledger.infra.sqlite_writing import BUSY_TIMEOUT_S, OFFSET_BITS, Key, Pending, Reopen, Writer, connect
from flowledger.logs import log
from flowledger.processors.log import (
    RECORD_BYTES_MAX,
    TOPICS,
    Appended,
    Damaged,
    Doubt,
    Group,
    Headers,
    LogClosed,
    LogError,
    LogRecord,
    OutOfRange,
    TopicsMissing,
    check_group,
    partitions_of,
)

log_ = log("log")

OFFSET_MASK = (1 << OFFSET_BITS) - 1
#: Bytes that one batch of a reader takes at most (the last group may exceed it).
READ_BYTES_MAX = 1024 * 1024
#: How often a follower looks for commits of other processes; and while there were none for long.
POLL_S, POLL_IDLE_S = 0.02, 0.1

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS streams(
  stream INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL,
  begin INTEGER NOT NULL DEFAULT 0, end INTEGER NOT NULL DEFAULT 0, UNIQUE(topic, partition));
CREATE TABLE IF NOT EXISTS chunks(id INTEGER PRIMARY KEY, count INTEGER NOT NULL, stamp_ms INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS latest(
  id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, key BLOB NOT NULL, stamp_ms INTEGER NOT NULL, value BLOB NOT NULL, headers BLOB NOT NULL,
  UNIQUE(stream, key));
CREATE TABLE IF NOT EXISTS members(member TEXT PRIMARY KEY, seen_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases(partition INTEGER PRIMARY KEY, member TEXT NOT NULL);
"""
FORMAT = 1

T = TypeVar("T")


class _Chunk(msgspec.Struct, array_like=True, gc=False):
    keys: list[bytes | None]
    values: list[bytes]
    headers: Headers
    last_headers: Headers
    each: list[Headers] | None


_unpack = msgspec.msgpack.Decoder(_Chunk).decode
_unpack_headers = msgspec.msgpack.Decoder(Headers).decode


class SqliteLog:
    """One process's view of the file. `readonly`: only read, beside a running server; the file must exist."""

    compares = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: str = "FULL",
        record_bytes_max: int = RECORD_BYTES_MAX,
        poll_s: float = POLL_S,
        lease_s: float = LEASE_S,
        busy_s: float = BUSY_TIMEOUT_S,
        readonly: bool = False,
    ) -> None:
        if synchronous not in ("OFF", "NORMAL", "FULL", "EXTRA"):
            raise ValueError(f"synchronous is OFF, NORMAL, FULL or EXTRA, not {synchronous!r}")
        self.path = Path(path)
        self.partitions = 0
        self._synchronous, self._readonly = synchronous, readonly
        self.record_bytes_max, self._poll_s, self._lease_s, self._busy_s = record_bytes_max, poll_s, lease_s, busy_s
        self._streams: dict[Key, int] = {}
        self._blocked: dict[Key, LogError] = {}
        self._signals: dict[Key, asyncio.Future[None]] = {}
        self._open = False
        #: ends the poller's sleep, and whether that is longer than `poll_s`, since nothing happens
        self._rested, self._rests_long = asyncio.Event(), False

    async def open(self) -> None:
        if self._open:
            return
        if self._readonly and not self.path.exists():
            raise LogError(f"no log at {self.path}")
        if not self._readonly:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _only_ours(self.path)
        self._loop = asyncio.get_running_loop()
        self._readers = ThreadPoolExecutor(1, "flowledger-log-read")
        try:
            self._read_db = await self._in_reader(self._prepare)
        except sqlite3.Error as error:
            self._readers.shutdown()
            raise LogError(f"{self.path}: {error}") from error
        self._watch_db = connect(self.path, readonly=True)
        self._poller: asyncio.Task[None] | None = None
        self._writer: Writer | None = None
        if not self._readonly:
            self._writer = Writer(self.path, self._synchronous, self._busy_s, lambda: self._streams, self._loop, self._answer)
        self._open = True

    def _prepare(self) -> sqlite3.Connection:
        db = connect(self.path, self._synchronous, readonly=self._readonly)
        if not self._readonly:
            db.executescript(SCHEMA)
            db.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (FORMAT,))
        found = db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        if found is None or found[0] != FORMAT:
            db.close()
            raise LogError(f"{self.path} has format {found and found[0]}; this release reads format {FORMAT}")
        self._load_streams(db)
        return db

    def _load_streams(self, db: sqlite3.Connection) -> None:
        rows = db.execute("SELECT topic, partition, stream FROM streams")
        self._streams = {(topic, partition): stream for topic, partition, stream in rows}
        self.partitions = sum(topic == "events" for topic, _ in self._streams)

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        if self._poller is not None:
            self._poller.cancel()
        if self._writer is not None:
            await asyncio.to_thread(self._writer.close, 30.0)
        for signal in self._signals.values():
            if not signal.done():
                signal.set_result(None)
        await self._in_reader(self._read_db.close)
        self._readers.shutdown()
        self._watch_db.close()

    async def create_topics(self, partitions: int) -> None:
        def create() -> None:
            db = self._read_db
            db.execute("BEGIN IMMEDIATE")
            try:
                have = db.execute("SELECT count(*) FROM streams WHERE topic = 'events'").fetchone()[0]
                for topic in TOPICS:
                    for partition in range(partitions_of(topic, have or partitions)):
                        db.execute("INSERT OR IGNORE INTO streams(topic, partition) VALUES (?, ?)", (topic, partition))
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise
            self._load_streams(db)

        await self._in_reader(create)

    async def check_topics(self) -> list[str]:
        await self._in_reader(lambda: self._load_streams(self._read_db))
        return [
            f"{topic}[{partition}] is missing in {self.path}"
            for topic in TOPICS
            for partition in range(partitions_of(topic, self.partitions or 1))
            if (topic, partition) not in self._streams
        ]

    # -- writing ------------------------------------------------------------------------------------------------------------------------

    def submit(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> asyncio.Future[Appended]:
        if not self._open or self._writer is None:
            raise LogClosed(f"{self.path} is {'open for reading only' if self._readonly else 'closed'}")
        check_group(topic, partition, group, self.record_bytes_max)
        key = (topic, partition)
        if expected_end is not None and (why := self._blocked.get(key)) is not None:
            raise why
        future: asyncio.Future[Appended] = self._loop.create_future()
        self._writer.queue.put(Pending(key, group, expected_end, future))
        return future

    async def append(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> Appended:
        return await self.submit(topic, partition, group, expected_end=expected_end)

    async def reopen(self, topic: str, partition: int) -> None:
        if not self._open or self._writer is None:
            raise LogClosed(f"{self.path} is closed")
        done: asyncio.Future[None] = self._loop.create_future()
        self._writer.queue.put(Reopen((topic, partition), done))
        await done
        self._blocked.pop((topic, partition), None)

    def _answer(self, pending: list[Pending], written: Iterable[Key], blocked: dict[Key, LogError]) -> None:
        """On the loop: resolve the futures in order and wake followers."""
        self._blocked.update(blocked)
        for item in pending:
            if item.future.done():
                continue
            if isinstance(item.result, Appended):
                item.future.set_result(item.result)
            else:
                item.future.set_exception(item.result or Doubt(f"{self.path}: no answer"))
        for key in written:
            self._wake(key)

    # -- reading ------------------------------------------------------------------------------------------------------------------------

    async def _in_reader(self, function: Callable[..., T], *args: Any) -> T:
        try:
            return await self._loop.run_in_executor(self._readers, function, *args)
        except sqlite3.Error as e:
            raise LogError(f"{self.path}: {e}") from e
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, TypeError) as e:
            raise Damaged(f"{self.path} can't be read: {e}") from e

    async def damage(self) -> list[str]:
        """What SQLite finds wrong with the file itself; empty when nothing is."""

        def look() -> list[str]:
            try:
                return [row[0] for row in self._read_db.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
            except sqlite3.Error as e:
                return [str(e)]

        return [f"{self.path.name}: {text}" for text in await self._in_reader(look)]

    async def _stream(self, topic: str, partition: int) -> int:
        if not self._open:
            raise LogClosed(f"{self.path} is closed")
        if (topic, partition) not in self._streams:
            await self._in_reader(lambda: self._load_streams(self._read_db))
        try:
            return self._streams[topic, partition]
        except KeyError:
            raise TopicsMissing(f"no {topic}[{partition}] in {self.path}") from None

    async def read(
        self, topic: str, partition: int, start: int, stop: int | None = None, *, follow: bool = False
    ) -> AsyncIterator[list[LogRecord]]:
        stream = await self._stream(topic, partition)
        fetch = self._fetch_latest if TOPICS[topic].compacted else self._fetch
        begin, end = await self.begin(topic, partition), await self.end(topic, partition)
        if start > end or (start < begin and not TOPICS[topic].compacted):
            raise OutOfRange(topic, partition, start, end, begin)
        last = end if stop is None and not follow else stop
        while self._open and (last is None or start < last):
            signal = self._signal((topic, partition)) if follow else None
            found = await self._in_reader(fetch, stream, start, last)
            if start > found[2]:
                raise OutOfRange(topic, partition, start, found[2])
            if not TOPICS[topic].compacted and (first := found[0][0].offset if found[0] else min(found[1], found[2])) > start:
                raise OutOfRange(topic, partition, start, found[2], first)
            records, start, end = found
            if records:
                yield records
            elif signal is None:
                return
            if signal is not None and start >= end and (last is None or start < last):
                await self._wait(signal)

    def _fetch(self, stream: int, start: int, last: int | None) -> tuple[list[LogRecord], int, int]:
        """Records, where to go on, and the end of the log."""
        db, base = self._read_db, stream << OFFSET_BITS
        end = self._end(stream)
        stop = end if last is None else min(last, end)
        records: list[LogRecord] = []
        if start >= stop:
            return records, start, end
        row = db.execute("SELECT max(id) FROM chunks WHERE id BETWEEN ? AND ?", (base, base | start)).fetchone()[0]
        size = 0
        rows = db.execute(
            "SELECT id, count, stamp_ms, data FROM chunks WHERE id >= ? AND id < ? ORDER BY id", (row or base | start, base | stop)
        )
        for row, count, stamp_ms, data in rows:
            first = row & OFFSET_MASK
            if records and first != records[-1].offset + 1:
                break  # a gap: the next call meets it
            records += _records(data, first, stamp_ms * 1000, max(0, start - first), min(count, stop - first), count)
            size += len(data)
            if size >= READ_BYTES_MAX:
                break
        rows.close()
        return records, (records[-1].offset + 1 if records else stop), end

    def _fetch_latest(self, stream: int, start: int, last: int | None) -> tuple[list[LogRecord], int, int]:
        db, base = self._read_db, stream << OFFSET_BITS
        end = db.execute("SELECT end FROM streams WHERE stream = ?", (stream,)).fetchone()[0]
        stop = end if last is None else min(last, end)
        rows = db.execute(
            "SELECT id, key, value, headers, stamp_ms FROM latest WHERE id >= ? AND id < ? ORDER BY id", (base | start, base | stop)
        )
        records, size = [], 0
        for row, key, value, headers, stamp_ms in rows:
            _are_bytes(row & OFFSET_MASK, key, value, headers)
            records.append(LogRecord(row & OFFSET_MASK, key, value, _unpack_headers(headers), stamp_ms * 1000))
            size += len(value)
            if size >= READ_BYTES_MAX:
                break
        else:
            return records, max(stop, start), end
        rows.close()
        return records, records[-1].offset + 1, end

    async def begin(self, topic: str, partition: int) -> int:
        stream = await self._stream(topic, partition)

        def find() -> int:
            db, base = self._read_db, stream << OFFSET_BITS
            if not TOPICS[topic].compacted:
                begin: int = db.execute("SELECT begin FROM streams WHERE stream = ?", (stream,)).fetchone()[0]
                return begin
            row: int | None = db.execute("SELECT min(id) FROM latest WHERE id BETWEEN ? AND ?", (base, base | OFFSET_MASK)).fetchone()[0]
            return row & OFFSET_MASK if row is not None else self._end(stream)

        return await self._in_reader(find)

    def _end(self, stream: int) -> int:
        end: int = self._read_db.execute("SELECT end FROM streams WHERE stream = ?", (stream,)).fetchone()[0]
        return end

    async def end(self, topic: str, partition: int) -> int:
        return await self._in_reader(self._end, await self._stream(topic, partition))

    async def load(self, topic: str, partition: int) -> dict[bytes, bytes]:
        stream = await self._stream(topic, partition)
        base = stream << OFFSET_BITS
        bounds = (base, base | OFFSET_MASK)

        def read() -> dict[bytes, bytes]:
            found = dict(self._read_db.execute("SELECT key, value FROM latest WHERE id BETWEEN ? AND ? ORDER BY id", bounds))
            _are_bytes(-1, *found, *found.values())
            return found

        return await self._in_reader(read)

    async def trim(self, topic: str, partition: int, before: int) -> None:
        stream = await self._stream(topic, partition)
        if TOPICS[topic].compacted:
            return

        def drop() -> None:
            db, base = self._read_db, stream << OFFSET_BITS
            db.execute("BEGIN IMMEDIATE")
            try:
                begin, end = db.execute("SELECT begin, end FROM streams WHERE stream = ?", (stream,)).fetchone()
                if begin < (cut := min(before, end)):
                    db.execute("DELETE FROM chunks WHERE id >= ? AND id < ? AND id + count <= ?", (base | begin, base | cut, base | cut))
                    row: int | None = db.execute(
                        "SELECT min(id) FROM chunks WHERE id BETWEEN ? AND ?", (base, base | OFFSET_MASK)
                    ).fetchone()[0]
                    left = row & OFFSET_MASK if row is not None else end
                    db.execute("UPDATE streams SET begin = ? WHERE stream = ?", (left, stream))
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise

        await self._in_reader(drop)

    # -- followers ----------------------------------------------------------------------------------------------------------------------

    def _signal(self, key: Key) -> asyncio.Future[None]:
        signal = self._signals.get(key)
        if signal is None or signal.done():
            signal = self._signals[key] = self._loop.create_future()
        return signal

    def _wake(self, key: Key) -> None:
        if (signal := self._signals.pop(key, None)) is not None and not signal.done():
            signal.set_result(None)

    async def _wait(self, signal: asyncio.Future[None]) -> None:
        if self._poller is None or self._poller.done():
            self._poller = self._loop.create_task(self._poll())
        await asyncio.shield(signal)

    async def _poll(self) -> None:
        """Other processes commit without telling: wake every follower when the file's version has changed."""
        version, pause = None, self._poll_s
        while self._open and self._signals:
            try:
                found = self._watch_db.execute("PRAGMA data_version").fetchone()[0]
            except sqlite3.Error:
                found = None
            if found != version or found is None:
                version, pause = found, self._poll_s
                for key in list(self._signals):
                    self._wake(key)
            else:
                pause = min(pause * 1.5, max(POLL_IDLE_S, self._poll_s))
            self._rests_long = pause > self._poll_s
            self._rested = asyncio.Event()
            timer = self._loop.call_later(pause, self._rested.set)
            try:
                await self._rested.wait()
            finally:
                timer.cancel()

    def nudge(self) -> None:
        """While others write all the time the next look is near, and takes all that they wrote."""
        if self._rests_long:
            self._rested.set()

    def ownership(self, member: str = "") -> SqliteOwnership:
        return SqliteOwnership(self.path, member, self.partitions, self._lease_s)


def _only_ours(path: Path) -> None:
    """The file holds variables of all tenants: mode 0600; what SQLite makes beside it gets the same."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as e:
        raise LogError(f"{path}: {e.strerror}") from None


def _are_bytes(offset: int, *found: object) -> None:
    """SQLite keeps the type of a value beside it. Raises: Damaged."""
    if any(type(value) is not bytes for value in found):
        raise Damaged(f"a record{f' at {offset}' if offset >= 0 else ''} has a value of another type than was written")


def _records(data: bytes, first: int, stamp_us: int, start: int, stop: int, count: int) -> list[LogRecord]:
    """Raises: LogError (not what was written)."""
    try:
        chunk = _unpack(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise Damaged(f"the group at {first} can't be read: {e}") from None
    keys, values, headers = chunk.keys, chunk.values, chunk.headers
    if not len(keys) == len(values) == count or (chunk.each is not None and len(chunk.each) != count):
        raise Damaged(f"the group at {first} is said to have {count} records, but holds {len(values)}")
    if chunk.each is None:
        records = [LogRecord(first + i, keys[i], values[i], headers, stamp_us) for i in range(start, stop)]
    else:
        records = [LogRecord(first + i, keys[i], values[i], headers + chunk.each[i], stamp_us) for i in range(start, stop)]
    if chunk.last_headers and stop == len(values) and records:
        last = records[-1]
        records[-1] = LogRecord(last.offset, last.key, last.value, last.headers + chunk.last_headers, stamp_us)
    return records


def cut_file(path: Path, ends: Mapping[int, tuple[int, int]], stays: Callable[[str, int, LogRecord], bool]) -> None:
    """Takes the end of its streams off: of `events` and `commands` of each partition from the position in `ends` on, of all others what does not stay.

    For a copy that nobody has open. Raises: LogError, sqlite3.Error.
    """
    with contextlib.closing(connect(path)) as db:
        db.execute("BEGIN IMMEDIATE")
        for stream, topic, partition, begin, end in db.execute("SELECT stream, topic, partition, begin, end FROM streams").fetchall():
            base = stream << OFFSET_BITS
            if TOPICS[topic].compacted:
                kept = db.execute("SELECT id, key FROM latest WHERE id BETWEEN ? AND ?", (base, base | OFFSET_MASK)).fetchall()
                gone = [(row,) for row, key in kept if not stays(topic, partition, LogRecord(row & OFFSET_MASK, key, b"", (), 0))]
                db.executemany("DELETE FROM latest WHERE id = ?", gone)
                continue
            place = {"events": 0, "commands": 1}.get(topic)
            if place is not None:
                cut = ends[partition][place]
            else:  # nothing of what the log says names a position there
                rows = db.execute("SELECT id, stamp_ms FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id", (base, base | OFFSET_MASK))
                late = (row for row, ms in rows if not stays(topic, partition, LogRecord(row & OFFSET_MASK, None, b"", (), ms * 1000)))
                cut = next(late, base | end) & OFFSET_MASK
            _cut_chunks(db, base, cut)
            db.execute("UPDATE streams SET begin = ?, end = ? WHERE stream = ?", (min(begin, cut), cut, stream))
        db.execute("COMMIT")
        db.execute("VACUUM")  # what is gone is not in the file either
        db.execute("PRAGMA journal_mode=DELETE")


def _cut_chunks(db: sqlite3.Connection, base: int, cut: int) -> None:
    """One that holds the cut is written again with what stands before it."""
    row = db.execute(
        "SELECT id, count, stamp_ms, data FROM chunks WHERE id >= ? AND id < ? ORDER BY id DESC", (base, base | cut)
    ).fetchone()
    db.execute("DELETE FROM chunks WHERE id >= ? AND id <= ?", (base | cut, base | OFFSET_MASK))
    if row is not None and (row[0] & OFFSET_MASK) + row[1] > cut:
        left = cut - (row[0] & OFFSET_MASK)
        kept = _records(row[3], row[0] & OFFSET_MASK, row[2] * 1000, 0, left, row[1])
        data = msgspec.msgpack.encode(([r.key for r in kept], [r.value for r in kept], (), (), [r.headers for r in kept]))
        db.execute("UPDATE chunks SET count = ?, data = ? WHERE id = ?", (left, data, row[0]))

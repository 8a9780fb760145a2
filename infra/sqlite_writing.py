"""The thread that writes to the log in SQLite: everything that is queued goes into one transaction, so that the fsync of `synchronous=FULL` is
shared by all that are in flight. The offset check is a real compare-and-append inside that transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from flowledger.logs import log
from flowledger.processors.log import TOPICS, Appended, Conflict, Doubt, Group, LogClosed, LogError, TopicsMissing

log_ = log("log")

#: A row's id is `stream << OFFSET_BITS | first offset`, so that a range of one stream is a range of the table.
OFFSET_BITS = 48
#: Bytes that one transaction takes at most (the last group may exceed it).
COMMIT_BYTES_MAX = 8 * 1024 * 1024
BUSY_TIMEOUT_S = 15.0

Key = tuple[str, int]
_pack = msgspec.msgpack.Encoder().encode


class Pending:
    """A group on its way."""

    __slots__ = ("expected_end", "future", "group", "key", "result")

    def __init__(self, key: Key, group: Group, expected_end: int | None, future: asyncio.Future[Appended]) -> None:
        self.key, self.group, self.expected_end, self.future = key, group, expected_end, future
        self.result: Appended | LogError | None = None


class Reopen:
    """Stream `key` may be written again, behind all that stands before this in the queue."""

    __slots__ = ("future", "key")

    def __init__(self, key: Key, future: asyncio.Future[None]) -> None:
        self.key, self.future = key, future


def connect(path: Path, synchronous: str = "FULL", *, readonly: bool = False, busy_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    # Reading a WAL needs its shared-memory file, so `mode=ro` is only for files that can't be opened for writing.
    mode = "rwc" if not readonly else "rw" if os.access(path, os.W_OK) else "ro"
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=busy_s)
    if readonly:
        db.execute("PRAGMA query_only=ON")
    else:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={synchronous}")
        db.execute("PRAGMA wal_autocheckpoint=4000")
    return db


#: (what is done, streams that were written, streams that are blocked from now on and why)
Answered = Callable[[list[Pending], Iterable[Key], dict[Key, LogError]], None]


class Writer:
    """`answered` is called in `loop`. `streams`: of the file, as whoever creates topics keeps them."""

    def __init__(self, path: Path, synchronous: str, busy_s: float, streams: Callable[[], Mapping[Key, int]], loop: asyncio.AbstractEventLoop,
                 answered: Answered) -> None:  # fmt: skip
        self._path, self._synchronous, self._busy_s, self._streams, self._loop, self._answered = (
            path,
            synchronous,
            busy_s,
            streams,
            loop,
            answered,
        )
        self.queue: queue.SimpleQueue[Pending | Reopen | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_loop, name="flowledger-log-write", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Once all that is queued is written. Blocks."""
        self.queue.put(None)
        self._thread.join(timeout_s)

    def _write_loop(self) -> None:
        """The writer thread. Should it fail in a way that nobody foresaw, it says so to everybody who still comes: nothing waits for ever."""
        try:
            self._write_all()
            return
        except Exception as e:
            doubt = Doubt(f"{self._path}: the writer has failed: {e!r}")
            log_.error("the writer of the log has failed", path=str(self._path), exc_info=e)
        while (item := self.queue.get()) is not None:
            if isinstance(item, Pending):
                item.result = doubt
                self._call(self._answered, [item], [], {item.key: doubt} if item.expected_end is not None else {})
            else:
                self._call(item.future.set_exception, doubt)

    def _write_all(self) -> None:
        """Everything queued goes into one transaction; answers go back to the loop in one call."""
        db = connect(self._path, self._synchronous, busy_s=self._busy_s)
        blocked: dict[Key, LogError] = {}
        running = True
        while running:
            item = self.queue.get()
            pending: list[Pending] = []
            size = 0
            while True:
                if item is None:
                    running = False
                elif isinstance(item, Reopen):
                    if pending:  # what stands before it in the queue is finished first
                        self._commit(db, pending, blocked)
                        pending = []
                    blocked.pop(item.key, None)
                    self._call(item.future.set_result, None)
                else:
                    pending.append(item)
                    size += sum(map(len, filter(None, item.group.values)))
                if not running or size >= COMMIT_BYTES_MAX:
                    break
                try:
                    item = self.queue.get_nowait()
                except queue.Empty:
                    break
            if pending:
                self._commit(db, pending, blocked)
        while True:  # submitted in the moment of closing
            try:
                item = self.queue.get_nowait()
            except queue.Empty:
                break
            if isinstance(item, Pending):
                self._call(item.future.set_exception, LogClosed(f"{self._path} was closed"))
        db.close()

    def _call(self, function: Callable[..., Any], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is gone: nobody is left to be told
            pass

    def _commit(self, db: sqlite3.Connection, pending: list[Pending], blocked: dict[Key, LogError]) -> None:
        ends: dict[Key, int] = {}
        found: dict[Key, LogError] = {}
        try:
            db.execute("BEGIN IMMEDIATE")
            for item in pending:
                item.result = self._write(db, item, ends, found if item.key in found else blocked)
                if isinstance(item.result, Conflict) and item.key not in blocked:
                    found.setdefault(item.key, item.result)
            for key, end in ends.items():
                db.execute("UPDATE streams SET end = ? WHERE stream = ?", (end, self._streams()[key]))
            db.execute("COMMIT")
        except Exception as error:
            if not isinstance(error, sqlite3.Error):
                log_.error("a commit has failed", path=str(self._path), exc_info=error)
            with contextlib.suppress(sqlite3.Error):
                if db.in_transaction:
                    db.execute("ROLLBACK")
            for item in pending:
                doubt = Doubt(f"{self._path}: {error if isinstance(error, sqlite3.Error) else repr(error)}")
                item.result = doubt
                if item.expected_end is not None:
                    found[item.key] = doubt
        blocked.update(found)
        self._call(self._answered, pending, list(ends), found)

    def _write(self, db: sqlite3.Connection, item: Pending, ends: dict[Key, int], blocked: dict[Key, LogError]) -> Appended | LogError:
        key, group = item.key, item.group
        stream = self._streams().get(key)
        if stream is None:
            return TopicsMissing(f"no {key[0]}[{key[1]}] in {self._path}")
        if item.expected_end is not None and key in blocked:
            return blocked[key]
        first = ends.get(key)
        if first is None:
            first = db.execute("SELECT end FROM streams WHERE stream = ?", (stream,)).fetchone()[0]
        if item.expected_end is not None and item.expected_end != first:
            return Conflict(*key, item.expected_end, first)
        stamp_ms = group.timestamp_ms or time.time_ns() // 1_000_000
        base = stream << OFFSET_BITS
        if TOPICS[key[0]].compacted:
            self._put(db, stream, base | first, group, stamp_ms)
        else:
            data = _pack((group.keys, group.values, group.headers, group.last_headers, group.each))
            db.execute("INSERT INTO chunks VALUES (?, ?, ?, ?)", (base | first, len(group), stamp_ms, data))
        ends[key] = end = first + len(group)
        return Appended(first, end, len(group))

    def _put(self, db: sqlite3.Connection, stream: int, row: int, group: Group, stamp_ms: int) -> None:
        for i, (key, value) in enumerate(zip(group.keys, group.values, strict=True)):
            if value is None:
                db.execute("DELETE FROM latest WHERE stream = ? AND key = ?", (stream, key))
            else:
                headers = _pack(group.headers_of(i))
                db.execute("INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?, ?)", (row + i, stream, key, stamp_ms, value, headers))

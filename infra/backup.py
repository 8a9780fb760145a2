"""Backup and restore of a log, beside a running server. A copy counts only when the audit has read it and found it whole.

A backup is a folder: `manifest.json`, then either `log.sqlite3` (embedded log, a consistent copy by SQLite's own backup) or `topics/` (Kafka,
one JSON line a record), `heads.jsonl`, the public half of the signing keys, and `blobs/` if there are any. Private keys and PostgreSQL are not in
it: keys stay where the operator keeps them, and rows are folded anew from the log.

Kafka's topics are read one after the other while they grow, in an order in which none speaks of what another lacks: checkpoints before the
events that they stand behind, events before the models and commands that they name.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from flowledger.infra import audit
from flowledger.infra.blobs import folder_of
from flowledger.infra.blobs.folder import Folder
from flowledger.infra.heads import heads_path, key_path
from flowledger.infra.log_sqlite import SqliteLog
from flowledger.infra.settings import Settings
from flowledger.infra.sqlite_writing import connect
from flowledger.processors.log import (
    COMMANDS,
    DEAD_LETTER,
    DEFINITIONS,
    EVENTS,
    STATE,
    TASKS,
    TOPICS,
    Group,
    Log,
    LogRecord,
    group,
    partitions_of,
)

FORMAT = "flowledger.backup.1"
#: answers to nodes that are gone are of no use: `replies` is left out
ORDER = (STATE, EVENTS, DEFINITIONS, COMMANDS, TASKS, DEAD_LETTER)
#: records that are written as one group
PART = 1_000


class BackupUnusable(Exception):
    """What is wrong with it, or with the place that it should go to."""


async def backup(log: Log, settings: Settings, folder: Path) -> dict[str, Any]:
    """Into a new or empty folder; answers the manifest. Raises: BackupUnusable, OSError, LogError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise BackupUnusable(f"{folder} is not empty")
    if isinstance(log, SqliteLog):
        _copy_file(settings.data / "log.sqlite3", folder / "log.sqlite3")
        topics = None
    else:
        topics = {f"{t}-{p}": await _export(log, t, p, folder / "topics") for t in ORDER for p in range(partitions_of(t, log.partitions))}
    for source in (heads_path(settings), _public(settings)):
        if source is not None and source.exists():
            shutil.copy2(source, folder / ("public.keys" if source.suffix == ".keys" else "heads.jsonl"))
    if (files := folder_of(settings)) is not None:  # after the log: what that names is there, or was deleted since
        files.copy_to(Folder(folder / "blobs"))
    key = key_path(settings)
    manifest: dict[str, Any] = {
        "format": FORMAT, "made_s": int(time.time()), "kind": "topics" if topics is not None else "sqlite", "partitions": log.partitions,
        "topics": topics, "key": str(key) if key is not None else "", "files": dict(_sums(folder)),
    }  # fmt: skip
    if topics is None:
        manifest["heads"] = await _heads(folder / "log.sqlite3")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


async def restore(folder: Path, settings: Settings, log: Log | None = None) -> dict[str, Any]:
    """Into a data folder without a log, or into a Kafka without these topics (`log`, open); answers the manifest.

    Raises: BackupUnusable, OSError, LogError.
    """
    manifest = checked(folder)
    if manifest["kind"] == "sqlite":
        if log is not None:
            raise BackupUnusable(f"{folder} is of an embedded log: name a folder with --data, not a Kafka")
        await _restore_file(folder, manifest, settings)
    else:
        if log is None:
            raise BackupUnusable(f"{folder} is of Kafka topics: name a Kafka with --kafka, and a --prefix that it does not have yet")
        await _restore_topics(folder, manifest, log)
    settings.data.mkdir(parents=True, exist_ok=True)
    for name, target in (("heads.jsonl", heads_path(settings)), ("public.keys", settings.data / "keys" / "restored.keys")):
        if (folder / name).exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, target)
    if (files := folder_of(settings)) is not None:
        Folder(folder / "blobs").copy_to(files)
    return manifest


def checked(folder: Path) -> dict[str, Any]:
    """The manifest, once every file is what it says. Raises: BackupUnusable."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        files = manifest["files"]
        if manifest["format"] != FORMAT:
            raise BackupUnusable(f"{folder} has format {manifest['format']}, expected {FORMAT}")
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise BackupUnusable(f"{folder} is no whole backup: its manifest can't be read ({e})") from None
    found = dict(_sums(folder))
    for name in sorted(files.keys() | found.keys()):
        if files.get(name) != found.get(name):
            what = "missing" if name not in found else "not in the manifest" if name not in files else "not what was written"
            raise BackupUnusable(f"{folder}: {name} is {what}")
    return manifest


def _sums(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / "manifest.json":
            with path.open("rb") as file:
                yield str(path.relative_to(folder)), hashlib.file_digest(file, "sha256").hexdigest()


def _public(settings: Settings) -> Path | None:
    key = key_path(settings)
    return key.with_name(key.name + ".keys") if key is not None else None


def _copy_file(source: Path, target: Path) -> None:
    """One state of the file, whatever is written meanwhile; mode 0600."""
    target.touch(mode=0o600)
    with contextlib.closing(connect(source, readonly=True)) as one, contextlib.closing(sqlite3.connect(target)) as other:
        one.backup(other, pages=-1)
        other.execute("PRAGMA journal_mode=DELETE")


async def _heads(path: Path) -> list[dict[str, Any]]:
    """Reads the copy as an auditor. Raises: BackupUnusable."""
    log = SqliteLog(path, readonly=True)
    await log.open()
    try:
        return _whole(await log.damage(), await audit.verify(log), path)
    finally:
        await log.close()


def _whole(damage: list[str], reports: list[audit.PartitionReport], where: object) -> list[dict[str, Any]]:
    wrong = damage + [f"{f.position} {f.code}: {f.text}" for r in reports for f in r.findings]
    if wrong:
        raise BackupUnusable(f"{where} is not whole: {wrong[0]}")
    return [{"partition": r.partition, "end": r.end, "number": r.number, "chain": r.chain} for r in reports]


async def _restore_file(folder: Path, manifest: dict[str, Any], settings: Settings) -> None:
    target = settings.data / "log.sqlite3"
    if target.exists():
        raise BackupUnusable(f"{target} is there already: name an empty folder with --data")
    if (settings.data / "postgres").exists():
        raise BackupUnusable(f"{settings.data} has a database of another log: name an empty folder with --data")
    settings.data.mkdir(parents=True, exist_ok=True)
    new = target.with_name(target.name + ".new")
    new.unlink(missing_ok=True)
    _copy_file(folder / "log.sqlite3", new)
    with contextlib.closing(sqlite3.connect(new)) as db:
        db.execute("DELETE FROM leases")  # of servers that are gone
        db.execute("DELETE FROM members")
        db.commit()
    try:
        if await _heads(new) != manifest["heads"]:
            raise BackupUnusable(f"{folder}: the copy does not stand where the manifest says")
    except BackupUnusable:
        new.unlink()
        raise
    new.replace(target)
    for beside in ("-wal", "-shm"):
        new.with_name(new.name + beside).unlink(missing_ok=True)


# --- Kafka -----------------------------------------------------------------------------------------------------------------


async def _export(log: Log, topic: str, partition: int, folder: Path) -> dict[str, int]:
    folder.mkdir(exist_ok=True)
    begin, end, count = await log.begin(topic, partition), await log.end(topic, partition), 0
    with (folder / f"{topic}-{partition}.jsonl").open("w") as file:
        async for batch in log.read(topic, partition, begin, end) if begin < end else _nothing():
            for r in batch:
                headers = [[name, _text(value)] for name, value in r.headers]
                file.write(
                    json.dumps([r.offset, r.timestamp_us // 1000, _text(r.key), headers, _text(r.value)], separators=(",", ":")) + "\n"
                )
                count += 1
    return {"begin": begin, "end": end, "records": count}


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


async def _nothing() -> AsyncIterator[list[LogRecord]]:
    for batch in list[list[LogRecord]]():
        yield batch


async def _restore_topics(folder: Path, manifest: dict[str, Any], log: Log) -> None:
    await log.create_topics(manifest["partitions"])
    if log.partitions != manifest["partitions"]:
        raise BackupUnusable(f"these topics have {log.partitions} partitions, the backup {manifest['partitions']}")
    for topic in ORDER:
        for partition in range(partitions_of(topic, log.partitions)):
            if await log.end(topic, partition):
                raise BackupUnusable(f"{topic}[{partition}] has records already: name a --prefix that is not there yet")
    for topic in ORDER:
        for partition in range(partitions_of(topic, log.partitions)):
            await _write(
                log, topic, partition, folder / "topics" / f"{topic}-{partition}.jsonl", manifest["topics"][f"{topic}-{partition}"]
            )
    _whole([], await audit.verify(log), "what was restored")
    for topic in (EVENTS, COMMANDS):
        for partition in range(log.partitions):
            if (end := await log.end(topic, partition)) != (due := manifest["topics"][f"{topic}-{partition}"]["end"]):
                raise BackupUnusable(f"{topic}[{partition}] ends at {end}, in the backup at {due}: did something else write to it?")


async def _write(log: Log, topic: str, partition: int, path: Path, part: dict[str, int]) -> None:
    """Offsets are what they were: what had been trimmed is filled and trimmed again."""
    compacted = TOPICS[topic].compacted
    if not compacted:
        for first in range(0, part["begin"], PART):
            count = min(PART, part["begin"] - first)
            await log.append(topic, partition, Group([b""] * count, [b""] * count))
    held: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = []
    stamp = 0
    with path.open() as file:
        for line in file:
            _, ms, key, headers, value = json.loads(line)
            if held and (ms != stamp or len(held) >= PART):
                await log.append(topic, partition, group(held, stamp))
                held = []
            raw = _bytes(value)
            held.append((_bytes(key), None if compacted and not raw else raw, [(n, _bytes(v) or b"") for n, v in headers]))
            stamp = ms
    if held:
        await log.append(topic, partition, group(held, stamp))
    if not compacted and part["begin"]:
        await log.trim(topic, partition, part["begin"])

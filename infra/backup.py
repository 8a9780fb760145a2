"""Backup and restore of a log, beside a running server. A copy counts only when the audit has read it and found it whole.

A backup is a folder: `manifest.json`, then either `log.sqlite3` (embedded log, a consistent copy by SQLite's own backup) or `topics/` (Kafka,
one JSON line a record), `heads.jsonl`, the public half of the signing keys, and `blobs/` if there are any. Private keys and PostgreSQL are not in
it: keys stay where the operator keeps them, and rows are folded anew from the log.

Of a log that was trimmed it has what is there, when a whole checkpoint of each such partition covers what is gone: the manifest says where it begins (`begins`), and
from there on it is proven.

Brought back to a moment (`until_us`) it is cut there (`point_in_time.py`), before anything of it is served.

Kafka's topics are read one after the other while they grow, in an order in which none speaks of what another lacks: checkpoints before the
events that they stand behind, events before the models and commands that they name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from flowledger.events.heads import parse_head
from flowledger.infra import audit
from flowledger.infra.backup_topics import Exported, export, write
from flowledger.infra.blobs import folder_of
from flowledger.infra.blobs.folder import Folder
from flowledger.infra.heads import heads_path, key_path
from flowledger.infra.log_sqlite import SqliteLog, cut_file
from flowledger.infra.point_in_time import NoSuchMoment, Plan, plan, told
from flowledger.infra.settings import Settings
from flowledger.infra.sqlite_writing import connect
from flowledger.processors import recovery
from flowledger.processors.log import (
    COMMANDS,
    DEAD_LETTER,
    DEFINITIONS,
    EVENTS,
    STATE,
    TASKS,
    Log,
    partitions_of,
)

FORMAT = "flowledger.backup.1"
#: answers to nodes that are gone are of no use: `replies` is left out
ORDER = (STATE, EVENTS, DEFINITIONS, COMMANDS, TASKS, DEAD_LETTER)
#: beside the log, after a restore to a moment: what was cut; and the heads that were kept of what is gone
CUT, HEADS_CUT = "cut.json", "heads.cut.jsonl"


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
        topics = {f"{t}-{p}": await export(log, t, p, folder / "topics") for t in ORDER for p in range(partitions_of(t, log.partitions))}
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
        manifest["begins"], manifest["heads"] = await _heads(folder / "log.sqlite3")
    else:
        manifest["begins"] = await _begins(Exported(folder / "topics", topics, log.partitions))
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


async def restore(folder: Path, settings: Settings, log: Log | None = None, until_us: int | None = None) -> dict[str, Any]:
    """Into a data folder without a log, or into a Kafka without these topics (`log`, open); answers the manifest, and `cuts` with `until_us`.

    `until_us`: as it was at that moment, microseconds since the epoch. Raises: BackupUnusable, OSError, LogError.
    """
    manifest = checked(folder)
    if until_us is not None and until_us // 1_000_000 > manifest["made_s"]:
        made = told(manifest["made_s"] * 1_000_000)
        raise BackupUnusable(f"{folder} was made at {made}: of {told(until_us)} it knows nothing; without a time all of it is restored")
    if manifest["kind"] == "sqlite":
        if log is not None:
            raise BackupUnusable(f"{folder} is of an embedded log: name a folder with --data, not a Kafka")
        cut = await _restore_file(folder, manifest, settings, until_us)
    else:
        if log is None:
            raise BackupUnusable(f"{folder} is of Kafka topics: name a Kafka with --kafka, and a --prefix that it does not have yet")
        cut = await _restore_topics(folder, manifest, log, until_us)
    settings.data.mkdir(parents=True, exist_ok=True)
    for name, target in (("heads.jsonl", heads_path(settings)), ("public.keys", settings.data / "keys" / "restored.keys")):
        if (folder / name).exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, target)
            if cut is not None and name == "heads.jsonl":
                _cut_heads(target, cut)
    if (files := folder_of(settings)) is not None:
        Folder(folder / "blobs").copy_to(files)
    if cut is None:
        return manifest
    (settings.data / CUT).write_text(
        json.dumps({"until": told(until_us or 0), "made_s": manifest["made_s"], "cuts": _plain(cut)}, indent=1) + "\n"
    )
    return {**manifest, "cuts": _plain(cut)}


def _plain(cut: Plan) -> list[dict[str, Any]]:
    return [{**msgspec.structs.asdict(c), "time": told(c.time_us)} for c in cut.cuts]


def _cut_heads(path: Path, cut: Plan) -> None:
    """Heads of what is gone are kept apart: they don't hold this log, and still say that there was more."""
    stay: list[str] = []
    gone: list[str] = []
    for line in path.read_text().splitlines():
        if line.strip():
            head = parse_head(line)
            ends = [c.end for c in cut.cuts if c.partition == head.partition]
            (stay if not ends or head.end <= ends[0] else gone).append(line)
    path.write_text("".join(f"{line}\n" for line in stay))
    path.with_name(HEADS_CUT).write_text("".join(f"{line}\n" for line in gone))


async def _planned(log: Any, until_us: int) -> Plan:
    try:
        return await plan(log, until_us)
    except (NoSuchMoment, ValueError) as e:
        raise BackupUnusable(str(e)) from None


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


Begins = list[dict[str, int]]


async def _heads(path: Path) -> tuple[Begins, list[dict[str, Any]]]:
    """Reads the copy as an auditor: where its trimmed partitions begin, and where all stand. Raises: BackupUnusable."""
    log = SqliteLog(path, readonly=True)
    await log.open()
    try:
        begins = await _begins(log)
        return begins, _whole(await log.damage(), await audit.verify(log, known=_known(begins)), path)
    finally:
        await log.close()


async def _begins(log: Any) -> Begins:
    """Of each partition whose oldest events are gone, where it begins, and where the checkpoint stands that has what they did. Raises: BackupUnusable."""
    found: Begins = []
    for p in range(log.partitions):
        if begin := await log.begin(EVENTS, p):
            try:
                _, reader, position = await recovery.load(log, p)
            except recovery.Unservable as e:
                raise BackupUnusable(f"nothing could be served from a copy of it: {e}") from None
            found.append({"partition": p, "begin": begin, "checkpoint": position, "number": reader.number})
    return found


def _known(begins: Begins) -> dict[int, int]:
    return {each["partition"]: each["begin"] for each in begins}


def _whole(damage: list[str], reports: list[audit.PartitionReport], where: object) -> list[dict[str, Any]]:
    wrong = damage + [f"{f.position} {f.code}: {f.text}" for r in reports for f in r.findings]
    if wrong:
        raise BackupUnusable(f"{where} is not whole: {wrong[0]}")
    return [{"partition": r.partition, "end": r.end, "number": r.number, "chain": r.chain} for r in reports]


async def _restore_file(folder: Path, manifest: dict[str, Any], settings: Settings, until_us: int | None) -> Plan | None:
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
    cut = None
    try:
        if await _heads(new) != (manifest.get("begins", []), manifest["heads"]):
            raise BackupUnusable(f"{folder}: the copy does not stand where the manifest says")
        if until_us is not None:
            cut = await _cut_copy(new, until_us)
    except BackupUnusable:
        new.unlink()
        raise
    new.replace(target)
    for beside in ("-wal", "-shm"):
        new.with_name(new.name + beside).unlink(missing_ok=True)
    return cut


async def _cut_copy(path: Path, until_us: int) -> Plan:
    log = SqliteLog(path, readonly=True)
    await log.open()
    try:
        cut = await _planned(log, until_us)
    finally:
        await log.close()
    cut_file(path, {c.partition: (c.end, c.source + 1) for c in cut.cuts}, cut.stays)
    if [(h["end"], h["chain"]) for h in (await _heads(path))[1]] != [(c.end, c.chain) for c in cut.cuts]:
        raise BackupUnusable(f"{path} was not cut where it should be")
    return cut


async def _restore_topics(folder: Path, manifest: dict[str, Any], log: Log, until_us: int | None) -> Plan | None:
    parts: dict[str, dict[str, int]] = manifest["topics"]
    source = Exported(folder / "topics", parts, manifest["partitions"])
    cut = None if until_us is None else await _planned(source, until_us)
    await log.create_topics(manifest["partitions"])
    if log.partitions != manifest["partitions"]:
        raise BackupUnusable(f"these topics have {log.partitions} partitions, the backup {manifest['partitions']}")
    for topic in ORDER:
        for partition in range(partitions_of(topic, log.partitions)):
            if await log.end(topic, partition):
                raise BackupUnusable(f"{topic}[{partition}] has records already: name a --prefix that is not there yet")
    due = {(t, p): parts[f"{t}-{p}"]["end"] for t in (EVENTS, COMMANDS) for p in range(log.partitions)}
    if cut is not None:
        due = {(t, c.partition): end for c in cut.cuts for t, end in ((EVENTS, c.end), (COMMANDS, c.source + 1))}
    for topic in ORDER:
        for partition in range(partitions_of(topic, log.partitions)):
            begin = parts[f"{topic}-{partition}"]["begin"]
            if cut is None:
                await write(log, topic, partition, source, begin)
            else:
                await write(log, topic, partition, source, min(begin, due.get((topic, partition), begin)), cut.stays)
    _whole([], await audit.verify(log, known=_known(manifest.get("begins", []))), "what was restored")
    for (topic, partition), expected in due.items():
        if (end := await log.end(topic, partition)) != expected:
            raise BackupUnusable(f"{topic}[{partition}] ends at {end}, in the backup at {expected}: did something else write to it?")
    return cut

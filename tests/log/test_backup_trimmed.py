"""A log whose oldest events are gone is backed up from where it begins, when a whole checkpoint has what they did; and it is said from where it is proven."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra import audit
from flowledger.infra.backup import BackupUnusable, backup, checked, restore
from flowledger.infra.settings import Settings
from flowledger.infra.settings import load as settings_of
from flowledger.processors.engine import Engine
from flowledger.processors.log import EVENTS, STATE
from flowledger.processors.recovery import checkpoint_of
from flowledger.stores import make_log


async def _worked(settings: Settings, name: str, count: int = 12) -> tuple[int, int]:
    """Tasks that stand after some more work, and how many there were before. Each stop leaves a checkpoint."""
    engine = Engine(make_log(settings), partitions=2)
    await engine.start()
    before = sum(len(o.state.tasks) for o in engine.owners.values())
    for i in range(count):
        answer = await engine.call(c.CreateTask(job_type="w"), id=f"{name}-{i}", partition=i % 2)
        assert not isinstance(answer, Rejected), answer
    after = sum(len(o.state.tasks) for o in engine.owners.values())
    assert engine.health()["ready"]
    await engine.stop()
    return after, before


async def _opened(settings: Settings) -> Any:
    log = make_log(settings)
    await log.open()
    return log


async def _trimmed(settings: Settings, back: int) -> dict[int, int]:
    """Partition 1 begins so many records before its checkpoint, or a few more (a file is trimmed by whole parts); partition 0 is whole."""
    log = await _opened(settings)
    found = await checkpoint_of(log, 1)
    assert found.mark is not None and not found.unfit
    await log.trim(EVENTS, 1, found.mark.end - back)
    begin = await log.begin(EVENTS, 1)
    await log.close()
    assert 0 < begin <= found.mark.end - back
    return {0: 0, 1: begin}


async def _same_again(settings: Settings, again: Settings, begins: dict[int, int], folder: Path, log: Any = None) -> None:
    """The copy says where it begins, is served with all that stood, goes on, and is proven from there."""
    made = checked(folder)
    assert [(b["partition"], b["begin"]) for b in made["begins"]] == [(1, begins[1])]
    assert made["begins"][0]["checkpoint"] >= begins[1] and made["begins"][0]["number"] > 0
    assert (await restore(folder, again, log))["begins"] == made["begins"]
    stood, _ = await _worked(settings, "none", 0)
    after, before = await _worked(again, "more")
    assert (before, after) == (stood, stood + 12)
    after, before = await _worked(again, "more")
    assert before == after == stood + 12, "ids are known"
    log = await _opened(again)
    plainly, knowing = await audit.verify(log), await audit.verify(log, known=begins)
    await log.close()
    assert [(f.code, f.position) for r in plainly for f in r.findings] == [("BEGINNING_MISSING", f"1-{begins[1]}")]
    assert [f for r in knowing for f in r.findings] == []
    assert [(r.anchored, r.first) for r in knowing] == [(True, 0), (False, begins[1])]


@pytest.mark.req("D-HA-001", "APG-HA-005")
@pytest.mark.parametrize("back", [0, 5], ids=["up to the checkpoint", "before the checkpoint"])
async def test_a_trimmed_log_is_backed_up_from_where_it_begins(tmp_path: Path, back: int) -> None:
    settings, again = (settings_of(environment={}, data=str(tmp_path / name), partitions=2) for name in ("data", "again"))
    await _worked(settings, "some")
    begins = await _trimmed(settings, back)
    log = await _opened(settings)
    await backup(log, settings, tmp_path / "copy")
    await log.close()
    await _same_again(settings, again, begins, tmp_path / "copy")


@pytest.mark.kafka
@pytest.mark.req("D-HA-001")
async def test_trimmed_topics_are_backed_up_from_where_they_begin(tmp_path: Path, kafka_bootstrap: str) -> None:
    prefix = f"trim-{uuid.uuid4().hex[:8]}"
    settings, again = (
        settings_of(environment={}, data=str(tmp_path / name), kafka=kafka_bootstrap, prefix=prefix + name, partitions=2)
        for name in ("data", "again")
    )
    await _worked(settings, "some")
    begins = await _trimmed(settings, 5)
    log = await _opened(settings)
    await backup(log, settings, tmp_path / "copy")
    await log.close()
    log = await _opened(again)
    try:
        await _same_again(settings, again, begins, tmp_path / "copy", log)
    finally:
        await log.close()


#: of the records of partition 1's checkpoint
HARMS = {
    "none": "DELETE FROM latest WHERE stream = ?",
    "one record of it is gone": "DELETE FROM latest WHERE id = (SELECT min(id) FROM latest WHERE stream = ?)",
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
async def test_without_a_whole_checkpoint_there_is_no_backup(tmp_path: Path, harm: str) -> None:
    """What could not be served is refused at once, and not on the worst day."""
    settings = settings_of(environment={}, data=str(tmp_path / "data"), partitions=2)
    await _worked(settings, "some")
    begins = await _trimmed(settings, 2)
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "log.sqlite3")) as db:
        (stream,) = db.execute("SELECT stream FROM streams WHERE topic = ? AND partition = 1", (STATE,)).fetchone()
        assert db.execute(harm, (stream,)).rowcount > 0
        db.commit()
    log = await _opened(settings)
    with pytest.raises(BackupUnusable, match=rf"nothing could be served from a copy of it: events 1-0 to 1-{begins[1] - 1} are gone"):
        await backup(log, settings, tmp_path / "copy")
    await log.close()


async def test_a_manifest_that_says_another_beginning_is_refused(tmp_path: Path) -> None:
    settings, again = (settings_of(environment={}, data=str(tmp_path / name), partitions=2) for name in ("data", "again"))
    await _worked(settings, "some")
    await _trimmed(settings, 5)
    log = await _opened(settings)
    await backup(log, settings, tmp_path / "copy")
    await log.close()
    manifest = tmp_path / "copy" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"begin": ', '"begin": 1'))
    with pytest.raises(BackupUnusable, match="does not stand where the manifest says"):
        await restore(tmp_path / "copy", again)

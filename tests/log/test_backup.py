"""`flowledger backup` and `restore`: beside a running server, verified, and served again. The steps are those of docs/operations.md."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.infra import audit
from flowledger.infra.backup import BackupUnusable, backup, checked, restore
from flowledger.infra.heads import signing_of
from flowledger.infra.settings import Settings
from flowledger.infra.settings import load as settings_of
from flowledger.processors.engine import Engine
from flowledger.processors.log import COMMANDS, EVENTS, Group
from flowledger.processors.owner import Settings as OwnerSettings
from flowledger.stores import make_log

BLOB = hashlib.sha256(b"blob").hexdigest()


async def served(settings: Settings) -> Engine:
    signing = signing_of(settings)
    engine = Engine(make_log(settings), partitions=2, settings=OwnerSettings(signing=signing))
    await engine.start()
    return engine


async def work(engine: Engine, name: str, count: int = 10) -> None:
    for i in range(count):
        answer = await engine.call(c.CreateTask(job_type="w", variables={"n": i}), id=f"{name}-{i}", partition=i % 2)
        assert isinstance(answer, dict), answer


async def tasks(engine: Engine) -> int:
    return sum(len(o.state.tasks) for o in engine.owners.values())


async def test_a_copy_beside_the_running_server_is_whole_and_served_again(tmp_path):
    settings = settings_of(environment={}, data=str(tmp_path / "data"), partitions=2, head_groups=3)
    blob = Path("none") / BLOB[:2] / BLOB
    (tmp_path / "data" / "blobs" / blob).parent.mkdir(parents=True)
    (tmp_path / "data" / "blobs" / blob).write_bytes(b"blob")
    (tmp_path / "data" / "blobs" / "coming").mkdir()
    (tmp_path / "data" / "blobs" / "coming" / "in-x").write_bytes(b"half")
    engine = await served(settings)
    await work(engine, "before")
    writing = asyncio.ensure_future(work(engine, "meanwhile", 200))
    log = make_log(settings, readonly=True)
    await log.open()
    manifest = await backup(log, settings, tmp_path / "backup")
    await log.close()
    await writing
    ends = {h["partition"]: h["end"] for h in manifest["heads"]}
    await engine.stop()
    assert not list((tmp_path / "backup").rglob("*.pem")), "private keys stay where they are"
    again = settings_of(
        environment={}, data=str(tmp_path / "again"), partitions=2, signing_key=str(tmp_path / "data" / "keys" / "ledger.pem")
    )
    await restore(tmp_path / "backup", again)
    assert (tmp_path / "again" / "blobs" / blob).read_bytes() == b"blob"
    assert not (tmp_path / "again" / "blobs" / "coming").exists(), "what is on its way in is no file yet"
    engine = await served(again)
    assert await tasks(engine) >= 10 and all(engine.log and o.acked > ends[p] for p, o in engine.owners.items())
    await work(engine, "before")  # their ids are known: nothing is made twice
    count = await tasks(engine)
    await work(engine, "after")
    assert await tasks(engine) == count + 10
    reports = await audit.verify(engine.log)
    assert [f for r in reports for f in r.findings] == [], "the chain goes on, signed by the same key"
    await engine.stop()


async def test_what_is_no_whole_backup_is_refused(tmp_path):
    settings = settings_of(environment={}, data=str(tmp_path / "data"), partitions=2)
    engine = await served(settings)
    await work(engine, "a")
    made = tmp_path / "backup"
    await backup(engine.log, settings, made)
    with pytest.raises(BackupUnusable, match="not empty"):
        await backup(engine.log, settings, made)
    with pytest.raises(BackupUnusable, match="is there already"):
        await restore(made, settings)
    await engine.stop()
    target = settings_of(environment={}, data=str(tmp_path / "target"))
    data = (made / "log.sqlite3").read_bytes()
    for harm, why in (
        (lambda: (made / "log.sqlite3").write_bytes(data[:-4096]), "log.sqlite3 is not what was written"),
        (lambda: (made / "log.sqlite3").unlink(), "log.sqlite3 is missing"),
        (lambda: (made / "log.sqlite3").write_bytes(data) and (made / "more").write_text("x"), "more is not in the manifest"),
        (lambda: (made / "manifest.json").write_text("{"), "manifest can't be read"),
    ):
        harm()
        with pytest.raises(BackupUnusable, match=why):
            await restore(made, target)
    assert not (tmp_path / "target" / "log.sqlite3").exists()


@pytest.mark.kafka
async def test_topics_come_back_with_their_offsets(tmp_path, kafka_bootstrap):
    prefix = f"ledger-{uuid.uuid4().hex[:8]}"
    settings = settings_of(environment={}, data=str(tmp_path / "data"), kafka=kafka_bootstrap, prefix=prefix, partitions=2)
    engine = await served(settings)
    await work(engine, "before")
    for _ in range(3):
        await engine.log.append(COMMANDS, 0, Group([None], [b"not a command"]))
    while engine.owners[0].machine.source < 2:
        await asyncio.sleep(0.02)
    await work(engine, "x", 4)
    await engine.log.trim(COMMANDS, 0, 2)
    await backup(engine.log, settings, tmp_path / "backup")
    await engine.stop()
    assert checked(tmp_path / "backup")["topics"]["commands-0"]["begin"] == 2
    again = settings_of(environment={}, data=str(tmp_path / "again"), kafka=kafka_bootstrap, prefix=f"{prefix}b", partitions=2)
    log: Any = make_log(again)
    await log.open()
    await restore(tmp_path / "backup", again, log)
    with pytest.raises(BackupUnusable, match="has records already"):
        await restore(tmp_path / "backup", again, log)
    assert (await log.begin(COMMANDS, 0), await log.end(COMMANDS, 0)) == (2, 3)
    await log.close()
    engine = await served(again)
    assert await tasks(engine) == 14
    await work(engine, "before")
    assert await tasks(engine) == 14 and engine.health()["ready"]
    assert [f for r in await audit.verify(engine.log) for f in r.findings] == []
    assert await engine.log.end(EVENTS, 0) > json.loads((tmp_path / "backup" / "manifest.json").read_text())["topics"]["events-0"]["end"]
    await engine.stop()


async def test_by_the_command_line(tmp_path, capsys, monkeypatch):
    from flowledger.infra.cli.main import run

    def cli(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            run([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out + err

    settings = settings_of(environment={}, data=str(tmp_path / "data"), partitions=2, head_s=0.1)
    engine = await served(settings)
    await work(engine, "a")
    await asyncio.sleep(0.3)
    await work(engine, "b", 2)
    await asyncio.sleep(0.3)
    # the command line has a loop of its own
    code, out = await asyncio.to_thread(cli, "backup", tmp_path / "b", "--data", tmp_path / "data")
    assert code == 0 and "nothing missing" in out and "the signing key is not in it" in out, out
    code, out = await asyncio.to_thread(cli, "audit", "verify", "--data", tmp_path / "data")
    assert code == 0 and "signed up to 0-" in out and "a key that was given" in out, out
    code, out = await asyncio.to_thread(cli, "audit", "export", tmp_path / "bundle", "--data", tmp_path / "data")
    assert code == 0 and "verify_bundle.py" in out, out
    await engine.stop()
    code, out = await asyncio.to_thread(cli, "restore", tmp_path / "b", "--data", tmp_path / "new")
    assert code == 0 and "put the signing key back" in out, out
    code, out = await asyncio.to_thread(cli, "audit", "verify", "--data", tmp_path / "new")
    assert code == 0, out
    code, out = await asyncio.to_thread(cli, "audit", "verify", "--data", tmp_path / "new", "--expect", tmp_path / "data" / "heads.jsonl")
    assert (code == 1 and "END_MISSING" in out) or code == 0, "later heads of the origin are not in an earlier copy"
    code, out = await asyncio.to_thread(cli, "restore", tmp_path / "b", "--data", tmp_path / "new")
    assert code == 1 and "is there already" in out
    code, out = await asyncio.to_thread(cli, "audit", "rotate", "--data", tmp_path / "data")
    assert code == 0 and "named by" in out, out
    for wrong in ("0-5", "nowhere.jsonl", "0-5:zz"):
        code, out = await asyncio.to_thread(cli, "audit", "verify", "--data", tmp_path / "data", "--expect", wrong)
        assert code == 2, out

"""`flowledger backup` and `restore`: beside a running server, verified, and served again. The steps are those of docs/operations.md."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.events.heads import parse_head
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
    for wrong, says in (
        ("yesterday", "no ISO 8601 date-time"),
        ("2126-01-31", "it knows nothing"),
        ("2000-01-31T12:00:00+01:00", "the log begins at"),
    ):
        code, out = await asyncio.to_thread(cli, "restore", tmp_path / "b", "--data", tmp_path / "then", "--until", wrong)
        assert code and says in out and not (tmp_path / "then" / "log.sqlite3").exists(), out
    moment = json.loads((tmp_path / "data" / "heads.jsonl").read_text().splitlines()[0])["signed_us"]
    until = datetime.fromtimestamp(moment / 1_000_000, UTC).isoformat()
    code, out = await asyncio.to_thread(cli, "restore", tmp_path / "b", "--data", tmp_path / "then", "--until", until)
    assert code == 0 and "partition 0 ends before 0-" in out and "partition 1 ends before 1-" in out and f", at {until[:10]}T" in out, out
    code, out = await asyncio.to_thread(cli, "audit", "verify", "--data", tmp_path / "then")
    assert code == 0, out
    code, out = await asyncio.to_thread(cli, "audit", "verify", "--data", tmp_path / "then", "--expect", tmp_path / "data" / "heads.jsonl")
    assert code == 1 and "END_MISSING" in out, out
    code, out = await asyncio.to_thread(cli, "audit", "rotate", "--data", tmp_path / "data")
    assert code == 0 and "named by" in out, out
    for wrong in ("0-5", "nowhere.jsonl", "0-5:zz"):
        code, out = await asyncio.to_thread(cli, "audit", "verify", "--data", tmp_path / "data", "--expect", wrong)
        assert code == 2, out


MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t">
<message id="m" name="paid"><extensionElements><subscription xmlns="http://camunda.org/schema/zeebe/1.0" correlationKey="= order"/></extensionElements></message>
<process id="cut" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="a"/>
<receiveTask id="a" messageRef="m"/><sequenceFlow id="g" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""


async def begin(engine: Engine, name: str, count: int = 6) -> None:
    """Each waits for a message whose home is often another partition."""
    for i in range(count):
        for _ in range(100):
            answer = await engine.call(
                c.StartInstance(id="cut", variables={"order": f"{name}{i}"}), id=f"start-{name}-{i}", partition=i % 2
            )
            if isinstance(answer, dict):
                break
            await asyncio.sleep(0.02)
        assert isinstance(answer, dict), answer


async def pay(engine: Engine, name: str, count: int = 6) -> None:
    for i in range(count):
        answer = await engine.call(c.PublishMessage(name="paid", correlation_key=f"{name}{i}", ttl_ms=60_000), id=f"pay-{name}-{i}")
        assert isinstance(answer, dict), answer


def waiting(engine: Engine) -> int:
    return sum(len(o.state.instances) for o in engine.owners.values())


async def until(engine: Engine, count: int) -> None:
    for _ in range(500):
        if waiting(engine) == count and not any(o.state.outbox for o in engine.owners.values()):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(waiting(engine))


async def lived(settings: Settings) -> tuple[Engine, int]:
    """A history, and a moment of it: six instances ran then, of one deployment; two were paid since, and there is a second one."""
    engine = await served(settings)
    assert isinstance(await engine.call(c.Deploy(resources=[c.Resource("cut.bpmn", MODEL)]), id="deploy"), dict)
    await begin(engine, "a")
    await until(engine, 6)
    await asyncio.sleep(1.2)  # anchors are kept each 0.1 s, and a moment is told in whole seconds by the manifest
    moment = int(time.time() * 1_000_000)
    await asyncio.sleep(0.3)
    assert isinstance(await engine.call(c.Deploy(resources=[c.Resource("b.bpmn", MODEL.replace('"cut"', '"later"'))]), id="deploy-b"), dict)
    await pay(engine, "a", 2)
    await work(engine, "later", 4)
    for p in range(2):  # what was asked for and nobody had answered is not on the log of that moment
        await engine.log.append(COMMANDS, p, Group([None, None], [b"not a command", b"nor this"]))
    await until(engine, 4)
    await asyncio.sleep(1.2)
    return engine, moment


async def goes_on(engine: Engine, ended: int) -> None:
    """The six of that moment are there, all of them; what came later is not, and can be asked for again; new work is done."""
    await until(engine, 6)
    assert await tasks(engine) == 0 and engine.health()["ready"], "what came later is gone"
    answer = await engine.call(c.StartInstance(id="later"), id="start-later", partition=0)
    assert isinstance(answer, Rejected) and answer.code == "NOT_FOUND", answer
    await begin(engine, "a")  # their ids are known
    await until(engine, 6)
    await pay(engine, "a")
    await until(engine, 0)
    assert isinstance(await engine.call(c.Deploy(resources=[c.Resource("b.bpmn", MODEL.replace('"cut"', '"later"'))]), id="deploy-b"), dict)
    await begin(engine, "b", 2)
    await until(engine, 2)
    assert [f for r in await audit.verify(engine.log) for f in r.findings] == []
    assert await engine.log.end(EVENTS, 0) > ended


@pytest.mark.req("D-HA-001", "APG-HA-005")
async def test_an_embedded_log_is_brought_to_a_moment(tmp_path):
    settings = settings_of(environment={}, data=str(tmp_path / "data"), partitions=2, head_s=0.1)
    engine, moment = await lived(settings)
    await backup(engine.log, settings, tmp_path / "backup")
    await engine.stop()
    key = str(tmp_path / "data" / "keys" / "ledger.pem")
    again = settings_of(environment={}, data=str(tmp_path / "again"), partitions=2, signing_key=key)
    for wrong, why in ((moment + 3_600_000_000, "it knows nothing"), (moment - 3_600_000_000, "the log begins at")):
        with pytest.raises(BackupUnusable, match=why):
            await restore(tmp_path / "backup", again, until_us=wrong)
    assert not (again.data / "log.sqlite3").exists()
    cuts = (await restore(tmp_path / "backup", again, until_us=moment))["cuts"]
    was = {h["partition"]: h["end"] for h in checked(tmp_path / "backup")["heads"]}
    assert all(0 < x["end"] < was[x["partition"]] and x["time_us"] <= moment for x in cuts), cuts
    assert json.loads((again.data / "cut.json").read_text())["cuts"] == cuts
    heads = [h for h in map(parse_head, (again.data / "heads.jsonl").read_text().splitlines())]
    gone = [h for h in map(parse_head, (again.data / "heads.cut.jsonl").read_text().splitlines())]
    ends = {x["partition"]: x["end"] for x in cuts}
    assert heads and gone and all(h.end <= ends[h.partition] for h in heads) and all(h.end > ends[h.partition] for h in gone)
    log = make_log(again, readonly=True)
    await log.open()
    reports = await audit.verify(log, wanted=audit.Wanted(heads=heads))
    assert [f for r in reports for f in r.findings] == [] and all(0 < r.signed_to <= r.end for r in reports), (
        "signed up to a head that stayed"
    )
    reports = await audit.verify(log, wanted=audit.Wanted(heads=heads + gone))
    assert {f.code for r in reports for f in r.findings} == {"END_MISSING"}, "whoever kept a later head sees that the end is gone"
    await log.close()
    engine = await served(again)
    await goes_on(engine, ends[0])
    await engine.stop()


@pytest.mark.kafka
@pytest.mark.req("D-HA-001", "APG-HA-005")
async def test_topics_are_brought_to_a_moment(tmp_path, kafka_bootstrap):
    prefix = f"ledger-{uuid.uuid4().hex[:8]}"
    settings = settings_of(environment={}, data=str(tmp_path / "data"), kafka=kafka_bootstrap, prefix=prefix, partitions=2)
    engine, moment = await lived(settings)
    await engine.log.trim(COMMANDS, 0, await engine.log.end(COMMANDS, 0))  # as its retention does: also what the moment had not consumed
    await backup(engine.log, settings, tmp_path / "backup")
    await engine.stop()
    again = settings_of(environment={}, data=str(tmp_path / "again"), kafka=kafka_bootstrap, prefix=f"{prefix}b", partitions=2)
    log: Any = make_log(again)
    await log.open()
    with pytest.raises(BackupUnusable, match="the log begins at"):
        await restore(tmp_path / "backup", again, log, moment - 3_600_000_000)
    cuts = (await restore(tmp_path / "backup", again, log, moment))["cuts"]
    for x in cuts:
        assert await log.end(EVENTS, x["partition"]) == x["end"] and await log.end(COMMANDS, x["partition"]) == x["source"] + 1
    await log.close()
    engine = await served(again)
    await goes_on(engine, cuts[0]["end"])
    await engine.stop()

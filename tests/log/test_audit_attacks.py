"""What somebody may do to a log, and what the audit says of it: the same table against `flowledger audit verify`'s reader and against the
program that knows nothing of ours (`tools/verify_bundle.py`)."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events.chain import chain_v2
from flowledger.events.heads import Head, parse_head
from flowledger.events.ledger import HeadSigned
from flowledger.infra import audit, bundle, signing
from flowledger.infra.anchors import Anchors, places
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel import checkpoint as images
from flowledger.processors.engine import Engine
from flowledger.processors.heads import Signing
from flowledger.processors.log import EVENTS, STATE, LogRecord
from flowledger.processors.owner import Settings

pytestmark = pytest.mark.req("D-EVT-002", "APG-CMP-001", "D-CMP-001")
TOOL = Path(__file__).parents[2] / "tools" / "verify_bundle.py"
PARTITIONS = 2


class Case:
    """A true log of two partitions with signed heads, its key, and what its anchor kept."""

    def __init__(self, store: MemoryStore, key: signing.KeyFile, heads: list[Head]) -> None:
        self.store, self.key, self.heads = store, key, heads

    def records(self, partition: int = 0, topic: str = EVENTS) -> list[LogRecord]:
        return self.store.stream(topic, partition).records

    def groups(self, partition: int = 0) -> list[list[int]]:
        """Places of the records of each group."""
        out: list[list[int]] = [[]]
        for i, r in enumerate(self.records(partition)):
            out[-1].append(i)
            if any(name == "last" for name, _ in r.headers):
                out.append([])
        return out[:-1]

    def put(self, i: int, partition: int = 0, **new: Any) -> None:
        records = self.records(partition)
        records[i] = msgspec.structs.replace(records[i], **new)

    def cut(self, first: int, stop: int, partition: int = 0, renumber: bool = True) -> None:
        """Take records out; the rest moves up, so that no gap tells."""
        stream = self.store.stream(EVENTS, partition)
        del stream.records[first:stop]
        if renumber:
            stream.records[:] = [msgspec.structs.replace(r, offset=i) for i, r in enumerate(stream.records)]
            stream.end = len(stream.records)

    def rechain(self, partition: int = 0) -> None:
        """What twenty lines of Python do: the whole chain anew, groups numbered anew."""
        before, records = b"\x00" * 32, self.records(partition)
        for number, group in enumerate(self.groups(partition), 1):
            last = records[group[-1]].headers
            beside = tuple((name, b"%d" % number if name == "number" else value) for name, value in last[3:] if name != "chain")
            shared = records[group[0]].headers[:3]
            before = chain_v2(before, (*shared, *beside), [records[i].key for i in group], [records[i].value for i in group],
                              records[group[0]].timestamp_us // 1000)  # fmt: skip
            self.put(group[-1], partition, headers=(*shared, ("last", b"1"), ("chain", before), *beside[1:]))

    def without_heads(self, partition: int = 0) -> None:
        """Events that speak of signatures are gone, whole groups of them."""
        names = {avro.SCHEMA_IDS[HeadSigned], 14 << 8 | 1}
        for group in reversed(self.groups(partition)):
            if all(int.from_bytes(self.records(partition)[i].value[1:5], "big") in names for i in group):
                self.cut(group[0], group[-1] + 1, partition)

    def amount(self, partition: int = 0) -> int:
        return next(i for i, r in enumerate(self.records(partition)) if b'"amount":100' in r.value)


async def made(key: signing.KeyFile, anchor: Path, groups_max: int = 3) -> MemoryStore:
    store = MemoryStore(PARTITIONS)
    anchors = Anchors(places([f"file:{anchor}"]))
    for life in range(2):
        engine = Engine(MemoryLog(store), partitions=PARTITIONS, settings=Settings(signing=Signing(key, anchors, groups_max, 0.2)))
        await engine.start()
        for i in range(6):
            for p in range(PARTITIONS):
                task = c.CreateTask(job_type="pay", variables={"amount": 100 + i, "life": life})
                answer = await engine.call(task, id=f"{life}-{i}-{p}", partition=p)
                assert isinstance(answer, dict), answer
        await asyncio.sleep(0.3)  # the last groups get their head by time
        await engine.call(c.CreateTask(job_type="pay", variables={"amount": 1}), id=f"{life}-x", partition=0)
        for owner in engine.owners.values():
            await owner.checkpoint()
        await engine.stop()
    anchors.close()
    return store


@pytest.fixture(scope="module")
def true(tmp_path_factory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("true")
    key = signing.generate(folder / "ledger.pem")
    store = asyncio.run(made(key, folder / "heads.jsonl"))
    return {
        "store": store,
        "key": key,
        "heads": [parse_head(x) for x in (folder / "heads.jsonl").read_text().splitlines()],
        "other": folder,
    }


@pytest.fixture
def case(true) -> Case:
    store = MemoryStore(PARTITIONS)
    for name, stream in true["store"].streams.items():
        copy = store.streams[name]
        copy.records[:] = stream.records
        copy.latest, copy.end, copy.begin = dict(stream.latest), stream.end, stream.begin
    return Case(store, true["key"], list(true["heads"]))


def flip(data: bytes, bit: int) -> bytes:
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def header(case: Case, i: int, name: str, value: bytes) -> None:
    case.put(i, headers=tuple((n, value if n == name else v) for n, v in case.records()[i].headers))


def swap(case: Case) -> None:
    groups = [g for g in case.groups() if len(g) == 2]
    records = case.records()
    (a, b), (x, y) = groups[2], groups[3]
    for one, two in ((a, x), (b, y)):
        first, second = records[one], records[two]
        records[one] = msgspec.structs.replace(second, offset=one)
        records[two] = msgspec.structs.replace(first, offset=two)


def own_key(case: Case, folder: Path) -> None:
    """The forger signs everything anew with a key of their own."""
    forger = signing.generate(folder / "forger.pem")
    case.without_heads()
    i = case.amount()
    case.put(i, value=case.records()[i].value.replace(b'"amount":100', b'"amount":900'))
    case.rechain()
    last = case.records()[-1]
    bare = Head(0, 2, len(case.groups()), len(case.records()), dict(last.headers)["chain"].hex(), 1, forger.id)
    event = HeadSigned(number=bare.number, end=bare.end, chain=bytes.fromhex(bare.chain), epoch=2, signed_us=1, signer=forger.id,
                       signature=forger.sign(bare.message))  # fmt: skip
    stream, events = case.store.stream(EVENTS, 0), [*forger.introductions(""), event]
    for n, e in enumerate(events):
        value = avro.encode([e], avro.Envelope(1))[0]
        headers = last.headers if n == len(events) - 1 else last.headers[:3]
        stream.records.append(msgspec.structs.replace(last, offset=stream.end, value=value, headers=headers, key=b"k"))
        stream.end += 1
    case.rechain()


def recompute(case: Case) -> None:
    i = case.amount()
    case.put(i, value=case.records()[i].value.replace(b'"amount":100', b'"amount":900'))
    case.rechain()


#: name -> (what is done, what the audit says, whether the keys and heads that were kept outside are needed for it)
ATTACKS: dict[str, tuple[Callable[..., Any], str, bool]] = {
    "a bit of a value": (lambda x: x.put(x.amount(), value=flip(x.records()[x.amount()].value, 80)), "CHAIN_BROKEN", False),
    "a bit of a key": (lambda x: x.put(x.amount(), key=flip(x.records()[x.amount()].key, 3)), "CHAIN_BROKEN", False),
    "the key is gone": (lambda x: x.put(x.amount(), key=None), "CHAIN_BROKEN", False),
    "a header: source": (lambda x: header(x, x.groups()[3][-1], "source", b"77"), "CHAIN_BROKEN", False),
    "a header: number": (lambda x: header(x, x.groups()[3][-1], "number", b"77"), "CHAIN_BROKEN", False),
    "a header: owner of all": (lambda x: [header(x, i, "owner", b"me") for i in range(len(x.records()))], "CHAIN_BROKEN", False),
    "a header: owner of one": (lambda x: header(x, x.amount(), "owner", b"me"), "CHAIN_BROKEN", False),
    "a header: owner of the last group": (
        lambda x: [x.put(i, headers=tuple((n, b"me" if n == "owner" else v) for n, v in x.records()[i].headers)) for i in x.groups()[-1]],
        "VOID_RECORDS", False),
    "the last group is no longer finished": (
        lambda x: x.put(len(x.records()) - 1, headers=x.records()[-1].headers[:3]), "VOID_RECORDS", False),
    "a further header": (lambda x: x.put(x.amount(), headers=(*x.records()[x.amount()].headers, ("x", b"1"))), "CHAIN_BROKEN", False),
    "a time": (lambda x: x.put(x.amount(), timestamp_us=x.records()[x.amount()].timestamp_us + 1000), "CHAIN_BROKEN", False),
    "the times of a group": (
        lambda x: [x.put(i, timestamp_us=x.records()[i].timestamp_us + 1000) for i in x.groups()[3]], "CHAIN_BROKEN", False),
    "bytes move from a key to a value": (
        lambda x: x.put(x.amount(), key=x.records()[x.amount()].key[:-1],
                        value=x.records()[x.amount()].key[-1:] + x.records()[x.amount()].value), "CHAIN_BROKEN", False),
    "a record in the middle": (lambda x: x.cut(5, 6), "CHAIN_BROKEN", False),
    "a record in the middle, with a gap": (lambda x: x.cut(5, 6, renumber=False), "RECORDS_MISSING", False),
    "a group in the middle": (lambda x: x.cut(x.groups()[4][0], x.groups()[4][-1] + 1), "CHAIN_BROKEN", False),
    "a group in the middle, chained anew": (
        lambda x: [x.cut(x.groups()[4][0], x.groups()[4][-1] + 1), x.rechain()], "HEAD_DIFFERS", False),
    "the first group": (lambda x: x.cut(x.groups()[0][0], x.groups()[0][-1] + 1), "BEGINNING_MISSING", False),
    "the first groups are trimmed": (
        lambda x: [x.cut(0, x.groups()[3][0], renumber=False), setattr(x.store.stream(EVENTS, 0), "begin", x.records()[0].offset)],
        "BEGINNING_MISSING", False),
    "the last group": (lambda x: x.cut(x.groups()[-1][0], x.groups()[-1][-1] + 1), "END_MISSING", False),
    "the last ten groups, and the checkpoint": (
        lambda x: [x.cut(x.groups()[-10][0], len(x.records())), x.store.stream(STATE, 0).latest.clear()], "END_MISSING", True),
    "all of a partition": (
        lambda x: [x.cut(0, len(x.records())), x.store.stream(STATE, 0).latest.clear()], "PARTITION_MISSING", False),
    "a partition from the table of partitions": (
        lambda x: [x.store.streams.pop((EVENTS, 1)), x.store.streams.pop((STATE, 1)), setattr(x.store, "partitions", 1)], "PARTITION_MISSING", False),
    "two groups change places": (swap, "CHAIN_BROKEN", False),
    "two partitions change places": (
        lambda x: x.store.streams.update({(EVENTS, 0): x.store.streams[EVENTS, 1], (EVENTS, 1): x.store.streams[EVENTS, 0]}), "WRONG_PARTITION", False),
    "an amount, and the whole chain anew": (recompute, "HEAD_DIFFERS", False),
    "an amount, the chain anew, and no heads": (lambda x: [x.without_heads(), recompute(x)], "HEAD_DIFFERS", True),
    "an amount, the chain anew, heads by another key": (own_key, "KEY_UNTRUSTED", True),
    "an old head again, under a later number": (
        lambda x: setattr(x, "heads", [msgspec.structs.replace(x.heads[-1], number=x.heads[0].number, end=x.heads[0].end)]), "HEAD_DIFFERS", True),
    "the signature of a head that was kept": (
        lambda x: setattr(x, "heads", [msgspec.structs.replace(x.heads[0], signature="00" * 64)]), "SIGNATURE_INVALID", True),
}  # fmt: skip


async def findings(case: Case, keys: bool) -> list[str]:
    wanted = audit.Wanted(case.key.known if keys else (), case.heads if keys else ())
    return [f.code for r in await audit.verify(MemoryLog(case.store), wanted=wanted) for f in r.findings]


async def verdict(case: Case, folder: Path, keys: bool) -> tuple[int, str]:
    """Of the other program."""
    spec = importlib.util.spec_from_file_location("verify_bundle", TOOL)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    heads = b"".join(msgspec.json.encode(h) + b"\n" for h in case.heads) if keys else b""
    await bundle.export(MemoryLog(case.store), folder, case.key.known if keys else (), heads)
    said: list[str] = []
    tool.print = lambda *lines, **more: said.extend(lines)
    try:
        tool.main([str(folder)])
    except Exception as error:
        return 1, repr(error)
    return 0, "\n".join(said)


def test_it_can_be_read_at_one_go():
    """It has to be short enough that whoever checks the ledger reads it first, and knows nothing of ours."""
    text = TOOL.read_text()
    assert len(text.splitlines()) <= 100
    assert "flowledger" not in {name.partition(".")[0] for name in re.findall(r"^ *(?:import|from) (\S+)", text, re.M)}


async def test_the_true_log_is_consistent_complete_and_signed(case, tmp_path):
    reports = await audit.verify(MemoryLog(case.store), wanted=audit.Wanted(case.key.known, case.heads, signed=True))
    assert [r.findings for r in reports] == [[], []]
    for r in reports:
        assert r.trusted and r.signer == case.key.id and r.heads >= 2 and 0 < r.signed_to <= r.end and r.anchored, r
        assert r.claims == 2 and r.number == r.groups and r.older == 0
    code, said = await verdict(case, tmp_path / "bundle", keys=True)
    assert code == 0 and f"signed up to 0-{reports[0].signed_to} by {case.key.id}" in said, said


async def test_it_may_be_read_from_any_place_on(case):
    """Also from inside of a group at whose end a head was kept."""
    wanted = audit.Wanted(case.key.known, case.heads)
    inside = 0
    for p in range(PARTITIONS):
        ends = {h.end for h in case.heads if h.partition == p}
        for begin in range(1, await MemoryLog(case.store).end(EVENTS, p) + 1):
            (r,) = await audit.verify(MemoryLog(case.store), {p: begin}, wanted=wanted)
            assert not r.findings and not r.anchored, (p, begin, r.findings)
            inside += r.unfinished == 0 and begin + 1 in ends
    assert inside > 2


async def test_a_kept_head_is_held_against_the_group_that_is_begun_with(case):
    head = next(h for h in case.heads if h.partition == 0)
    other = msgspec.structs.replace(head, chain="00" * 32, signature="")
    (r,) = await audit.verify(MemoryLog(case.store), {0: head.end - 1}, wanted=audit.Wanted(case.key.known, [other]))
    assert [f.code for f in r.findings] == ["HEAD_DIFFERS"]


@pytest.mark.req("APG-CMP-001")
@pytest.mark.parametrize("name", ATTACKS)
async def test_it_is_found(case, tmp_path, name):
    attack, code, outside = ATTACKS[name]
    attack(*((case, tmp_path) if attack is own_key else (case,)))
    found = await findings(case, keys=True)
    assert code in found, found
    if not outside:
        assert code in await findings(case, keys=False), "the log alone shows it"
    if "trimmed" in name or "gap" in name or (code == "END_MISSING" and not outside):
        return  # it can't be exported whole, or only the checkpoint, which is not in a bundle, shows it
    status, said = await verdict(case, tmp_path / "bundle", keys=True)
    assert status == 1, said


@pytest.mark.parametrize(
    ("name", "harm"),
    {
        "the last line of a partition": lambda d: (d / "partition-0.jsonl").write_text(
            "".join((d / "partition-0.jsonl").read_text().splitlines(True)[:-1])),
        "the file of a partition": lambda d: (d / "partition-1.jsonl").unlink(),
        "half a line": lambda d: (d / "partition-1.jsonl").write_text((d / "partition-1.jsonl").read_text()[:-40]),
        "the manifest": lambda d: (d / "manifest.json").unlink(),
        "fewer partitions in the manifest": lambda d: (d / "manifest.json").write_text(
            json.dumps({**json.loads((d / "manifest.json").read_text()), "partitions": 1})),
        "the end, with the manifest": lambda d: [
            (d / "partition-0.jsonl").write_text("".join((d / "partition-0.jsonl").read_text().splitlines(True)[:9])),
            (d / "manifest.json").write_text(json.dumps({"partitions": 2, "parts": [
                {"partition": 0, "first": 0, "end": 9, "records": 9}, json.loads((d / "manifest.json").read_text())["parts"][1]]}))],
    }.items(),
)  # fmt: skip
async def test_a_bundle_that_is_cut_is_found(case, tmp_path, name, harm):
    await verdict(case, tmp_path / "bundle", keys=True)
    harm(tmp_path / "bundle")
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "bundle", copy)
    process = await asyncio.create_subprocess_exec(sys.executable, str(TOOL), str(copy), stdout=PIPE, stderr=PIPE)
    out, why = await process.communicate()
    assert process.returncode == 1, out.decode()
    assert len(why.splitlines()) == 1 and b"Error" in why, why.decode()


async def test_a_head_that_one_kept_is_enough_and_words_say_how_far_it_goes(case):
    kept = case.heads[-1]
    short = parse_head(f"{kept.partition}-{kept.end}:{kept.chain}")
    assert await findings_of(case, [short]) == []
    assert await findings_of(case, [msgspec.structs.replace(short, chain="ab" * 32)]) == ["HEAD_DIFFERS"]
    assert await findings_of(case, [msgspec.structs.replace(short, end=short.end + 500)]) == ["END_MISSING"]
    assert await findings_of(case, [msgspec.structs.replace(short, partition=9)]) == ["PARTITION_MISSING"]


async def findings_of(case: Case, heads: list[Head]) -> list[str]:
    return [f.code for r in await audit.verify(MemoryLog(case.store), wanted=audit.Wanted((), heads)) for f in r.findings]


async def test_a_record_of_the_checkpoint_with_a_flipped_byte_is_found(case):
    stream = case.store.stream(STATE, 0)
    key = next(k for k in stream.latest if k != images.MARK)
    stream.latest[key] = msgspec.structs.replace(stream.latest[key], value=flip(stream.latest[key].value, 40))
    assert await findings(case, keys=False) == ["STATE_ALTERED"]


async def test_an_orderly_end_leaves_nothing_unsigned(tmp_path):
    key = signing.generate(tmp_path / "k.pem")
    store = MemoryStore(1)
    engine = Engine(MemoryLog(store), partitions=1, settings=Settings(signing=Signing(key)))
    await engine.start()
    for i in range(3):
        await engine.call(c.CreateTask(job_type="pay"), id=f"e{i}", partition=0)
    await engine.stop()
    (report,) = await audit.verify(MemoryLog(store), wanted=audit.Wanted(key.known, signed=True))
    assert report.findings == [] and report.heads == 1 and report.end - report.signed_to <= 3, report


async def test_keys_follow_one_another_and_a_key_from_nowhere_does_not_count(tmp_path):
    path = tmp_path / "ledger.pem"
    first = signing.generate(path)
    store = await made(first, tmp_path / "h1")
    second = signing.rotate(path)
    assert second.known[-1].by == first.id and signing.KeyFile(path).id == second.id
    engine = Engine(MemoryLog(store), partitions=PARTITIONS, settings=Settings(signing=Signing(second, None, 1, 0.2)))
    await engine.start()
    for i in range(4):
        await engine.call(c.CreateTask(job_type="pay"), id=f"after-{i}", partition=0)
    await engine.stop()
    for keys in ([first.known[0]], second.known, ()):  # who trusts the first one trusts what it named
        reports = await audit.verify(MemoryLog(store), wanted=audit.Wanted(keys))
        assert [f.code for r in reports for f in r.findings] == [] and reports[0].signer == second.id, keys
    stranger = signing.generate(tmp_path / "stranger.pem")
    engine = Engine(MemoryLog(store), partitions=PARTITIONS, settings=Settings(signing=Signing(stranger, None, 1, 0.2)))
    await engine.start()
    await engine.call(c.CreateTask(job_type="pay"), id="s", partition=0)
    await engine.stop()
    assert "KEY_UNTRUSTED" in [f.code for r in await audit.verify(MemoryLog(store)) for f in r.findings]
    reports = await audit.verify(MemoryLog(store), wanted=audit.Wanted(stranger.known[:0], signed=True))
    assert not any(f.code == "NOT_SIGNED" for r in reports for f in r.findings)


async def test_nests_of_any_depth_are_audited_and_what_cant_be_read_is_named(case):
    deep = b"[" * 100_000 + b"]" * 100_000
    records = case.records()
    i = case.amount()
    event, envelope = avro.Decoder().decode(records[i].value)
    value = (
        avro.encode([msgspec.structs.replace(event, **{"headers": None})], envelope)[0] if hasattr(event, "headers") else records[i].value
    )
    assert avro.skim(value)
    where = value.index(b'{"amount":100')
    old = value[where : value.index(b"}", where) + 1]
    value = value.replace(avro.long(len(old)) + old, avro.long(len(deep)) + deep)
    assert avro.skim(value) and deep in value
    case.put(i, value=value)
    case.rechain()
    assert "UNREADABLE" not in await findings(case, keys=False)
    case.put(i, value=value[:-3])
    case.rechain()
    (report, _) = await audit.verify(MemoryLog(case.store))
    assert [(f.code, f.position) for f in report.findings][-1] == ("UNREADABLE", f"0-{i}"), report.findings

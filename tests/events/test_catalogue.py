"""The catalogue is complete, its wire form is Avro, and what was written once is read for ever."""

import io
import json
import sys
from pathlib import Path

import fastavro
import msgspec
import pytest

from flowledger.events import avro, wire
from flowledger.events.base import Envelope, Event
from flowledger.kernel.fold import TRANSITIONS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from schemas import ENVELOPE, sample  # noqa: E402

EVENTS = list(wire.WIRE)
IDS = [f"{name}.v{version}" for _, name, version in wire.WIRE.values()]


def leaves(cls: type) -> set[type]:
    subs = cls.__subclasses__()
    return {cls} if not subs else set().union(*(leaves(s) for s in subs))


def test_every_event_has_a_transition_and_a_wire_name():
    assert leaves(Event) == set(TRANSITIONS) == set(wire.WIRE)


def test_numbers_and_names_are_unique():
    assert len({n for n, _, _ in wire.WIRE.values()}) == len({name for _, name, _ in wire.WIRE.values()}) == len(wire.WIRE)


@pytest.mark.req("D-EVT-006")
@pytest.mark.parametrize("cls", EVENTS, ids=IDS)
def test_the_encoding_is_avro_as_others_read_and_write_it(cls):
    event = sample(cls)
    value = avro.encode([event], ENVELOPE)[0]
    schema = fastavro.parse_schema(avro.schema_of(cls))
    read = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema)
    assert read["time_us"] == ENVELOPE.time_us and read["tenant"] == ENVELOPE.tenant and read["traceparent"] == ENVELOPE.trace
    for name, kind in avro.fields_of(cls):
        expected = getattr(event, name)
        assert (json.loads(read[name]) if kind == "json" else read[name]) == expected
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, read)
    decoded, envelope = avro.Decoder().decode(value[:5] + out.getvalue())
    assert decoded == event and envelope == ENVELOPE


@pytest.mark.parametrize("cls", EVENTS, ids=IDS)
def test_golden_samples_are_read_as_ever(cls):
    _, name, version = wire.WIRE[cls]
    golden = bytes.fromhex((ROOT / "schemas" / "golden" / f"{name}.v{version}.hex").read_text())
    assert avro.Decoder().decode(golden) == (sample(cls), ENVELOPE)
    stored = json.loads((ROOT / "schemas" / "avro" / f"{name}.v{version}.avsc").read_text())
    assert stored["fields"] == avro.schema_of(cls)["fields"], "a released schema never changes: raise the version and add an upcaster"


@pytest.mark.parametrize("n", [0, 1, -1, 63, 64, -64, -65, 127, 128, 2**31, -(2**31), 2**51 + 7, 2**63 - 1, -(2**63)])
def test_longs(n):
    code = avro.long(n)
    assert avro._read_long(code, 0) == (n, len(code))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, n)
    assert out.getvalue() == code


def test_a_long_that_does_not_fit_is_refused():
    with pytest.raises(OverflowError, match="64-bit"):
        avro.long(2**63)


def test_decimals_keep_all_their_digits():
    text = b'{"a":12345678901234567890.1234567890123456789,"b":1e400}'
    value = avro.decode_json(text)
    assert avro.decode_json(avro.encode_json(value)) == value
    assert str(value["a"]) == "12345678901234567890.1234567890123456789"


def test_an_older_version_is_brought_up_step_by_step(monkeypatch):
    class Renamed(Event):
        job_type: str
        deadline_us: int

    monkeypatch.setitem(wire.CURRENT, "job.made", (Renamed, 3))
    monkeypatch.setitem(wire.UPCASTERS, ("job.made", 1), lambda p: {("job_type" if k == "type" else k): v for k, v in p.items()})
    monkeypatch.setitem(
        wire.UPCASTERS,
        ("job.made", 2),
        lambda p: {**{k: v for k, v in p.items() if k != "deadline_ms"}, "deadline_us": p["deadline_ms"] * 1000},
    )
    assert avro.upcast("job.made", 1, {"key": 1, "type": "pay", "deadline_ms": 5}) == Renamed(key=1, job_type="pay", deadline_us=5000)
    with pytest.raises(avro.UnknownEvent, match="reads v3"):
        avro.upcast("job.made", 4, {})


def test_what_is_unknown_stops_the_reader():
    for value, why in (
        (b"", "expected an event"),
        (b"{}123456", "expected an event"),
        (b"\x00\x00\x0f\xff\x01" + b"\x00" * 9, "no event has schema id"),
    ):
        with pytest.raises((ValueError, avro.UnknownEvent), match=why):
            avro.Decoder().decode(value)
    whole = avro.encode([sample(EVENTS[0])], Envelope(1))[0]
    with pytest.raises(ValueError, match="ends early|expected"):
        avro.Decoder().decode(whole[:12])


@pytest.mark.req("D-EVT-003", "D-EVT-004")
def test_the_old_words_are_aliases():
    for old, new in wire.ALIASES.items():
        assert new in wire.CURRENT and wire.canonical(old.upper()) == new
    assert wire.canonical("task.created") == "task.created"


def test_events_are_frozen():
    with pytest.raises(AttributeError):
        sample(EVENTS[3]).key = 9  # type: ignore[misc]
    assert msgspec.structs.fields(EVENTS[3])


@pytest.mark.req("TES-SCO-001", "WOS-DAT-002")
def test_schemas_of_topics_and_commands_are_those_of_the_code():
    from flowledger.events.commands import Request
    from flowledger.sdk import job_avro
    from schemas import asyncapi  # tools/schemas.py

    assert json.loads((ROOT / "schemas" / "asyncapi.json").read_text()) == asyncapi()
    assert json.loads((ROOT / "schemas" / "json" / "commands.json").read_text()) == msgspec.json.schema(Request)
    assert json.loads((ROOT / "schemas" / "avro" / "task.job.v1.avsc").read_text()) == job_avro.schema()

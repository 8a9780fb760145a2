"""Whatever stands on `commands` becomes a request or a reason."""

import random
from typing import get_args

import msgspec
import pytest

from flowledger.events import commands as c
from flowledger.events import requests, routes
from flowledger.events.requests import DEPTH_MAX, REQUEST_BYTES_MAX, Unreadable, read, too_deep

GOOD = msgspec.json.encode(c.Request(command=c.StartInstance(id="p", variables={"a": [1, {"b": "c"}]}), id="1"))


def with_variables(text: str, more: str = "") -> bytes:
    return b'{"command":{"$":"StartInstance","id":"p","variables":{"v":%b}}%b}' % (text.encode("utf-8", "surrogatepass"), more.encode())


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "truncated"),
        (b"\xff\x00", ""),
        (b"[]", "object"),
        (b"null", "object"),
        (b'{"command":{"$":"Nothing"}}', "Nothing"),
        (b'{"command":{"$":"StartInstance","id":7}}', "str"),
        (with_variables(nested(15_000)), "nesting"),
        (with_variables(nested(DEPTH_MAX)), "nesting"),
        (with_variables("1e99999999"), "power"),
        (with_variables("1e-99999999"), "power"),
        (with_variables("1", ',"reply_to":"garbage"'), "reply_to"),
        (with_variables("1", ',"reply_to":"a|b|c"'), "reply_to"),
        (with_variables("1", ',"reply_to":7'), "str"),
        (with_variables("1", ',"sender":-7'), "partition"),
        (with_variables("1", ',"sender":1,"seq":0'), "partition"),
        (with_variables("1", ',"sender":99999,"seq":1'), "partition"),
        (with_variables("1", ',"seq":-1'), "seq"),
        (with_variables("1", ',"time_us":99999999999999999999'), ""),
        (with_variables("1", f',"id":"{"x" * 1025}"'), "characters"),
        (b" " * (REQUEST_BYTES_MAX + 1), "bytes"),
    ],
    ids=range(20),
)
def test_what_is_no_request_has_a_reason(value, reason):
    found = read(value)
    assert isinstance(found, Unreadable) and reason in found.reason and found.reason


def test_what_is_one_is_read():
    assert read(GOOD) == msgspec.json.decode(GOOD, type=c.Request)
    assert not isinstance(read(with_variables(nested(DEPTH_MAX - 3))), Unreadable)
    assert not isinstance(read(with_variables('"' + "[" * 50_000 + '\\"{"')), Unreadable), "brackets within texts"
    assert not isinstance(read(with_variables("1", ',"reply_to":"node-1|3|17"')), Unreadable)
    assert read(with_variables("1", ',"instance":5,"token":6')).instance == 0, "only another partition says for whom it asks"


def test_depth_is_told_as_a_parser_sees_it():
    rng = random.Random(7)
    for _ in range(300):
        value = 1
        for _ in range(rng.randint(0, 12)):
            value = rng.choice([[value], {"k[": value}, {'"': value, "x": "]]]"}, [value, '{"\\'], [[], value]])
        text = msgspec.json.encode(value)
        levels = depth = 0
        inside = escaped = False
        for b in text.decode():
            if inside:
                inside, escaped = not (b == '"' and not escaped), b == "\\" and not escaped
            elif b == '"':
                inside = True
            elif b in "[{":
                depth += 1
                levels = max(levels, depth)
            elif b in "]}":
                depth -= 1
        assert too_deep(text, levels) is False
        assert levels == 0 or too_deep(text, levels - 1) is True


def test_nothing_makes_it_raise():
    rng = random.Random(3)
    for n in range(3_000):
        value = bytearray(GOOD)
        for _ in range(rng.randint(1, 8)):
            at = rng.randrange(len(value))
            kind = rng.random()
            if kind < 0.4:
                value[at] = rng.randrange(256)
            elif kind < 0.6:
                del value[at : at + rng.randint(1, 9)]
            else:
                value[at:at] = rng.choice([b"\\ud800", b"[[[[", b"1e999", b"null", b'"', b"\x00", b"-9223372036854775809", b"}{"])
            if not value:
                break
        assert isinstance(read(bytes(value)), (c.Request, Unreadable)), n
    assert requests.TEXT_MAX


def _made(kind: type, **given: object) -> bytes:
    """A request of this kind, its required fields filled."""
    fields = {f.name: _value(f.type) for f in msgspec.structs.fields(kind) if f.required} | given
    return msgspec.json.encode(c.Request(command=kind(**fields)))


def _value(kind: object) -> object:
    return {int: 1, str: "x", bool: False}.get(kind, {} if str(kind).startswith("dict") else [])  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", sorted(routes.BETWEEN | routes.OF_THE_SHELL, key=lambda k: k.__name__), ids=lambda k: k.__name__)
def test_what_the_engine_says_to_itself_is_refused_from_anybody_else(kind):
    found = read(_made(kind))
    assert isinstance(found, Unreadable) and kind.__name__ in found.reason
    forged = msgspec.json.encode(c.Request(command=msgspec.json.decode(_made(kind), type=c.Request).command, sender=1, seq=1))
    assert isinstance(read(forged), Unreadable), "a send has the header of the owner who sent it"
    assert isinstance(read(forged, 2), Unreadable), "and it is its own"
    assert isinstance(read(forged, 1), Unreadable) is (kind in routes.OF_THE_SHELL)


@pytest.mark.parametrize(("kind", "field"), [(k, f) for k, fields in routes.ENGINE_FIELDS.items() for f in fields])
def test_fields_that_only_the_engine_sets_are_refused_from_anybody_else(kind, field):
    type_ = next(f for f in msgspec.structs.fields(kind) if f.name == field).type
    value = {int: 7, str: "x", bool: True}.get(type_, {"x": 1})
    found = read(_made(kind, **{field: value}))
    assert isinstance(found, Unreadable) and field in found.reason


def test_every_command_is_either_a_callers_or_the_engines():
    from flowledger.kernel.access.subjects import INTERNAL

    assert set(INTERNAL) == routes.BETWEEN | routes.OF_THE_SHELL


@pytest.mark.parametrize("kind", get_args(c.AnyCommand), ids=lambda k: k.__name__)
def test_a_default_is_the_same_before_and_after_the_log(kind):
    """Or else an id that comes again by another way would stand for another command (`kernel/folds/answers.digest`)."""
    fields = msgspec.structs.fields(kind)
    command = kind(**{f.name: None for f in fields if f.required})
    for f in (f for f in fields if not f.required):
        written = msgspec.json.encode(getattr(command, f.name))
        assert msgspec.json.encode(msgspec.json.decode(written, type=f.type)) == written, f.name

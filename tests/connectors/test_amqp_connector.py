"""The connector of AMQP 1.0 against a real broker (RabbitMQ by its plug-in): what stands in the message, how it is settled, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.connectors.amqp10.client import Connection, Link
from flowledger.connectors.amqp10.types import DEPTH_MAX, ENTRIES_MAX, Described, Garbled, decode, encode
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure
from tests.connectors.test_rabbitmq_connector import RabbitRig

pytestmark = pytest.mark.req("APG-CON-018")


class AmqpRig(RabbitRig):
    connector = "amqp"

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "host": host, "port": port, "tls": "verify" if tls else "off", "hostname": "vhost:/", "username": self.user, "password": "{{secrets.KEY}}",
            "address": f"/amq/queue/{self.queue}", "message": {"weight": 7},
        }  # fmt: skip

    def checked(self, answer: Any) -> None:
        assert answer["messageId"] and answer["settled"] is True


@pytest.fixture(scope="module")
def users(rabbitmq_server: dict[str, str]) -> AmqpRig:
    rig = AmqpRig(rabbitmq_server)
    asyncio.run(rig.opened())
    return rig


@pytest.fixture
async def amqp_rig(users: AmqpRig) -> AmqpRig:
    await users.messages()
    return users


class TestContract(Contract):
    @pytest.fixture
    def rig(self, amqp_rig: AmqpRig) -> Rig:
        return amqp_rig


@pytest.fixture
async def send(amqp_rig: AmqpRig, bench) -> AsyncIterator[Any]:
    run = bench("amqp")

    async def call(**more: Any) -> Any:
        variables = {**amqp_rig.call(*amqp_rig.to), "password": SECRET, **more}
        return (await run(variables, OUT, key="4711"))["out"]

    yield call


@pytest.mark.parametrize(
    ("message", "body", "kind"),
    [
        ({"n": Decimal("1.10")}, b'{"n":1.10}', "application/json"),
        ("text \u00fc", "text \u00fc".encode(), "text/plain"),
        ("x" * 300_000, b"x" * 300_000, "text/plain"),
    ],
)
async def test_what_stands_in_the_message(amqp_rig: AmqpRig, send, message: Any, body: bytes, kind: str):
    """Sent by AMQP 1.0, read by the broker's other protocol."""
    more = {"n": 1, "none": None, "yes": True, "part": Decimal("1.5"), "text": "t"}
    assert await send(message=message, applicationProperties=more, correlationId="c", replyTo="/queue/r") == {
        "messageId": "4711",
        "settled": True,
    }
    (found,) = await amqp_rig.messages()
    p = found.header.properties
    assert found.body == body
    assert (p.content_type, p.message_id, p.correlation_id, p.delivery_mode) == (kind, "4711", "c", 2)
    raw = bytes(p.headers["x-amqp-1.0-app-properties"])  # as the broker keeps them for what reads by AMQP 1.0
    assert decode(raw)[0].value == {"n": 1, "yes": True, "part": 1.5, "text": "t"}


async def test_without_being_confirmed_and_with_a_priority(amqp_rig: AmqpRig, send):
    assert await send(confirmed=False, durable=False, priority=7, timeToLiveSeconds=100) == {"messageId": "4711", "settled": False}
    found: list[Any] = []
    while not found:
        found = await amqp_rig.messages()
    p = found[0].header.properties
    assert (p.delivery_mode, p.priority, p.expiration) == (1, 7, "100000")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"address": "/exchange/none/k"}, "404"), ({"username": "nobody"}, "AUTHENTICATION"),
        ({"hostname": "vhost:none"}, "403"), ({"address": "nonsense/a/b/c"}, "INVALID_FIELD"),
    ],
)  # fmt: skip
async def test_what_the_broker_refuses(send, more: dict[str, Any], code: str):
    found = await failure(send(**more))
    assert (found.code, found.retries) == (code, 0), found.message


@pytest.mark.parametrize(
    "wrong",
    [
        {"message": "x" * (4 * 1024 * 1024 + 1)}, {"address": ""}, {"tls": "no"}, {"username": ""}, {"priority": 10},
        {"applicationProperties": {str(i): i for i in range(51)}}, {"timeToLiveSeconds": 366 * 86_400 + 1},
    ],
)  # fmt: skip
async def test_configurations_that_are_refused(send, wrong):
    assert (await failure(send(**wrong))).code == "CONFIGURATION"


GOOD = {"host": "mq", "username": "u", "password": "{{secrets.P}}", "address": "= q", "message": "= m"}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [(GOOD, ""), ({**GOOD, "confirmed": "perhaps"}, "confirmed"), ({"host": "mq", "username": "u", "address": "q"}, "both or none")],
)
def test_findings(inputs, words: str):
    found = said(inputs, {}, "flowledger:amqp")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found


# --- the types on the wire ----------------------------------------------------------------------------------------------


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=300) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner, max_size=5), max_leaves=30,
)  # fmt: skip


@given(VALUES)
def test_what_is_written_is_read_by_us_and_by_microsofts_library(value: Any):
    from azure.servicebus._pyamqp._decode import _DECODE_BY_CONSTRUCTOR

    raw = encode(value)
    assert decode(raw + b"rest") == (value, len(raw))
    _, theirs = _DECODE_BY_CONSTRUCTOR[raw[0]](memoryview(raw)[1:])
    assert theirs == _bytes(value)


def _bytes(value: Any) -> Any:
    """They give texts as bytes."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return [_bytes(v) for v in value]
    return {_bytes(k): _bytes(v) for k, v in value.items()} if isinstance(value, dict) else value


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([0, 0x45, 0x53, 0xC0, 0xC1, 0xD0, 0xE0, 0xF0, 0xA1, 1, 2, 255]), max_size=60).map(bytes)
)
def test_whatever_comes_is_read_or_refused(raw: bytes):
    try:
        decode(raw)
    except Garbled:
        pass


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00" * (2 * DEPTH_MAX + 2), b"\xd0\x7f\xff\xff\xff\x7f\xff\xff\xff", b"\xf0\x00\x00\x00\x05" + (ENTRIES_MAX + 1).to_bytes(4, "big") + b"\x40",
        b"\xc1\x02\x01\x40", b"\xa1\x01\xff", b"\x99", b"",
    ],
)  # fmt: skip
def test_bombs_and_halves_are_refused(raw: bytes):
    with pytest.raises(Garbled):
        decode(raw)


def test_the_most_entries_are_read():
    raw = b"\xf0\x00\x00\x00\x05" + ENTRIES_MAX.to_bytes(4, "big") + b"\x40"
    assert decode(raw)[0] == [None] * ENTRIES_MAX


# --- what another side may not do ---------------------------------------------------------------------------------------


def _frame(*fields: Any) -> list[Any]:
    return [*fields, *[None] * (14 - len(fields))]


async def test_an_outcome_of_all_numbers_that_there_are_is_that_of_ours():
    connection = Connection("h")
    connection._outcomes = {3: None}
    await connection._on(0x15, _frame(True, 0, 2**32 - 1, True, Described(0x24, [])), b"")
    assert connection._outcomes == {3: Described(0x24, [])}


async def test_no_more_is_taken_than_was_asked_for():
    connection, link = Connection("h"), Link("l", 0, True)
    connection._theirs[0], link.credit = link, 2
    for number in (1, 2):
        await connection._on(0x14, _frame(0, number), b"ab")
    assert [*link.come] == [(1, b"ab"), (2, b"ab")]
    with pytest.raises(ConnectionError, match="asked for"):
        await connection._on(0x14, _frame(0, 3), b"ab")


@pytest.mark.parametrize(("kind", "fields"), [(0x11, [0, 0, None]), (0x10, ["c", "h", "many"]), (0x13, [0, "all"])])
async def test_a_number_that_is_none_is_refused_where_it_comes(kind: int, fields: list[Any]):
    with pytest.raises(TypeError):
        await Connection("h")._on(kind, _frame(*fields), b"")

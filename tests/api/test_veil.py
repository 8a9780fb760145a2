"""Sealed values on their way out of the application: masked everywhere, opened for who may and says why, and never before that is on the ledger."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from flowledger.api.access.door import CLEAR
from flowledger.api.problems import Problem
from flowledger.api.veil import WHY, Veil, masked, masked_values, why_of
from flowledger.events.base import Rejected
from flowledger.events.control import NoteReading
from flowledger.kernel.protection import ERASED, MASKED, KeysAway, Sealed, TrialVault, sealed_text
from flowledger.processors.client import Caller


def token(value: Any, name: str = "iban", cls: str = "personal", origin: int = 7) -> str:
    return TrialVault().seal("", "trial", cls, origin, name, value, False)


class World:
    def __init__(self, answer: Any = None, vault: Any = None) -> None:
        self.noted: list[Any] = []
        self.sent: list[dict[str, Any]] = []
        self.answer = answer or {}

        async def call(command: Any, caller: Caller, timeout_s: float) -> Any:
            assert not self.sent, "it is on the ledger before anything is shown"
            self.noted.append(command)
            return self.answer

        services = SimpleNamespace(
            vault=vault or TrialVault(), client=SimpleNamespace(call=call), asking=lambda connection: Caller("eve", "")
        )
        self.veil = Veil(services)

    async def answers(self, *pieces: bytes, kind: bytes = b"application/json", **scope: Any) -> tuple[int, dict[bytes, bytes], bytes]:
        asked = {"type": "http", "path": "/v1/x", "method": "GET", "headers": [], "path_params": {}, "query_string": b"", **scope}

        async def send(message: Any) -> None:
            self.sent.append(message)

        out = self.veil.over(asked, send)
        length = b"%d" % sum(map(len, pieces))
        await out(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", kind), (b"content-length", length), (b"etag", b"x")],
            }
        )
        for n, piece in enumerate(pieces):
            await out({"type": "http.response.body", "body": piece, "more_body": n + 1 < len(pieces)})
        start, *bodies = self.sent
        return start["status"], dict(start["headers"]), b"".join(b["body"] for b in bodies)


@pytest.mark.req("APG-SEC-008", "D-SEC-007")
async def test_an_answer_is_masked_and_as_long_as_it_says():
    body = json.dumps({"a": token(MASKED * 20), "b": [token({"deep": 1}), "plain"], "c": f"text with {token(1)} in it"}).encode()
    status, headers, told = await World().answers(body)
    assert status == 200 and json.loads(told) == {"a": MASKED, "b": [MASKED, "plain"], "c": f"text with {MASKED} in it"}
    assert int(headers[b"content-length"]) == len(told)


async def test_what_has_nothing_sealed_goes_out_as_it_is():
    status, headers, told = await World().answers(b'{"a":1}', **{CLEAR: "why"})
    assert (status, told, headers[b"etag"]) == (200, b'{"a":1}', b"x")


@pytest.mark.req("D-CMP-005")
async def test_clear_text_is_for_who_says_why_and_is_written_down_first():
    world = World()
    body = json.dumps({"a": token("DE1"), "b": token([1, {"x": None}], "list", "own", 9), "c": token(5) + " x"}).encode()
    _, headers, told = await world.answers(body, **{CLEAR: "asked for"})
    assert json.loads(told)["a"] == "DE1" and json.loads(told)["b"] == [1, {"x": None}] and b"flk1." not in told
    assert int(headers[b"content-length"]) == len(told) and b"etag" not in headers
    [note] = world.noted
    assert (
        isinstance(note, NoteReading)
        and note.names == ["iban", "list"]
        and note.instances == [7, 9]
        and note.classes == ["own", "personal"]
    )
    assert note.reason == "asked for"


async def test_the_holder_of_a_task_gives_no_reason():
    world = World()
    _, _, told = await world.answers(json.dumps({"input": {"iban": token("DE1")}}).encode(), **{WHY: "works on the task"})
    assert b"DE1" in told and world.noted[0].reason == "works on the task"


async def test_what_the_ledger_does_not_take_is_not_shown():
    status, headers, told = await World(Rejected("UNAVAILABLE", "no owner")).answers(json.dumps([token("DE1")]).encode(), **{CLEAR: "why"})
    assert status == 503 and b"DE1" not in told and b"flk1." not in told and headers[b"content-type"] == b"application/problem+json"
    assert int(headers[b"content-length"]) == len(told)


class Away(TrialVault):
    def open(self, tenant: str, text: str, soft: bool) -> Any:
        raise KeysAway("no connection")


async def test_keys_that_are_away_and_keys_that_are_gone():
    status, _, _ = await World(vault=Away()).answers(json.dumps([token("DE1")]).encode(), **{CLEAR: "why"})
    assert status == 503
    gone = sealed_text(Sealed("personal", "another", 7, "iban"), b"x")
    world = World()
    assert json.loads((await world.answers(json.dumps([gone]).encode(), **{CLEAR: "why"}))[2]) == [ERASED]
    assert not world.noted, "nobody has read anything"


async def test_an_answer_in_pieces_keeps_its_length_and_is_never_clear():
    world = World()
    pieces = (b"a;" + token("DE1").encode() + b"\n", b"b;" + token("DE2").encode())
    _, headers, told = await world.answers(*pieces, kind=b"text/csv", **{CLEAR: "why"})
    assert len(told) == int(headers[b"content-length"]) and told.count(MASKED.encode()) == 2 and not world.noted


async def test_sockets_are_masked():
    world = World()

    async def send(message: Any) -> None:
        world.sent.append(message)

    out = world.veil.over({"type": "websocket", "path": "/v1/events", CLEAR: "why"}, send)
    await out({"type": "websocket.send", "text": json.dumps({"iban": token("DE1")})})
    await out({"type": "websocket.send", "bytes": token("DE1").encode()})
    assert json.loads(world.sent[0]["text"]) == {"iban": MASKED} and world.sent[1]["bytes"] == MASKED.encode()


def test_values_and_bodies():
    assert masked_values({"a": token(1), "b": [token(2), 3]}) == {"a": MASKED, "b": [MASKED, 3]}
    assert masked(b"nothing") == b"nothing"


@pytest.mark.parametrize("given", ["", "%20", "x" * 501])
def test_a_reason_is_needed(given):
    with pytest.raises(Problem):
        why_of(given)

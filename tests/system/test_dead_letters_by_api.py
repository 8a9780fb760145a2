"""Dead letters over HTTP and by the command line, on both pairs of log and database: looked at, mended, replayed, discarded."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from typing import Any

import pytest

from flowledger.events.commands import partition_of_key
from flowledger.infra.cli.main import __name__ as cli
from flowledger.processors.log import COMMANDS, Group
from flowledger.processors.recovery import counted
from flowledger.sdk import Flow
from flowledger.stores import make_log

MODEL = Flow("p").start().service("t", job="w").end().xml().decode()
WRONG = {"command": {"$": "StartInstance", "id": 7}, "actor": "service"}
RIGHT = {"command": {"$": "StartInstance", "id": "p", "variables": {"n": 1}}}
#: what stands on the topic -> what its letter says
BAD: list[tuple[bytes, str]] = [
    (json.dumps(WRONG).encode(), "str"),
    (b"\xff\xfe no text", ""),
    (b'{"command":{"$":"SendRejected","instance":1,"token":1,"command":"x","code":"y","message":"z"}}', "between partitions"),
    (b'{"sender":1,"seq":1,"command":{"$":"StartInstance","id":"p"}}', "header"),
    (b'{"command":{"$":"StartInstance","id":"p","parent":7}}', "engine"),
    (b'{"command":{"$":"FireTimers","timers":[]}}', "owner itself"),
]


async def flowledger(url: str, *arguments: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"import sys; from {cli} import run; run(sys.argv[1:])", *arguments, "--server", url, "--json",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out
    return json.loads(out)


@pytest.mark.req("APG-RES-003", "WOS-RES-009")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(240)
async def test_dead_letters_are_seen_mended_replayed_and_discarded(on, request, place, database, tmp_path):
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"dl-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    async with place.system(data=tmp_path, postgres=database, partitions=2, **more) as (system, http):

        async def ask(method: str, path: str, body: Any = None, tenant: str = "", **query: Any) -> tuple[int, Any]:
            r = await http.request(method, f"/v1/{path}", json=body, params=query, headers={"X-Actor": "ann", "X-Tenant": tenant})
            return r.status_code, r.json()

        async def letters(tenant: str = "", **query: Any) -> list[dict[str, Any]]:
            return (await ask("GET", "dead-letters", None, tenant, **query))[1]["items"]

        assert (await ask("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]}))[0] == 201
        log = make_log(system.settings)
        await log.open()
        places = [(await log.append(COMMANDS, 0, Group([b"k"], [value]))).first for value, _ in BAD]
        await log.append(COMMANDS, 1, Group([b"k"], [json.dumps({**WRONG, "tenant": "b"}).encode()]))

        async def all_there():
            return len(await letters()) == len(BAD) and len(await letters("b")) == 1

        await place.until(all_there)
        rows = await letters(status="open", partition=0)
        assert [r["source"] for r in rows] == [f"0-{n}" for n in reversed(places)], "the newest first"
        for row, (value, why) in zip(reversed(rows), BAD, strict=True):
            assert why in row["message"] and row["message"] and row["size"] == row["kept"] == len(value)
            assert row["encoding"] == "base64" or row["command"].encode() == value
        page = (await ask("GET", "dead-letters", limit=4))[1]
        seen = [r["id"] for r in page["items"]]
        while page["cursor"] is not None:
            page = (await ask("GET", "dead-letters", limit=4, cursor=page["cursor"]))[1]
            seen += [r["id"] for r in page["items"]]
        assert seen == [r["id"] for r in rows] and not await letters(status="replayed") and not await letters(partition=1)
        wrong, binary, *rest = (r["id"] for r in reversed(rows))

        # as it was kept it is as wrong as before, and stays open; so does what is mended badly
        for id, body in (
            (wrong, {}),
            (binary, {}),
            (wrong, {"command": "{"}),
            (wrong, {"command": {"command": {"$": "FireTimers", "timers": []}}}),
        ):
            status, told = await ask("POST", f"dead-letters/{id}/replay", body)
            assert status == 422 and told["code"] == "INVALID_ARGUMENT", told
        status, told = await ask(
            "POST", f"dead-letters/{wrong}/replay", {"command": {"command": {"$": "StartInstance", "id": "none"}, "id": "x"}}
        )
        assert status in (200, 404), told  # by its id it may belong to the other partition: refused there it is open again

        async def open_again():
            found = (await ask("GET", f"dead-letters/{wrong}"))[1]
            return found if found["status"] == "open" and "none" in found["message"] + json.dumps(told) else None

        await place.until(open_again)
        for move in ("replay", "discard"):  # a stranger's is not there
            assert (await ask("POST", f"dead-letters/{wrong}/{move}", {}, "b"))[0] == 404
        assert (await ask("GET", f"dead-letters/{wrong}", None, "b"))[0] == 404

        # mended: an object, and a text; each happens once
        status, told = await ask("POST", f"dead-letters/{wrong}/replay", {"command": RIGHT, "reason": "the id was a number"})
        assert status == 200 and told["status"] == "replayed" and told["answer"]["key"], told
        status, row = await ask("GET", f"dead-letters/{wrong}", wait_for=told["position"])
        assert (row["status"], row["reason"], row["closed_by"]) == ("replayed", "the id was a number", "ann") and row["replayed_as"]
        made = (await ask("GET", f"instances/{told['answer']['key']}"))[1]
        assert made["process"] == "p" and made["status"] == "running" and partition_of_key(int(made["id"])) == 0
        assert (await ask("POST", f"dead-letters/{wrong}/replay", {"command": RIGHT}))[0] == 404, "once"
        [of_b] = await letters("b")
        assert partition_of_key(int(of_b["id"])) == 1
        status, told = await ask("POST", f"dead-letters/{of_b['id']}/discard", {"reason": "nobody needs it"}, "b")
        assert status == 200 and told["status"] == "discarded"

        told = [(type(r.event).__name__, r.envelope.actor, r.event.reason) for p in (0, 1) async for b in counted(log, p) for r in b
                if type(r.event).__name__ in ("DeadLetterReplayed", "DeadLetterDiscarded")]  # fmt: skip
        assert ("DeadLetterReplayed", "ann", "the id was a number") in told and ("DeadLetterDiscarded", "ann", "nobody needs it") in told
        await log.close()
        if on == "kafka":  # the command line knows a server only
            return
        # the same by the command line
        assert [r["id"] for r in await flowledger(system.url, "dead-letters", "list")] == [*reversed(rest), binary]
        assert (await flowledger(system.url, "dead-letters", "show", binary))["encoding"] == "base64"
        done = await flowledger(system.url, "dead-letters", "replay", rest[0], "--command", json.dumps(RIGHT), "--reason", "by hand")
        assert done["status"] == "replayed"
        await flowledger(system.url, "dead-letters", "discard", binary, "--reason", "noise")

        async def discarded() -> bool:
            return {r["id"] for r in await letters(status="discarded")} == {binary}

        await place.until(discarded)
        assert {r["id"] for r in await letters(status=["replayed", "open"])} == {wrong, *rest}

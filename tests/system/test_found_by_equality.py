"""Instances found by a protected variable: no dump has it or shows what it is, each search is written down, and what was erased isn't found."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from asking import Caller
from test_protected_data import in_files, in_the_database

from flowledger.infra.audit import verify
from flowledger.kernel.protection import PREFIX
from flowledger.projections.found_by import MARK as DIGEST
from flowledger.projections.rebuild import rebuild
from flowledger.projections.rebuild import verify as compared
from flowledger.stores import make_log, source_of

MARK = "MARKER-4711-bis"
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:flowledger="urn:flowledger:bpmn:1">
<process id="p" isExecutable="true"><extensionElements>
<flowledger:protect names="iban, number" class="personal" subject="=customerId" search="equality"/><flowledger:protect names="diagnosis" class="health"/>
</extensionElements><startEvent id="s"/><userTask id="u"/><endEvent id="e"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="u"/><sequenceFlow id="f2" sourceRef="u" targetRef="e"/></process></definitions>"""


async def found(x: Caller, **filters: Any) -> list[str]:
    return sorted(i["id"] for i in (await x.ok("GET", "instances", **{f"var.{name}": value for name, value in filters.items()}))["items"])


def digests(database: str) -> list[str]:
    with psycopg.connect(database) as conn:
        rows = conn.execute("SELECT search FROM flowledger.variables WHERE search LIKE 'flk1.=%' ORDER BY search").fetchall()
    return [text for (text,) in rows]


@pytest.mark.req("D-SEC-007", "D-CMP-005", "D-CMP-006", "WOS-SEC-003")
async def test_what_is_protected_is_found_by_equality_where_a_model_says_so(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database) as (system, http):
        x = Caller(http, place)
        await x.ok(
            "POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL.replace("flowledger:protect", "flowledger:x")}]}
        )
        clear = (await x.ok("POST", "instances", {"definition": "p", "variables": {"iban": "DE-CLEAR"}}))["id"]
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]})
        given = [
            {"iban": MARK, "number": 4711, "customerId": "c1", "diagnosis": MARK}, {"iban": MARK, "number": 4712.5, "customerId": "c2"},
            {"iban": MARK + "x", "number": 4713, "customerId": "c1"},
        ]  # fmt: skip
        a, b, c = [(await x.ok("POST", "instances", {"definition": "p", "variables": v}))["id"] for v in given]
        same = sorted([a, b])

        async def looked_at() -> bool:
            return len(digests(database)) == 6 and await found(x, iban=MARK) == same

        await x.place.until(looked_at, 60)
        assert await found(x, **{"iban[eq]": f'"{MARK}"'}) == same and await found(x, iban=MARK + "x") == [c]
        assert await found(x, number="4711.0") == [a] and await found(x, number="4712.50") == [b] and await found(x, number='"4711"') == []
        assert await found(x, iban=MARK, number="4712.5") == [b] and await found(x, iban="other") == []
        assert await found(x, diagnosis=MARK) == [], "its model doesn't say so"
        assert await found(x, iban="DE-CLEAR") == [clear], "what was there before the name was protected"
        assert (await x.ask("GET", "instances", **{"var.iban[gt]": "flk1.=A"}))[0] == 400, "nobody feels his way along digests"
        assert (await x.ask("GET", "instances", where='starts with(iban, "flk1.=A")'))[0] == 400
        listed = await x.ok("GET", "instances", **{"var.iban": MARK})
        assert MARK not in json.dumps(listed) and PREFIX not in json.dumps(listed)

        async def told() -> bool:
            rows = (await x.ok("GET", "operations", operation="read_protected", limit=200))["items"]
            return any("searched by equality" in json.dumps(row) and "iban" in json.dumps(row) for row in rows)

        await x.place.until(told, 60)
        known = digests(database)
        assert len(known) == 6 and len(set(known)) == 5 and all(len(d) == len(DIGEST) + 43 for d in known)
        assert in_the_database(database) == [] and in_files(tmp_path) == []

        # a change is found by what it is now
        await x.ok("PATCH", f"instances/{b}/variables", {"variables": {"iban": "other"}, "reason": "moved"})

        async def moved() -> bool:
            return await found(x, iban="other") == [b] and await found(x, iban=MARK) == [a]

        await x.place.until(moved, 60)

        # erased: at once, and no row has its digest
        await x.ok("POST", "subjects/c1/erase", {"reason": "GDPR 17"})
        assert await found(x, iban=MARK) == [] and await found(x, number="4711") == [] and await found(x, iban="other") == [b]
        assert len([d for d in digests(database) if d != DIGEST]) == 2
        assert not [r.broken for r in await verify(system.log) if r.broken]

        # rows that are made anew are looked at again
        log = make_log(system.settings)
        await log.open()
        source = source_of(log, follow=False)
        rows = await compared(database, source, range(system.settings.partitions), ["variables"])
        assert rows["variables"]["equal"], "a digest is no difference between rows and log"
        await rebuild(database, source, range(system.settings.partitions), ["variables"])
        await log.close()

        async def again() -> bool:
            return await found(x, iban="other") == [b]

        await x.place.until(again, 60)
        assert await found(x, iban=MARK) == [] and await found(x, iban=MARK + "x") == []

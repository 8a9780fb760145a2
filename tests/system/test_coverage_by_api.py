"""Which rules of a decision's tables fired, over HTTP on a real server: counted a second time by hand."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import pytest
from asking import Caller

from flowledger.sdk import Flow

pytestmark = [pytest.mark.req("APG-ELM-002", "APG-UI-002"), pytest.mark.timeout(240)]
FILE = """<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="urn:m" id="m">
<inputData id="sum" name="sum"><variable name="sum" typeRef="number"/></inputData>
<decision id="level" name="Level"><variable name="Level" typeRef="string"/><informationRequirement><requiredInput href="#sum"/></informationRequirement>
<decisionTable id="levels" hitPolicy="FIRST"><input id="i"><inputExpression typeRef="number"><text>sum</text></inputExpression></input><output/>
<rule id="small"><inputEntry><text>&lt; 100</text></inputEntry><outputEntry><text>"clerk"</text></outputEntry></rule>
<rule id="large"><inputEntry><text>[100..{most}]</text></inputEntry><outputEntry><text>"board"</text></outputEntry></rule>
<rule id="odd"><inputEntry><text>&lt; -1</text></inputEntry><outputEntry><text>"nobody"</text></outputEntry></rule></decisionTable></decision>
<decision id="who" name="Who"><variable name="Who" typeRef="string"/><informationRequirement><requiredDecision href="#level"/></informationRequirement>
<decisionTable hitPolicy="COLLECT"><input><inputExpression typeRef="string"><text>Level</text></inputExpression></input><output/>
<rule><inputEntry><text>"clerk"</text></inputEntry><outputEntry><text>"ann"</text></outputEntry></rule>
<rule><inputEntry><text>-</text></inputEntry><outputEntry><text>"bob"</text></outputEntry></rule></decisionTable></decision></definitions>"""


def fired(coverage: dict[str, Any], decision: str) -> list[int]:
    return [rule["fired"] for table in coverage["tables"] if table["decision"] == decision for rule in table["rules"]]


async def test_rules_are_counted_by_version_and_time_and_those_seen_that_never_fired(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (settings, http):
        x = Caller(http, place)

        async def deploy(most: int) -> None:
            files = [{"name": "d.dmn", "content": FILE.format(most=most)}]
            for asked in ("who", "level"):
                files.append(
                    {
                        "name": f"{asked}.bpmn",
                        "content": Flow(f"by-{asked}").start().decision("d", decision=asked, result="r").end().xml().decode(),
                    }
                )
            made = await x.ok("POST", "deployments", {"resources": files})
            await x.ok("GET", "definitions", wait_for=made["position"])

        async def run(asked: str, *sums: int) -> None:
            for amount in sums:
                await x.start(f"by-{asked}", 1, variables={"sum": amount})

        async def coverage(decision: str, evaluations: int, **query: Any) -> dict[str, Any]:
            async def look() -> Any:
                told = await x.ok("GET", f"decisions/{decision}/coverage", **query)
                return told if told["evaluations"] >= evaluations else None

            return await place.until(look)

        assert (await x.ask("GET", "decisions/level/coverage"))[0] == 404
        await deploy(1000)
        none = await x.ok("GET", "decisions/level/coverage")
        assert (none["rules"], none["never"], none["evaluations"], none["oldest_at"], none["complete"]) == (5, 5, 0, None, True)
        assert [t["decision"] for t in none["tables"]] == ["level", "who"]
        await run("level", 1, 2, 200, 5000)  # the last is beyond all rules
        await run("who", 3, 300)
        first = await coverage("level", 6)
        assert (first["version"], first["evaluations"], first["complete"]) == (1, 6, True)
        assert fired(first, "level") == [3, 2, 0] and fired(first, "who") == [1, 2]
        [levels] = [t for t in first["tables"] if t["decision"] == "level"]
        assert (levels["evaluated"], levels["without"], levels["hit_policy"], levels["id"]) == (6, 1, "FIRST", "levels")
        rules = levels["rules"]
        assert [r["share"] for r in rules] == [0.5, pytest.approx(1 / 3, abs=1e-6), 0.0]
        assert [(r["index"], r["id"], r["inputs"], r["outputs"]) for r in rules][1] == (2, "large", ["[100..1000]"], ['"board"'])
        assert rules[2]["last_at"] is None and first["oldest_at"] <= rules[0]["last_at"] <= first["newest_at"]
        assert first["never"] == 1
        # what needs it is told beside it, and the other way round; of tables without an id as well
        other = await coverage("who", 6)
        assert [t["decision"] for t in other["tables"]] == ["who", "level"] and fired(other, "who") == [1, 2]
        # by time: what was evaluated before the last one, and from it on
        later = first["newest_at"]
        assert (await coverage("level", 1, **{"from": later}))["evaluations"] == 1
        assert (await coverage("level", 5, to=later))["evaluations"] == 5

        await deploy(9000)
        await run("level", 5000)
        second = await coverage("level", 1)
        assert (second["version"], fired(second, "level")) == (2, [0, 1, 0]) and second["never"] == 4
        assert fired(await coverage("level", 6, version=1), "level") == [3, 2, 0]
        # all versions together, as to the rules of one: those without an id by their number
        both = await coverage("level", 7, together="true")
        assert (both["version"], both["versions"], both["evaluations"]) == (2, [1, 2], 7)
        assert fired(both, "level") == [3, 3, 0] and fired(both, "who") == [1, 2] and both["never"] == 1
        older = await coverage("level", 7, together="true", version=1)
        assert (older["version"], fired(older, "level")) == (1, [3, 3, 0]) and second["versions"] == [2]
        assert (await x.ask("GET", "decisions/level/coverage", version=7, together="true"))[0] == 404
        assert (await x.ask("GET", "decisions/level/coverage", version=7))[0] == 404
        assert (await x.ask("GET", "decisions/level/coverage", tenant="other"))[0] == 404
        assert (await x.ask("GET", "decisions/level/coverage", **{"from": "yesterday"}))[0] == 400

        command = [sys.executable, "-m", "flowledger", "analytics", "coverage", "level", "--version", "1", "--server", str(http.base_url)]
        run_it = await asyncio.create_subprocess_exec(*command, "--json", stdout=asyncio.subprocess.PIPE, env={**os.environ})
        told, _ = await run_it.communicate()
        assert run_it.returncode == 0 and json.loads(told)["tables"] == first["tables"]
        shown = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "COLUMNS": "200"}
        )
        told, said = await shown.communicate()
        ever = await asyncio.create_subprocess_exec(
            *command, "--all-versions", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "COLUMNS": "200"}
        )
        assert b"versions 1, 2 as to the rules of version 1: 7 evaluations" in b" ".join((await ever.communicate())[1].split())
        assert b"[100..1000]" in told and b"never" in told and b"1 of 5 rules never fired" in b" ".join(said.split())

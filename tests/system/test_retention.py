"""What has ended long enough ago goes: whole instances by definition and tenant, protected values by their class, never what a legal hold is on."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from asking import Caller as Anybody

from flowledger.infra.audit import verify
from flowledger.infra.protection.store import PostgresKeys
from flowledger.infra.protection.vault import KEEP_S, Vault
from flowledger.infra.protection.wrapping import wrapper_of
from flowledger.infra.settings import Settings
from flowledger.kernel.protection import Erased

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 xmlns:flowledger="urn:flowledger:bpmn:1">
<process id="{id}" isExecutable="true">
<extensionElements><flowledger:protect names="iban" class="personal" subject="=customerId"/>
<flowledger:protect names="note" class="confidential" subject="=customerId"/></extensionElements>
<startEvent id="s"/>{middle}<endEvent id="e"/><sequenceFlow id="f1" sourceRef="s" targetRef="{to}"/>{more}
</process></definitions>"""


class Caller(Anybody):
    """Of one tenant."""

    def __init__(self, http: Any, place: Any, tenant: str = "") -> None:
        super().__init__(http, place)
        self.tenant = tenant

    async def ask(self, method: str, path: str, body: Any = None, tenant: str = "", key: str = "", **query: Any) -> tuple[int, Any]:
        return await super().ask(method, path, body, tenant or self.tenant, key, **query)


WAITS = '<userTask id="u"><extensionElements><zeebe:userTask/></extensionElements></userTask>'


def model(id: str, waits: bool = False) -> dict[str, str]:
    more = '<sequenceFlow id="f2" sourceRef="u" targetRef="e"/>' if waits else ""
    return {"name": f"{id}.bpmn", "content": MODEL.format(id=id, middle=WAITS if waits else "", to="u" if waits else "e", more=more)}


async def begun(x: Caller, definition: str, customer: str) -> str:
    made = await x.ok(
        "POST", "instances", {"definition": definition, "variables": {"iban": f"MARK-{customer}", "note": "N", "customerId": customer}}
    )
    await x.ok("GET", "instances", wait_for=made["position"])
    return str(made["id"])


async def put(x: Caller, name: str, **rule: Any) -> dict[str, Any]:
    answer = await x.http.put(
        f"/v1/retention/{name}", json={"after": "PT1S", "reason": "the law", **rule}, headers={"X-Actor": "ann", "X-Tenant": x.tenant}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def there(x: Caller, id: str) -> bool:
    return (await x.ask("GET", f"instances/{id}"))[0] == 200


def keys(dsn: str) -> list[tuple[str, str, bool]]:
    with psycopg.connect(dsn) as conn:
        found = conn.execute("SELECT id, class, destroyed_us > 0 FROM flowledger_keys.data_keys ORDER BY made_us, class").fetchall()
    return [(str(a), str(b), bool(c)) for a, b, c in found]


@pytest.mark.req("D-CMP-006", "WSM-DAT-001")
async def test_what_has_ended_long_enough_ago_goes(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=2, retention_step=2) as (system, http):
        x = Caller(http, place)
        system.services.retaining.grace_us = 0
        await x.ok("POST", "deployments", {"resources": [model("short"), model("long"), model("waits", waits=True)]})
        short = [await begun(x, "short", f"c{n}") for n in range(3)]
        long, waits = await begun(x, "long", "c0"), await begun(x, "waits", "c1")
        held = await begun(x, "short", "c9")
        await x.ok("PUT", "legal-holds/c9", {"reason": "a court"})
        await asyncio.sleep(1.1)

        would = await x.ok("POST", "retention/all/preview", {"after": "PT1S", "reason": "-"})
        assert would["instances"] == 5 and would["held"] == 1 and {i["id"] for i in would["items"]} == {*short, long}
        assert (await x.ok("POST", "retention-steps"))["certificates"] == [], "without a rule all is kept"
        await put(x, "all")
        await put(x, "tax", definition="long", after="P10Y")
        assert (await x.ask("PUT", "retention/again", {"after": "P1D", "reason": "r"}))[0] == 409, "one rule for one definition and class"
        would = await x.ok("POST", "retention/all/preview")
        assert would["instances"] == 4 and would["keys"] == 2, (
            "c2 alone has nothing that is kept: c0 has the long one, c1 the one that goes on"
        )

        first = (await x.ok("POST", "retention-steps"))["certificates"]
        assert [(g["rule"], g["instances"]) for g in first] == [("all", short[:2])], "no more than two at a step, the oldest first"
        await x.place.until(lambda: gone(x, short[:2]), 60)
        second = (await x.ok("POST", "retention-steps"))["certificates"]
        assert short[2] in [i for g in second for i in g["instances"]]
        await x.place.until(lambda: gone(x, short), 60)
        for _ in range(12):  # keys are looked at two by two, retired, and destroyed at the next look
            await x.ok("POST", "retention-steps")
        assert await there(x, long) and await there(x, waits) and await there(x, held), (
            "by the rule of their own, since it goes on, since a hold is on it"
        )
        left = keys(database)
        assert len(left) == 8 and sum(destroyed for *_, destroyed in left) == 2, "of c2 the two keys, one of each class"
        shown = await x.http.get(f"/v1/instances/{held}/variables", headers={"X-Actor": "ann", "X-Clear-Text": "the court asks"})
        assert "MARK-c9" in shown.text

        await x.ok("DELETE", "legal-holds/c9")
        await x.ok("POST", "retention-steps")
        assert await x.place.until(lambda: gone(x, [held]), 60)

        async def told() -> Any:
            done, asked = [(await x.ok("GET", "operations", operation=o, limit=100))["items"] for o in ("apply_retention", "ask_retention")]
            there = len(asked) == len(done) and any(held in o["details"]["instances"] for o in done)
            return (done, asked) if there else None

        done, asked = await place.until(told, 60)
        assert min(o["time"] for o in done) > min(o["time"] for o in asked), "asked of the ledger before anything goes"
        assert {i for o in done for i in o["details"]["instances"]} == {*short, held} and all(o["actor"] == "retention" for o in done)
        assert sorted(k for o in done for k in o["details"]["keys"]) == sorted(id for id, _, destroyed in left if destroyed)
        assert done[0]["reason"] == "the law"
        reports = await verify(system.log)
        assert len(reports) == 2 and not [f for r in reports for f in r.findings]


async def gone(x: Caller, ids: list[str]) -> bool:
    return not any([await there(x, id) for id in ids])


@pytest.mark.req("D-CMP-006")
async def test_values_of_a_class_go_and_the_rest_stays(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=1) as (system, http):
        x, other = Caller(http, place), Caller(http, place, "acme")
        system.services.retaining.grace_us = 0
        for of in (x, other):
            await of.ok("POST", "deployments", {"resources": [model("p"), model("waits", waits=True)]})
        id, theirs, on = await begun(x, "p", "c1"), await begun(other, "p", "c1"), await begun(x, "waits", "c2")
        await asyncio.sleep(1.1)
        await put(x, "persons", **{"class": "personal"})
        would = await x.ok("POST", "retention/persons/preview")
        assert (would["instances"], would["keys"]) == (0, 1)
        for _ in range(2):
            made = (await x.ok("POST", "retention-steps"))["certificates"]
        assert [(g["rule"], len(g["keys"])) for g in made] == [("persons", 1)]

        async def clear(of: Caller, instance: str) -> Any:
            headers = {"X-Actor": "ann", "X-Tenant": of.tenant, "X-Clear-Text": "looking"}
            return (await http.get(f"/v1/instances/{instance}/variables", headers=headers)).json()["variables"]

        seen = await clear(x, id)
        assert seen["iban"] == "[erased]" and seen["note"] == "N" and seen["customerId"] == "c1"
        assert (await clear(other, theirs))["iban"] == "MARK-c1", "a rule is of one tenant"
        assert (await clear(x, on))["iban"] == "MARK-c2", "it has not ended"
        assert (await x.ok("GET", f"instances/{id}/state"))["status"] == "completed"
        assert (await x.ok("GET", "retention"))["items"][0]["class"] == "personal"
        assert (await x.ok("DELETE", "retention/persons"))["name"] == "persons"
        assert (await x.ask("DELETE", "retention/persons"))[0] == 404
        reports = await verify(system.log)
        assert not [f for r in reports for f in r.findings]


def test_keys_that_went_at_once_are_told_in_pages_and_each_of_them(database):
    store = PostgresKeys(lambda: database)
    try:
        for n in range(5):
            store.put(f"at-once-{n}", "pages", f"s{n}", "personal", "w", b"k", 1)
        store.retire([f"at-once-{n}" for n in range(5)], 2)
        store.destroy_keys([f"at-once-{n}" for n in range(5)], 9_000)
        seen, since = [], (8_999, "")
        while page := store.destroyed_since(since, 2):
            seen += [id for id, tenant, at in page if (tenant, at) == ("pages", 9_000)]
            since = page[-1][2], page[-1][0]
        assert seen == [f"at-once-{n}" for n in range(5)]
    finally:
        store.close()


def test_a_retired_key_opens_and_seals_no_more(database, tmp_path):
    now = [0.0]
    store = PostgresKeys(lambda: database)
    vault = Vault(store, wrapper_of(Settings(data=tmp_path)), clock=lambda: now[0])
    try:
        first = vault.key_of("", "c1", "personal", False)
        text = vault.seal("", first, "personal", 7, "x", 1)
        beside = vault.seal("", first, "confidential", 7, "y", 2)
        assert f".{first}." not in beside and vault.open("", beside, False) == 2, "of the same subject, a key for each class"
        store.retire([first], 5)
        assert vault.key_of("", "c1", "personal", False) == first, "it is remembered"
        now[0] += KEEP_S + 1
        second = vault.key_of("", "c1", "personal", False)
        assert second != first and vault.open("", text, False) == 1
        assert vault.destroy_keys("", [first, second]) == [first], "one that seals is not destroyed"
        with pytest.raises(Erased):
            vault.open("", text, False)
        assert sorted(vault.destroy("", "c1")) == sorted([second, beside.split(".")[2]]), "erasing takes all classes"
    finally:
        store.close()


def test_a_key_is_retired_for_longer_than_anybody_remembers_it():
    least = Settings.model_fields["retention_grace_minutes"].metadata[0].ge
    assert least * 60 > KEEP_S


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"after": "PT0S"}, "one second to a hundred years"),
        ({"after": "P101Y"}, "one second to a hundred years"),
        ({"after": "soon"}, "no ISO 8601 duration"),
        ({"class": "Personal"}, "class"),
        ({"reason": ""}, "reason"),
    ],
)
async def test_what_is_no_rule_is_refused(place, database, tmp_path, rule, said):
    async with place.system(data=tmp_path, postgres=database, partitions=1) as (_, http):
        answer = await http.put("/v1/retention/r", json={"after": "P1D", "reason": "x", **rule})
        assert answer.status_code in (400, 422) and said in answer.text, answer.text
        assert (await http.put("/v1/retention/R", json={"after": "P100Y", "reason": "x"})).status_code in (400, 422)
        assert (await http.put("/v1/retention/r", json={"after": "P100Y", "reason": "x"})).status_code == 200

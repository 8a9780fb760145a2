"""API profiles: what may stand in one, how tasks use it by name, versions, limits over partitions, certificates, and what never happens."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowledger.connectors.frame import Failed
from flowledger.connectors.profiles import CLIENTS_MAX, Clients, Profile, Profiles, context
from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.egress import Gate
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.secrets.mask import Mask
from flowledger.kernel.tasks import registry
from flowledger.kernel.tasks.profiles import VERSIONS_MAX
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from flowledger.sdk.job import JobFailed
from tests.connectors.conftest import Target, running
from tests.connectors.wire import Certificates

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="{id}" isExecutable="true"><startEvent id="s"/><serviceTask id="call"><extensionElements><zeebe:taskDefinition type="flowledger:{type}" retries="{retries}"/>
<zeebe:ioMapping>{inputs}</zeebe:ioMapping><zeebe:taskHeaders>
<zeebe:header key="profile" value="carrier"/><zeebe:header key="resultExpression" value="={{out: response.body}}"/></zeebe:taskHeaders>
</extensionElements></serviceTask><endEvent id="e"/><sequenceFlow id="a" sourceRef="s" targetRef="call"/><sequenceFlow id="b" sourceRef="call"
 targetRef="e"/></process></definitions>"""
BASE = {"base_url": "https://api.example/v2"}


def model(id: str, type: str = "http", retries: int = 1, **inputs: str) -> c.Deploy:
    rows = "".join(f'<zeebe:input source="{value}" target="{name}"/>' for name, value in inputs.items())
    return c.Deploy(resources=[c.Resource(f"{id}.bpmn", MODEL.format(id=id, type=type, retries=retries, inputs=rows))])


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "name": ("No!", BASE, "name: expected small letters"),
    "version in the name": ("a@1", BASE, "name: expected small letters"),
    "key": ("a", {**BASE, "x": 1}, "'x' is not known"),
    "no address": ("a", {}, "base_url: expected an http or https URL"),
    "address with a user": ("a", {"base_url": "https://u:p@api.example"}, "base_url: expected an http"),
    "address with a query": ("a", {"base_url": "https://api.example?x=1"}, "base_url: expected an http"),
    "address that climbs": ("a", {"base_url": "https://api.example/a/%2E./b"}, "base_url: expected a path without"),
    "a secret in clear text": ("a", {**BASE, "authentication": {"type": "bearer", "token": "abcdef"}}, "authentication.token: expected a reference"),
    "authentication": ("a", {**BASE, "authentication": {"type": "magic"}}, "authentication.type: expected one of"),
    "a key alone": ("a", {**BASE, "tls": {"key": "{{secrets.K}}"}}, "tls.certificate: expected a reference"),
    "a certificate in clear text": ("a", {**BASE, "tls": {"authorities": "-----BEGIN"}}, "tls.authorities: expected a reference"),
    "nothing of TLS": ("a", {**BASE, "tls": {}}, "tls: expected certificate and key"),
    "headers": ("a", {**BASE, "headers": {"a": 1}}, "headers: expected an object"),
    "timeout": ("a", {**BASE, "timeout": "soon"}, "timeout: "),
    "timeout of nothing": ("a", {**BASE, "timeout": "PT0S"}, "timeout: expected more than nothing"),
    "timeout of a day": ("a", {**BASE, "timeout": "P1D"}, "timeout: expected more than nothing and at most an hour"),
    "limit": ("a", {**BASE, "limits": {"batch": {"size": 3}}}, "limits: 'batch' is not known"),
    "concurrency": ("a", {**BASE, "limits": {"concurrency": 0}}, "limits.concurrency: expected a whole number of 1"),
    "rate": ("a", {**BASE, "limits": {"rate": {"max": 0}}}, "limits.rate.max: expected"),
    "codes": ("a", {**BASE, "retry": {"codes": "409"}}, "retry.codes: expected a list"),
    "retry": ("a", {**BASE, "retry": {"attempts": 3}}, "retry: 'attempts' is not known"),
    "pause": ("a", {**BASE, "retry": {"pause": "PT2H"}}, "retry.pause: expected more than nothing"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_may_not_stand_in_one_is_said(case):
    name, value, told = WRONG[case]
    found = registry.problems("profile", name, value)
    assert any(told in problem for problem in found), found


def test_all_that_may_stand_in_one_does():
    whole = {
        **BASE, "title": "Carrier", "description": "d", "authentication": {"type": "apiKey", "name": "X-Key", "value": "{{secrets.K}}"},
        "tls": {"certificate": "{{secrets.C}}", "key": "{{ secrets.P }}", "authorities": "{{secrets.A}}"}, "headers": {"X-Of": "us"}, "timeout": "PT1H",
        "limits": {"rate": {"max": 1}, "concurrency": 1, "circuit_breaker": True}, "retry": {"codes": ["409"], "never": ["5*"], "pause": "PT1S"},
    }  # fmt: skip
    assert registry.problems("profile", "acme/carrier-2", whole) == []


BELOW = {
    "/quotes": "https://api.example/v2/quotes",
    "quotes?a=b:c//d": "https://api.example/v2/quotes?a=b:c//d",
    "?all": "https://api.example/v2?all",
    "/": "https://api.example/v2/",
    "https://api.example/v2": "https://api.example/v2",
    "https://api.example/v2/quotes": "https://api.example/v2/quotes",
    "/at/12:30": "https://api.example/v2/at/12:30",
    "/@evil.example/x": "https://api.example/v2/@evil.example/x",
}
BESIDE = [
    "https://evil.example/v2/quotes", "https://api.example/v20/quotes", "https://api.example.evil.example/v2/", "//evil.example/x", "/../admin", "a/%2e%2E/b",
    "/a/..%2fb", "a\\..\\b", "/a/%5C..%5Cb", "./a", "http://api.example/v2/quotes", "mailto:x", "https://api.example/v2/../admin", "https:evil.example",
]  # fmt: skip


@pytest.mark.parametrize("given", BELOW)
def test_a_path_stands_below_the_address(given):
    assert Profile("p", 1, "https://api.example/v2").url(given) == BELOW[given]
    assert Profile("p", 1, "https://api.example/v2/").url(given) == BELOW[given]


@pytest.mark.req("APG-SEC-007")
@pytest.mark.parametrize("given", BESIDE)
def test_credentials_go_nowhere_beside_it(given):
    with pytest.raises(Failed, match="expected a path below"):
        Profile("p", 1, "https://api.example/v2").url(given)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine(MemoryLog(MemoryStore(2)), partitions=2)
    await made.start()
    yield made
    await made.stop()


async def done(engine: Engine, command: Any, tenant: str = "") -> dict[str, Any]:
    answer = await engine.call(command, Caller(tenant=tenant), timeout_s=120)
    assert not isinstance(answer, Rejected), answer
    return answer


async def store(engine: Engine, value: dict[str, Any] | None, name: str = "carrier", tenant: str = "") -> dict[str, Any]:
    full = f"{tenant}/{name}" if tenant else name
    return await done(engine, c.StoreRecord(registry="profile", name=full, value=value), tenant)


async def run(engine: Engine, id: str, tenant: str = "", **variables: Any) -> dict[str, Any]:
    """To its end. What is an incident is told at once."""
    going = asyncio.ensure_future(done(engine, c.StartInstance(id=id, variables=variables, wait=True), tenant))
    while not (await asyncio.wait({going}, timeout=0.02))[0]:
        assert not (wrong := [i.message for o in engine.owners.values() for i in o.state.incidents.values()]), wrong
    return going.result()


async def incident(engine: Engine, command: c.Deploy, tenant: str = "") -> str:
    """What the incident of one instance of it says."""
    await done(engine, command, tenant)
    await done(engine, c.StartInstance(id=command.resources[0].name.removesuffix(".bpmn")), tenant)
    async with asyncio.timeout(60):
        while not (found := [(o, i) for o in engine.owners.values() for i in o.state.incidents.values()]):
            await asyncio.sleep(0.02)
    [(owner, one)] = found
    await done(engine, c.CancelInstance(key=one.instance), tenant)
    return one.message


@pytest.mark.req("D-CON-005", "D-CON-002")
async def test_one_is_defined_once_and_two_processes_use_it_by_name(engine, target, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_SECRET_TOKEN", "hush-hush-1")
    quote = model("quote", url="/echo", method="POST", body="={a: 1}")
    warned = [f["message"] for f in (await done(engine, quote))["findings"] if f["code"] == "PROFILE_UNKNOWN"]
    assert warned == ["there is no API profile 'carrier'"], "deployment says what isn't there"
    made = await store(engine, {
        "base_url": f"{target.url}/", "authentication": {"type": "bearer", "token": "{{secrets.TOKEN}}"}, "headers": {"X-Of": "us", "accept": "text/plain"},
    })  # fmt: skip
    assert made["version"] == 1
    again = await done(engine, c.Deploy(resources=quote.resources, force=True))
    assert "PROFILE_UNKNOWN" not in [f["code"] for f in again["findings"]]
    await done(engine, model("track", url="echo?id=7", headers="={Accept: &quot;application/json&quot;}"))
    async with running(engine):
        first = (await run(engine, "quote"))["variables"]["out"]
        second = (await run(engine, "track"))["variables"]["out"]
    assert (first["method"], first["path"], first["body"], first["headers"]["x-of"]) == ("POST", "/echo", '{"a":1}', "us")
    assert (second["path"], second["headers"]["accept"]) == ("/echo?id=7", "application/json"), "a task's own headers go before"
    assert [r.headers["authorization"] for r in target.seen] == ["Bearer hush-hush-1"] * 2
    assert first["headers"]["authorization"] == "Bearer ***", "what comes back with the secret is hidden"


async def test_a_graphql_task_uses_one_too(engine, target, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_SECRET_KEY", "hush-hush-1")
    target.routes["/v2/graphql"] = lambda r: (200, {}, {"data": {"path": r.path, "key": r.headers.get("x-key")}})
    await store(engine, {"base_url": f"{target.url}/v2", "authentication": {"type": "apiKey", "name": "X-Key", "value": "{{secrets.KEY}}"}})
    await done(engine, model("ask", "graphql", url="/graphql", query="{ a }"))
    async with running(engine):
        assert (await run(engine, "ask"))["variables"]["out"]["data"] == {"path": "/v2/graphql", "key": "***"}
    await store(
        engine,
        {
            "base_url": f"{target.url}/v2",
            "authentication": {"type": "apiKey", "name": "k", "value": "{{secrets.KEY}}", "apiKeyLocation": "query"},
        },
    )
    async with running(engine):
        assert (await run(engine, "ask"))["variables"]["out"]["data"]["path"] == "/v2/graphql?k=***"


async def test_a_change_is_a_version_that_calls_from_then_on_use(engine, target, monkeypatch):
    monkeypatch.setattr("flowledger.connectors.profiles.FRESH_S", 0.0)
    await done(engine, model("quote", url="/echo"))
    one, two = ({"base_url": target.url, "headers": {"X-Of": of}} for of in ("one", "two"))
    seen = []
    async with running(engine):
        for value, version in ((one, 1), (one, 1), (two, 2), (one, 3)):
            assert (await store(engine, value))["version"] == version
            seen.append((await run(engine, "quote"))["variables"]["out"]["headers"]["x-of"])
    assert seen == ["one", "one", "two", "one"]
    listed = await done(engine, c.ListRecords(registry="profile"))
    assert [r["name"] for r in listed["records"]] == ["carrier", "carrier@1", "carrier@2", "carrier@3"]
    assert listed["records"][0]["value"]["created_us"] == listed["records"][1]["value"]["created_us"]
    for n in range(VERSIONS_MAX):
        await store(engine, {**one, "title": str(n)})
    names = [r["name"] for r in (await done(engine, c.ListRecords(registry="profile")))["records"]]
    assert len(names) == VERSIONS_MAX + 1 and "carrier@3" not in names and f"carrier@{VERSIONS_MAX + 3}" in names
    await store(engine, None)
    for owner in engine.owners.values():
        async with asyncio.timeout(60):
            while [name for name in owner.state.records if name[0] == "profile"]:
                await asyncio.sleep(0.02)
    async with running(engine):
        assert "there is no API profile 'carrier' (PROFILE_UNKNOWN)" in await incident(engine, model("other", url="/echo"))


def pinned(id: str, version: int) -> c.Deploy:
    [one] = model(id, url="/echo").resources
    return c.Deploy(resources=[c.Resource(one.name, one.content.replace('value="carrier"', f'value="carrier@{version}"'))])


@pytest.mark.req("D-CON-005")
async def test_a_model_may_pin_a_version(engine, target, monkeypatch):
    monkeypatch.setattr("flowledger.connectors.profiles.FRESH_S", 0.0)
    for of in ("one", "two", "three"):
        await store(engine, {"base_url": target.url, "headers": {"X-Of": of}, "limits": {"concurrency": 1}})
    warned = [f["message"] for f in (await done(engine, pinned("ahead", 4)))["findings"] if f["code"] == "PROFILE_UNKNOWN"]
    assert warned == [f"there is no API profile 'carrier@4'; the newest {VERSIONS_MAX} versions of each stay"]
    found = await done(engine, pinned("old", 2))
    assert "PROFILE_UNKNOWN" not in [f["code"] for f in found["findings"]]
    await done(engine, model("new", url="/echo"))
    async with running(engine):
        told = [(await run(engine, id))["variables"]["out"]["headers"]["x-of"] for id in ("old", "new")]
        assert told == ["two", "three"]
        assert "there is no API profile 'carrier@4' (PROFILE_UNKNOWN)" in await incident(engine, pinned("later", 4))
    for wrong in ("carrier@0", "carrier@", "carrier@x", "carrier@1@2", "@1"):
        [one] = pinned("wrong", 2).resources
        command = c.Deploy(resources=[c.Resource(one.name, one.content.replace("carrier@2", wrong))])
        async with running(engine):
            assert "profile: String should match" in await incident(engine, command), wrong


def slowly(target: Target, path: str) -> list[int]:
    """Answers there take a while. Returns how many were under way, at each call."""
    under_way, seen = 0, []

    async def answer(request: Any, writer: Any) -> None:
        nonlocal under_way
        under_way += 1
        seen.append(under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        writer.write(b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n1")

    target.routes[path] = answer
    return seen


async def test_pinned_or_not_a_profile_has_one_limit(engine, target):
    at_once = slowly(target, "/echo")
    for most_at_once in (9, 1):
        await store(engine, {"base_url": target.url, "limits": {"concurrency": most_at_once}})
    await done(engine, pinned("old", 1))
    await done(engine, model("new", url="/echo"))
    async with running(engine):
        await asyncio.gather(*(run(engine, id) for id in ("old", "new") * 5))
    assert max(at_once) == 1 and len(target.seen) == 10


async def test_a_version_of_that_for_all_is_none_of_a_tenants_own(engine, target):
    for of in ("all-1", "all-2"):
        await store(engine, {"base_url": target.url, "headers": {"X-Of": of}})
    await store(engine, {"base_url": target.url, "headers": {"X-Of": "acme"}}, tenant="acme")
    warned = [f["code"] for f in (await done(engine, pinned("quote", 2), "acme"))["findings"]]
    assert "PROFILE_UNKNOWN" in warned
    assert "PROFILE_UNKNOWN" not in [f["code"] for f in (await done(engine, pinned("quote", 2), "beta"))["findings"]]
    names = [r["name"] for r in (await done(engine, c.ListRecords(registry="profile"), "acme"))["records"]]
    assert names == ["carrier", "carrier@1"]
    async with running(engine, connector_tenants=("acme", "beta")):
        assert (await run(engine, "quote", "beta"))["variables"]["out"]["headers"]["x-of"] == "all-2"
        assert "there is no API profile 'carrier@2'" in await incident(engine, pinned("quote", 2), "acme")


async def test_a_tenant_has_its_own_and_else_that_for_all(engine, target):
    for tenant in ("", "acme", "beta"):
        await done(engine, model("quote", url="/echo"), tenant)
    await store(engine, {"base_url": target.url, "headers": {"X-Of": "all"}})
    await store(engine, {"base_url": target.url, "headers": {"X-Of": "acme"}}, tenant="acme")
    async with running(engine, connector_tenants=("acme", "beta")):
        found = [(await run(engine, "quote", tenant))["variables"]["out"]["headers"]["x-of"] for tenant in ("", "acme", "beta")]
    assert found == ["all", "acme", "all"]
    refused = await engine.call(c.StoreRecord(registry="profile", name="carrier", value=BASE), Caller(tenant="acme"))
    assert isinstance(refused, Rejected), "that for all is the operator's"


@pytest.mark.req("APG-SEC-007")
async def test_egress_control_holds_after_the_profile(engine, target):
    await store(engine, {"base_url": "http://127.0.0.2:9"})
    async with running(engine):
        told = await incident(engine, model("quote", url="/echo"))
    assert "127.0.0.2:9 is a private or loopback address" in told and "EGRESS_REFUSED" in told


@pytest.mark.parametrize(
    ("value", "inputs", "told"),
    [
        ({"authentication": {"type": "bearer", "token": "{{secrets.NOT_THERE}}"}}, {"url": "/echo"}, "SECRET_MISSING"),
        ({"headers": {"Host": "evil.example"}}, {"url": "/echo"}, "the profile carrier: "),
        ({"authentication": {"type": "basic", "username": "", "password": "{{secrets.TOKEN}}"}}, {"url": "/echo"}, "the profile carrier: basic.username"),
        ({}, {"url": "=&quot;https://evil.example&quot;"}, "expected a path below the address of the profile carrier"),
        ({"tls": {"certificate": "{{secrets.TOKEN}}", "key": "{{secrets.TOKEN}}"}}, {"url": "/echo"}, "tls: expected certificate, key and authorities as PEM"),
    ],
)  # fmt: skip
async def test_what_a_call_can_not_use_is_an_incident_without_a_secret(value, inputs, told, engine, target, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_SECRET_TOKEN", "hush-hush-1")
    await store(engine, {"base_url": target.url, **value})
    async with running(engine):
        said = await incident(engine, model("quote", url=inputs["url"]))
    assert told in said and "hush" not in said and target.seen == []


async def test_a_task_of_a_profile_brings_no_authentication_of_its_own(engine):
    wrong = model("quote", url="/echo")
    text = wrong.resources[0].content.replace(
        "</zeebe:ioMapping>",
        '<zeebe:input source="bearer" target="authentication.type"/><zeebe:input source="x" target="authentication.token"/></zeebe:ioMapping>',
    )
    from flowledger.connectors.check import findings
    from flowledger.kernel.model import read

    assert [f.message for f in findings(read(text.encode(), "q.bpmn")[0], "q.bpmn")] == [
        "'call': Value error, authentication: that of the profile holds, expected none"
    ]


@pytest.mark.req("D-CON-005", "APG-CON-015")
async def test_tokens_of_a_profile_are_asked_for_once_however_many_processes_use_it(engine, target, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_SECRET_CLIENT", "hush-hush-1")
    target.routes["/token"] = lambda r: (200, {}, {"access_token": "tok-1", "token_type": "bearer", "expires_in": 3600})
    await store(engine, {"base_url": target.url, "authentication": {
        "type": "oauth-client-credentials-flow", "oauthTokenEndpoint": f"{target.url}/token", "clientId": "us", "clientSecret": "{{secrets.CLIENT}}",
    }})  # fmt: skip
    for id in ("quote", "track"):
        await done(engine, model(id, url="/echo"))
    async with running(engine):
        await asyncio.gather(*(run(engine, id) for id in ("quote", "track") * 5))
    assert sorted(r.path for r in target.seen) == ["/echo"] * 10 + ["/token"]
    assert {r.headers["authorization"] for r in target.seen if r.path == "/echo"} == {"Bearer tok-1"}


@pytest.mark.req("D-CON-005")
async def test_its_limit_holds_over_all_partitions_and_processes(engine, target):
    """Never more than two at once, whatever process and partition they are of; and all get through."""
    at_once = slowly(target, "/slow")
    await store(engine, {"base_url": target.url, "limits": {"concurrency": 2}})
    for id in ("quote", "track"):
        await done(engine, model(id, url="/slow"))
    async with running(engine), running(engine):  # two nodes
        await asyncio.gather(*(run(engine, id) for id in ("quote", "track") * 10))
    assert max(at_once) <= 2 and len(target.seen) == 20
    # and without it more go
    await store(engine, {"base_url": target.url})
    for owner in engine.owners.values():
        async with asyncio.timeout(60):
            while "profile:carrier" in owner.state.guards:
                await asyncio.sleep(0.02)
    most = 0
    held = asyncio.Event()

    async def hold(request: Any, writer: Any) -> None:
        nonlocal most
        most += 1
        await held.wait()
        writer.write(b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n1")

    target.routes["/slow"] = hold
    async with running(engine):
        calls = [asyncio.ensure_future(run(engine, "quote")) for _ in range(6)]
        async with asyncio.timeout(60):
            while most < 6:
                await asyncio.sleep(0.02)
        held.set()
        await asyncio.gather(*calls)


async def test_a_breaker_of_a_profile_parks_the_tasks_of_all_that_use_it(engine, target):
    well = asyncio.Event()
    target.routes["/x"] = lambda request: (200 if well.is_set() else 503, {"retry-after": "0"}, 1)
    breaker = {"failures": 2, "open_ms": 300, "probes": 1, "full": 1}
    await store(engine, {"base_url": target.url, "limits": {"circuit_breaker": breaker}})
    for id in ("quote", "track"):
        await done(engine, model(id, url="/x", retries=90))
    async with running(engine):
        calls = [asyncio.ensure_future(run(engine, id)) for id in ("quote", "track", "quote", "track")]
        async with asyncio.timeout(60):
            while not any(
                (o.state.records.get(("breaker", "profile:carrier")) or {}).get("state") == "open" for o in engine.owners.values()
            ):
                await asyncio.sleep(0.01)
        well.set()
        assert [a["variables"]["out"] for a in await asyncio.gather(*calls)] == [1] * 4


@pytest.mark.parametrize(
    ("retry", "status", "again"),
    [
        ({}, 409, False),
        ({"codes": ["409"]}, 409, True),
        ({}, 503, True),
        ({"never": ["5*"]}, 503, False),
        ({"codes": ["5*"], "never": ["501"]}, 501, False),
    ],
)
async def test_which_errors_are_tried_again_is_the_profile_s_to_say(retry, status, again, bench, target):
    b = bench()
    target.routes["/x"] = (status, {}, b"")

    class One(Profiles):
        def __init__(self) -> None:
            super().__init__(None, b.runner.secrets)  # type: ignore[arg-type]

        async def _ask(self, tenant: str, name: str) -> dict[str, Any] | None:
            return {"base_url": target.url, "version": 1, "retry": {**retry, "pause": "PT7S"}, "timeout": "PT5S"}

    b.runner.profiles = One()
    with pytest.raises(JobFailed) as e:
        await b({"url": "/x"}, {"profile": "carrier"})
    assert (e.value.retries is None) == again and e.value.code == str(status)
    assert e.value.backoff_s == (7.0 if again else None)


async def test_a_profile_that_is_looked_up_is_used_on_while_nobody_answers(bench):
    b = bench()
    now, asked, away = 0.0, 0, False

    class Client:
        async def call(self, command: Any, caller: Any, **more: Any) -> Any:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            if away:
                raise ConnectionError("away")
            return {
                "records": [{"name": command.prefix, "value": {**BASE, "version": asked}}] if command.prefix == "here" else [],
                "more": False,
            }

    found = Profiles(Client(), b.runner.secrets, lambda: now)  # type: ignore[arg-type]
    assert [p.version for p in await asyncio.gather(*(found.of("", "here", Mask()) for _ in range(9)))] == [1] * 9 and asked == 1
    now = 0.9
    assert (await found.of("", "here", Mask())).version == 1
    now = 1.1
    assert (await found.of("", "here", Mask())).version == 2
    for _ in range(2):  # what isn't there may come at any moment
        with pytest.raises(Failed, match="there is no API profile 'gone'"):
            await found.of("", "gone", Mask())
    assert asked == 4
    away, now = True, 100.0
    assert (await found.of("", "here", Mask())).version == 2
    with pytest.raises(Failed) as e:
        await found.of("", "other", Mask())
    assert (e.value.code, e.value.again) == ("PROFILES_AWAY", True)


async def test_who_we_are_is_shown_by_a_certificate_that_secrets_hold(engine, tmp_path, monkeypatch):
    authority = Certificates(tmp_path)
    asks = authority.server("server.example")
    asks.verify_mode = ssl.CERT_REQUIRED
    asks.load_verify_locations(authority.file)
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            who = writer.get_extra_info("peercert")
            seen.append(dict(part[0] for part in who["subject"])["commonName"])
            writer.write(b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: 1\r\nconnection: close\r\n\r\n1")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=asks)
    port = server.sockets[0].getsockname()[1]
    (tmp_path / "secrets").mkdir()
    for name, text in zip(("CERT", "KEY", "CA"), (*authority.pem("us.example"), authority.file.read_text()), strict=True):
        (tmp_path / "secrets" / name).write_text(text)
    pair = {"certificate": "{{secrets.CERT}}", "key": "{{secrets.KEY}}"}
    profile = {"base_url": f"https://server.example:{port}", "tls": {**pair, "authorities": "{{secrets.CA}}"}}
    await store(engine, profile)
    await done(engine, model("quote", url="/x"))
    from flowledger.infra import egress

    async def here(name: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(egress, "system_resolve", here)
    monkeypatch.setattr("flowledger.connectors.profiles.FRESH_S", 0.0)
    options = {"secrets": (f"folder:{tmp_path}/secrets",), "egress_private": ("server.example",)}
    async with running(engine, **options):
        assert (await run(engine, "quote"))["variables"]["out"] == 1
        (tmp_path / "secrets" / "CERT").write_text((other := authority.pem("rotated.example"))[0])
        (tmp_path / "secrets" / "KEY").write_text(other[1])
        assert (await run(engine, "quote"))["variables"]["out"] == 1
        assert seen == ["us.example", "rotated.example"], "a rotated certificate needs no restart"
        await store(engine, {**profile, "tls": pair}, name="carrier")
        assert "(TLS)" in await incident(engine, model("strict", url="/x")), "the server's authority is nobody that we trust"
    server.close()


async def test_clients_with_certificates_are_bounded_and_those_in_use_are_kept(tmp_path):
    authority, gate, clients = Certificates(tmp_path), Gate(), Clients()
    pem = authority.file.read_text()
    async with clients.of({"authorities": pem}, gate) as first:
        for n in range(CLIENTS_MAX + 5):
            async with clients.of({"authorities": f"{pem}\n{'#' * (n + 1)}"}, gate):
                pass
        assert len(clients._kept) == CLIENTS_MAX and not first.is_closed
    async with clients.of({"authorities": pem}, gate) as same:
        assert same is first
    await clients.close()
    assert first.is_closed


def test_a_certificate_whose_key_is_not_rotated_yet_is_tried_again(tmp_path):
    authority = Certificates(tmp_path)
    with pytest.raises(Failed, match="MISMATCH") as e:
        context({"certificate": authority.pem("a")[0], "key": authority.pem("b")[1]}, Gate())
    assert e.value.again


def test_a_key_with_a_password_is_said_to_be_none():
    with pytest.raises(Failed, match="the key without a password") as e:
        context({"certificate": "-----BEGIN CERTIFICATE-----\nx", "key": "hush-hush"}, Gate())
    assert "hush" not in e.value.message and not e.value.again


@pytest.mark.req("D-CON-005")
@pytest.mark.parametrize("tenant", ["", "acme"])
async def test_profiles_go_with_models_or_not_at_all(tenant: str):
    made = Engine(MemoryLog(MemoryStore(2)))
    await made.start()
    try:
        caller, own = Caller(tenant=tenant), f"{tenant}/carrier" if tenant else "carrier"
        given = {"resources": model("pa", url="/quotes").resources, "profiles": {"carrier": BASE}}
        for _ in range(2):  # a second time it is the same, and makes no version
            answer = await made.call(c.Deploy(**given), caller)
            assert isinstance(answer, dict) and answer["profiles"] == [{"name": "carrier", "version": 1}], answer
            assert "PROFILE_UNKNOWN" not in {f["code"] for f in answer["findings"]}, "a model's profile that comes with it is there"
        answer = await made.call(c.Deploy(**{**given, "profiles": {"carrier": {**BASE, "title": "new"}}}), caller)
        assert (
            isinstance(answer, dict) and answer["profiles"] == [{"name": "carrier", "version": 2}] and answer["definitions"][0]["duplicate"]
        )
        for owner in made.owners.values():
            assert {v: owner.state.records["profile", f"{own}{v}"]["version"] for v in ("", "@1", "@2")} == {"": 2, "@1": 1, "@2": 2}
        broken = c.Resource("b.bpmn", "<definitions")
        clear = {**BASE, "authentication": {"type": "bearer", "token": "abcdef"}}
        good = model("pb", url="/quotes").resources
        for resources, profiles, words in (
            ([broken], {"carrier": {**BASE, "title": "newer"}}, "XML"), (good, {"other": clear}, "authentication.token"), (good, {"a/b": BASE}, "without /"),
            (good, {f"p{i}": BASE for i in range(101)}, "at most 100 API profiles"),
        ):  # fmt: skip
            refused = await made.call(c.Deploy(resources=resources, profiles=profiles), caller)
            assert (
                isinstance(refused, Rejected)
                and refused.code == "MODEL_INVALID"
                and words in refused.message
                and "abcdef" not in refused.message
            ), refused
        state = made.owners[0].state
        assert state.records["profile", own]["version"] == 2 and ("profile", "other") not in state.records
        assert not any(d.id == "pb" for d in state.definitions.values())
        answer = await made.call(c.Deploy(resources=good, profiles={f"p{i}": BASE for i in range(100)}), caller)
        assert isinstance(answer, dict) and len(answer["profiles"]) == 100
    finally:
        await made.stop()

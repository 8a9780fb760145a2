"""One table of requests, sent along the short way and along the framework's own: the same status, headers, body, command and figures."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest

from flowledger.api import short
from flowledger.api.access.door import Door
from flowledger.api.access.known import Identity, unknown
from flowledger.api.access.rights import rights_of
from flowledger.api.app import create_app
from flowledger.api.services import Services
from flowledger.events.base import Rejected, RejectionCode
from flowledger.infra.people import People
from flowledger.infra.settings import Settings
from flowledger.infra.telemetry import Telemetry
from tests.api.conftest import RowsInMemory, ScriptedClient

pytestmark = pytest.mark.req("APG-API-001", "APG-PER-019")
SETTINGS = Settings(body_bytes_max=3_000, wait_ms_max=5_000, origins=["https://pages.test"])
KEY = str(2 << 51 | 7)
START, ACTIVATE, MESSAGES, SIGNALS = "/v1/instances", "/v1/jobs/activate", "/v1/messages", "/v1/signals"
COMPLETE, FAIL, ERROR, EXTEND = (f"/v1/jobs/{KEY}/{move}" for move in ("complete", "fail", "error", "extend"))
TASK = f"/v1/tasks/{KEY}/complete"
Sent = tuple[str, str, Any, dict[str, str]]


def sent(path: str, body: Any = None, method: str = "POST", **headers: str) -> Sent:
    return method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}


GOOD: list[Sent] = [
    sent(START, {"definition": "order"}),
    sent(
        START,
        {
            "definition": KEY,
            "version": 2.0,
            "version_tag": "a",
            "variables": {"ü": [1.10, 10**30, None, {"a": {}}]},
            "business_key": "b",
            "priority": "high",
            "metadata": {"a": 1},
            "start_at": ["x"],
            "fetch": ["ü"],
        },
    ),
    sent(START, {"definition": "order", "wait_ms": 5000}, idempotency_key="k1"),
    sent(START, {"definition": "order", "wait_ms": 5000}),
    sent(START, {"definition": "order"}, idempotency_key="k2", x_actor="ann", x_tenant="blue"),
    sent(START, {"definition": "order"}, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    sent(START, {"definition": "order"}, accept="application/json, text/plain;q=0.5", accept_encoding="gzip", user_agent="a b"),
    sent(START, {"definition": "order"}, content_type="application/vnd.x+json; charset=UTF-8"),
    sent(START, {"definition": "order"}, origin="https://pages.test"),
    sent(START + "?dry_run=true", {"definition": "order"}),
    sent(START + "?dry_run=false&plan=" + "a" * 24, {"definition": "order"}),
    sent(ACTIVATE, {"type": "a", "worker": "w"}),
    sent(ACTIVATE, {"type": "a", "worker": "w", "max": 2, "timeout_ms": 5, "wait_ms": 50, "variables": []}),
    sent(COMPLETE, {"variables": {"a": 1}, "fence": 3, "status": "partial_success", "result": {"summary": "s"}}),
    sent(COMPLETE),
    sent(COMPLETE, {}),
    sent(FAIL, {"message": "m", "retries": 1, "backoff_ms": 5, "variables": {}}),
    sent(FAIL),
    sent(ERROR, {"code": "E"}),
    sent(EXTEND, {"timeout_ms": 5}),
    sent(MESSAGES, {"name": "paid", "correlation_key": "7", "variables": {"a": 1}, "ttl_ms": 5, "message_id": "m"}),
    sent(SIGNALS, {"name": "stop"}),
    sent(TASK, {"variables": {}, "row_version": 3}),
    sent(TASK, {}, if_match='"3"'),
    sent(TASK),
]
BAD: list[Sent] = [
    sent(START),
    sent(START, b""),
    sent(START, b"{"),
    sent(START, b"null"),
    sent(START, b"[]"),
    sent(START, b'{"definition": "a", "definition": "b"}'),
    sent(START, b'{"definition": "\\ud800"}'),
    sent(START, b'\xef\xbb\xbf{"definition": "a"}'),
    sent(START, b'{"definition": "\xff"}'),
    sent(START, b'{"definition": "a", "variables": ' + b'{"a":' * 120 + b"1" + b"}" * 121),
    sent(START, {"definition": "order", "vars": {}}),
    sent(START, {"variables": {}}),
    sent(START, {"definition": ""}),
    sent(START, {"definition": "a" * 300}),
    sent(START, {"definition": "order", "version": -1}),
    sent(START, {"definition": "order", "version": "1"}),
    sent(START, {"definition": "order", "priority": "whatever"}),
    sent(START, {"definition": "order", "wait_ms": 5001}),
    sent(START, {"definition": "order", "variables": {"a": "b" * 4000}}),
    sent(START, {"definition": "order"}, content_length="9999"),
    sent(START, {"definition": "order"}, content_length="many"),
    sent(START, {"definition": "order"}, content_type="text/plain"),
    sent(START, {"definition": "order"}, content_type=""),
    sent(START, {"definition": "order"}, content_type="multipart/form-data; boundary=x"),
    sent(START, {"definition": "order"}, content_type="application/x-www-form-urlencoded"),
    sent(START, {"definition": "order"}, content_type="application/json; charset=latin-1"),
    sent(START, {"definition": "order"}, content_encoding="gzip"),
    sent(START, {"definition": "order"}, accept="text/html"),
    sent(START, {"definition": "order"}, accept="application/json;q=0"),
    sent(START, {"definition": "order"}, if_match='"3"'),
    sent(START, {"definition": "order"}, idempotency_key="k" * 201),
    sent(START, {"definition": "order"}, host="elsewhere.test"),
    sent(START, {"definition": "order"}, host="127.0.0.1/x"),
    sent(START, {"definition": "order"}, origin="https://evil.test"),
    sent(START + "?wait=1", {"definition": "order"}),
    sent(START + "?dry_run=maybe", {"definition": "order"}),
    sent(START + "?plan=short", {"definition": "order"}),
    sent(START + "?plan=a&plan=b", {"definition": "order"}),
    sent(START + "?a=%ff", {"definition": "order"}),
    sent(START + "/", {"definition": "order"}),
    sent("//v1//instances", {"definition": "order"}),
    sent("/V1/instances", {"definition": "order"}),
    sent("/v1/instances/x", {"definition": "order"}),
    sent(START, {"definition": "order"}, "PUT"),
    sent(START, None, "OPTIONS"),
    sent(START, None, "OPTIONS", origin="https://pages.test", access_control_request_method="POST"),
    sent(COMPLETE, None, "GET"),
    sent(COMPLETE, None, "HEAD"),
    sent(ACTIVATE, {"type": "a"}),
    sent(ACTIVATE, {"type": "a", "worker": "w", "max": 1001}),
    sent(ACTIVATE, {"type": "a", "worker": "w", "wait_ms": 5001}),
    sent(ACTIVATE + "?dry_run=true", {"type": "a", "worker": "w"}),
    sent(COMPLETE, {"fence": -1}),
    sent(COMPLETE, b"null"),
    sent(COMPLETE, {}, if_match='"3"'),
    sent("/v1/jobs/0/complete", {}),
    sent("/v1/jobs/99999999999999999999/complete", {}),
    sent("/v1/jobs/one/complete", {}),
    sent("/v1/jobs/\u0663/complete", {}),
    sent("/v1/jobs//complete", {}),
    sent("/v1/jobs/activate/complete", {}),
    sent(f"/v1/jobs/{KEY}/complete/", {}),
    sent(f"/v1/jobs/{KEY}/complete/more", {}),
    sent(f"/v1/jobs/{KEY}/finish", {}),
    sent(ERROR),
    sent(ERROR, {"code": ""}),
    sent(EXTEND, {"timeout_ms": 0}),
    sent(MESSAGES, {"name": ""}),
    sent(MESSAGES, {"name": "a\nb"}),
    sent(SIGNALS, {}),
    sent(TASK, {"row_version": 4}, if_match='"3"'),
    sent(TASK, {}, if_match="three"),
]


def _boom(command: Any) -> Any:
    raise ValueError("a secret that nobody may read")


ANSWERS: dict[str, Any] = {
    "plain": lambda command: {"key": int(KEY), "task": int(KEY), "position": "2-41", "row_version": 3, "status": "completed", "variables": {"a": {"id": 1}}},
    "defect": _boom,
    **{
        str(code): (lambda command, code=code: Rejected(code, "why not", retry_after_ms=2500))
        for code in (*vars(RejectionCode).values(), "STRANGE")
        if isinstance(code, str) and code.isupper()
    },
}  # fmt: skip


class Asked(ScriptedClient):
    """With the plans of dry runs."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = dict.fromkeys(("StartInstance", "CompleteTask", "PublishMessage"), ANSWERS["plain"])

    async def call(self, command: Any, caller: Any = None, **more: Any) -> Any:
        plan = more.pop("plan", None)
        answer = await super().call(command, caller, **more)
        self.calls[-1][2]["plan"] = plan
        return answer


class Keys:
    """What is known of keys: `KEY-author` and so on, of two tenants."""

    def __init__(self) -> None:
        self.held: list[Identity] = []
        self.people = People()

    def of_key(self, text: str) -> Identity:
        role = text.removeprefix("key-")
        if role not in ("operator", "viewer", "worker"):
            raise unknown("this API key is not known")
        return Identity("key", role, [role], rights_of([role]), ["blue", "red"], b"", 1 << 62, id=f"id-{role}")


class Both:
    """The same application twice, each with services of its own."""

    def __init__(self, signed_in: bool, settings: Settings = SETTINGS) -> None:
        self.apps = []
        for taken in (True, False):
            client, telemetry = Asked(), Telemetry()
            services = Services(client, RowsInMemory(), settings, telemetry)  # type: ignore[arg-type]
            if signed_in:
                services.sign_in_with(Door(Keys(), settings), Mock())  # type: ignore[arg-type]  # nobody has an account: all are keys
            self.apps.append((create_app(services, short=taken), client, telemetry))


@pytest.fixture(scope="module")
def both() -> Both:
    return Both(False)


@pytest.fixture(scope="module")
def behind_the_door() -> Both:
    return Both(True)


def scope_of(each: Sent, **more: str) -> tuple[dict[str, Any], bytes]:
    method, target, body, given = each
    path, _, query = target.partition("?")
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    headers = {"host": "127.0.0.1:8080", "x-correlation-id": "c-1", "content-type": "application/json", "content-length": str(len(raw))}
    headers |= {**more, **given}
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "server": ("127.0.0.1", 8080), "client": ("10.0.0.9", 5), "scheme": "http",
        "method": method, "root_path": "", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(n.encode(), v.encode("latin-1")) for n, v in headers.items()],
    }, raw  # fmt: skip


async def ask(app: Any, scope: dict[str, Any], pieces: list[bytes], gone: bool = False) -> list[Any]:
    said: list[Any] = []
    coming = iter(pieces)
    left = len(pieces)

    async def receive() -> Any:
        nonlocal left
        left -= 1
        if (piece := next(coming, None)) is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": left > 0 or gone}

    async def send(message: Any) -> None:
        said.append(message)

    await app(scope, receive, send)
    for message in said:  # methods of a path have no order: they come from a set
        if "headers" in message:
            message["headers"] = [(n, b", ".join(sorted(v.split(b", "))) if n == b"allow" else v) for n, v in message["headers"]]
        if b"METHOD_NOT_ALLOWED" in message.get("body", b""):
            problem = json.loads(message["body"])
            allowed, _, rest = problem["detail"].partition(" was expected")
            message["body"] = {**problem, "detail": f"{sorted(allowed.split(', '))}{rest}"}
    return said


def plain(value: Any) -> Any:
    return {"is": type(value).__name__, **msgspec.structs.asdict(value)} if isinstance(value, msgspec.Struct) else value


def counted(telemetry: Telemetry) -> dict[Any, float]:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in (telemetry.metrics.http, telemetry.metrics.http_seconds, telemetry.metrics.http_commands)
        for family in metric.collect()
        for sample in family.samples
        if not sample.name.endswith(("_created", "_sum", "_bucket"))
    }


async def compare(both: Both, each: Sent, cut: Callable[[bytes], list[bytes]] = lambda raw: [raw], gone: bool = False, **more: str) -> Any:
    """What the short way's and the long way's applications have said, asked their client, counted and left in the scope."""
    ways = []
    for app, client, telemetry in both.apps:
        scope, raw = scope_of(each, **more)
        client.calls.clear()
        client.activations.clear()
        before = counted(telemetry)
        said = await ask(app, scope, cut(raw), gone)
        after = counted(telemetry)
        calls = [
            (plain(command), {name: plain(getattr(caller, name)) for name in ("actor", "tenant", "correlation", "trace", "groups", "rights", "origin")}, more_)
            for command, caller, more_ in client.calls
        ]  # fmt: skip
        left = {
            name: scope.get(name)
            for name in ("path", "path_template", "path_params", "flowledger_long", "flowledger_decided", "flowledger_refused")
        }
        ways.append(
            (said, calls, list(client.activations), left, {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)})
        )
    by_short, by_long = ways
    for one, other in itertools.zip_longest(by_short, by_long):
        assert one == other
    return by_short[0]


@pytest.fixture(autouse=True)
def same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowledger.api.services.uuid.uuid4", lambda: uuid.UUID(int=7))
    monkeypatch.setattr("flowledger.api.guard.os.urandom", lambda n: b"\7" * n)


def named(each: Sent) -> str:
    return f"{each[0]} {each[1]} {each[2]!r} {each[3]}"[:120]


@pytest.mark.parametrize("each", GOOD + BAD, ids=named)
async def test_both_ways_say_the_same(both: Both, each: Sent) -> None:
    said = await compare(both, each)
    ok = said[0]["status"] < 400
    assert ok == (each in GOOD or each[0] == "OPTIONS" or each[1] in (START + "/", "//v1//instances", f"/v1/jobs/{KEY}/complete/")), said


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("path", [START, COMPLETE, TASK, START + "?dry_run=true"])
async def test_both_ways_tell_what_the_owner_answers(both: Both, path: str, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for _, client, _ in both.apps:
        monkeypatch.setattr(client, "answers", dict.fromkeys(("StartInstance", "CompleteTask"), ANSWERS[answer]))
    body = {"definition": "order", "wait_ms": 10} if path.startswith(START) else {}
    for more in ({}, {"idempotency-key": "k"}, {"if-match": '"3"'} if path == TASK else {}):
        said = await compare(both, sent(path, body), **more)
        assert b"secret" not in said[1]["body"]


def whole(raw: bytes) -> list[bytes]:
    return [raw]


def halves(raw: bytes) -> list[bytes]:
    return [raw[:5], raw[5:], b""]


def late(raw: bytes) -> list[bytes]:
    return [b"", raw]


@pytest.mark.parametrize("cut", [whole, halves, late])
@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("size", [10, 2_900, 3_100])
@pytest.mark.parametrize("said", ["as it is", "nothing", "less"])
async def test_bodies_come_in_pieces_and_end_early(both: Both, cut: Any, gone: bool, size: int, said: str) -> None:
    body = {"definition": "order", "variables": {"a": "b" * size}}
    more = {"nothing": {"content-length": "0"}, "less": {"content-length": "5"}}.get(said, {})
    await compare(both, sent(START, body), cut, gone, **more)
    await compare(both, sent(COMPLETE, {"variables": body}), cut, gone, **more)
    await compare(both, sent(COMPLETE), cut, gone, **more)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer key-worker", "Bearer key-operator", "Bearer key-viewer", "Bearer key-nobody", "Basic eDp5"]
)
@pytest.mark.parametrize("tenant", [None, "red", "green"])
@pytest.mark.parametrize(
    "each", [*GOOD[:1], *GOOD[11:14], *GOOD[20:23], BAD[2], sent(START, {"definition": "order"}, content_length="9999")], ids=named
)
async def test_the_door_is_the_same(behind_the_door: Both, each: Sent, authorization: str, tenant: str | None) -> None:
    more = ({"authorization": authorization} if authorization else {}) | ({"x-tenant": tenant} if tenant else {})
    said = await compare(behind_the_door, each, **more)
    if "nobody" in authorization or not authorization.startswith("Bearer"):
        assert said[0]["status"] == 401
    elif tenant == "green":
        assert said[0]["status"] == 403


async def test_a_cookie_needs_its_token(behind_the_door: Both) -> None:
    async def of_session(self: Keys, session: str) -> Identity:
        return Identity("user", "ann", ["operator"], rights_of(["operator"]), ["blue"], b"", 1 << 62, csrf="t")

    Keys.of_session = of_session  # type: ignore[attr-defined]
    for token, expected in (("", 403), ("x", 403), ("t", 201)):
        more = {"cookie": "flowledger_session=s", **({"x-csrf-token": token} if token else {})}
        said = await compare(behind_the_door, sent(START, {"definition": "order"}), **more)
        assert said[0]["status"] == expected


async def test_hosts_that_the_framework_refuses() -> None:
    """Where any name is answered to; else the outermost layer has refused them before."""
    to_all = Both(False, Settings(body_bytes_max=3_000, host="10.0.0.1"))
    for host, expected in (
        ("a.test:80", 201),
        ("[::1]:80", 201),
        ("a_b~c", 201),
        ("", 201),
        ("a/b", 400),
        ("a?b", 400),
        ("a b", 400),
        ("a#b", 400),
    ):
        said = await compare(to_all, sent(START, {"definition": "order"}, host=host))
        assert said[0]["status"] == expected, host


async def test_headers_that_come_several_times(both: Both) -> None:
    html, css, kinds = "text/html", "text/css", "application/json"
    for name, values in (("accept", (html, kinds)), ("accept", (html, css)), ("x-actor", ("a", "b")), ("idempotency-key", ("a", "b"))):
        ways = []
        for app, client, _ in both.apps:
            scope, raw = scope_of(sent(START, {"definition": "order"}))
            scope["headers"] += [(name.encode(), v.encode()) for v in values]
            client.calls.clear()
            ways.append((await ask(app, scope, [raw]), [(c, caller.actor, more) for c, caller, more in client.calls]))
        assert ways[0] == ways[1]


async def test_it_is_taken_by_those_that_it_is_for(both: Both) -> None:
    """So that the tables above compare two ways, and a route that has changed its form doesn't leave this one unseen."""
    (app, _, _), (long, _, _) = both.apps
    way: Any = app.asgi_handler
    while not isinstance(way, short.Short):
        way = way.app
    asked = []
    real = way.router

    async def router(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await real(scope, receive, send)

    way.router = router
    try:
        for path, body in ((START, {"definition": "a"}), (ACTIVATE, {"type": "a", "worker": "w"}), (COMPLETE, {}), (FAIL, None), (ERROR, {"code": "E"}),
                           (EXTEND, {"timeout_ms": 5}), (MESSAGES, {"name": "a"}), (SIGNALS, {"name": "a"}), (TASK, {})):  # fmt: skip
            scope, raw = scope_of(sent(path, body))
            assert (await ask(app, scope, [raw]))[0]["status"] < 300
            assert not asked
        for path in (START + "/", "/v1/jobs/x/complete", "/health/live"):
            scope, raw = scope_of(sent(path, {"definition": "a"}))
            await ask(app, scope, [raw])
            assert asked.pop() == path
    finally:
        way.router = real
    assert len(way._plain) + len(way._keyed) == len(short.SHORT)
    around: Any = long.asgi_handler
    while around is not long.asgi_router:
        assert not isinstance(around, short.Short)
        around = around.app


async def test_what_is_more_than_it_knows_is_refused(both: Both) -> None:
    (app, _, _), _ = both.apps
    handlers = {r.path_format: h for r in app.routes for m, (h, _) in getattr(r, "route_handler_map", {}).items() if m == "POST"}
    for path in ("/v1/tasks/{id}/{move}", "/v1/deployments"):
        with pytest.raises(RuntimeError, match="not for the short way"):
            short.Way(path, handlers[path])

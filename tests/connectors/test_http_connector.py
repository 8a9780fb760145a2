"""The HTTP connector against a real server: what it sends, what comes back, each class of error, and what it never does."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
import zlib
from decimal import Decimal
from email.utils import formatdate
from urllib.parse import parse_qs

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flowledger.connectors.outcomes import AFTER_S_MAX, after_s
from flowledger.infra.telemetry import Tracer
from flowledger.sdk.job import BpmnError, JobFailed

OUT = {"resultVariable": "out"}


async def failure(call) -> JobFailed:
    with pytest.raises(JobFailed) as e:
        await call
    return e.value


# --- what is sent -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def test_methods(target, bench, method: str):
    found = (
        await bench()({"url": f"{target.url}/echo?a=1", "method": method, "queryParameters": {"b": [1, "x y"], "c": True, "d": None}}, OUT)
    )["out"]
    seen = target.seen[0]
    assert (found["status"], seen.method, seen.path) == (200, method, "/echo?a=1&b=1&b=x+y&c=true")
    assert ("idempotency-key" in seen.headers) == (method in ("POST", "PUT", "PATCH", "DELETE"))


@pytest.mark.parametrize(
    "body,headers,sent,kind",
    [
        ({"n": Decimal("1.10"), "list": [1, None]}, {}, b'{"n":1.10,"list":[1,null]}', "application/json"),
        ([1, 2], {"Content-Type": "application/vnd.x+json"}, b"[1,2]", "application/vnd.x+json"),
        ("gr\u00fc\u00dfe", {}, "gr\u00fc\u00dfe".encode(), "text/plain; charset=utf-8"),
        ("<a/>", {"content-type": "application/xml"}, b"<a/>", "application/xml"),
        ({"a": "x y&", "b": [1, 2], "c": None}, {"Content-Type": "application/x-www-form-urlencoded"}, b"a=x+y%26&b=1&b=2", "application/x-www-form-urlencoded"),
        (0, {}, b"0", "application/json"),
        (False, {}, b"false", "application/json"),
    ],
)  # fmt: skip
async def test_bodies(target, bench, body, headers, sent: bytes, kind: str):
    await bench()({"url": f"{target.url}/echo", "method": "POST", "body": body, "headers": headers})
    assert target.seen[0].body == sent and target.seen[0].headers["content-type"] == kind


async def test_multipart(target, bench):
    body = {"note": "hi", "file": {"content": "a,b\n", "filename": "x.csv", "contentType": "text/csv"}}
    await bench()({"url": f"{target.url}/echo", "method": "POST", "body": body, "headers": {"Content-Type": "multipart/form-data"}})
    seen = target.seen[0]
    assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="note"' in seen.body and b'filename="x.csv"' in seen.body and b"text/csv" in seen.body and b"a,b\n" in seen.body


@pytest.mark.parametrize(
    "authentication,header",
    [
        ({"type": "basic", "username": "us\u00e9r", "password": "pass-word"}, "Basic " + base64.b64encode("us\u00e9r:pass-word".encode()).decode()),
        ({"type": "bearer", "token": "t0ken"}, "Bearer t0ken"),
        ({"type": "apiKey", "apiKeyLocation": "headers", "name": "Authorization", "value": "key-1"}, "key-1"),
        ({"type": "noAuth"}, None),
    ],
)  # fmt: skip
async def test_authentication(target, bench, authentication, header):
    await bench()({"url": f"{target.url}/echo", "authentication": authentication})
    assert target.seen[0].headers.get("authorization") == header


async def test_an_api_key_in_the_query(target, bench):
    await bench()(
        {"url": f"{target.url}/echo", "authentication": {"type": "apiKey", "apiKeyLocation": "query", "name": "k", "value": "a b"}}
    )
    assert parse_qs(target.seen[0].path.split("?")[1]) == {"k": ["a b"]}


async def test_settings_from_headers_of_the_task_and_inputs_win(target, bench):
    headers = {"url": f"{target.url}/none", "method": "POST", "authentication.type": "bearer", "authentication.token": "from-header", **OUT}
    await bench()({"url": f"{target.url}/echo", "body": "x"}, headers)
    assert (target.seen[0].method, target.seen[0].path, target.seen[0].headers["authorization"]) == ("POST", "/echo", "Bearer from-header")


async def test_the_trace_goes_on(target, bench):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await bench()({"url": f"{target.url}/echo"}, trace=trace)
    assert target.seen[0].headers["traceparent"] == trace


@pytest.mark.req("APG-RES-006")
async def test_the_idempotency_key_is_that_of_the_work(target, bench):
    run = bench()
    for _ in range(2):  # delivered twice
        await run({"url": f"{target.url}/echo", "method": "POST"}, key="4711")
    await run({"url": f"{target.url}/echo", "method": "POST", "idempotencyHeader": "X-Key"}, key="4711")
    await run({"url": f"{target.url}/echo", "method": "POST", "idempotencyHeader": ""}, key="4711")
    await run({"url": f"{target.url}/echo", "method": "POST", "headers": {"idempotency-key": "own"}}, key="4711")
    found = [(s.headers.get("idempotency-key"), s.headers.get("x-key")) for s in target.seen]
    assert found == [("4711", None), ("4711", None), (None, "4711"), (None, None), ("own", None)]


async def test_no_cookie_goes_from_one_call_to_another(target, bench):
    target.routes["/set"] = (200, {"set-cookie": "sid=1; Path=/"}, b"")
    run = bench()
    await run({"url": f"{target.url}/set"})
    await run({"url": f"{target.url}/echo"})
    assert "cookie" not in target.seen[1].headers


# --- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers,body,value",
    [
        ({"content-type": "application/json"}, b'{"n": 1.10}', {"n": Decimal("1.10")}),
        ({"content-type": "application/problem+json; charset=utf-8"}, b"[1]", [1]),
        ({}, b'{"a": 1}', {"a": 1}),
        ({"content-type": "text/plain"}, b"hi", "hi"),
        ({"content-type": "text/plain; charset=iso-8859-1"}, b"\xfc", "\u00fc"),
        ({"content-type": "application/json"}, b"", None),
        ({"content-type": "text/plain", "content-encoding": "gzip"}, gzip.compress(b"packed", mtime=0), "packed"),
        ({"content-type": "text/plain", "content-encoding": "deflate"}, zlib.compress(b"packed"), "packed"),
    ],
)
async def test_answers(target, bench, headers, body: bytes, value):
    target.routes["/x"] = (200, headers, body)
    assert (await bench()({"url": f"{target.url}/x"}, OUT))["out"]["body"] == value


@pytest.mark.parametrize(
    "headers,code",
    [
        ({}, {}),
        ({"resultVariable": "a"}, {"a": {"status": 200, "reason": "Word", "headers": {"content-type": "application/json", "content-length": "8"}, "body": {"n": 1}}}),
        ({"resultExpression": "= {x: response.body.n + 1, s: status}"}, {"x": 2, "s": 200}),
        ({"resultExpression": "{x: body.n}"}, {"x": 1}),
        ({"resultExpression": "= null"}, {}),
        ({"resultVariable": "a", "resultExpression": '= {a: 1, at: "x" in ["x"]}'}, {"a": 1, "at": True}),
    ],
)  # fmt: skip
async def test_results(target, bench, headers, code):
    target.routes["/x"] = (200, {}, {"n": 1})
    assert await bench()({"url": f"{target.url}/x"}, headers) == code


@pytest.mark.req("APG-RES-005", "WOS-RES-004")
@pytest.mark.parametrize(
    "status,expression,outcome",
    [
        (404, '= if error.code = "404" then bpmnError("GONE", "it is gone", {id: response.body.id}) else null', ("error", "GONE", "it is gone", {"id": 7})),
        (200, '= if status = 200 then bpmnError("ODD") else null', ("error", "ODD", "", None)),
        (404, '= if error.code = "404" then ignoreError({found: false}) else null', ("done", {"found": False})),
        (404, "= ignoreError()", ("done", {})),
        (404, '= jobError("later", {a: 1}, 2, @"PT1M")', ("failed", "later", 2, 60.0)),
        (404, '= jobError(message: "now", retries: 0)', ("failed", "now", 0, None)),
        (503, '= if job.retries < 2 then bpmnError("DOWN") else null', ("failed", "GET answered 503 Word (503)", None, None)),
        (200, "= null", ("done", {})),
        (404, "= {a: 1}", ("failed", "GET answered 404 Word (404)", 0, None)),
    ],
)  # fmt: skip
async def test_error_expressions(target, bench, status: int, expression: str, outcome):
    target.routes["/x"] = (status, {}, {"id": 7})
    call = bench()({"url": f"{target.url}/x"}, {"errorExpression": expression})
    if outcome[0] == "done":
        assert await call == outcome[1]
    elif outcome[0] == "error":
        with pytest.raises(BpmnError) as e:
            await call
        assert (e.value.code, e.value.message, e.value.variables) == outcome[1:]
    else:
        found = await failure(call)
        assert (found.message, found.retries, found.backoff_s) == outcome[1:]


# --- classes of errors ------------------------------------------------------------------------------------------------


@pytest.mark.req("WSM-RES-002", "WSM-RES-003")
@pytest.mark.parametrize(
    "status,again",
    [
        (s, s in (408, 425, 429, 500, 502, 503, 504))
        for s in (400, 401, 403, 404, 405, 408, 409, 410, 422, 425, 429, 500, 501, 502, 503, 504, 505, 599)
    ],
)
async def test_which_answers_are_tried_again(target, bench, status: int, again: bool):
    target.routes["/x"] = (status, {}, b"why")
    found = await failure(bench()({"url": f"{target.url}/x"}))
    assert (found.code, found.retries) == (str(status), None if again else 0)
    assert found.message == f"GET answered {status} Word ({status})"


@pytest.mark.parametrize("status,body", [(301, b""), (302, b""), (304, b""), (204, b"")])
async def test_other_answers_are_answers(target, bench, status: int, body: bytes):
    target.routes["/x"] = (status, {"location": "http://169.254.169.254/"}, body)
    assert (await bench()({"url": f"{target.url}/x"}, OUT))["out"]["status"] == status
    assert len(target.seen) == 1


@pytest.mark.parametrize(
    "header,seconds",
    [
        ("7", 7.0), ("0", 0.0), ("99999999999999", AFTER_S_MAX), (formatdate(1_000_030, usegmt=True), 30.0), (formatdate(999_000, usegmt=True), 0.0),
        (formatdate(1_000_000 + 366 * 86400, usegmt=True), AFTER_S_MAX), ("soon", None), ("-5", None), ("1.5", None), ("", None), ("\u0661", None),
    ],
)  # fmt: skip
def test_retry_after(header: str, seconds: float | None):
    assert after_s(header, 1_000_000.0) == seconds


@pytest.mark.parametrize(
    "header,own,waits", [("7", "", 7.0), ("7", "PT1M", 60.0), ("70", "PT1M", 70.0), (None, "PT5S", 5.0), (None, "", None)]
)
async def test_how_long_the_next_attempt_waits(target, bench, header, own: str, waits: float | None):
    target.routes["/x"] = (429, {"retry-after": header} if header else {}, b"")
    assert (await failure(bench()({"url": f"{target.url}/x"}, {"retryBackoff": own} if own else {}))).backoff_s == waits


async def test_slow_answers_end_in_time(target, bench):
    async def drip(request, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def silent(request, writer) -> None:
        await asyncio.sleep(3600)

    target.routes |= {"/drip": drip, "/silent": silent}
    for path, limits in (
        ("/drip", {"timeoutInSeconds": 1}),
        ("/silent", {"readTimeoutInSeconds": 1}),
        ("/silent", {"timeoutInSeconds": "1"}),
    ):
        found = await failure(bench()({"url": target.url + path, **limits}))
        assert (found.code, found.retries) == ("TIMEOUT", None) and "is not known" in found.message
    found = await failure(bench(connector_timeout_s=0.2)({"url": f"{target.url}/silent"}))  # the operator's limit
    assert found.code == "TIMEOUT"


async def test_cut_connections_are_tried_again(target, bench):
    async def at_once(request, writer) -> None:
        writer.close()

    async def amid(request, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async def nonsense(request, writer) -> None:
        writer.write(b"what is this\r\n\r\n")
        await writer.drain()
        writer.close()

    target.routes |= {"/a": at_once, "/b": amid, "/c": nonsense}
    for path in ("/a", "/b", "/c"):
        found = await failure(bench()({"url": target.url + path}))
        assert (found.code, found.retries) == ("CUT", None) and "is not known" in found.message, path


async def test_nobody_there(target, bench):
    await target.close()
    found = await failure(bench()({"url": f"{target.url}/x"}))
    assert (found.code, found.retries) == ("CONNECT", None) and "is not known" not in found.message


async def test_too_large(target, bench):
    most = 4096
    run = bench(connector_answer_bytes_max=most)

    async def endless(request, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"400\r\n" + b"x" * 0x400 + b"\r\n")
            await writer.drain()

    target.routes |= {
        "/fits": (200, {}, b"x" * most),
        "/more": (200, {}, b"x" * (most + 1)),
        "/bomb": (200, {"content-encoding": "gzip"}, gzip.compress(b"0" * 20_000_000)),
        "/endless": endless,
    }
    assert len((await run({"url": f"{target.url}/fits"}, OUT))["out"]["body"]) == most
    for path in ("/more", "/bomb", "/endless"):
        found = await failure(run({"url": target.url + path}))
        assert (found.code, found.retries) == ("ANSWER_TOO_LARGE", 0) and "4096" in found.message, path


@pytest.mark.parametrize(
    "headers,body",
    [
        ({"content-type": "application/json"}, b"{no json"), ({"content-type": "application/json"}, b"\xff"), ({"content-type": "text/plain"}, b"\xff\xfe"),
        ({"content-type": "application/json"}, b"[" * 200 + b"]" * 200), ({"content-type": "application/octet-stream"}, b"\x80"),
        ({"content-type": "text/plain; charset=nonsense"}, b"x"), ({"content-encoding": "br"}, b"x"), ({"content-encoding": "gzip"}, b"no gzip"),
    ],
)  # fmt: skip
async def test_unreadable_answers(target, bench, headers, body: bytes):
    target.routes["/x"] = (200, headers, body)
    assert (await failure(bench()({"url": f"{target.url}/x"}))).code == "ANSWER_UNREADABLE"


@pytest.mark.parametrize(
    "variables,words",
    [
        ({}, "url"), ({"url": "http://x", "method": "YELL"}, "method"), ({"url": "http://x", "headers": {"a b": "c"}}, "headers"),
        ({"url": "http://x", "headers": {"a": "b\r\nc: d"}}, "headers.a"), ({"url": "http://x", "headers": {"Host": "y"}}, "headers.Host"),
        ({"url": "http://x", "body": "b"}, "GET takes none"), ({"url": "http://x", "authentication": {"type": "magic"}}, "authentication"),
        ({"url": "http://x", "authentication": {"type": "basic", "username": "u"}}, "password"), ({"url": "http://x", "timeoutInSeconds": 0}, "timeoutInSeconds"),
        ({"url": "http://x", "authentication": {"type": "bearer", "token": "a\nb"}}, "token"), ({"url": "http://x", "fileName": "a"}, "storeResponse"),
        ({"url": "http://x", "storeResponse": True, "fileName": "a/b"}, "fileName"),
        ({"url": "http://x", "authentication": {"type": "bearer", "token": "t", "tokn": "x"}}, "tokn"),
    ],
)  # fmt: skip
async def test_a_wrong_configuration_is_an_incident(bench, variables, words: str):
    found = await failure(bench()(variables))
    assert (
        found.retries == 0
        and (found.code in ("CONFIGURATION", "EGRESS_REFUSED"))
        and words.lower() in found.message.lower().replace("_", "")
    )


@pytest.mark.parametrize(
    "headers", [{"resultExpression": "= {"}, {"resultExpression": "= 7"}, {"resultVariable": "a b"}, {"errorExpression": "= bpmnError(7)"}]
)
async def test_wrong_headers_are_incidents(target, bench, headers):
    found = await failure(bench()({"url": f"{target.url}/echo"}, headers))
    assert found.retries == 0 and next(iter(headers)) in found.message


# --- where it may not go ----------------------------------------------------------------------------------------------


@pytest.mark.req("APG-SEC-007")
async def test_the_gate_holds_for_calls_redirects_and_tokens(target, bench):
    run = bench()
    for hop in (
        "http://169.254.169.254/latest",
        "http://127.0.0.2/",
        "//10.0.0.1/x",
        "http://[::ffff:a9fe:a9fe]/",
        "file:///etc/passwd",
        "http://user:pw@127.0.0.1/",
    ):
        target.routes["/hop"] = (302, {"location": hop}, b"")
        found = await failure(run({"url": f"{target.url}/hop", "followRedirects": True}))
        assert (found.code, found.retries) == ("EGRESS_REFUSED", 0), hop
    auth = {
        "type": "oauth-client-credentials-flow",
        "oauthTokenEndpoint": "http://169.254.169.254/token",
        "clientId": "a",
        "clientSecret": "secret-1",
    }
    assert (await failure(run({"url": f"{target.url}/echo", "authentication": auth}))).code == "EGRESS_REFUSED"
    assert (await failure(bench(egress_private=())({"url": f"{target.url}/echo"}))).code == "EGRESS_REFUSED"
    assert [s.path for s in target.seen] == ["/hop"] * 6


async def test_redirects(target, bench):
    other = await type(target)().start()
    other.routes["/echo"] = target.routes["/echo"]
    target.routes |= {
        "/same": (302, {"location": "/echo?x=1"}, b""), "/other": (307, {"location": f"{other.url}/echo"}, b""), "/loop": (302, {"location": "/loop"}, b""),
        "/see": (303, {"location": "/echo"}, b""), "/again": (307, {"location": "/echo"}, b""),
    }  # fmt: skip
    run = bench()
    told = {"followRedirects": "true", "authentication": {"type": "bearer", "token": "t0ken-1"}, "headers": {"X-Api-Key": "k3y-1"}}
    found = (await run({"url": f"{target.url}/same", **told}, OUT))["out"]["body"]
    assert (found["path"], found["headers"]["authorization"], found["headers"]["x-api-key"]) == ("/echo?x=1", "Bearer t0ken-1", "k3y-1")
    await run({"url": f"{target.url}/other", **told})
    assert not {"authorization", "x-api-key"} & set(other.seen[0].headers)
    assert (await failure(run({"url": f"{target.url}/loop", **told}))).code == "REDIRECT"
    assert (await run({"url": f"{target.url}/see", "method": "POST", "body": {"a": 1}, **told}, OUT))["out"]["body"]["method"] == "GET"
    before = len(target.seen)
    assert (await failure(run({"url": f"{target.url}/again", "method": "POST", "body": {"a": 1}, **told}))).code == "REDIRECT"
    assert len(target.seen) == before + 1
    await other.close()


# --- OAuth2 -----------------------------------------------------------------------------------------------------------


def oauth(target, **more):
    return {
        "type": "oauth-client-credentials-flow", "oauthTokenEndpoint": f"{target.url}/token", "clientId": "us", "clientSecret": "se cret", "scopes": "a b", **more,
    }  # fmt: skip


async def test_tokens_are_kept_and_asked_for_once(target, bench):
    async def token(request, writer) -> None:
        await asyncio.sleep(0.05)
        body = json.dumps({"access_token": f"tok-{len(asked)}", "token_type": "Bearer", "expires_in": 3600}).encode()
        asked.append(request)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    asked: list = []
    target.routes["/token"] = token
    run = bench()
    call = {"url": f"{target.url}/echo", "authentication": oauth(target)}
    await asyncio.gather(*(run(call) for _ in range(20)))
    await run(call)
    assert len(asked) == 1 and asked[0].headers["authorization"] == "Basic " + base64.b64encode(b"us:se cret").decode()
    assert parse_qs(asked[0].body.decode()) == {"grant_type": ["client_credentials"], "scope": ["a b"]}
    assert {s.headers["authorization"] for s in target.seen if s.path == "/echo"} == {"Bearer tok-0"}
    await run({**call, "authentication": oauth(target, clientSecret="rotated", clientAuthentication="credentialsBody", audience="x")})
    assert len(asked) == 2 and parse_qs(asked[1].body.decode())["client_secret"] == ["rotated"] and "authorization" not in asked[1].headers


async def test_a_token_that_is_refused_is_renewed_once(target, bench):
    asked = []
    target.routes["/token"] = lambda request: (asked.append(1), (200, {}, {"access_token": f"tok-{len(asked)}", "token_type": "bearer"}))[1]
    target.routes["/x"] = lambda request: (200 if request.headers["authorization"] == "Bearer tok-2" else 401, {}, b"")
    run = bench()
    call = {"url": f"{target.url}/x", "authentication": oauth(target)}
    await run(call)
    assert len(asked) == 2
    target.routes["/x"] = (401, {}, b"")
    assert (await failure(run(call))).retries == 0
    assert len(asked) == 3  # the kept one, one fresh one, and then it counts


@pytest.mark.parametrize(
    "answer,retries",
    [((401, {}, {"error": "invalid_client"}), 0), ((503, {}, b""), None), ((200, {}, b"no json"), 0), ((200, {}, {"access_token": "x y"}), 0),
     ((200, {}, {"access_token": "x", "token_type": "mac"}), 0), ((302, {"location": "/echo"}, b""), 0)],
)  # fmt: skip
async def test_servers_of_tokens_that_fail(target, bench, answer, retries):
    target.routes["/token"] = answer
    run = bench()
    for _ in range(2):
        found = await failure(run({"url": f"{target.url}/echo", "authentication": oauth(target)}))
        assert (found.code, found.retries) == ("OAUTH", retries)
    if answer[0] == 401:
        assert "invalid_client" in found.message and len(target.seen) == 1  # a wrong secret is no flood
    assert not [s for s in target.seen if s.path == "/echo"]


# --- secrets ----------------------------------------------------------------------------------------------------------


async def test_secrets_go_where_the_model_names_them_and_nowhere_else(target, bench, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_SECRET_TOKEN", "hush-hush-token")
    variables = {
        "url": f"{target.url}/echo", "method": "POST", "body": {"text": "{{secrets.TOKEN}} and {{secrets.OTHER}}"}, "headers": {"x": "{{secrets.TOKEN}}"},
        "authentication": {"type": "bearer", "token": "{{secrets.TOKEN}}"},
    }  # fmt: skip
    found = await bench()(variables, OUT, {"authentication.token": ["TOKEN"]})
    seen = target.seen[0]
    assert seen.headers["authorization"] == "Bearer hush-hush-token"
    assert seen.headers["x"] == "{{secrets.TOKEN}}" and b"{{secrets.TOKEN}} and {{secrets.OTHER}}" in seen.body
    assert "hush-hush-token" not in str(found) and found["out"]["body"]["headers"]["authorization"] == "Bearer ***"


async def test_a_missing_secret_is_an_incident_with_its_name(bench):
    found = await failure(bench()({"url": "http://x/{{secrets.GONE}}"}, {}, {"url": ["GONE"]}))
    assert (found.code, found.retries) == ("SECRET_MISSING", 0) and "'GONE'" in found.message


async def test_a_rotated_secret_is_used_by_the_next_call(target, bench, tmp_path):
    run = bench(secrets=(f"folder:{tmp_path}",))
    for value in ("first-value", "second-value"):
        (tmp_path / "T").write_text(value)
        await run(
            {"url": f"{target.url}/echo", "authentication": {"type": "bearer", "token": "{{secrets.T}}"}},
            {},
            {"authentication.token": ["T"]},
        )
    assert [s.headers["authorization"] for s in target.seen] == ["Bearer first-value", "Bearer second-value"]


@pytest.mark.parametrize("form", ["plain", "basic", "percent", "json", "error", "name", "number"])
async def test_an_echo_of_a_secret_is_hidden(target, bench, monkeypatch, form: str, capsys):
    value = "12345678" if form == "number" else 'p&ss "w\u00f6rd"/+='
    monkeypatch.setenv("FLOWLEDGER_SECRET_P", value)
    target.routes["/echo"] = {
        "plain": lambda r: (200, {}, r.body), "basic": lambda r: (200, {"x-echo": r.headers["authorization"]}, {"a": [r.headers["authorization"]]}),
        "percent": lambda r: (200, {}, r.path.encode()), "json": lambda r: (200, {}, {"a": {"b": r.body.decode()}}), "error": lambda r: (400, {"x": "y"}, r.body),
        "name": lambda r: (200, {}, {r.body.decode(): 1}), "number": lambda r: (200, {}, {"n": 12345678}),
    }[form]  # fmt: skip
    variables = {
        "url": f"{target.url}/echo", "method": "POST", "body": "{{secrets.P}}", "queryParameters": {"q": "{{secrets.P}}"},
        "authentication": {"type": "basic", "username": "u", "password": "{{secrets.P}}"},
    }  # fmt: skip
    headers = {"errorExpression": "= if error != null then ignoreError({out: error.variables.response}) else null", **OUT}
    told = {"body": ["P"], "queryParameters": ["P"], "authentication.password": ["P"]}
    found = str(await bench()(variables, headers, told))
    assert "***" in found
    logged = "".join(capsys.readouterr())
    for shown in (found, logged):
        assert value not in shown and json.dumps(value)[1:-1] not in shown and "w%C3%B6rd" not in shown
        assert base64.b64encode(f"u:{value}".encode()).decode() not in shown


async def test_a_secret_in_the_address_does_not_show_in_what_is_recorded(target, bench, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_SECRET_HOST", f"127.0.0.1:{target.port}")
    run = bench()
    await run({"url": "http://{{secrets.HOST}}/echo"}, {}, {"url": ["HOST"]})
    text = run.telemetry.metrics.text()[0].decode()
    assert str(target.port) not in text and 'target="http://***"' in text


# --- what is recorded -------------------------------------------------------------------------------------------------


async def test_each_call_is_counted(target, bench):
    target.routes |= {"/503": (503, {}, b""), "/404": (404, {}, b"")}
    run = bench()
    for path, expression in (("/echo", ""), ("/503", ""), ("/404", ""), ("/404", '= bpmnError("A")'), ("/404", "= ignoreError()")):
        try:
            await run({"url": target.url + path}, {"errorExpression": expression} if expression else {})
        except (JobFailed, BpmnError):
            pass
    text = run.telemetry.metrics.text()[0].decode()
    for outcome in ("done", "retried", "incident", "error", "ignored"):
        assert f'flowledger_connector_calls_total{{connector="http",outcome="{outcome}",target="{target.url}"}} 1.0' in text
    assert 'flowledger_connector_seconds_count{connector="http"} 5.0' in text


async def test_each_call_is_a_span_of_the_trace_of_its_work(target, bench, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_SECRET_T", "hush-hush-token")
    spans, trace = InMemorySpanExporter(), "0af7651916cd43dd8448eb211c80319c"
    run = bench()
    run.telemetry.tracer = Tracer(processor=SimpleSpanProcessor(spans))
    auth = {"type": "bearer", "token": "{{secrets.T}}"}
    told = {"authentication.token": ["T"]}
    await run({"url": f"{target.url}/echo", "authentication": auth}, {}, told, trace=f"00-{trace}-b7ad6b7169203331-01")
    (span,) = spans.get_finished_spans()
    assert f"{span.context.trace_id:032x}" == trace and f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert target.seen[0].headers["traceparent"] == f"00-{trace}-{span.context.span_id:016x}-01"
    assert span.attributes["server.address"] == target.url and span.attributes["flowledger.outcome"] == "done"
    assert "hush-hush" not in span.to_json()


async def test_calls_at_once_do_not_wait_for_each_other(target, bench):
    gate, waiting = asyncio.Event(), []

    async def hold(request, writer) -> None:
        waiting.append(1)
        await gate.wait()
        writer.write(b"HTTP/1.1 204 x\r\n\r\n")

    target.routes["/hold"] = hold
    run = bench()
    calls = [asyncio.ensure_future(run({"url": f"{target.url}/hold"})) for _ in range(30)]
    end = time.monotonic() + 60
    while len(waiting) < 30:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
    gate.set()
    assert await asyncio.gather(*calls) == [{}] * 30

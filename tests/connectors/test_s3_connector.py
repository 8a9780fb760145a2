"""The connector of S3 against moto's server; signatures are compared with those of botocore, which comes with it."""

from __future__ import annotations

import asyncio
import base64
import datetime
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from flowledger.connectors import aws
from flowledger.connectors.s3 import S3Config
from tests.connectors.conftest import Request, Target, boto
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure


def config(**more: Any) -> dict[str, Any]:
    return {"accessKey": "AKIDEXAMPLE", "secretKey": SECRET, "bucket": "flows", "key": "a/b c.txt", **more}


class S3Rig(Rig):
    """moto takes any key: a wrong one is shown against a stub below."""

    connector = "s3"
    overwrites = True

    def __init__(self, to: tuple[str, int], client: Any) -> None:
        self.to, self.client = to, client

    async def effects(self) -> list[str]:
        found = await asyncio.to_thread(self.client.list_objects_v2, Bucket="flows")
        return [f"{one['Key']} {one['ETag']}" for one in found.get("Contents", ())]

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return config(endpoint=f"http{'s' if tls else ''}://{host}:{port}", operation="put", content={"weight": 7})

    def checked(self, answer: Any) -> None:
        assert answer["key"] == "a/b c.txt" and len(answer["etag"]) == 32

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return config(endpoint=f"http://{host}:{port}", key="big"), {}


@pytest.fixture
async def objects(moto: tuple[str, int], bench) -> AsyncIterator[Any]:
    run = bench("s3")

    async def call(operation: str, **more: Any) -> Any:
        return (await run(config(endpoint=f"http://127.0.0.1:{moto[1]}", operation=operation, **more), OUT))["out"]

    client = boto("s3", moto)
    client.create_bucket(Bucket="flows")
    client.put_object(Bucket="flows", Key="big", Body=b"x" * 5000, ContentType="text/plain")
    call.client = client  # type: ignore[attr-defined]
    yield call
    for one in client.list_objects_v2(Bucket="flows").get("Contents", ()):
        client.delete_object(Bucket="flows", Key=one["Key"])


class TestContract(Contract):
    @pytest.fixture
    def rig(self, moto: tuple[str, int], objects: Any) -> Rig:
        return S3Rig(("127.0.0.1", moto[1]), objects.client)

    async def test_delivered_twice_it_can_be_told(self, rig: Rig, run, wire):
        """The object is the same object."""
        for _ in range(2):
            rig.checked(await run(wire.port, key="4711"))


class SignedRig(Rig):
    """Beside a server that takes only what is signed with its secret, as botocore signs it."""

    connector = "s3"
    secret_at = "secretKey"
    overwrites = True

    def __init__(self, target: Target) -> None:
        self.to, self.secret = ("127.0.0.1", target.port), SECRET
        self.there: set[str] = set()
        target.routes |= {"/flows/book": self.book, "/flows/big": (200, {"content-type": "text/plain"}, b"x" * 5000)}

    def book(self, request: Request) -> tuple[int, dict[str, str], Any]:
        words = dict(part.split("=", 1) for part in request.headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", "))
        signed = {name: request.headers[name] for name in words["SignedHeaders"].split(";")}
        made = AWSRequest(request.method, f"http://{signed['host']}{request.path}", headers=signed, data=request.body)
        made.context["timestamp"] = signed["x-amz-date"]
        auth = S3SigV4Auth(Credentials("AKIDEXAMPLE", self.secret), "s3", "us-east-1")
        if auth.signature(auth.string_to_sign(made, auth.canonical_request(made)), made) != words["Signature"]:
            return 403, {}, b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"
        self.there.add(request.path)
        return 200, {"etag": '"0123456789abcdef0123456789abcdef"'}, b""

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        endpoint = f"http{'s' if tls else ''}://{host}:{port}"
        return {**config(key="book", endpoint=endpoint, operation="put", content={"weight": 7}), "secretKey": "{{secrets.KEY}}"}

    def checked(self, answer: Any) -> None:
        assert answer["key"] == "book" and len(answer["etag"]) == 32

    async def rotate(self, value: str) -> None:
        self.secret = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return {**config(endpoint=f"http://{host}:{port}", key="big"), "secretKey": "{{secrets.KEY}}"}, {}

    async def effects(self) -> list[str]:
        return sorted(self.there)


class TestSigned(Contract):
    @pytest.fixture
    def rig(self, target: Target) -> Rig:
        return SignedRig(target)

    async def test_delivered_twice_it_can_be_told(self, rig: Rig, run, wire):
        """The object is the same object."""
        for _ in range(2):
            rig.checked(await run(wire.port, key="4711"))
        assert await rig.effects() == ["/flows/book"]


@pytest.mark.parametrize(
    ("put", "kind", "content", "raw"),
    [
        ({"content": {"n": Decimal("1.10")}}, "application/json", {"n": Decimal("1.10")}, None),
        ({"content": "text \u00fc"}, "text/plain; charset=utf-8", "text \u00fc", None),
        ({"contentBase64": base64.b64encode(b"\0\xff").decode()}, "application/octet-stream", None, base64.b64encode(b"\0\xff").decode()),
        ({"content": "a,b", "contentType": "text/csv"}, "text/csv", "a,b", None),
    ],
)
async def test_what_is_put_comes_back(objects, put, kind: str, content: Any, raw: Any):
    key = "orders/\u00fc &+ 1.txt"
    stored = await objects("put", key=key, **put)
    found = await objects("get", key=key)
    assert (found["contentType"], found["content"], found["contentBase64"], found["etag"]) == (kind, content, raw, stored["etag"])
    head = await objects("head", key=key)
    assert head == {k: v for k, v in found.items() if not k.startswith("content") or k == "contentType"}
    assert (await objects("get", key=key, asBase64=True))["content"] is None
    assert await objects("delete", key=key) == {"bucket": "flows", "key": key}
    gone = await failure(objects("get", key=key))
    assert (gone.code, gone.retries) == ("404", 0) and "NoSuchKey" in gone.message


async def test_lists(objects):
    for i in range(3):
        await objects("put", key=f"l/{i}", content="x" * i)
    found = await objects("list", key="l/", maxKeys=2)
    assert [(o["key"], o["size"]) for o in found["objects"]] == [("l/0", 0), ("l/1", 1)] and found["more"] is True
    assert (await objects("list", key="none/")) == {"objects": [], "more": False}


@pytest.mark.parametrize(
    ("answer", "code", "again"),
    [
        ((403, {}, b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"), "AUTHENTICATION", False),
        ((403, {}, b"<Error><Code>InvalidAccessKeyId</Code></Error>"), "AUTHENTICATION", False),
        ((503, {}, b"<Error><Code>SlowDown</Code></Error>"), "503", True),
        ((412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"), "412", False),
        ((307, {"location": "http://127.0.0.1/"}, b""), "307", False),
        ((400, {}, b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><Error><Code>&b;</Code></Error>"), "400", False),
    ],
)
async def test_what_the_service_refuses(target: Target, bench, answer, code: str, again: bool):
    target.routes["/flows/k"] = answer
    found = await failure(bench("s3")(config(endpoint=target.url, key="k", operation="put", content="x", onlyNew=True)))
    assert (found.code, found.retries is None) == (code, again) and "root:" not in found.message
    assert target.seen[0].headers["if-none-match"] == "*"


@settings(max_examples=60)
@given(
    key=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(
        lambda t: not {".", ".."} & set(t.split("/"))
    ),
    token=st.sampled_from([None, "session-token-1"]),
    data=st.binary(max_size=20),
)
def test_signatures_are_those_of_botocore(key: str, token: str | None, data: bytes):
    made = S3Config.model_validate({**config(endpoint="https://s3.example", key=key), **({"sessionToken": token} if token else {})})
    now = datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
    path = "/flows/" + quote(key, safe="-_.~/")
    asked = aws.Request("s3", "https://s3.example", "PUT", path, {}, {}, data)
    ours = aws.signed(made, asked, {"host": "s3.example", "content-type": "text/plain"}, now)
    request = AWSRequest("PUT", f"https://s3.example{path}", headers={"content-type": "text/plain"}, data=data)
    request.context["timestamp"] = "20260203T040506Z"
    auth = S3SigV4Auth(Credentials("AKIDEXAMPLE", SECRET, token), "s3", "us-east-1")
    request.headers["X-Amz-Content-SHA256"] = ours["x-amz-content-sha256"]
    request.headers["X-Amz-Date"] = "20260203T040506Z"
    if token:
        request.headers["X-Amz-Security-Token"] = token
    theirs = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert ours["authorization"].endswith(f"Signature={theirs}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""},
        {"key": "../x"},
        {"bucket": "A b"},
        {"content": "x", "contentBase64": "eA=="},
        {"contentBase64": "!", "operation": "put"},
        {"endpoint": "http://127.0.0.1:1/path"},
    ],
)
async def test_configurations_that_are_refused(bench, wrong):
    found = await failure(bench("s3")({**config(endpoint="http://127.0.0.1:1"), **wrong}))
    assert (found.code, found.retries) == ("CONFIGURATION", 0)


GOOD = {"endpoint": "https://s3.example", "accessKey": "a", "secretKey": "{{secrets.S3}}", "bucket": "flows", "key": "= k"}


@pytest.mark.parametrize(
    ("inputs", "words"), [(GOOD, ""), ({**GOOD, "operation": "copy"}, "operation"), ({**GOOD, "bucket": "B"}, "bucket")]
)
def test_findings(inputs, words: str):
    found = said(inputs, {}, "flowledger:s3")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found


@settings(max_examples=60)
@given(
    name=st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=20).filter(lambda t: t not in (".", "..")),
    token=st.sampled_from([None, "session-token-1"]),
    data=st.binary(max_size=20),
)
def test_signatures_of_other_services_are_those_of_botocore(name: str, token: str | None, data: bytes):
    """They take a path that is encoded once more."""
    now = datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
    path = f"/2015-03-31/functions/{quote(name, safe='-_.~')}/invocations"
    asked = aws.Request("lambda", "https://lambda.example", "POST", path, {"Qualifier": "a b"}, {}, data)
    ours = aws.signed(aws.Keys("us-east-1", "AKIDEXAMPLE", SECRET, token), asked, {"host": "lambda.example", "content-type": "x/y"}, now)
    request = AWSRequest("POST", f"https://lambda.example{path}?Qualifier=a%20b", headers={"content-type": "x/y"}, data=data)
    request.context["timestamp"] = "20260203T040506Z"
    request.headers["X-Amz-Date"] = "20260203T040506Z"
    if token:
        request.headers["X-Amz-Security-Token"] = token
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", SECRET, token), "lambda", "us-east-1")
    theirs = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert ours["authorization"].endswith(f"Signature={theirs}")

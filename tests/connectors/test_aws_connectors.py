"""The connectors of SQS and SNS against moto's server; that of Lambda against moto, and against a stub that checks signatures by botocore."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import uuid
import zipfile
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.connectors.conftest import Request, Target, boto
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure

pytestmark = pytest.mark.req("APG-CON-017")
WHO = {"accessKey": "AKIDEXAMPLE", "secretKey": SECRET}


class SqsRig(Rig):
    """moto takes any key: a wrong one is shown against the stub of Lambda below."""

    connector = "sqs"

    def __init__(self, moto: tuple[str, int]) -> None:
        self.to, self.sqs = ("127.0.0.1", moto[1]), boto("sqs", moto)
        self.name = f"out-{uuid.uuid4().hex[:10]}"
        self.url = self.sqs.create_queue(QueueName=self.name)["QueueUrl"]

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        address = f"http{'s' if tls else ''}://{host}:{port}/123456789012/{self.name}"
        return {**WHO, "queue": address, "message": {"weight": 7}, "attributes": {"kind": "order"}}

    def checked(self, answer: Any) -> None:
        assert len(answer["messageId"]) == 36

    async def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while more := (
            await asyncio.to_thread(
                self.sqs.receive_message, QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
            )
        ).get("Messages"):
            found += more
        return found

    async def effects(self) -> list[str]:
        return [m["MessageAttributes"]["idempotency-key"]["StringValue"] for m in await self.messages()]


class TestSqs(Contract):
    @pytest.fixture
    def rig(self, moto: tuple[str, int]) -> Rig:
        return SqsRig(moto)


class SnsRig(SqsRig):
    """A queue listens to the topic."""

    connector = "sns"

    def __init__(self, moto: tuple[str, int]) -> None:
        super().__init__(moto)
        sns = boto("sns", moto)
        self.topic = sns.create_topic(Name=self.name)["TopicArn"]
        arn = f"arn:aws:sqs:us-east-1:123456789012:{self.name}"
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        endpoint = f"http{'s' if tls else ''}://{host}:{port}"
        return {**WHO, "endpoint": endpoint, "topic": self.topic, "message": {"weight": 7}, "subject": "An order"}


class TestSns(Contract):
    @pytest.fixture
    def rig(self, moto: tuple[str, int]) -> Rig:
        return SnsRig(moto)


class LambdaRig(Rig):
    """A function that gives back what it is given, beside a server that takes only what is signed with its secret."""

    connector = "lambda"
    secret_at = "secretKey"

    def __init__(self, target: Target) -> None:
        self.target, self.to, self.secret = target, ("127.0.0.1", target.port), SECRET
        self.keys: list[str] = []
        target.routes["/2015-03-31/functions/orders/invocations"] = self.invoked

    def invoked(self, request: Request) -> tuple[int, dict[str, str], Any]:
        if not _is_signed(request, self.secret):
            return 403, {"x-amzn-errortype": "InvalidSignatureException"}, {"message": "The request signature does not match"}
        context = json.loads(base64.b64decode(request.headers["x-amz-client-context"]))
        self.keys.append(context["custom"]["idempotency-key"])
        if request.headers["x-amz-invocation-type"] == "Event":
            return 202, {"x-amzn-requestid": "r-2"}, b""
        return 200, {"x-amz-executed-version": "$LATEST", "x-amzn-requestid": "r-1"}, json.loads(request.body)

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        endpoint = f"http{'s' if tls else ''}://{host}:{port}"
        return {**WHO, "secretKey": "{{secrets.KEY}}", "endpoint": endpoint, "function": "orders", "payload": {"weight": Decimal("7.10")}}

    def checked(self, answer: Any) -> None:
        assert answer == {"status": 200, "payload": {"weight": Decimal("7.1")}, "version": "$LATEST", "requestId": "r-1"}

    async def rotate(self, value: str) -> None:
        self.secret = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return {**self.call(host, port), "payload": "x" * 4000}, {}

    async def effects(self) -> list[str]:
        return self.keys


def _is_signed(request: Request, secret: str) -> bool:
    words = dict(part.split("=", 1) for part in request.headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", "))
    headers = {name: request.headers[name] for name in words["SignedHeaders"].split(";")}
    made = AWSRequest(request.method, f"http://{headers['host']}{request.path}", headers=headers, data=request.body)
    made.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", secret), "lambda", "us-east-1")
    return bool(auth.signature(auth.string_to_sign(made, auth.canonical_request(made)), made) == words["Signature"])


class TestLambda(Contract):
    @pytest.fixture
    async def rig(self, target: Target) -> Rig:
        return LambdaRig(target)


# --- what each of them says -----------------------------------------------------------------------------------------


@pytest.fixture
async def queue(moto: tuple[str, int], bench) -> AsyncIterator[Any]:
    rig = SqsRig(moto)
    run = bench("sqs")

    async def call(key: str = "77", **more: Any) -> Any:
        return (await run({**rig.call("127.0.0.1", moto[1]), **more}, OUT, key=key))["out"]

    call.rig = rig  # type: ignore[attr-defined]
    yield call


async def test_what_stands_in_a_message_of_sqs(queue):
    await queue(message="a text \u00fc", attributes={"kind": "order", "n": 7, "none": None, "empty": ""}, key="101")
    await queue(message={"n": Decimal("1.10")}, idempotencyAttribute="")
    found = {m["Body"]: {k: v["StringValue"] for k, v in m.get("MessageAttributes", {}).items()} for m in await queue.rig.messages()}
    assert found == {"a text \u00fc": {"kind": "order", "n": "7", "idempotency-key": "101"}, '{"n":1.10}': {"kind": "order"}}


@pytest.mark.req("APG-RES-006")
async def test_a_queue_in_order_takes_the_key_of_the_work_once(moto: tuple[str, int], bench):
    rig = SqsRig(moto)
    rig.name += ".fifo"
    rig.url = rig.sqs.create_queue(QueueName=rig.name, Attributes={"FifoQueue": "true"})["QueueUrl"]
    run = bench("sqs")
    for key in ("1", "1", "2"):
        await run({**rig.call("127.0.0.1", moto[1]), "group": "g", "message": key}, OUT, key=key)
    assert [m["Body"] for m in await rig.messages()] == ["1", "2"]


async def test_what_stands_in_a_message_of_sns(moto: tuple[str, int], bench):
    rig = SnsRig(moto)
    await bench("sns")({**rig.call("127.0.0.1", moto[1]), "message": "a & b \u00fc", "attributes": {"kind": "x y"}}, OUT, key="102")
    (found,) = await rig.messages()
    assert found["Body"] == "a & b \u00fc"
    assert {k: v["StringValue"] for k, v in found["MessageAttributes"].items()} == {"kind": "x y", "idempotency-key": "102"}


async def test_a_function_of_moto(moto: tuple[str, int], bench):
    """It gives back what moto is told to; the request is one that it takes."""
    url = f"http://127.0.0.1:{moto[1]}"
    async with httpx2.AsyncClient() as web:
        await web.post(f"{url}/moto-api/config", json={"lambda": {"use_docker": False}})
        await web.post(f"{url}/moto-api/static/lambda-simple/response", json={"results": ['{"price": 1.5}']})
    role = (await asyncio.to_thread(boto("iam", moto).create_role, RoleName="r", AssumeRolePolicyDocument="{}"))["Role"]["Arn"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as z:
        z.writestr("f.py", "")
    await asyncio.to_thread(
        boto("lambda", moto).create_function,
        FunctionName="price",
        Runtime="python3.11",
        Role=role,
        Handler="f.h",
        Code={"ZipFile": packed.getvalue()},
    )
    found = (await bench("lambda")({**WHO, "endpoint": url, "function": "price", "payload": {"n": 1}}, OUT))["out"]
    assert found["payload"] == {"price": Decimal("1.5")} and found["status"] == 200


async def test_an_event_for_a_function_by_its_whole_name_and_version(target: Target, bench):
    arn = "arn:aws:lambda:us-east-1:123456789012:function:orders"
    seen = []

    def invoked(request: Request) -> tuple[int, dict[str, str], Any]:
        seen.append((request.path, _is_signed(request, SECRET), request.headers["x-amz-invocation-type"]))
        return 202, {"x-amzn-requestid": "r-2"}, b""

    path = f"/2015-03-31/functions/{arn.replace(':', '%3A')}/invocations"
    target.routes[path] = invoked
    answer = (await bench("lambda")({**WHO, "endpoint": target.url, "function": arn, "qualifier": "prod", "mode": "event"}, OUT))["out"]
    assert seen == [(f"{path}?Qualifier=prod", True, "Event")]
    assert answer == {"status": 202, "payload": None, "version": None, "requestId": "r-2"}


async def test_a_function_that_fails_is_an_incident_with_its_words(target: Target, bench):
    target.routes["/2015-03-31/functions/f/invocations"] = (
        200, {"x-amz-function-error": "Unhandled"}, {"errorType": "KeyError", "errorMessage": "no  price"},
    )  # fmt: skip
    found = await failure(bench("lambda")({**WHO, "endpoint": target.url, "function": "f"}))
    assert (found.code, found.retries) == ("FUNCTION", 0) and "KeyError no price" in found.message


@pytest.mark.parametrize(
    ("answer", "code", "again"),
    [
        ((403, {}, b"<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code></Error></ErrorResponse>"), "AUTHENTICATION", False),
        ((403, {}, b"<ErrorResponse><Error><Code>AuthorizationError</Code></Error></ErrorResponse>"), "AUTHENTICATION", False),
        ((404, {}, b"<ErrorResponse><Error><Code>NotFound</Code><Message>Topic</Message></Error></ErrorResponse>"), "NotFound", False),
        ((400, {}, b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"), "BUSY", True),
        ((503, {}, b"<ErrorResponse><Error><Code>ServiceUnavailable</Code></Error></ErrorResponse>"), "503", True),
        ((404, {"x-amzn-errortype": "ResourceNotFoundException:http://x"}, {"Message": "none"}), "ResourceNotFoundException", False),
        ((429, {}, {"__type": "TooManyRequestsException"}), "429", True),
        ((500, {}, b""), "500", True),
        ((302, {"location": "http://127.0.0.1/"}, b""), "302", False),
        ((200, {}, b"<x/>"), "ANSWER_UNREADABLE", False),
        ((400, {}, b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><Error><Code>&b;</Code></Error>"), "400", False),
        ((400, {}, b'{"__type": {"a": [1]}, "message": ["x"]}'), "400", False),
    ],
)  # fmt: skip
async def test_what_the_service_refuses(target: Target, bench, answer, code: str, again: bool):
    target.routes["/"] = answer
    found = await failure(bench("sns")({**WHO, "endpoint": target.url, "topic": "arn:aws:sns:us-east-1:1:t", "message": "x"}))
    assert (found.code, found.retries is None) == (code, again), found.message
    assert "root:" not in found.message


SQS = {"accessKey": "a", "secretKey": "{{secrets.S}}", "queue": "https://sqs.eu-west-1.amazonaws.com/1/q", "message": "m"}
SNS = {"accessKey": "a", "secretKey": "{{secrets.S}}", "topic": "arn:aws:sns:eu-west-1:1:t", "message": "m"}
LAMBDA = {"accessKey": "a", "secretKey": "{{secrets.S}}", "function": "f"}


@pytest.mark.parametrize(
    ("kind", "inputs", "words"),
    [
        ("sqs", SQS, ""), ("sqs", {**SQS, "queue": "q"}, "queue"), ("sqs", {**SQS, "group": "g"}, "group"), ("sqs", {**SQS, "queue": SQS["queue"] + ".fifo"}, "group"),
        ("sqs", {**SQS, "endpoint": "https://x.example"}, "endpoint"), ("sqs", {**SQS, "delaySeconds": "901"}, "delaySeconds"),
        ("sns", SNS, ""), ("sns", {**SNS, "topic": "t"}, "topic"), ("sns", {**SNS, "group": "g"}, "group"), ("sns", {**SNS, "subject": "\u00fc"}, "subject"),
        ("lambda", LAMBDA, ""), ("lambda", {**LAMBDA, "function": "a/b"}, "function"), ("lambda", {**LAMBDA, "mode": "dry"}, "mode"),
        ("lambda", {**LAMBDA, "qualifier": "a b"}, "qualifier"),
    ],
)  # fmt: skip
def test_findings(kind: str, inputs, words: str):
    found = said(inputs, {}, f"flowledger:{kind}")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found


@pytest.mark.parametrize("message", ["", "x" * (1024 * 1024 + 1)])
async def test_messages_that_no_queue_takes(bench, message: str):
    found = await failure(bench("sqs")({**WHO, "queue": "http://127.0.0.1:1/1/q", "message": message}))
    assert (found.code, found.retries) == ("CONFIGURATION", 0)

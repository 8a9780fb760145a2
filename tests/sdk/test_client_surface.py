"""Both clients against the real server: what can be deployed, results by type, errors by code, repeating with the same id."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from dataclasses import dataclass
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
from pydantic import BaseModel

from flowledger.sdk import (
    ApiError,
    Client,
    Flow,
    InvalidState,
    Malformed,
    ModelInvalid,
    NotCompleted,
    NotFound,
    SyncClient,
    TimedOut,
    Worker,
    handles,
)
from flowledger.sdk.handlers import BadVariables
from flowledger.sdk.resources import resource_of, text_of
from flowledger.sdk.surface import Surface
from tests.sdk.test_sdk_real_server import MODEL, world  # noqa: F401 a fixture

pytestmark = pytest.mark.req("APG-API-001", "WSM-API-011")
BROKEN = MODEL.replace('targetRef="price"', 'targetRef="nowhere"')


class Receipt(msgspec.Struct):
    total: Decimal


class Checked(BaseModel):
    total: Decimal


@dataclass
class Priced:
    total: Decimal


@handles("price-it")
def price(items: list[str]) -> Priced:
    return Priced(Decimal("1.10") * len(items))


def flow() -> Flow:
    return Flow("priced", name="Priced").start().service(price).end()


def test_what_can_be_deployed(tmp_path):
    file = tmp_path / "m.bpmn"
    file.write_text(MODEL)
    assert resource_of(file) == resource_of(str(file)) == {"name": "m.bpmn", "content": MODEL}
    assert resource_of(("x.bpmn", MODEL)) == resource_of(("x.bpmn", MODEL.encode())) == {"name": "x.bpmn", "content": MODEL}
    assert resource_of(MODEL)["name"] == resource_of(MODEL.encode())["name"] == "model.bpmn"
    made = resource_of(flow())
    assert made["name"] == "priced.bpmn" and "price-it" in made["content"] and made["content"].startswith("<?xml")
    assert resource_of(("own.bpmn", flow()))["name"] == "own.bpmn" and resource_of(("own.bpmn", file))["content"] == MODEL
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?><a n="Gebühr"/>'
    assert text_of(latin.encode("latin-1")) == latin.replace("ISO-8859-1", "UTF-8")
    assert text_of('<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16")) == '<?xml version="1.0" encoding="UTF-8"?><a/>'
    for wrong in (7, None, ("a", "b", "c"), ("a", 7)):
        with pytest.raises(TypeError, match="expected"):
            resource_of(wrong)
    with pytest.raises(OSError, match="nowhere"):
        resource_of("nowhere.bpmn")


def test_a_handler_says_its_type_once():
    worker = Worker()
    made = flow()
    worker.add(made)
    worker.add(price)
    assert list(worker.handlers) == ["price-it"] and worker.handlers["price-it"].function is price

    @worker.job("other", max_jobs=3)
    def other() -> None: ...

    inner = Flow("deep").start()
    inner.sub("s").start("s1").service(other).end("e1")
    inner.service("last", job=price).end()
    assert inner.handlers == [other, price] and b'type="other"' in inner.xml() and b'type="price-it"' in inner.xml()
    again = Worker()
    again.add(inner)
    assert again.handlers["other"].max_jobs == 3
    with pytest.raises(TypeError, match="@handles"):
        Flow("f").start().service(lambda: None)


def test_both_clients_have_the_same_calls():
    def calls(c: type) -> dict[str, list[str]]:
        return {n: list(inspect.signature(f).parameters) for n, f in inspect.getmembers(c, inspect.isfunction) if not n.startswith("_")}

    assert calls(Client) == calls(SyncClient) and "deploy" in calls(Surface)


async def test_a_day_with_each_client(world):  # noqa: F811
    worker = Worker(world.url)
    worker.add(price)
    working = asyncio.create_task(worker.run())
    async with Client(world.url) as client:
        assert (await client.deploy(flow()))["definitions"][0]["process"] == "priced"
        assert await client.run("priced", {"items": ["a", "b"]}, result=Receipt) == Receipt(Decimal("2.20"))
        assert (await client.run("priced", {"items": ["a"]}, result=Checked)).total == Decimal("1.10")
    await asyncio.to_thread(_without_asyncio, world.url)
    await worker.stop()
    await working


def _without_asyncio(url: str) -> None:
    with SyncClient(url, actor="ann") as client:
        client.deploy(("order.bpmn", MODEL.encode()), flow())
        assert client.run("priced", {"items": ["a", "b", "c"]}, result=Priced) == Priced(Decimal("3.30"))
        assert client.run("priced", {"items": []}) == {"items": [], "total": Decimal("0.00")}
        with pytest.raises(BadVariables):
            client.run("priced", {"items": []}, result=int)
        with pytest.raises(ModelInvalid) as refused:
            client.deploy(("broken.bpmn", BROKEN))
        assert refused.value.findings and "nowhere" in str(refused.value) and "broken.bpmn:" in str(refused.value)
        with pytest.raises(NotFound):
            client.start("nobody")
        with pytest.raises(Malformed):
            client.start("order", version=-1)
        with pytest.raises(TypeError, match="variables"):
            client.start("order", [1])
        with pytest.raises(TimedOut) as late:
            client.start("order", {"items": []}, wait_s=0.05)
        key = late.value.id
        assert key and key in str(late.value)
        client.control(key, "suspend")
        with pytest.raises(InvalidState) as twice:
            client.control(key, "suspend")
        assert isinstance(twice.value, ApiError) and twice.value.status == 409
        client.cancel(key, "enough")
        first = client.start("order", {"items": []}, id="one")
        assert client.start("order", {"items": []}, id="one")["id"] == first["id"]


class Shaky(BaseHTTPRequestHandler):
    """Busy twice, then an answer."""

    seen: list[tuple[str, str]] = []

    def do_POST(self) -> None:
        self.seen.append((self.headers["idempotency-key"], self.path))
        self.rfile.read(int(self.headers["content-length"]))
        busy = len(self.seen) < 3
        body = json.dumps({"code": "UNAVAILABLE", "detail": "later"} if busy else {"id": "7", "status": "cancelled"}).encode()
        self.send_response(503 if busy else 201)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def test_the_same_id_goes_along_with_each_attempt():
    server = HTTPServer(("127.0.0.1", 0), Shaky)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with SyncClient(f"http://127.0.0.1:{server.server_port}") as client, pytest.raises(NotCompleted, match="cancelled"):
            client.run("order")
    finally:
        server.shutdown()
    assert len(Shaky.seen) == 3 and len({key for key, _ in Shaky.seen}) == 1 and Shaky.seen[0][0]


@pytest.mark.parametrize("id", ["", ".", "..", "../definitions", "a//b"])
def test_ids_that_would_name_something_else_are_not_sent(id):
    """`cancel("")` would have asked for another route."""
    with SyncClient("http://127.0.0.1:1") as client, pytest.raises(ValueError, match="not empty"):
        client.cancel(id)

"""Programs that are known by the certificate of their connection: on HTTP, sockets and gRPC, against a real server; who is refused, and how that ends."""

from __future__ import annotations

import datetime
import ssl
import time
from pathlib import Path
from typing import Any

import grpc
import httpx2
import pytest
import trustme
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from flowledger.api.access.certificates import Certificates, Shown, names_in
from flowledger.api.problems import Problem
from flowledger.infra import people, server_tls
from flowledger.infra.people import Certificate, People
from flowledger.infra.settings import Settings, SettingsError
from flowledger.signin import check
from tests.signin.conftest import World, first_admin, local_server

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-SEC-001", "D-SEC-003")]
FILE = """
[[certificates]]
dns = "worker.example"
actor = "worker"
roles = ["machine"]
tenants = ["", "acme"]

[[certificates]]
common_name = "Auditing"
actor = "auditing"
roles = ["auditor"]
"""


class Shop:
    """An authority whose certificates count, one that nobody knows, and a server's own files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ca, self.other = folder, trustme.CA(), trustme.CA()
        self.trusted = folder / "clients.pem"
        self.ca.cert_pem.write_to_path(str(self.trusted))
        server = trustme.CA()
        own = server.issue_cert("localhost", "127.0.0.1")
        self.root, self.cert, self.key = folder / "root.pem", folder / "server.crt", folder / "server.key"
        server.cert_pem.write_to_path(str(self.root))
        own.cert_chain_pems[0].write_to_path(str(self.cert))
        own.private_key_pem.write_to_path(str(self.key))
        (folder / "people.toml").write_text(FILE)

    def settings(self) -> dict[str, Any]:
        tls = {"cert_file": str(self.cert), "key_file": str(self.key), "client_ca_file": str(self.trusted), "clients": "optional"}
        return {f"{door}_{k}": v for door in ("tls", "grpc") for k, v in tls.items()} | {"people_file": str(self.folder / "people.toml")}

    def pem(self, *names: str, ca: trustme.CA | None = None, **more: Any) -> Path:
        """Certificate and key in one file."""
        made = (ca or self.ca).issue_cert(*names, **more)
        file = self.folder / f"{len(list(self.folder.iterdir()))}.pem"
        made.private_key_and_cert_chain_pem.write_to_path(str(file))
        return file

    def http(self, url: str, pem: Path | None = None, **more: Any) -> httpx2.Client:
        context = ssl.create_default_context(cafile=str(self.root))
        if pem is not None:
            context.load_cert_chain(pem)
        return httpx2.Client(base_url=url, verify=context, timeout=30, **more)

    def call(self, port: int, pem: Path | None = None, metadata: tuple[tuple[str, str], ...] = ()) -> grpc.StatusCode:
        """Of a call that takes the right `jobs:work`."""
        own = pem.read_bytes() if pem is not None else None
        credentials = grpc.ssl_channel_credentials(self.root.read_bytes(), own, own)
        with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
            try:
                list(
                    GatewayStub(channel).ActivateJobs(
                        pb.ActivateJobsRequest(type="none", worker="w", timeout=1000, maxJobsToActivate=1, requestTimeout=1),
                        metadata=metadata,
                        timeout=20,
                    )
                )
            except grpc.RpcError as e:
                return e.code()  # type: ignore[no-any-return,attr-defined]
        return grpc.StatusCode.OK


async def test_a_name_that_the_file_gives_to_a_certificate_is_nobody_else_s(world: World):
    world.known.people = People(certificates=[Certificate(dns="worker.example", actor="worker", roles=["machine"])])
    admin = await world.admin()
    for actor in ("worker", "other"):
        said = await admin.post("/v1/users", json={"name": actor, "roles": ["viewer"]})
        assert said.status_code == (409 if actor == "worker" else 201), said.text
    with pytest.raises(Problem, match="a user or of a program"):
        world.known.stranger("worker")
    world.known.stranger("worker2")
    key = (await admin.post("/v1/api-keys", json={"name": "scim", "actor": "entra", "roles": ["provisioner"]})).json()["key"]
    user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "worker"}
    said = await world.client(key).post("/scim/v2/Users", json=user)
    assert (said.status_code, said.json()["scimType"]) == (409, "uniqueness")


def test_who_shows_which_certificate_is_known_over_http_and_grpc(empty_database, tmp_path, monkeypatch):
    monkeypatch.setattr(server_tls, "LOOK_S", 0.0)
    shop = Shop(tmp_path)
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    worker, stranger = shop.pem("worker.example"), shop.pem("other.example")
    with local_server(empty_database, tmp_path / "data", **shop.settings()) as place:
        url, port = place.system.url.replace("127.0.0.1", "localhost"), int(place.system.grpc_address.rpartition(":")[2])
        assert url.startswith("https://")
        admin = first_admin(url, place.system.said, verify=ssl.create_default_context(cafile=str(shop.root)))
        with shop.http(url, worker) as http:
            me = http.get("/v1/me").json()
            assert (me["kind"], me["name"], me["roles"], me["tenants"]) == ("certificate", "worker", ["machine"], ["", "acme"])
            assert me["expires_at"] and me["csrf"] is None
            assert http.get("/v1/users").json()["right"] == "users:read", "what its roles say, and no more"
            assert http.get("/v1/instances", headers={"x-tenant": "acme"}).status_code == 200
            assert http.get("/v1/instances", headers={"x-tenant": "else"}).status_code == 403
            assert http.post("/v1/api-keys", json={"name": "k", "roles": ["machine"]}).status_code == 403, "a key would outlive it"
            assert http.post("/v1/messages", json={"name": "paid"}, headers={"origin": url}).status_code == 401, "no page of a browser"
            assert http.get("/v1/me", headers={"sec-fetch-site": "cross-site"}).status_code == 401
            assert http.get("/v1/me", headers={"authorization": "Bearer garbage"}).status_code == 401, "what is shown counts"
            assert http.post("/v1/messages", json={"name": "paid"}).status_code < 300
        with shop.http(url, shop.pem(common_name="Auditing")) as http:
            assert http.get("/v1/me").json()["name"] == "auditing" and http.get("/v1/users").status_code == 200
        with shop.http(url, stranger) as http:
            said = http.get("/v1/me")
            assert said.status_code == 401 and "dns:other.example" in said.json()["detail"]
        with shop.http(url) as http:
            assert http.get("/v1/me").status_code == 401 and http.get("/health/live").status_code == 200
        for pem in (shop.pem("worker.example", ca=shop.other), shop.pem("worker.example", not_after=past)):
            with shop.http(url, pem) as http, pytest.raises(httpx2.TransportError):
                http.get("/v1/me")
            assert shop.call(port, pem) == grpc.StatusCode.UNAVAILABLE, "the handshake fails"
        assert shop.call(port, worker) == grpc.StatusCode.OK
        assert shop.call(port, stranger) == shop.call(port) == grpc.StatusCode.UNAUTHENTICATED
        assert shop.call(port, worker, (("x-tenant", "else"),)) == grpc.StatusCode.PERMISSION_DENIED
        assert shop.call(port, worker, (("authorization", "Bearer garbage"),)) == grpc.StatusCode.UNAUTHENTICATED
        assert shop.call(port, shop.pem(common_name="Auditing")) == grpc.StatusCode.PERMISSION_DENIED
        _sockets(shop, url, worker, stranger)
        _told(admin)
        # the authority of clients is another one from now on, without a restart
        shop.other.cert_pem.write_to_path(str(shop.trusted))
        with shop.http(url, shop.pem("worker.example", ca=shop.other)) as http:
            assert http.get("/v1/me").json()["name"] == "worker"
        with shop.http(url, worker) as http, pytest.raises(httpx2.TransportError):
            http.get("/v1/me")
        assert admin.post("/v1/users", json={"name": "worker"}).status_code == 409, "that name is a certificate's"


def _told(admin: httpx2.Client) -> None:
    """What was refused is in the log of operations, once the views have it."""
    deadline = time.monotonic() + 60
    while True:
        told = admin.get("/v1/operations", params={"actor": "worker"}).json()["items"]
        if any(o["credential"] == "certificate:dns:worker.example" for o in told):
            return
        assert time.monotonic() < deadline, told
        time.sleep(0.1)


def _sockets(shop: Shop, url: str, worker: Path, stranger: Path) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    context = ssl.create_default_context(cafile=str(shop.root))
    context.load_cert_chain(worker)
    with connect(f"{url.replace('https', 'wss')}/v1/jobs/stream", ssl=context):
        pass
    context = ssl.create_default_context(cafile=str(shop.root))
    context.load_cert_chain(stranger)
    with pytest.raises(InvalidStatus) as e:
        connect(f"{url.replace('https', 'wss')}/v1/jobs/stream", ssl=context)
    assert e.value.response.status_code == 401


CERTIFICATE = {
    "subject": ((("commonName", "The Worker"),),), "notAfter": "Jan 15 09:00:00 2027 GMT",
    "subjectAltName": (("DNS", "worker.example"), ("URI", "spiffe://house/worker"), ("email", "worker@house.example"), ("IP Address", "10.0.0.1")),
}  # fmt: skip


async def test_a_connection_that_outlives_its_certificate_is_not_known_any_more(world: World):
    listed = Certificate(uri="spiffe://house/worker", actor="worker", roles=["machine"])
    certificates, shown = Certificates(People(certificates=[listed]), world.known), Shown(CERTIFICATE)
    identity = certificates.of(shown)
    assert certificates.of(shown) is identity and (identity.actor, identity.id) == ("worker", "uri:spiffe://house/worker")
    world.known.hold(identity)
    await world.known.refresh()
    assert not identity.ended.is_set()
    world.clock.passes(3600)
    with pytest.raises(Problem, match="expired") as e:
        certificates.of(shown)
    assert e.value.status == 401
    await world.known.refresh()
    assert identity.ended.is_set(), "streams end, too"


@pytest.mark.parametrize("kind", people.KINDS)
def test_each_kind_of_name(kind):
    assert kind in dict(names_in(CERTIFICATE)) and names_in({}) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[certificates]]\nactor = "w"\nroles = ["machine"]', "certificates.0.: one of uri, dns, email, common_name was expected, found none"),
        ('[[certificates]]\nactor = "w"\nroles = ["machine"]\ndns = "a"\nuri = "b"', "found uri, dns"),
        ('[[certificates]]\nactor = "a b"\nroles = ["machine"]\ndns = "a"', "letters, digits"),
        ('[[certificates]]\nactor = "w"\nroles = ["king"]\ndns = "a"', "certificates.0..roles: .*found king"),
        ('[[certificates]]\nactor = "w"\nroles = []\ndns = "a"', "length >= 1"),
        ('[[certificates]]\nactor = "w"\nroles = ["machine"]\ndns = "a"\n' * 2, "stands there twice"),
        ('[[groups]]\nname = "g"\n[[groups]]\nname = "g"', "twice"),
        ('[[groups]]\nname = "g"\nroles = ["king"]', "found king"),
        ('[[groups]]\nname = "g"\ncolour = "red"', "unknown field"),
        ("[[groups", "people_file"),
        ("#" * (people.FILE_BYTES_MAX + 1), "1048576 bytes at most"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_said_at_the_start(tmp_path, text, said):
    file = tmp_path / "people.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said):
        check(Settings(auth="local", people_file=str(file)))


def test_a_file_that_nobody_would_look_at_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="people_file.*No such file"):
        check(Settings(auth="local", people_file=str(tmp_path / "none.toml")))
    with pytest.raises(SettingsError, match="auth is none"):
        check(Settings(people_file=str(tmp_path / "none.toml")))

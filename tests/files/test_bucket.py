"""Files in a bucket, against moto's S3 and against servers that fail."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from flowledger.connectors import bucket as s3
from flowledger.events.files import area
from flowledger.infra import blobs as b
from flowledger.infra.settings import Settings, SettingsError
from flowledger.plugin import BlobStore
from flowledger.plugins.kit import problems
from tests.connectors.conftest import Target, boto, moto, target  # noqa: F401 - fixtures
from tests.connectors.wire import Wire, nobody
from tests.files.test_blobs import pieces, read

pytestmark = pytest.mark.req("D-DAT-019")
SHA = hashlib.sha256(b"one").hexdigest()


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "BLOBS").write_text("a-secret-key")
    return folder


def settings(tmp_path: Path, at: str, **more: Any) -> Settings:
    given = {
        "blobs": f"s3:{at}",
        "blobs_access_key": "AKID",
        "secrets": (f"folder:{tmp_path / 'secrets'}",),
        "egress_private": ("127.0.0.1",),
    }
    return Settings(data=tmp_path, **{**given, **more})


@pytest.fixture
def bucket(moto: tuple[str, int], secrets: Path) -> Iterator[str]:  # noqa: F811
    """Address of an empty bucket with a prefix."""
    name = f"flows-{uuid.uuid4().hex[:8]}"
    boto("s3", moto).create_bucket(Bucket=name)
    yield f"http://127.0.0.1:{moto[1]}/{name}/some/files"


def keys(moto: tuple[str, int], bucket: str) -> list[str]:  # noqa: F811
    found = boto("s3", moto).list_objects_v2(Bucket=bucket.split("/")[3])
    return [row["Key"] for row in found.get("Contents", ())]


@pytest.mark.req("APG-CON-020")
def test_it_keeps_the_contract_of_plug_ins(bucket: str, tmp_path: Path):
    known = b.MAKERS["s3"]
    part = BlobStore(api=1, name="a-bucket", open=lambda _: known(bucket, settings(tmp_path, bucket)), doc="x", example="{folder}/x")
    try:
        assert problems(part) == []
    finally:
        b.MAKERS.pop(part.name, None)


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(3 * b.PIECE_BYTES + 1)], ids=len)
async def test_what_was_put_is_read_and_twice_the_same_is_once(moto, bucket: str, tmp_path: Path, data: bytes):  # noqa: F811
    blobs = b.blobs_of(settings(tmp_path, bucket))
    kept = await blobs.put("a", pieces(data[:5], data[5:]))
    assert await blobs.put("a", pieces(data)) == kept == (hashlib.sha256(data).hexdigest(), len(data))
    assert await read(blobs, "a", kept.sha256) == data
    assert keys(moto, bucket) == [f"some/files/{area('a')}/{kept.sha256}"]
    with pytest.raises(FileNotFoundError):
        await read(blobs, "b", kept.sha256)  # tenants are apart
    assert not list((tmp_path / "blobs" / "coming").iterdir())


async def test_what_was_damaged_there_is_never_given_whole(moto, bucket: str, tmp_path: Path):  # noqa: F811
    blobs = b.blobs_of(settings(tmp_path, bucket))
    kept = await blobs.put("", pieces(b"good"))
    boto("s3", moto).put_object(Bucket=bucket.split("/")[3], Key=f"some/files/none/{kept.sha256}", Body=b"evil")
    with pytest.raises(b.Damaged):
        await read(blobs, "", kept.sha256)


async def test_only_what_is_ours_is_listed_and_swept(moto, bucket: str, tmp_path: Path):  # noqa: F811
    blobs, client, name = b.blobs_of(settings(tmp_path, bucket)), boto("s3", moto), bucket.split("/")[3]
    for other in ("some/files/none/readme", f"some/files/else/{SHA}", f"none/{SHA}", f"some/files/deleting/none/{SHA}"):
        client.put_object(Bucket=name, Key=other, Body=b"x")
    await blobs.put("", pieces(b"ours"))

    async def none(names: Sequence[str]) -> set[str]:
        return set()

    assert await blobs.sweep(none, time.time() - 3600) == 0
    assert await blobs.sweep(none, time.time() + 60) == 1 and len(keys(moto, bucket)) == 4


async def test_more_than_a_page(moto, bucket: str, tmp_path: Path):  # noqa: F811
    client, name = boto("s3", moto), bucket.split("/")[3]
    for n in range(1005):
        client.put_object(Bucket=name, Key=f"some/files/none/{n:064x}", Body=b"")
    store = b.blobs_of(settings(tmp_path, bucket)).store
    assert len(await asyncio.to_thread(lambda: {k.name for k in store.kept("none")})) == 1005


class Slow(s3.Bucket):
    """Between the look at a file and its deletion somebody else comes."""

    between: Any = None

    async def _sent(self, method: str, name: str, **more: Any) -> Any:
        if method == "DELETE" and not name.startswith(s3.NOTES) and self.between is not None:
            await asyncio.wait({asyncio.ensure_future(asyncio.to_thread(self.between))}, timeout=0.7)
        return await super()._sent(method, name, **more)


async def test_what_is_put_again_while_it_is_swept_stays(moto, bucket: str, tmp_path: Path):  # noqa: F811
    said = settings(tmp_path, bucket)
    sweeper, other = Slow(s3.where(bucket), said), s3.Bucket(s3.where(bucket), said)
    name, file, again = f"none/{SHA}", tmp_path / "one", tmp_path / "again"
    file.write_bytes(b"one")
    again.write_bytes(b"one")
    await asyncio.to_thread(other.put, name, file)
    sweeper.between = lambda: other.put(name, again)
    assert await asyncio.to_thread(sweeper.delete, name, time.time() + 60)
    for _ in range(50):  # who put comes to an end after who deleted
        if keys(moto, bucket) == [f"some/files/none/{SHA}"]:
            break
        await asyncio.sleep(0.1)
    assert keys(moto, bucket) == [f"some/files/none/{SHA}"]
    assert (await asyncio.to_thread(other.open, name)).read() == b"one"


async def test_many_at_once_put_read_and_sweep(bucket: str, tmp_path: Path):
    """Whoever has put can read, while all that can be swept is swept."""
    one, two = (b.blobs_of(settings(tmp_path, bucket)) for _ in range(2))

    async def none(names: Sequence[str]) -> set[str]:
        return set()

    async def work(n: int) -> None:
        for k in range(3):
            blobs = (one, two)[k % 2]
            kept = await blobs.put("", pieces(b"%d" % (n * k % 3)))
            assert await read(blobs, "", kept.sha256) == b"%d" % (n * k % 3)

    async def sweeping() -> None:
        while True:
            await one.sweep(none, time.time() - 5)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(sweeping())
    await asyncio.gather(*(work(n) for n in range(4)))
    task.cancel()


# --- what goes wrong ------------------------------------------------------------------------------------------------------


async def test_it_is_asked_again_and_then_it_is_away(target: Target, secrets: Path, tmp_path: Path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(s3, "PAUSE_S", 0.01)
    left = [2]

    def route(request: Any) -> tuple[int, dict[str, str], Any]:
        left[0] -= 1
        return (503, {}, b"<Error><Code>SlowDown</Code></Error>") if left[0] >= 0 else (200, {}, b"one")

    target.routes[f"/flows/none/{SHA}"] = route
    blobs = b.blobs_of(settings(tmp_path, f"{target.url}/flows"))
    with pytest.raises(OSError, match="SlowDown"):  # a file is begun anew by who reads it
        left[0] = 100
        await read(blobs, "", SHA)
    left[0] = 2
    assert await read(blobs, "", SHA) == b"one"


@pytest.mark.parametrize("mode", ["drop", "cut"])
async def test_a_connection_that_breaks(moto, bucket: str, tmp_path: Path, mode: str, monkeypatch):  # noqa: F811
    monkeypatch.setattr(s3, "PAUSE_S", 0.01)
    wire = await Wire(("127.0.0.1", moto[1])).start()
    blobs = b.blobs_of(settings(tmp_path, bucket.replace(str(moto[1]), str(wire.port))))
    kept = await blobs.put("", pieces(b"x" * 5000))
    wire.mode, wire.budget = mode, 1000
    blobs = b.blobs_of(settings(tmp_path, bucket.replace(str(moto[1]), str(wire.port))))
    with pytest.raises(OSError, match="no answer from the bucket"):
        await read(blobs, "", kept.sha256)
    wire.budget = 10
    with pytest.raises(OSError, match="no answer from the bucket"):
        await blobs.put("", pieces(b"other"))
    wire.mode = "pass"
    assert await read(blobs, "", kept.sha256) == b"x" * 5000
    await wire.close()


async def test_nobody_listens_and_a_gate_that_refuses(secrets: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(s3, "PAUSE_S", 0.01)
    at = f"http://127.0.0.1:{await nobody()}/flows"
    with pytest.raises(OSError, match="no answer from the bucket"):
        await read(b.blobs_of(settings(tmp_path, at)), "", SHA)
    with pytest.raises(OSError, match="127.0.0.1"):
        await read(b.blobs_of(settings(tmp_path, at, egress_private=())), "", SHA)


async def test_keys_wrong_rotated_and_missing(target: Target, secrets: Path, tmp_path: Path):  # noqa: F811
    """A stub that checks signatures: the second key is the one that is taken from now on."""
    seen: list[str] = []

    def route(request: Any) -> tuple[int, dict[str, str], Any]:
        seen.append(request.headers["authorization"])
        assert request.headers["x-amz-content-sha256"] and "Credential=AKID/" in seen[-1]
        ok = (secrets / "BLOBS").exists() and (secrets / "BLOBS").read_text() == "second-key"
        return (200, {}, b"one") if ok else (403, {}, b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>")

    target.routes[f"/flows/none/{SHA}"] = route
    blobs = b.blobs_of(settings(tmp_path, f"{target.url}/flows"))
    with pytest.raises(OSError, match="does not let us in") as e:
        await read(blobs, "", SHA)
    assert "a-secret-key" not in str(e.value)
    (secrets / "BLOBS").write_text("second-key")
    assert await read(blobs, "", SHA) == b"one"
    (secrets / "BLOBS").unlink()
    with pytest.raises(OSError, match="BLOBS"):
        await read(blobs, "", SHA)


@pytest.mark.parametrize(
    ("at", "more", "words"),
    [
        ("flows", {}, "expected s3:https://ADDRESS/BUCKET/PREFIX"),
        ("ftp://a/b", {}, "expected s3:https"),
        ("https://a.example", {}, "expected s3:https"),
        ("https://u:p@a.example/b", {}, "expected s3:https"),
        ("https://a.example/b/%2e%2e/c", {}, "expected s3:https"),
        ("https://a.example/b", {"blobs_access_key": ""}, "blobs_access_key"),
    ],
)
def test_wrong_settings_are_told(secrets: Path, tmp_path: Path, at: str, more: dict[str, Any], words: str):
    with pytest.raises(SettingsError, match=words):
        b.blobs_of(settings(tmp_path, at, **more))


async def test_files_of_a_task_are_kept_there(place, database, moto, bucket: str, tmp_path: Path):  # noqa: F811
    """Sent, had, detached, swept: through the API of a whole system."""
    from flowledger.sdk import Flow
    from tests.files.test_files_by_api import Files

    model = Flow("p").start().user("t").end().xml().decode()
    said = settings(tmp_path, bucket)
    more = {k: getattr(said, k) for k in ("blobs", "blobs_access_key", "secrets", "egress_private")}
    async with place.system(data=tmp_path, postgres=database, partitions=1, **more) as (system, http):
        x = Files(http, place)
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": model}]})
        instance, task = await x.begun()
        data = os.urandom(300_000)
        status, made = await x.send(f"tasks/{task}/files/a.bin", data, "application/octet-stream")
        assert status == 201 and (await x.had(f"tasks/{task}/files/a.bin", wait_for=made["position"])).content == data
        assert keys(moto, bucket) == [f"some/files/none/{made['sha256']}"]
        boto("s3", moto).delete_object(Bucket=bucket.split("/")[3], Key=keys(moto, bucket)[0])
        assert (await x.had(f"tasks/{task}/files/a.bin")).status_code == 410

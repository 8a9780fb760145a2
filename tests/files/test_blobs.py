"""The store of files: by content, whole or not at all, checked when read, tenants apart, bounded, and what nobody needs goes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from flowledger.events.files import area, hash_in, uri_of
from flowledger.infra import blobs as b
from flowledger.infra.settings import Settings, SettingsError
from flowledger.plugin import BlobStore
from flowledger.plugins.kit import problems

pytestmark = pytest.mark.req("D-DAT-019")


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


async def read(blobs: b.Blobs, tenant: str, sha256: str) -> bytes:
    return b"".join([p async for p in blobs.read(tenant, sha256)])


def of(folder: Path, **more: object) -> b.Blobs:
    return b.blobs_of(Settings(data=folder, **more))  # type: ignore[arg-type]


async def nobody(names: Sequence[str]) -> set[str]:
    return set()


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "lock")


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(3 * b.PIECE_BYTES), os.urandom(3 * b.PIECE_BYTES + 1)], ids=len)
async def test_what_was_put_is_read_and_twice_the_same_is_once(tmp_path, data):
    blobs = of(tmp_path)
    for n in (1, 7):
        step = max(1, len(data) // n)
        kept = await blobs.put("a", pieces(*(data[i : i + step] for i in range(0, len(data), step))))
        assert kept == (hashlib.sha256(data).hexdigest(), len(data))
    assert await read(blobs, "a", kept.sha256) == data
    assert [p.name for p in files(tmp_path)] == [kept.sha256] and files(tmp_path)[0].stat().st_mode & 0o077 == 0


async def test_tenants_are_apart(tmp_path):
    blobs = of(tmp_path)
    kept = await blobs.put("a", pieces(b"mine"))
    for other in ("", "b", "A", "../a", "none", area("a")):
        with pytest.raises(FileNotFoundError):
            await read(blobs, other, kept.sha256)
    assert len({area(t) for t in ("", "none", "a", "A", "/", "..", "x" * 255)}) == 7


@pytest.mark.parametrize("how", ["changed", "cut", "longer", "empty"])
async def test_what_was_damaged_on_the_disk_is_never_given_whole(tmp_path, how):
    blobs, data = of(tmp_path), os.urandom(2 * b.PIECE_BYTES + 5)
    kept = await blobs.put("", pieces(data))
    (path,) = files(tmp_path)
    raw = {"changed": data[:7] + bytes([data[7] ^ 1]) + data[8:], "cut": data[:-1], "longer": data + b"x", "empty": b""}[how]
    path.write_bytes(raw)
    found = b""
    with pytest.raises(b.Damaged, match=kept.sha256):
        async for piece in blobs.read("", kept.sha256):
            found += piece
    assert len(found) < len(raw) or not raw


async def test_what_is_too_large_or_breaks_off_leaves_nothing(tmp_path):
    blobs = of(tmp_path, blob_bytes_max=2048)
    assert (await blobs.put("", pieces(b"x" * 2048))).size == 2048

    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise ConnectionError("the caller left")

    for coming, error in ((pieces(b"x" * 2048, b"y"), b.TooLarge), (broken(), ConnectionError)):
        with pytest.raises(error):
            await blobs.put("", coming)
    assert len(files(tmp_path)) == 1


async def test_a_tenant_has_only_so_many(tmp_path):
    blobs = of(tmp_path, blobs_max=2)
    for n in range(2):
        await blobs.put("a", pieces(b"%d" % n))
    with pytest.raises(b.Full, match="2 is the most"):
        await blobs.put("a", pieces(b"3"))
    await blobs.put("b", pieces(b"3"))
    with pytest.raises(b.Full):
        await of(tmp_path, blobs_max=2).put("a", pieces(b"3"))


async def test_what_nobody_needs_goes_after_its_time_and_what_was_put_again_stays(tmp_path):
    blobs = of(tmp_path)
    old, needed, again, fresh = [(await blobs.put("a", pieces(x))).sha256 for x in (b"old", b"needed", b"again", b"fresh")]
    for path in files(tmp_path):
        if path.name != fresh:
            os.utime(path, (1, 1))
    (tmp_path / "blobs" / "coming" / "in-dead").write_bytes(b"of a process that died")
    os.utime(tmp_path / "blobs" / "coming" / "in-dead", (1, 1))
    asked: list[str] = []

    async def look(names: Sequence[str]) -> set[str]:
        asked.extend(names)
        await blobs.put("a", pieces(b"again"))  # somebody puts it in this very moment
        return {f"{area('a')}/{needed}"}

    assert await blobs.sweep(look, time.time() - 3600) == 1
    assert {p.name for p in files(tmp_path)} == {needed, again, fresh}
    assert {n.partition("/")[2] for n in asked} == {old, needed, again}
    assert await blobs.sweep(nobody, time.time() + 1) == 3


async def test_many_at_once_put_read_and_sweep(tmp_path):
    """Put and read at once, while all that can be swept is swept: whoever has put can read."""
    one, two = of(tmp_path), of(tmp_path)

    async def work(n: int) -> None:
        for k in range(8):
            blobs = (one, two)[k % 2]
            kept = await blobs.put("", pieces(b"%d" % (n * k % 5)))
            assert await read(blobs, "", kept.sha256) == b"%d" % (n * k % 5)

    async def sweeping() -> None:
        while True:
            await one.sweep(nobody, time.time() - 5)
            await asyncio.sleep(0)

    task = asyncio.create_task(sweeping())
    await asyncio.gather(*(work(n) for n in range(10)))
    task.cancel()


async def test_a_file_comes_from_another_disk(tmp_path, monkeypatch):
    """The folder for what comes in may stand elsewhere."""
    other = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    if other is None or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one disk here")
    blobs = of(tmp_path)
    blobs.folder = other / f"flowledger-{os.getpid()}"
    try:
        kept = await blobs.put("", pieces(b"far"))
        assert await read(blobs, "", kept.sha256) == b"far" and len(files(tmp_path)) == 1 and not files(blobs.folder)
    finally:
        blobs.folder.rmdir()


@pytest.mark.parametrize("text", ["folder", "folder:", "s3:", "x"])
def test_a_wrong_setting_is_told(tmp_path, text):
    with pytest.raises(SettingsError, match="setting blobs: expected folder:WHERE"):
        of(tmp_path, blobs=text)


def test_only_a_hash_of_ours_is_kept_here():
    assert hash_in(uri_of("a" * 64)) == "a" * 64
    for other in (None, 5, "", "a" * 64, "s3://b/x", "stored:sha256/", "stored:sha256/../x", uri_of("A" * 64), uri_of("a" * 63)):
        assert hash_in(other) == "", other


class Wrong(b.Folder):
    """Breaks one promise each."""

    how = ""

    def delete(self, name: str, before_s: float) -> bool:
        if self.how == "deletes what is new":
            return super().delete(name, 1e12)
        return self.how != "keeps" and super().delete(name, before_s)

    def open(self, name: str):
        if self.how == "raises":
            raise RuntimeError("odd")
        return super().open(name)

    def kept(self, of: str = ""):
        return super().kept("" if self.how == "mixes areas" else of)


@pytest.mark.parametrize(
    ("how", "words"),
    [("deletes what is new", "after that moment"), ("keeps", "did not delete"), ("raises", "RuntimeError"), ("mixes areas", "others")],
)
def test_the_kit_finds_a_store_that_breaks_its_promises(how, words):
    def opened(where: str) -> Wrong:
        store = Wrong(Path(where))
        store.how = how
        return store

    part = BlobStore(api=1, name=f"wrong-{how.replace(' ', '-')}", open=opened, doc="x", example="{folder}/x")
    try:
        assert any(words in p for p in problems(part)), problems(part)
    finally:
        b.MAKERS.pop(part.name, None)


def test_the_folder_keeps_the_contract_of_plug_ins():
    part = BlobStore(api=1, name="a-folder", open=lambda where: b.Folder(Path(where)), doc="x", example="{folder}/x")
    try:
        assert problems(part) == []
    finally:
        b.MAKERS.pop(part.name, None)

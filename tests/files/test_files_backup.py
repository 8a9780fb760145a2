"""Files come along with a backup, wherever their folder is, and are had again from what was restored."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flowledger.infra.backup import backup, checked, restore
from flowledger.infra.blobs import blobs_of
from flowledger.infra.settings import Settings
from flowledger.processors.engine import Engine
from flowledger.stores import make_log

pytestmark = pytest.mark.req("D-DAT-019", "D-HA-001")


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_files_are_copied_and_put_back(tmp_path: Path, elsewhere: bool):
    def of(name: str) -> Settings:
        return Settings(
            data=tmp_path / name, partitions=1, signing_key="none", blobs=f"folder:{tmp_path / f'files of {name}'}" if elsewhere else ""
        )

    async def pieces(data: bytes) -> AsyncIterator[bytes]:
        yield data

    data, settings = os.urandom(300_000), of("data")
    engine = Engine(make_log(settings), partitions=1)
    await engine.start()
    kept = [await blobs_of(settings).put(tenant, pieces(data)) for tenant in ("", "b")]
    log = make_log(settings, readonly=True)
    await log.open()
    await backup(log, settings, tmp_path / "backup")
    await log.close()
    await engine.stop()
    assert len([n for n in checked(tmp_path / "backup")["files"] if n.startswith("blobs/")]) == 2, "each is in the manifest with its hash"
    again = of("again")
    await restore(tmp_path / "backup", again)
    for tenant, blob in zip(("", "b"), kept, strict=True):
        assert b"".join([p async for p in blobs_of(again).read(tenant, blob.sha256)]) == data
    # one that is not what it was is found before anything is restored
    [path, *_] = [p for p in (tmp_path / "backup" / "blobs").rglob("*") if p.is_file()]
    path.write_bytes(b"other")
    with pytest.raises(Exception, match=path.name):
        await restore(tmp_path / "backup", of("third"))

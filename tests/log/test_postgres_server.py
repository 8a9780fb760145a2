"""The embedded PostgreSQL: starts, keeps its data, and is stopped by whoever knows its folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from flowledger.infra.postgres_server import stop

LONG_LIVED = "import sys; from flowledger.infra.postgres_server import start; print(start(sys.argv[1], long_lived=sys.argv[2] == 'long'))"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: as root every folder above is opened to others."""
    above = Path(tempfile.mkdtemp(prefix="flowledger-pg-"))
    yield above / "data"
    stop(above / "data")
    shutil.rmtree(above, ignore_errors=True)


def start_in_another_process(folder: Path, life: str) -> str:
    run = subprocess.run([sys.executable, "-c", LONG_LIVED, str(folder), life], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.postgres
def test_a_long_lived_server_survives_its_starter_and_keeps_its_data(folder: Path):
    url = start_in_another_process(folder, "long")
    with psycopg.connect(url) as db:
        db.execute("CREATE TABLE kept AS SELECT 7 AS n")
    assert stop(folder) and not stop(folder)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    with psycopg.connect(start_in_another_process(folder, "long")) as db:
        assert db.execute("SELECT n FROM kept").fetchone() == (7,)
    assert stop(folder)


@pytest.mark.postgres
def test_a_short_lived_server_ends_with_its_last_process(folder: Path):
    url = start_in_another_process(folder, "short")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    assert not stop(folder)

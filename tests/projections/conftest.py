"""A real PostgreSQL: `POSTGRES_URL` if set, else the embedded one; a fresh schema for each test."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from flowledger.infra import postgres_server
from flowledger.projections import schema as sc

sys.path.insert(0, str(Path(__file__).parent))  # for `projection_story`


@pytest.fixture(scope="session")
def dsn() -> Iterator[str]:
    if url := os.environ.get("POSTGRES_URL"):
        yield url
        return
    folder = Path(tempfile.mkdtemp(prefix="flowledger-pg-"))
    folder.chmod(0o755)
    try:
        yield postgres_server.start(folder / "data")
    finally:
        with contextlib.suppress(postgres_server.PostgresUnavailable):  # it ends when the disk has time for it
            postgres_server.stop(folder / "data")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def schema() -> str:
    return f"t_{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def db(dsn: str, schema: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection with the schema of the projections, all views made, partition 0 and 1 at offset 0."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await sc.migrate(conn, schema)
        await sc.use_schema(conn, schema)
        yield conn
        for name in (schema, schema + sc.NEXT, schema + sc.ARCHIVE):
            await conn.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")  # type: ignore[arg-type]

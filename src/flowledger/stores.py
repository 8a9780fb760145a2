"""Where a process keeps things, by its settings: the log, and the database, which it may run itself."""

from __future__ import annotations

import asyncio
import subprocess
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowledger.events.base import Recorded
from flowledger.infra.settings import Settings, SettingsError
from flowledger.logs import log
from flowledger.processors.log import Log

if TYPE_CHECKING:
    from flowledger.infra.protection.vault import Vault

POSTGRES_LOOK_S = 1.0


def make_log(settings: Settings, readonly: bool = False) -> Log:
    """The log that the settings name. `readonly`: beside a running server (auditors)."""
    if settings.kafka:
        from flowledger.infra.kafka_security import security_of
        from flowledger.infra.log_kafka import KafkaLog

        return KafkaLog(
            settings.kafka, prefix=settings.prefix, replication=settings.replication, client=f"flowledger-{settings.node}",
            security=security_of(settings),
        )  # fmt: skip
    from flowledger.infra.log_sqlite import SqliteLog

    path = settings.data / "log.sqlite3"
    if readonly and not path.exists():
        raise SettingsError(f"there is no log in {settings.data}: name its folder with --data, or a Kafka with --kafka")
    if not readonly:
        settings.data.mkdir(parents=True, exist_ok=True)
    return SqliteLog(path, synchronous="FULL" if settings.durability == "full" else "NORMAL", readonly=readonly)


def postgres_folder(settings: Settings) -> Path:
    """Where the embedded PostgreSQL keeps its data: one for each log, since rows belong to the log that they were folded from."""
    name = f"postgres-{zlib.crc32(f'{settings.kafka}/{settings.prefix}'.encode()):08x}" if settings.kafka else "postgres"
    return Path(settings.data).resolve() / name


def start_postgres(settings: Settings) -> str:
    """URL of the database. The embedded one is started when none is named; it ends with this process."""
    if settings.postgres:
        return settings.postgres
    from flowledger.infra.postgres_server import start

    return start(postgres_folder(settings))


def vault_of(settings: Settings) -> Vault | None:
    """Keys of protected variables; None: this server protects nothing. Nothing is asked before the first need. Raises: SettingsError."""
    from flowledger.infra.protection.store import PostgresKeys
    from flowledger.infra.protection.vault import Vault
    from flowledger.infra.protection.wrapping import wrapper_of

    wrapper = wrapper_of(settings)
    return Vault(PostgresKeys(lambda: start_postgres(settings)), wrapper) if wrapper is not None else None


def source_of(log_: Log, follow: bool = True) -> Callable[[int, int], AsyncIterator[tuple[Sequence[Recorded], int]]]:
    """Counted events of a partition for the projector: live, or up to the end of the log only (rebuild)."""
    from flowledger.processors.owner import counted

    async def source(partition: int, offset: int) -> AsyncIterator[tuple[Sequence[Recorded], int]]:
        async for batch in counted(log_, partition, offset, follow=follow):
            yield batch, batch[-1].offset + 1

    return source


async def keep_postgres(settings: Settings) -> None:
    """The embedded server is started again when it dies."""
    from flowledger.infra.postgres_server import PostgresUnavailable, running

    folder, delay = postgres_folder(settings), POSTGRES_LOOK_S
    while True:
        await asyncio.sleep(delay)
        if running(folder):
            delay = POSTGRES_LOOK_S
            continue
        log("system").error("the embedded PostgreSQL has died; it is started again", folder=str(folder))
        try:
            await asyncio.to_thread(start_postgres, settings)
        except PostgresUnavailable as e:
            log("system").error("the embedded PostgreSQL does not start", why=str(e))
            delay = min(delay * 2, 10.0)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()

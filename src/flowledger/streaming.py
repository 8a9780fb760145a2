"""The role of live figures on Faust: the shell around `flowledger.analytics.stream`, beside the projector's (docs/insight.md, "Live figures by a stream").

Faust delivers at least once; what makes its table exact is the guard in each entry, so its `exactly_once` isn't used (docs/dependencies.md 3).
"""

from __future__ import annotations

import asyncio
import io
import os
import threading
from typing import Any

import fastavro
import faust
import psycopg
from faust.types import TP

from flowledger.analytics.figures import NAMES, Numbers
from flowledger.analytics.stream import Lost, Minute, PartitionStream
from flowledger.infra.kafka_security import security_of
from flowledger.infra.settings import Settings, SettingsError
from flowledger.logs import log
from flowledger.processors.log import EVENTS, RECORD_BYTES_MAX, LogRecord

log_ = log("stream")
#: between two looks for what has changed (seconds), and how long the producer waits for more to send with a table's entry
TELL_S, LINGER_S = 0.25, 0.02
#: after so long without a sign of it a worker's partitions go to others (seconds)
SESSION_S = 10.0
#: how long a worker that is told to end has for it (seconds)
STOP_S = 10.0
#: what an entry of the table may have beyond the largest record of the log (bytes)
ENTRY_BYTES = 65_536
#: minutes that are told at once
TOLD_MAX = 2_000

_TEXTS, _INTS = ("tenant", "process", "element", "job_type"), ("definition", "version", "partition", "upto")
_PARSED = fastavro.parse_schema(
    {
        "type": "record", "name": "Minute", "namespace": "flowledger.metrics",
        "doc": "What happened to a series within a minute, of one partition of the log, up to an offset; a later record of the same key takes its place.",
        "fields": [
            *({"name": name, "type": "string"} for name in _TEXTS), *({"name": name, "type": "long"} for name in _INTS),
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            *({"name": name, "type": "long"} for name in NAMES[:-2]), *({"name": name, "type": ["null", "long"]} for name in NAMES[-2:]),
        ],
    }
)  # fmt: skip
#: Avro's single-object encoding: a mark, the fingerprint of the schema, the record
_FRAME = b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(_PARSED), "CRC-64-AVRO"))[::-1]

_COLUMNS = ("partition", "tenant_id", "process_id", "definition_id", "version", "element", "job_type", "at", *NAMES, "upto")
_KEY = ("partition", "tenant_id", "process_id", "definition_id", "element", "job_type", "at")
_MADE = (
    "CREATE SCHEMA IF NOT EXISTS live",
    "CREATE TABLE IF NOT EXISTS live.partitions (partition integer, tenant_id varchar(255), process_id varchar(255), definition_id bigint, version bigint, "
    f"element varchar(255), job_type varchar(255), at timestamptz, {', '.join(f'{n} bigint' for n in NAMES)}, upto bigint, PRIMARY KEY ({', '.join(_KEY)}))",
    "CREATE INDEX IF NOT EXISTS live_at ON live.partitions (tenant_id, process_id, at)",
    "CREATE OR REPLACE VIEW live.measures_minute AS SELECT tenant_id, process_id, definition_id, version, element, job_type, at, "  # noqa: S608 - names of this package
    f"{', '.join(f'sum({n})::bigint AS {n}' for n in NAMES[:-2])}, min({NAMES[-2]}) AS {NAMES[-2]}, max({NAMES[-1]}) AS {NAMES[-1]} "
    "FROM live.partitions GROUP BY 1, 2, 3, 4, 5, 6, 7",
)  # fmt: skip
_PUT = (
    f"INSERT INTO live.partitions ({', '.join(_COLUMNS)}) VALUES ({', '.join('to_timestamp(%s / 1e6)' if c == 'at' else '%s' for c in _COLUMNS)}) "  # noqa: S608 - names of this page
    f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {', '.join(f'{c} = EXCLUDED.{c}' for c in ('version', *NAMES, 'upto'))} "
    "WHERE live.partitions.upto < EXCLUDED.upto"
)


def avro_of(partition: int, minute: Minute, numbers: Numbers, upto: int) -> bytes:
    s, at = minute
    out = io.BytesIO(_FRAME)
    out.seek(0, io.SEEK_END)
    row = {**s._asdict(), "partition": partition, "upto": upto, "at": at, **dict(zip(NAMES, numbers, strict=True))}
    fastavro.schemaless_writer(out, _PARSED, row)
    return out.getvalue()


def read_avro(value: bytes) -> dict[str, Any]:
    """Raises: ValueError: of another schema."""
    if not value.startswith(_FRAME):
        raise ValueError("expected a record of flowledger.metrics.Minute, found one of another schema")
    found = fastavro.schemaless_reader(io.BytesIO(value[len(_FRAME) :]), _PARSED, None)
    assert isinstance(found, dict)
    return found


class Live:
    """The app: its streams by partition, and telling what they count."""

    def __init__(self, settings: Settings, partitions: int) -> None:
        prefix, security = settings.prefix, security_of(settings)
        self._dsn = settings.postgres
        self._db: psycopg.AsyncConnection[Any] | None = None
        self._streams: dict[int, PartitionStream] = {}
        self._owned: set[int] = set()
        self.app = app = faust.App(
            f"{prefix}.analytics", broker=[f"kafka://{address.strip()}" for address in settings.kafka.split(",")], store="memory://",
            broker_credentials=_credentials(security), topic_partitions=partitions, topic_replication_factor=settings.replication,
            processing_guarantee="at_least_once", producer_linger=LINGER_S, producer_acks=-1, consumer_auto_offset_reset="earliest",
            broker_commit_interval=1.0, web_enabled=False, topic_disable_leader=True, datadir=str(settings.data / "faust"),
            table_standby_replicas=0, producer_max_request_size=RECORD_BYTES_MAX + ENTRY_BYTES, broker_session_timeout=SESSION_S, broker_heartbeat_interval=3.0,
        )  # fmt: skip
        raw: dict[str, Any] = {"key_serializer": "raw", "value_serializer": "raw", "key_type": bytes, "value_type": bytes}
        self._events = f"{prefix}.{EVENTS}"
        self._metrics = app.topic(f"{prefix}.metrics", partitions=partitions, compacting=True, deleting=False, **raw)
        self._table = app.Table("figures", partitions=partitions, key_type=bytes, value_type=bytes)
        app.on_partitions_assigned.connect(self._assigned)  # type: ignore[arg-type]
        app.on_partitions_revoked.connect(self._revoked)  # type: ignore[arg-type]
        app.agent(app.topic(self._events, **raw), name="count", concurrency=1)(self._run)
        app.task(self._tell_all)

    async def _assigned(self, app: Any, assigned: set[TP], **_: Any) -> None:
        self._owned = {tp.partition for tp in assigned if tp.topic == self._events}
        self._streams.clear()

    async def _revoked(self, app: Any, revoked: set[TP], **_: Any) -> None:
        gone = {tp.partition for tp in revoked if tp.topic == self._events}
        self._owned -= gone
        for partition in gone:
            self._streams.pop(partition, None)

    # --- in

    async def _run(self, stream: Any) -> None:
        read: dict[int, list[Any]] = {}
        async for event in stream.noack().events():
            m = event.message
            if m.partition not in self._owned:  # somebody else counts it now
                continue
            # without anything awaited: nobody takes a partition away within a group
            s = self._streams.get(m.partition)
            if s is None:
                s = self._streams[m.partition] = PartitionStream(m.partition, self._table.items())
                read[m.partition] = []
            record = LogRecord(m.offset, m.key, m.value or b"", _headers(m), round(m.timestamp * 1000) * 1000)
            try:
                writes = s.take(record)
            except Lost as e:
                log_.error("the figures end here", partition=m.partition, why=str(e))
                await self.app.crash(e)
                return
            read[m.partition].append(event)
            if writes is None:
                continue
            for key, value in writes:
                if value is None:
                    self._table.pop(key, None)
                else:
                    self._table[key] = value
            for each in read[m.partition]:
                each.ack()
            read[m.partition] = []

    # --- out

    async def _tell_all(self) -> None:
        await self._metrics.maybe_declare()
        while not self.app.should_stop:
            await asyncio.sleep(TELL_S)
            for s in list(self._streams.values()):
                try:
                    while s.untold and self._streams.get(s.partition) is s:
                        await self._tell(s)
                except psycopg.Error as e:
                    log_.warning("the database can't be told", partition=s.partition, why=str(e))
                    await self._hang_up()

    async def _tell(self, s: PartitionStream) -> None:
        some = dict(list(s.untold.items())[:TOLD_MAX])
        rows = [(minute, list(s.minutes[minute]), upto) for minute, upto in some.items()]
        sent = [
            await self._metrics.send(
                key=repr((s.partition, *minute[0], minute[1])).encode(),
                value=avro_of(s.partition, minute, numbers, upto),
                partition=s.partition,
            )
            for minute, numbers, upto in rows
        ]
        if self._dsn:
            values = [
                (s.partition, m.tenant, m.process, m.definition, m.version, m.element, m.job_type, at, *numbers, upto)
                for (m, at), numbers, upto in rows
            ]
            db = await self._connection()
            async with db.transaction(), db.cursor() as cursor:
                await cursor.executemany(_PUT, values)
        for each in sent:
            await each
        s.told(some)

    async def _connection(self) -> psycopg.AsyncConnection[Any]:
        if self._db is None:
            self._db = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, application_name="flowledger stream")
            async with self._db.transaction():
                await self._db.execute("SELECT pg_advisory_xact_lock(hashtext('live'))")  # several workers may start at once
                for statement in _MADE:
                    await self._db.execute(statement)
        return self._db

    async def _hang_up(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            await db.close()


def _headers(message: Any) -> tuple[tuple[str, bytes], ...]:
    found = message.headers or ()
    return tuple(found.items() if isinstance(found, dict) else found)


def _credentials(security: dict[str, Any]) -> Any:
    if (protocol := security.get("security_protocol", "PLAINTEXT")) == "PLAINTEXT":
        return None
    context = security.get("ssl_context")
    if protocol == "SSL":
        return faust.SSLCredentials(context)
    if security.get("sasl_mechanism") == "OAUTHBEARER":
        return faust.OAuthCredentials(oauth_cb=security["sasl_oauth_token_provider"], ssl_context=context)
    return faust.SASLCredentials(
        username=security.get("sasl_plain_username"), password=security.get("sasl_plain_password"), ssl_context=context,
        mechanism=security["sasl_mechanism"],
    )  # fmt: skip


async def partitions_of(settings: Settings) -> int:
    """Of the log. Raises: SettingsError: it isn't there yet."""
    from flowledger.stores import make_log

    log_of = make_log(settings)
    await log_of.open()
    try:
        if not log_of.partitions:
            raise SettingsError(f"there is no topic {settings.prefix}.{EVENTS}: start a server on this Kafka first")
        return log_of.partitions
    finally:
        await log_of.close()


def serve(settings: Settings) -> None:
    """Until it is told to end. Raises: SettingsError, LogError."""
    if not settings.kafka:
        raise SettingsError("figures by a stream need Kafka: name it with --kafka. Without it the projector counts the same")
    live = Live(settings, asyncio.run(partitions_of(settings)))

    class Worker(faust.Worker):
        def _schedule_shutdown(self, given: Any) -> None:
            """Whatever waits then: what a worker hasn't finished, another reads again, and counts once."""
            last = threading.Timer(STOP_S, os._exit, (0,))
            last.daemon = True
            last.start()
            super()._schedule_shutdown(given)

    settings.data.mkdir(parents=True, exist_ok=True)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    Worker(live.app, loop=loop, loglevel="WARN", logfile=None, quiet=True).execute_from_commandline()

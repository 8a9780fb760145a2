"""A record for a topic of Kafka, once all replicas that must have it do.

aiokafka connects by itself, to the servers that it is told of and to those that they name: each of these passes the gate, too (`_connected`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from flowledger.connectors import reach
from flowledger.connectors.fields import Index, Seconds, Secret, Text, Tls, dropped
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.outcomes import SENT
from flowledger.infra.egress import Refused

SERVERS_MAX = 10
HEADERS_MAX = 50
#: of a key and a value together
BYTES_MAX = 1024 * 1024
_encode = msgspec.json.Encoder(decimal_format="number").encode


class KafkaConfig(Config):
    """Writes a record to a topic of Kafka."""

    model_config = ConfigDict(title="Kafka: write a record")

    bootstrap_servers: Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\s,]+:\d{1,5}(\s*,\s*[^\s,]+:\d{1,5})*$")] = Field(
        description="host:port, several with commas between them", title="Servers"
    )
    tls: Tls = Field("verify", description="verify: TLS, and the server is who it says; off: only where the way is safe", title="TLS")
    mechanism: Literal["none", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("none", description="How we say who we are", title="SASL")
    username: Annotated[str, Field(max_length=256)] = Field("", description="Who we are to the server", title="User")
    password: Secret | None = Field(None, description="A reference: {{secrets.NAME}}", title="Password")
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")] = Field(description="Where to", title="Topic")
    key: Any = Field(None, description="A text as it is, else JSON; records of a key stay in order", title="Key")
    value: Any = Field(None, description="A text as it is, else JSON; null: a tombstone", title="Value")
    headers: Annotated[dict[str, Text], BeforeValidator(dropped), Field(max_length=HEADERS_MAX)] = Field(
        {}, description="A context of texts", title="Headers"
    )
    partition: Index | None = Field(None, description="Empty: by the key", title="Partition")
    idempotency_header: Annotated[str, Field(max_length=256)] = Field(
        "idempotency-key", description="Header that carries the key of the work; empty: none", title="Idempotency header"
    )
    timeout_in_seconds: Seconds = Field(30, description="For all of the call", title="Time limit (s)")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.servers) > SERVERS_MAX:
            raise ValueError(f"bootstrapServers: expected at most {SERVERS_MAX}")
        if self.mechanism != "none" and not (self.username and self.password):
            raise ValueError(f"username and password: {self.mechanism} needs both")
        return self

    @property
    def servers(self) -> list[str]:
        return [part.strip() for part in self.bootstrap_servers.split(",")]


class KafkaConnector:
    name = "kafka"
    job_type = "flowledger:kafka"
    aliases: tuple[str, ...] = ()
    config: type[Config] = KafkaConfig

    async def call(self, config: KafkaConfig, call: Call) -> dict[str, Any]:
        """`{topic, partition, offset, timestamp}`. Raises: Failed, and what `outcomes` knows."""
        if call.own_topics and config.topic.startswith(f"{call.own_topics}."):
            raise Failed("CONFIGURATION", f"topic: what begins with {call.own_topics}. is the ledger's own, and written by the engine only")
        key, value = _bytes(config.key), _bytes(config.value)
        if len(key or b"") + len(value or b"") > BYTES_MAX:
            raise Failed("CONFIGURATION", f"expected key and value of at most {BYTES_MAX} bytes")
        headers = [(name, text.encode()) for name, text in config.headers.items()]
        if config.idempotency_header:
            headers.append((config.idempotency_header, call.key.encode()))
        call.target = f"kafka://{config.servers[0]}"
        way = _Way(call)
        _WAY.set(way)  # of this task and those that it begins
        try:
            async with reach.within(config.timeout_in_seconds, call):
                sending = asyncio.ensure_future(_sent(config, way, key, value, headers))
                try:
                    await asyncio.wait({sending, way.ended}, return_when=asyncio.FIRST_COMPLETED)
                    if way.ended.done() and not sending.done():
                        raise way.ended.exception() or Failed("DEFECT", "")
                    made = sending.result()
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
        except Exception as e:
            raise _failed(e, way, config.topic) from e
        finally:
            _WAY.set(None)
        return {"topic": made.topic, "partition": made.partition, "offset": made.offset, "timestamp": made.timestamp}


async def _sent(config: KafkaConfig, way: _Way, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> Any:
    from aiokafka import AIOKafkaProducer

    _gated()
    call = way.call
    sasl = config.mechanism != "none"
    protocol = ("SASL_" if sasl else "") + ("PLAINTEXT" if config.tls == "off" else "SSL")
    ms = int(min(config.timeout_in_seconds, call.seconds_max) * 1000)
    producer = AIOKafkaProducer(
        bootstrap_servers=config.servers, client_id="flowledger", security_protocol=protocol, ssl_context=None if config.tls == "off" else call.gate.tls,
        sasl_mechanism=config.mechanism if sasl else "PLAIN", sasl_plain_username=config.username or None, sasl_plain_password=config.password,
        acks="all", enable_idempotence=True, request_timeout_ms=ms, max_request_size=2 * BYTES_MAX,
    )  # fmt: skip
    way.cluster = producer.client.cluster
    try:
        await producer.start()
        made = await producer.send_and_wait(config.topic, value, key=key, partition=config.partition, headers=headers)
    except BaseException:
        with contextlib.suppress(Exception):  # what it still tries is given up
            await producer._sender.close()
        raise
    finally:
        with contextlib.suppress(Exception):
            await producer.stop()
    return made


def _bytes(value: Any) -> bytes | None:
    return None if value is None else value.encode() if isinstance(value, str) else _encode(value)


class _Way:
    """Of one call to its servers. `ended`: what no other attempt mends, as soon as it is known; the library would go on."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.last: Exception | None = None
        self.cluster: Any = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def failed(self, e: Exception) -> None:
        self.last = e
        final = isinstance(e, (Refused, *_strangers())) or reach.tls_of(e) is not None
        if final and not self.ended.done():
            self.ended.set_exception(e)
            self.ended.exception()  # looked at: it may be that nobody else does


_WAY: ContextVar[_Way | None] = ContextVar("way", default=None)
_plain: Callable[..., Any] | None = None


def _gated() -> None:
    """The library's way to connect, once: calls of this connector go to addresses that the gate has checked, all others as before."""
    global _plain  # noqa: PLW0603 - of the process, as the library's function is
    import aiokafka.client as library

    if _plain is None:
        _plain = library.create_conn
        library.create_conn = _connected


async def _connected(host: str, port: int, **more: Any) -> Any:
    from aiokafka.conn import AIOKafkaConnection
    from aiokafka.errors import KafkaConnectionError, KafkaError

    way = _WAY.get()
    if way is None:
        assert _plain is not None
        return await _plain(host, port, **more)
    try:
        places = await way.call.gate.direct("kafka", host, port)
        connection = AIOKafkaConnection(host, port, **more)
        connection._loop = _Loop(connection._loop, places, host)
        await connection.connect()
    except Exception as e:
        way.failed(e)
        if isinstance(e, (OSError, KafkaError)):
            raise
        raise KafkaConnectionError(str(e)) from e
    return connection


class _Loop:
    """The loop, which connects to these addresses whatever it is told."""

    def __init__(self, loop: asyncio.AbstractEventLoop, places: list[str], name: str) -> None:
        self._loop, self._places, self._name = loop, places, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Any, host: str, port: int, ssl: Any = None) -> Any:
        name = self._name if ssl is not None else None
        return await reach.each(
            self._places, lambda place: self._loop.create_connection(factory, place, port, ssl=ssl, server_hostname=name)
        )


def _strangers() -> tuple[type[Exception], ...]:
    """What the library says when who we are is not taken."""
    from aiokafka import errors as lib

    return lib.AuthenticationFailedError, lib.SaslAuthenticationFailed, lib.UnsupportedSaslMechanismError, lib.IllegalSaslStateError


def _failed(e: Exception, way: _Way, topic: str) -> Exception:
    from aiokafka import errors as lib

    if isinstance(e, (TimeoutError, lib.KafkaTimeoutError)) and way.cluster.brokers() and not way.cluster.partitions_for_topic(topic):
        return Failed("TOPIC_UNKNOWN", "no server knew the topic within the time", again=True)

    if isinstance(e, lib.KafkaConnectionError) and way.last is not None and not isinstance(way.last, lib.KafkaConnectionError):
        e = way.last
    if isinstance(e, _strangers()):
        return Failed("AUTHENTICATION", "the server does not let us in")
    if isinstance(e, (lib.TopicAuthorizationFailedError, lib.ClusterAuthorizationFailedError)):
        return Failed("AUTHORIZATION", f"we may not write there: {e}")
    if isinstance(e, (lib.UnknownTopicOrPartitionError, lib.InvalidTopicError)):
        return Failed("TOPIC_UNKNOWN", "there is no such topic")
    if isinstance(e, lib.MessageSizeTooLargeError):
        return Failed("CONFIGURATION", "the record is larger than the topic takes")
    if isinstance(e, (lib.KafkaTimeoutError, lib.RequestTimedOutError)):
        return Failed("TIMEOUT", f"no answer within the time{SENT}", again=True)
    if isinstance(e, lib.KafkaConnectionError):
        return Failed("CONNECT", "no connection", again=True)
    if isinstance(e, lib.KafkaError):
        return Failed(type(e).__name__, f"the server refuses the record: {e}"[:300], again=bool(getattr(e, "retriable", False)))
    if isinstance(e, AssertionError):
        return Failed("CONFIGURATION", f"the server takes no such record: {e}"[:300])
    return e

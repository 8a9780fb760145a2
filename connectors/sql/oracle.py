"""Oracle by python-oracledb in its thin mode (no client of Oracle's): values go beside the statement. Without TLS the way is a relay of ours, which ends a
connection that the server sends elsewhere; with TLS whoever it is sent to has to be who the certificate says."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

import oracledb

from flowledger.connectors import outcomes, reach
from flowledger.connectors.frame import Call, Failed
from flowledger.connectors.outcomes import SENT
from flowledger.connectors.sql.config import SqlConfig
from flowledger.connectors.sql.found import Found
from flowledger.infra.egress import SERVICES

#: number of an ORA- error -> (code, words, may another attempt help)
_NUMBERS: dict[int, tuple[str, str, bool]] = {
    **dict.fromkeys((1005, 1017, 1045, 28000, 28001, 28040), ("AUTHENTICATION", "the server does not let us in", False)),
    **dict.fromkeys((18, 20, 54, 4021, 12516, 12519, 12520, 30006), ("BUSY", "what it needs is locked, or the server has no room", True)),
    **dict.fromkeys((60, 8177), ("CONFLICT", "another transaction was in the way", True)),
    **dict.fromkeys((40, 1013), ("TIMEOUT", "the server ended the statement after its time", True)),
    **dict.fromkeys((28, 2396, 3113, 3114, 3135, 12537, 12547, 12570), ("CUT", f"the connection broke{SENT}", True)),
    **dict.fromkeys(
        (1033, 1034, 1089, 1090, 12505, 12514, 12528, 12541), ("CONNECT", "the server starts or stops, or has no such service", True)
    ),
    **dict.fromkeys((1456, 16000), ("READ_ONLY", "expected a statement that changes nothing", False)),
}
#: what the driver says itself, by the beginning of its code
_DRIVER: dict[str, tuple[str, str, bool]] = {
    "DPY-4011": ("CUT", f"the connection broke{SENT}", True), "DPY-1001": ("CUT", f"the connection broke{SENT}", True),
    "DPY-4024": ("TIMEOUT", f"no answer within the time{SENT}", True), "DPY-6001": ("CONNECT", "the server has no such service, or not yet", True),
    "DPY-6003": ("CONNECT", "the server has no such service, or not yet", True), "DPY-6000": ("CONNECT", "the listener refuses the connection", True),
}  # fmt: skip
_SPOT = re.compile(r"%(?:\((?P<name>[^()]+)\)s|(?P<sign>%))")
_READS = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(select|with)\b", re.IGNORECASE | re.DOTALL)
_LOBS = (oracledb.DB_TYPE_CLOB, oracledb.DB_TYPE_NCLOB, oracledb.DB_TYPE_BLOB)
#: kinds of packets of Oracle's protocol that answer a connection (byte 4 of each)
_ACCEPT, _REDIRECT = 2, 5
PIECE_BYTES = 65_536


class Oracle:
    async def run(self, config: SqlConfig, call: Call, place: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        texts = [_bound(statement, parameters) for statement in config.all]
        if config.read_only and (odd := next((s for s in config.all if not _READS.match(s)), None)) is not None:
            raise Failed("READ_ONLY", f"expected a statement that changes nothing, found {odd.split(maxsplit=1)[0][:20]}")
        seconds = min(config.timeout_in_seconds, call.seconds_max)
        async with _way(config, call, place) as way:
            try:
                connection = await oracledb.connect_async(
                    user=config.username, password=config.password or "", program="flowledger", service_name=config.database, retry_count=0,
                    tcp_connect_timeout=seconds, disable_oob=True, **way,
                )  # fmt: skip
            except oracledb.Error as e:
                if isinstance(e.__cause__, ConnectionRefusedError):  # another address of the name may answer
                    raise e.__cause__ from None
                raise
            try:
                connection.call_timeout = int(seconds * 1000)
                cursor = connection.cursor()
                cursor.outputtypehandler = _exact
                cursor.arraysize = cursor.prefetchrows = 100
                await cursor.execute("alter session set time_zone = '+00:00'")
                if config.read_only:
                    await cursor.execute("set transaction read only")
                found = [await _one(cursor, text, values, Found(config, call), call.answer_bytes_max) for text, values in texts]
                await connection.commit()
                return found
            finally:  # what was not committed is taken back by the server
                with suppress(oracledb.Error, OSError, TimeoutError):
                    async with asyncio.timeout(1):
                        await connection.close()

    def failed(self, error: Exception) -> Failed | None:
        if not isinstance(error, oracledb.Error):
            return None
        about = error.args[0] if error.args else None
        code = str(getattr(about, "full_code", "") or "")
        said = str(getattr(about, "message", "") or error).splitlines()[0][:500]
        if number := int(getattr(about, "code", 0) or 0):  # the server's own, which the driver may have another code for
            if (row := _NUMBERS.get(number)) is not None:
                return Failed(row[0], f"{row[1]}: {said}", again=row[2])
            return Failed(f"ORA-{number:05}", f"the server refuses the statement: {said}")
        if code == "DPY-6005":
            return self._unconnected(error)
        if code in _DRIVER:
            word, words, again = _DRIVER[code]
            return Failed(word, words, again=again)
        if code.startswith("DPY-6") or isinstance(error, oracledb.OperationalError):
            return Failed("CONNECT", f"no connection: {said}", again=True)
        return Failed("CONFIGURATION", f"the statement and its parameters do not fit: {said}")

    def _unconnected(self, error: Exception) -> Failed:
        """What the driver's word that it can't connect is about."""
        cause = error.__cause__
        if isinstance(cause, oracledb.Error):
            return self.failed(cause) or Failed("CONNECT", "no connection", again=True)
        if "timed out" in str(error):
            return Failed("CONNECT_TIMEOUT", "no connection within the time", again=True)
        return (outcomes.failed(cause) if cause is not None else None) or Failed("CONNECT", "no connection", again=True)


def _bound(statement: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """With Oracle's own names of parameters, which can't be any word; and their values. Raises: Failed."""
    names: dict[str, str] = {}

    def put(match: re.Match[str]) -> str:
        if match["sign"]:
            return "%"
        if match["name"] not in parameters:
            raise Failed("CONFIGURATION", f"the statement has a parameter {match['name'][:100]!r} without a value")
        return ":" + names.setdefault(match["name"], f"p{len(names) + 1}")

    text = _SPOT.sub(put, statement)
    return text, {own: _sent(parameters[name]) for name, own in names.items()}


def _sent(value: Any) -> Any:
    """Contexts and lists as JSON; truth values as numbers, which all releases have."""
    if isinstance(value, bool):
        return int(value)
    return json.dumps(value, default=_number) if isinstance(value, (dict, list)) else value


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _exact(cursor: Any, column: Any) -> Any:
    """Numbers with all their digits."""
    return cursor.var(Decimal, arraysize=cursor.arraysize) if column.type_code is oracledb.DB_TYPE_NUMBER else None


async def _one(cursor: Any, text: str, values: dict[str, Any], found: Found, most: int) -> dict[str, Any]:
    await cursor.execute(text, values)
    if cursor.description is None:
        return found.answer(cursor.rowcount)
    kinds = [(column[0], column[1]) for column in cursor.description]
    while (row := await cursor.fetchone()) is not None:
        found.add({name: await _value(name, kind, value, most) for (name, kind), value in zip(kinds, row, strict=True)})
    return found.answer(len(found.rows))


async def _value(name: str, kind: Any, value: Any, most: int) -> Any:
    """Raises: Failed."""
    if value is None:
        return None
    if kind in _LOBS and hasattr(value, "read"):  # a large object is looked at before it is fetched
        if await value.size() > most:
            raise reach.too_large(most)
        return await value.read()
    if kind is oracledb.DB_TYPE_TIMESTAMP_TZ and value.tzinfo is None:
        raise Failed(
            "TYPE",
            f"the driver drops the zone of {name}, a TIMESTAMP WITH TIME ZONE: select sys_extract_utc({name}), or to_char with TZH:TZM",
        )
    if kind is oracledb.DB_TYPE_TIMESTAMP_LTZ and value.tzinfo is None:
        return value.isoformat() + "+00:00"  # the session's zone
    return value


class _Named(ssl.SSLContext):
    """Checks the server's name, though the driver connects to an address and would check no name, or the address."""

    name = ""

    def wrap_bio(self, incoming: Any, outgoing: Any, server_side: bool = False, server_hostname: Any = None, session: Any = None) -> Any:
        return super().wrap_bio(incoming, outgoing, server_side=server_side, server_hostname=self.name, session=session)

    @property
    def check_hostname(self) -> bool:
        return True

    @check_hostname.setter
    def check_hostname(self, value: bool) -> None:
        """The driver would turn it off."""


@asynccontextmanager
async def _way(config: SqlConfig, call: Call, place: str) -> AsyncIterator[dict[str, Any]]:
    """Where the driver is to connect to, and how. Raises: OSError, Failed."""
    port = config.port or SERVICES["oracle"]
    if config.tls == "verify":
        context = _Named(ssl.PROTOCOL_TLS_CLIENT)
        ssl.SSLContext.check_hostname.__set__(context, True)  # type: ignore[attr-defined]
        context.name = config.host
        if call.gate.ca_file:
            context.load_verify_locations(call.gate.ca_file)
        else:
            context.load_default_certs()
        yield {"host": place, "port": port, "protocol": "tcps", "ssl_context": context, "ssl_server_dn_match": False}
        return
    relay = _Relay(place, port)
    async with relay.open() as own:
        try:
            yield {"host": "127.0.0.1", "port": own, "protocol": "tcp"}
        except oracledb.Error:
            if relay.error is not None:
                raise relay.error from None
            raise


class _Relay:
    """Carries one connection to the address that was checked, until the server sends it to another one."""

    def __init__(self, place: str, port: int) -> None:
        self._place, self._port = place, port
        self.error: Exception | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Raises: OSError."""
        there, back = await asyncio.open_connection(sock=await reach.socket_to(self._place, self._port))

        def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.close()  # one connection, ours
            task = asyncio.create_task(self._carry(reader, writer, there, back))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        server = await asyncio.start_server(come, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            back.close()

    async def _carry(self, reader: Any, writer: Any, there: Any, back: Any) -> None:
        out = asyncio.create_task(_pass(reader, back))
        try:
            await self._greeted(there, writer)
            await _pass(there, writer)
        except Failed as e:
            self.error = e
        except (OSError, asyncio.IncompleteReadError):
            pass  # the driver sees that it broke
        finally:
            out.cancel()
            writer.close()

    @staticmethod
    async def _greeted(there: Any, writer: Any) -> None:
        """Packet by packet until the server takes the connection. Raises: Failed."""
        while True:
            head = await there.readexactly(8)
            if head[4] == _REDIRECT:
                raise Failed("REDIRECTED", "the server sends us to another address, which nobody has checked: name the node itself as host")
            writer.write(head + await there.readexactly(max(0, int.from_bytes(head[:2], "big") - 8)))
            await writer.drain()
            if head[4] == _ACCEPT:
                return


async def _pass(reader: Any, writer: Any) -> None:
    with suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()

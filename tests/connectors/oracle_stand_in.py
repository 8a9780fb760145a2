"""No Oracle can be had here. What stands in for it: the way and the errors of the driver are its own classes, over real sockets, TLS included; the server
behind it is SQLite with names of parameters as Oracle has them, and with Oracle's errors. It is no proof of anything that the real server does."""

from __future__ import annotations

import asyncio
import datetime
import json
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import oracledb
from oracledb import errors
from oracledb.errors import _Error

#: an ACCEPT of Oracle's protocol without a body, and a REDIRECT
ACCEPT = bytes((0, 8, 0, 0, 2, 0, 0, 0))
REDIRECT = bytes((0, 10, 0, 0, 5, 0, 0, 0, 0, 0))
KINDS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "number": (oracledb.DB_TYPE_NUMBER, float), "varchar": (oracledb.DB_TYPE_VARCHAR, str), "date": (oracledb.DB_TYPE_DATE, datetime.datetime.fromisoformat),
    "timestamp": (oracledb.DB_TYPE_TIMESTAMP, datetime.datetime.fromisoformat), "tz": (oracledb.DB_TYPE_TIMESTAMP_TZ, datetime.datetime.fromisoformat),
    "ltz": (oracledb.DB_TYPE_TIMESTAMP_LTZ, datetime.datetime.fromisoformat), "raw": (oracledb.DB_TYPE_RAW, bytes.fromhex),
    "double": (oracledb.DB_TYPE_BINARY_DOUBLE, float), "clob": (oracledb.DB_TYPE_CLOB, str), "blob": (oracledb.DB_TYPE_BLOB, bytes.fromhex),
    "interval": (oracledb.DB_TYPE_INTERVAL_DS, lambda s: datetime.timedelta(seconds=float(s))),
}  # fmt: skip


def ora(code: int, words: str = "as the server says it") -> Exception:
    about = _Error(f"ORA-{code:05}: {words}", code=code)
    return about.exc_type(about)


def driver(number: int, cause: BaseException | None = None, **args: Any) -> Exception:
    found: Exception = errors._create_exception(number, None, cause, **args)
    found.__cause__ = cause
    return found


class Server:
    """`password`: of any user. `answers`: statement -> rows as {column: (kind, text)}, or an error's number. `hold`: statements that never end."""

    def __init__(self) -> None:
        self.password, self.answers, self.log = "", {}, []  # type: ignore[var-annotated]
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.execute("create table bookings (id text primary key, weight int check (weight > 0))")
        self.db.execute("create table dual (dummy text)")
        self.db.execute("insert into dual values ('X')")
        self._lock = asyncio.Lock()
        self.greeting = ACCEPT

    async def start(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.to = self._server.sockets[0].getsockname()[:2]
        return self

    async def close(self) -> None:
        self._server.close()

    async def committed(self, text: str) -> list[Any]:
        """What stands there when no transaction is under way any more."""
        async with self._lock:
            return self.db.execute(text).fetchall()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self.greeting)
            login = json.loads(await reader.readline())
            if login["password"] != self.password or login["service"] != "XEPDB1":
                self._say(writer, {"error": 1017 if login["service"] == "XEPDB1" else 12514})
                return
            self._say(writer, {})
            async with self._lock:
                self.db.execute("begin")
                try:
                    while line := await reader.readline():
                        await self._statement(json.loads(line), writer)
                finally:
                    if self.db.in_transaction:
                        self.db.execute("rollback")
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()

    @staticmethod
    def _say(writer: asyncio.StreamWriter, value: Any) -> None:
        writer.write(json.dumps(value).encode() + b"\n")

    async def _statement(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        text, values = asked["text"], asked["values"]
        self.log.append((text, values))
        if text == "sleep":
            await asyncio.sleep(3600)
        if text in self.answers:
            found = self.answers[text]
            self._say(writer, {"error": found} if isinstance(found, int) else {"rows": found, "count": 0})
        elif text.startswith(("alter session", "set transaction")):
            self._say(writer, {"count": 0})
        elif text == "commit":
            self.db.execute("commit")
            self.db.execute("begin")
            self._say(writer, {"count": 0})
        else:
            self._say(writer, self._done(text, values))

    def _done(self, text: str, values: dict[str, Any]) -> dict[str, Any]:
        try:
            cursor = self.db.execute(text, values)
        except sqlite3.IntegrityError as e:
            return {"error": 1 if "UNIQUE" in str(e) else 2290}
        except sqlite3.OperationalError as e:
            return {"error": 942 if "no such table" in str(e) else 900}
        if cursor.description is None:
            return {"count": cursor.rowcount}
        kinds = {int: "number", float: "number", str: "varchar", type(None): "varchar"}
        names = [d[0] for d in cursor.description]
        return {
            "rows": [{n: (kinds[type(v)], v if v is None else str(v)) for n, v in zip(names, row, strict=True)} for row in cursor],
            "names": names,
        }


class Lob:
    def __init__(self, value: Any) -> None:
        self._value, self.reads = value, 0

    async def size(self) -> int:
        return len(self._value)

    async def read(self) -> Any:
        self.reads += 1
        return self._value


class Column:
    def __init__(self, name: str, kind: str) -> None:
        self.name, self.type_code = name, KINDS[kind][0]


class Var:
    def __init__(self, kind: Any) -> None:
        self.kind = kind


class Cursor:
    def __init__(self, connection: Connection) -> None:
        self._connection, self.description, self.rowcount = connection, None, -1
        self.outputtypehandler: Any = None
        self.arraysize = self.prefetchrows = 100
        self._rows: list[tuple[Any, ...]] = []

    def var(self, kind: Any, arraysize: int = 1) -> Var:
        return Var(kind)

    async def execute(self, text: str, values: dict[str, Any] | None = None) -> None:
        import re

        bare = re.sub(r"'[^']*'", "", text)
        spots = set(re.findall(r":(\w+)", bare))
        if values and (more := set(values) - spots):
            raise driver(errors.ERR_INVALID_BIND_NAME, name=next(iter(more)))
        if lacking := spots - set(values or ()):
            raise driver(errors.ERR_MISSING_BIND_VALUE, name=next(iter(lacking)))
        told = {k: str(v) if isinstance(v, Decimal) else v for k, v in (values or {}).items()}
        found = await self._connection.asked({"text": text, "values": told})
        self.description, self._rows, self.rowcount = None, [], found.get("count", -1)
        if "rows" not in found:
            return
        rows = found["rows"]
        names = found.get("names") or list(rows[0])
        kinds = {n: next((r[n][0] for r in rows), "varchar") for n in names}
        self.description = [(n, KINDS[kinds[n]][0], None, None, None, None, True) for n in names]  # type: ignore[assignment]
        out = {n: self.outputtypehandler(self, Column(n, kinds[n])) if self.outputtypehandler else None for n in names}
        for row in rows:
            self._rows.append(tuple(self._value(row[n], out[n]) for n in names))

    @staticmethod
    def _value(cell: tuple[str, Any], out: Var | None) -> Any:
        kind, text = cell
        if text is None:
            return None
        if out is not None and out.kind is Decimal:
            return Decimal(text)
        value = KINDS[kind][1](text)
        return Lob(value) if kind in ("clob", "blob") else value

    async def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None


class Connection:
    call_timeout = 0

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def cursor(self) -> Cursor:
        return Cursor(self)

    async def asked(self, value: Any) -> dict[str, Any]:
        try:
            self._writer.write(json.dumps(value).encode() + b"\n")
            async with asyncio.timeout(self.call_timeout / 1000 if self.call_timeout else None):
                line = await self._reader.readline()
        except TimeoutError:
            raise driver(errors.ERR_CALL_TIMEOUT_EXCEEDED, timeout=self.call_timeout) from None
        except OSError as e:
            raise driver(errors.ERR_CONNECTION_CLOSED, e) from e
        if not line.endswith(b"\n"):
            raise driver(errors.ERR_CONNECTION_CLOSED)
        found = json.loads(line)
        if "error" in found:
            raise ora(found["error"])
        return found

    async def commit(self) -> None:
        await self.asked({"text": "commit", "values": {}})

    async def close(self) -> None:
        self._writer.close()


async def connect_async(
    *, host: str, port: int, user: str, password: str, service_name: str, protocol: str, ssl_context: Any = None, ssl_server_dn_match: bool = True,
    tcp_connect_timeout: float = 20, retry_count: int = 0, program: str = "", disable_oob: bool = False,
) -> Connection:  # fmt: skip
    try:
        if ssl_context is not None:
            ssl_context.check_hostname = False  # as the driver does, which looks at names itself
        reader, writer = await asyncio.open_connection(host, port, ssl=ssl_context, server_hostname="" if ssl_context else None)
        made = Connection(reader, writer)
        await reader.readexactly(len(ACCEPT))
    except asyncio.IncompleteReadError as e:
        closed = driver(errors.ERR_CONNECTION_CLOSED)
        raise driver(errors.ERR_CONNECTION_FAILED, closed, connection_id="x") from e
    except OSError as e:
        raise driver(errors.ERR_CONNECTION_FAILED, e, connection_id="x") from e
    await made.asked({"user": user, "password": password, "service": service_name})
    return made

"""MySQL and MariaDB by aiomysql. Values are quoted by the driver (`mogrify`): the protocol that it speaks has no parameters beside the text."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import aiomysql
from aiomysql.cursors import SSDictCursor

from flowledger.connectors.frame import Call, Failed
from flowledger.connectors.outcomes import SENT
from flowledger.connectors.sql.config import SqlConfig
from flowledger.connectors.sql.found import Found
from flowledger.infra.egress import SERVICES

#: number of the server's error -> (code, words, may another attempt help)
_NUMBERS: dict[int, tuple[str, str, bool]] = {
    **dict.fromkeys((1044, 1045, 1698, 1862, 3118, 4151), ("AUTHENTICATION", "the server does not let us in", False)),
    **dict.fromkeys((1040, 1203, 1226, 1129), ("BUSY", "the server has no room", True)),
    **dict.fromkeys((1205, 1213), ("CONFLICT", "another transaction was in the way", True)),
    **dict.fromkeys((1969, 3024, 1317), ("TIMEOUT", "the server ended the statement after its time", True)),
    **dict.fromkeys((1053, 1077, 1079, 2006, 2013, 1927, 4031), ("CUT", f"the connection broke{SENT}", True)),
    1792: ("READ_ONLY", "expected a statement that changes nothing", False),
    2003: ("CONNECT", "no connection", True),
}


#: capabilities, as MySQL's protocol numbers them
_TLS, _MULTI_STATEMENTS = 1 << 11, 1 << 16


class _Connection(aiomysql.Connection):  # type: ignore[misc]
    """Speaks TLS under the server's name, or not at all: the driver's own goes on without it where the server has none. A list is quoted value by value."""

    server_name = ""

    async def _request_authentication(self) -> None:
        if self._ssl_context is not None:
            if not self.server_capabilities & _TLS:
                raise Failed("TLS", "the server speaks no TLS")
            self._host = self.server_name
        await super()._request_authentication()

    def escape(self, obj: Any) -> str:
        if isinstance(obj, list):  # the driver's own way of lists knows nothing of NO_BACKSLASH_ESCAPES
            return f"({','.join(map(self.escape, obj)) or 'NULL'})"
        return str(super().escape(obj))


class MySql:
    async def run(self, config: SqlConfig, call: Call, place: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        seconds = min(config.timeout_in_seconds, call.seconds_max)
        connection = _Connection(
            host=place, port=config.port or SERVICES["mysql"], user=config.username, password=config.password or "", db=config.database,
            charset="utf8mb4", connect_timeout=seconds, ssl=None if config.tls == "off" else call.gate.tls, program_name="flowledger",
        )  # fmt: skip
        connection.server_name = config.host
        connection.client_flag &= ~_MULTI_STATEMENTS  # one text, one statement
        try:
            await connection._connect()
            cursor = await connection.cursor(SSDictCursor)
            mariadb = "mariadb" in connection.get_server_info().lower()
            await cursor.execute(
                f"SET SESSION max_statement_time={seconds:.3f}" if mariadb else f"SET SESSION max_execution_time={int(seconds * 1000)}"
            )
            if config.read_only:  # of the session: what ends a transaction by itself (create, alter) would begin a new one that may write
                await cursor.execute("SET SESSION TRANSACTION READ ONLY")
            await cursor.execute("START TRANSACTION")
            values = {name: _sent(value) for name, value in parameters.items()}
            found = [await _one(cursor, statement, values, Found(config, call)) for statement in config.all]
            await connection.commit()
            return found
        finally:
            connection.close()  # what was not committed is taken back by the server

    def failed(self, error: Exception) -> Failed | None:
        if (
            isinstance(error, aiomysql.OperationalError)
            and isinstance(error.__cause__, OSError)
            and not isinstance(error.__cause__, ConnectionRefusedError)
        ):
            return None  # `outcomes` knows it
        if not isinstance(error, aiomysql.Error):
            if isinstance(error, (TypeError, ValueError, KeyError)):
                return Failed("CONFIGURATION", f"the statement and its parameters do not fit: {type(error).__name__} {error}"[:300])
            return None
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        said = str(error.args[1])[:500] if len(error.args) > 1 else type(error).__name__
        if number in _NUMBERS:
            code, words, again = _NUMBERS[number]
            return Failed(code, words if number >= 2000 and number < 3000 else f"{words}: {said} ({number})", again=again)
        if not number:
            return Failed("CUT", f"the connection broke{SENT}", again=True)
        return Failed(str(number), f"the server refuses the statement: {said}")


async def _one(cursor: Any, statement: str, values: dict[str, Any], found: Found) -> dict[str, Any]:
    count = await cursor.execute(statement, values)
    if cursor.description:
        while (row := await cursor.fetchone()) is not None:
            found.add(row)
        count = len(found.rows)
    while await cursor.nextset():  # a procedure's
        pass
    return found.answer(count)


def _sent(value: Any) -> Any:
    """A context as JSON; a list by its values, for `in %(names)s`."""
    if isinstance(value, list):
        return [json.dumps(v, default=_number) if isinstance(v, (dict, list)) else v for v in value]
    return json.dumps(value, default=_number) if isinstance(value, dict) else value


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")

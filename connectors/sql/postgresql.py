"""PostgreSQL by psycopg: values go beside the statement, never into it."""

from __future__ import annotations

import json
import os
import re
import ssl
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb, set_json_loads

from flowledger.connectors.frame import Call, Failed
from flowledger.connectors.outcomes import SENT
from flowledger.connectors.sql.config import SqlConfig
from flowledger.connectors.sql.found import Found
from flowledger.infra.egress import SERVICES

#: statements that answer rows one by one: what begins so never only changes something, or tells no number of rows if it does
_ROWS = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(select|with|values|table|show|explain|fetch)\b", re.IGNORECASE | re.DOTALL)
#: SQLSTATE, or its class (two characters) -> (code, words, may another attempt help)
_STATES: dict[str, tuple[str, str, bool]] = {
    "28": ("AUTHENTICATION", "the server does not let us in", False),
    "08": ("CUT", f"the connection broke{SENT}", True),
    "40": ("CONFLICT", "another transaction was in the way", True),
    "55P03": ("BUSY", "what it needs is locked", True),
    "53": ("BUSY", "the server has no room", True),
    "57014": ("TIMEOUT", "the server ended the statement after its time", True),
    "57P": ("CONNECT", "the server starts or stops", True),
    "25006": ("READ_ONLY", "expected a statement that changes nothing", False),
}


class PostgreSql:
    async def run(self, config: SqlConfig, call: Call, place: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        ms = max(1, int(min(config.timeout_in_seconds, call.seconds_max) * 1000))
        connection = await psycopg.AsyncConnection.connect(
            host=config.host, hostaddr=place, port=config.port or SERVICES["postgresql"], dbname=config.database, user=config.username,
            password=config.password or "", passfile=os.devnull, connect_timeout=max(2, config.timeout_in_seconds), gssencmode="disable",
            application_name="flowledger", options=f"-c statement_timeout={ms} -c idle_in_transaction_session_timeout={ms}",
            require_auth="!password" if config.tls == "off" else None, **_tls(config, call), row_factory=dict_row,
        )  # fmt: skip
        set_json_loads(partial(json.loads, parse_float=Decimal), connection)
        async with connection:
            await connection.set_read_only(config.read_only)
            values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in parameters.items()}
            found = []
            async with connection.transaction():
                for statement in config.all:
                    found.append(await _one(connection, statement, values, Found(config, call)))
            return found

    def failed(self, error: Exception) -> Failed | None:
        if not isinstance(error, psycopg.Error):
            return None
        state = error.sqlstate or ""
        if not state:
            return _unsaid(error)
        said = error.diag.message_primary or type(error).__name__
        for part in (state, state[:3], state[:2]):
            if part in _STATES:
                code, words, again = _STATES[part]
                return Failed(code, f"{words}: {said} (SQLSTATE {state})", again=again)
        return Failed(state, f"the server refuses the statement: {said}")


async def _one(connection: Any, statement: str, values: dict[str, Any], found: Found) -> dict[str, Any]:
    text: Any = statement  # of the model
    async with connection.cursor() as cursor:
        if _ROWS.match(statement):
            try:
                async for row in cursor.stream(text, values):
                    found.add(row)
            except psycopg.ProgrammingError as e:
                if e.sqlstate is not None or "didn't produce a result" not in str(e):
                    raise  # else: `with ... insert` without `returning`
            return found.answer(len(found.rows))
        await cursor.execute(text, values, binary=False)
        for row in await cursor.fetchall() if cursor.description else ():
            found.add(row)
        return found.answer(cursor.rowcount)


def _tls(config: SqlConfig, call: Call) -> dict[str, Any]:
    if config.tls == "off":
        return {"sslmode": "disable"}
    paths = ssl.get_default_verify_paths()
    return {"sslmode": "verify-full", "sslrootcert": call.gate.ca_file or paths.cafile or "system", "sslcert": "", "sslkey": ""}


def _unsaid(error: psycopg.Error) -> Failed:
    """What libpq says in words only: no server said it."""
    text = str(error)
    first = text.strip().splitlines()[0][:300] if text.strip() else type(error).__name__
    if isinstance(error, psycopg.errors.ConnectionTimeout) or "timeout expired" in text:
        return Failed("CONNECT_TIMEOUT", "no connection within the time", again=True)
    if "certificate" in text or ("SSL" in text and "server closed" not in text and "EOF" not in text):
        return Failed("TLS", f"the server is not who it says, or speaks no TLS: {first}")
    if "authentication" in text or "no password supplied" in text:
        return Failed("AUTHENTICATION", f"the server does not let us in: {first}")
    if isinstance(error, psycopg.OperationalError):
        refused = "refused" in text or "unreachable" in text
        return Failed("CONNECT" if refused else "CUT", "no connection" if refused else f"the connection broke{SENT}", again=True)
    return Failed("CONFIGURATION", f"the statement and its parameters do not fit: {first}")

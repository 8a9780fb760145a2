"""One statement for Snowflake, with values beside it, by the SQL REST API (v2): no driver of a hundred megabytes, and every request by the gate.

https://docs.snowflake.com/en/developer-guide/sql-api/reference; who we are is a user with a key pair, which signs a token of an hour by itself.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
import uuid
from collections.abc import Callable
from typing import Annotated, Any

import httpx2
import msgspec
from pydantic import ConfigDict, Field, field_validator

from flowledger.connectors import reach
from flowledger.connectors.fields import LITERAL, Count, Seconds, Secret
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http.config import Url
from flowledger.connectors.outcomes import AGAIN, after_s
from flowledger.connectors.snowflake.values import bound, plain
from flowledger.connectors.sql.config import KEY, PARAMETERS_MAX, ROWS_MAX, Statement
from flowledger.connectors.way import Way

#: how long a token is good, and how long before its end it is made anew (seconds)
TOKEN_S, EARLY_S, TOKENS_MAX = 3600, 300, 100
#: how often it is asked whether a statement that takes long is done (seconds)
ASK_S = 0.5
#: parts of an answer that are fetched
PARTS_MAX = 100
#: SQLSTATE of a statement that has not got what it needs -> (code, may another attempt help)
_STATES = {"57014": ("TIMEOUT", True), "40001": ("CONFLICT", True), "42501": ("403", False)}
Word = Annotated[str, Field(max_length=255, pattern=r'^[^"\x00-\x1f]*$')]
_encode = msgspec.json.Encoder(decimal_format="number").encode


class SnowflakeConfig(Config):
    """Asks a Snowflake database, or changes something there."""

    model_config = ConfigDict(title="Snowflake")

    account: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")] = Field(
        description="Identifier of the account: ORGANISATION-ACCOUNT", title="Account"
    )
    endpoint: Url | None = Field(None, description="Empty: https://ACCOUNT.snowflakecomputing.com", title="Endpoint")
    username: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$")] = Field(
        description="A user with a key pair", title="User"
    )
    private_key: Secret = Field(description="Its private key as PEM without a password, a reference: {{secrets.NAME}}", title="Private key")
    database: Word = Field("", description="Empty: the user's own", title="Database")
    schema_name: Word = Field("", description="Empty: the user's own", title="Schema")
    warehouse: Word = Field("", description="Empty: the user's own", title="Warehouse")
    role: Word = Field("", description="Empty: the user's own", title="Role")
    statement: Statement = Field(
        description="One statement with parameters as %(name)s; a percent sign is %%", title="Statement", json_schema_extra=LITERAL
    )
    parameters: Annotated[dict[str, Any], Field(max_length=PARAMETERS_MAX)] = Field(
        {}, description="A context: values of the statement's parameters", title="Parameters"
    )
    max_rows: Annotated[Count, Field(le=ROWS_MAX)] = Field(
        1_000, description="An answer with more rows is an incident", title="Rows at most"
    )
    timeout_in_seconds: Seconds = Field(60, description="For all of the call; the server ends its statement too", title="Time limit (s)")

    @field_validator("parameters")
    @classmethod
    def _ours(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        if KEY in parameters:
            raise ValueError(f"{KEY}: this name is the connector's own")
        return parameters


class SnowflakeConnector:
    name = "snowflake"
    job_type = "flowledger:snowflake"
    aliases: tuple[str, ...] = ()
    config: type[Config] = SnowflakeConfig

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._tokens: dict[str, tuple[str, float]] = {}

    async def call(self, config: SnowflakeConfig, call: Call) -> dict[str, Any]:
        """`{rows, rowCount}`. A second delivery of the work asks with the same request id, which the service answers without doing it again. Raises: Failed,
        and what httpx2 and the gate raise."""
        statement, bindings = bound(config.statement, {**config.parameters, KEY: call.key})
        asked: dict[str, Any] = {"statement": statement, "bindings": bindings}
        for name, value in (
            ("database", config.database),
            ("schema", config.schema_name),
            ("warehouse", config.warehouse),
            ("role", config.role),
        ):
            if value:
                asked[name] = value
        asked["parameters"] = {"rows_per_resultset": str(config.max_rows + 1), "query_tag": "flowledger"}
        # without the time limit: who gives a statement more time for its next attempt means the same one
        text = hashlib.sha256(_encode([call.key, asked])).digest()
        asked["timeout"] = int(min(config.timeout_in_seconds, call.seconds_max))
        request = f"?requestId={uuid.UUID(bytes=text[:16], version=4)}&retry=true"
        async with reach.within(config.timeout_in_seconds, call):
            status, found = await self._ask(config, call, "POST", f"/api/v2/statements{request}", asked)
            while status == 202:
                await asyncio.sleep(ASK_S)
                status, found = await self._ask(config, call, "GET", f"/api/v2/statements/{_handle(found)}")
            return await self._rows(config, call, found)

    async def _rows(self, config: SnowflakeConfig, call: Call, found: dict[str, Any]) -> dict[str, Any]:
        try:
            meta = found["resultSetMetaData"]
            columns, parts = list(meta["rowType"]), len(meta.get("partitionInfo") or [None])
            rows: list[dict[str, Any]] = []
            size, data = 0, found["data"]
            for part in range(min(parts, PARTS_MAX)):
                if part:
                    _, found_ = await self._ask(config, call, "GET", f"/api/v2/statements/{_handle(found)}?partition={part}")
                    data = found_["data"]
                for row in data:
                    if len(rows) == config.max_rows:
                        raise Failed("ANSWER_TOO_LARGE", f"expected at most {config.max_rows} rows (maxRows), found more")
                    made = {str(c["name"]): plain(v, c) for c, v in zip(columns, row, strict=True)}
                    size += reach.size(made)
                    if size > call.answer_bytes_max:
                        raise reach.too_large(call.answer_bytes_max)
                    rows.append(made)
            if parts > PARTS_MAX:
                raise Failed("ANSWER_TOO_LARGE", f"expected an answer of at most {PARTS_MAX} parts, found {parts}")
        except (KeyError, TypeError, ValueError):
            raise Failed("ANSWER_UNREADABLE", "expected rows from Snowflake, as its SQL API describes them") from None
        stats = found.get("stats") or {}
        changed = sum(int(stats.get(n) or 0) for n in ("numRowsInserted", "numRowsUpdated", "numRowsDeleted"))
        return {"rows": rows, "rowCount": changed if stats else len(rows)}

    async def _ask(self, config: SnowflakeConfig, call: Call, method: str, path: str, data: Any = None) -> tuple[int, dict[str, Any]]:
        # numbers and names of columns take more room in the service's words than in ours
        way = Way.of(call, config.timeout_in_seconds)._replace(
            agent=call.user_agent.replace(" ", "-"), answer_bytes_max=4 * call.answer_bytes_max
        )
        url = way.to((config.endpoint or f"https://{config.account}.snowflakecomputing.com").rstrip("/") + path)
        headers = {
            "authorization": f"Bearer {self._token(config, call)}", "x-snowflake-authorization-token-type": "KEYPAIR_JWT", "accept": "application/json",
            "content-type": "application/json",
        }  # fmt: skip
        response, found = await way.send(method, url, headers, None if data is None else _encode(data))
        try:
            told = msgspec.json.decode(found, type=dict[str, Any])
        except (msgspec.DecodeError, msgspec.ValidationError):
            told = {}
        if response.status_code not in (200, 202):
            raise _refused(response, told)
        if not told:
            raise Failed("ANSWER_UNREADABLE", "expected an object in JSON from Snowflake")
        return response.status_code, told

    def _token(self, config: SnowflakeConfig, call: Call) -> str:
        name = hashlib.sha256(f"{config.account} {config.username} {config.private_key}".encode()).hexdigest()
        now = self._clock()
        if (kept := self._tokens.get(name)) is None or kept[1] <= now:
            while len(self._tokens) >= TOKENS_MAX:
                del self._tokens[next(iter(self._tokens))]
            kept = self._tokens[name] = _signed(config, int(now)), now + TOKEN_S - EARLY_S
        call.mask.add(kept[0])
        return kept[0]


def _signed(config: SnowflakeConfig, now: int) -> str:
    """Raises: Failed."""
    from cryptography.hazmat.primitives import serialization
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import RSAKey

    try:
        key = serialization.load_pem_private_key(config.private_key.encode(), None)
        public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        print_ = base64.b64encode(hashlib.sha256(public).digest()).decode()
        # of an identifier with a region the account alone counts
        who = f"{config.account.partition('.')[0].upper()}.{config.username.upper()}"
        claims = {"iss": f"{who}.SHA256:{print_}", "sub": who, "iat": now, "exp": now + TOKEN_S}
        return jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, RSAKey.import_key(config.private_key))
    except (ValueError, TypeError, JoseError):  # its words may have the key
        raise Failed("SECRET_UNUSABLE", "private_key: expected a private key of RSA as PEM, without a password") from None


def _handle(found: dict[str, Any]) -> str:
    """Raises: Failed."""
    try:
        return str(uuid.UUID(str(found.get("statementHandle"))))
    except ValueError:
        raise Failed("ANSWER_UNREADABLE", "expected the handle of a statement from Snowflake") from None


def _refused(response: httpx2.Response, told: dict[str, Any]) -> Failed:
    status, state, words = response.status_code, str(told.get("sqlState") or ""), " ".join(str(told.get("message") or "").split())[:200]
    if status == 401:
        return Failed("AUTHENTICATION", f"the server does not let us in: {words}"[:300])
    line = f"Snowflake answered {status} {words}{f' (SQLSTATE {state})' if state else ''}"
    if state in _STATES:
        return Failed(_STATES[state][0], line, again=_STATES[state][1])
    if status in AGAIN:
        return Failed(str(status), line, again=True, after_s=after_s(response.headers.get("retry-after"), time.time()))
    return Failed(state if status == 422 and state.isalnum() else str(status), line)

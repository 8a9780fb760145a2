"""The call: one transaction on a connection of its own, within bounds on rows, bytes and time; by driver what differs."""

from __future__ import annotations

from typing import Any, Protocol

from flowledger.connectors import reach
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.sql.config import KEY, SqlConfig
from flowledger.infra.egress import SERVICES


class Driver(Protocol):
    """Of one kind of database."""

    async def run(self, config: SqlConfig, call: Call, place: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """What each statement answers, once all of them are committed. `place`: the address to connect to."""

    def failed(self, error: Exception) -> Failed | None:
        """What an exception of the driver means."""


def driver_of(kind: str) -> Driver:
    if kind == "mysql":
        from flowledger.connectors.sql.mysql import MySql

        return MySql()
    if kind == "oracle":
        from flowledger.connectors.sql.oracle import Oracle

        return Oracle()
    from flowledger.connectors.sql.postgresql import PostgreSql

    return PostgreSql()


class SqlConnector:
    name = "sql"
    job_type = "flowledger:sql"
    aliases: tuple[str, ...] = ()
    config: type[Config] = SqlConfig

    async def call(self, config: SqlConfig, call: Call) -> dict[str, Any]:
        """`{rows, rowCount}`, or `{results: [{rows, rowCount}]}` of several. Raises: Failed, and what `outcomes` knows."""
        kind = config.database_type
        try:
            driver = driver_of(kind)
        except ImportError:
            raise reach.lacking("oracledb" if kind == "oracle" else "aiomysql") from None
        async with reach.within(config.timeout_in_seconds, call):
            places = await reach.addresses(call, kind, config.host, config.port or SERVICES[kind])
            parameters = {**config.parameters, KEY: call.key}
            try:
                found = await reach.each(places, lambda place: driver.run(config, call, place, parameters))
            except Exception as e:
                if (told := driver.failed(e)) is not None:
                    raise told from e
                raise
        if sum(reach.size(each) for each in found) > call.answer_bytes_max:
            raise reach.too_large(call.answer_bytes_max)
        return {"results": found} if config.statements else found[0]

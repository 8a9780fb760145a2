"""Configuration of the SQL connector."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from flowledger.connectors.fields import LITERAL, Count, Flag, Host, Port, Seconds, Secret, Tls
from flowledger.connectors.frame import Config

STATEMENT_CHARS_MAX = 100_000
STATEMENTS_MAX = 20
PARAMETERS_MAX = 1_000
ROWS_MAX = 10_000
#: the parameter that is always there: the key of the work, the same for each delivery and each attempt
KEY = "idempotencyKey"

Statement = Annotated[str, Field(min_length=1, max_length=STATEMENT_CHARS_MAX)]


def _ordered(value: Any) -> Any:
    """`statements.1`, `statements.2` by their numbers."""
    if not isinstance(value, dict):
        return value
    if not all(isinstance(k, str) and k.isdecimal() for k in value):
        raise ValueError("expected statements.1, statements.2 and so on")
    return [value[k] for k in sorted(value, key=int)]


class SqlConfig(Config):
    """Asks a PostgreSQL, MySQL, MariaDB or Oracle database, or changes something there."""

    model_config = ConfigDict(title="SQL")

    database_type: Literal["postgresql", "mysql", "oracle"] = Field(
        "postgresql", description="mysql: MySQL or MariaDB", title="Kind of database"
    )
    host: Host = Field(description="Name or address of the server", title="Host")
    port: Port | None = Field(None, description="Empty: 5432 of PostgreSQL, 3306 of MySQL, 1521 of Oracle", title="Port")
    database: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        description="Name of the database; of Oracle its service", title="Database"
    )
    username: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="Who we are to the server", title="User")
    password: Secret | None = Field(None, description="A reference: {{secrets.NAME}}", title="Password")
    tls: Tls = Field("verify", description="verify: TLS, and the server is who it says; off: only where the way is safe", title="TLS")
    statement: Statement | None = Field(
        None, description="One statement with parameters as %(name)s; a percent sign is %%", title="Statement", json_schema_extra=LITERAL
    )
    statements: Annotated[list[Statement], BeforeValidator(_ordered), Field(max_length=STATEMENTS_MAX)] = Field(
        [],
        description="Several, in one transaction: headers statements.1, statements.2",
        title="Statements",
        json_schema_extra={"literal": True, "template": False},
    )
    parameters: Annotated[dict[str, Any], Field(max_length=PARAMETERS_MAX)] = Field(
        {}, description="A context: values of the statements' parameters", title="Parameters"
    )
    read_only: Flag = Field(False, description="The server refuses changes", title="Read only")
    max_rows: Annotated[Count, Field(le=ROWS_MAX)] = Field(
        1_000, description="An answer with more rows is an incident", title="Rows at most"
    )
    timeout_in_seconds: Seconds = Field(30, description="For all of the call; the server ends its statement too", title="Time limit (s)")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.statement) == bool(self.statements):
            raise ValueError("expected statement, or statements.1, statements.2 and so on, in headers of the task")
        if KEY in self.parameters:
            raise ValueError(f"parameters.{KEY}: this name is the connector's own")
        return self

    @property
    def all(self) -> list[str]:
        return self.statements or [self.statement or ""]

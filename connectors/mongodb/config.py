"""Configuration of the MongoDB connector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from flowledger.connectors.fields import LITERAL, Count, Flag, Host, Index, Port, Seconds, Secret, Tls
from flowledger.connectors.frame import Config
from flowledger.connectors.mongodb import query

DOCUMENTS_MAX, PARAMETERS_MAX = 1_000, 1_000
#: documents of an answer
FOUND_MAX = 10_000
_Json = Annotated[str, Field(max_length=query.TEXT_CHARS_MAX)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class MongoConfig(Config):
    """Finds, inserts, changes or deletes documents of MongoDB, or aggregates them."""

    model_config = ConfigDict(title="MongoDB")

    host: Host = Field(description="Name or address of the server: a primary, or a router", title="Host")
    port: Port | None = Field(None, description="Empty: 27017", title="Port")
    tls: Tls = Field("verify", description="verify: TLS, and the server is who it says; off: only where the way is safe", title="TLS")
    username: Annotated[str, Field(max_length=256)] = Field("", description="Who we are to the server; empty: nobody", title="User")
    password: Secret | None = Field(None, description="A reference: {{secrets.NAME}}", title="Password")
    auth_database: Annotated[str, Field(pattern=r"^[^/\\. \"$\x00]{1,63}$")] = Field(
        "admin", description="The database that has the user", title="Database of the user"
    )
    database: Annotated[str, Field(pattern=r"^[^/\\. \"$\x00]{1,63}$")] = Field(description="Name of the database", title="Database")
    collection: Annotated[str, Field(pattern=r"^[^$\x00]{1,200}$")] = Field(description="Name of the collection", title="Collection")
    operation: Literal["find", "insert", "update", "delete", "aggregate"] = Field(
        "find", description="What is done", title="Operation", json_schema_extra=LITERAL
    )
    filter: _Json = Field(
        "", description='JSON; what varies as {"$param": "name"}. Of find, update and delete', title="Filter", json_schema_extra=LITERAL
    )
    update: _Json = Field("", description="JSON with $set, $inc and the like", title="Change", json_schema_extra=LITERAL)
    pipeline: _Json = Field("", description="JSON: a list of stages that only read", title="Pipeline", json_schema_extra=LITERAL)
    projection: _Json = Field("", description="JSON: which fields are told", title="Projection", json_schema_extra=LITERAL)
    sort: _Json = Field("", description="JSON: fields with 1 or -1, the first counts most", title="Order", json_schema_extra=LITERAL)
    parameters: Annotated[dict[str, Any], Field(max_length=PARAMETERS_MAX)] = Field(
        {}, description="A context: values of the places in filter, change and pipeline", title="Parameters"
    )
    documents: Annotated[list[dict[str, Any]], BeforeValidator(_listed), Field(max_length=DOCUMENTS_MAX)] = Field(
        [], description="A context or a list of them: what is inserted. Without _id each gets one of the work's key", title="Documents"
    )
    many: Flag = Field(False, description="Change or delete all that the filter finds, not the first only", title="All of them")
    upsert: Flag = Field(False, description="Insert what the change makes, where nothing is found", title="Or insert")
    skip: Index = Field(0, description="So many are left out", title="Skip")
    max_documents: Annotated[Count, Field(le=FOUND_MAX)] = Field(
        1_000, description="An answer with more is an incident", title="Documents at most"
    )
    timeout_in_seconds: Seconds = Field(30, description="For all of the call; the server ends its work too", title="Time limit (s)")

    @field_validator("database")
    @classmethod
    def _not_the_server_s(cls, name: str) -> str:
        if name.lower() in ("admin", "config", "local"):
            raise ValueError("expected a database of an application")
        return name

    @field_validator("collection")
    @classmethod
    def _nor_system(cls, name: str) -> str:
        if name.startswith("system."):
            raise ValueError("expected a collection of an application")
        return name

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.username) != (self.password is not None):
            raise ValueError("expected username and password, or none of them")
        takes = {
            "find": {"filter", "projection", "sort", "skip"}, "insert": {"documents"}, "update": {"filter", "update", "many", "upsert"},
            "delete": {"filter", "many"}, "aggregate": {"pipeline"},
        }[self.operation]  # fmt: skip
        for name in ("filter", "update", "pipeline", "projection", "sort", "documents", "many", "upsert", "skip"):
            if name not in takes and getattr(self, name):
                raise ValueError(f"{name}: {self.operation} takes none")
        for name in takes & {"documents", "update", "pipeline"} | ({"filter"} if self.operation in ("update", "delete") else set()):
            if not getattr(self, name):
                raise ValueError(f"{name}: {self.operation} needs it{', {} for all documents' if name == 'filter' else ''}")
        self.said()
        return self

    def said(self) -> dict[str, Any]:
        """The texts of the model, read. Raises: ValueError."""
        readers: dict[str, Callable[[Any], Any]] = {
            "filter": query.context, "update": query.update, "pipeline": query.pipeline, "projection": query.context, "sort": _order,
        }  # fmt: skip
        found = {}
        for name, reader in readers.items():
            try:
                text = query.parsed(getattr(self, name))
                found[name] = None if text is None else reader(text)
            except ValueError as e:
                raise ValueError(f"{name}: {e}") from None
        return found


def _order(found: Any) -> list[tuple[str, int]]:
    order = query.context(found)
    if not order or any(way not in (1, -1) or isinstance(way, bool) for way in order.values()):
        raise ValueError("expected fields with 1 or -1")
    return list(order.items())

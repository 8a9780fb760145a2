"""What the API asks of the projections: a port, so that handlers know no SQL. `projections/` answers it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

Row = dict[str, Any]


class VariableFilter(NamedTuple):
    """`var.NAME[op]=VALUE`; `op` is one of `VARIABLE_OPS`; `value` is the JSON value, or the text when it is no JSON."""

    name: str
    op: str
    value: Any


VARIABLE_OPS = ("eq", "ne", "lt", "le", "gt", "ge", "like", "in")


class Reads(Protocol):
    """Rows as dicts with integer keys and times as `datetime`; tenants see their own rows only."""

    async def wait_for(self, positions: dict[int, int], timeout_s: float) -> bool:
        """Until each partition is projected up to and including its offset. False: not in time."""

    async def positions(self) -> dict[int, int]:
        """The offset of the last projected event of each partition."""

    async def list(self, noun: str, filters: Row, limit: int, cursor: str, tenant: str) -> tuple[list[Row], str]:
        """A page and the cursor of the next (`""`: the last page). `noun`: definitions, instances, tasks, incidents.

        Raises: ValueError: the cursor isn't one of ours.
        """

    async def get(self, noun: str, key: int, tenant: str) -> Row | None: ...

    async def events(self, instance: int, task: int, after: str, limit: int, types: list[str], tenant: str) -> tuple[list[Row], str]:
        """In order, of an instance or a task: `{partition, offset, type, time, instance, actor, cause, correlation, trace, tenant, data}`
        and the position after which the next page begins (`""`: the last page). `data` is the payload."""

    async def variables(self, instance: int, tenant: str) -> list[Row]:
        """`{scope, name, value}` of all scopes; the root scope is the instance's key."""

    async def source(self, definition: int, tenant: str) -> tuple[str, str, str] | None:
        """Content, resource name and format."""

    async def mean_duration_s(self, definition: int, tenant: str) -> float | None:
        """Of the completed instances of this definition, lately; None: there are none."""

    async def health(self) -> list[str]:
        """Reasons why queries can't be answered; empty: all is well."""

"""Messages that came, on the partition of their correlation key: table `messages`."""

from __future__ import annotations

from flowledger.events import waiting as wa
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table, stamp

VERSION = 1
TABLE = Table(
    "messages",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "name": "varchar(255)", "correlation_key": "varchar(255)",
        "message_id": "varchar(255)", "variables": "jsonb", "status": "varchar(20)", "workflow_instance_id": "bigint",
        "correlations": "integer", "received_at": "timestamptz", "correlated_at": "timestamptz", "expires_at": "timestamptz",
        "expired_at": "timestamptz",
    },
)  # fmt: skip
NAME = TABLE.name


def received(f: Fold, e: wa.MessageReceived) -> None:
    row = {
        "tenant_id": f.tenant, "id": e.message, "name": e.name, "correlation_key": e.correlation, "message_id": e.message_id,
        "variables": e.variables, "status": "received", "correlations": 0, "received_at": f.now,
        "expires_at": stamp(e.expires_us) if e.expires_us else None,
    }  # fmt: skip
    f.changes.insert(NAME, e.message, row)


def _ident(f: Fold, message: int) -> tuple[str, int]:
    """Messages of all tenants expire by one command, so the tenant is the message's own."""
    return (f.context.messages.get(message, f.tenant), message)


def assigned(f: Fold, e: wa.MessageAssigned) -> None:
    ident = _ident(f, e.message)
    f.changes.update(NAME, e.message, ident, {"status": "correlated", "workflow_instance_id": e.key or None, "correlated_at": f.now})
    f.changes.add(NAME, e.message, ident, "correlations", 1)


def expired(f: Fold, e: wa.MessageExpired) -> None:
    """Its time is over; a message that was taken stays `correlated`, and its end is told by `expired_at`."""
    f.changes.update(NAME, e.message, _ident(f, e.message), {"expired_at": f.now})


VIEW = View(
    "messages",
    VERSION,
    "080_messages.sql",
    (TABLE,),
    {wa.MessageReceived: received, wa.MessageAssigned: assigned, wa.MessageExpired: expired},
)

"""A vault over keys in memory, and a scenario with it."""

from __future__ import annotations

from typing import Any

from scenario import Scenario

from flowledger.infra.protection.store import Away, Row
from flowledger.infra.protection.vault import Vault
from flowledger.kernel.tasks.privacy import digest_of


class MemoryKeys:
    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.away = False

    def _look(self) -> None:
        if self.away:
            raise Away("no connection")

    def of_subject(self, tenant: str, subject: str, cls: str) -> Row | None:
        self._look()
        return next((row for row in self.rows.values() if (row.subject, row.cls) == (subject, cls) and not row.destroyed_us), None)

    def get(self, id: str) -> Row | None:
        self._look()
        return self.rows.get(id)

    def put(self, id: str, tenant: str, subject: str, cls: str, wrapped_by: str, wrapped: bytes, now_us: int) -> None:
        if self.of_subject(tenant, subject, cls) is None:
            self.rows[id] = Row(id, tenant, wrapped_by, wrapped, 0, subject, cls)

    def destroy(self, tenant: str, subject: str, now_us: int) -> list[str]:
        self._look()
        gone = [id for id, row in self.rows.items() if row.subject == digest_of(tenant, subject) and not row.destroyed_us]
        for id in gone:
            self.rows[id] = self.rows[id]._replace(wrapped_by="", wrapped=b"", destroyed_us=now_us)
        return gone

    def all_of(self, tenant: str, subject: str) -> list[tuple[str, int]]:
        return [(id, row.destroyed_us) for id, row in self.rows.items() if row.subject == digest_of(tenant, subject)]

    def not_wrapped_by(self, newest: str, many: int) -> list[Row]:
        return [row for row in self.rows.values() if not row.destroyed_us and row.wrapped_by != newest][:many]

    def wrapped_anew(self, id: str, before: str, wrapped_by: str, wrapped: bytes) -> None:
        if self.rows[id].wrapped_by == before:
            self.rows[id] = self.rows[id]._replace(wrapped_by=wrapped_by, wrapped=wrapped)


class PlainWrapper:
    newest = "k1"
    reuse_s = 0.0

    def wrap(self, id: str, key: bytes) -> tuple[str, bytes]:
        return self.newest, bytes(b ^ 0x5A for b in key)

    def unwrap(self, id: str, by: str, wrapped: bytes) -> bytes:
        return bytes(b ^ 0x5A for b in wrapped)


class ProtectedScenario(Scenario):
    """Its facts have a vault."""

    def __init__(self, *models: str, vault: Vault | None = None, **more: Any) -> None:
        self.keys = MemoryKeys()
        self.vault = vault or Vault(self.keys, PlainWrapper())
        super().__init__(*models, **more)

    def facts(self, p: Any) -> Any:
        found = super().facts(p)
        found.vault = self.vault
        return found

    def clear(self, text: Any) -> Any:
        return self.vault.open("", text, False)

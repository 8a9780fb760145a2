"""A vault over keys in memory, and a scenario with it."""

from __future__ import annotations

from typing import Any

from scenario import Scenario

from flowledger.infra.protection.store import Away, Row, digest_of
from flowledger.infra.protection.vault import Vault


class MemoryKeys:
    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, Row]] = {}
        self.away = False

    def _look(self) -> None:
        if self.away:
            raise Away("no connection")

    def of_subject(self, tenant: str, subject: str) -> Row | None:
        self._look()
        wanted = digest_of(tenant, subject)
        return next((row for of, row in self.rows.values() if of == wanted and not row.destroyed_us), None)

    def get(self, id: str) -> Row | None:
        self._look()
        return self.rows[id][1] if id in self.rows else None

    def put(self, id: str, tenant: str, subject: str, wrapped_by: str, wrapped: bytes, now_us: int) -> None:
        if self.of_subject(tenant, subject) is None:
            self.rows[id] = digest_of(tenant, subject), Row(id, tenant, wrapped_by, wrapped, 0)

    def destroy(self, tenant: str, subject: str, now_us: int) -> list[str]:
        self._look()
        wanted = digest_of(tenant, subject)
        gone = [id for id, (of, row) in self.rows.items() if of == wanted and not row.destroyed_us]
        for id in gone:
            self.rows[id] = wanted, Row(id, tenant, "", b"", now_us)
        return gone

    def all_of(self, tenant: str, subject: str) -> list[tuple[str, int]]:
        self._look()
        return [(id, row.destroyed_us) for id, (of, row) in self.rows.items() if of == digest_of(tenant, subject)]

    def not_wrapped_by(self, newest: str, many: int) -> list[Row]:
        return [row for _, row in self.rows.values() if not row.destroyed_us and row.wrapped_by != newest][:many]

    def wrapped_anew(self, id: str, before: str, wrapped_by: str, wrapped: bytes) -> None:
        of, row = self.rows[id]
        if row.wrapped_by == before:
            self.rows[id] = of, row._replace(wrapped_by=wrapped_by, wrapped=wrapped)


class PlainWrapper:
    newest = "k1"

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

"""For how long what has ended is kept: rules are applied by one process at a time, a bounded step each time (docs/privacy.md).

An instance whose time is over goes from the views, as if somebody had deleted it. A key goes when nothing that it seals is still needed: it is retired first,
so that nothing new comes under it, and destroyed when it has been retired for a while and the rows, which tell what is needed, are as new as the log.
What goes is asked of the ledger before, which knows the legal holds, and certified there afterwards. A step that was cut off is done again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from flowledger.api.problems import Problem
from flowledger.api.services import Services
from flowledger.events.base import Rejected
from flowledger.events.commands import ListRecords
from flowledger.events.control import NoteRetention, RemoveFromViews
from flowledger.infra.protection.store import Kept
from flowledger.kernel.protection import KeysAway
from flowledger.kernel.tasks.privacy import HOLDS, RETENTION, digest_of, kept_us
from flowledger.logs import log
from flowledger.processors.client import ENGINE, Caller

#: how long is waited for the rows to be as new as the log, and for an answer of the ledger (seconds)
ROWS_S, ASK_S = 60.0, 10.0
#: a key seals for so long; then the subject gets the next one, so that what is old doesn't hang on what is new (days)
KEY_DAYS = 30
#: pages of due instances that are looked through for some that no hold is on
PAGES_MAX = 20
#: what a preview counts, and names
COUNT_MAX, NAMED_MAX, KEYS_MAX = 10_000, 20, 1_000
LIST_MAX = 1_000
WHO = "retention"
_LOCK = 0x666C7265
log_ = log("retention")


class Rule(NamedTuple):
    name: str
    definition: str
    cls: str
    us: int
    reason: str

    def before(self, now_us: int) -> datetime:
        return datetime.fromtimestamp((now_us - self.us) / 1_000_000, UTC)


def rule_of(name: str, value: dict[str, Any]) -> Rule:
    return Rule(name, value["definition"], value["class"], kept_us(value["after"]), value["reason"])


class Retaining:
    """`run` until cancelled; `dsn`: of the database, where processes agree on who does it."""

    def __init__(self, s: Services, dsn: str) -> None:
        self.s, self._dsn = s, dsn
        self.step_max = s.settings.retention_step
        self.grace_us = int(s.settings.retention_grace_minutes * 60_000_000)
        #: tenant -> the key up to which they have been looked at
        self._behind: dict[str, str] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self.s.settings.retention_minutes * 60)
            try:
                for made in await self.step():
                    log_.info("what was kept for long enough is gone", **{k: v if isinstance(v, str) else len(v) for k, v in made.items()})
            except (Problem, KeysAway, psycopg.Error, OSError) as e:
                log_.warning("what is kept for too long can't be looked for", why=str(e))

    async def step(self, tenant: str | None = None) -> list[dict[str, Any]]:
        """Once; `tenant`: of that alone. Returns `{tenant, rule, instances, keys}` of what went. Raises: Problem, KeysAway, psycopg.Error."""
        if len(self.s.client.health().get("partitions") or {}) < self.s.client.partitions:
            return []
        rules = await self._rules(tenant)
        if not rules:
            return []
        async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, application_name="flowledger retention") as conn:
            mine = await (await conn.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))).fetchone()
            if not mine or not mine[0]:
                return []
            if (ends := self.s.ends()) and not await self.s.reads.wait_for(ends, ROWS_S):
                log_.warning("nothing is taken away: the projections are behind")
                return []
            made: list[dict[str, Any]] = []
            for name, own in sorted(rules.items()):
                held = await self.held(name)
                for rule in (r for r in own if not r.cls):
                    if gone := await self._instances(name, rule, own, held):
                        made.append({"tenant": name, "rule": rule.name, "instances": gone, "keys": []})
                if self.s.vault is not None:
                    made += await self._keys(name, own, held)
            return made

    # --- what there is

    async def records(self, registry: str, caller: Caller) -> dict[str, dict[str, Any]]:
        """Raises: Problem."""
        found: dict[str, dict[str, Any]] = {}
        after = ""
        while True:
            command = ListRecords(registry=registry, after=after, limit=LIST_MAX)
            answer = await self.s.client.call(command, caller, partition=0, timeout_s=ASK_S)
            if isinstance(answer, Rejected):
                raise Problem(answer.code, answer.message)
            found |= {r["name"]: r["value"] for r in answer["records"]}
            if not answer["more"]:
                return found
            after = answer["records"][-1]["name"]

    async def _rules(self, tenant: str | None) -> dict[str, list[Rule]]:
        """By tenant, whose records stand under its name and a slash."""
        found: dict[str, list[Rule]] = {}
        for name, value in (await self.records(RETENTION, ENGINE)).items():
            of, _, rule = name.rpartition("/")
            if tenant is None or of == tenant:
                found.setdefault(of, []).append(rule_of(rule, value))
        return found

    async def held(self, tenant: str) -> set[str]:
        """Digests of subjects that a legal hold is on."""
        return set(await self.records(HOLDS, Caller(actor=WHO, tenant=tenant)))

    def terms(self, rules: Sequence[Rule], cls: str, now_us: int) -> list[tuple[str, datetime, list[str]]]:
        """`projections.retention.Term`, of the rules about a class: that for a definition goes before that for all."""
        own = [r for r in rules if r.cls == cls]
        named = [r.definition for r in own if r.definition]
        return [(r.definition, r.before(now_us), [] if r.definition else named) for r in own]

    # --- instances

    async def due(self, tenant: str, rule: Rule, rules: Sequence[Rule], held: set[str], many: int) -> tuple[list[dict[str, Any]], int]:
        """(the oldest that are due and not held, how many were passed over since a legal hold is on them). `subjects`: digests of whom they are."""
        term = next(t for t in self.terms(rules, rule.cls, _now_us()) if t[0] == rule.definition)
        found: list[dict[str, Any]] = []
        passed, after = 0, None
        for _ in range(PAGES_MAX):
            page = await self.s.reads.due(tenant, term, after, many)
            if not page:
                break
            after = (page[-1]["created_at"], page[-1]["id"])
            subjects = await self._subjects(tenant, [row["id"] for row in page])
            for row in page:
                row["subjects"] = [
                    *subjects.get(row["id"], ()), digest_of(tenant, f"instance:{row['id']}"), digest_of(tenant, f"definition:{row['process_id']}"),
                ]  # fmt: skip
                if held.intersection(row["subjects"]):
                    passed += 1
                elif len(found) < many:
                    found.append(row)
            if len(found) >= many or len(page) < many:
                break
        return found, passed

    async def _subjects(self, tenant: str, instances: list[int]) -> dict[int, list[str]]:
        if self.s.vault is None:
            return {}
        keys = await self.s.reads.keys_in(instances, tenant)
        all_of = sorted({key for those in keys.values() for key in those})
        digests: dict[str, str] = await asyncio.to_thread(self.s.vault.asked, "subjects_of", all_of) if all_of else {}
        return {i: [digests[key] for key in those if key in digests] for i, those in keys.items()}

    async def _instances(self, tenant: str, rule: Rule, rules: Sequence[Rule], held: set[str]) -> list[int]:
        rows, _ = await self.due(tenant, rule, rules, held, self.step_max)
        if not rows:
            return []
        before_us = _now_us() - rule.us
        subjects = sorted({digest for row in rows for digest in row["subjects"]})
        if not await self._noted(
            tenant,
            NoteRetention(rule=rule.name, before_us=before_us, subjects=subjects, instances=[r["id"] for r in rows], reason=rule.reason),
        ):
            return []
        gone = []
        for row in rows:
            command = RemoveFromViews(key=row["id"], reason=f"retention {rule.name}: {rule.reason}"[:2_000])
            if not isinstance(await self.s.client.call(command, Caller(actor=WHO, tenant=tenant), timeout_s=ASK_S), Rejected):
                gone.append(row["id"])
        await self._noted(tenant, NoteRetention(rule=rule.name, before_us=before_us, instances=gone, done=True, reason=rule.reason))
        return gone

    async def _noted(self, tenant: str, command: NoteRetention) -> bool:
        answer = await self.s.client.call(command, Caller(actor=WHO, tenant=tenant), partition=0, timeout_s=ASK_S)
        if isinstance(answer, Rejected):
            log_.warning("nothing is taken away", rule=command.rule, tenant=tenant, why=answer.message)
            return False
        return True

    # --- keys

    async def needless(self, tenant: str, rules: Sequence[Rule], held: set[str], keys: Sequence[Kept], now_us: int) -> list[Kept]:
        """Those that seal nothing that is to be kept."""
        whole = any(not r.cls for r in rules)
        found = []
        for key in keys:
            terms = self.terms(rules, key.cls, now_us) if key.cls else []
            if (terms or whole) and key.subject not in held and not await self.s.reads.key_needed(key.id, terms, tenant):
                found.append(key)
        return found

    async def _keys(self, tenant: str, rules: Sequence[Rule], held: set[str]) -> list[dict[str, Any]]:
        vault, now = self.s.vault, _now_us()
        keys: list[Kept] = await asyncio.to_thread(vault.asked, "of_tenant", tenant, self._behind.get(tenant, ""), self.step_max)
        self._behind[tenant] = keys[-1].id if len(keys) == self.step_max else ""
        free = await self.needless(tenant, rules, held, keys, now)
        old = now - int(timedelta(days=KEY_DAYS).total_seconds()) * 1_000_000
        retiring = [k.id for k in keys if not k.retired_us and (k in free or k.made_us < old)]
        if retiring:
            await asyncio.to_thread(vault.asked, "retire", retiring, now)
        going = [k for k in free if k.retired_us and k.retired_us <= now - self.grace_us]
        if not going:
            return []
        names = ", ".join(r.name for r in rules if r.cls in ("", *{k.cls for k in going}))[:255]
        reason = next(r.reason for r in rules if r.name == names.partition(", ")[0])
        asked = NoteRetention(
            rule=names, before_us=now, keys=[k.id for k in going], subjects=sorted({k.subject for k in going}), reason=reason
        )
        if not await self._noted(tenant, asked):
            return []
        gone: list[str] = await asyncio.to_thread(vault.destroy_keys, tenant, [k.id for k in going])
        await self._noted(tenant, NoteRetention(rule=names, before_us=now, keys=gone, done=True, reason=reason))
        return [{"tenant": tenant, "rule": names, "instances": [], "keys": gone}]

    # --- what would go

    async def preview(self, tenant: str, rule: Rule) -> dict[str, Any]:
        """By now: instances (of a class: none), and keys that would seal nothing more that is to be kept."""
        rules = (await self._rules(tenant)).get(tenant, [])
        rules = [r for r in rules if r.name != rule.name and (r.definition, r.cls) != (rule.definition, rule.cls)] + [rule]
        held, now = await self.held(tenant), _now_us()
        told: dict[str, Any] = {"before": rule.before(now), "instances": 0, "held": 0, "items": [], "keys": 0, "keys_looked_at": 0}
        if not rule.cls:
            term = next(t for t in self.terms(rules, "", now) if t[0] == rule.definition)
            told["instances"] = await self.s.reads.due_count(term, COUNT_MAX, tenant)
            rows, told["held"] = await self.due(tenant, rule, rules, held, NAMED_MAX)
            told["items"] = [{"id": str(r["id"]), "definition": r["process_id"], "ended_at": r["ended_at"]} for r in rows]
        if self.s.vault is not None:
            keys: list[Kept] = await asyncio.to_thread(self.s.vault.asked, "of_tenant", tenant, "", KEYS_MAX)
            told["keys_looked_at"] = len(keys)
            # what goes with whole instances seals nothing either: as if each rule about these were one about the class
            terms = {k.cls: self.terms(rules, k.cls if rule.cls else "", now) for k in keys}
            for key in keys:
                if (not rule.cls or key.cls == rule.cls) and key.subject not in held:
                    told["keys"] += not await self.s.reads.key_needed(key.id, terms[key.cls], tenant)
        return told


def _now_us() -> int:
    return time.time_ns() // 1000

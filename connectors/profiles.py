"""API profiles as connectors use them (`kernel/tasks/profiles.py`): looked up by name for each call, remembered for a moment, with their secrets put in."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import tempfile
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from pydantic import TypeAdapter, ValidationError

from flowledger.connectors.frame import Failed
from flowledger.connectors.http.config import Authentication, Headers, NoAuth
from flowledger.connectors.inputs import problems
from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.egress import Gate
from flowledger.infra.egress_transport import client_of
from flowledger.infra.secrets import SecretError, Secrets
from flowledger.infra.secrets.mask import Mask
from flowledger.kernel.model.connectors import REFERENCE
from flowledger.kernel.retries import matches
from flowledger.kernel.tasks import clock
from flowledger.kernel.tasks.profiles import REGISTRY, base_of
from flowledger.processors.client import ENGINE, Caller, Client

#: a profile is looked up again after so long (seconds); how long a look may take, and how many are remembered
FRESH_S, ASK_S, KEPT_MAX = 1.0, 10.0, 1_000
#: clients with certificates of their own that are kept
CLIENTS_MAX = 50
_AUTHENTICATION: TypeAdapter[Any] = TypeAdapter(Authentication)
_HEADERS: TypeAdapter[dict[str, str]] = TypeAdapter(Headers)


@dataclass(slots=True)
class Profile:
    """One, for one call: its secrets are in the call's mask. `tls`: certificate, key, authorities as PEM, of those that it has."""

    name: str
    version: int
    base_url: str
    authentication: Any = field(default_factory=NoAuth)
    tls: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    pause_s: float | None = None
    codes: list[str] = field(default_factory=list)
    never: list[str] = field(default_factory=list)

    def url(self, given: str) -> str:
        """Where a task's address leads: a path below the profile's, never beside it. Raises: Failed."""
        base = self.base_url.rstrip("/")
        if given == base or given.startswith((f"{base}/", f"{base}?")):
            given = given[len(base) :]
        path = _ends(given)
        parts = path.lower().replace("%2f", "/").replace("%5c", "/").replace("%2e", ".").replace("\\", "/").split("/")
        if ":" in path.split("/")[0] or path.startswith("//") or not {".", ".."}.isdisjoint(parts):
            raise Failed("CONFIGURATION", f"url: expected a path below the address of the profile {self.name}, without . and ..")
        return base + given if not path else f"{base}/{given.lstrip('/')}"

    def judged(self, failure: Failed) -> Failed:
        """Whether another attempt may help is the profile's to say, where it names the code; and how long it waits at least."""
        if matches(failure.code, self.never):
            failure.again = False
        elif matches(failure.code, self.codes):
            failure.again = True
        if failure.again and self.pause_s is not None:
            failure.after_s = max(self.pause_s, failure.after_s or 0.0)
        return failure


class Profiles:
    """Looks them up over the client port. What was known is used on while nobody answers."""

    def __init__(self, client: Client, secrets: Secrets, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._secrets, self._clock = client, secrets, clock
        #: (tenant, name) -> the record, None: there is none; and until when it is fresh
        self._kept: OrderedDict[tuple[str, str], tuple[dict[str, Any] | None, float]] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[dict[str, Any] | None]] = {}

    async def of(self, tenant: str, name: str, mask: Mask) -> Profile:
        """Raises: Failed."""
        record = await self._record(tenant, name)
        if record is None:
            raise Failed("PROFILE_UNKNOWN", f"there is no API profile '{name}'")
        authentication, tls = record.get("authentication") or {}, record.get("tls") or {}
        wanted = {
            m[1]
            for part in (authentication, tls)
            for v in part.values()
            if isinstance(v, str) and (m := REFERENCE.fullmatch(v)) is not None
        }
        try:
            values = await self._secrets.resolve(sorted(wanted)) if wanted else {}
        except SecretError as e:
            raise Failed(e.code, e.message, again=e.again) from None
        mask.add(*values.values())

        def put(given: dict[str, Any]) -> dict[str, Any]:
            return {
                k: REFERENCE.sub(lambda m: values[m[1]], v) if isinstance(v, str) and REFERENCE.fullmatch(v) else v
                for k, v in given.items()
            }

        try:
            how = _AUTHENTICATION.validate_python(put(authentication)) if authentication else NoAuth()
            headers = _HEADERS.validate_python(record.get("headers") or {})
        except ValidationError as e:
            raise Failed("CONFIGURATION", mask.text(f"the profile {name}: {problems(e)}")) from None
        retry = record.get("retry") or {}
        return Profile(
            base_of(name), record.get("version", 0), record["base_url"], how, put(tls), headers, _seconds(record.get("timeout")),
            _seconds(retry.get("pause")), retry.get("codes") or [], retry.get("never") or [],
        )  # fmt: skip

    async def _record(self, tenant: str, name: str) -> dict[str, Any] | None:
        place = (tenant, name)
        kept = self._kept.get(place)
        if kept is not None and kept[0] is not None and kept[1] > self._clock():
            return kept[0]
        asking = self._asking.get(place)
        if asking is None:  # one question, however many calls wait for it; what isn't there is asked for each time
            asking = self._asking[place] = asyncio.create_task(self._ask(tenant, name))
            asking.add_done_callback(lambda task: self._asked(place, task))
        try:
            return await asyncio.shield(asking)
        except (ConnectionError, TimeoutError):
            if kept is None:
                raise Failed("PROFILES_AWAY", f"the API profile '{name}' can't be looked up now", again=True) from None
            return kept[0]

    def _asked(self, place: tuple[str, str], task: asyncio.Task[dict[str, Any] | None]) -> None:
        del self._asking[place]
        if task.cancelled() or task.exception() is not None:
            return
        self._kept[place] = task.result(), self._clock() + FRESH_S
        self._kept.move_to_end(place)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)

    async def _ask(self, tenant: str, name: str) -> dict[str, Any] | None:
        """Raises: ConnectionError, TimeoutError."""
        command = c.ListRecords(registry=REGISTRY, prefix=name, limit=1)
        answer = await self._client.call(command, Caller(actor=ENGINE.actor, tenant=tenant), partition=0, timeout_s=ASK_S)
        if isinstance(answer, Rejected):
            raise ConnectionError(answer.message)
        return next((r["value"] for r in answer["records"] if r["name"] == name), None)


def _ends(url: str) -> str:
    """Up to its query and fragment."""
    return url.split("#", maxsplit=1)[0].split("?", maxsplit=1)[0]


def _seconds(span: Any) -> float | None:
    return None if span is None else clock.span_us(span) / 1e6


class Clients:
    """Clients that show a certificate of their own, or trust authorities of their own; by what they are made of, so that a rotated one is a new client."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, httpx2.AsyncClient] = OrderedDict()
        self._users: dict[str, int] = {}

    @asynccontextmanager
    async def of(self, tls: dict[str, str], gate: Gate) -> AsyncIterator[httpx2.AsyncClient]:
        """Raises: Failed."""
        name = hashlib.sha256("\0".join(f"{k}={tls[k]}" for k in sorted(tls)).encode()).hexdigest()
        client = self._kept.get(name)
        if client is None:
            client = self._kept[name] = client_of(gate, context(tls, gate))
        self._kept.move_to_end(name)
        self._users[name] = self._users.get(name, 0) + 1
        try:
            yield client
        finally:
            self._users[name] -= 1
            for old in [n for n in self._kept if not self._users[n]][: max(0, len(self._kept) - CLIENTS_MAX)]:
                del self._users[old]
                await self._kept.pop(old).aclose()

    async def close(self) -> None:
        for client in self._kept.values():
            await client.aclose()
        self._kept.clear()


def context(tls: dict[str, str], gate: Gate) -> ssl.SSLContext:
    """Raises: Failed, without what the secrets hold."""
    try:
        made = ssl.create_default_context(cafile=gate.ca_file or None, cadata=tls.get("authorities"))
        if "certificate" in tls:
            _load(made, f"{tls['key'].strip()}\n{tls['certificate'].strip()}\n".encode())
    except (ssl.SSLError, ValueError, OSError) as e:
        why = getattr(e, "reason", None) or type(e).__name__
        # a pair of which one half is rotated is whole in a moment
        words = f"tls: expected certificate, key and authorities as PEM, the key without a password: {why}"
        raise Failed("SECRET_UNUSABLE", words, again="MISMATCH" in why) from None
    return made


def _load(made: ssl.SSLContext, pem: bytes) -> None:
    """The library reads chains from files alone: one in memory where the system has such, else one that nobody else can open, and that is gone then."""
    if hasattr(os, "memfd_create"):
        with open(os.memfd_create("certificate", os.MFD_CLOEXEC), "wb") as file:
            file.write(pem)
            file.flush()
            made.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password="")
        return
    with tempfile.NamedTemporaryFile(prefix="flowledger-", suffix=".pem") as other:
        other.write(pem)
        other.flush()
        made.load_cert_chain(other.name, password="")

"""To which purposes data subjects have agreed: since when, until when, what shows it, and whether it was withdrawn (docs/privacy.md#consents).

A record of one subject and purpose, of which the ledger has each state; it is known by the digest of the subject, never by the reference. Expressions ask by
`consented(purpose, subject)`.
"""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, put
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers
from flowledger.api.edge import ApiRequest, Body, Moment, reply, time_text
from flowledger.api.problems import Problem, senseless
from flowledger.api.services import services_of
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode
from flowledger.kernel.protection import SUBJECT_MAX
from flowledger.kernel.tasks.privacy import CONSENTS, PURPOSE, PURPOSES_MAX, REASON_MAX, digest_of, in_force

RefPath = Annotated[str, Parameter(min_length=1, max_length=SUBJECT_MAX, description="As the model's `subject` gives it")]
PurposePath = Annotated[str, Parameter(schema_extra={"pattern": f"^{PURPOSE}$"}, description="What is agreed to")]
Said = Annotated[str, Meta(min_length=1, max_length=REASON_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
WhyQuery = Annotated[str, Parameter(max_length=REASON_MAX)]


class ConsentBody(Body):
    """`how`: what shows it, such as the version of a form and where it was signed; nothing of the person: the ledger forgets nothing. `until`: it is over then."""

    how: Said
    until: Moment | None = None


class Consent(msgspec.Struct, kw_only=True):
    """`in_force`: given, not over and not withdrawn. `by`: who recorded the last change of it."""

    purpose: str
    in_force: bool
    how: str
    by: str
    given_at: Moment
    until: Moment | None = None
    withdrawn_at: Moment | None = None
    reason: str = ""
    position: str | None = None


def _now_us() -> int:
    return time.time_ns() // 1000


def _view(purpose: str, value: dict[str, Any], position: str | None = None) -> Consent:
    return Consent(
        purpose=purpose, in_force=in_force(value, _now_us()), how=value["how"], by=value["by"], given_at=_at(value["given_us"]),
        until=_at(value["until_us"]) if value["until_us"] else None, withdrawn_at=_at(value["withdrawn_us"]) if value["withdrawn_us"] else None,
        reason=value["reason"], position=position,
    )  # fmt: skip


def _at(us: int) -> Any:
    return time_text(us)


async def _records(request: ApiRequest, digest: str) -> dict[str, dict[str, Any]]:
    """Purpose -> its record."""
    command = c.ListRecords(registry=CONSENTS, prefix=f"{digest}.", limit=PURPOSES_MAX + 1)
    found = await services_of(request).call(command, request, partition=0, keyed=False, beside="consents")
    return {r["name"].partition(".")[2]: r["value"] for r in found.get("records") or ()}


async def consents_of(request: ApiRequest, digest: str) -> list[Consent]:
    return [_view(purpose, value) for purpose, value in sorted((await _records(request, digest)).items())]


async def _store(request: ApiRequest, kept: str, purpose: str, value: dict[str, Any]) -> Consent:
    command = c.StoreRecord(registry=CONSENTS, name=f"{kept}.{purpose}", value=value)
    done = await services_of(request).call(command, request, partition=0, keyed=False)
    return _view(purpose, value, done.get("position"))


async def withdraw_all(request: ApiRequest, digest: str, kept: str, reason: str) -> None:
    """At an erasure. The records stay: that one had agreed may have to be shown, and they have nothing of the person."""
    by, now = services_of(request).identify(request).actor, _now_us()
    for purpose, value in (await _records(request, digest)).items():
        if not value["withdrawn_us"]:
            await _store(request, kept, purpose, {**value, "withdrawn_us": now, "reason": reason, "by": by})


def _named(request: ApiRequest, ref: str, purpose: str = "") -> tuple[str, str]:
    """(digest, name of its records without the purpose)."""
    if purpose and not re.fullmatch(PURPOSE, purpose):
        raise senseless(f"a purpose of small letters, digits and ._-, 100 at most, was expected, found {purpose[:100]!r}", "path purpose")
    tenant = services_of(request).identify(request).tenant
    digest = digest_of(tenant, ref)
    return digest, f"{tenant}/{digest}" if tenant else digest


@get("/subjects/{name:str}/consents", summary="What a subject has agreed to")
async def list_consents(request: ApiRequest, name: RefPath) -> Response[answers.Page[Consent]]:
    """By purpose, those that are over or withdrawn too."""
    return reply({"items": await consents_of(request, _named(request, name)[0]), "cursor": None})


@put("/subjects/{name:str}/consents/{purpose:str}", summary="Record a consent")
async def put_consent(request: ApiRequest, name: RefPath, purpose: PurposePath, data: ConsentBody) -> Response[Consent]:
    """It is given now, also where it was withdrawn or over before. Partitions hear of it one after the other, within a moment."""
    digest, kept = _named(request, name, purpose)
    there = await _records(request, digest)
    if purpose not in there and len(there) >= PURPOSES_MAX:
        raise Problem(RejectionCode.RESOURCE_EXHAUSTED, f"a subject has at most {PURPOSES_MAX} consents")
    now = _now_us()
    until = round(data.until.timestamp() * 1e6) if data.until is not None else 0
    if until and until <= now:
        raise senseless(f"a time that is still to come was expected, found {time_text(until)}", "body until")
    value = {
        "given_us": now, "until_us": until, "withdrawn_us": 0, "how": data.how, "reason": "", "by": services_of(request).identify(request).actor
    }  # fmt: skip
    return reply(await _store(request, kept, purpose, value))


@delete("/subjects/{name:str}/consents/{purpose:str}", summary="Withdraw a consent", status_code=200)
async def withdraw_consent(request: ApiRequest, name: RefPath, purpose: PurposePath, reason: WhyQuery = "") -> Response[Consent]:
    """From now on it doesn't hold; the record stays. Asked again it answers as it was withdrawn."""
    digest, kept = _named(request, name, purpose)
    value = (await _records(request, digest)).get(purpose)
    if value is None:
        raise Problem(RejectionCode.NOT_FOUND, f"no consent to {purpose} was given")
    if value["withdrawn_us"]:
        return reply(_view(purpose, value))
    value = {**value, "withdrawn_us": _now_us(), "reason": reason, "by": services_of(request).identify(request).actor}
    return reply(await _store(request, kept, purpose, value))


HANDLERS: list[Any] = [list_consents, put_consent, withdraw_consent]

"""People whose data is protected: what is kept of one, as JSON and as a page; erasing it by destroying the key; legal holds, which forbid that.

A subject is the reference that a model's `subject` gives. The ledger and the answers have its digest, since they forget nothing (docs/privacy.md).
"""

from __future__ import annotations

import asyncio
import time
from html import escape
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers, veil
from flowledger.api.consents import Consent, consents_of, withdraw_all
from flowledger.api.edge import ApiRequest, Body, Reply, encode, reply, time_text
from flowledger.api.problems import Problem
from flowledger.api.services import services_of
from flowledger.events import commands as c
from flowledger.events.avro import decode_json
from flowledger.events.base import RejectionCode
from flowledger.infra.protection.vault import KEEP_S
from flowledger.kernel.protection import SUBJECT_MAX, KeysAway
from flowledger.kernel.tasks.privacy import ASKED, ERASED, ERASURES, KEYS_MAX, REASON_MAX, digest_of
from flowledger.kernel.tasks.privacy import HOLDS as HOLD_RECORDS

RefPath = Annotated[str, Parameter(min_length=1, max_length=SUBJECT_MAX, description="As the model's `subject` gives it")]
Limit = Annotated[int, Parameter(ge=1, le=1000)]
After = Annotated[str, Parameter(max_length=SUBJECT_MAX, description="`cursor` of the page before")]
Why = Annotated[str, Meta(min_length=1, max_length=REASON_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]


class WhyBody(Body):
    reason: Why


class ExportBody(Body):
    """`format`: json, or html, a page to be read and printed."""

    reason: Why
    format: Literal["json", "html"] = "json"


class Erasure(msgspec.Struct, kw_only=True):
    """A certificate: these keys were destroyed, nothing that was sealed under them can be opened any more. `everywhere_at`: other processes have forgotten
    them by then."""

    subject: str
    status: str
    reason: str
    by: str
    erased_at: str
    everywhere_at: str
    keys: list[str]
    position: str | None = None


class Place(msgspec.Struct, kw_only=True):
    """An instance that has variables of the subject, by their names."""

    instance: str
    process: str
    status: str
    names: list[str]
    updated_at: str
    business_key: str | None = None


class Subject(msgspec.Struct, kw_only=True):
    """`subject`: the digest by which the ledger knows it. `keys`: that are there; `erased_keys`: that were destroyed. `status`: kept, erased, unknown.
    `places`: instances that have something of it, also what is erased, the last changed first; at most 100, `more`: there are more."""

    subject: str
    status: str
    keys: int
    erased_keys: int
    hold: str | None = None
    erasure: Erasure | None = None
    places: list[Place] = []
    more: bool = False


class Exported(msgspec.Struct, kw_only=True):
    """`variables`: `{instance, scope_key, name, value, updated_at}`; `events`: as in a history; `consents`: what it has agreed to. `cut`: there are more than
    10,000 of one."""

    subject: str
    digest: str
    exported_at: str
    reason: str
    variables: list[Any]
    events: list[Any]
    consents: list[Consent]
    cut: bool
    position: str | None = None


class LegalHold(msgspec.Struct, kw_only=True):
    subject: str
    reason: str
    by: str
    since: str
    position: str | None = None


def _vault(request: ApiRequest) -> Any:
    """Raises: Problem (409)."""
    if (vault := services_of(request).vault) is None:
        raise Problem(RejectionCode.INVALID_STATE, "this server has no keys of protected variables (setting protect_key)")
    return vault


async def _asked(work: Any, *given: Any) -> Any:
    """What blocks, beside the loop. Raises: Problem (503)."""
    try:
        return await asyncio.to_thread(work, *given)
    except KeysAway as e:
        raise Problem(RejectionCode.UNAVAILABLE, f"the keys can't be had: {e}", retry_after_ms=1000) from None


def _named(request: ApiRequest, ref: str) -> tuple[str, str, str]:
    """(tenant, digest, name of its records)."""
    tenant = services_of(request).identify(request).tenant
    digest = digest_of(tenant, ref)
    return tenant, digest, f"{tenant}/{digest}" if tenant else digest


def _now_us() -> int:
    return time.time_ns() // 1000


def _text(at_us: int) -> str:
    return time_text(at_us) or ""


@get("/subjects/{name:str}", summary="What is known of a subject")
async def get_subject(request: ApiRequest, name: RefPath, places: bool = False) -> Response[Subject]:
    """Whether keys of it are there, were destroyed, and may be destroyed; with `places` where something of it is. Nothing of what they seal."""
    tenant, digest, _ = _named(request, name)
    keys = await _asked(_vault(request).keys_of, tenant, name)
    there = sum(1 for _, at in keys if not at)
    s = services_of(request)
    hold, erasure = await s.record(request, HOLD_RECORDS, digest), await s.record(request, ERASURES, digest)
    status = "kept" if there else ERASED if keys else "unknown"
    where: dict[str, Any] = {"places": [], "more": False}
    if places and keys:
        where = await s.reads.places_of([id for id, _ in keys], tenant)
    told = Subject(
        subject=digest, status=status, keys=there, erased_keys=len(keys) - there, hold=(hold or {}).get("reason"),
        erasure=_certificate(digest, erasure) if erasure and erasure["status"] == ERASED else None,
        places=msgspec.convert(where["places"], list[Place]), more=where["more"],
    )  # fmt: skip
    return reply(told)


def _certificate(digest: str, record: dict[str, Any], position: str | None = None) -> Erasure:
    at = record["at_us"]
    return Erasure(
        subject=digest, status=record["status"], reason=record["reason"], by=record["by"], erased_at=_text(at),
        everywhere_at=_text(at + int(KEEP_S * 1_000_000)), keys=record["keys"], position=position,
    )  # fmt: skip


@post("/subjects/{name:str}/erase", summary="Erase a subject", status_code=200)
async def erase_subject(request: ApiRequest, name: RefPath, data: WhyBody) -> Response[Erasure]:
    """Destroys the keys of all that is sealed for it, for ever, and answers a certificate, which the ledger keeps. Asked again it answers the same one,
    unless there are keys anew. What it has agreed to is withdrawn. Refused while a legal hold is on it (INVALID_STATE)."""
    s, vault = services_of(request), _vault(request)
    tenant, digest, kept = _named(request, name)
    keys = await _asked(vault.keys_of, tenant, name)
    if not keys:
        raise Problem(RejectionCode.NOT_FOUND, "nothing is sealed for this subject, and nothing was")
    before = await s.record(request, ERASURES, digest)
    if before and before["status"] == ERASED and all(at for _, at in keys):
        return reply(_certificate(digest, before))
    record = {"reason": data.reason, "by": s.identify(request).actor, "at_us": _now_us(), "status": ASKED, "keys": []}
    await s.call(c.StoreRecord(registry=ERASURES, name=kept, value=record), request, partition=0, keyed=False)
    await _asked(vault.destroy, tenant, name)
    if s.finding is not None:
        await s.finding.erased(tenant, [id for id, _ in keys])
    await withdraw_all(request, digest, kept, data.reason)
    gone = [id for id, at in await _asked(vault.keys_of, tenant, name) if at][-KEYS_MAX:]
    record |= {"at_us": _now_us(), "status": ERASED, "keys": gone}
    done = await s.call(c.StoreRecord(registry=ERASURES, name=kept, value=record), request, partition=0, keyed=False)
    return reply(_certificate(digest, record, done.get("position")))


@post("/subjects/{name:str}/export", summary="Export the data of a subject", status_code=200)
async def export_subject(request: ApiRequest, name: RefPath, data: ExportBody) -> Response[Exported]:
    """Its variables as they are, and the events that had them, in clear text. Written down before it is answered, as each reading of clear text."""
    s, vault = services_of(request), _vault(request)
    tenant, digest, _ = _named(request, name)
    keys = [id for id, at in await _asked(vault.keys_of, tenant, name) if not at]
    if not keys:
        raise Problem(RejectionCode.NOT_FOUND, "nothing is sealed for this subject")
    found = await s.reads.of_keys(keys, tenant)
    agreed = await consents_of(request, digest)
    body = encode(
        {"subject": name, "digest": digest, "exported_at": time_text(_now_us()), "reason": data.reason, **found, "consents": agreed}
    )
    shown, read = await _asked(veil.opened, vault, tenant, body)
    await veil.read_by(s, s.asking(request), read, ("subject", digest), data.reason)
    if data.format == "json":
        return Reply(shown, 200, {})  # type: ignore[return-value]
    headers = {"Content-Disposition": 'attachment; filename="subject.html"'}
    page: Response[Any] = Response(_page(decode_json(shown)), media_type="text/html; charset=utf-8", headers=headers)
    return page


def _page(told: dict[str, Any]) -> bytes:
    def text(value: Any) -> str:
        return escape(value if isinstance(value, str) else encode(value).decode())

    def table(head: list[str], rows: list[list[Any]]) -> str:
        cells = "".join("<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        return f"<table><tr>{''.join(f'<th>{h}</th>' for h in head)}</tr>{cells}</table>"

    variables = [[v["instance"], v["name"], v["value"], v["updated_at"]] for v in told["variables"]]
    events = [[e["time"], e["instance"], e["type"], e["data"]] for e in told["events"]]
    agreed = [[x["purpose"], x["given_at"], x.get("until"), x.get("withdrawn_at"), x["how"]] for x in told["consents"]]
    cut = "<p>There is more than this page has room for.</p>" if told["cut"] else ""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Data of a subject</title><style>body{font:14px sans-serif}"
        "table{border-collapse:collapse}td,th{border:1px solid #999;padding:4px;text-align:left;vertical-align:top}</style>"
        f"<h1>Data of {text(told['subject'])}</h1><p>Exported {text(told['exported_at'])}: {text(told['reason'])}</p>{cut}"
        f"<h2>Consents</h2>{table(['purpose', 'given', 'until', 'withdrawn', 'how'], agreed)}"
        f"<h2>Values</h2>{table(['instance', 'name', 'value', 'since'], variables)}<h2>History</h2>{table(['time', 'instance', 'event', 'data'], events)}"
    ).encode()


@get("/legal-holds", summary="List legal holds")
async def list_legal_holds(request: ApiRequest, cursor: After = "", limit: Limit = 100) -> Response[answers.Page[LegalHold]]:
    page = await services_of(request).call(c.ListRecords(registry=HOLD_RECORDS, after=cursor, limit=limit), request, partition=0)
    rows = page.get("records") or []
    return reply({"items": [_hold(r["name"], r["value"]) for r in rows], "cursor": rows[-1]["name"] if page.get("more") else None})


def _hold(digest: str, value: dict[str, Any], position: str | None = None) -> LegalHold:
    return LegalHold(subject=digest, reason=value["reason"], by=value["by"], since=_text(value["at_us"]), position=position)


@put("/legal-holds/{name:str}", summary="Place a legal hold")
async def put_legal_hold(request: ApiRequest, name: RefPath, data: WhyBody) -> Response[LegalHold]:
    """Until it is lifted the subject can't be erased."""
    s = services_of(request)
    _, digest, kept = _named(request, name)
    value = {"reason": data.reason, "by": s.identify(request).actor, "at_us": _now_us()}
    done = await s.call(c.StoreRecord(registry=HOLD_RECORDS, name=kept, value=value), request, partition=0, keyed=False)
    return reply(_hold(digest, value, done.get("position")))


@delete("/legal-holds/{name:str}", summary="Lift a legal hold", status_code=200)
async def remove_legal_hold(request: ApiRequest, name: RefPath) -> Response[LegalHold]:
    """Answers what it was."""
    s = services_of(request)
    _, digest, kept = _named(request, name)
    was = await s.record(request, HOLD_RECORDS, digest)
    if was is None:
        raise Problem(RejectionCode.NOT_FOUND, "there is no legal hold on this subject")
    done = await s.call(c.StoreRecord(registry=HOLD_RECORDS, name=kept, value=None), request, partition=0)
    return reply(_hold(digest, was, done.get("position")))


HANDLERS: list[Any] = [get_subject, erase_subject, export_subject]
HOLDS: list[Any] = [list_legal_holds, put_legal_hold, remove_legal_hold]

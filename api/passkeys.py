"""Passkeys: those of one's own, signing in by one, and step-ups (`flowledger.api.access.stepping`): a request that takes a fresh proof."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, delete, get, post
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers
from flowledger.api.access import answers as a
from flowledger.api.access.door import IDENTITY, PROOF, base_of
from flowledger.api.access.passkeys import Passkeys
from flowledger.api.access.stepping import FAILED, HEADER, owner_of
from flowledger.api.accounts import BEGUN, UserName, begun, ended, guessing, identity_of
from flowledger.api.approvals import UPLOADS, named_in
from flowledger.api.edge import ApiRequest, Body, Name, reply, time_text
from flowledger.api.openapi import remembered
from flowledger.api.problems import Problem
from flowledger.api.refusals import operation_of
from flowledger.api.services import Services, request_id, services_of
from flowledger.infra.accounts.store import Passkey

Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
IdPath = Annotated[str, Parameter(schema_extra={"pattern": r"^[0-9a-f]{32}$"})]
PasskeyPath = Annotated[str, Parameter(schema_extra={"minLength": 1, "maxLength": 1400, "pattern": r"^[A-Za-z0-9_-]+$"})]
#: what a browser answers, as its `toJSON()` says it (WebAuthn Level 3, 5.1)
Credential = dict[str, Any]


class AddWith(Body):
    """`password`: of who has one, and no passkey yet."""

    password: Annotated[str, Meta(max_length=1000)] = ""


class NewPasskey(Body):
    """`id`: of the challenge. `credential`: what `navigator.credentials.create` has answered, as JSON."""

    id: Id
    title: Name
    credential: Credential


class ShownPasskey(Body):
    """`id`: of the challenge. `credential`: what `navigator.credentials.get` has answered, as JSON."""

    id: Id
    credential: Credential


class Shown(Body):
    credential: Credential


def _passkeys(request: ApiRequest) -> Passkeys:
    found = services_of(request).passkeys
    if found is None:
        raise Problem("NOT_FOUND", "there are no passkeys here: they are with FLOWLEDGER_AUTH=local or oidc")
    return found


def _base(request: ApiRequest) -> str:
    return base_of(request, services_of(request).settings)


def _row(p: Passkey) -> dict[str, Any]:
    return {
        "id": p.id, "title": p.title, "site": p.rp_id, "backed_up": p.backed_up, "created_at": time_text(p.created_us), "used_at": time_text(p.used_us),
    }  # fmt: skip


# --- what is looked at before each request ------------------------------------------------------------------------------------


async def look(request: ApiRequest, s: Services) -> None:
    """A proof that came along is good for this request; what takes one and has none goes no further. Raises: Problem (403)."""
    if s.passkeys is None:
        return
    scope: Any = request.scope
    if scope.get(IDENTITY) is None:  # anybody may
        return
    given = scope["flowledger_headers"].get(HEADER)
    if given is None:
        if s.settings.step_up and (operation := await named_in(request, s.settings.step_up)):
            raise await s.passkeys.step_ups.needed(request, f"{operation} takes a fresh proof by a passkey", operation)
        return
    if operation_of(scope)[0] in UPLOADS:
        raise Problem(FAILED, "an upload takes no proof", status=403)
    by = request_id(request) if remembered(scope["path_template"]) else ""
    await s.passkeys.step_ups.used(request, given.decode("latin-1"), by)


# --- one's own ------------------------------------------------------------------------------------------------------------------


@get("/me/passkeys", summary="List one's passkeys")
async def list_passkeys(request: ApiRequest) -> Response[answers.Page[a.PasskeyRow]]:
    """`site`: the name of the server that it is for. `backed_up`: its maker keeps it on several devices."""
    p = _passkeys(request)
    identity = identity_of(request)
    owner = owner_of(identity, p.known)
    return reply({"items": [_row(k) for k in await p.of(owner)] if owner is not None else [], "cursor": None})


@post("/me/passkeys/options", status_code=200, summary="Begin to add a passkey")
async def begin_passkey(request: ApiRequest, data: AddWith) -> Response[a.ToSign]:
    """`public_key`: for `navigator.credentials.create`. Somebody with a password and no passkey yet gives the password; who has one shows it (403 `STEP_UP_NEEDED`)."""
    p, identity = _passkeys(request), identity_of(request)
    owner = p.person(identity)
    proven = PROOF in request.scope
    if not proven and not data.password and await p.of(owner):
        raise await p.step_ups.needed(request, "to add a passkey takes a fresh proof by one that you have", "add_passkey")
    return reply(await p.to_add(identity, data.password, proven, _base(request)))


@post("/me/passkeys", summary="Add a passkey")
async def add_passkey(request: ApiRequest, data: NewPasskey) -> Response[a.PasskeyRow]:
    """Up to 20 of one person."""
    p = _passkeys(request)
    by = services_of(request).asking(request)
    return reply(_row(await p.add(by, identity_of(request), data.id, data.title, data.credential, _base(request))), 201)


@delete("/me/passkeys/{id:str}", status_code=200, summary="Remove a passkey")
async def remove_passkey(request: ApiRequest, id: PasskeyPath) -> Response[a.Gone]:
    """It signs nobody in any more, and what it has proven and nobody has used yet is void. Whoever an issuer vouches for shows one of theirs (403 `STEP_UP_NEEDED`): they
    have no password here, so the next would be added by the session alone."""
    p, identity = _passkeys(request), identity_of(request)
    owner = p.person(identity)
    if identity.kind == "guest" and PROOF not in request.scope and any(k.id == id for k in await p.of(owner)):
        raise await p.step_ups.needed(request, "to remove a passkey takes a fresh proof by one that you have", "remove_passkey")
    await p.remove(services_of(request).asking(request), identity, id)
    return reply({"name": id})


@delete("/users/{name:str}/passkeys", status_code=200, summary="Remove all passkeys of somebody")
async def remove_passkeys(request: ApiRequest, name: UserName) -> Response[a.Gone]:
    """Of a user here, or of whoever an issuer vouches for by that name: who has lost theirs adds new ones. Their sessions end."""
    await _passkeys(request).remove_all(services_of(request).asking(request), name)
    return reply({"name": name})


# --- signing in -----------------------------------------------------------------------------------------------------------------


@post("/session/passkeys", status_code=200, summary="Begin to sign in with a passkey")
async def begin_sign_in(request: ApiRequest) -> Response[a.ToSign]:
    """`public_key`: for `navigator.credentials.get`. 429: too many from this address were begun and not ended, as with those that fail."""
    guessing(request, BEGUN)
    return reply(await _passkeys(request).to_sign_in(_base(request)))


@post("/session/passkey", status_code=200, summary="Sign in with a passkey")
async def sign_in_by_passkey(request: ApiRequest, data: ShownPasskey) -> Response[a.Me]:
    """The session is a cookie, as with a password. Each challenge is good once, for five minutes. 429: too many from this address have failed in the last minute."""
    succeeded = guessing(request)
    found = await _passkeys(request).sign_in(data.id, data.credential, _base(request))
    succeeded()
    ended(request, BEGUN)
    return await begun(request, found)


# --- step-ups -------------------------------------------------------------------------------------------------------------------


@get("/step-ups/{id:str}", summary="A request that waits for a proof by one's passkey")
async def get_step_up(request: ApiRequest, id: IdPath) -> Response[a.StepUp]:
    """One's own. `public_key`: for `navigator.credentials.get`; null: one has no passkey for the name that this server was asked by."""
    return reply(await _passkeys(request).step_ups.show(identity_of(request), id, _base(request)))


@post("/step-ups/{id:str}", status_code=200, summary="Show one's passkey for a request")
async def show_step_up(request: ApiRequest, id: IdPath, data: Shown) -> Response[a.Gone]:
    """Then the request is asked again as it was, with the header `X-Step-Up: ID`: once, within five minutes of its challenge."""
    p = _passkeys(request)
    await p.step_ups.prove(identity_of(request), id, data.credential, _base(request))
    return reply({"name": id})


#: by noun
HANDLERS: dict[str, list[Any]] = {
    "me": [list_passkeys, begin_passkey, add_passkey, remove_passkey],
    "session": [begin_sign_in, sign_in_by_passkey],
    "step-ups": [get_step_up, show_step_up],
    "users": [remove_passkeys],
}

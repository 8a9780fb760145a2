"""Who am I, signing in and out, users, API keys, roles. The rules are `flowledger.api.access`'s; without sign-in there is only `me` and `roles`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, patch, post, put
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers
from flowledger.api.access import answers as a
from flowledger.api.access.changes import LINK_S, ROLES_MAX, TENANTS_MAX, Accounts
from flowledger.api.access.door import IDENTITY, base_of
from flowledger.api.access.known import Identity
from flowledger.api.access.rights import RIGHTS, ROLES
from flowledger.api.edge import ApiRequest, Body, Name, Text, reply, time_text
from flowledger.api.issuers import list_issuers, session_cookie
from flowledger.api.problems import Problem
from flowledger.api.services import services_of
from flowledger.infra.accounts.store import Key, Session, User

Roles = Annotated[list[Name], Meta(max_length=ROLES_MAX)]
Tenants = Annotated[list[Text], Meta(max_length=TENANTS_MAX)]
#: longer ones are refused before they are looked at
Secret = Annotated[str, Meta(min_length=1, max_length=1000)]
UserName = Annotated[str, Parameter(schema_extra={"minLength": 1, "maxLength": 100, "pattern": r"^[A-Za-z0-9._@+-]+$"})]
KeyId = Annotated[str, Parameter(schema_extra={"minLength": 1, "maxLength": 100, "pattern": r"^[0-9a-z]+$"})]
Limit = Annotated[int, Parameter(ge=1, le=1000)]
After = Annotated[str, Parameter(max_length=200, description="`cursor` of the page before")]


class SignIn(Body):
    name: Secret
    password: Secret


class ByLink(Body):
    """`link`: what stands behind the # of a one-time link."""

    link: Secret
    password: Secret


class NewPassword(Body):
    old: Secret
    new: Secret


class UserBody(Body):
    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$")]
    roles: Roles = []
    tenants: Tenants = msgspec.field(default_factory=lambda: [""])


class UserChange(Body):
    roles: Roles | None = None
    tenants: Tenants | None = None
    active: bool | None = None


class KeyBody(Body):
    """`actor`: whose name stands on what is done with it: one's own, or, made by an administrator, a program's. `tenant`: one of the maker's."""

    name: Name
    roles: Roles
    actor: Annotated[str, Meta(max_length=100, pattern=r"^([A-Za-z0-9][A-Za-z0-9._@+-]*)?$")] = ""
    tenant: Text | None = None
    days: Annotated[float, Meta(gt=0, le=3660)] = 90


def _accounts(request: ApiRequest) -> Accounts:
    found = services_of(request).accounts
    if found is None:
        raise Problem("NOT_FOUND", "there are no accounts here: they are with FLOWLEDGER_AUTH=local or oidc")
    return found


def identity_of(request: ApiRequest) -> Identity:
    found: Identity = request.scope[IDENTITY]  # type: ignore[literal-required]
    return found


# --- who am I, in and out -------------------------------------------------------------------------------------------------


@get("/me", summary="Who asks, and what they may")
async def me(request: ApiRequest) -> Response[a.Me]:
    """Without sign-in it is whoever `X-Actor` says, and they may do everything."""
    s = services_of(request)
    caller = s.identify(request)
    if s.accounts is None:
        return reply({"auth": "none", "kind": "nobody", "name": caller.actor, "roles": list(ROLES), "rights": list(RIGHTS), "tenant": caller.tenant,
                      "tenants": [caller.tenant], "csrf": None, "expires_at": None,
                      "second_person": s.settings.second_person})  # fmt: skip
    return reply({**_me(s.settings.auth, identity_of(request), caller.tenant), "second_person": s.settings.second_person})


def _me(auth: str, i: Identity, tenant: str) -> dict[str, Any]:
    return {
        "auth": auth, "kind": i.kind, "name": i.actor, "roles": i.roles, "rights": [r for r in RIGHTS if r in i.rights], "tenant": tenant,
        "tenants": i.tenants, "csrf": i.csrf or None, "expires_at": time_text(i.expires_us),
    }  # fmt: skip


async def begun(request: ApiRequest, found: tuple[str, Session]) -> Response[Any]:
    text, session = found
    accounts = _accounts(request)
    await accounts.known.refresh()  # a password that was just chosen
    identity = await accounts.known.of_session(text)
    answer = reply(_me(accounts.settings.auth, identity, identity.tenants[0] if identity.tenants else ""))
    most = int((session.expires_us - session.began_us) / 1e6)
    answer.cookies.append(session_cookie(request, text, most))
    return answer


#: what was begun by a passkey and not ended is counted apart from what has failed
BEGUN = "begun "


def guessing(request: ApiRequest, of: str = "") -> Callable[[], None]:
    """An attempt to sign in, counted before it is looked at; what is answered is called when it was good. `of`: what is counted. Raises: Problem (429)."""
    counted = _counted(request, of)
    if counted is None:
        return lambda: None
    rates, address = counted
    if (problem := rates.guessing(address)) is not None:
        raise problem
    return lambda: rates.signed_in(address)


def ended(request: ApiRequest, of: str) -> None:
    """What was begun has come to a good end: it doesn't count."""
    if (counted := _counted(request, of)) is not None:
        counted[0].signed_in(counted[1])


def _counted(request: ApiRequest, of: str) -> tuple[Any, str] | None:
    rates = services_of(request).rates
    if rates is None:
        return None
    client = request.scope.get("client")
    return rates, of + rates.address_of(client[0] if client else "", ", ".join(request.headers.getall("x-forwarded-for", [])))


@post("/session", status_code=200, summary="Sign in with name and password")
async def sign_in(request: ApiRequest, data: SignIn) -> Response[a.Me]:
    """The session is a cookie that scripts can't read. 401 says not whether it was the name or the password; ten wrong ones in a row
    lock the name for five minutes. 429: too many from this address have failed in the last minute."""
    succeeded = guessing(request)
    found = await _accounts(request).sign_in(data.name, data.password)
    succeeded()
    return await begun(request, found)


@post("/session/link", status_code=200, summary="Choose a password by a one-time link, and sign in")
async def by_link(request: ApiRequest, data: ByLink) -> Response[a.Me]:
    """The password has 12 to 256 characters."""
    caller = services_of(request).nobody(request)
    return await begun(request, await _accounts(request).by_link(caller, data.link, data.password))


@delete("/session", status_code=200, summary="Sign out")
async def sign_out(request: ApiRequest, everywhere: bool = False) -> Response[a.SignedOut]:
    """`everywhere`: all sessions of this person end. An API key has no session: it is revoked."""
    accounts, identity = _accounts(request), identity_of(request)
    if identity.kind not in ("user", "guest") and not everywhere:
        raise Problem("INVALID_STATE", "this is an API key, not a session: it ends by DELETE /v1/api-keys/{id}")
    await accounts.sign_out(identity, everywhere)
    there = None
    if identity.kind == "guest" and accounts.guests is not None:
        there = accounts.guests.end_address(identity.id, base_of(request, services_of(request).settings) + "/")
    answer = reply({"name": identity.actor, "issuer_url": there})
    answer.cookies.append(session_cookie(request, "", 0))
    return answer


@put("/me/password", summary="Change one's own password")
async def change_password(request: ApiRequest, data: NewPassword) -> Response[a.Gone]:
    """All other sessions end. By a session only: who has a key alone can't take the account over."""
    identity = _identity_of_a_person(request)
    await _accounts(request).change_password(services_of(request).asking(request), identity, data.old, data.new)
    return reply({"name": identity.actor})


def _identity_of_a_person(request: ApiRequest) -> Identity:
    _accounts(request)
    identity = identity_of(request)
    if identity.kind != "user":
        raise Problem("FORBIDDEN", "a password is changed by who has signed in with it")
    return identity


# --- users ----------------------------------------------------------------------------------------------------------------


def _user(accounts: Accounts, u: User) -> dict[str, Any]:
    return {
        "name": u.name, "roles": u.roles, "tenants": u.tenants, "active": u.active, "password": bool(u.password),
        "locked": u.locked_us > accounts.now_us(), "created_at": time_text(u.created_us), "created_by": u.created_by,
        "signed_in_at": time_text(u.signed_in_us),
    }  # fmt: skip


def _page(items: list[dict[str, Any]], name: str, after: str, limit: int) -> dict[str, Any]:
    left = [i for i in sorted(items, key=lambda i: str(i[name])) if i[name] > after]
    return {"items": left[:limit], "cursor": left[limit - 1][name] if len(left) > limit else None}


def _linked(accounts: Accounts, link: str, until_us: int = 0) -> dict[str, Any]:
    return {"link": f"/sign-in#{link}", "link_expires_at": time_text(until_us or accounts.now_us() + LINK_S * 1_000_000)}


@get("/users", summary="List users")
async def list_users(request: ApiRequest, cursor: After = "", limit: Limit = 100) -> Response[answers.Page[a.AccountRow]]:
    accounts = _accounts(request)
    return reply(_page([_user(accounts, u) for u in (await accounts.known.as_of_now())[0]], "name", cursor, limit))


@get("/users/{name:str}", summary="Get a user")
async def get_user(request: ApiRequest, name: UserName) -> Response[a.AccountRow]:
    accounts = _accounts(request)
    found = accounts.known.users.get(name)
    if found is None:
        raise Problem("NOT_FOUND", f"no user {name[:100]}")
    return reply(_user(accounts, found))


@post("/users", summary="Make a user")
async def make_user(request: ApiRequest, data: UserBody) -> Response[a.AccountMade]:
    """They choose a password by the `link` of the answer, within 24 hours."""
    accounts = _accounts(request)
    user, link = await accounts.make_user(services_of(request).asking(request), data.name, data.roles, data.tenants)
    return reply({**_user(accounts, user), **_linked(accounts, link)}, 201)


@patch("/users/{name:str}", summary="Change a user's roles and tenants, suspend them")
async def change_user(request: ApiRequest, name: UserName, data: UserChange) -> Response[a.AccountRow]:
    """`active` false: their sessions end and their keys are refused. The last administrator stays one (409)."""
    accounts = _accounts(request)
    by = services_of(request).asking(request)
    return reply(_user(accounts, await accounts.change_user(by, name, data.roles, data.tenants, data.active)))


@delete("/users/{name:str}", status_code=200, summary="Remove a user")
async def remove_user(request: ApiRequest, name: UserName) -> Response[a.Gone]:
    """Sessions end, keys that act as them are revoked. What they did keeps their name."""
    await _accounts(request).remove_user(services_of(request).asking(request), name)
    return reply({"name": name})


@post("/users/{name:str}/reset", status_code=200, summary="Reset a user's password")
async def reset_user(request: ApiRequest, name: UserName) -> Response[a.Link]:
    """The old one is no longer good, all sessions end, and a lock is lifted. A new one is chosen by the `link` of the answer, within 24 hours."""
    accounts = _accounts(request)
    until_us, link = await accounts.reset(services_of(request).asking(request), name)
    return reply({"name": name, **_linked(accounts, link, until_us)})


# --- API keys and roles -----------------------------------------------------------------------------------------------------


def _key(k: Key) -> dict[str, Any]:
    return {
        "id": k.id, "name": k.name, "actor": k.actor, "roles": k.roles, "tenant": k.tenant, "created_at": time_text(k.created_us),
        "created_by": k.created_by, "expires_at": time_text(k.expires_us), "revoked_at": time_text(k.revoked_us), "revoked_by": k.revoked_by or None,
        "used_at": time_text(k.used_us),
    }  # fmt: skip


@get("/api-keys", summary="List API keys")
async def list_keys(request: ApiRequest, cursor: After = "", limit: Limit = 100) -> Response[answers.Page[a.KeyRow]]:
    """One's own; with the right users:read everybody's. `used_at`: on other nodes it is written every half minute."""
    accounts = _accounts(request)
    who = identity_of(request)
    shown = [k for k in (await accounts.known.as_of_now())[1] if "users:read" in who.rights or who.actor in (k.actor, k.created_by)]
    return reply(_page([_key(k) for k in shown], "id", cursor, limit))


@post("/api-keys", summary="Make an API key")
async def make_key(request: ApiRequest, data: KeyBody) -> Response[a.KeyMade]:
    """It can do what its roles say, and never more than who makes it. Its text is in this answer only."""
    accounts, by = _accounts(request), services_of(request).asking(request)
    key, text = await accounts.make_key(by, identity_of(request), data.name, data.actor, data.roles, data.tenant, data.days)
    return reply({**_key(key), "key": text}, 201)


@delete("/api-keys/{id:str}", status_code=200, summary="Revoke an API key")
async def revoke_key(request: ApiRequest, id: KeyId) -> Response[a.Gone]:
    """It is refused from now on: on this node at once, on others within two seconds. It stays listed."""
    await _accounts(request).revoke_key(services_of(request).asking(request), identity_of(request), id)
    return reply({"name": id})


@get("/roles", summary="List roles and their rights")
async def list_roles(request: ApiRequest) -> Response[answers.Page[a.RoleRow]]:
    items = [{"name": name, "description": text, "rights": [r for r in RIGHTS if r in rights]} for name, (text, rights) in ROLES.items()]
    return reply({"items": items, "cursor": None})


#: by noun
HANDLERS: dict[str, list[Any]] = {
    "me": [me, change_password],
    "session": [sign_in, by_link, list_issuers, sign_out],
    "users": [list_users, get_user, make_user, change_user, remove_user, reset_user],
    "api-keys": [list_keys, make_key, revoke_key],
    "roles": [list_roles],
}

"""The look at each request: who is it, and may they? The same for HTTP, event streams, WebSockets and gRPC.

An API key comes as `Authorization: Bearer KEY`, as does a token of an issuer; a session as a cookie. A request that changes something by a session must show that it
comes from a page of ours: the session's own token as `X-CSRF-Token`, which no other site can read. `X-Actor` is not looked at; `X-Tenant` chooses
among the tenants that are the caller's.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection

from flowledger.api.access.certificates import OF_PAGES, SHOWN, Certificates, Shown
from flowledger.api.access.known import WHO, Identity, Known, unknown
from flowledger.api.access.operations import BY_MOVE, GRPC, HTTP, PUBLIC, SIGNED_IN, SOCKETS, lacking, needed
from flowledger.api.access.rights import roles_with
from flowledger.api.access.tokens import KeysAsked, Tokens
from flowledger.api.problems import Problem
from flowledger.api.rates import Rates, TooOften
from flowledger.api.slices import PEER
from flowledger.infra.accounts.secrets import KEY_PREFIX
from flowledger.infra.settings import LOOPBACK, Settings
from flowledger.logs import log
from flowledger.processors.client import Caller, Unauthenticated

COOKIE = "flowledger_session"
#: in the scope of a request: who it is, as whom it acts, and its headers (set by the outermost layer)
IDENTITY, CALLER, HEADERS = "flowledger_identity", "flowledger_caller", "flowledger_headers"
#: in the scope of a request that asks for protected values in clear text: why (`api/veil.py`)
CLEAR = "flowledger_clear_text"
#: the framework's own pages about the API
DOCUMENTS = "/v1/docs"
#: in the scope of a request: the passkey that it was shown by (`api/access/stepping.py`)
PROOF = "flowledger_proof"
#: methods that change nothing
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def forbidden(right: str, identity: Identity) -> Problem:
    roles = ", ".join(identity.roles) or "none"
    text = f"the right {right} is needed (roles with it: {', '.join(roles_with(right))}), found the roles {roles}"
    return Problem("FORBIDDEN", text, right=right)


class Lacking(PermissionError):
    """Who asks is known, and may not: `caller` and `identity` are who."""

    def __init__(self, detail: str, caller: Caller, identity: Identity) -> None:
        super().__init__(detail)
        self.caller, self.identity = caller, identity


class Door:
    def __init__(self, known: Known, settings: Settings, tokens: Tokens | None = None) -> None:
        self.known, self.settings, self.tokens = known, settings, tokens
        self.certificates = Certificates(known.people, known)
        #: how often one caller may ask; None: as often as it likes
        self.rates: Rates | None = None
        self._http = dict(HTTP)
        if settings.metrics_open:
            self._http["GET /metrics"] = PUBLIC

    # --- HTTP ----------------------------------------------------------------------------------------------------------------

    async def look(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Before each handler. Raises: Problem (401, 403, 503)."""
        scope: Any = connection.scope
        right = self.right_of(scope, connection)
        if right == PUBLIC:
            return
        headers = scope[HEADERS]
        identity = await self.identity(headers, scope)
        scope[IDENTITY] = identity
        self._often(identity, "http")
        if identity.csrf and scope["method"] not in SAFE:
            self._from_our_page(identity, headers)
        self._may(identity, right)
        if CLEAR in scope:
            self._may(identity, "protected:read")
        caller = scope[CALLER] = self.caller(identity, _text(headers, b"x-tenant"), scope)
        if (peer := scope.get(PEER)) is not None:
            peer.whose = caller.tenant  # what comes next on this connection waits among that tenant's
        self._often_for(caller.tenant, "http")

    def _often_for(self, tenant: str, door: str) -> None:
        """Raises: Problem (429)."""
        if self.rates is not None and (problem := self.rates.for_tenant(tenant, door)) is not None:
            raise problem

    def _often(self, identity: Identity, door: str) -> None:
        """Raises: Problem (429). A key is a caller of its own, and so is a person, with all sessions together."""
        if self.rates is None:
            return
        caller = ("key", identity.id) if identity.kind == "key" else (identity.kind, identity.actor)
        if (problem := self.rates.called(caller, door)) is not None:
            raise problem

    def right_of(self, scope: Any, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        """Raises: KeyError: the table doesn't have it, and nobody may."""
        template = scope["path_template"]
        operation = f"{scope['method']} {template}"
        right = self._http.get(operation)
        if right is None:
            if connection.route_handler.opt.get("public") or scope["method"] == "OPTIONS":  # the console's files; what may be asked
                return PUBLIC
            if template.startswith(DOCUMENTS):
                return SIGNED_IN
        elif operation not in BY_MOVE:
            return right
        return needed(operation, connection.path_params)

    @staticmethod
    def _may(identity: Identity, right: str) -> None:
        if right != SIGNED_IN and right not in identity.rights:
            log("access").warning("refused", actor=identity.actor, key=identity.id, right=right, roles=",".join(identity.roles))
            raise forbidden(right, identity)

    @staticmethod
    def _from_our_page(identity: Identity, headers: dict[bytes, bytes]) -> None:
        if not hmac.compare_digest(headers.get(b"x-csrf-token", b""), identity.csrf.encode()):
            raise Problem(
                "CSRF", "expected the session's own token as X-CSRF-Token (GET /v1/me tells it), found none or another", status=403
            )

    async def identity(self, headers: dict[bytes, bytes], scope: Any) -> Identity:
        """Raises: Problem (401, 403, 503)."""
        given = headers.get(b"authorization")
        if given is not None:
            text = bearer(given.decode("latin-1"))
            try:
                return self.of_bearer(text)
            except KeysAsked as e:
                await asyncio.shield(e.asked)
                return self.of_bearer(text)
        if (session := session_of(headers)) is None:
            shown = (scope.get("state") or {}).get(SHOWN)
            if shown is None or not headers.keys().isdisjoint(OF_PAGES):
                raise unknown(f"{WHO}, found none")
            return self.certificates.of(shown)
        return await self.known.of_session(session)

    def of_bearer(self, text: str) -> Identity:
        """Raises: Problem (401, 403, 503; KeysAsked)."""
        if self.tokens is None or text.startswith(KEY_PREFIX):
            return self.known.of_key(text)
        return self.tokens.of_token(text)

    @staticmethod
    def caller(identity: Identity, tenant: str | None, scope: Any) -> Caller:
        """Raises: Problem (403): a tenant that isn't the caller's."""
        return Caller(
            identity.actor, _tenant(identity, tenant), scope.get("flowledger_correlation", ""), scope.get("flowledger_trace", ""),
            identity.groups, identity.kernel, identity.tenants,
        )  # fmt: skip

    # --- sockets -------------------------------------------------------------------------------------------------------------

    async def socket(self, scope: Any, headers: dict[bytes, bytes]) -> Problem | None:
        """Why a WebSocket is not opened; None: it is, and `scope` has who it is. What isn't there needs no right: it is not found."""
        path = "/".join(part for part in scope["path"].split("/") if part)  # as the router reads it
        right = SOCKETS.get(f"WS /{path}")
        if right is None:
            return None
        try:
            identity = await self.identity(headers, scope)
            self._often(identity, "socket")
            if identity.csrf and urlsplit(_text(headers, b"origin") or "").netloc != _text(headers, b"host"):
                raise Problem("CSRF", "a socket by a session is opened by pages of this server only", status=403)
            self._may(identity, right)
            scope[IDENTITY] = identity
            caller = scope[CALLER] = self.caller(identity, _text(headers, b"x-tenant"), scope)
            self._often_for(caller.tenant, "socket")
        except Problem as p:
            return p
        self.known.hold(identity)
        return None

    def hold(self, identity: Identity) -> None:
        """A long answer begins: `identity.ended` tells when it must end."""
        self.known.hold(identity)

    # --- gRPC ----------------------------------------------------------------------------------------------------------------

    def call(self, metadata: Mapping[str, str], method: str, shown: Shown | None = None) -> tuple[Caller, Identity | None]:
        """`shown`: the certificate of the connection. Raises: Unauthenticated, PermissionError, ConnectionError, TooOften."""
        right = GRPC[method]
        if right == PUBLIC:
            return Caller(), None
        try:
            given = metadata.get("authorization")
            if given is not None:
                identity = self.of_bearer(bearer(given))
            elif shown is not None:
                identity = self.certificates.of(shown)
            else:
                raise unknown("expected the metadata `authorization: Bearer KEY`, found none")
        except Problem as p:
            if p.status == 401:
                raise Unauthenticated(p.detail) from None
            if p.status == 503:
                raise ConnectionError(p.detail) from None
            raise PermissionError(p.detail) from None
        try:
            self._often(identity, "grpc")
        except Problem as p:
            raise TooOften(p.detail, p.retry_after_ms) from None
        try:
            self._may(identity, right)
            tenant = _tenant(identity, metadata.get("x-tenant"))
        except Problem as p:
            raise Lacking(p.detail, Caller(identity.actor, next(iter(identity.tenants), "")), identity) from None
        try:
            self._often_for(tenant, "grpc")
        except Problem as p:
            raise TooOften(p.detail, p.retry_after_ms) from None
        return Caller(identity.actor, tenant, "", "", identity.groups, identity.kernel, identity.tenants), identity


def _tenant(identity: Identity, given: str | None) -> str:
    if not identity.tenants:
        raise Problem("FORBIDDEN", f"{identity.actor} is of no tenant: an administrator says of which")
    if given is None:
        return identity.tenants[0]
    if given not in identity.tenants:
        raise Problem(
            "FORBIDDEN",
            f"the tenant {given[:80]!r} is not one of {identity.actor}'s: an administrator can make it so",
            where="header X-Tenant",
        )
    return given


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    found = headers.get(name)
    return None if found is None else found.decode("latin-1")


def bearer(given: str) -> str:
    """Raises: Problem (401)."""
    scheme, _, text = given.partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text:
        raise unknown(f"{WHO}, found another kind of Authorization")
    return text


def session_of(headers: dict[bytes, bytes]) -> str | None:
    given = headers.get(b"cookie", b"")
    if COOKIE.encode() not in given:
        return None
    try:
        found = SimpleCookie(given.decode("latin-1")).get(cookie_name(headers.get(b"host", b"").decode("latin-1")))
    except CookieError:
        return None
    return found.value if found is not None else None


def cookie_name(host: str) -> str:
    """With a prefix where it goes over TLS alone: browsers take such a cookie from this very name only, for all of it (RFC 6265bis, 4.1.3.2)."""
    return f"__Host-{COOKIE}" if secure(host) else COOKIE


def secure(host: str) -> bool:
    """Whether a cookie goes over TLS alone: always, but to a server on this machine, which browsers reach without."""
    name = host.rsplit("]", 1)[0].lstrip("[") if host.startswith("[") else host.rsplit(":", 1)[0]
    return name.lower() not in LOOPBACK


def base_of(connection: Any, settings: Settings) -> str:
    """This server, as a browser reaches it."""
    host = connection.headers.get("host", "")
    return settings.callback_url.rstrip("/") or f"{'https' if secure(host) else 'http'}://{host}"


def uncovered(app: Any, look: Any) -> list[str]:
    """Operations of an application that the table doesn't have, or before which nobody looks (`look`): there must be none."""
    routes, unseen = [], []
    for route in app.routes:
        handlers = getattr(route, "route_handler_map", None)
        if route.path_format.startswith(DOCUMENTS):
            continue
        if handlers is None:
            routes.append(("WS", route.path_format))
        else:
            guarded = {m: h for m, (h, _) in handlers.items() if m != "OPTIONS" and not h.opt.get("public")}
            routes += [(m, route.path_format) for m in guarded]
            unseen += [f"{m} {route.path_format}" for m, h in guarded.items() if h.resolve_before_request() is not look]
    return lacking(routes) + unseen

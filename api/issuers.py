"""Issuers of OpenID Connect for browsers: which there are, where they send one, what comes back, and what they say themselves.

`/oidc` is no part of the API: browsers are sent there, and issuers ask there.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qs

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import Parameter

from flowledger.api import answers
from flowledger.api.access import answers as a
from flowledger.api.access.door import base_of, cookie_name, secure
from flowledger.api.access.guests import BEGUN_S, BROUGHT_MAX, Failed, Guests, local
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.problems import Problem
from flowledger.api.services import Services, services_of

#: what stands between the way there and the way back
BEGUN = "flowledger_oidc"
IssuerName = Annotated[str, Parameter(max_length=100)]


def session_cookie(request: ApiRequest, text: str, most: int) -> Cookie:
    host = request.headers.get("host", "")
    return Cookie(cookie_name(host), path="/", value=text, max_age=most, httponly=True, samesite="strict", secure=secure(host))


def _begun_cookie(request: ApiRequest, text: str, most: int) -> Cookie:
    """`lax`: it comes along when the issuer sends the browser back, by a link."""
    return Cookie(
        BEGUN, path="/oidc", value=text, max_age=most, httponly=True, samesite="lax", secure=secure(request.headers.get("host", ""))
    )


def _guests(s: Services) -> Guests:
    if s.accounts is None or s.accounts.guests is None:
        raise Problem("NOT_FOUND", "no issuer signs in here: they are with FLOWLEDGER_AUTH=oidc")
    return s.accounts.guests


@get("/session/issuers", summary="List issuers that sign in")
async def list_issuers(request: ApiRequest) -> Response[answers.Page[a.IssuerRow]]:
    """Of OpenID Connect: whose tokens are taken here, and how a command line gets one (RFC 8628). Who isn't signed in yet may ask."""
    door = services_of(request).door
    known = [k.issuer for k in door.tokens.issuers] if door is not None and door.tokens is not None else []
    names = [n for n in a.IssuerRow.__struct_fields__ if n != "browser"]
    return reply({"items": [{n: getattr(i, n) for n in names} | {"browser": bool(i.client_id)} for i in known], "cursor": None})


@get("/oidc/{name:str}", include_in_schema=False)
async def begin(request: ApiRequest, name: IssuerName, to: Annotated[str, Parameter(max_length=2_000)] = "/") -> Response[None]:
    s = services_of(request)
    url, cookie = await _guests(s).begin(name, f"{base_of(request, s.settings)}/oidc/{name}/back", local(to))
    return _sent(url, _begun_cookie(request, cookie, BEGUN_S))


@get("/oidc/{name:str}/back", include_in_schema=False, opt={"any_query": True})
async def back(request: ApiRequest, name: IssuerName) -> Response[None]:
    """Issuers put what they like into the address; what isn't asked for is not looked at."""
    over = _begun_cookie(request, "", 0)
    brought = {k: v[:BROUGHT_MAX] for k in ("code", "state", "iss", "error") if isinstance(v := request.query_params.get(k), str)}
    try:
        text, guest, to = await _guests(services_of(request)).finish(name, request.cookies.get(BEGUN, ""), brought)
    except Failed as e:
        return _sent(f"/sign-in?failed={e}", over)
    return _sent(to, over, session_cookie(request, text, int((guest.expires_us - guest.began_us) / 1e6)))


@post("/oidc/{name:str}/logout", status_code=200, include_in_schema=False)
async def logout(request: ApiRequest, name: IssuerName) -> Response[None]:
    """From the issuer itself (Back-Channel Logout 1.0): a form with a logout token."""
    form = parse_qs((await request.body()).decode("latin-1"), max_num_fields=20)
    await _guests(services_of(request)).signed_out(name, form.get("logout_token", [""])[0])
    return Response(None, status_code=200)


def _sent(url: str, *cookies: Cookie) -> Response[None]:
    answer: Response[None] = Response(None, status_code=303, headers={"Location": url, "Referrer-Policy": "no-referrer"})
    answer.cookies.extend(cookies)
    return answer


AT_ROOT: list[Any] = [begin, back, logout]

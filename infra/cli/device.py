"""`flowledger login --oidc`: a token of the server's issuer by the device flow (RFC 8628), kept in a file that only its owner can read, and
refreshed when it is about to expire. authlib speaks the protocol."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from flowledger.infra.cli.keys import kept, write
from flowledger.infra.cli.output import NO, UNREACHABLE, fail

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: a client without a secret (RFC 7591, 2)
PUBLIC = "none"
#: a token that ends within this time is refreshed before it is used (seconds)
SOON_S = 30
#: how long an answer of the issuer may take; between two questions, when it says nothing; how much longer when it wants fewer (RFC 8628, 3.5); seconds
ANSWER_S, PAUSE_S, SLOWER_S = 20.0, 5.0, 5.0


class Kept(msgspec.Struct, kw_only=True):
    """`expires`: seconds UTC. `refresh`: empty: it can't be refreshed."""

    access: str
    refresh: str = ""
    expires: float
    issuer: str
    client_id: str
    token_endpoint: str
    revocation_endpoint: str = ""


def file() -> Path:
    return kept().with_name("tokens.json")


@contextmanager
def _alone() -> Iterator[IO[str]]:
    """Two commands at a time would both refresh, and many issuers take a refresh token once."""
    file().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(file().with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600), "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def tokens() -> dict[str, Kept]:
    """Server -> token. Raises: Failed: the file can't be read."""
    try:
        return msgspec.json.decode(file().read_bytes(), type=dict[str, Kept])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as e:
        fail(f"{file()} can't be read: {e}", NO, "remove it, and sign in again")


def keep(url: str, token: Kept | None) -> None:
    found = tokens()
    found.pop(url, None)
    if token is not None:
        found[url] = token
    write(file(), found)


def token_for(url: str) -> str:
    """What is kept for this server, refreshed when it must be; empty: nothing. Raises: Failed."""
    if not file().exists():
        return ""
    found = tokens().get(url)
    if found is None or found.expires - time.time() > SOON_S:
        return found.access if found is not None else ""
    with _alone():
        found = tokens().get(url)  # another command may have refreshed it meanwhile
        if found is not None and found.expires - time.time() <= SOON_S and found.refresh:
            found = _refreshed(found)
            keep(url, found)
    return found.access if found is not None else ""


def _client(client_id: str) -> Any:
    import httpx2
    from authlib.integrations.httpx_client import OAuth2Client

    return OAuth2Client(
        client_id, token_endpoint_auth_method=PUBLIC, timeout=httpx2.Timeout(ANSWER_S), trust_env=True, follow_redirects=False
    )


def _refreshed(old: Kept) -> Kept:
    from authlib.integrations.base_client import OAuthError

    with _client(old.client_id) as client:
        try:
            answer = client.refresh_token(old.token_endpoint, refresh_token=old.refresh)
        except OAuthError as e:
            fail(f"the sign-in at {old.issuer} is over ({e.error})", NO, "sign in again with `flowledger login --oidc`")
        except _broken() as e:
            fail(_away(old.issuer, e), UNREACHABLE)
    return msgspec.structs.replace(
        old, access=str(answer["access_token"]), refresh=str(answer.get("refresh_token") or old.refresh), expires=_until(answer)
    )


def _until(answer: Any) -> float:
    return time.time() + float(answer.get("expires_in") or 60)


def _broken() -> tuple[type[Exception], ...]:
    """What an issuer that is away, or answers what nobody can use, makes of a question."""
    import httpx2

    return httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError


def _away(issuer: str, e: Exception) -> str:
    return f"the issuer {issuer} can't be asked ({type(e).__name__})"


def sign_in(url: str, issuers: list[dict[str, Any]], name: str) -> Kept:
    """By the device flow: somebody says yes in a browser, here or elsewhere. Raises: Failed."""
    offered = [i for i in issuers if i.get("device_client_id")]
    wanted = [i for i in offered if not name or i["name"] == name]
    if not wanted:
        fail(
            f"{url} offers {', '.join(i['name'] for i in offered) or 'no issuer'} for sign-in from the command line, found --issuer {name!r}"
        )
    if len(wanted) > 1:
        fail(f"{url} has several issuers: choose one by --issuer: {', '.join(i['name'] for i in wanted)}")
    issuer, client_id = str(wanted[0]["issuer"]), str(wanted[0]["device_client_id"])
    with _client(client_id) as client:
        try:
            where = _discovered(client, issuer)
            asked = client.request(
                "POST",
                where["device_authorization_endpoint"],
                data={"client_id": client_id, "scope": " ".join(wanted[0]["scopes"])},
                withhold_token=True,
            )
            if asked.status_code != 200:
                fail(f"the issuer {issuer} starts no sign-in for devices ({asked.status_code})")
            device = asked.json()
            address = device.get("verification_uri_complete") or device["verification_uri"]
            told = f"To sign in at {url}, open\n  {address}\nand say yes to the code {device['user_code']}, if it was you who started this."
            sys.stderr.write(told + "\n")
            sys.stderr.flush()
            answer = _waited(client, where["token_endpoint"], device)
        except _broken() as e:
            fail(_away(issuer, e), UNREACHABLE)
    return Kept(
        access=str(answer["access_token"]), refresh=str(answer.get("refresh_token") or ""), expires=_until(answer), issuer=issuer, client_id=client_id,
        token_endpoint=where["token_endpoint"], revocation_endpoint=where.get("revocation_endpoint", ""),
    )  # fmt: skip


def _discovered(client: Any, issuer: str) -> dict[str, str]:
    from flowledger.infra.oidc.config import reachable

    if why := reachable(issuer):
        fail(f"the issuer that the server names: {why}")
    answer = client.request("GET", issuer.rstrip("/") + "/.well-known/openid-configuration", withhold_token=True)
    found = answer.raise_for_status().json()
    if found.get("issuer") != issuer:
        fail(f"the configuration of {issuer} is of another issuer")
    where = {n: str(found[n]) for n in ("device_authorization_endpoint", "token_endpoint", "revocation_endpoint") if found.get(n)}
    if "device_authorization_endpoint" not in where or "token_endpoint" not in where:
        fail(f"the issuer {issuer} has no sign-in for devices")
    for address in where.values():
        if why := reachable(address):
            fail(f"an address of the issuer {issuer}: {why}")
    return where


def _waited(client: Any, endpoint: str, device: dict[str, Any]) -> Any:
    from authlib.integrations.base_client import OAuthError

    pause, until = float(device.get("interval") or PAUSE_S), time.monotonic() + float(device["expires_in"])
    while time.monotonic() < until:
        time.sleep(pause)
        try:
            return client.fetch_token(endpoint, grant_type=GRANT, device_code=device["device_code"])
        except OAuthError as e:
            if e.error == "slow_down":
                pause += SLOWER_S
            elif e.error != "authorization_pending":
                fail(f"it was not granted ({e.error})")
    fail("nobody said yes in time")


def sign_out(url: str, found: Kept) -> str:
    """What is kept is forgotten, and the issuer told. What could not be done; empty: nothing."""
    keep(url, None)
    if not (found.refresh and found.revocation_endpoint):
        return ""
    with _client(found.client_id) as client:
        try:
            said = client.revoke_token(found.revocation_endpoint, token=found.refresh)
        except _broken() as e:
            return _away(found.issuer, e)
    return "" if said.status_code < 300 else f"the issuer {found.issuer} answers {said.status_code}"

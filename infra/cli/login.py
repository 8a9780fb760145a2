"""`flowledger login`, `logout`, `whoami`: an API key of one's own for the command line, kept in a file that only its owner can read."""

from __future__ import annotations

import getpass
import http.client
import socket
import sys
from typing import Annotated, Any

import msgspec
import typer

from flowledger.infra.cli.keys import keep, keys
from flowledger.infra.cli.options import Json, ServerUrl
from flowledger.infra.cli.output import USAGE, Failed, as_json, fail, for_programs, say

DAYS = 30
RUN = "Sign-in"


def _asked(what: str, from_stdin: bool) -> str:
    text = sys.stdin.readline().rstrip("\r\n") if from_stdin or not sys.stdin.isatty() else getpass.getpass(f"{what}: ")
    if not text:
        fail(f"expected a {what.lower()}, found none", USAGE)
    return text


def login(
    name: Annotated[str, typer.Option("--name", help="Who you are; asked for when it lacks")] = "",
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password (or the key) from stdin")] = False,
    key: Annotated[bool, typer.Option("--key", help="Keep an API key that you have, instead of asking for a password")] = False,
    oidc: Annotated[bool, typer.Option("--oidc", help="By the server's issuer of OpenID Connect, in a browser here or elsewhere")] = False,
    issuer: Annotated[str, typer.Option("--issuer", help="With --oidc: which issuer, when there are several")] = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Sign in: an API key for this machine, good for 30 days, is made and kept in your configuration folder; with --oidc an issuer's token."""
    from flowledger.infra.cli.server import Server

    found = Server(server)
    if oidc:
        _tell(found.url, _by_device(found, issuer), json)
        return
    if key:
        text = _asked("API key", password_stdin)
        status, who = found.ask("GET", "/v1/me", headers={"Authorization": f"Bearer {text}"})
        if status != 200:
            fail(f"{found.url} doesn't take this key: {_detail(who)}")
    else:
        who, text = _by_password(found, name or _name(password_stdin), _asked("Password", password_stdin))
    keep(found.url, text)
    _tell(found.url, who, json)


def _tell(url: str, who: dict[str, Any], json: bool) -> None:
    if for_programs(json):
        as_json({"server": url, "name": who["name"], "roles": who["roles"]})
    else:
        say(f"{who['name']} at {url} ({', '.join(who['roles']) or 'no role'})")


def _by_device(server: Any, issuer: str) -> dict[str, Any]:
    """Who it is; the token is kept, and a key that was kept before is not any more."""
    from flowledger.infra.cli import device

    status, offered = server.ask("GET", "/v1/session/issuers", headers={"Authorization": "Bearer none"})
    if status != 200:
        fail(f"{server.url} says: {_detail(offered)}")
    token = device.sign_in(server.url, offered["items"], issuer)
    status, who = server.ask("GET", "/v1/me", headers={"Authorization": f"Bearer {token.access}"})
    if status != 200:
        fail(f"{server.url} doesn't take this token: {_detail(who)}")
    keep(server.url, "")
    device.keep(server.url, token)
    return dict(who)


def _name(from_stdin: bool) -> str:
    if from_stdin or not sys.stdin.isatty():
        fail("expected --name", USAGE)
    return input("Name: ").strip() or fail("expected a name, found none", USAGE)


def _detail(answer: Any) -> str:
    return str(answer.get("detail") or answer.get("title")) if isinstance(answer, dict) else str(answer)[:200]


def _by_password(server: Any, name: str, password: str) -> tuple[dict[str, Any], str]:
    """Who it is, and a new key. The session is ended again."""
    connection = server.open()
    try:
        status, who, cookie = _send(connection, "POST", "/v1/session", {"name": name, "password": password}, {})
        if status != 200:
            fail(f"{server.url} says: {_detail(who)}")
        session = {"Cookie": cookie.partition(";")[0], "X-CSRF-Token": who["csrf"]}
        wish = {"name": f"flowledger login on {socket.gethostname()}"[:200], "roles": who["roles"], "days": DAYS}
        status, made, _ = _send(connection, "POST", "/v1/api-keys", wish, session)
        _send(connection, "DELETE", "/v1/session", None, session)
    except (OSError, http.client.HTTPException) as e:
        server.unreachable(e)
    finally:
        connection.close()
    if status != 201:
        fail(f"no key was made: {_detail(made)}")
    return who, made["key"]


def _send(connection: Any, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any, str]:
    data = None if body is None else msgspec.json.encode(body)
    connection.request(method, path, data, {"Content-Type": "application/json", "Accept": "application/json", **headers})
    response = connection.getresponse()
    raw = response.read()
    try:
        answer = msgspec.json.decode(raw) if raw else {}
    except msgspec.DecodeError:
        answer = raw.decode("utf-8", "replace")
    return response.status, answer, response.getheader("Set-Cookie") or ""


def logout(server: ServerUrl = "", json: Json = False) -> None:
    """Revoke the key (or token) that `login` has kept, and forget it."""
    from flowledger.infra.cli import device
    from flowledger.infra.cli.server import Server

    found = Server(server)
    key = keys().get(found.url)
    if key is None and (token := device.tokens().get(found.url)) is not None:
        _signed_out(found.url, device.sign_out(found.url, token), json)
        return
    if key is None:
        fail(f"nobody is signed in at {found.url} from here")
    parts = key.split("_")
    try:
        status, answer = found.ask(
            "DELETE", f"/v1/api-keys/{parts[1] if len(parts) > 2 else 'none'}", headers={"Authorization": f"Bearer {key}"}
        )
        left = "" if status in (200, 401, 404) else f"it could not be revoked there: {_detail(answer)}"
    except Failed as e:
        left = f"it could not be revoked there: {e}"
    keep(found.url, "")
    _signed_out(found.url, left, json)


def _signed_out(url: str, left: str, json: bool) -> None:
    if for_programs(json):
        as_json({"server": url, "revoked": not left})
    else:
        say(f"signed out of {url}" + (f"; {left}" if left else ""))


def whoami(server: ServerUrl = "", json: Json = False) -> None:
    """Who the server takes you for, and what you may."""
    from flowledger.infra.cli.server import Server

    found = Server(server).get("/v1/me")
    if for_programs(json):
        as_json(found)
        return
    say(f"{found['name'] or 'nobody'} ({found['kind']}, sign-in: {found['auth']})")
    say(f"roles: {', '.join(found['roles']) or 'none'}; tenants: {', '.join(t or '(default)' for t in found['tenants']) or 'none'}")
    say(f"may: {', '.join(found['rights']) or 'nothing'}")


def register(app: typer.Typer) -> None:
    for command in (login, logout, whoami):
        app.command(rich_help_panel=RUN)(command)

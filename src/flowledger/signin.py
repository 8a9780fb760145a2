"""Sign-in of a process: whether it may start without, what it is made of, and the first administrator."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Coroutine
from typing import Any, Protocol

from flowledger.infra import people
from flowledger.infra.settings import LOOPBACK, Settings, SettingsError
from flowledger.logs import log

#: how long the start waits for the accounts (seconds)
ACCOUNTS_S = 10.0
AGAIN_S = 3.0


class Starting(Protocol):
    """The process, as far as it is needed here."""

    settings: Settings
    engine: Any
    url: str
    #: the look at each request, and the accounts; None: there is no sign-in
    door: Any
    accounts: Any


def check(s: Settings) -> None:
    """Raises: SettingsError: doors that believe everybody would be open to the network."""
    if s.auth == "none" and not s.loopback and {"api", "grpc"} & set(s.roles):
        raise SettingsError(
            f"setting host is {s.host!r} and auth is none: without sign-in the server listens on loopback only ({', '.join(LOOPBACK)}). "
            "Set FLOWLEDGER_AUTH=local (docs/security.md), or listen on loopback"
        )
    if s.auth == "none" and s.step_up:
        raise SettingsError(
            f"setting step_up is {','.join(s.step_up)} and auth is none: without sign-in nobody has a passkey (docs/security.md)"
        )
    if s.auth == "oidc" and not s.oidc_file:
        raise SettingsError("setting auth is oidc and oidc_file is empty: expected a file of issuers (docs/security.md)")
    if s.oidc_file and s.auth != "oidc":
        raise SettingsError(f"setting oidc_file is {s.oidc_file!r} and auth is {s.auth}: issuers are asked with FLOWLEDGER_AUTH=oidc only")
    if s.people_file and s.auth == "none":
        raise SettingsError(
            f"setting people_file is {s.people_file!r} and auth is none: nobody signs in, whatever it says (docs/security.md)"
        )
    if s.auth == "oidc":
        from flowledger.infra.oidc import config

        config.load(s.oidc_file)
    if s.people_file:
        from flowledger.api.access.rights import ROLES

        people.load(s.people_file, ROLES)


async def start(system: Starting, dsn: str, stack: contextlib.AsyncExitStack) -> list[tuple[str, Coroutine[Any, Any, None]]]:
    """`system.door` and `system.accounts`, and what is to run beside, by name. With the database away nobody comes in until it is there."""
    from flowledger.api.access.changes import Accounts
    from flowledger.api.access.door import Door
    from flowledger.api.access.known import Known
    from flowledger.api.access.rights import ROLES
    from flowledger.infra.accounts.store import Store
    from flowledger.infra.own_tables import AWAY

    store = Store(dsn)
    await store.open()
    stack.push_async_callback(store.close)
    known = Known(store, system.settings)
    known.people = people.load(system.settings.people_file, ROLES)
    accounts = Accounts(known, system.engine, system.settings)
    tokens, running = None, [("accounts", known.run())]
    if system.settings.auth == "oidc":
        tokens, accounts.guests, keeping = await _issuers(system.settings, known, stack)
        running.append(("issuers", keeping))
    if known.people.ldap is not None:
        accounts.directory = _directory(system.settings, known, [k.issuer.suffix for k in tokens.issuers] if tokens is not None else [])
        running.append(("directory", accounts.directory.run()))
    system.door, system.accounts = Door(known, system.settings, tokens), accounts
    with contextlib.suppress(TimeoutError, *AWAY):
        async with asyncio.timeout(ACCOUNTS_S):
            await known.refresh()
    return running


def _directory(settings: Settings, known: Any, suffixes: list[str]) -> Any:
    """Who asks the directory of people. Raises: SettingsError."""
    from flowledger.api.access.directory import Directory
    from flowledger.infra.ldap import Ldap

    if (mine := known.people.ldap.suffix) in suffixes:
        raise SettingsError(
            f"people_file: ldap.suffix is {mine!r}, as of an issuer: one of its own was expected, so that no two people get one name"
        )
    try:
        return Directory(known, Ldap(known.people.ldap), int(settings.session_hours * 3600e6), tuple(suffixes))
    except OSError as e:
        raise SettingsError(f"people_file: ldap.ca_file {known.people.ldap.ca_file}: {e}") from None


async def _issuers(settings: Settings, known: Any, stack: contextlib.AsyncExitStack) -> tuple[Any, Any, Coroutine[Any, Any, None]]:
    """Who looks at tokens, who signs browsers in, and what reads the issuers' keys beside. The process starts with issuers away, too."""
    import httpx2

    from flowledger.api.access.guests import Guests
    from flowledger.api.access.tokens import Tokens
    from flowledger.infra.oidc import config
    from flowledger.infra.oidc.code import Codes
    from flowledger.infra.oidc.keys import ANSWER_S, Keys, keep_fresh

    tls = ssl.create_default_context(cafile=settings.egress_ca_file or None)
    client = httpx2.AsyncClient(verify=tls, timeout=ANSWER_S, follow_redirects=False, trust_env=False)
    stack.push_async_callback(client.aclose)
    issuers = [Keys(i, client) for i in config.load(settings.oidc_file)]
    tokens = Tokens(issuers, known)
    return tokens, Guests(tokens, Codes(tokens.verifier, tls), int(settings.session_hours * 3600e6)), keep_fresh(issuers)


async def first_administrator(system: Starting) -> None:
    """Where nobody can sign in as an administrator, whoever reads this process's output can become one. It is no line of the log."""
    from flowledger.api.problems import Problem

    while True:
        try:
            made = await system.accounts.first()
            break
        except Problem as p:
            log("system").warning("the first administrator can't be made yet", why=p.detail)
            await asyncio.sleep(AGAIN_S)
    if made is not None:
        name, link = made
        url = system.url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        told = f"Nobody can sign in as administrator yet. Become '{name}' by this link (once, within 24 hours):\n  {url}/sign-in#{link}"
        sys.stderr.write(f"\n{told}\n\n")
        sys.stderr.flush()

"""Secrets by reference: a model names them, providers hold their values, and nothing that is written ever has one.

Providers are asked in the order of the setting `secrets`; the first one that knows the name answers. None of them is read at the start only, so a
value that was rotated is used by the next call:

    env             the variable FLOWLEDGER_SECRET_<NAME>
    folder:PATH     the file <NAME> in a folder, as Kubernetes mounts them
    file:PATH       an encrypted file (`flowledger secrets set`), with the key that the setting `secrets_key` refers to
    vault:URL       HashiCorp Vault or OpenBao: URL of a server and, as path, mount and path of a secret in a KV version 2 engine
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from flowledger.infra.secret_text import SECRET_BYTES_MAX, by_reference, remember
from flowledger.infra.settings import Settings, SettingsError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
#: a shorter value can't be told from what stands in any text, so it could not be hidden
CHARS_MIN = 4
#: names that one call may ask for
NAMES_MAX = 50
ENV_PREFIX = "FLOWLEDGER_SECRET_"


class SecretError(Exception):
    """A secret that can't be had. Its text names the secret and never has its value."""

    def __init__(self, code: str, message: str, again: bool = False) -> None:
        super().__init__(message)
        #: `SECRET_MISSING`, `SECRET_UNUSABLE`, `SECRETS_AWAY`; `again`: it may come back by itself
        self.code, self.message, self.again = code, message, again


class Provider(Protocol):
    name: str

    def get(self, name: str) -> str | None:
        """The value, None when it has none of that name. May block. Raises: OSError (away), ValueError (what it holds is of no use)."""


class Environment:
    name = "env"

    def get(self, name: str) -> str | None:
        return os.environ.get(ENV_PREFIX + name)


class Folder:
    """One file for each secret, without its line end."""

    def __init__(self, path: str) -> None:
        self.name, self._path = f"folder:{path}", Path(path)

    def get(self, name: str) -> str | None:
        path = self._path / name
        try:
            if not path.resolve().is_relative_to(self._path.resolve()):
                raise ValueError(f"{path} points out of the folder")
            with path.open("rb") as file:
                data = file.read(SECRET_BYTES_MAX + 1)
        except (FileNotFoundError, IsADirectoryError):
            return None
        if len(data) > SECRET_BYTES_MAX:
            raise ValueError(f"{path} has more than {SECRET_BYTES_MAX} bytes")
        try:
            return data.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not text in UTF-8") from None


class Secrets:
    """All providers in order. `get` may block and is called in a thread, unless nothing but the environment and files are asked."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self.providers = tuple(providers)

    async def resolve(self, names: Iterable[str]) -> dict[str, str]:
        """name -> value of each. Raises: SecretError."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}
        if len(wanted) > NAMES_MAX:
            raise SecretError("SECRET_UNUSABLE", f"expected at most {NAMES_MAX} secrets in one call, found {len(wanted)}")
        if all(isinstance(p, (Environment, Folder)) for p in self.providers):
            found = {name: self._get(name) for name in wanted}
        else:
            found = await asyncio.to_thread(lambda: {name: self._get(name) for name in wanted})
        remember(found.values())
        return found

    def _get(self, name: str) -> str:
        if not NAME.fullmatch(name):
            raise SecretError("SECRET_UNUSABLE", "expected the name of a secret: a letter, then letters, digits, _ and -, at most 128")
        for provider in self.providers:
            try:
                value = provider.get(name)
            except OSError as e:
                raise SecretError(
                    "SECRETS_AWAY", f"the secret '{name}' can't be read from {provider.name}: {_why(e)}", again=True
                ) from None
            except ValueError as e:
                raise SecretError("SECRET_UNUSABLE", f"the secret '{name}' of {provider.name}: {e}") from None
            if value is None:
                continue
            if len(value) < CHARS_MIN or len(value.encode()) > SECRET_BYTES_MAX:
                raise SecretError(
                    "SECRET_UNUSABLE",
                    f"the secret '{name}' of {provider.name} must have {CHARS_MIN} characters to {SECRET_BYTES_MAX} bytes, else it can't be hidden",
                )
            return value
        asked = ", ".join(p.name for p in self.providers) or "no provider (setting secrets)"
        raise SecretError("SECRET_MISSING", f"there is no secret '{name}'; asked: {asked}")


def _why(e: OSError) -> str:
    return e.strerror or type(e).__name__


def _folder(where: str, settings: Settings) -> Provider:
    return Folder(where)


def _file(where: str, settings: Settings) -> Provider:
    from flowledger.infra.secrets.encrypted import EncryptedFile

    return EncryptedFile(Path(where), key_of(settings))


def _vault(where: str, settings: Settings) -> Provider:
    from flowledger.infra.secrets.vault import Vault

    if not settings.secrets_vault_token:
        raise ValueError("expected the setting secrets_vault_token: file:PATH or env:NAME")
    return Vault(where, lambda: by_reference(settings.secrets_vault_token, "secrets_vault_token"), settings.egress_ca_file)


def key_of(settings: Settings) -> Callable[[], str]:
    """Reads the key of the encrypted file, again for each use."""
    return lambda: by_reference(settings.secrets_key, "secrets_key")


MAKERS: dict[str, Callable[[str, Settings], Provider]] = {"folder": _folder, "file": _file, "vault": _vault}
_OURS = frozenset(MAKERS)


def secrets_of(settings: Settings) -> Secrets:
    """Raises: SettingsError."""
    found: list[Provider] = []
    for text in settings.secrets:
        kind, _, where = text.partition(":")
        try:
            if text == "env":
                found.append(Environment())
            elif kind in MAKERS and where:
                found.append(MAKERS[kind](where, settings))
            else:
                raise ValueError(
                    f"expected env, folder:PATH, file:PATH, vault:URL{''.join(f', {k}:WHERE' for k in MAKERS if k not in _OURS)}"
                )
        except ValueError as e:
            raise SettingsError(f"setting secrets: {e}; found '{kind}:...'" if where else f"setting secrets: {e}; found '{text}'") from None
    return Secrets(found)

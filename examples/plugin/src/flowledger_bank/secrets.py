"""`netrc:PATH` in the setting `secrets`: the passwords of a netrc file, by machine."""

from __future__ import annotations

import netrc
from pathlib import Path

from flowledger.plugin import SecretProvider


class Netrc:
    def __init__(self, path: str) -> None:
        if not path:
            raise ValueError("expected netrc:PATH")
        self._path = Path(path)

    def get(self, name: str) -> str | None:
        """Read again each time, so that a changed password is used by the next call."""
        try:
            found = netrc.netrc(self._path).hosts.get(name)
        except FileNotFoundError:
            return None
        except netrc.NetrcParseError as e:
            raise ValueError(f"line {e.lineno} can't be read") from None
        return found[2] if found else None


NETRC = SecretProvider(api=1, name="netrc", open=Netrc, doc="Passwords of a netrc file", example="/nonexistent/netrc")

"""Passwords: given by reference, and never shown."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

SECRET_BYTES_MAX = 64 * 1024
#: the password of a URL, and of a `key=value` text such as libpq's
_URL = re.compile(r"(?P<before>[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@?#'\"]*:)[^\s/'\"]+(?=@)")
_PAIR = re.compile(
    r"(?P<before>\b(?:password|passwd|pwd|sslpassword|sasl_plain_password)\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s'\"&,;)]+)", re.IGNORECASE
)


#: values of secrets that this process has used, the latest last; so many of them are remembered
_used: OrderedDict[str, None] = OrderedDict()
USED_MAX = 2_000


def remember(values: Iterable[str]) -> None:
    """Values that no line of this process may show from now on, whoever writes it."""
    for value in values:
        if value in _used:
            continue
        _used[value] = None
        if len(_used) > USED_MAX:
            _used.popitem(last=False)


def hidden(text: str) -> str:
    """A text that may be shown: `***` stands for each password and each secret in it."""
    for value in tuple(_used):
        if value in text:
            text = text.replace(value, "***")
    return _PAIR.sub(r"\g<before>***", _URL.sub(r"\g<before>***", text))


def by_reference(reference: str, setting: str) -> str:
    """What `file:PATH` or `env:NAME` holds, without the line end. Raises: ValueError; its text never has the secret."""
    kind, _, where = reference.partition(":")
    if kind == "env" and where:
        found = os.environ.get(where)
        if found is None:
            raise ValueError(f"setting {setting}: there is no variable {where}")
        return found
    if kind == "file" and where:
        try:
            with Path(where).open("rb") as file:
                data = file.read(SECRET_BYTES_MAX)
            return data.decode().rstrip("\r\n")
        except OSError as e:
            raise ValueError(f"setting {setting}: {where}: {e.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"setting {setting}: {where} is not text in UTF-8") from None
    raise ValueError(
        f"setting {setting}: expected file:PATH or env:NAME; a secret itself is not taken, since settings are shown and logged"
    )

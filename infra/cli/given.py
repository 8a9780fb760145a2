"""What is given to a command: a text, a file of it (`@FILE`), or stdin (`-`). What can't be read is said with its name, and ends the command."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from flowledger.api.strict import DEPTH_MAX, Refused, check
from flowledger.infra.cli.output import USAGE, fail
from flowledger.sdk.resources import text_of


def file_text(file: Path | str, name: str = "") -> str:
    """A file as text, by its byte order mark or XML declaration, else UTF-8."""
    name = name or str(file)
    try:
        return text_of(Path(file).read_bytes())
    except OSError as e:
        fail(f"{name}: {e.strerror}", USAGE)
    except UnicodeDecodeError as e:
        fail(f"{name}: must be text in {e.encoding.upper()}, byte {e.start} isn't", USAGE)
    except LookupError as e:
        fail(f"{name}: {e}", USAGE)


def text(given: str, option: str) -> str:
    """`given` itself, the text of `@FILE`, or what stands on stdin."""
    if given.startswith("@"):
        return file_text(given[1:], f"{option} {given}")
    if given != "-":
        return given
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as e:
        fail(f"{option} -: must be text in {e.encoding.upper()}, byte {e.start} isn't", USAGE)


def json_object(given: str, option: str, like: str) -> dict[str, Any]:
    """A JSON object with each name once, numbers exact."""
    data = text(given, option)
    try:
        found = msgspec.json.Decoder(float_hook=Decimal).decode(data)
        check(data.encode())
    except (msgspec.DecodeError, UnicodeEncodeError) as e:
        fail(f"{option} must be JSON such as '{like}': {e}", USAGE)
    except RecursionError:
        fail(f"{option}: expected at most {DEPTH_MAX} levels of nesting, found more", USAGE)
    except Refused as e:
        fail(f"{option}: {e}", USAGE)
    if not isinstance(found, dict):
        fail(f"{option} must be a JSON object, found {_KINDS.get(type(found), 'null')}", USAGE)
    return found


_KINDS = {list: "a list", str: "a text", bool: "true or false", int: "a number", Decimal: "a number"}

"""The variables of the environment that begin with `FLOWLEDGER_` and are no settings of a server. Importing it costs nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

PREFIX = "FLOWLEDGER_"
#: of the command line, of downloads, of the build
OTHERS = ("CONFIG", "SERVER", "TOKEN", "API_KEY", "ACTOR", "TENANT", "DEBUG", "CACHE", "CONSOLE_DIST")


def given(environment: Mapping[str, str]) -> list[str]:
    """Variables that should be settings: with our prefix, none of the others, no secret, none of tests and measurements."""
    ours = [k for k in environment if k.upper().startswith(PREFIX)]
    return [k for k in ours if (n := k.upper().removeprefix(PREFIX)) not in OTHERS and not n.startswith(("TEST_", "BENCH_", "SECRET_"))]


def near(name: str, names: Iterable[str]) -> str:
    """The name that may have been meant; empty: none is like it."""
    return next(iter(difflib.get_close_matches(name, list(names), 1, 0.7)), "")


def misspelt(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """(found, meant) of the variables that look like one of the command line's own."""
    found = [(k, near(k.upper().removeprefix(PREFIX), OTHERS)) for k in given(environment)]
    return [(k, PREFIX + meant) for k, meant in found if meant]

"""Answers: histories that were run against another model."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.api.answers.common import Key


class ReplayExample(msgspec.Struct, kw_only=True):
    """One history. `element` of `process`: where it was first so. `recorded`, `now`: flows and their targets, or elements. `values`: name -> [recorded,
    now], of the variables that were asked there. `then`: what it waits for afterwards, or how it ended. `unused`: recorded answers that nothing asked
    for."""

    id: Key
    outcome: str
    business_key: str | None = None
    process: str = ""
    element: str = ""
    message: str = ""
    recorded: list[str] = []
    now: list[str] = []
    values: dict[str, list[Any]] = {}
    then: str = ""
    unused: list[str] = []


class ReplayElement(msgspec.Struct, kw_only=True):
    """How many histories have an outcome at an element."""

    process: str
    element: str
    other_way: int = 0
    waits: int = 0
    failed: int = 0
    other_values: int = 0


class ReplayTest(msgspec.Struct, kw_only=True):
    """A file of tests (docs/testing.md) that does what the instance did; it deploys `files`."""

    id: Key
    test: dict[str, Any]


class ReplayUnsaved(msgspec.Struct, kw_only=True):
    id: Key
    why: str


class ReplayOutcomes(msgspec.Struct, kw_only=True):
    """`outcomes`: how many went on the `same`, an `other_way`, `waits`, `failed`, ended with `other_values`, were `broken_off` or `not_run`. Not
    `complete`: `why` says what is missing."""

    process: str
    ran: int
    complete: bool
    why: str
    outcomes: dict[str, int]
    elements: list[ReplayElement]
    examples: list[ReplayExample]
    tests: list[ReplayTest]
    unsaved: list[ReplayUnsaved]
    files: dict[str, str]

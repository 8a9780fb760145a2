"""Whom a task would best go to, with reasons (docs/tasks.md). Taking somebody else is an assignment with `advised`: it is recorded as an override."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Response, get

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, KeyPath, key_of, reply
from flowledger.api.problems import Problem
from flowledger.api.services import services_of
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode
from flowledger.kernel.handlers.records import RECOMMENDATIONS


class Reason(msgspec.Struct, kw_only=True):
    """`code`: open (holds `n` tasks), takes (theirs take `n` ms by the mean), little_known (`n` done: what is usual counts beside), failed (`n` of
    theirs), role, capable (`names`)."""

    code: Literal["open", "takes", "little_known", "failed", "role", "capable"]
    n: int | None = None
    names: list[str] = []


class Recommended(msgspec.Struct, kw_only=True):
    """`expected_ms`: when they would be done with it: all that they hold and this, each as long as theirs take, and again where theirs fail."""

    rank: int
    name: str
    kind: str
    expected_ms: int
    open: int
    done: int
    failed: int
    reasons: list[Reason]


class Recommendations(msgspec.Struct, kw_only=True):
    """Who would be done first comes first. `excluded`: candidates who can't have it, and why; `considered`: how many candidates there are. 50 of
    both are told at most."""

    task: a.Key
    items: list[Recommended]
    excluded: dict[str, str]
    considered: int
    cursor: str | None = None


@get("/tasks/{id:str}/recommendations", summary="Whom a task would best go to")
async def list_recommendations(request: ApiRequest, id: KeyPath) -> Response[Recommendations]:
    """Of an open task, whatever strategy it has, from the directory and what the task's partition knows of the past."""
    key = key_of(id, "task")
    command = c.ListRecords(registry=RECOMMENDATIONS, prefix=str(key), limit=1)
    s = services_of(request)
    if c.partition_of_key(key) >= s.client.partitions:
        raise Problem(RejectionCode.NOT_FOUND, f"expected an open task, found none with key {key}")
    found = await s.call(command, request, partition=c.partition_of_key(key))
    told: dict[str, Any] = found["records"][0]["value"]
    blank: dict[str, Any] = {"n": None, "names": []}
    items = [{"rank": n, **row, "reasons": [{**blank, **r} for r in row["reasons"]]} for n, row in enumerate(told["ranked"], 1)]
    return reply({"task": str(key), "items": items, "excluded": told["excluded"], "considered": told["considered"], "cursor": None})


HANDLERS: list[Any] = [list_recommendations]

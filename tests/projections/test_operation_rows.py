"""Rows of the log of operations: before and after, what is read from the history and not shown twice, a rebuild that gives the same."""

from __future__ import annotations

import asyncio

import pytest
from projection_story import Log
from test_projection_queries import project

from flowledger.events import operations as op
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.projections.asked import list_operations
from flowledger.projections.reader import BadQuery, Reader
from flowledger.projections.rebuild import rebuild, verify
from flowledger.projections.runner import Runner

pytestmark = pytest.mark.postgres


@pytest.fixture
async def reader(db, dsn, schema):
    async with Reader(dsn, schema) as r:
        yield r


def story() -> tuple[Log, int]:
    """An instance whose variable is set by hand, by a message and by a job; two refusals."""
    log = Log()
    definition = log.definition("order")
    key, _ = log.start(definition, {"amount": 1})
    log.add(
        wf.VariableSet(key=key, scope=key, variables={"amount": 2}, reason="a mistake"),
        op.OperationAsked(
            operation="set_variables", kind="instance", subject=str(key), instance=key, names=["amount"], reason="a mistake", door="http",
            address="192.0.2.7", agent="curl", roles=["operator"], credential="session", events=1,
        ),
    )  # fmt: skip
    log.add(
        wa.MessageCorrelated(key=key, subscription=1, message=5, name="paid", token=3, element="wait"),
        wf.VariableSet(key=key, scope=key, variables={"amount": 3}),
        actor="shop",
    )
    log.add(
        op.OperationRefused(
            operation="cancel_instance", kind="instance", subject=str(key), instance=key, code="FORBIDDEN", message="no", skipped=4
        ),
        actor="eve",
    )
    log.add(op.OperationRefused(operation="deploy", kind="definition", code="MODEL_INVALID"), actor="bob", tenant="b")
    return log, key


async def test_rows_and_what_is_read_from_the_history(db, reader):
    log, key = story()
    await project(db, log)
    rows = (await list_operations(reader, "", {}))["items"]
    assert [(r["operation"], r["actor"], r["outcome"]) for r in rows] == [
        ("cancel_instance", "eve", "refused"),
        ("set_variables", "ann", "granted"),
    ]
    refused, granted = rows
    assert (granted["before"], granted["position"], granted["after"]) == ("0-2", "0-4", "0-4")
    assert (refused["before"], refused["after"], refused["skipped"], refused["code"]) == (None, None, 4, "FORBIDDEN")
    assert granted["roles"] == ["operator"] and granted["names"] == ["amount"] and granted["reason"] == "a mistake"
    changed = (await list_operations(reader, "", {"instance": str(key), "variable": "amount"}))["items"]
    assert [(r["operation"], r["actor"], r["recorded"], r["before"], r["after"]) for r in changed] == [
        ("set_variables", "shop", "history", "0-5", "0-6"),
        ("set_variables", "ann", "operation", "0-2", "0-4"),
    ], "what came of an operation isn't shown twice, and a start that nobody asked for is none"
    both = (await list_operations(reader, "", {"instance": str(key), "services": "true"}))["items"]
    assert [r["operation"] for r in both] == ["cancel_instance", "publish_message", "set_variables"]
    pages, cursor = [], None
    while True:
        page = await list_operations(reader, "", {"instance": str(key), "services": "true"}, 1, cursor)
        pages += [r["operation"] for r in page["items"]]
        if (cursor := page["cursor"]) is None:
            break
    assert pages == [r["operation"] for r in both]
    assert [r["actor"] for r in (await list_operations(reader, "b", {}))["items"]] == ["bob"], "a tenant's own"
    for wrong in ({"services": "true"}, {"colour": "red"}, {"instance": "x"}, {"since": "yesterday"}):
        with pytest.raises(BadQuery):
            await list_operations(reader, "", wrong)


async def test_a_rebuild_gives_the_same_rows(db, dsn, schema):
    log, _ = story()
    stop, runner = asyncio.Event(), Runner(log.source, dsn, (0,), schema=schema)
    running = asyncio.create_task(runner.run(stop))
    async with asyncio.timeout(60):
        while runner.position.get(0, 0) < len(log.records[0]):
            await asyncio.sleep(0.01)
    async with Reader(dsn, schema) as r:
        live = (await list_operations(r, "", {}))["items"]
        assert live and set(await rebuild(dsn, log.source, (0,), ["operations"], schema=schema)) == {"operations"}
        assert (await list_operations(r, "", {}))["items"] == live
    stop.set()
    await running
    assert (await verify(dsn, log.source, (0,), ["operations"], schema=schema))["operations"]["equal"]

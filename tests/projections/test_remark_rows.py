"""Comments on instances as rows: of one that goes on, of one that ended long ago, and never of another tenant's."""

import pytest
from projection_story import Log
from test_projection_removal import caught_up, running

from flowledger.events import workflow as wf
from flowledger.projections import queries as q
from flowledger.projections.reader import Reader
from flowledger.projections.rebuild import verify

pytestmark = pytest.mark.postgres


def say(log: Log, key: int, text: str, tenant: str = "") -> None:
    log.add(wf.WorkflowCommented(key=key, text=text), actor="eve", tenant=tenant)


@pytest.mark.req("APG-HUM-005")
async def test_comments_stand_in_the_history(db, dsn, schema):
    log = Log(2)
    d = log.definition()
    ended, _ = log.one_task_instance(d)
    goes_on, _ = log.start(d, {"n": 1})
    async with running(log, dsn, schema) as runner:
        await caught_up(runner, log)
        before = await (await db.execute("SELECT row_version FROM workflow_instances WHERE id = %s", (goes_on,))).fetchone()
        say(log, goes_on, "called them")
        say(log, ended, "it was right")
        say(log, ended, "a stranger's word", tenant="b")
        say(log, log.key(), "of nothing")
        await caught_up(runner, log)
        async with Reader(dsn, schema) as reader:
            for key, said in ((goes_on, ["called them"]), (ended, ["it was right"])):
                found = (await q.instance_events(reader, "", key, {"type": "workflow.commented"}))["items"]
                assert [(e["data"]["text"], e["metadata"]["actor"]) for e in found] == [(text, "eve") for text in said]
        rows = await (await db.execute("SELECT count(*) FROM workflow_events WHERE event_type = 'workflow.commented'")).fetchone()
        assert rows == (2,)
        assert await (await db.execute("SELECT row_version FROM workflow_instances WHERE id = %s", (goes_on,))).fetchone() == before
        await caught_up(runner, log)
    assert {t: r for t, r in (await verify(dsn, log.source, log.records, schema=schema)).items() if not r["equal"]} == {}

"""`examples/connectors/bill-order.bpmn` on an engine: a script, a database and a mail server, by connectors alone; headers come as the model has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowledger.connectors.check import findings
from flowledger.events import commands as c
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel.model import read
from flowledger.processors.engine import Engine
from tests.connectors.contract import SECRET
from tests.connectors.test_connectors_on_an_engine import running
from tests.connectors.test_mail_connector import Mailbox, mailbox  # noqa: F401 - a fixture
from tests.connectors.test_sql_connector import USER, PostgresRig, password_needed, postgres, postgres_rig  # noqa: F401 - fixtures
from tests.connectors.wire import Wire

MODEL = (Path(__file__).parents[2] / "examples" / "connectors" / "bill-order.bpmn").read_text()


def test_it_has_no_findings():
    graph, found = read(MODEL.encode(), "bill-order.bpmn")
    assert not [f for f in found if f.severity != "info"] and findings(graph, "bill-order.bpmn") == []


@pytest.mark.req("D-CON-010")
async def test_an_order_is_billed(postgres_rig: PostgresRig, mailbox: Mailbox, tmp_path: Path):  # noqa: F811
    postgres_rig.do(
        "drop table if exists bills; create table bills (id text primary key, number serial, customer text, total numeric(10, 2))"
    )
    postgres_rig.do(f"grant all on bills to {USER}; grant all on sequence bills_number_seq to {USER}")
    (tmp_path / "BOOKS").write_text(SECRET)
    wire = await Wire(postgres_rig.to).start()
    engine = Engine(MemoryLog(MemoryStore(1)))
    await engine.start()
    try:
        assert isinstance(await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)])), dict)
        order: dict[str, Any] = {
            "customer": "ann@example.org", "lines": [{"name": "<Tea>", "cents": 250, "count": 2}, {"name": "Cup", "cents": 1005, "count": 1}],
            "books": {"host": "127.0.0.1", "port": wire.port, "name": postgres_rig.database, "user": USER, "tls": "off"},
            "post": {"host": "127.0.0.1", "port": mailbox.port, "security": "off"},
        }  # fmt: skip
        async with running(engine, secrets=(f"folder:{tmp_path}",)):
            done = await engine.call(c.StartInstance(id="bill-order", variables=order, wait=True), timeout_s=60)
    finally:
        await engine.stop()
        await wire.close()
    assert (done["variables"]["bill"], str(done["variables"]["total"])) == (1, "15.05")
    assert postgres_rig.do("select customer, total::text from bills", rows=True) == [("ann@example.org", "15.05")]
    ((_, message),) = mailbox.got
    assert str(message["Subject"]) == "Bill 1" and message["Message-ID"] == done["variables"]["message"]
    assert message.get_body(("plain",)).get_content().strip() == "You have bought 2 things for 15.05."
    assert "1: &lt;Tea&gt;, Cup" in message.get_body(("html",)).get_content()
    (sheet,) = message.iter_attachments()
    assert (sheet.get_filename(), sheet.get_content()) == ("bill-1.csv", "<Tea>;2\nCup;1")
    assert SECRET not in str(done)

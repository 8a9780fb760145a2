"""A dry run of the triggers that ship as examples, with a payload as each source gives it: what it would do, and nothing is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowledger.connectors.sources.mails import Shape
from flowledger.connectors.sources.mails import read as mail
from flowledger.connectors.sources.sqs_queue import item_of
from flowledger.events.triggers import TriggerRan

EXAMPLES = Path(__file__).parents[2] / "examples" / "triggers"
RABBIT = {
    "payload": {"shipment": "s-7", "state": "lost"}, "headers": {}, "queue": "shipments", "exchange": "", "routing_key": "shipments", "redelivered": False,
    "message_id": "m", "correlation_id": None, "content_type": "application/json", "type": None, "app_id": "depot", "reply_to": None, "priority": 0, "timestamp": None,
}  # fmt: skip
MESSAGE = {
    "Body": '{"parcel": "p-1", "state": "arrived"}', "MessageId": "i", "Attributes": {},
    "MessageAttributes": {"sender": {"DataType": "String", "StringValue": "depot"}},
}  # fmt: skip
MAIL, _ = mail(
    b"From: Ann <a@b.example>\r\nSubject: late\r\nMessage-ID: <1@b.example>\r\n\r\nWhere is it?\r\n", Shape("INBOX", "text", "none"), 1, 90
)
OBJECT = {"event": "created", "bucket": "b", "key": "scans/1.json", "version": "v", "payload": {"pages": 2}}


@pytest.mark.req("APG-TRG-003")
@pytest.mark.parametrize(
    ("name", "process", "context", "business_key", "variables"),
    [
        ("shipments", "claim", RABBIT, "s-7", {"shipment": RABBIT["payload"], "told_by": "depot"}),
        ("returns", "refund", item_of(MESSAGE, "returns", "json").context, "p-1", {"parcel": {"parcel": "p-1", "state": "arrived"}, "told_by": "depot"}),
        ("scans", "check-scan", OBJECT, "scans/1.json", {"scan": {"pages": 2}, "stored": {"bucket": "b", "key": "scans/1.json", "version": "v"}}),
        ("complaints", "complaint", MAIL, "<1@b.example>", {"who": "a@b.example", "about": "late", "text": "Where is it?\n"}),
    ],
)  # fmt: skip
async def test_an_example_tells_what_it_would_do(
    place: Any, name: str, process: str, context: dict[str, Any], business_key: str, variables: dict[str, Any]
):
    text = (EXAMPLES / f"{name}.trigger.yaml").read_text()
    tried = await place.web.post(f"/v1/triggers/{name}/test", json={"context": context, "content": text})
    assert tried.status_code == 200, tried.text
    would = tried.json()
    command = would["command"]
    assert (would["action"], command["id"], command["business_key"], command["variables"]) == ("start", process, business_key, variables), (
        would
    )
    other = (await place.web.post(f"/v1/triggers/{name}/test", json={"context": {}, "content": text})).json()
    assert other["command"] is None and other["action"] == "", other
    assert await place.started() == [] and await place.events(TriggerRan) == []

"""Comments on instances: events of their history, before and after the end; they move nothing and make no version stale."""

import pytest
from test_batches import World

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import operations as op
from flowledger.events import workflow as wf
from flowledger.kernel.handlers.remarks import ELEMENT_MAX, TEXT_MAX


@pytest.mark.req("APG-HUM-005")
def test_said_of_what_goes_on_and_of_what_has_ended():
    w = World(2)
    key = next(k for k in w.start(4) if c.partition_of_key(k) == 1)
    version = w.parts[1].instances[key].row_version
    assert w.ask(1, co.CommentInstance(key=key, text=" asked the customer ", element="work"), actor="eve") == {"key": key}
    w.ask(1, c.ControlInstance(key=key, move="suspend"))
    assert w.ask(1, co.CommentInstance(key=key, text="held for the audit")) == {"key": key}
    assert w.parts[1].instances[key].row_version == version + 1, "the suspension alone"
    assert w.ask(1, co.CommentInstance(key=key, text="x"), tenant="b").code == "NOT_FOUND", "a stranger's isn't there"
    w.ask(1, c.CancelInstance(key=key, force=True))
    assert w.ask(1, co.CommentInstance(key=key, text="it was a test"), actor="bob") == {"key": key}
    told = [(e.text, e.element, v.actor) for e, v in w.log[1] if isinstance(e, wf.WorkflowCommented)]
    assert told[0] == ("asked the customer", "work", "eve") and told[2] == ("it was a test", "", "bob") and len(told) == 3
    asked = [e for e in w.events(op.OperationAsked) if e.operation == "comment_instance"]
    assert [(e.kind, e.subject, e.instance) for e in asked] == [("instance", str(key), key)] * 3
    assert all("customer" not in str(e.details) for e in asked), "it stands in the history alone"


def test_what_is_refused():
    w = World(2)
    key = next(k for k in w.start(4) if c.partition_of_key(k) == 1)
    for wrong in (key + 1_000_000, 1 << c.PARTITION_BITS, 0, -5):
        assert w.ask(1, co.CommentInstance(key=wrong, text="x")).code == "NOT_FOUND", wrong
    for text, element in (("", ""), ("  ", ""), ("x" * (TEXT_MAX + 1), ""), ("x", "e" * (ELEMENT_MAX + 1))):
        assert w.ask(1, co.CommentInstance(key=key, text=text, element=element)).code == "INVALID_ARGUMENT", len(text)
    assert w.ask(1, co.CommentInstance(key=key, text="x" * TEXT_MAX, element="e" * ELEMENT_MAX)) == {"key": key}
    assert len(w.events(wf.WorkflowCommented)) == 1

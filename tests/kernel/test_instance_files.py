"""Files of an instance, by reference: attached, replaced, detached, so many and no more; nothing of it when the command is only asked about."""

import pytest
from test_batches import World

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected
from flowledger.kernel import checkpoint
from flowledger.kernel.handlers.files import FILES_MAX

pytestmark = pytest.mark.req("D-DAT-019")


def file(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "uri": f"s3://b/{name}", **more}


def test_attached_replaced_detached_and_as_it_was_on_take_over():
    w = World(1)
    [key] = w.start(1)
    w.ask(0, c.ControlInstance(key=key, move="suspend"))  # a file beside it moves nothing
    before = checkpoint.fingerprint(w.parts[0])
    assert w.ask(0, co.ChangeFiles(key=key, file=file("a")), plan=c.DRY_RUN)["counts"] is not None
    assert not w.events(wf.WorkflowFilesChanged) and checkpoint.fingerprint(w.parts[0]) == before
    assert w.ask(0, co.ChangeFiles(key=key, file=file("a", size=1, other="x")), actor="ann") == {"key": key, "files": 1}
    assert w.ask(0, co.ChangeFiles(key=key, file=file("b")), actor="bob") == {"key": key, "files": 2}
    assert w.ask(0, co.ChangeFiles(key=key, file=file("a", size=2)), actor="bob") == {"key": key, "files": 2}
    last = w.events(wf.WorkflowFilesChanged)[-1]
    assert [(f["name"], f.get("size"), f["by"], "other" in f) for f in last.files] == [("b", None, "bob", False), ("a", 2, "bob", False)]
    assert w.parts[0].instances[key].files == last.files
    assert w.ask(0, co.ChangeFiles(key=key, remove="b", reason="wrong one")) == {"key": key, "files": 1}
    assert (last := w.events(wf.WorkflowFilesChanged)[-1]).name == "b" and last.reason == "wrong one" and len(last.files) == 1
    assert w.ask(0, co.ChangeFiles(key=key, remove="a")) == {"key": key, "files": 0} and w.parts[0].instances[key].files is None


def test_of_one_that_waits_for_its_place_it_keeps_them_when_it_begins():
    w = World(1)
    w.ask(0, co.ControlTenant(name="default", move="change", quotas={"instances": 1}))
    first, key = w.start(2)
    assert w.parts[0].instances[key].status == "pending"
    assert w.ask(0, co.ChangeFiles(key=key, file=file("a"))) == {"key": key, "files": 1}
    w.ask(0, c.CancelInstance(key=first))
    w.settle()
    assert w.parts[0].instances[key].status == "running"
    assert w.ask(0, co.ChangeFiles(key=key, file=file("b"))) == {"key": key, "files": 2}


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"file": None}, "INVALID_ARGUMENT", "`name`"), ({"file": {"name": "a"}}, "INVALID_ARGUMENT", "`uri`"),
        ({"file": {"name": 5, "uri": "x"}}, "INVALID_ARGUMENT", "found 5"), ({"remove": "none"}, "NOT_FOUND", "'none'"),
        ({"key": 77, "file": file("a")}, "NOT_FOUND", "a running instance"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(given, code, words):
    w = World(1)
    [key] = w.start(1)
    refused = w.ask(0, co.ChangeFiles(**{"key": key, **given}))
    assert isinstance(refused, Rejected) and refused.code == code and words in refused.message, refused


def test_so_many_and_no_more():
    w = World(1)
    [key] = w.start(1)
    for n in range(FILES_MAX):
        w.ask(0, co.ChangeFiles(key=key, file=file(f"f{n}")))
    refused = w.ask(0, co.ChangeFiles(key=key, file=file("one more")))
    assert isinstance(refused, Rejected) and refused.code == "RESOURCE_EXHAUSTED" and "the most" in refused.message
    assert w.ask(0, co.ChangeFiles(key=key, file=file("f7", size=3))) == {"key": key, "files": FILES_MAX}, "one of its name is replaced"

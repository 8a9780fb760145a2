"""How wide each field of a caller's command may be: tried at its edge, for every command that a caller may give."""

import typing

import msgspec
import pytest

from flowledger.events import commands as c
from flowledger.events import requests
from flowledger.events.base import Rejected
from flowledger.kernel import Facts, Partition, decide, limits
from flowledger.kernel.access import widths
from flowledger.kernel.access.gate import admit
from flowledger.kernel.access.subjects import INTERNAL

FIELDS = [(kind, *bound) for kind, bounds in widths.BOUNDS.items() if kind not in INTERNAL for bound in bounds]
#: bounded where they are read: models, and the text of a record
MODELS = {(c.Deploy, "resources"), (c.ChangeDefinition, "content"), (c.ReplayDeadLetter, "command")}


def command(kind, name, value):
    given = {
        f.name: {str: "", int: 0, dict: {}}.get(typing.get_origin(f.type) or f.type, []) for f in msgspec.structs.fields(kind) if f.required
    }
    return kind(**{**given, name: value})


def values(kind, name, most, each):
    """One at the edge, and those that are wider in one way."""
    field = next(f for f in msgspec.structs.fields(kind) if f.name == name)
    if field.type is str:
        return "x" * most, ["x" * (most + 1)]
    if each:
        return ["x"] * (most - 1) + ["x" * each], [["x"] * (most + 1), ["x" * (each + 1)]]
    item = {} if "dict" in str(field.type) else 1
    return [item] * most, [[item] * (most + 1)]


@pytest.mark.parametrize(("kind", "name", "most", "each"), FIELDS, ids=[f"{k.__name__}-{n}" for k, n, *_ in FIELDS])
def test_each_text_and_list_has_a_width(kind, name, most, each):
    p, request = Partition(0, 1), c.Request(command=c.Continue(0))
    fits, wider = values(kind, name, most, each)

    def asked(value):
        return admit(p, msgspec.structs.replace(request, command=command(kind, name, value)))

    assert not (isinstance(refused := asked(fits), Rejected) and "at most" in refused.message)
    for value in wider:
        refused = asked(value)
        assert isinstance(refused, Rejected) and refused.code == "INVALID_ARGUMENT"
        assert refused.message.startswith(f"{name}: expected ") and "at most" in refused.message and len(refused.message) < 200
        assert isinstance(decide(p, msgspec.structs.replace(request, command=command(kind, name, value)), Facts(1)), Rejected)
        assert not p.meta.counter, "nothing was recorded"


def test_no_text_or_list_of_a_callers_command_goes_without():
    for kind in set(widths.BOUNDS) - set(INTERNAL):
        for field in msgspec.structs.fields(kind):
            if {str, list} & {typing.get_origin(t) or t for t in (field.type, *typing.get_args(field.type))}:
                assert (kind, field.name) in MODELS or any(field.name == name for name, *_ in widths.BOUNDS[kind]), (kind, field.name)


@pytest.mark.parametrize("name", ["groups", "rights"])
def test_names_of_a_callers_groups_and_rights_are_bounded(name):
    def read(names):
        return requests.read(msgspec.json.encode(c.Request(command=c.ResolveIncident(1), **{name: names})))

    assert isinstance(read(["x" * requests.TEXT_MAX] * requests.NAMES_MAX), c.Request)
    for names in (["x"] * (requests.NAMES_MAX + 1), ["x" * (requests.TEXT_MAX + 1)]):
        assert read(names).reason == f"{name}: expected at most {requests.NAMES_MAX} names of at most {requests.TEXT_MAX} characters"


def test_what_another_partition_sends_was_bounded_there():
    sent = c.Request(command=c.PublishMessage(name="x" * (limits.NAME_MAX + 1)), sender=1, seq=1)
    assert admit(Partition(0, 2), sent) == ""

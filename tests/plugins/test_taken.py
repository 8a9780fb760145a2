"""Which plug-ins are taken, and what is said of those that can't be: the server starts with each of them."""

import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from flowledger import plugins
from flowledger.plugin import Function, Strategy

MODULE = """
from flowledger.plugin import *
def f(name="twice", api=1, **more):
    return Function(**{"api": api, "name": name, "signature": "n: number", "call": lambda n: n * 2, "doc": "Twice as much", "examples": {f"{name}(2)": 4}} | more)
"""


class Point(EntryPoint):
    """One of a distribution that isn't installed."""

    dist = property(lambda self: SimpleNamespace(name=self.extras_name, version="1.0"))
    extras_name = "one"


@pytest.fixture
def point(tmp_path, monkeypatch):
    """An entry point whose module is `code`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def make(code, group="flowledger.feel", name="x", dist="one"):
        module = f"foreign_{tmp_path.name}_{len(made)}".replace("-", "_")
        (tmp_path / f"{module}.py").write_text(MODULE + code)
        made.append(module)
        found = type("Its", (Point,), {"extras_name": dist})(name=name, value=f"{module}:PART", group=group)
        return found

    yield make
    for module in made:
        sys.modules.pop(module, None)


def test_a_part_and_a_list_of_parts_are_found(point):
    [one, more] = plugins.read(points=[point("PART = f()", name="a"), point("PART = [f('three'), f('four')]", name="b")])
    assert (one.error, one.provides, one.distribution, one.version) == ("", ["twice"], "one", "1.0")
    assert (more.error, more.provides) == ("", ["three", "four"])


WRONG = {
    "import error": (
        "import nowhere_to_be_found\nPART = f()",
        "its import failed: ModuleNotFoundError: No module named 'nowhere_to_be_found'",
    ),
    "a defect at import": ("1 / 0", "its import failed: ZeroDivisionError: division by zero"),
    "an exit at import": ("import sys\nsys.exit(3)", "its import failed: SystemExit: 3"),
    "no such object": ("", "has no attribute 'PART'"),
    "slow import": ("import time\ntime.sleep(30)\nPART = f()", "its import took longer than 1.5 s"),
    "another version": ("PART = f(api=2)", "it is made for version 2 of flowledger.plugin, this is version 1"),
    "no part": ("PART = object()", "expected parts of flowledger.plugin, found object"),
    "no parts": ("PART = []", "expected 1 to 200 parts, found 0"),
    "too many": ("PART = [f(f'n{i}') for i in range(201)]", "expected 1 to 200 parts, found 201"),
    "another kind": ("PART = Strategy(api=1, name='s', choose=lambda c, n: ('', ''), doc='x')", "s is a Strategy, expected Function"),
    "a name of ours": ("PART = f('sum')", "sum is a name of Flowledger's own"),
    "a name that is none": ("PART = f('a b')", "expected a name that fits"),
    "no text": ("PART = f(doc=' ')", "twice has no text that says what it is"),
    "a type that isn't": ("PART = f(signature='n: money')", "the signature has a type that FEEL doesn't have: 'money'"),
    "work out of bounds": ("PART = f(work=0)", "expected 1 to 100000 steps as work, found 0"),
    "one good, one not": ("PART = [f('good'), f('sum')]", "sum is a name of Flowledger's own"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_taken_is_said_and_left_out(case, point, monkeypatch):
    if case == "slow import":  # all else has the usual time, on a busy machine too
        monkeypatch.setattr(plugins, "IMPORT_S", 1.5)
    code, error = WRONG[case]
    [good, bad] = plugins.read(points=[point("PART = f('other')", name="good"), point(code, name="wrong")])
    assert error in bad.error and bad.provides == []
    assert bad.told.startswith("the plug-in wrong of one (flowledger.feel) isn't used: ")
    assert good.provides == ["other"], "the others are there"


def test_of_two_with_one_name_neither_is_taken(point):
    found = plugins.read(points=[point("PART = f()", name="a", dist="first"), point("PART = f()", name="b", dist="second")])
    assert [f.error for f in found] == ["twice is a name of b of second as well", "twice is a name of a of first as well"]
    assert all(f.provides == [] for f in found)


def test_twice_in_one_plug_in(point):
    [found] = plugins.read(points=[point("PART = [f(), f()]")])
    assert found.error == "twice is a name of itself as well"


@pytest.mark.parametrize(
    ("which", "expected"),
    [(("all",), ["twice", "three"]), (("One_Two",), ["twice"]), (("other", "one.two"), ["twice", "three"]), (("x",), [])],
)
def test_which_are_wanted_is_a_setting(which, expected, point):
    points = [point("PART = f()", dist="one-two"), point("PART = f('three')", name="y", dist="other")]
    assert [name for f in plugins.read(which, points) for name in f.provides] == expected


def test_they_are_taken_once_in_a_process_and_told(point, monkeypatch):
    from flowledger.kernel.feel.builtins.registry import BUILTINS

    points = [point("PART = f('taken_once')"), point("1 / 0", name="wrong")]
    monkeypatch.setattr(plugins, "installed", lambda: points)
    monkeypatch.setattr(plugins, "_loaded", None)
    try:
        first = plugins.load()
        assert plugins.load(("none",)) is first and "taken_once" in BUILTINS
        assert len(plugins.told()) == 1 and "wrong" in plugins.told()[0]
    finally:
        BUILTINS.pop("taken_once", None)


def test_none_imports_nothing(monkeypatch):
    monkeypatch.setattr(plugins, "_loaded", None)
    monkeypatch.setattr(plugins, "installed", lambda: pytest.fail("it looked"))
    assert plugins.load(("none",)) == [] and plugins.told() == []


def test_each_kind_says_its_version_and_what_it_is():
    for kind in plugins.GROUPS.values():
        assert {"api", "doc"} <= set(kind.__dataclass_fields__), kind
    assert plugins.GROUPS["flowledger.feel"] is Function and plugins.GROUPS["flowledger.assignment"] is Strategy

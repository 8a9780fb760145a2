"""Decision models that import one another, deployed: what is bound is decided then, and stays (docs/dmn.md)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events import definition as de
from flowledger.events.base import Rejected
from flowledger.kernel import Partition, limits
from flowledger.kernel.dmn import evaluation, linking
from flowledger.kernel.dmn.unit import Unit
from flowledger.kernel.fold import evolve
from flowledger.kernel.library import Library
from flowledger.kernel.lookup import latest
from flowledger.sdk.testing.engine import Engine
from flowledger.sdk.testing.errors import ModelInvalid, Refused

pytestmark = pytest.mark.req("APG-ELM-002")
SPACE = "https://www.omg.org/spec/DMN/20230324/MODEL/"


def model(name: str, body: str, *imports: str, namespace: str = "") -> str:
    """`imports`: `name=namespace`, `@` and a location behind it."""
    told = ""
    for one in imports:
        called, _, rest = one.partition("=")
        space, _, place = rest.partition("@")
        told += f'<import name="{called}" namespace="{space}" importType="{SPACE}"' + (f' locationURI="{place}"' if place else "") + "/>"
    return f'<definitions xmlns="{SPACE}" id="{name}" name="{name}" namespace="{namespace or "urn:" + name}">{told}{body}</definitions>'


def decision(id: str, text: str, *needs: str) -> str:
    refs = "".join(
        f'<knowledgeRequirement><requiredKnowledge href="{n[1:]}"/></knowledgeRequirement>'
        if n[0] == "+"
        else f'<informationRequirement><requiredDecision href="{n}"/></informationRequirement>'
        for n in needs
    )
    return f'<decision id="{id}" name="{id}"><variable name="{id}"/>{refs}<literalExpression><text>{text}</text></literalExpression></decision>'


def base(value: str) -> str:
    return model("c", decision("base", value))


MIDDLE = model("b", decision("mid", "c.base * 10", "urn:c#base"), "c=urn:c")
TOP = model("a", decision("top", "b.mid + c.base", "urn:b#mid", "urn:c#base"), "b=urn:b", "c=urn:c")


class World:
    """An engine with what its deployments answered."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.findings: list[dict[str, Any]] = []

    def deploy(self, status: str = "published", **files: str) -> dict[str, tuple[int, bool]]:
        """id -> (version, whether it is new)."""
        resources = [c.Resource(f"{name}.dmn", text) for name, text in files.items()]
        answer = self.engine.do(c.Deploy(resources=resources, status=status))
        self.findings = answer["findings"]
        return {d["id"]: (d["version"], not d["duplicate"]) for d in answer["definitions"]}

    def codes(self) -> list[str]:
        return [f["code"] for f in self.findings]

    def key(self, id: str, kind: str = "drg") -> int:
        found = latest(self.engine.state, "", kind, id)
        assert found is not None
        return found.key


@pytest.fixture
def w() -> World:
    return World()


def test_files_of_one_deployment_in_any_order(w: World):
    made = w.deploy(a=TOP, b=MIDDLE, c=base("1"))
    assert [*made] == ["a", "top", "b", "mid", "c", "base"]  # in the order in which they were given
    assert not w.findings
    assert w.engine.evaluate("top") == 11


def test_a_later_version_changes_nothing_until_what_imports_it_is_deployed_again(w: World):
    w.deploy(c=base("1"))
    w.deploy(b=MIDDLE)
    w.deploy(a=TOP)
    w.deploy(c=base("2"))
    assert (w.engine.evaluate("base"), w.engine.evaluate("mid"), w.engine.evaluate("top")) == (2, 10, 11)
    assert w.deploy(a=TOP) == {"a": (2, True), "top": (2, True)}  # the same text, bound anew
    assert w.engine.evaluate("top") == 12  # what it imports is as it was deployed: b with the first c, and the second c
    assert w.deploy(a=TOP) == {"a": (2, False), "top": (2, False)}
    assert w.deploy(b=MIDDLE)["b"] == (2, True)
    assert (w.engine.evaluate("mid"), w.engine.evaluate("top")) == (20, 12)
    assert w.deploy(a=TOP, b=MIDDLE, c=base("2")) == {
        "a": (3, True), "top": (3, True), "b": (2, False), "mid": (2, False), "c": (2, False), "base": (2, False)
    }  # fmt: skip
    assert w.engine.evaluate("top") == 22


def test_what_comes_along_wins_over_what_is_there(w: World):
    w.deploy(c=base("1"))
    made = w.deploy(b=MIDDLE, c=base("5"))
    assert made["c"] == (2, True) and w.engine.evaluate("mid") == 50
    again = w.deploy(b=MIDDLE, c=base("6"))
    assert again["b"] == (2, True) and w.engine.evaluate("mid") == 60


@pytest.mark.parametrize(
    ("body", "text", "wanted"),
    [
        ('<businessKnowledgeModel id="f" name="f"><variable name="f"/><encapsulatedLogic><formalParameter name="x"/>'
         "<literalExpression><text>x * 2</text></literalExpression></encapsulatedLogic></businessKnowledgeModel>", "l.f(21)", 42),
        (decision("in", "40 + 2") + '<decisionService id="f" name="f"><variable name="f"/><outputDecision href="#in"/></decisionService>', "l.f()", 42),
        ('<itemDefinition name="tShort"><typeRef>string</typeRef><allowedValues><text>"a", "b"</text></allowedValues></itemDefinition>',
         '["a", "c"][item instance of l.tShort]', ["a", "c"]),
    ],
    ids=["knowledge", "service", "type"],
)  # fmt: skip
def test_each_kind_of_thing_is_used_by_its_namespace(w: World, body: str, text: str, wanted: Any):
    """A model without decisions of its own is deployed as well: it is what libraries are."""
    needs = () if "itemDefinition" in body else ("+urn:lib#f",)
    w.deploy(user=model("user", decision("d", text.replace("<", "&lt;"), *needs), "l=urn:lib"), lib=model("lib", body))
    assert w.codes() == []
    assert w.engine.evaluate("d") == wanted


def test_an_imported_type_binds_what_is_given(w: World):
    lib = model(
        "lib",
        '<itemDefinition name="tShort"><typeRef>string</typeRef><allowedValues><text>"a", "b"</text></allowedValues></itemDefinition>',
    )
    needs = '<informationRequirement><requiredInput href="#s"/></informationRequirement>'
    body = f'<inputData id="s" name="s"><variable name="s" typeRef="l.tShort"/></inputData>{decision("d", "s").replace("<literal", needs + "<literal")}'
    w.deploy(lib=lib)
    w.deploy(user=model("user", body, "l=urn:lib"))
    assert (w.engine.evaluate("d", {"s": "a"}), w.engine.evaluate("d", {"s": "x"})) == ("a", None)


def test_what_is_missing_is_said_with_what_was_looked_for(w: World):
    w.deploy(b=model("b", decision("mid", "c.base", "urn:c#base"), "c=urn:c@lib/c.dmn"))
    (found,) = w.findings
    assert (found["code"], found["severity"]) == ("IMPORT_MISSING", "warning")
    assert "'urn:c'" in found["message"] and "'lib/c.dmn'" in found["message"]
    assert w.engine.evaluate("mid") is None
    w.deploy(c=base("1"))
    assert w.engine.evaluate("mid") is None  # as it was deployed


@pytest.mark.parametrize(
    "files",
    [
        {"a": model("a", decision("x", "1"), "b=urn:b"), "b": model("b", decision("y", "1"), "a=urn:a")},
        {"a": model("a", decision("x", "1"), "b=urn:b"), "b": model("b", decision("y", "1"), "c=urn:c"), "c": model("c", "", "a=urn:a")},
    ],
    ids=["two", "three"],
)
def test_circles_are_refused(w: World, files: dict[str, str]):
    with pytest.raises(ModelInvalid) as refused:
        w.deploy(**files)
    (found,) = [f for f in refused.value.findings if f["severity"] == "error"]
    assert found["code"] == "IMPORT_CIRCULAR" and all(f"'{name}.dmn'" in found["message"] for name in files)
    assert not w.engine.state.definitions


def test_a_model_that_imports_itself_is_no_circle(w: World):
    w.deploy(a=model("a", decision("x", "1"), "me=urn:a"))
    assert w.codes() == ["IMPORT_ITSELF"]


def test_of_two_with_one_namespace_the_location_decides_else_it_is_refused(w: World):
    one, two = (model(name, decision(f"d{name}", f'"{name}"'), namespace="urn:same") for name in ("one", "two"))
    for place, wanted in (("one.dmn", "one"), ("./some%20where/two.dmn", "two")):
        user = model("user", decision("u", f"s.d{wanted}", f"urn:same#d{wanted}"), f"s=urn:same@{place}")
        w.deploy(user=user, one=one, two=two)
        assert w.engine.evaluate("u") == wanted
        w.deploy(user=user.replace('id="user"', 'id="later"').replace('id="u"', 'id="v"'))
        assert w.engine.evaluate("v") == wanted
    for files in ({"one": one, "two": two}, {}):
        with pytest.raises(ModelInvalid) as refused:
            w.deploy(user=model("user", decision("u", "s.done"), "s=urn:same"), **files)
        (found,) = [f for f in refused.value.findings if f["severity"] == "error"]
        assert found["code"] == "IMPORT_AMBIGUOUS" and "one.dmn" in found["message"] and "two.dmn" in found["message"]
    w.engine.do(c.ChangeDefinition(key=w.key("user"), move="delete"))
    w.engine.do(c.ChangeDefinition(key=w.key("later"), move="delete"))
    w.engine.do(c.ChangeDefinition(key=w.key("two"), move="deprecate"))
    w.deploy(user=model("user", decision("u", "s.done", "urn:same#done"), "s=urn:same"))
    assert w.engine.evaluate("u") == "one"


def test_one_namespace_in_files_that_nobody_imports_is_fine(w: World):
    """As modellers write it into each file."""
    w.deploy(one=model("one", decision("x", "1"), namespace="urn:same"), two=model("two", decision("y", "1"), namespace="urn:same"))
    assert w.codes() == []


def test_a_version_in_the_namespace_is_found_behind_newer_ones(w: World):
    w.deploy(c=model("c", decision("base", "1"), namespace="urn:c/1"))
    w.deploy(c=model("c", decision("base", "2"), namespace="urn:c/2"))
    for number in (1, 2):
        w.deploy(b=model("b", decision("mid", "c.base", f"urn:c/{number}#base"), f"c=urn:c/{number}"))
        assert w.engine.evaluate("mid") == number


def chain(length: int) -> dict[str, str]:
    files = {"m0": model("m0", decision("d0", "0"))}
    for n in range(1, length):
        files[f"m{n}"] = model(f"m{n}", decision(f"d{n}", f"i.d{n - 1} + 1", f"urn:m{n - 1}#d{n - 1}"), f"i=urn:m{n - 1}")
    return files


def wide(count: int) -> dict[str, str]:
    leaves = {f"m{n}": model(f"m{n}", decision(f"d{n}", str(n))) for n in range(count)}
    return {**leaves, "top": model("top", decision("t", "i1.d1", "urn:m1#d1"), *(f"i{n}=urn:m{n}" for n in range(count)))}


@pytest.mark.parametrize(("make", "most"), [(chain, limits.DMN_DEPTH_MAX), (wide, limits.DMN_MODELS_MAX - 1)], ids=["depth", "count"])
def test_limits_at_their_edge(w: World, make: Any, most: int):
    w.deploy(**make(most))
    assert w.codes() == []
    assert w.engine.evaluate(f"d{most - 1}" if make is chain else "t") == (most - 1 if make is chain else 1)
    with pytest.raises(ModelInvalid) as refused:
        World().deploy(**make(most + 1))
    assert [f["code"] for f in refused.value.findings if f["severity"] == "error"] == ["IMPORT_LIMIT"]


def test_bytes_at_their_edge(w: World, monkeypatch: pytest.MonkeyPatch):
    size = len(MIDDLE.encode()) + len(base("1").encode())
    monkeypatch.setattr(linking.limits, "DMN_BYTES_MAX", size)
    w.deploy(b=MIDDLE, c=base("1"))
    monkeypatch.setattr(linking.limits, "DMN_BYTES_MAX", size - 1)
    with pytest.raises(ModelInvalid, match="IMPORT_LIMIT"):
        World().deploy(b=MIDDLE, c=base("1"))


def test_a_long_circle_and_a_thousand_files_are_told_without_recursion(w: World):
    files = chain(900)
    files["m0"] = model("m0", decision("d0", "0"), "i=urn:m899")
    with pytest.raises(ModelInvalid) as refused:
        w.deploy(**files)
    assert "IMPORT_CIRCULAR" in {f["code"] for f in refused.value.findings}


def test_what_is_imported_stays(w: World):
    w.deploy(b=MIDDLE, c=base("1"))
    with pytest.raises(Refused, match="it is imported by 'b' version 1"):
        w.engine.do(c.ChangeDefinition(key=w.key("c"), move="delete"))
    w.engine.do(c.ChangeDefinition(key=w.key("c"), move="deprecate"))
    assert w.engine.evaluate("mid") == 10
    w.engine.do(c.ChangeDefinition(key=w.key("b"), move="delete"))
    assert w.engine.do(c.ChangeDefinition(key=w.engine.state.process_versions["", "drg", "c"][1], move="delete"))["status"] == "deleted"


def test_drafts_are_bound_to_their_deployment_and_edited_ones_anew(w: World):
    w.deploy(status="draft", b=MIDDLE, c=base("1"))
    state = w.engine.state
    b, mid, of = (state.process_versions["", kind, id][1] for kind, id in (("drg", "b"), ("decision", "mid"), ("drg", "c")))
    assert state.definitions[mid].imports == state.definitions[b].imports == {"urn:c": of}
    with pytest.raises(Refused, match="can't edit definition"):
        w.engine.do(c.ChangeDefinition(key=of, move="", content=base("7")))
    w.deploy(c=base("3"))
    for key in (b, mid):
        w.engine.do(c.ChangeDefinition(key=key, move="", content=MIDDLE.replace("* 10", "* 100")))
        assert state.definitions[key].imports == {"urn:c": w.key("c")}
        w.engine.do(c.ChangeDefinition(key=key, move="publish"))
    assert w.engine.evaluate("mid") == 300
    assert "edited" not in w.codes()


def test_what_a_decision_alone_is_still_bound_to_stays(w: World):
    """Its graph was edited, and so bound to the next version; the decision was not."""
    w.deploy(c=base("1"))
    w.deploy(status="draft", b=MIDDLE)
    first, state = w.key("c"), w.engine.state
    b, mid = (state.process_versions["", kind, id][1] for kind, id in (("drg", "b"), ("decision", "mid")))
    w.deploy(c=base("2"))
    w.engine.do(c.ChangeDefinition(key=b, move="", content=MIDDLE))
    assert (state.definitions[b].imports, state.definitions[mid].imports) == ({"urn:c": w.key("c")}, {"urn:c": first})
    with pytest.raises(Refused, match="it is imported by 'mid' version 1"):
        w.engine.do(c.ChangeDefinition(key=first, move="delete"))
    w.engine.do(c.ChangeDefinition(key=mid, move="", content=MIDDLE))
    w.engine.do(c.ChangeDefinition(key=first, move="delete"))


def test_an_edited_decision_that_imports_nothing_any_more(w: World):
    w.deploy(status="draft", b=MIDDLE, c=base("1"))
    key = w.engine.state.process_versions["", "decision", "mid"][1]
    w.engine.do(c.ChangeDefinition(key=key, move="", content=model("b", decision("mid", "5"))))
    assert not w.engine.state.definitions[key].imports


def test_another_tenant_sees_none_of_it(w: World):
    w.deploy(c=base("1"))
    w.engine.tenant = "other"
    w.deploy(b=MIDDLE)
    assert w.codes() == ["IMPORT_MISSING"] and w.engine.evaluate("mid") is None


def test_two_versions_of_one_model_under_one_that_imports_both(w: World):
    """By way of two others that were bound to them."""
    w.deploy(c=base("1"))
    w.deploy(b=MIDDLE)
    w.deploy(c=base("2"))
    w.deploy(x=model("x", decision("new", "c.base", "urn:c#base"), "c=urn:c"))
    w.deploy(a=model("a", decision("both", "[b.mid, x.new]", "urn:b#mid", "urn:x#new"), "b=urn:b", "x=urn:x"))
    assert w.engine.evaluate("both") == [10, 2]


def test_the_events_say_what_was_bound_so_that_a_fold_gives_the_same(w: World):
    """Also with the others in the same file order, and on another partition, which hears of it."""
    w.deploy(c=base("1"))
    w.deploy(b=MIDDLE)
    w.deploy(c=base("2"))
    created = [e for e, _ in w.engine.journal if isinstance(e, de.DefinitionCreated)]
    (told,) = [e.outline for e in created if e.id == "mid"]
    assert told == {"": {"imports": {"urn:c": {"key": created[0].key, "id": "c", "version": 1}}}}
    again, texts = Partition(0, 1), {e.hash: e.content for e in created if e.content}
    for event, about in w.engine.journal:
        evolve(again, event, about)
    models = Library(texts.get).decisions(again)
    assert models[w.key("mid", "decision")].evaluate("mid").value == 10
    assert models[w.key("base", "decision")].evaluate("base").value == 2


def test_models_of_an_earlier_release_are_found_by_what_they_say(w: World):
    """Their events have no namespace."""
    w.deploy(c=base("4"))
    for one in w.engine.state.definitions.values():
        one.namespace = None
    w.deploy(b=MIDDLE)
    assert w.codes() == [] and w.engine.evaluate("mid") == 40


def test_what_else_is_imported_is_no_model(w: World):
    xsd = '<import name="x" namespace="urn:c" importType="http://www.w3.org/2001/XMLSchema"/>'
    w.deploy(c=base("1"), b=model("b", xsd + decision("mid", "1")))
    assert w.codes() == [] and not w.engine.state.definitions[w.key("b")].imports


def test_a_business_rule_task_evaluates_the_whole(w: World):
    from flowledger.sdk import Flow

    w.deploy(a=TOP, b=MIDDLE, c=base("1"))
    w.engine.deploy(Flow("p").start().decision("d", decision="top", result="r").end())
    assert w.engine.start("p").variables["r"] == 11


def test_a_deployment_that_is_refused_leaves_nothing(w: World):
    with pytest.raises(ModelInvalid):
        w.deploy(c=base("1"), b=MIDDLE, broken="<definitions/>")
    assert not w.engine.state.definitions
    assert not isinstance(w.deploy(b=MIDDLE, c=base("1")), Rejected)


def test_what_many_ways_lead_to_is_looked_at_once(w: World, monkeypatch: pytest.MonkeyPatch):
    """Four models on each of eighteen levels, each with all four below it: 4 ** 17 ways lead to the lowest."""
    deep, broad = limits.DMN_DEPTH_MAX - 2, 4
    files = {f"m0x{i}": model(f"m0x{i}", decision("d", "1") if not i else "") for i in range(broad)}
    for level in range(1, deep):
        below = [f"m{level - 1}x{i}" for i in range(broad)]
        for i in range(broad):
            body = decision(f"d{level}", f"{below[0]}.d{level - 1 or ''} + 1", f"urn:{below[0]}#d{level - 1 or ''}") if not i else ""
            files[f"m{level}x{i}"] = model(f"m{level}x{i}", body, *(f"{name}=urn:{name}" for name in below))
    w.deploy(**files)
    library = w.engine.library
    asked: list[str] = []
    graph = library.graph

    def counted(hash: str, name: str) -> Any:
        asked.append(name)
        assert len(asked) <= 2 * len(files), "each is looked at once"
        return graph(hash, name)

    library.graph = counted  # type: ignore[method-assign]
    made: list[Any] = []
    monkeypatch.setattr(evaluation, "Unit", lambda *given: made.append(given) or Unit(*given))
    assert w.engine.evaluate(f"d{deep - 1}") == deep
    assert len(made) <= len(files), "those in between aren't made ready for themselves"

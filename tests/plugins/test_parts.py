"""What each kind of part does where it is plugged in, and that what it does wrongly stays with the one who asked."""

import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from flowledger import plugin as p
from flowledger.connectors import catalogue
from flowledger.connectors.frame import Config
from flowledger.connectors.sources.catalogue import KINDS
from flowledger.infra import secrets
from flowledger.infra.settings import Settings, SettingsError
from flowledger.kernel import feel, model
from flowledger.kernel.feel.builtins.registry import BUILTINS
from flowledger.kernel.model.connectors import ALIASES
from flowledger.kernel.model.formats import work
from flowledger.kernel.model.trigger_sources import SOURCES, problems
from flowledger.kernel.tasks import assignment
from flowledger.plugins import kit
from flowledger.plugins.install import check, install, taken
from flowledger.plugins.unfit import Unfit

sys.path.insert(0, str(Path(__file__).parents[1] / "tasks"))
from workbench import Bench

REGISTRIES = (BUILTINS, assignment.STRATEGIES, work.OWN, secrets.MAKERS, catalogue.CONFIGS, ALIASES, SOURCES, KINDS)


@pytest.fixture(autouse=True)
def as_before():
    """No part stays for other tests of this process."""
    kept, foreign = [dict(r) for r in REGISTRIES], list(catalogue.FOREIGN)
    yield
    for registry, was in zip(REGISTRIES, kept, strict=True):
        registry.clear()
        registry.update(was)
    catalogue.FOREIGN[:] = foreign


def plug(part):
    check(part)
    assert not taken(part)
    install(part)
    assert taken(part)
    return part


# --- functions

NUMBER = iter(range(1000))


def function(call, signature="x: any", **more):
    """Its name: expressions are compiled once for each text, so each function has its own."""
    name = f"foreign_{next(NUMBER)}"
    return plug(p.Function(**{"api": 1, "name": name, "signature": signature, "call": call, "doc": "x", "examples": {}} | more)).name


@pytest.mark.parametrize(
    ("made", "value"),
    [
        (1, Decimal(1)),
        (1.5, Decimal("1.5")),
        (True, True),
        ("a", "a"),
        (None, None),
        ([1, {"a": 2}], [Decimal(1), {"a": Decimal(2)}]),
        (b"x", None),
    ],
)
def test_what_a_function_gives_is_a_value_of_feel(made, value):
    name = function(lambda x: made)
    assert feel.evaluate(f"{name}(1)") == value


def test_a_function_that_fails_is_null_with_a_warning():
    def fail(x):
        raise KeyError("lost")

    name, warnings = function(fail), []
    assert feel.evaluate(f"{name}(1)", warnings=warnings) is None
    assert [(w.code, w.message) for w in warnings] == [("FUNCTION_FAILED", f"{name}: the plug-in's function failed: KeyError: 'lost'")]


def test_a_function_cannot_change_what_it_is_given():
    name = function(lambda x: x["list"].append(1) or x.clear())
    context = {"v": {"list": []}}
    feel.evaluate(f"{name}(v)", context)
    assert context == {"v": {"list": []}}


def test_what_does_not_fit_its_signature_never_comes_to_it():
    assert feel.evaluate(f"{function(lambda x: pytest.fail('called'), signature='x: string')}(1)") is None


def test_its_work_counts_as_steps_of_the_expression():
    called = []
    name = function(lambda x: called.append(x), work=100_000)
    warnings = []
    feel.evaluate(f"for i in 1..10000 return {name}(i)", warnings=warnings)
    assert len(called) < 200 and warnings


# --- strategies

CREW = {
    "ann": {"groups": ["clerks"], "metadata": {"at": 5}},
    "bob": {"groups": ["clerks"], "metadata": {"at": 1}},
    "cem": {"groups": ["others"], "metadata": {"at": 0}},
}


def asked(choose):
    plug(p.Strategy(api=1, name="foreign", choose=choose, doc="x"))
    b = Bench()
    for name, record in CREW.items():
        b.store("directory", f"user:{name}", **record)
    settings = {"assignment": {"strategy": "foreign", "groups": ["clerks"], "required_capabilities": []}}
    return b.details(b.create(name="x", details={"settings": settings}))["assignment"]


def test_a_strategy_chooses_among_the_eligible():
    seen = []

    def nearest(candidates, needed):
        seen.extend(c.name for c in candidates)
        best = min(candidates, key=lambda c: c.record["metadata"]["at"])
        return best.name, "is nearest"

    found = asked(nearest)
    assert (found["assignee"], found["why"], found["strategy"]) == ("bob", "is nearest", "foreign")
    assert seen == ["ann", "bob"], "who isn't eligible is not offered"


@pytest.mark.parametrize(
    ("choose", "why"),
    [
        (lambda candidates, needed: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda candidates, needed: ("cem", "x"), "it chose 'cem', who is none of the eligible"),
        (lambda candidates, needed: None, "TypeError"),
        (lambda candidates, needed: ("bob", 3), "it chose 'bob'"),
    ],
)
def test_a_strategy_that_fails_leaves_the_task_to_the_least_loaded(choose, why):
    found = asked(choose)
    assert found["assignee"] == "ann" and found["why"].startswith("has the least load: 0 open tasks; the strategy foreign failed (")
    assert why in found["why"]


def test_a_strategy_cannot_change_the_directory():
    def spoil(candidates, needed):
        candidates[0].record["groups"].append("bosses")
        return candidates[0].name, "x"

    assert asked(spoil)["assignee"] == "ann"
    assert CREW["ann"]["groups"] == ["clerks"]


# --- types of steps


def findings(step, name="foreign"):
    text = json.dumps({"format": "flowledger/steps@1", "id": "w", "steps": [{"id": "one", "type": name, **step}]})
    graph, found = model.read(text.encode(), "w.json")
    return graph, [f"{f.code}: {f.message}" for f in found if f.severity == "error"]


def step(make=lambda fields: p.Job(type="pay", inputs={"a": fields["to"], "b": 2}, headers={"h": "x"}), **fields):
    fields = fields or {"to": p.Field(kind="text", required=True), "count": p.Field(kind="number"), "fast": p.Field(kind="flag")}
    return plug(p.StepType(api=1, name="foreign", fields=fields, make=make, doc="x", example={"to": "y"}))


def test_a_step_becomes_a_service_task():
    step()
    graph, wrong = findings({"to": "= who", "count": 3, "timeout": "5m", "retry_count": 2})
    assert wrong == []
    node = next(n for process in graph.processes.values() for n in process.nodes.values() if n.id == "one")
    assert node.config.job_type.static == "pay" and node.config.headers["h"] == "x"
    assert {m.target: m.source.text for m in node.inputs} == {"a": "who", "b": "2"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "STEPS_KEY_MISSING: the foreign step 'one' needs 'to'"),
        ({"to": 3}, "STEPS_TYPE_WRONG: expected a text as 'to' of the foreign step 'one', found the number 3"),
        ({"to": "x", "count": True}, "expected a number as 'count'"),
        ({"to": "x", "count": "= 1 +"}, "STEPS_EXPRESSION_INVALID: count"),
        ({"to": "x", "other": 1}, "other"),
    ],
)
def test_wrong_fields_are_findings(fields, told):
    step()
    assert any(told in f for f in findings(fields)[1]), findings(fields)[1]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no such bank"), "STEPS_STEP_WRONG: the foreign step 'one': no such bank"),
        (KeyError("k"), "STEPS_STEP_TYPE_FAILED: the plug-in that makes foreign"),
    ],
)
def test_a_step_that_cannot_be_made_is_a_finding(error, told):
    def make(fields):
        raise error

    step(make)
    assert any(told in f for f in findings({"to": "x"})[1])


# --- secrets


async def get(open, name="N"):
    plug(p.SecretProvider(api=1, name="foreign", open=open, doc="x"))
    return (await secrets.secrets_of(Settings(secrets=("env", "foreign:there"))).resolve([name]))[name]


class Holder:
    def __init__(self, value):
        self.value = value

    def get(self, name):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


async def test_a_provider_is_asked_for_secrets():
    asked = []
    assert await get(lambda where: asked.append(where) or Holder("hush-hush")) == "hush-hush"
    assert asked == ["there"]


@pytest.mark.parametrize(
    ("value", "code", "told"),
    [
        (None, "SECRET_MISSING", "asked: env, foreign:there"),
        (3, "SECRET_UNUSABLE", "gave what is no text"),
        (RuntimeError("the value is hush"), "SECRETS_AWAY", "its plug-in failed with RuntimeError"),
        (OSError("down"), "SECRETS_AWAY", "can't be read from foreign:there"),
    ],
)
async def test_a_provider_that_fails_is_a_secret_that_cannot_be_had(value, code, told):
    with pytest.raises(secrets.SecretError) as e:
        await get(lambda where: Holder(value))
    assert e.value.code == code and told in e.value.message and "hush" not in e.value.message


@pytest.mark.parametrize(
    ("error", "told"), [(ValueError("expected a path"), "expected a path"), (KeyError("x"), "the plug-in failed: KeyError")]
)
def test_a_provider_that_cannot_be_opened_is_a_wrong_setting(error, told):
    def open(where):
        raise error

    plug(p.SecretProvider(api=1, name="foreign", open=open, doc="x"))
    with pytest.raises(SettingsError, match=told):
        secrets.secrets_of(Settings(secrets=("foreign:there",)))


def test_who_names_a_provider_that_is_not_there_hears_which_are():
    plug(p.SecretProvider(api=1, name="foreign", open=Holder, doc="x"))
    with pytest.raises(SettingsError, match="foreign:WHERE"):
        secrets.secrets_of(Settings(secrets=("other:there",)))


# --- connectors and sources


class Wrong(Config):
    """x"""


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"config": dict}, "expected config to be a class"),
        ({"job_type": "bank"}, "expected the job type flowledger:foreign, found 'bank'"),
        ({"call": lambda self, config, call: 1}, "expected call to be a coroutine function"),
        ({"aliases": ("io.camunda:http-json:1",)}, "the job type io.camunda:http-json:1 is another connector's"),
    ],
)
def test_a_connector_of_a_wrong_shape_is_refused(made, told):
    async def call(self, config, call):
        return 1

    shape = {"name": "foreign", "job_type": "flowledger:foreign", "aliases": (), "config": Wrong, "call": call} | made
    with pytest.raises(Unfit, match=told):
        check(p.Connector(api=1, connector=type("C", (), shape)(), doc="x"))


def test_a_connector_is_served_found_at_deployment_and_has_a_template():
    from flowledger.connectors.check import findings as told
    from flowledger.connectors.templates import template

    class Bank:
        name, job_type, aliases, config = "foreign", "flowledger:foreign", ("foreign:1",), Wrong

        async def call(self, config, call):
            return 1

    plug(p.Connector(api=1, connector=Bank(), doc="x"))
    assert catalogue.connectors()[-1].name == "foreign" and catalogue.name_of("foreign:1") == "foreign"
    assert template("foreign")["properties"][0]["value"] == "flowledger:foreign"
    graph, _ = model.read(
        json.dumps({"id": "w", "steps": [{"id": "a", "job": "flowledger:foreign", "input": {"x": 1}}]}).encode(), "w.json"
    )
    assert told(graph, "w.json") == [], "an input that is none of its fields is a variable of the task"


def test_a_source_whose_checks_fail_says_so_at_deployment():
    async def open(opening):
        raise AssertionError

    def bad(value):
        raise RuntimeError("oops")

    plug(p.Source(api=1, name="foreign", fields={"a": (bad, True)}, open=open, doc="x"))
    assert problems(SOURCES["foreign"].fields, {"a": 1}) == [("a", "something that its plug-in can check (RuntimeError: oops)")]


# --- the kit finds what is wrong

COUNTER = iter(range(1000))
BAD = {
    "not pure": (p.Function(api=1, name="bad", signature="", call=lambda: next(COUNTER), doc="x", examples={"bad()": 1}), "a function gives the same"),
    "a wrong example": (p.Function(api=1, name="bad", signature="n: number", call=lambda n: n, doc="x", examples={"bad(1)": 2}), "expected 2, found 1"),
    "no examples": (p.Function(api=1, name="bad", signature="n: number", call=lambda n: n, doc="x"), "has no examples"),
    "an example of another": (p.Function(api=1, name="bad", signature="n: number", call=lambda n: n, doc="x", examples={"1 + 1": 2}), "doesn't call bad"),
    "an error": (p.Function(api=1, name="bad", signature="v: list", call=lambda v: v[0], doc="x", examples={"bad([1])": 1}), "raised IndexError"),
    "changes arguments": (p.Function(api=1, name="bad", signature="v: list", call=lambda v: v.append(1), doc="x", examples={"bad([])": None}), "changes its arguments"),
    "another version": (p.Function(api=9, name="bad", signature="", call=lambda: 1, doc="x"), "made for version 9"),
    "chooses a stranger": (p.Strategy(api=1, name="bad", choose=lambda c, n: ("zoe", "x"), doc="x"), "it chose 'zoe'"),
    "chooses nobody": (p.Strategy(api=1, name="bad", choose=lambda c, n: None, doc="x"), "expected (name, why)"),
    "chooses by chance": (p.Strategy(api=1, name="bad", choose=lambda c, n: (c[next(COUNTER) % len(c)].name, "x"), doc="x"), "it chooses differently"),
    "a wrong step": (
        p.StepType(api=1, name="bad", fields={}, make=lambda f: p.Job(type=""), doc="x", example={"nowhere": 1}), "its example"),
    "a step that fails": (
        p.StepType(api=1, name="bad", fields={"a": p.Field(kind="text")}, make=lambda f: p.Job(type=f["a"][5]), doc="x", example={"a": "longer"}),
        "failed at 'one'"),
    "gives a secret": (p.SecretProvider(api=1, name="bad", open=lambda where: Holder("boo"), doc="x"), "expected None"),
    "breaks": (p.SecretProvider(api=1, name="bad", open=lambda where: Holder(KeyError("x")), doc="x"), "raised KeyError"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_the_kit_tells_what_is_wrong(case):
    part, told = BAD[case]
    found = kit.problems(part)
    assert any(told in problem for problem in found), found

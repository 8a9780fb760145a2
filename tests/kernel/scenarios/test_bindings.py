"""Which version is meant: of a start, and of what a call activity or a business rule task names, by each binding."""

import json

import pytest
from notation import bpmn
from scenario import Refused, Scenario

from flowledger.events import commands as c


def child(job: str, tag: str = "") -> str:
    version = f'<zeebe:versionTag value="{tag}"/>' if tag else ""
    return bpmn(f'startEvent s\nserviceTask t\n<zeebe:taskDefinition type="{job}"/>\nendEvent e\ns > t > e', "child").replace(
        "<startEvent", f"<extensionElements>{version}</extensionElements><startEvent", 1
    )


def caller(binding: str) -> str:
    return bpmn(f'startEvent s\ncallActivity k\n<zeebe:calledElement processId="child" {binding}/>\nendEvent e\ns > k > e', "p")


def decision(word: str, tag: str = "") -> str:
    version = f'<extensionElements><zeebe:versionTag value="{tag}"/></extensionElements>' if tag else ""
    return (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" name="d" namespace="n">'
        f'<decision id="level" name="level">{version}<literalExpression><text>"{word}"</text></literalExpression></decision></definitions>'
    )


def ruled(binding: str) -> str:
    return bpmn(
        f'startEvent s\nbusinessRuleTask k\n<zeebe:calledDecision decisionId="level" resultVariable="r" {binding}/>\nendEvent e\ns > k > e',
        "p",
    )


def deploy(s: Scenario, *files: tuple[str, str]) -> list[int]:
    made = s.do(c.Deploy(resources=[c.Resource(name, text) for name, text in files]))["definitions"]
    return [int(d["key"]) for d in made]


BINDINGS = [
    ("", "third"),
    ('bindingType="latest"', "third"),
    ('bindingType="deployment"', "second"),
    ('bindingType="versionTag" versionTag="one"', "first"),
    ('bindingType="versionTag" versionTag="two"', "second"),
]


@pytest.mark.parametrize(("binding", "job"), BINDINGS)
def test_a_call_binds_as_it_says(binding, job):
    s = Scenario()
    deploy(s, ("child.bpmn", child("first", "one")))
    deploy(s, ("child.bpmn", child("second", "two")), ("p.bpmn", caller(binding)))
    deploy(s, ("child.bpmn", child("third", "three")))
    s.start()
    assert [t.job_type for t in s.p.tasks.values()] == [job]


@pytest.mark.parametrize(("binding", "word"), BINDINGS)
def test_a_business_rule_task_binds_as_it_says(binding, word):
    s = Scenario()
    deploy(s, ("d.dmn", decision("first", "one")))
    deploy(s, ("d.dmn", decision("second", "two")), ("p.bpmn", ruled(binding)))
    deploy(s, ("d.dmn", decision("third", "three")))
    s.start()
    assert s.vars["r"] == word and s.empty


@pytest.mark.parametrize(("binding", "field"), BINDINGS)
def test_the_form_of_a_task_binds_as_it_says(binding, field):
    """Told by the field that the form requires."""
    s = Scenario()
    task = f'startEvent s\nuserTask k\n<zeebe:userTask/>\n<zeebe:formDefinition formId="f" {binding}/>\nendEvent e\ns > k > e'
    for name, tag in (("first", "one"), ("second", "two"), ("third", "three")):
        form = {"id": "f", "versionTag": tag, "components": [{"type": "textfield", "key": name, "validate": {"required": True}}]}
        deploy(s, ("f.form", json.dumps(form)), *([("p.bpmn", bpmn(task, "p"))] if name == "second" else []))
    s.start()
    with pytest.raises(Refused, match=field):
        s.move("complete k")
    assert s.move(f'complete k {field}="x"').empty


def test_a_tag_of_camunda_7s_decisions_counts_as_well():
    s = Scenario()
    old = decision("first").replace(
        'id="level" name', 'xmlns:camunda="http://camunda.org/schema/1.0/dmn" camunda:versionTag="one" id="level" name'
    )
    deploy(s, ("d.dmn", old))
    deploy(s, ("d.dmn", decision("second")), ("p.bpmn", ruled('bindingType="versionTag" versionTag="one"')))
    assert s.start().vars["r"] == "first"


@pytest.mark.parametrize("binding", ['bindingType="deployment"', 'bindingType="versionTag" versionTag="none"'])
@pytest.mark.parametrize(("model", "file"), [(caller, ("child.bpmn", child("first", "one"))), (ruled, ("d.dmn", decision("first", "one")))])
def test_what_a_binding_does_not_find_is_an_incident_and_the_latest_is_not_taken_instead(binding, model, file):
    s = Scenario()
    deploy(s, file)
    deploy(s, ("p.bpmn", model(binding)))
    s.start()
    assert len(s.p.incidents) == 1 and not s.p.tasks and s.at == "k"


@pytest.mark.parametrize(("binding", "versions"), [('bindingType="deployment"', [1, 2]), ("", [1])])
def test_what_is_deployed_again_beside_what_binds_to_it_is_of_that_deployment(binding, versions):
    """As Zeebe does it: what is the same is a version once more, where something new of the deployment is bound to it."""
    s = Scenario()
    both = ("child.bpmn", child("first")), ("p.bpmn", caller(binding))
    deploy(s, *both)
    deploy(s, *both)
    assert len(s.p.definitions) == 2, "all of it is the same"
    deploy(s, both[0], ("p.bpmn", caller(binding).replace("<process ", '<process name="P" ', 1)))
    s.start()
    assert [t.job_type for t in s.p.tasks.values()] == ["first"] and not s.p.incidents
    assert sorted(d.version for d in s.p.definitions.values() if d.id == "child") == versions


@pytest.mark.parametrize(
    ("start", "job"),
    [
        ({}, "third"),
        ({"version": 1}, "first"),
        ({"version": 2}, "second"),
        ({"version_tag": "one"}, "first"),
        ({"version_tag": "two"}, "second"),
    ],
)
def test_a_start_names_a_version_a_tag_or_neither(start, job):
    s = Scenario()
    for name, tag in (("first", "one"), ("second", "two"), ("third", "")):
        deploy(s, ("child.bpmn", child(name, tag)))
    s.do(c.StartInstance(id="child", **start))
    assert [t.job_type for t in s.p.tasks.values()] == [job]


def test_of_two_versions_with_a_tag_the_newer_is_meant():
    s = Scenario()
    deploy(s, ("child.bpmn", child("first", "one")))
    deploy(s, ("child.bpmn", child("second", "one")))
    s.do(c.StartInstance(id="child", version_tag="one"))
    assert [t.job_type for t in s.p.tasks.values()] == ["second"]


@pytest.mark.parametrize(
    ("start", "says"),
    [({"version": 9}, "'child', 9"), ({"version_tag": "none"}, "'child', 'none'"), ({"id": "other"}, "'other'")],
)
def test_a_start_of_what_is_not_there_is_refused_with_what_was_asked(start, says):
    s = Scenario()
    deploy(s, ("child.bpmn", child("first", "one")))
    with pytest.raises(Refused, match="NOT_FOUND") as refused:
        s.do(c.StartInstance(**{"id": "child", **start}))
    assert says in refused.value.rejected.message


def test_the_latest_that_can_be_started_is_taken():
    """A version that was deprecated or deleted makes room for the one before it."""
    s = Scenario()
    (first,) = deploy(s, ("child.bpmn", child("first")))
    (second,) = deploy(s, ("child.bpmn", child("second")))
    s.do(c.ChangeDefinition(key=second, move="deprecate"))
    s.do(c.StartInstance(id="child"))
    assert [t.job_type for t in s.p.tasks.values()] == ["first"]
    with pytest.raises(Refused, match="INVALID_STATE"):
        s.do(c.StartInstance(id="child", version=2))
    s.do(c.ChangeDefinition(key=first, move="deprecate"))
    with pytest.raises(Refused, match="NOT_FOUND"):
        s.do(c.StartInstance(id="child"))

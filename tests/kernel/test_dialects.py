"""What models of Camunda 8, Camunda 7, Flowable and plain BPMN say: read, or told with what to write instead."""

import pytest
from notation import bpmn
from scenario import Scenario

from flowledger.kernel.model import bpmn as reader
from flowledger.kernel.model.dialects import plain, unkept


def read(text):
    graph, findings = reader.read(bpmn(text).encode(), "m.bpmn")
    return graph.processes["p"].nodes, [f for f in findings if f.code.startswith("CLASSIC_")]


FRAME = "startEvent s\n{0}\nendEvent e\ns > a > e"


def test_classic_conditions_run():
    s = Scenario(
        "startEvent s\nexclusiveGateway g\ntask a\ntask b\nendEvent e\ns > g\ng > a ? ${amount > 10}\ng > b !\na > e\nb > e"
    ).start("p", amount=11)
    assert "g>a" in s.words


@pytest.mark.parametrize("namespace", ["camunda", "flowable"])
@pytest.mark.parametrize(
    "attribute",
    [a for a in unkept.ATTRIBUTES if a not in ("variableName", "variableEvents", "elementIndexVariable", "caseRef", "caseBinding")],
)
def test_attributes_that_cannot_be_kept(namespace, attribute):
    _, findings = read(FRAME.format(f"serviceTask a {namespace}:{attribute}=x"))
    assert [(f.code, f.severity) for f in findings] == [(unkept.ATTRIBUTES[attribute][0], "warning")]
    assert findings[0].hint and findings[0].element == "a"


@pytest.mark.parametrize("tag", [t for t, row in unkept.ELEMENTS.items() if row[0]])
def test_extension_elements_that_cannot_be_kept(tag):
    _, findings = read(FRAME.format(f"serviceTask a camunda:topic=t camunda:type=external\n<camunda:{tag}/>"))
    assert [f.code for f in findings] == [unkept.ELEMENTS[tag][0]]


def test_camunda_7_external_task():
    nodes, findings = read(
        FRAME.format(
            "serviceTask a camunda:topic=t camunda:type=external camunda:taskPriority=70\n<camunda:failedJobRetryTimeCycle>R5/PT1M</camunda:failedJobRetryTimeCycle>\n"
            '<camunda:inputOutput><camunda:inputParameter name="x">${y}</camunda:inputParameter></camunda:inputOutput>'
        )
    )
    work = nodes["a"].config
    assert not findings
    assert (work.job_type.static, work.retries.static, work.priority.static) == ("t", 5, "70")
    assert nodes["a"].inputs[0].target == "x"


def test_camunda_7_user_task():
    s = Scenario(
        FRAME.format(
            'userTask a camunda:assignee="${boss}" camunda:candidateGroups="sales,audit" camunda:dueDate="2026-02-01T00:00:00Z" camunda:formKey=f'
        )
    ).start("p", boss="rita")
    details = s.task("a").details
    assert (
        details["assignee"] == "rita"
        and details["candidate_groups"] == ["sales", "audit"]
        and details["due_us"]
        and details["form"] == {"formKey": "f"}
    )


def test_flowable_fields_are_headers():
    nodes, findings = read(FRAME.format('serviceTask a flowable:type=http\n<flowable:field name="requestUrl" stringValue="http://x"/>'))
    assert [f.code for f in findings] == ["CLASSIC_TASK_KIND"]
    assert nodes["a"].config.headers == {"requestUrl": "http://x"} and nodes["a"].config.job_type.static == "http"


def test_error_variables():
    s = Scenario(
        'startEvent s\nserviceTask a\nboundaryEvent b on=a\n.<errorEventDefinition camunda:errorCodeVariable="code"/>\nserviceTask h\nendEvent e\ns > a > e\nb > h'
    )
    s.start("p").move("error a X")
    assert s.i.vars["code"] == "X"


@pytest.mark.parametrize(
    ("text", "feel"),
    [
        ("bpmn:getDataObject('approved')", "approved"),
        ("not(getDataObject('x') = 'yes')", 'not(x = "yes")'),
        ('<d:literalExpression xmlns:d="u"><d:text>a.b</d:text></d:literalExpression>', "a.b"),
        ("a > 'x'", "a > 'x'"),
    ],
)
def test_plain_bpmn(text, feel):
    assert plain.to_feel(text) == feel


@pytest.mark.parametrize(
    ("cycle", "retries", "pause", "codes"),
    [
        ("R5/PT1M", 5, "PT1M", []), ("R1/PT0S", 1, "PT0S", []), ("PT5M", 2, "PT5M", []), ("PT1M,PT1M", 3, "PT1M", []),
        ("PT1M, PT5M, PT1H", 4, "PT1M", ["CLASSIC_RETRY"]), ("${cycle}", None, None, ["CLASSIC_RETRY"]), ("R/PT1M", None, None, ["CLASSIC_RETRY"]),
    ],
)  # fmt: skip
def test_retry_cycles_are_kept_or_told(cycle, retries, pause, codes):
    nodes, findings = read(
        FRAME.format(
            f"serviceTask a camunda:topic=t camunda:type=external\n<camunda:failedJobRetryTimeCycle>{cycle}</camunda:failedJobRetryTimeCycle>"
        )
    )
    work = nodes["a"].config
    assert [f.code for f in findings] == codes
    assert (work.retries.static if work.retries else None) == retries
    assert (work.details["retry"]["initial"] if work.details else None) == pause


def test_a_retry_cycle_waits_between_attempts():
    s = Scenario(
        FRAME.format(
            "serviceTask a camunda:topic=t camunda:type=external\n<camunda:failedJobRetryTimeCycle>R3/PT10M</camunda:failedJobRetryTimeCycle>"
        )
    ).start("p")
    assert s.task("a").details["retry"]["initial"] == "PT10M"


@pytest.mark.parametrize(
    ("said", "form", "codes"),
    [
        ("userTask a camunda:formRef=f camunda:formRefBinding=latest", {"formId": "f", "bindingType": "latest"}, []),
        ("userTask a camunda:formKey=f", {"formKey": "f"}, []),
        ('userTask a camunda:formKey="embedded:app:forms/x.html"', {"formKey": "embedded:app:forms/x.html"}, ["CLASSIC_FORM_KEY"]),
        ('userTask a\n<camunda:formData><camunda:formField id="x" type="string"/></camunda:formData>', None, ["CLASSIC_FORM_FIELDS"]),
        ('userTask a\n<flowable:formProperty id="x" type="string"/>', None, ["CLASSIC_FORM_FIELDS"]),
    ],
)
def test_forms_are_kept_or_told(said, form, codes):
    nodes, findings = read(FRAME.format(said))
    assert [f.code for f in findings] == codes
    assert (nodes["a"].config.details or {}).get("form") == form


NAMED = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" {ns} targetNamespace="t"><process id="p" isExecutable="true">
<startEvent id="s"/><endEvent id="e"><{kind}EventDefinition {kind}Ref="OUT"/></endEvent><sequenceFlow id="f" sourceRef="s" targetRef="e"/></process></definitions>"""


@pytest.mark.parametrize("kind", ["error", "signal"])
@pytest.mark.parametrize(
    ("ns", "wanted"),
    [
        ('xmlns:camunda="http://camunda.org/schema/1.0/bpmn"', ("REFERENCE_IS_NAME", "warning")),
        ('xmlns:activiti="http://activiti.org/bpmn"', ("REFERENCE_IS_NAME", "warning")),
        ('xmlns:tns="http://www.jboss.org/drools"', ("REFERENCE_IS_NAME", "warning")),
        ("", ("REFERENCE_IS_NAME", "warning")),
        ('xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" zeebe:modelerTemplate="t"', ("REFERENCE_MISSING", "error")),
    ],
)
def test_a_name_in_place_of_a_reference(kind, ns, wanted):
    graph, findings = reader.read(NAMED.format(ns=ns, kind=kind).encode(), "m.bpmn")
    assert wanted in [(f.code, f.severity) for f in findings]
    if wanted[1] == "warning":
        assert graph.processes["p"].nodes["e"].event.name.static == "OUT"


def test_camunda_7_lists_and_maps_as_parameters():
    s = Scenario(
        FRAME.format(
            "scriptTask a scriptFormat=feel\n.<script>= 1</script>\n"
            '<camunda:inputOutput><camunda:outputParameter name="l"><camunda:list><camunda:value>${x}</camunda:value>'
            "<camunda:value>b</camunda:value></camunda:list></camunda:outputParameter>"
            '<camunda:outputParameter name="m"><camunda:map><camunda:entry key="k">${x + 1}</camunda:entry><camunda:entry key="w">c</camunda:entry></camunda:map>'
            "</camunda:outputParameter></camunda:inputOutput>"
        )
    ).start("p", x=1)
    assert s.vars["l"] == [1, "b"] and s.vars["m"] == {"k": 2, "w": "c"}


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        ('<camunda:script scriptFormat="groovy">1</camunda:script>', "CLASSIC_PARAMETER"),
        ("${x +}", "CLASSIC_EXPRESSION"),
        ("${x:y(}", "CLASSIC_EXPRESSION"),
    ],
)
def test_parameters_that_cannot_be_kept(inside, code):
    parameter = f'<camunda:inputOutput><camunda:inputParameter name="x">{inside}</camunda:inputParameter></camunda:inputOutput>'
    _, findings = read(FRAME.format(f"serviceTask a camunda:topic=t camunda:type=external\n{parameter}"))
    assert [f.code for f in findings] == [code] and findings[0].element == "a" and findings[0].hint


SIGNAL_C7 = """
startEvent s
parallelGateway g
intermediateCatchEvent c : signal S
serviceTask a camunda:type=external camunda:topic=t
endEvent e
intermediateThrowEvent t
.<signalEventDefinition signalRef="sig_S"><extensionElements>{}</extensionElements></signalEventDefinition>
endEvent f
s > g > c > a > e
g > t > f
"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", {"v": 7}),
        ('<camunda:in source="v" target="w"/>', {"v": 7, "w": 7}),
        ('<camunda:in sourceExpression="${v + 1}" target="w"/>', {"v": 7, "w": 8}),
        ('<camunda:in variables="all"/><camunda:in sourceExpression="${v + 1}" target="w"/>', {"v": 7, "w": 8}),
    ],
)
def test_a_signal_of_camunda_7_carries_what_its_in_says(said, told):
    from flowledger.kernel.model.drawn import as_bpmn

    text = bpmn(SIGNAL_C7.format(said))
    _, findings = read(SIGNAL_C7.format(said))
    assert not findings
    converted, _ = as_bpmn(text.encode(), "m.bpmn")
    for model in (text, converted.decode()):
        assert Scenario(model).start("p", v=7).i.vars == told
    assert b"camunda:in" not in converted


def test_runs_of_camunda_7_are_undone_one_by_one_also_when_converted():
    from flowledger.kernel.model.drawn import as_bpmn

    model = """
startEvent s
serviceTask a camunda:type=external camunda:topic=t
.<multiInstanceLoopCharacteristics isSequential="true" camunda:collection="${xs}" camunda:elementVariable="x"/>
boundaryEvent c on=a : compensate
serviceTask u comp=true camunda:type=external camunda:topic=u
~<association id="as" sourceRef="c" targetRef="u"/>
endEvent e : compensate
s > a > e
"""
    converted, _ = as_bpmn(bpmn(model).encode(), "m.bpmn")
    for text in (bpmn(model), converted.decode()):
        s = Scenario(text).start("p", xs=[7, 8]).moves("complete a", "complete a")
        assert s.i.tokens[s.task("u").token].vars["x"] == 8
        s.moves("complete u", "complete u")
        assert s.tasks == "a a u u" and s.empty


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("intermediateThrowEvent t", '<camunda:in businessKey="${k}"/>'),
        ("startEvent t", '<camunda:in source="v" target="w"/>'),
        ("intermediateThrowEvent t", '<camunda:out source="v" target="w"/>'),
    ],
)
def test_what_a_signal_of_camunda_7_says_and_nothing_reads_is_told(event, said):
    model = f"{event}\n.<signalEventDefinition signalRef='sig_S'><extensionElements>{said}</extensionElements></signalEventDefinition>\n"
    model += "^<signal id='sig_S' name='S'/>\nserviceTask a camunda:type=external camunda:topic=x\nendEvent e\nt > a > e\n"
    nodes, findings = read(model if event.startswith("start") else "startEvent s\n" + model + "s > t")
    assert [f.code for f in findings] == ["CLASSIC_UNREAD"] and not nodes["t"].inputs

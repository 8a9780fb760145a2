# ruff: noqa: E501 - a row is a model
"""Every word of Camunda 7, Flowable and Activiti is kept (the graph is another one with it) or told; nothing is lost in silence."""

import pytest

from flowledger.kernel import model
from flowledger.kernel.model import canonical
from flowledger.sdk.testing import Engine

SPACES = {"camunda": "http://camunda.org/schema/1.0/bpmn", "flowable": "http://flowable.org/bpmn", "activiti": "http://activiti.org/bpmn"}
HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    + " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in SPACES.items())
    + ' id="d" targetNamespace="t"><message id="M" name="M"/><signal id="S" name="S"/><error id="R" errorCode="r"/><escalation id="C" escalationCode="c"/>'
)


def file(body: str, process: str = "", id: str = "p") -> str:
    around = '<startEvent id="s"/>{}<endEvent id="e"/><sequenceFlow id="f" sourceRef="s" targetRef="t"/><sequenceFlow id="g" sourceRef="t" targetRef="e"/>'
    return f'{HEAD}<process id="{id}" isExecutable="true" {process}>{around.format(body)}</process></definitions>'


def look(text: str) -> tuple[object, set[tuple[str, str]]]:
    graph, findings = model.read(text.encode(), "m.bpmn")
    assert graph is not None
    p = graph.processes["p"]
    return (canonical.graph_hash(p), p.properties, p.version_tag), {(f.code, f.message) for f in findings}


#: host -> how it stands, then the words that may stand at it: attribute=value
ATTRIBUTES = {
    '<serviceTask id="t" camunda:type="external" camunda:topic="x"{}/>': "asyncBefore=true asyncAfter=true exclusive=false jobPriority=7 taskPriority=7 class=a.B delegateExpression=${b} expression=${b.c()} resultVariable=r",
    '<userTask id="t"{}/>': "assignee=a candidateUsers=a,b candidateGroups=g dueDate=2025-01-01T00:00:00 followUpDate=2025-01-01T00:00:00 priority=70 formKey=embedded:app:x.html formRef=f formRefVersion=3 formHandlerClass=a.B jobPriority=7",
    '<userTask id="t" camunda:formRef="f"{}/>': "formRefBinding=version formRefBinding=deployment formRefVersion=3",
    '<businessRuleTask id="t" camunda:decisionRef="d"{}/>': "decisionRefBinding=deployment decisionRefVersion=3 decisionRefTenantId=x mapDecisionResult=singleEntry resultVariable=r",
    '<callActivity id="t" calledElement="q"{}/>': "calledElementBinding=deployment calledElementVersion=3 calledElementTenantId=x variableMappingClass=a.B caseRef=c asyncBefore=true",
    '<scriptTask id="t" scriptFormat="javascript"{}><script>1</script></scriptTask>': "resultVariable=r resource=a.js jobPriority=7",
    '<exclusiveGateway id="t"{}/>': "asyncBefore=true exclusive=false",
    '<subProcess id="t"{}><startEvent id="q"/></subProcess>': "async=true jobPriority=7",
    '<userTask id="t"><multiInstanceLoopCharacteristics{}><loopCardinality>3</loopCardinality></multiInstanceLoopCharacteristics></userTask>': "collection=${items} asyncBefore=true exclusive=false",
    '<intermediateThrowEvent id="t"><messageEventDefinition messageRef="M"{}/></intermediateThrowEvent>': "class=a.B topic=x resultVariable=r taskPriority=3",
    '<intermediateThrowEvent id="t"><signalEventDefinition signalRef="S"{}/></intermediateThrowEvent>': "topic=x async=true",
    '<task id="t"/><subProcess id="u"><startEvent id="q"/></subProcess><boundaryEvent id="b" attachedToRef="u"><errorEventDefinition errorRef="R"{}/></boundaryEvent>': "errorCodeVariable=x errorMessageVariable=x",
    '<task id="t"/><subProcess id="u"><startEvent id="q"/></subProcess><boundaryEvent id="b" attachedToRef="u"><escalationEventDefinition escalationRef="C"{}/></boundaryEvent>': "escalationCodeVariable=x",
    '<intermediateCatchEvent id="t"><conditionalEventDefinition{}><condition xsi:type="tFormalExpression">${{x == 1}}</condition></conditionalEventDefinition></intermediateCatchEvent>': "variableName=y variableEvents=create",
}  # fmt: skip
FLOWABLE = {
    '<serviceTask id="t"{}/>': "skipExpression=${x} triggerable=true resultVariableName=r useLocalScopeForResultVariable=true storeResultVariableAsTransient=true type=mail asyncLeave=true failedJobRetryTimeCycle=R3/PT1M operationRef=x extensionId=x jobCategory=x includeInHistory=false",
    '<userTask id="t"{}/>': "owner=a dueDate=${x} businessCalendarName=x category=c formFieldValidation=true sameDeployment=false taskIdVariableName=x idmCandidateGroups=x assigneeType=x formReference=x",
    '<callActivity id="t" calledElement="q"{}/>': "calledElementType=id inheritVariables=true sameDeployment=true fallbackToDefaultTenant=true businessKey=${x} inheritBusinessKey=true useLocalScopeForOutParameters=true completeAsync=true processInstanceName=x idVariableName=x",
    '<scriptTask id="t" scriptFormat="javascript"{}><script>1</script></scriptTask>': "autoStoreVariables=true skipExpression=${x}",
    '<businessRuleTask id="t"{}/>': "rules=a ruleVariablesInput=x exclude=true decisionTableReferenceKey=x",
    '<sendTask id="t"{}/>': "type=mail eventType=e",
    '<userTask id="t"><multiInstanceLoopCharacteristics{}><loopCardinality>3</loopCardinality></multiInstanceLoopCharacteristics></userTask>': "elementIndexVariable=i noWaitStatesAsyncLeave=true collectionString=c",
    '<intermediateCatchEvent id="t"><timerEventDefinition{}><timeCycle>R3/PT1H</timeCycle></timerEventDefinition></intermediateCatchEvent>': "businessCalendarName=x",
}  # fmt: skip
WORDS = [(host, "camunda", word) for host, words in ATTRIBUTES.items() for word in words.split()]
WORDS += [(host, prefix, word) for prefix in ("flowable", "activiti") for host, words in FLOWABLE.items() for word in words.split()]


def kept_or_told(without: str, with_it: str) -> str:
    (before, found_before), (after, found_after) = look(without), look(with_it)
    told = found_after - found_before
    return "kept" if before != after else "told" if any(code.startswith("CLASSIC_") for code, _ in told) else "lost"


@pytest.mark.req("D-MOD-004")
@pytest.mark.parametrize(("host", "prefix", "word"), WORDS, ids=[f"{p}:{w} of {h.partition(' ')[0][1:]}" for h, p, w in WORDS])
def test_each_attribute_is_kept_or_told(host, prefix, word):
    name, _, value = word.partition("=")
    host = host.replace("{{", "{").replace("}}", "}")
    assert kept_or_told(file(host.replace("{}", "")), file(host.replace("{}", f' {prefix}:{name}="{value}"'))) in ("kept", "told")


#: where extension elements stand, and what may stand there
ELEMENTS = {
    '<serviceTask id="t" camunda:type="external" camunda:topic="x">{}</serviceTask>': [
        '<camunda:field name="a"><camunda:string>x</camunda:string></camunda:field>', "<camunda:connector><camunda:connectorId>h</camunda:connectorId></camunda:connector>",
        '<camunda:executionListener class="a.B" event="start"/>', "<camunda:failedJobRetryTimeCycle>R5/PT1M</camunda:failedJobRetryTimeCycle>",
        '<camunda:errorEventDefinition errorRef="R" expression="${true}"/>', '<camunda:unknownThing a="b"/>', "<flowable:eventType>e</flowable:eventType>",
        '<camunda:inputOutput><camunda:inputParameter name="a">${b}</camunda:inputParameter></camunda:inputOutput>',
    ],
    '<userTask id="t">{}</userTask>': [
        '<camunda:taskListener class="a.B" event="create"/>', '<camunda:formData><camunda:formField id="a" type="string"/></camunda:formData>',
        '<activiti:formProperty id="a" type="string"/>', '<flowable:customResource flowable:name="x"/>',
    ],
    '<task id="t"/>{}': ['<flowable:eventListener class="a"/>', '<flowable:executionListener class="a" event="start"/>', "<flowable:potentialStarter/>",
                         '<camunda:properties><camunda:property name="a" value="b"/></camunda:properties>'],
    '<task id="t"/><sequenceFlow id="h" sourceRef="s" targetRef="t">{}</sequenceFlow>': ['<camunda:executionListener event="take" class="a.B"/>'],
    '<userTask id="t"><multiInstanceLoopCharacteristics>{}<loopCardinality>3</loopCardinality></multiInstanceLoopCharacteristics></userTask>': [
        '<flowable:variableAggregation target="r"/>', '<flowable:collection flowable:class="x"/>'],
    '<callActivity id="t" calledElement="q">{}</callActivity>': ['<camunda:in source="a" target="b"/>', '<camunda:in variables="all"/>', '<camunda:out variables="all"/>',
                                                                  '<camunda:in businessKey="#{x}"/>', '<camunda:out sourceExpression="${a}" target="b"/>'],
}  # fmt: skip


@pytest.mark.parametrize(("host", "element"), [(h, e) for h, es in ELEMENTS.items() for e in es])
def test_each_extension_element_is_kept_or_told(host, element):
    # something else of the dialect stands there before: that it is spoken at all changes what a call passes
    inside = file(host.replace("{}", f"<extensionElements>{element}</extensionElements>"), 'camunda:versionTag="1"')
    assert kept_or_told(file(host.replace("{}", ""), 'camunda:versionTag="1"'), inside) in ("kept", "told")


@pytest.mark.parametrize(
    "word", "candidateStarterGroups=g versionTag=1.0 historyTimeToLive=P5D isStartableInTasklist=false jobPriority=7".split()
)
def test_each_attribute_of_a_process_is_kept_or_told(word):
    name, _, value = word.partition("=")
    assert kept_or_told(file('<task id="t"/>'), file('<task id="t"/>', f'camunda:{name}="{value}"')) in ("kept", "told")


def test_a_word_is_told_once_with_its_places_and_notes_of_modelers_are_not():
    body = '<userTask id="t" camunda:asyncBefore="true" camunda:modelerTemplate="x" flowable:owner="a"/><userTask id="u" camunda:asyncBefore="true" flowable:owner="b"/>'
    found = sorted(
        (f.code, f.severity, f.message)
        for f in model.read(file(body).encode(), "m.bpmn")[1]
        if f.code in ("CLASSIC_NO_NEED", "CLASSIC_UNREAD")
    )
    assert [row[:2] for row in found] == [("CLASSIC_NO_NEED", "info"), ("CLASSIC_UNREAD", "warning")]
    assert (
        found[0][2].startswith("camunda:asyncBefore at <userTask> 't' and 1 more is passed over")
        and found[1][2] == "nothing reads flowable:owner at <userTask> 't' and 1 more"
    )


CHILD = '<scriptTask id="t" scriptFormat="feel" camunda:resultVariable="r"><script>= if x = null then "none" else x</script></scriptTask>'


@pytest.mark.parametrize(
    ("call", "variables"),
    [
        ("", {"x": 1}),
        ('<camunda:in variables="all"/>', {"x": 1}),
        ('<camunda:out variables="all"/>', {"x": 1, "r": "none"}),
        ('<camunda:in variables="all"/><camunda:out variables="all"/>', {"x": 1, "r": 1}),
        ('<camunda:in source="x" target="x"/><camunda:out source="r" target="y"/>', {"x": 1, "y": 1}),
        ('<camunda:out source="r" target="y"/>', {"x": 1, "y": "none"}),
        ('<camunda:in sourceExpression="${x + 1}" target="x"/><camunda:out variables="all"/>', {"x": 2, "r": 2}),
        (
            '<camunda:in sourceExpression="${x + 1}" target="x"/><camunda:out variables="all"/><camunda:out source="r" target="y"/>',
            {"x": 2, "r": 2, "y": 2},
        ),
    ],
)
def test_a_call_passes_what_it_names_and_nothing_else(call, variables):
    """As `flowledger convert` writes it; a call that speaks no dialect passes all, as Zeebe does."""
    engine = Engine()
    engine.deploy({"q.bpmn": file(CHILD, id="q")})
    inside = f"<extensionElements>{call}</extensionElements>" if call else ""
    engine.deploy({"p.bpmn": file(f'<callActivity id="t" calledElement="q" camunda:asyncBefore="true">{inside}</callActivity>')})
    instance = engine.start("p", {"x": 1})
    assert instance.status == "completed" and instance.variables == variables


def test_an_escalation_names_its_code():
    body = (
        '<subProcess id="t"><startEvent id="q"/><endEvent id="r"><escalationEventDefinition escalationRef="C"/></endEvent><sequenceFlow id="qr" sourceRef="q" targetRef="r"/></subProcess>'
        '<boundaryEvent id="b" attachedToRef="t"><escalationEventDefinition camunda:escalationCodeVariable="which"/></boundaryEvent><userTask id="u"/><sequenceFlow id="bu" sourceRef="b" targetRef="u"/>'
    )
    engine = Engine()
    engine.deploy({"p.bpmn": file(body)})
    instance = engine.start("p")
    assert instance.active == ["u"] and instance.variables == {"which": "c"}


@pytest.mark.parametrize(
    ("words", "form"),
    [
        ('camunda:formRef="f" camunda:formRefBinding="deployment"', {"formId": "f", "bindingType": "deployment"}),
        ('camunda:formKey="k"', {"formKey": "k"}),
    ],
)
def test_a_start_event_keeps_its_form(words, form):
    from flowledger.kernel.elements.start_event import FORM

    graph, _ = model.read(file('<task id="t"/>').replace('<startEvent id="s"', f'<startEvent id="s" {words}').encode(), "m.bpmn")
    assert graph is not None and graph.processes["p"].nodes["s"].properties[FORM] == form

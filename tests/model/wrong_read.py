"""Rows as in `wrong_flows.py`, of what is found while a model is read, element by element, before the checks of the whole."""

S = "startEvent s\n"
E = "endEvent e\n"
#: two events behind an event-based gateway
EBG = (
    S
    + "eventBasedGateway g\nintermediateCatchEvent m : message M = k\nintermediateCatchEvent t : timer PT1S\n"
    + E
    + "s > g > m > e\ng > t > e"
)
LINKS = (
    "startEvent s\nintermediateThrowEvent lt : link L\nintermediateCatchEvent lc : link L\nintermediateCatchEvent ld : link M\n"
    "intermediateThrowEvent lu : link M\ns > lt\ns > lu"
)
JOB = S + 'serviceTask t\n<zeebe:taskDefinition type="x"/>\n' + E + "s > t > e\n"


def sub(inside: str, kind: str = "subProcess", attrs: str = "") -> str:
    return f"{kind} sp{attrs} {{\n{inside}\n}}\n"


def task(extension: str, kind: str = "task", attrs: str = "") -> str:
    return S + f"{kind} t{attrs}\n{extension}\n" + E + "s > t > e"


COMPLEX = task(
    '.<multiInstanceLoopCharacteristics behavior="Complex"><loopCardinality>3</loopCardinality><complexBehaviorDefinition id="c">'
    '<condition>=x</condition><event><signalEventDefinition id="g" signalRef="S"/></event></complexBehaviorDefinition>'
    '</multiInstanceLoopCharacteristics>\n^<signal id="S" name="s"/>'
)

EVENTS = [
    ("START_HAS_INCOMING", S + "task a\ns > a > s", "s > a > s", "s > a"),
    ("START_NO_OUTGOING", S + "task a", "task a", "task a\ns > a"),
    ("END_HAS_OUTGOING", S + E + "task a\ns > e > a", "s > e > a", "s > a > e"),
    ("SUB_PROCESS_START_EVENT", S + sub("startEvent i : timer PT1S") + "s > sp", " : timer PT1S", ""),
    ("BOUNDARY_HAS_INCOMING", S + "task a\nboundaryEvent b on=a : timer PT1S\ntask c\ns > a\nb > c\nc > b", "c > b", ""),
    ("BOUNDARY_WITHOUT_EVENT", S + "task a\nboundaryEvent b on=a\ntask c\ns > a\nb > c", "on=a", "on=a : timer PT1S"),
    ("BOUNDARY_EVENT_KIND", S + "task a\nboundaryEvent b on=a : terminate\ntask c\ns > a\nb > c", ": terminate", ": error X"),
    ("BOUNDARY_MUST_INTERRUPT", S + "task a\nboundaryEvent b on=a cancel=false : error X\ntask c\ns > a\nb > c", " cancel=false", ""),
    ("BOUNDARY_HOST_MISSING", S + "task a\nboundaryEvent b on=z : timer PT1S\ntask c\ns > a\nb > c", "on=z", "on=a"),
    ("CATCH_EVENT_KIND", S + "intermediateCatchEvent c : error X\ns > c", ": error X", ": signal X"),
    ("CATCH_WITHOUT_EVENT", S + "intermediateCatchEvent c\ns > c", "Event c", "Event c : signal X"),
    ("THROW_EVENT_KIND", S + "intermediateThrowEvent c : timer PT1S\ns > c", ": timer PT1S", ": signal X"),
    ("PARALLEL_MULTIPLE_KIND", S + "intermediateCatchEvent c parallel=true : signal A + link L\ns > c", " + link L", " + signal B"),
    ("LINK_TARGET_TWICE", LINKS.replace("ld : link M", "ld : link L"), "ld : link L", "ld : link M"),
    ("TIMER_INVALID", S + "intermediateCatchEvent c : timer P1X\ns > c", "P1X", "P1D"),
    ("MESSAGE_MISSING", S + "intermediateCatchEvent c\n.<messageEventDefinition id=\"d\"/>\ns > c", '<messageEventDefinition id="d"/>',
     '<messageEventDefinition id="d" messageRef="M"/>\n^<message id="M" name="m"/>'),
    ("SIGNAL_MISSING", S + "intermediateThrowEvent c\n.<signalEventDefinition id=\"d\"/>\ns > c", '.<signalEventDefinition id="d"/>', ""),
    ("ERROR_MISSING", S + "endEvent e : error\ns > e", ": error", ": error X"),
    ("ESCALATION_MISSING", S + "endEvent e : escalation\ns > e", ": escalation", ": escalation X"),
    ("EVENT_SUB_PROCESS_FLOWS", S + sub("startEvent i : signal X", attrs=" event=true") + "s > sp", "s > sp", ""),
    ("EVENT_SUB_PROCESS_START", S + sub("startEvent i : signal X\nstartEvent j : signal Y", attrs=" event=true"), "\nstartEvent j : signal Y", ""),
    ("EVENT_SUB_PROCESS_START_NONE", S + sub("startEvent i", attrs=" event=true"), "startEvent i", "startEvent i : signal X"),
    ("TRANSACTION_CANCEL_TWICE", S + sub("startEvent i\nendEvent j : cancel\ni > j", "transaction")
     + "boundaryEvent b on=sp : cancel\nboundaryEvent c on=sp : cancel\ntask d\ns > sp\nb > d\nc > d", "c on=sp : cancel", "c on=sp : error X"),
    ("COMPENSATION_HANDLER_FLAG", S + 'task a\nboundaryEvent c on=a : compensate\ntask h\n~<association id="as" sourceRef="c" targetRef="h"/>\ns > a',
     "task h", "task h comp=true"),
]  # fmt: skip

FLOWS = [
    ("FLOW_DANGLING", S + E + "s > e\ns > z", "s > z", ""),
    ("FLOW_CROSSES_SCOPE", S + sub("startEvent i\ntask a\ni > a") + E + "s > sp\nsp > e\ns > a", "\ns > a", ""),
    ("DEFAULT_FLOW_MISSING", S + "exclusiveGateway g default=none\ntask a\ns > g > a", " default=none", ""),
    ("GATEWAY_FLOW_WITHOUT_CONDITION", S + "exclusiveGateway g\ntask a\ntask b\ns > g > a\ng > b ? x", "g > a", "g > a ? y"),
    ("INCLUSIVE_WITHOUT_DEFAULT", S + "inclusiveGateway g\ntask a\ntask b\ns > g\ng > a ? y\ng > b ? x", "g > a ? y", "g > a !"),
    ("ACTIVATION_WITHOUT_JOIN", S + "complexGateway g\n.<activationCondition>=true</activationCondition>\ntask a\ns > g > a",
     ".<activationCondition>=true</activationCondition>", ""),
    ("EVENT_GATEWAY_CONDITION", EBG.replace("g > t > e", "g > t ? x\nt > e"), "g > t ? x", "g > t"),
    ("EVENT_GATEWAY_FLOWS", EBG.replace("\ng > t > e", ""), "s > g", "g > t > e\ns > g"),
    ("EVENT_GATEWAY_TARGET", EBG.replace("intermediateCatchEvent t : timer PT1S", "task t"), "task t", "intermediateCatchEvent t : timer PT1S"),
]  # fmt: skip

ACTIVITIES = [
    ("AD_HOC_EMPTY", S + sub('', "adHocSubProcess") + "s > sp", "{\n\n}", "{\ntask a\n}"),
    ("AD_HOC_START_OR_END", S + sub("startEvent i\ntask a\ni > a", "adHocSubProcess") + "s > sp", "startEvent i\ntask a\ni > a", "task a"),
    ("CALL_WITHOUT_PROCESS", task("", "callActivity"), "callActivity t", "callActivity t calledElement=q"),
    ("RECEIVE_WITHOUT_MESSAGE", task("", "receiveTask"), "receiveTask t", "receiveTask t messageRef=M\n^<message id=\"M\" name=\"m\"/>\n#"),
    ("RULE_WITHOUT_DECISION", task("#", "businessRuleTask"), "#", '<zeebe:taskDefinition type="x"/>'),
    ("FORM_MISSING", task('<zeebe:formDefinition formKey="camunda-forms:bpmn:f"/>', "userTask"), '<zeebe:formDefinition formKey="camunda-forms:bpmn:f"/>', ""),
    ("JOB_TYPE_EMPTY", JOB.replace('type="x"', 'type=""'), 'type=""', 'type="x"'),
    ("LISTENER_EVENT", task('<zeebe:executionListeners><zeebe:executionListener eventType="middle" type="l"/></zeebe:executionListeners>'),
     '"middle"', '"start"'),
    ("LISTENER_WITHOUT_TYPE", task('<zeebe:executionListeners><zeebe:executionListener eventType="start" type=""/></zeebe:executionListeners>'),
     'type=""', 'type="l"'),
    ("LOOP_ENDLESS", task(".<standardLoopCharacteristics/>"), ".<standardLoopCharacteristics/>", '.<standardLoopCharacteristics loopMaximum="3"/>'),
    ("LOOP_WITHOUT_ITEMS", task(".<multiInstanceLoopCharacteristics/>"), ".<multiInstanceLoopCharacteristics/>",
     ".<multiInstanceLoopCharacteristics><loopCardinality>3</loopCardinality></multiInstanceLoopCharacteristics>"),
    ("MAPPING_TARGET", task('<zeebe:ioMapping><zeebe:output source="= 1" target="1a"/></zeebe:ioMapping>'), '"1a"', '"a.b"'),
    ("QUANTITY_INVALID", task("", attrs=" startQuantity=0"), "=0", "=1"),
    ("ASSIGNMENT_INCOMPLETE", task(".<dataInputAssociation id=\"d\"><targetRef>in</targetRef><assignment><from>1</from></assignment></dataInputAssociation>"),
     "<from>1</from>", "<from>1</from><to>x</to>"),
    ("CONDITION_MISSING", COMPLEX.replace("<condition>=x</condition>", ""), "<event>", "<condition>=x</condition><event>"),
    ("LOOP_EVENT_KIND", COMPLEX.replace("signalEvent", "compensateEvent"), "compensateEvent", "signalEvent"),
    ("EVENT_DEFINITION_MISSING", task('.<multiInstanceLoopCharacteristics behavior="One" oneBehaviorEventRef="z"><loopCardinality>3</loopCardinality>'
     '</multiInstanceLoopCharacteristics>\n^<signal id="S" name="s"/>\n^<signalEventDefinition id="d" signalRef="S"/>'), 'Ref="z"', 'Ref="d"'),
]  # fmt: skip

FILES = [
    ("ID_DUPLICATE", S + "task a\ntask a\ns > a", "task a\ntask a", "task a\ntask b"),
    ("ID_MISSING", '<process id="p" isExecutable="true"><startEvent id="s"/><task/><sequenceFlow id="f" sourceRef="s" targetRef="s"/></process>',
     "<task/>", '<task id="t"/>'),
    ("ELEMENT_UNKNOWN", S + "thing t\ns > t", "thing t", "task t"),
    ("REFERENCE_WRONG_KIND", S + "intermediateThrowEvent c\n.<signalEventDefinition id=\"d\" signalRef=\"M\"/>\n^<message id=\"M\" name=\"m\"/>\n"
     '^<signal id="N" name="n"/>\ns > c', 'signalRef="M"', 'signalRef="N"'),
    ("REFERENCE_ELSEWHERE", '<signal id="M" name="m"/><process id="p" isExecutable="true"><startEvent id="s"/><intermediateThrowEvent xmlns:x="urn:x" id="c">'
     '<signalEventDefinition id="d" signalRef="x:N"/></intermediateThrowEvent><sequenceFlow id="f" sourceRef="s" targetRef="c"/></process>',
     '"x:N"', '"M"'),
    ("CORRELATION_PROPERTY_MISSING", S + '~<correlationSubscription id="cs" correlationKeyRef="K"><correlationPropertyBinding id="b" correlationPropertyRef="Z">'
     '<dataPath>=x</dataPath></correlationPropertyBinding></correlationSubscription>\n^<message id="M" name="m"/>\n^<correlationProperty id="P" name="p">'
     '<correlationPropertyRetrievalExpression id="r" messageRef="M"><messagePath>=x</messagePath></correlationPropertyRetrievalExpression></correlationProperty>',
     '"Z"', '"P"'),
    ("NOT_BPMN", '<definitions xmlns="urn:other"/>', 'xmlns="urn:other"', 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t"'),
]  # fmt: skip

ROWS = EVENTS + FLOWS + ACTIVITIES + FILES

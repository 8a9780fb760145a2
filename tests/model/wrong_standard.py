# ruff: noqa: E501 - a row is a model
"""Rows as in `wrong_flows`: the schema, references, executable processes, items, choreographies and conversations."""


def process(inside: str, attrs: str = ' isExecutable="true"') -> str:
    return f'<process id="p"{attrs}><startEvent id="s"/><sequenceFlow id="f0" sourceRef="s" targetRef="t"/>{inside}</process>'


TASK = '<task id="t"/>'
FORMAL = ' xsi:type="tFormalExpression"'
ITEMS = '<itemDefinition id="A" structureRef="A"/><itemDefinition id="B" structureRef="B"/>'
OPERATION = (
    ITEMS + '<message id="M" itemRef="A"/><message id="N" itemRef="B"/>'
    '<interface id="I" name="i"><operation id="O" name="o"><inMessageRef>M</inMessageRef></operation></interface>'
)
IN = '<dataInput id="d" itemSubjectRef="A"/>'
SETS = "<inputSet><dataInputRefs>d</dataInputRefs></inputSet><outputSet/>"
IO = f"<ioSpecification>{IN}{SETS}</ioSpecification>"
LOOP = (
    '<task id="t"><ioSpecification><dataInput id="d" isCollection="true"/><inputSet><dataInputRefs>d</dataInputRefs></inputSet><outputSet/></ioSpecification>'
    "<multiInstanceLoopCharacteristics><loopDataInputRef>d</loopDataInputRef></multiInstanceLoopCharacteristics></task>"
)
POOLS = '<participant id="X"/><participant id="Y"/><messageFlow id="m1" sourceRef="X" targetRef="Y"/><messageFlow id="m2" sourceRef="Y" targetRef="X"/>'


def activity(
    id: str, initiator: str = "X", flows: str = "<messageFlowRef>m1</messageFlowRef>", refs: str = "XY", tag: str = "choreographyTask"
) -> str:
    participants = "".join(f"<participantRef>{p}</participantRef>" for p in refs)
    return f'<{tag} id="{id}" initiatingParticipantRef="{initiator}">{participants}{flows}</{tag}>'


def choreography(inside: str, pools: str = POOLS) -> str:
    return (
        f'<choreography id="c">{pools}<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="a"/>{inside}'
        '<sequenceFlow id="g" sourceRef="a" targetRef="e"/><endEvent id="e"/></choreography>'
    )


DI = 'xmlns:d="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:di="http://www.omg.org/spec/DD/20100524/DI"'
DIAGRAM = (
    f'<d:BPMNDiagram {DI}><d:BPMNPlane id="plane" bpmnElement="p"><d:BPMNEdge id="edge" bpmnElement="f0">'
    "<di:waypoint x='1' y='1'/></d:BPMNEdge></d:BPMNPlane></d:BPMNDiagram>"
)

ROWS = [
    ("SCHEMA_PLACE", process('<x:include xmlns:x="u" href="a"/>' + TASK), '<x:include xmlns:x="u" href="a"/>', ""),
    ("SCHEMA_PLACE", process('<property id="q"/>' + TASK) + '<property id="lost"/>', '<property id="lost"/>', ""),
    ("SCHEMA_CHILD_MISSING", process(TASK) + '<relationship id="rel" type="x"><source>t</source></relationship>', "</source>", "</source><target>s</target>"),
    ("SCHEMA_CHILD_TWICE", process('<scriptTask id="t" scriptFormat="text/x"><script>1</script><script>2</script></scriptTask>'), "<script>2</script>", ""),
    ("SCHEMA_ATTRIBUTE_MISSING", process(TASK) + '<resource id="res"/>', '"res"', '"res" name="r"'),
    ("SCHEMA_ATTRIBUTE_UNKNOWN", process('<task id="t" colour="red"/>'), ' colour="red"', ""),
    ("SCHEMA_VALUE", process('<task id="t"><standardLoopCharacteristics loopMaximum="ten"/></task>'), '"ten"', '"10"'),
    ("REFERENCE_DANGLING", process(TASK) + '<partnerEntity id="e"><participantRef>nobody</participantRef></partnerEntity><collaboration id="c"><participant id="x"/></collaboration>',
     ">nobody<", ">x<"),
    ("REFERENCE_KIND", process(TASK) + '<collaboration id="c"><participant id="x"><interfaceRef>t</interfaceRef></participant></collaboration>',
     "<interfaceRef>t</interfaceRef>", ""),
    ("EVENT_DEFINITION_NOT_ROOT", process('<intermediateThrowEvent id="t"><signalEventDefinition id="d" signalRef="S"/></intermediateThrowEvent>'
     '<boundaryEvent id="b" attachedToRef="t"><eventDefinitionRef>d</eventDefinitionRef></boundaryEvent>') + '<signal id="S"/><signalEventDefinition id="e" signalRef="S"/>',
     "<eventDefinitionRef>d", "<eventDefinitionRef>e"),
    ("CONDITION_NOT_BOOLEAN", process('<exclusiveGateway id="t"/><task id="a"/><sequenceFlow id="f1" sourceRef="t" targetRef="a">'
     f"<conditionExpression{FORMAL}>= count(x) + 1</conditionExpression></sequenceFlow>"), "count(x) + 1", "count(x) = 1"),
    ("EXPRESSION_NATURAL", process('<exclusiveGateway id="t"/><task id="a"/><sequenceFlow id="f1" sourceRef="t" targetRef="a">'
     "<conditionExpression>= x</conditionExpression></sequenceFlow>"), "<conditionExpression>", f"<conditionExpression{FORMAL}>"),
    ("EXPRESSION_EMPTY", process('<exclusiveGateway id="t"/><task id="a"/><sequenceFlow id="f1" sourceRef="t" targetRef="a">'
     f"<conditionExpression{FORMAL}></conditionExpression></sequenceFlow>"), "></conditionExpression>", ">= x</conditionExpression>"),
    ("MEDIA_TYPE", process('<scriptTask id="t" scriptFormat="feel"><script>1</script></scriptTask>'), '"feel"', '"text/feel"'),
    ("PUBLIC_EXECUTABLE", process(TASK, ' isExecutable="true" processType="Public"'), "Public", "Private"),
    ("IO_OF_SUB_PROCESS", process('<subProcess id="t"><ioSpecification><inputSet/><outputSet/></ioSpecification><task id="i"/></subProcess>'),
     "<ioSpecification><inputSet/><outputSet/></ioSpecification>", ""),
    ("COMPENSATION_NOT_INTERRUPTING", process(TASK + '<boundaryEvent id="b" attachedToRef="t" cancelActivity="false"><compensateEventDefinition/></boundaryEvent>'
     '<task id="h" isForCompensation="true"/><association id="q" sourceRef="b" targetRef="h"/>'), ' cancelActivity="false"', ""),
    ("INTERMEDIATE_WITHOUT_INCOMING", process(TASK + '<intermediateThrowEvent id="i"/><sequenceFlow id="f1" sourceRef="i" targetRef="t"/>'),
     "</process>", '<sequenceFlow id="f2" sourceRef="s" targetRef="i"/></process>'),
    ("INTERMEDIATE_WITHOUT_OUTGOING", process('<intermediateThrowEvent id="t"/><task id="a"/>'), "</process>",
     '<sequenceFlow id="f2" sourceRef="t" targetRef="a"/></process>'),
    ("MESSAGE_THROWN_MISSING", process('<endEvent id="t"><messageEventDefinition/></endEvent>') + '<message id="M"/>', "<messageEventDefinition/>",
     '<messageEventDefinition messageRef="M"/>'),
    ("MESSAGE_OPERATION_MISSING", OPERATION + process('<endEvent id="t"><messageEventDefinition messageRef="M"></messageEventDefinition></endEvent>'),
     "></messageEventDefinition>", "><operationRef>O</operationRef></messageEventDefinition>"),
    ("THROWN_CODE_MISSING", '<error id="E" name="e"/>' + process('<endEvent id="t"><errorEventDefinition errorRef="E"/></endEvent>'), 'name="e"', 'errorCode="e"'),
    ("FLOW_CHILD_MISSING", process('<task id="t"><incoming>f0</incoming></task>'), '<startEvent id="s"/>', '<startEvent id="s"><outgoing>f0</outgoing></startEvent>'),
    ("LINK_DISAGREES", process(
        '<intermediateThrowEvent id="t"><linkEventDefinition id="l1" name="l"><target>l2</target></linkEventDefinition></intermediateThrowEvent>'
        '<intermediateThrowEvent id="t2"><linkEventDefinition id="l3" name="l"><target>l2</target></linkEventDefinition></intermediateThrowEvent>'
        '<intermediateCatchEvent id="k"><linkEventDefinition id="l2" name="l"><source>l3</source></linkEventDefinition></intermediateCatchEvent>'),
     "<source>l3</source>", "<source>l3</source><source>l1</source>"),
    ("IO_NUMBER", OPERATION + process(f'<serviceTask id="t" operationRef="O"><ioSpecification>{IN}<dataInput id="d2"/>'
     "<inputSet><dataInputRefs>d</dataInputRefs><dataInputRefs>d2</dataInputRefs></inputSet><outputSet/></ioSpecification></serviceTask>"),
     '<dataInput id="d2"/><inputSet><dataInputRefs>d</dataInputRefs><dataInputRefs>d2</dataInputRefs></inputSet>', "<inputSet><dataInputRefs>d</dataInputRefs></inputSet>"),
    ("IO_CALLED_DIFFERS", ITEMS + process(f'<callActivity id="t" calledElement="q">{IO.replace("SubjectRef=" + chr(34) + "A", "SubjectRef=" + chr(34) + "B")}</callActivity>')
     + f'<process id="q" isExecutable="true">{IO.replace(chr(34) + "d" + chr(34), chr(34) + "e" + chr(34)).replace(">d<", ">e<")}<startEvent id="qs"/></process>',
     '<dataInput id="d" itemSubjectRef="B"/>', '<dataInput id="d" itemSubjectRef="A"/>'),
    ("IO_BINDING_MISSING", OPERATION + '<process id="q" isExecutable="true"><supportedInterfaceRef>I</supportedInterfaceRef>' + IO + '<startEvent id="qs"/></process>',
     "</ioSpecification>", '</ioSpecification><ioBinding operationRef="O" inputDataRef="d" outputDataRef="d"/>'),
    ("IO_BINDING_FOREIGN", OPERATION + '<process id="q" isExecutable="true"><supportedInterfaceRef>I</supportedInterfaceRef>'
     + IO.replace("<outputSet/>", '<outputSet id="os"/>') + '<ioBinding operationRef="O" inputDataRef="d" outputDataRef="qs"/><startEvent id="qs"/></process>',
     'outputDataRef="qs"', 'outputDataRef="os"'),
    ("ITEM_DIFFERS", OPERATION + process(f'<sendTask id="t" messageRef="N">{IO}</sendTask>'), 'messageRef="N"', 'messageRef="M"'),
    ("DATA_DIRECTION", '<process id="p" isExecutable="true"><ioSpecification><dataInput id="pin"/><dataOutput id="pout"/><inputSet><dataInputRefs>pin</dataInputRefs></inputSet>'
     "<outputSet><dataOutputRefs>pout</dataOutputRefs></outputSet></ioSpecification>"
     '<startEvent id="s"><dataOutput id="so"/><dataOutputAssociation id="da"><sourceRef>so</sourceRef><targetRef>pin</targetRef></dataOutputAssociation></startEvent></process>',
     "<targetRef>pin<", "<targetRef>pout<"),
    ("LOOP_DATA_NO_COLLECTION", process(LOOP.replace('isCollection="true"', 'isCollection="false"')), 'isCollection="false"', 'isCollection="true"'),
    ("PROCESS_NOT_RUN", process("<exclusiveGateway id='t'/><task id='a'/><endEvent id='e'><timerEventDefinition/></endEvent>", ""), "<timerEventDefinition/>", ""),
    ("CHOREOGRAPHY_PARTICIPANTS", choreography(activity("a", refs="XYZ"), POOLS + '<participant id="Z"/>'), "<participantRef>Z</participantRef>", ""),
    ("CHOREOGRAPHY_INITIATOR", choreography(activity("a", initiator="Z"), POOLS + '<participant id="Z"/>'), 'initiatingParticipantRef="Z"', 'initiatingParticipantRef="X"'),
    ("CHOREOGRAPHY_MESSAGES", choreography(activity("a", flows="<messageFlowRef>m2</messageFlowRef>")), "<messageFlowRef>m2", "<messageFlowRef>m1"),
    ("CHOREOGRAPHY_SEQUENCE", choreography(activity("b", refs="ZY", initiator="Z", flows="") + activity("a") + '<sequenceFlow id="ab" sourceRef="b" targetRef="a"/>'
     , POOLS + '<participant id="Z"/>'), '<participantRef>Z</participantRef>', '<participantRef>X</participantRef>'),
    ("CHOREOGRAPHY_EVENT_KIND", choreography(activity("a")).replace('<endEvent id="e"/>', '<endEvent id="e"><messageEventDefinition/></endEvent>'),
     "<messageEventDefinition/>", "<terminateEventDefinition/>"),
    ("CHOREOGRAPHY_CONTENT", choreography(activity("a") + '<task id="t"/>'), '<task id="t"/>', ""),
    ("CHOREOGRAPHY_FLOW", choreography(activity("a") + '<intermediateThrowEvent id="i"/><sequenceFlow id="h" sourceRef="a" targetRef="i"/>'),
     "</choreography>", '<sequenceFlow id="k" sourceRef="i" targetRef="e"/></choreography>'),
    ("CHOREOGRAPHY_IN_PROCESS", f'<collaboration id="c">{POOLS}</collaboration>' + process(TASK + activity("a")), activity("a"), ""),
    ("CONVERSATION_PARTICIPANTS", f'<collaboration id="c">{POOLS}<conversation id="n"><participantRef>X</participantRef></conversation></collaboration>',
     "</conversation>", "<participantRef>Y</participantRef></conversation>"),
    ("CHOREOGRAPHY_GATEWAY", choreography(activity("a") + '<eventBasedGateway id="w"/><sequenceFlow id="h" sourceRef="a" targetRef="w"/><intermediateCatchEvent id="i">'
     '<signalEventDefinition/></intermediateCatchEvent><sequenceFlow id="k" sourceRef="w" targetRef="i"/><sequenceFlow id="l" sourceRef="i" targetRef="e"/>'
     '<intermediateCatchEvent id="j"><conditionalEventDefinition><condition/></conditionalEventDefinition></intermediateCatchEvent>'
     '<sequenceFlow id="m" sourceRef="w" targetRef="j"/><sequenceFlow id="n" sourceRef="j" targetRef="e"/>'),
     "<conditionalEventDefinition><condition/></conditionalEventDefinition>", "<signalEventDefinition/>"),
    ("CONVERSATION_FOREIGN", f'<collaboration id="c">{POOLS}<conversation id="n"><participantRef>X</participantRef><participantRef>Q</participantRef></conversation></collaboration>'
     '<collaboration id="o"><participant id="Q"/></collaboration>', "<participantRef>Q<", "<participantRef>Y<"),
    ("CONVERSATION_LINK", f'<collaboration id="c">{POOLS}<conversation id="n"><participantRef>X</participantRef><participantRef>Y</participantRef></conversation>'
     '<conversationLink id="l" sourceRef="X" targetRef="Y"/></collaboration>', 'targetRef="Y"/></coll', 'targetRef="n"/></coll'),
    ("PARTICIPANT_ASSOCIATION", '<choreography id="inner"><participant id="I"/><participant id="J"/></choreography>'
     + choreography(activity("a", tag="callChoreography", flows='<participantAssociation id="pa"><innerParticipantRef>X</innerParticipantRef>'
     "<outerParticipantRef>X</outerParticipantRef></participantAssociation>").replace("<callChoreography ", '<callChoreography calledChoreographyRef="inner" ')),
     "<innerParticipantRef>X", "<innerParticipantRef>I"),
    ("RESOURCE_BINDING_ALONE", '<resource id="res" name="r"><resourceParameter id="rp"/></resource>' + process('<task id="t"><resourceRole id="ro">'
     f'<resourceParameterBinding parameterRef="rp"><expression{FORMAL}>= 1</expression></resourceParameterBinding></resourceRole></task>'),
     "<resourceParameterBinding", "<resourceRef>res</resourceRef><resourceParameterBinding"),
    ("DIAGRAM_FORM", process(TASK) + DIAGRAM, "<di:waypoint x='1' y='1'/></d:BPMNEdge", "<di:waypoint x='1' y='1'/><di:waypoint x='9' y='1'/></d:BPMNEdge"),
    ("GLOBAL_CONVERSATION_CONTENT", f'<globalConversation id="c">{POOLS}<conversation id="n"><participantRef>X</participantRef><participantRef>Y</participantRef></conversation>'
     "</globalConversation>", "globalConversation", "collaboration"),
]  # fmt: skip

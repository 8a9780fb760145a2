"""Rows: (code, a model that has it, what to replace in it, by what): the file, activities, data, collaboration. See `wrong_flows.py`."""

from notation import NAMESPACES
from wrong_flows import UNDO, sub

RUN = '<process id="p" isExecutable="true"><startEvent id="s"/></process>'
HEAD = f'<definitions {NAMESPACES} id="d" targetNamespace="t">'


def twice(kind: str, attribute: str) -> str:
    return f'<{kind} id="a" {attribute}="x"/><{kind} id="b" {attribute}="x"/>{RUN}'


def operation(content: str, task: str = "") -> str:
    return (f'<message id="m" name="m"/><message id="n" name="n"/><error id="er" errorCode="1"/><interface id="i" name="i">'
            f'<operation id="o" name="o">{content}</operation></interface><process id="p" isExecutable="true"><startEvent id="s"/>{task}</process>')  # fmt: skip


def role(content: str) -> str:
    return (f'<resource id="r" name="r"><resourceParameter id="rp" name="rp"/></resource><process id="p" isExecutable="true"><startEvent id="s"/>'
            f'<userTask id="u"><potentialOwner id="po">{content}</potentialOwner></userTask></process>')  # fmt: skip


def diagram(content: str) -> str:
    return (RUN + '<bpmndi:BPMNDiagram xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI" id="di"><bpmndi:BPMNPlane id="pl" bpmnElement="p">'
            + content + "</bpmndi:BPMNPlane></bpmndi:BPMNDiagram>")  # fmt: skip


STRUCTURE = [
    ("ID_NOT_NCNAME", '<process id="1 p" isExecutable="true"><startEvent id="s"/></process>', "1 p", "p1"),
    ("PROCESS_ID_MISSING", '<process isExecutable="true"><startEvent id="s"/></process>', "<process", '<process id="p"'),
    ("NOTHING_EXECUTABLE", RUN.replace("true", "false"), "false", "true"),
    ("TARGET_NAMESPACE_MISSING", HEAD.replace(' targetNamespace="t"', "") + RUN + "</definitions>", 'id="d"', 'id="d" targetNamespace="t"'),
    ("IMPORT_NOT_FOLLOWED", '<import importType="x" location="o.xsd" namespace="n"/>' + RUN, '<import importType="x" location="o.xsd" namespace="n"/>', ""),
    ("EXPRESSION_LANGUAGE", HEAD.replace(' id="d"', ' id="d" expressionLanguage="http://www.java.com/java"') + RUN + "</definitions>", "http://www.java.com/java",
     "https://www.omg.org/spec/DMN/20191111/FEEL/"),
    ("EXTENSION_MUST_UNDERSTAND", '<extension xmlns:o="urn:o" mustUnderstand="true" definition="o:x"/>' + RUN, 'mustUnderstand="true"', 'mustUnderstand="false"'),
    ("ATTRIBUTE_NOT_BOOLEAN", RUN.replace("true", "yes"), "yes", "true"),
    ("ATTRIBUTE_WORD", 'exclusiveGateway x gatewayDirection="Sideways"', "Sideways", "Unspecified"),
    ("DIAGRAM_REFERENCE", diagram('<bpmndi:BPMNShape id="sh" bpmnElement="zz"/>'), 'bpmnElement="zz"', 'bpmnElement="s"'),
    ("DIAGRAM_TWICE", diagram('<bpmndi:BPMNShape id="sh" bpmnElement="s"/><bpmndi:BPMNShape id="si" bpmnElement="s"/>'),
     '<bpmndi:BPMNShape id="si" bpmnElement="s"/>', ""),
    ("MESSAGE_NAME_MISSING", '<message id="m"/>' + RUN, 'id="m"', 'id="m" name="m"'),
    ("MESSAGE_NAME_TWICE", twice("message", "name"), '"b" name="x"', '"b" name="y"'),
    ("MESSAGE_ITEM_MISSING", '<itemDefinition id="i"/><message id="m" name="m" itemRef="j"/>' + RUN, 'itemRef="j"', 'itemRef="i"'),
    ("SIGNAL_NAME_MISSING", '<signal id="m"/>' + RUN, 'id="m"', 'id="m" name="m"'),
    ("SIGNAL_NAME_TWICE", twice("signal", "name"), '"b" name="x"', '"b" name="y"'),
    ("SIGNAL_ITEM_MISSING", '<itemDefinition id="i"/><signal id="m" name="m" structureRef="j"/>' + RUN, 'Ref="j"', 'Ref="i"'),
    ("ERROR_CODE_MISSING", '<error id="m"/>' + RUN, 'id="m"', 'id="m" errorCode="m"'),
    ("ERROR_CODE_TWICE", twice("error", "errorCode"), '"b" errorCode="x"', '"b" errorCode="y"'),
    ("ERROR_ITEM_MISSING", '<itemDefinition id="i"/><error id="m" errorCode="m" structureRef="j"/>' + RUN, 'Ref="j"', 'Ref="i"'),
    ("ESCALATION_CODE_MISSING", '<escalation id="m"/>' + RUN, 'id="m"', 'id="m" escalationCode="m"'),
    ("ESCALATION_CODE_TWICE", twice("escalation", "escalationCode"), '"b" escalationCode="x"', '"b" escalationCode="y"'),
    ("ESCALATION_ITEM_MISSING", '<itemDefinition id="i"/><escalation id="m" escalationCode="m" structureRef="j"/>' + RUN, 'Ref="j"', 'Ref="i"'),
    ("INTERFACE_EMPTY", '<message id="m" name="m"/><interface id="i" name="i"></interface>' + RUN, "></interface>",
     '><operation id="o" name="o"><inMessageRef>m</inMessageRef></operation></interface>'),
    ("OPERATION_WITHOUT_MESSAGE", operation(""), 'name="o">', 'name="o"><inMessageRef>m</inMessageRef>'),
    ("OPERATION_MESSAGE_MISSING", operation("<inMessageRef>zz</inMessageRef>"), "zz", "m"),
    ("OPERATION_ERROR_MISSING", operation("<inMessageRef>m</inMessageRef><errorRef>zz</errorRef>"), "zz", "er"),
    ("OPERATION_MISSING", operation("<inMessageRef>m</inMessageRef>", '<serviceTask id="t" operationRef="zz"/>'), "zz", "o"),
    ("OPERATION_MESSAGE_DIFFERS", operation("<inMessageRef>m</inMessageRef>", '<sendTask id="t" messageRef="n" operationRef="o"/>'), 'Ref="n"', 'Ref="m"'),
    ("INTERFACE_MISSING", operation("<inMessageRef>m</inMessageRef>", "<supportedInterfaceRef>zz</supportedInterfaceRef>"), "zz", "i"),
    ("RESOURCE_MISSING", role("<resourceRef>zz</resourceRef>"), "zz", "r"),
    ("RESOURCE_AND_ASSIGNMENT", role("<resourceRef>r</resourceRef><resourceAssignmentExpression><formalExpression>x</formalExpression>"
                                     "</resourceAssignmentExpression>"), "<resourceRef>r</resourceRef>", ""),
    ("RESOURCE_PARAMETER_MISSING", role('<resourceRef>r</resourceRef><resourceParameterBinding id="b" parameterRef="zz"/>'), "zz", "rp"),
    ("ASSOCIATION_END_MISSING", UNDO.replace('targetRef="h"', 'targetRef="zz"'), "zz", "h"),
]  # fmt: skip

MULTI = ".<multiInstanceLoopCharacteristics>{}</multiInstanceLoopCharacteristics>"


def multi(attrs: str = "", zeebe: str = "", content: str = "") -> str:
    extension = f"<extensionElements><zeebe:loopCharacteristics {zeebe}/></extensionElements>" if zeebe else ""
    return f"task a\n.<multiInstanceLoopCharacteristics {attrs}>{extension}{content}</multiInstanceLoopCharacteristics>"


ITEMS = 'inputCollection="= xs" inputElement="x"'
EVERY = '^<signal id="sg" name="sg"/>\n^<signalEventDefinition id="sd" signalRef="sg"/>\n'
CALL = 'callActivity c\n<zeebe:calledElement processId="q"/>'
TWO = ('<process id="p" isExecutable="true"><startEvent id="s"/><callActivity id="c" calledElement="q"/></process>'
       '<process id="q" isExecutable="true"><startEvent id="qs"><signalEventDefinition signalRef="sg"/></startEvent></process><signal id="sg" name="sg"/>')  # fmt: skip
ACTIVITIES = [
    ("LOOP_BOTH", "task a\n.<standardLoopCharacteristics loopMaximum=\"2\"/>\n" + MULTI.format("<loopCardinality>2</loopCardinality>"),
     ".<standardLoopCharacteristics loopMaximum=\"2\"/>\n", ""),
    ("LOOP_MAXIMUM_INVALID", 'task a\n.<standardLoopCharacteristics loopMaximum="-1"/>', "-1", "1"),
    ("LOOP_MAXIMUM_ZERO", 'task a\n.<standardLoopCharacteristics loopMaximum="0"/>', '"0"', '"1"'),
    ("LOOP_CARDINALITY_INVALID", "task a\n" + MULTI.format("<loopCardinality>-2</loopCardinality>"), "-2", "2"),
    ("LOOP_CONDITION_CONSTANT", "task a\n.<standardLoopCharacteristics><loopCondition>true</loopCondition></standardLoopCharacteristics>", "true", "more"),
    ("LOOP_COMPLETION_CONSTANT", multi(zeebe=ITEMS, content="<completionCondition>false</completionCondition>"), "false", "done"),
    ("LOOP_ITEMS_TWICE", multi(zeebe=ITEMS, content="<loopCardinality>2</loopCardinality>"), "<loopCardinality>2</loopCardinality>", ""),
    ("LOOP_ELEMENT_MISSING", multi(zeebe='inputCollection="= xs"'), "/></ext", ' inputElement="x"/></ext'),
    ("LOOP_OUTPUT_HALF", multi(zeebe=ITEMS + ' outputCollection="ys"'), "/></ext", ' outputElement="= y"/></ext'),
    ("LOOP_BEHAVIOR_EVENT_MISSING", EVERY + multi('behavior="None"', ITEMS), 'behavior="None"', 'behavior="None" noneBehaviorEventRef="sd"'),
    ("LOOP_BEHAVIOR_EVENT_UNUSED", EVERY + multi('noneBehaviorEventRef="sd"', ITEMS), 'none', 'behavior="None" none'),
    ("COMPENSATION_HANDLER_FLOWS", UNDO + "task z\nh > z", "h > z", ""),
    ("COMPENSATION_HANDLER_UNUSED", UNDO + "task z comp=true", "task z comp=true", "task z"),
    ("COMPENSATION_HANDLER_SEVERAL", UNDO + 'task k comp=true\n~<association id="a2" sourceRef="c" targetRef="k"/>', 'id="a2" sourceRef="c"', 'id="a2" sourceRef="h"'),
    ("COMPENSATION_BOUNDARY_TWICE", UNDO + 'boundaryEvent c2 on=a : compensate\n~<association id="a2" sourceRef="c2" targetRef="h"/>', "c2 on=a : compensate",
     "c2 on=a : signal S"),
    ("RECEIVE_START_INCOMING", 'receiveTask t messageRef=msg_M instantiate=true\ntask k\nk > t\nintermediateThrowEvent x : message M', "k > t", ""),
    ("RECEIVE_START_NESTED", sub('receiveTask t messageRef=msg_M instantiate=true\nintermediateThrowEvent x : message M'), " instantiate=true", ""),
    ("RECEIVE_START_LOOP", 'receiveTask t messageRef=msg_M instantiate=true\n.<standardLoopCharacteristics loopMaximum="2"/>\nintermediateThrowEvent x : message M',
     " instantiate=true", ""),
    ("SEND_WITHOUT_MESSAGE", "sendTask t", "sendTask t", 'sendTask t\n<zeebe:taskDefinition type="x"/>'),
    ("SERVICE_WITHOUT_TYPE", "serviceTask t", "serviceTask t", 'serviceTask t\n<zeebe:taskDefinition type="x"/>'),
    ("SCRIPT_MISSING", "scriptTask t", "scriptTask t", 'scriptTask t\n<zeebe:script expression="= 1" resultVariable="x"/>'),
    ("SCRIPT_FORMAT_MISSING", "scriptTask t\n.<script>1 + 1</script>", "scriptTask t", "scriptTask t scriptFormat=feel"),
    ("SCRIPT_RESULT_MISSING", 'scriptTask t\n<zeebe:script expression="= 1"/>', '= 1"', '= 1" resultVariable="x"'),
    ("CALLED_ELSEWHERE", CALL, 'processId="q"', 'processId="p"'),
    ("CALLED_NOT_EXECUTABLE", TWO.replace('id="q" isExecutable="true"', 'id="q" isExecutable="false"'), "false", "true"),
    ("CALLED_WITHOUT_NONE_START", TWO, '<signalEventDefinition signalRef="sg"/>', ""),
    ("CALLED_ITSELF", CALL.replace('"q"', '"p"'), '"p"', '"q"'),
    ("BINDING_INVALID", CALL.replace('"q"', '"q" bindingType="newest"'), "newest", "latest"),
    ("BINDING_TAG_MISSING", CALL.replace('"q"', '"q" bindingType="versionTag"'), '"versionTag"', '"versionTag" versionTag="v1"'),
    ("BINDING_TAG_UNUSED", CALL.replace('"q"', '"q" versionTag="v1"'), ' versionTag="v1"', ""),
    ("VERSION_TAG_EMPTY", '<process id="p" isExecutable="true"><extensionElements><zeebe:versionTag value=""/></extensionElements><startEvent id="s"/></process>',
     'value=""', 'value="v1"'),
    ("RETRIES_INVALID", 'serviceTask t\n<zeebe:taskDefinition type="x" retries="many"/>', "many", "= n"),
    ("HEADER_WITHOUT_KEY", 'serviceTask t\n<zeebe:taskHeaders><zeebe:header value="1"/></zeebe:taskHeaders>', "header value", 'header key="k" value'),
    ("HEADER_TWICE", 'serviceTask t\n<zeebe:taskHeaders><zeebe:header key="k" value="1"/><zeebe:header key="k" value="2"/></zeebe:taskHeaders>',
     'key="k" value="2"', 'key="j" value="2"'),
    ("MAPPING_TWICE", 'task t\n<zeebe:ioMapping><zeebe:input source="= 1" target="a"/><zeebe:input source="= 2" target="a"/></zeebe:ioMapping>',
     '= 2" target="a"', '= 2" target="b"'),
    ("NOT_BY_UNKNOWN", 'userTask t\n<flowledger:task notBy="t, zz"/>', "t, zz", "t"),
    ("NOT_BY_UNKNOWN", 'serviceTask t\n<flowledger:task notBy="t"/>', ' notBy="t"', ""),
    ("STEP_UP_INVALID", 'userTask t\n<flowledger:task stepUp="yes"/>', "yes", "true"),
    ("STEP_UP_INVALID", 'serviceTask t\n<flowledger:task stepUp="true"/>', ' stepUp="true"', ""),
    ("DECISION_RESULT_LOST", 'businessRuleTask t\n<zeebe:calledDecision decisionId="d"/>', '"d"', '"d" resultVariable="x"'),
]  # fmt: skip


def with_data(content: str, task: str = "") -> str:
    return ('<itemDefinition id="item" isCollection="true"/><dataStore id="store" name="store"/><process id="p" isExecutable="true">'
            f'<dataObject id="do"/><dataObjectReference id="dr" dataObjectRef="do"/><startEvent id="s"/>{content}'
            f'<task id="t">{task}</task><task id="t2"><ioSpecification id="io2"><dataInput id="other"/><dataOutput id="othero"/></ioSpecification></task>'
            "</process>")  # fmt: skip


def io(sets: str = "<inputSet id=\"is\"><dataInputRefs>inp</dataInputRefs></inputSet><outputSet id=\"os\"><dataOutputRefs>out</dataOutputRefs></outputSet>",
       more: str = "") -> str:  # fmt: skip
    return with_data("", f'<ioSpecification id="io"><dataInput id="inp"/><dataOutput id="out"/>{sets}</ioSpecification>{more}')


INTO = '<dataInputAssociation id="da"><sourceRef>dr</sourceRef><targetRef>inp</targetRef></dataInputAssociation>'
OUT = '<dataOutputAssociation id="da"><sourceRef>out</sourceRef><targetRef>dr</targetRef></dataOutputAssociation>'
INNER = '<subProcess id="sp"><dataObject id="do2"/><startEvent id="i"/></subProcess>'
PAIR = ('<inputSet id="is"><dataInputRefs>inp</dataInputRefs><outputSetRefs>{}</outputSetRefs></inputSet>'
        '<outputSet id="os"><dataOutputRefs>out</dataOutputRefs><inputSetRefs>is</inputSetRefs></outputSet>')  # fmt: skip
DATA = [
    ("DATA_OBJECT_MISSING", with_data('<dataObjectReference id="d2" dataObjectRef="zz"/>'), "zz", "do"),
    ("DATA_STORE_MISSING", with_data('<dataStoreReference id="d2" dataStoreRef="zz"/>'), "zz", "store"),
    ("DATA_ITEM_MISSING", with_data('<dataObject id="d2" itemSubjectRef="zz"/>'), "zz", "item"),
    ("DATA_COLLECTION_DISAGREES", with_data('<dataObject id="d2" isCollection="false" itemSubjectRef="item"/>'), 'isCollection="false"', 'isCollection="true"'),
    ("DATA_STORE_CAPACITY", '<dataStore id="x" name="x" capacity="big"/>' + RUN, "big", "12"),
    ("DATA_NOT_VISIBLE", io(more=INTO.replace("dr", "do2")).replace("<startEvent", INNER + "<startEvent", 1), "<sourceRef>do2", "<sourceRef>do"),
    ("DATA_ASSOCIATION_END_KIND", io(more=INTO.replace("dr", "s")), "<sourceRef>s<", "<sourceRef>dr<"),
    ("DATA_ASSOCIATION_SOURCES", io(more=INTO.replace("<targetRef>", "<sourceRef>do</sourceRef><targetRef>")), "<sourceRef>do</sourceRef>", ""),
    ("DATA_ASSOCIATION_NO_TARGET", io(more=INTO.replace("<targetRef>inp</targetRef>", "")), "dr</sourceRef>", "dr</sourceRef><targetRef>inp</targetRef>"),
    ("DATA_INPUT_TARGET_FOREIGN", io(more=INTO.replace(">inp<", ">other<")), ">other<", ">inp<"),
    ("DATA_OUTPUT_SOURCE_FOREIGN", io(more=OUT.replace(">out<", ">othero<")), ">othero<", ">out<"),
    ("EVENT_CATCH_HAS_INPUT", 'startEvent s\n.<dataInput id="x"/>', "dataInput", "dataOutput"),
    ("EVENT_THROW_HAS_OUTPUT", 'endEvent s\n.<dataOutput id="x"/>', "dataOutput", "dataInput"),
    ("IO_INPUT_SET_MISSING", 'task t\n.<ioSpecification id="io"><outputSet id="os"/></ioSpecification>', "<outputSet", '<inputSet id="is"/><outputSet'),
    ("IO_OUTPUT_SET_MISSING", 'task t\n.<ioSpecification id="io"><inputSet id="is"/></ioSpecification>', "<inputSet", '<outputSet id="os"/><inputSet'),
    ("IO_INPUT_MISSING", io().replace("<dataInputRefs>inp", "<dataInputRefs>zz"), "zz", "inp"),
    ("IO_OUTPUT_MISSING", io().replace("<dataOutputRefs>out", "<dataOutputRefs>zz"), "zz", "out"),
    ("IO_INPUT_UNUSED", io().replace("<dataInputRefs>inp</dataInputRefs>", ""), '<dataInput id="inp"/>', ""),
    ("IO_OUTPUT_UNUSED", io().replace("<dataOutputRefs>out</dataOutputRefs>", ""), '<dataOutput id="out"/>', ""),
    ("IO_OPTIONAL_NOT_IN_SET", io().replace("</dataInputRefs>", "</dataInputRefs><optionalInputRefs>zz</optionalInputRefs>"), "zz", "inp"),
    ("IO_SET_PAIR_MISSING", io(PAIR.format("zz")), "zz", "os"),
    ("IO_SET_PAIR_ONE_SIDED", io(PAIR.format("os")).replace("<inputSetRefs>is</inputSetRefs>", ""), "<outputSetRefs>os</outputSetRefs>", ""),
    ("LOOP_DATA_MISSING", io(more='<multiInstanceLoopCharacteristics id="mi"><loopDataInputRef>zz</loopDataInputRef></multiInstanceLoopCharacteristics>'),
     "zz", "inp"),
]  # fmt: skip


def pools(flow: str = "", more: str = "", process: str = "") -> str:
    return ('<message id="m" name="m"/><message id="n" name="n"/><collaboration id="co"><participant id="pa" processRef="p"/>'
            f'<participant id="pb" processRef="q"/>{more}{flow}</collaboration>'
            f'<process id="p" isExecutable="true"><startEvent id="s"/><sendTask id="st" messageRef="m"/><task id="ta"/><exclusiveGateway id="g"/>{process}</process>'
            '<process id="q" isExecutable="false"><startEvent id="qs"/><receiveTask id="rt" messageRef="m"/><exclusiveGateway id="qg"/><endEvent id="qe"/>'
            "</process>")  # fmt: skip


def flow(source: str, target: str, attrs: str = "") -> str:
    return f'<messageFlow id="mf" sourceRef="{source}" targetRef="{target}" {attrs}/>'


def lanes(content: str) -> str:
    return pools(process=f'<laneSet id="ls">{content}</laneSet>')


ALL = "".join(f"<flowNodeRef>{n}</flowNodeRef>" for n in ("s", "st", "ta", "g"))


def correlation(prop: str = "<correlationPropertyRetrievalExpression id=\"re\" messageRef=\"m\"><messagePath>a</messagePath></correlationPropertyRetrievalExpression>",
                key: str = "<correlationPropertyRef>cp</correlationPropertyRef>",
                bind: str = '<correlationPropertyBinding id="bi" correlationPropertyRef="cp"><dataPath>x</dataPath></correlationPropertyBinding>',
                sub_key: str = "ck") -> str:  # fmt: skip
    return (f'<correlationProperty id="cp" name="cp">{prop}</correlationProperty>'
            + pools(more=f'<correlationKey id="ck" name="ck">{key}</correlationKey>',
                    process=f'<correlationSubscription id="cs" correlationKeyRef="{sub_key}">{bind}</correlationSubscription>'))  # fmt: skip


BINDING = '<correlationPropertyBinding id="bi" correlationPropertyRef="{}"><dataPath>{}</dataPath></correlationPropertyBinding>'
RETRIEVAL = (
    '<correlationPropertyRetrievalExpression id="{}" messageRef="{}"><messagePath>a</messagePath></correlationPropertyRetrievalExpression>'
)
COLLABORATION = [
    ("PARTICIPANT_PROCESS_MISSING", pools(more='<participant id="pc" processRef="zz"/>'), ' processRef="zz"', ""),
    ("PROCESS_IN_TWO_POOLS", pools(more='<participant id="pc" processRef="q"/>'), '"pc" processRef="q"', '"pc"'),
    ("PARTICIPANT_MULTIPLICITY", pools(more='<participant id="pc"><participantMultiplicity id="mu" minimum="3" maximum="2"/></participant>'), '"3"', '"1"'),
    ("MESSAGE_FLOW_DANGLING", pools(flow("st", "zz")), "zz", "rt"),
    ("MESSAGE_FLOW_WITHIN_POOL", pools(flow("st", "ta")), 'targetRef="ta"', 'targetRef="rt"'),
    ("MESSAGE_FLOW_SOURCE", pools(flow("g", "rt")), 'sourceRef="g"', 'sourceRef="st"'),
    ("MESSAGE_FLOW_TARGET", pools(flow("st", "qe")), 'targetRef="qe"', 'targetRef="rt"'),
    ("MESSAGE_FLOW_MESSAGE_MISSING", pools(flow("st", "rt", 'messageRef="zz"')), "zz", "m"),
    ("MESSAGE_FLOW_MESSAGES_DIFFER", pools(flow("st", "rt")).replace('"st" messageRef="m"', '"st" messageRef="n"'), '"st" messageRef="n"', '"st" messageRef="m"'),
    ("LANE_NODE_MISSING", lanes(f'<lane id="l">{ALL}<flowNodeRef>rt</flowNodeRef></lane>'), "<flowNodeRef>rt</flowNodeRef>", ""),
    ("LANE_NODE_TWICE", lanes(f'<lane id="l">{ALL}</lane><lane id="k"><flowNodeRef>s</flowNodeRef></lane>'), '<lane id="k"><flowNodeRef>s</flowNodeRef></lane>', ""),
    ("LANE_EMPTY", lanes(f'<lane id="l">{ALL}</lane><lane id="k"/>'), '<lane id="k"/>', ""),
    ("LANE_NODE_NONE", lanes('<lane id="l"><flowNodeRef>s</flowNodeRef></lane>'), "<flowNodeRef>s</flowNodeRef>", ALL),
    ("CORRELATION_KEY_EMPTY", correlation(key=""), 'name="ck">', 'name="ck"><correlationPropertyRef>cp</correlationPropertyRef>'),
    ("CORRELATION_KEY_PROPERTY", correlation(key="<correlationPropertyRef>zz</correlationPropertyRef>"), "zz", "cp"),
    ("CORRELATION_KEY_MISSING", correlation(sub_key="zz"), "zz", "ck"),
    ("CORRELATION_RETRIEVAL_NONE", correlation(prop=""), 'name="cp">', 'name="cp">' + RETRIEVAL.format("re", "m")),
    ("CORRELATION_RETRIEVAL_MESSAGE", correlation(prop=RETRIEVAL.format("re", "zz")), "zz", "m"),
    ("CORRELATION_RETRIEVAL_PATH", correlation(prop=RETRIEVAL.format("re", "m").replace("a</mess", "</mess")), "<messagePath>", "<messagePath>a"),
    ("CORRELATION_RETRIEVAL_TWICE", correlation(prop=RETRIEVAL.format("re", "m") + RETRIEVAL.format("rf", "m")), '"rf" messageRef="m"', '"rf" messageRef="n"'),
    ("CORRELATION_BINDING_PATH", correlation(bind=BINDING.format("cp", "")),
     "<dataPath>", "<dataPath>x"),
    ("CORRELATION_BINDING_FOREIGN", correlation(bind=BINDING.format("zz", "x")),
     "zz", "cp"),
    ("CORRELATION_BINDING_MISSING", correlation(bind=""), '"ck"></correlationSubscription>',
     '"ck"><correlationPropertyBinding id="bi" correlationPropertyRef="cp"><dataPath>x</dataPath></correlationPropertyBinding></correlationSubscription>'),
]  # fmt: skip

ROWS = STRUCTURE + ACTIVITIES + DATA + COLLABORATION

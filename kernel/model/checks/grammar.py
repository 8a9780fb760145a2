"""BPMN20.xsd as a table: which attributes and children each type has, how often, and which elements stand for which.

A line is `Type < base: attributes | children`. `!` marks an attribute that must be there; after a colon stands what it holds. Children are marked as
in a DTD: `?` `*` `+` `{from,to}`, no mark is exactly one. Source: BPMN 2.0.2, Semantic.xsd and BPMN20.xsd.
"""

from __future__ import annotations

import re
from functools import cache

_TYPES = """
BaseElement: id:id | documentation* extensionElements?
FlowElement < BaseElement: name | auditing? monitoring? categoryValueRef*
FlowNode < FlowElement: | incoming* outgoing*
Activity < FlowNode: isForCompensation:bool startQuantity:int completionQuantity:int default:ref | ioSpecification? property* \\
    dataInputAssociation* dataOutputAssociation* resourceRole* loopCharacteristics?
SubProcess < Activity: triggeredByEvent:bool | laneSet* flowElement* artifact*
AdHocSubProcess < SubProcess: cancelRemainingInstances:bool ordering:tAdHocOrdering | completionCondition?
Artifact < BaseElement: |
Assignment < BaseElement: | from to
Association < Artifact: sourceRef!:ref targetRef!:ref associationDirection:tAssociationDirection |
Auditing < BaseElement: |
BaseElementWithMixedContent: id:id | documentation* extensionElements?
Event < FlowNode: | property*
CatchEvent < Event: parallelMultiple:bool | dataOutput* dataOutputAssociation* outputSet? eventDefinition* eventDefinitionRef*
BoundaryEvent < CatchEvent: cancelActivity:bool attachedToRef!:ref |
Task < Activity: |
BusinessRuleTask < Task: implementation |
CallActivity < Activity: calledElement:ref |
ChoreographyActivity < FlowNode: initiatingParticipantRef!:ref loopType:tChoreographyLoopType | participantRef{2,} correlationKey*
CallChoreography < ChoreographyActivity: calledChoreographyRef:ref | participantAssociation*
ConversationNode < BaseElement: name | participantRef* messageFlowRef* correlationKey*
CallConversation < ConversationNode: calledCollaborationRef:ref | participantAssociation*
RootElement < BaseElement: |
CallableElement < RootElement: name | supportedInterfaceRef* ioSpecification? ioBinding*
EventDefinition < RootElement: |
CancelEventDefinition < EventDefinition: |
Category < RootElement: name | categoryValue*
CategoryValue < BaseElement: value |
Collaboration < RootElement: name isClosed:bool | participant* messageFlow* artifact* conversationNode* conversationAssociation* \\
    participantAssociation* messageFlowAssociation* correlationKey* choreographyRef* conversationLink*
Choreography < Collaboration: | flowElement*
ChoreographyTask < ChoreographyActivity: | messageFlowRef{1,2}
CompensateEventDefinition < EventDefinition: waitForCompletion:bool activityRef:ref |
ComplexBehaviorDefinition < BaseElement: | condition event?
Gateway < FlowNode: gatewayDirection:tGatewayDirection |
ComplexGateway < Gateway: default:ref | activationCondition?
ConditionalEventDefinition < EventDefinition: | condition
Conversation < ConversationNode: |
ConversationAssociation < BaseElement: innerConversationNodeRef!:ref outerConversationNodeRef!:ref |
ConversationLink < BaseElement: name sourceRef!:ref targetRef!:ref |
CorrelationKey < BaseElement: name | correlationPropertyRef*
CorrelationProperty < RootElement: name type:ref | correlationPropertyRetrievalExpression+
CorrelationPropertyBinding < BaseElement: correlationPropertyRef!:ref | dataPath
CorrelationPropertyRetrievalExpression < BaseElement: messageRef!:ref | messagePath
CorrelationSubscription < BaseElement: correlationKeyRef!:ref | correlationPropertyBinding*
DataAssociation < BaseElement: | sourceRef* targetRef transformation? assignment*
DataInput < BaseElement: name itemSubjectRef:ref isCollection:bool | dataState?
DataInputAssociation < DataAssociation: |
DataObject < FlowElement: itemSubjectRef:ref isCollection:bool | dataState?
DataObjectReference < FlowElement: itemSubjectRef:ref dataObjectRef:ref | dataState?
DataOutput < BaseElement: name itemSubjectRef:ref isCollection:bool | dataState?
DataOutputAssociation < DataAssociation: |
DataState < BaseElement: name |
DataStore < RootElement: name capacity:int isUnlimited:bool itemSubjectRef:ref | dataState?
DataStoreReference < FlowElement: itemSubjectRef:ref dataStoreRef:ref | dataState?
Definitions: id:id name targetNamespace! expressionLanguage typeLanguage exporter exporterVersion | import* extension* rootElement* \\
    BPMNDiagram* relationship*
ThrowEvent < Event: | dataInput* dataInputAssociation* inputSet? eventDefinition* eventDefinitionRef*
EndEvent < ThrowEvent: |
EndPoint < RootElement: |
Error < RootElement: name errorCode structureRef:ref |
ErrorEventDefinition < EventDefinition: errorRef:ref |
Escalation < RootElement: name escalationCode structureRef:ref |
EscalationEventDefinition < EventDefinition: escalationRef:ref |
EventBasedGateway < Gateway: instantiate:bool eventGatewayType:tEventBasedGatewayType |
ExclusiveGateway < Gateway: default:ref |
Expression < BaseElementWithMixedContent: |
Extension: definition:ref mustUnderstand:bool | documentation*
FormalExpression < Expression: language evaluatesToTypeRef:ref |
GlobalTask < CallableElement: | resourceRole*
GlobalBusinessRuleTask < GlobalTask: implementation |
GlobalChoreographyTask < Choreography: initiatingParticipantRef:ref |
GlobalConversation < Collaboration: |
GlobalManualTask < GlobalTask: |
GlobalScriptTask < GlobalTask: scriptLanguage | script?
GlobalUserTask < GlobalTask: implementation | rendering*
Group < Artifact: categoryValueRef:ref |
ResourceRole < BaseElement: name | resourceRef? resourceParameterBinding* resourceAssignmentExpression?
Performer < ResourceRole: |
HumanPerformer < Performer: |
ImplicitThrowEvent < ThrowEvent: |
Import: namespace! location! importType! |
InclusiveGateway < Gateway: default:ref |
InputOutputBinding < BaseElement: operationRef!:ref inputDataRef!:ref outputDataRef!:ref |
InputOutputSpecification < BaseElement: | dataInput* dataOutput* inputSet+ outputSet+
InputSet < BaseElement: name | dataInputRefs* optionalInputRefs* whileExecutingInputRefs* outputSetRefs*
Interface < RootElement: name! implementationRef:ref | operation+
IntermediateCatchEvent < CatchEvent: |
IntermediateThrowEvent < ThrowEvent: |
ItemDefinition < RootElement: structureRef:ref isCollection:bool itemKind:tItemKind |
Lane < BaseElement: name partitionElementRef:ref | partitionElement? flowNodeRef* childLaneSet?
LaneSet < BaseElement: name | lane*
LinkEventDefinition < EventDefinition: name! | source* target?
LoopCharacteristics < BaseElement: |
ManualTask < Task: |
Message < RootElement: name itemRef:ref |
MessageEventDefinition < EventDefinition: messageRef:ref | operationRef?
MessageFlow < BaseElement: name sourceRef!:ref targetRef!:ref messageRef:ref |
MessageFlowAssociation < BaseElement: innerMessageFlowRef!:ref outerMessageFlowRef!:ref |
Monitoring < BaseElement: |
MultiInstanceLoopCharacteristics < LoopCharacteristics: isSequential:bool behavior:tMultiInstanceFlowCondition oneBehaviorEventRef:ref \\
    noneBehaviorEventRef:ref | loopCardinality? loopDataInputRef? loopDataOutputRef? inputDataItem? outputDataItem? \\
    complexBehaviorDefinition* completionCondition?
Operation < BaseElement: name! implementationRef:ref | inMessageRef outMessageRef? errorRef*
OutputSet < BaseElement: name | dataOutputRefs* optionalOutputRefs* whileExecutingOutputRefs* inputSetRefs*
ParallelGateway < Gateway: |
Participant < BaseElement: name processRef:ref | interfaceRef* endPointRef* participantMultiplicity?
ParticipantAssociation < BaseElement: | innerParticipantRef outerParticipantRef
ParticipantMultiplicity < BaseElement: minimum:int maximum:int |
PartnerEntity < RootElement: name | participantRef*
PartnerRole < RootElement: name | participantRef*
PotentialOwner < HumanPerformer: |
Process < CallableElement: processType:tProcessType isClosed:bool isExecutable:bool definitionalCollaborationRef:ref | auditing? monitoring? \\
    property* laneSet* flowElement* artifact* resourceRole* correlationSubscription* supports*
Property < BaseElement: name itemSubjectRef:ref | dataState?
ReceiveTask < Task: implementation instantiate:bool messageRef:ref operationRef:ref |
Relationship < BaseElement: type! direction:tRelationshipDirection | source+ target+
Rendering < BaseElement: |
Resource < RootElement: name! | resourceParameter*
ResourceAssignmentExpression < BaseElement: | expression
ResourceParameter < BaseElement: name type:ref isRequired:bool |
ResourceParameterBinding < BaseElement: parameterRef!:ref | expression
ScriptTask < Task: scriptFormat | script?
SendTask < Task: implementation messageRef:ref operationRef:ref |
SequenceFlow < FlowElement: sourceRef!:ref targetRef!:ref isImmediate:bool | conditionExpression?
ServiceTask < Task: implementation operationRef:ref |
Signal < RootElement: name structureRef:ref |
SignalEventDefinition < EventDefinition: signalRef:ref |
StandardLoopCharacteristics < LoopCharacteristics: testBefore:bool loopMaximum:int | loopCondition?
StartEvent < CatchEvent: isInterrupting:bool |
SubChoreography < ChoreographyActivity: | flowElement* artifact*
SubConversation < ConversationNode: | conversationNode*
TerminateEventDefinition < EventDefinition: |
TextAnnotation < Artifact: textFormat | text?
TimerEventDefinition < EventDefinition: | timeDate? timeDuration? timeCycle?
Transaction < SubProcess: method:tTransactionMethod |
UserTask < Task: implementation | rendering*
"""
#: elements whose type has another name
_NAMED = {
    "ioBinding": "InputOutputBinding", "ioSpecification": "InputOutputSpecification", "completionCondition": "Expression", "from": "Expression",
    "to": "Expression", "condition": "Expression", "event": "ImplicitThrowEvent", "activationCondition": "Expression", "dataPath": "FormalExpression",
    "messagePath": "FormalExpression", "transformation": "FormalExpression", "partitionElement": "BaseElement", "childLaneSet": "LaneSet",
    "loopCardinality": "Expression", "inputDataItem": "DataInput", "outputDataItem": "DataOutput", "conditionExpression": "Expression",
    "loopCondition": "Expression", "timeDate": "Expression", "timeDuration": "Expression", "timeCycle": "Expression",
}  # fmt: skip
#: any text, or anything at all
_OPEN = frozenset(("documentation", "text", "script", "extensionElements"))


class Shape:
    """A type with all that it inherits. `attributes`: name -> (must it be there, what it holds); `children`: name -> (least, most; None: any number)."""

    __slots__ = ("attributes", "children", "name", "needed", "places", "types", "wanted")

    def __init__(self, name: str, base: Shape | None) -> None:
        self.name = name
        self.attributes: dict[str, tuple[bool, str]] = dict(base.attributes) if base else {}
        self.children: dict[str, tuple[int, int | None]] = dict(base.children) if base else {}
        #: the names of the type and of those that it extends, as an element would be named
        self.types: frozenset[str] = (base.types if base else frozenset()) | {name[0].lower() + name[1:]}
        #: attributes that must be there, children of which some must be, and a cache of `place`
        self.needed: list[str] = []
        self.wanted: list[str] = []
        self.places: dict[str, str | None] = {}

    def place(self, tag: str) -> str | None:
        """The child that an element of that name is here, None when it has no place."""
        if tag not in self.places:
            shape = of(tag) if tag not in _NAMED else None
            kinds = (tag,) if tag in self.children else shape.types if shape is not None else ()
            self.places[tag] = next((t for t in kinds if t in self.children), None)
        return self.places[tag]


_LINE = re.compile(r"(\w+)(?: < (\w+))?: ?([^|]*)\|(.*)")
_CHILD = re.compile(r"(\w+)([?*+]|\{(\d+),(\d*)\})?$")
_MARKS: dict[str | None, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None), None: (1, 1)}


def _read() -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for line in _TYPES.replace("\\\n", "").strip().splitlines():
        found = _LINE.match(line)
        assert found is not None, line
        name, base, attributes, children = found.groups()
        shape = shapes[name] = Shape(name, shapes.get(base))
        for word in attributes.split():
            attribute, _, holds = word.partition(":")
            shape.attributes[attribute.rstrip("!")] = (attribute.endswith("!"), holds)
        for word in children.split():
            child = _CHILD.match(word)
            assert child is not None, word
            mark = (int(child[3]), int(child[4]) if child[4] else None) if child[3] else _MARKS[child[2]]
            shape.children[child[1]] = mark
        shape.needed = [name for name, (needed, _) in shape.attributes.items() if needed]
        shape.wanted = [name for name, (least, _) in shape.children.items() if least]
    return shapes


_SHAPES = _read()
_BY_TAG = {name[0].lower() + name[1:]: shape for name, shape in _SHAPES.items()} | {tag: _SHAPES[name] for tag, name in _NAMED.items()}
#: attributes whose type collapses white space: all but texts
COLLAPSED = frozenset(name for shape in _SHAPES.values() for name, (_, holds) in shape.attributes.items() if holds) | {
    "bpmnElement", "sourceElement", "targetElement", "choreographyActivityShape", "labelStyle", "implementation", "structureRef", "expressionLanguage",
    "typeLanguage", "targetNamespace", "importType", "namespace", "language", "evaluatesToTypeRef", "isHorizontal", "isExpanded", "isMarkerVisible",
}  # fmt: skip
BOOLEANS = frozenset(name for shape in _SHAPES.values() for name, (_, holds) in shape.attributes.items() if holds == "bool")
_CHILDREN = frozenset(child for shape in _SHAPES.values() for child in shape.children)


@cache
def of(tag: str) -> Shape | None:
    """The shape of an element, None for one that holds text or a reference, or that the schema doesn't know."""
    return _BY_TAG.get(tag)


def known(tag: str) -> bool:
    """Whether BPMN has an element of that name anywhere."""
    return tag in _BY_TAG or tag in _CHILDREN or tag in _OPEN


def is_open(tag: str) -> bool:
    """Whether an element may hold anything."""
    return tag in _OPEN


def is_a(tag: str, kind: str) -> bool:
    """Whether an element is of a kind, such as `flowNode` or `eventDefinition`."""
    shape = of(tag)
    return shape is not None and kind in shape.types

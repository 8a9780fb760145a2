"""Rows: (code, a model that has it, what to replace in it, by what): flows, events, gateways, scopes, paths.

Models are in the short notation of `tests/kernel/notation.py`; those that begin with `<` are content of <definitions>.
"""

S = "startEvent s\n"
E = "endEvent e\n"
T = 'serviceTask t\n<zeebe:taskDefinition type="x"/>\n'
ERR = '^<error id="E" errorCode="E"/>\n'
#: an exclusive gateway before two ways
XOR = S + "exclusiveGateway x\ntask a\ntask b\n" + E


def sub(inside: str, kind: str = "subProcess", attrs: str = "") -> str:
    return f"{kind} sp{attrs} {{\n{inside}\n}}\n"


UNDO = 'task a\nboundaryEvent c on=a : compensate\ntask h comp=true\n~<association id="as" sourceRef="c" targetRef="h"/>\n'
LINKS = "startEvent s\nintermediateThrowEvent lt : link L\nintermediateCatchEvent lc : link L\nendEvent e\ns > lt\nlc > e"

FLOWS = [
    ("FLOW_ID_MISSING", '<process id="p" isExecutable="true"><startEvent id="s"/><endEvent id="e"/><sequenceFlow sourceRef="s" targetRef="e"/></process>',
     "<sequenceFlow ", '<sequenceFlow id="f" '),
    ("FLOW_TWICE", S + "task a\n" + E + "s > a > e\ns > a", "\ns > a", ""),
    ("FLOW_CONDITION_AFTER_EVENT", S + E + "s > e ? x = 1", " ? x = 1", ""),
    ("FLOW_CONDITION_AFTER_PARALLEL", S + "parallelGateway g\ntask a\ntask b\ns > g > a\ng > b ? x = 1", " ? x = 1", ""),
    ("FLOW_CONDITION_ALONE", S + "task a\n" + E + "s > a\na > e ? x = 1", " ? x = 1", ""),
    ("FLOW_CONDITIONS_WITHOUT_DEFAULT", S + "task a\ntask b\n" + E + "s > a\na > e ? x = 1\na > b ? x = 2", "a > b ? x = 2", "a > b !"),
    ("FLOW_CONDITION_CONSTANT", XOR + "s > x\nx > a ? true\nx > b !\na > e\nb > e", "? true", "? y"),
    ("FLOW_NOT_IMMEDIATE", '<process id="p" isExecutable="true"><startEvent id="s"/><endEvent id="e"/>'
     '<sequenceFlow id="f" sourceRef="s" targetRef="e" isImmediate="false"/></process>', ' isImmediate="false"', ""),
    ("FLOW_REFERENCE_WRONG", S + ".<outgoing>other</outgoing>\n" + E + "s > e", "other", "s-e"),
    ("DEFAULT_FLOW_KIND", S + "parallelGateway g\ntask a\ntask b\ns > g > a\ng > b !", "parallelGateway", "inclusiveGateway"),
    ("DEFAULT_FLOW_CONDITION", S.strip() + '\nexclusiveGateway x default="x-a"\ntask a\ntask b\ns > x\nx > a ? y\nx > b ? z', "x > a ? y", "x > a"),
    ("DEFAULT_FLOW_USELESS", S + "task a\ntask b\n" + E + "s > a\na > e !\na > b", "a > b", "a > b ? x"),
]  # fmt: skip

EVENTS = [
    ("START_EVENT_KIND", "startEvent s : error E\nendEvent e\ns > e", "error E", "signal E"),
    ("START_NOT_INTERRUPTING", "startEvent s interrupting=false\nendEvent e\ns > e", " interrupting=false", ""),
    ("EVENT_SUB_PROCESS_START_KIND", sub("startEvent s : terminate", attrs=" event=true"), "terminate", "signal X"),
    ("EVENT_SUB_PROCESS_MUST_INTERRUPT", sub("startEvent s interrupting=false : error E", attrs=" event=true"), " interrupting=false", ""),
    ("END_EVENT_KIND", S + "endEvent e : timer PT1S\ns > e", "timer PT1S", "terminate"),
    ("END_EVENT_LINK", LINKS.replace("intermediateThrowEvent", "endEvent"), "endEvent lt", "intermediateThrowEvent lt"),
    ("CANCEL_OUTSIDE_TRANSACTION", S + sub("startEvent i\nendEvent j : cancel\ni > j"), "subProcess", "transaction"),
    ("BOUNDARY_CANCEL_HOST", S + sub("startEvent i") + "boundaryEvent b on=sp : cancel", "subProcess", "transaction"),
    ("BOUNDARY_HOST_KIND", S + "task a\nexclusiveGateway g\nboundaryEvent b on=g : timer PT1S", "on=g", "on=a"),
    ("BOUNDARY_HOST_SCOPE", S + sub("startEvent i\ntask t") + "boundaryEvent b on=t : timer PT1S", "on=t", "on=sp"),
    ("BOUNDARY_ON_EVENT_SUB_PROCESS", sub("startEvent i : signal S", attrs=" event=true") + "boundaryEvent b on=sp : timer PT1S", " event=true", ""),
    ("BOUNDARY_NO_OUTGOING", S + "task a\nboundaryEvent b on=a : timer PT1S\n" + E + "s > a > e\n", "s > a > e\n", "s > a > e\nb > e\n"),
    ("BOUNDARY_ON_HANDLER", UNDO + "boundaryEvent c2 on=h : compensate\ntask k comp=true\n~<association id=\"a2\" sourceRef=\"c2\" targetRef=\"k\"/>",
     "on=h", "on=a"),
    ("BOUNDARY_COMPENSATION_FLOW", UNDO + "c > h", "c > h", ""),
    ("BOUNDARY_ERROR_TWICE", "task a\nboundaryEvent b on=a : error E\nboundaryEvent c on=a : error E", "c on=a : error E", "c on=a : error F"),
    ("BOUNDARY_ESCALATION_TWICE", "task a\nboundaryEvent b on=a : escalation E\nboundaryEvent c on=a : escalation E", "c on=a : escalation E",
     "c on=a : escalation F"),
    ("BOUNDARY_MESSAGE_TWICE", "task a\nboundaryEvent b on=a : message M\nboundaryEvent c on=a : message M", "c on=a : message M", "c on=a : message N"),
    ("EVENT_SUB_PROCESS_ERROR_TWICE", sub("startEvent i : error E", attrs=" event=true") + sub("startEvent j : error E", attrs=" event=true").replace("sp", "sq"),
     "j : error E", "j : error F"),
    ("EVENT_SUB_PROCESS_ESCALATION_TWICE", sub("startEvent i : escalation E", attrs=" event=true")
     + sub("startEvent j : escalation E", attrs=" event=true").replace("sp", "sq"), "j : escalation E", "j : escalation F"),
    ("EVENT_SUB_PROCESS_MESSAGE_TWICE", sub("startEvent i : message E", attrs=" event=true")
     + sub("startEvent j : message E", attrs=" event=true").replace("sp", "sq"), "j : message E", "j : message F"),
    ("START_MESSAGE_TWICE", "startEvent s : message M\nstartEvent r : message M", "r : message M", "r : message N"),
    ("START_SIGNAL_TWICE", "startEvent s : signal M\nstartEvent r : signal M", "r : signal M", "r : signal N"),
    ("LINK_TARGET_MISSING", LINKS.replace("lc : link L", "lc : link K"), "lc : link K", "lc : link L"),
    ("LINK_SOURCE_MISSING", LINKS.replace("lc : link L", "lc : link K"), "lc : link K", "lc : link L"),
    ("LINK_NAME_MISSING", LINKS.replace("link L", "link"), "link", "link L"),
    ("LINK_TARGET_HAS_INCOMING", LINKS + "\ns > lc", "\ns > lc", ""),
    ("LINK_SOURCE_HAS_OUTGOING", LINKS + "\nlt > e", "\nlt > e", ""),
    ("LINK_AMONG_OTHERS", LINKS.replace("lc : link L", "lc : link L + signal S"), " + signal S", ""),
    ("TERMINATE_AMONG_OTHERS", S + "endEvent e : terminate + signal S\ns > e", " + signal S", ""),
    ("PARALLEL_MULTIPLE_ALONE", "intermediateCatchEvent c parallel=true : signal S", " parallel=true", ""),
    ("PARALLEL_MULTIPLE_THROWN", "intermediateThrowEvent c parallel=true : signal S + signal T", " parallel=true", ""),
    ("EVENT_DEFINITION_TWICE", "intermediateCatchEvent c : signal S + signal S", "signal S + signal S", "signal S + signal T"),
]  # fmt: skip

BOTH_TIMERS = "<timerEventDefinition><timeDuration>PT1S</timeDuration><timeDate>2030-01-01T00:00:00Z</timeDate></timerEventDefinition>"
TRIGGERS = [
    ("TIMER_SEVERAL", "intermediateCatchEvent c\n." + BOTH_TIMERS, "<timeDate>2030-01-01T00:00:00Z</timeDate>", ""),
    ("TIMER_CYCLE_ONCE", "intermediateCatchEvent c : timer R3/PT1S", "R3/PT1S", "PT1S"),
    ("TIMER_DURATION_START", "startEvent s : timer PT1S", "PT1S", "R/PT1S"),
    ("MESSAGE_CORRELATION_MISSING", "intermediateCatchEvent c : message M", "message M", "message M = order"),
    ("CONDITION_READS_NOTHING", "intermediateCatchEvent c : conditional 1 > 2", "1 > 2", "x > 2"),
    ("ERROR_NOT_CAUGHT", sub("startEvent i\nendEvent j : error E\ni > j") + "boundaryEvent b on=sp : error F", "sp : error F", "sp : error E"),
    ("ESCALATION_NOT_CAUGHT", sub("startEvent i\nendEvent j : escalation E\ni > j") + "boundaryEvent b on=sp : escalation F", "sp : escalation F",
     "sp : escalation"),
    ("ERROR_NEVER_THROWN", sub("startEvent i\nendEvent j : error E\ni > j") + "boundaryEvent b on=sp : error F", "sp : error F", "sp : error E"),
    ("COMPENSATE_KIND", UNDO + "startEvent s\nintermediateThrowEvent t : compensate s", "compensate s", "compensate a"),
    ("COMPENSATE_WITHOUT_HANDLER", UNDO + "task b\nintermediateThrowEvent t : compensate b", "compensate b", "compensate a"),
    ("COMPENSATE_OUT_OF_SIGHT", sub(UNDO) + "task b\n" + sub("intermediateThrowEvent t : compensate a").replace("sp", "sq"), "subProcess sq", "subProcess sq event=true"),
    ("COMPENSATE_NOTHING", "task a\nintermediateThrowEvent t : compensate", "task a\n", UNDO),
    ("COMPENSATE_CAUGHT_REF", UNDO.replace("on=a : compensate", "on=a : compensate a"), "compensate a", "compensate"),
]  # fmt: skip

AFTER = S + "eventBasedGateway g\nintermediateCatchEvent a : signal A\nintermediateCatchEvent b : signal B\ns > g > a\ng > b\n"
STARTS = (
    'eventBasedGateway g instantiate="true"\nintermediateCatchEvent a : message A\nintermediateCatchEvent b : message B\ng > a\ng > b\n'
)
GATEWAYS = [
    ("GATEWAY_NOT_CONVERGING", S + 'exclusiveGateway x gatewayDirection="Converging"\ntask a\ntask b\ns > x > a\nx > b !', "Converging", "Diverging"),
    ("GATEWAY_NOT_DIVERGING", S + 'exclusiveGateway x gatewayDirection="Diverging"\ntask a\ns > x > a', "s > x > a", "task b\ns > x > a\nx > b"),
    ("GATEWAY_NOT_MIXED", S + 'exclusiveGateway x gatewayDirection="Mixed"\ntask a\ntask b\ns > x > a\nx > b', "Mixed", "Diverging"),
    ("GATEWAY_LEADS_NOWHERE", S + "parallelGateway g\ns > g", "s > g", "endEvent e\ns > g > e"),
    ("GATEWAY_USELESS", S + "parallelGateway g\n" + E + "s > g > e", "s > g > e", "task a\ns > g > e\ng > a"),
    ("EXCLUSIVE_WITHOUT_DEFAULT", XOR + "s > x\nx > a ? y\nx > b ? z", "x > b ? z", "x > b !"),
    ("COMPLEX_WITHOUT_DEFAULT", XOR.replace("exclusive", "complex") + "s > x\nx > a ? y\nx > b ? z", "x > b ? z", "x > b !"),
    ("COMPLEX_WITHOUT_CONDITION", S + "task a\ncomplexGateway x\n\ns > a > x\ns > x", "complexGateway x\n",
     "complexGateway x\n.<activationCondition>activationCount > 1</activationCondition>".replace(" > ", " &gt; ")),
    ("EVENT_GATEWAY_EVENT_KIND", AFTER.replace("signal B", "link B"), "link B", "signal B"),
    ("EVENT_GATEWAY_TARGET_INCOMING", AFTER + "s > b", "s > b", ""),
    ("EVENT_GATEWAY_MESSAGE_AND_TASK", AFTER.replace("signal A", "message A = k").replace("intermediateCatchEvent b : signal B", "receiveTask b messageRef=msg_A"),
     "a : message A = k", "a : timer PT1S"),
    ("EVENT_GATEWAY_TASK_BOUNDARY", AFTER.replace("intermediateCatchEvent b : signal B", "receiveTask b messageRef=msg_A\ntask c\nboundaryEvent x on=b : message A"),
     "x on=b", "x on=c"),
    ("EVENT_GATEWAY_PARALLEL", AFTER.replace("eventBasedGateway g", 'eventBasedGateway g eventGatewayType="Parallel"'), "Parallel", "Exclusive"),
    ("EVENT_GATEWAY_START_INCOMING", STARTS + "task k\nk > g", "k > g", ""),
    ("EVENT_GATEWAY_START_NESTED", sub(STARTS), ' instantiate="true"', ""),
    ("EVENT_GATEWAY_START_MESSAGES", STARTS.replace("instantiate", 'eventGatewayType="Parallel" instantiate').replace("message B", "signal B"), "signal B",
     "message B"),
]  # fmt: skip

THROW_CANCEL = sub("startEvent i\nendEvent j : cancel\ni > j", "transaction")
SCOPES = [
    ("PROCESS_EMPTY", '<process id="p" isExecutable="true"/>', "/>", '><startEvent id="s"/></process>'),
    ("PROCESS_WITHOUT_START", "task a\ntask b\na > b > a", "b > a", "b"),
    ("SUB_PROCESS_WITHOUT_START", sub("task a\ntask b\na > b > a"), "b > a", "b"),
    ("SUB_PROCESS_EMPTY", sub(""), "{\n", "{\ntask a\n"),
    ("START_NONE_SEVERAL", S + "startEvent r", "startEvent r", "startEvent r : signal S"),
    ("SUB_PROCESS_START_SEVERAL", sub("startEvent s\nstartEvent r"), "startEvent r", "task r"),
    ("END_WITHOUT_START", "task a\n" + E + "a > e", "task a", "startEvent a"),
    ("START_WITHOUT_END", S + "task a\ns > a", "task a", "endEvent a"),
    ("NODE_WITHOUT_INCOMING", S + "task a\n" + E + "s > e\na > e", "a > e", "s > a"),
    ("NODE_WITHOUT_OUTGOING", S + "task a\n" + E + "s > e\ns > a", "s > a", "s > a > e"),
    ("EVENT_SUB_PROCESS_LOOP", "subProcess sp event=true {\nstartEvent i : signal S\n}\n.<standardLoopCharacteristics loopMaximum=\"2\"/>", " event=true", ""),
    ("EVENT_SUB_PROCESS_FOR_COMPENSATION", sub("startEvent i : signal S", attrs=" event=true comp=true"), " comp=true", ""),
    ("EVENT_SUB_PROCESS_COMPENSATION_ROOT", sub("startEvent i : compensate", attrs=" event=true"), "compensate", "signal S"),
    ("EVENT_SUB_PROCESS_COMPENSATION_TWICE", sub(sub("startEvent i : compensate", attrs=" event=true").replace("sp", "a")
     + sub("startEvent j : compensate", attrs=" event=true").replace("sp", "b")), "j : compensate", "j : signal S"),
    ("TRANSACTION_BY_EVENT", sub("startEvent i : signal S", "transaction", " event=true"), " event=true", ""),
    ("TRANSACTION_METHOD", sub("startEvent i", "transaction", ' method="hope"'), "hope", "##Compensate"),
    ("TRANSACTION_METHOD_NOT_SPOKEN", sub("startEvent i", "transaction", ' method="##Store"'), "##Store", "##Compensate"),
    ("TRANSACTION_CANCEL_NOT_CAUGHT", THROW_CANCEL + "task z", "task z", "boundaryEvent b on=sp : cancel"),
    ("TRANSACTION_NEVER_CANCELLED", THROW_CANCEL.replace("j : cancel", "j") + "boundaryEvent b on=sp : cancel", "endEvent j", "endEvent j : cancel"),
    ("AD_HOC_BY_EVENT", sub("task a", "adHocSubProcess", " event=true"), " event=true", ""),
    ("AD_HOC_WITHOUT_CONDITION", "adHocSubProcess sp {\ntask a\n}\n", "}\n", "}\n.<completionCondition>= done</completionCondition>"),
]  # fmt: skip

LOOP = (
    S
    + 'exclusiveGateway m\nserviceTask t\n<zeebe:taskDefinition type="x"/>\nexclusiveGateway x\n'
    + E
    + "s > m > t > x\nx > m ? again\nx > e !"
)
FORK = S + "{split} f\ntask a\ntask b\n{join} j\n" + E + "s > f > a > j\nf > b > j > e"


def fork(split: str, join: str) -> str:
    return FORK.replace("{split}", split + "Gateway").replace("{join}", join + "Gateway")


PATHS = [
    ("UNREACHABLE", S + "task a\ntask b\n" + E + "s > e\na > b > a", "s > e", "s > a\na > e"),
    ("LOOP_WITHOUT_EXIT", LOOP.replace("x > e !", "").replace(" ? again", ""), "x > m", "x > m ? again\nx > e !"),
    ("LOOP_WITHOUT_WAIT", LOOP.replace('serviceTask t\n<zeebe:taskDefinition type="x"/>', "task t"), "task t", "userTask t"),
    ("TASK_WITHOUT_ERROR_PATH", S + T + E + "s > t > e", "s > t > e", "boundaryEvent b on=t : error E\ns > t > e\nb > e"),
    ("USER_TASK_WITHOUT_TIMER", S + "userTask t\n" + E + "s > t > e", "s > t > e", "boundaryEvent b on=t : timer PT1H\ns > t > e\nb > e"),
    ("WAIT_WITHOUT_TIMER", S + "receiveTask t messageRef=msg_M\n" + E + "s > t > e\nintermediateThrowEvent z : message M",
     "s > t > e", "boundaryEvent b on=t : timer PT1H\ns > t > e\nb > e"),
    ("DEADLOCK", fork("exclusive", "parallel"), "exclusiveGateway f", "parallelGateway f"),
    ("DEADLOCK_INCLUSIVE", fork("inclusive", "parallel"), "parallelGateway j", "inclusiveGateway j"),
    ("DEADLOCK_IN_LOOP", LOOP.replace("exclusiveGateway m", "parallelGateway m"), "parallelGateway m", "exclusiveGateway m"),
    ("NOT_SYNCHRONISED", fork("parallel", "exclusive"), "exclusiveGateway j", "parallelGateway j"),
    ("NOT_SYNCHRONISED_INCLUSIVE", fork("inclusive", "exclusive"), "exclusiveGateway j", "inclusiveGateway j"),
    ("TOKENS_MULTIPLY", LOOP.replace("exclusiveGateway x", "parallelGateway x").replace(" ? again", "").replace("x > e !", "x > e"),
     "parallelGateway x", "exclusiveGateway x"),
]  # fmt: skip

ROWS = FLOWS + EVENTS + TRIGGERS + GATEWAYS + SCOPES + PATHS

"""One module per BPMN element: reading it from XML, checking it, running it. This table lists them.

A new element is: one module, one line here, one scenario file, one row of the coverage page.
What the moves below call in elements is put into `HOOKS` here.
"""

from __future__ import annotations

from flowledger.kernel.elements import (
    ad_hoc_sub_process,
    boundary_event,
    business_rule_task,
    call_activity,
    cancelling,
    compensation,
    complex_gateway,
    conditional,
    end_event,
    event_based_gateway,
    events,
    exclusive_gateway,
    inclusive_gateway,
    intermediate_catch_event,
    intermediate_throw_event,
    joins,
    listeners,
    loops,
    manual_task,
    parallel_gateway,
    quantities,
    receive_task,
    script_task,
    send_task,
    service_task,
    signals,
    start_event,
    sub_process,
    task,
    transaction,
    triggers,
    user_task,
)
from flowledger.kernel.elements.triggers import cancel, compensate, error, escalation, link, message, signal, terminate, timer
from flowledger.kernel.elements.triggers import conditional as condition
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.model.behaviours import ACTIVITY, ELEMENTS, LOOPS, NODE, PROCESS

ELEMENTS.update(
    {
        "startEvent": start_event.BEHAVIOUR,
        "endEvent": end_event.BEHAVIOUR,
        "intermediateCatchEvent": intermediate_catch_event.BEHAVIOUR,
        "intermediateThrowEvent": intermediate_throw_event.BEHAVIOUR,
        "boundaryEvent": boundary_event.BEHAVIOUR,
        "exclusiveGateway": exclusive_gateway.BEHAVIOUR,
        "parallelGateway": parallel_gateway.BEHAVIOUR,
        "inclusiveGateway": inclusive_gateway.BEHAVIOUR,
        "complexGateway": complex_gateway.BEHAVIOUR,
        "eventBasedGateway": event_based_gateway.BEHAVIOUR,
        "task": task.BEHAVIOUR,
        "manualTask": manual_task.BEHAVIOUR,
        "serviceTask": service_task.BEHAVIOUR,
        "sendTask": send_task.BEHAVIOUR,
        "scriptTask": script_task.BEHAVIOUR,
        "businessRuleTask": business_rule_task.BEHAVIOUR,
        "userTask": user_task.BEHAVIOUR,
        "receiveTask": receive_task.BEHAVIOUR,
        "callActivity": call_activity.BEHAVIOUR,
        "subProcess": sub_process.BEHAVIOUR,
        "adHocSubProcess": ad_hoc_sub_process.BEHAVIOUR,
        "transaction": transaction.BEHAVIOUR,
    }
)
NODE.append(listeners.of_node)
ACTIVITY.append(quantities.read)
LOOPS.update({"multiInstanceLoopCharacteristics": loops.read_multi, "standardLoopCharacteristics": loops.read_standard})
PROCESS.extend((listeners.of_process, compensation.read, joins.read))

for kind, module in {
    "message": message, "timer": timer, "signal": signal, "error": error, "escalation": escalation, "link": link, "terminate": terminate,
    "conditional": condition, "compensate": compensate, "cancel": cancel,
}.items():  # fmt: skip
    triggers.register(kind, module)

HOOKS.joins, HOOKS.listeners, HOOKS.loops, HOOKS.events = joins, listeners, loops, events
HOOKS.conditional, HOOKS.compensation, HOOKS.quantities, HOOKS.cancelling = conditional, compensation, quantities, cancelling
HOOKS.throw_error, HOOKS.throw_escalation, HOOKS.throw_signal = error.throw_code, escalation.throw_code, signals.throw

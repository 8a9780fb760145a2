"""Tokens on their way: `flow.taken`, `element.*`, loops, compensation, business state.

A token stands at one element within a scope. `scope` is the key of the token whose element encloses it (sub-process,
multi-instance body), or the instance key. A token that goes through a sub-process stays at it while its children run.
"""

from __future__ import annotations

from flowledger.events.base import Event, Json


class ElementActivated(Event, frozen=True):
    """`token` stands at `element` in `scope`; new when unknown. `variables` are its locals (input mappings).

    `index` counts the runs of a loop or multi-instance from 1 (0: not in a loop).
    `handler_of` names the token whose compensation or event it handles, 0 otherwise.
    """

    token: int
    scope: int
    element: str
    variables: Json = None
    index: int = 0
    handler_of: int = 0


class FlowTaken(Event, frozen=True):
    """`token` left `source` through `flow` and arrived at `target`.

    When `spawned` is not 0, the token itself stays, and a new token `spawned` arrived in the same scope.
    """

    token: int
    flow: str
    source: str
    target: str
    spawned: int = 0


class GatewayReached(Event, frozen=True):
    """`token` has reached a gateway and goes on. Of a join that fired, `consumed` are those that have ended in it."""

    token: int
    element: str
    consumed: list[int]
    #: state that the gateway keeps for its next round (complex gateway: the flows that are still awaited after it fired)
    state: Json = None


class ElementCompleted(Event, frozen=True):
    """`token` has ended in `element` (an end event, a compensation handler, a run of a loop)."""

    token: int
    element: str


class ElementTerminated(Event, frozen=True):
    """`token` and all below it were withdrawn, with their tasks, timers and subscriptions."""

    token: int
    element: str


class TokenNoted(Event, frozen=True):
    """`data` is merged into what the token remembers while it stays at its element (loop counters, choices of an ad-hoc sub-process)."""

    token: int
    data: Json


class LoopStarted(Event, frozen=True):
    """A multi-instance body or loop begins at `token`: `total` runs (-1: not known), over `items` (None: a cardinality)."""

    token: int
    element: str
    total: int
    sequential: bool = False
    items: Json = None


class LoopItemCompleted(Event, frozen=True):
    """Run `index` (from 1) of the body at `token` is done; its token `item` has ended; `result` goes to that place of the output collection."""

    token: int
    item: int
    index: int
    result: Json = None


class ErrorOccurred(Event, frozen=True):
    """A BPMN error `code` was thrown at `token`/`element`. `caught_by` is the catching event, `""` when nothing caught it."""

    token: int
    element: str
    code: str
    message: str = ""
    caught_by: str = ""
    variables: Json = None


class EscalationTriggered(Event, frozen=True):
    token: int
    element: str
    code: str
    caught_by: str = ""


class CompensationRecorded(Event, frozen=True):
    """An activity with a compensation handler has completed: it can be compensated with the `variables` of that moment.

    `record` names it; `scope` is the token (or instance) that it ran in. What was recorded inside of `token` is from now on inside of `record`.
    `handler` is the compensation handler (an activity, or an event sub-process of the activity), `""` when only its inside can be compensated.
    """

    record: int
    token: int
    scope: int
    element: str
    handler: str = ""
    variables: Json = None


class CompensationStarted(Event, frozen=True):
    """`token` (at the throwing event) compensates `activities` (records of `CompensationRecorded`), in this order, one after the other."""

    token: int
    element: str
    activities: list[int]


class CompensationCompleted(Event, frozen=True):
    """All that `token` had to compensate is compensated."""

    token: int
    element: str


class DataWritten(Event, frozen=True):
    """A data store `store` now holds `value` (data objects are variables)."""

    store: str
    value: Json


class DecisionEvaluated(Event, frozen=True):
    """A business rule task evaluated decision `decision`; `trace` says which rules fired, with inputs and intermediate results."""

    token: int
    element: str
    decision: str
    version: int = 0
    result: Json = None
    trace: Json = None

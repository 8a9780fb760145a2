"""What moves call in elements and handlers, which stand above them: each module puts itself in here when it is loaded.

So the arrows of imports point one way (ledger, moves, elements, handlers), and no module is imported at the bottom of another.
`d` is the `Decision`, above all of them as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from flowledger.events.base import Rejected
    from flowledger.kernel.model.graph import Node


class Joins(Protocol):
    def look_again(self, d: Any) -> bool: ...


class Listeners(Protocol):
    def next_one(self, d: Any, i: Any, token: Any, node: Node, event: str) -> bool: ...
    def resume(self, d: Any, i: Any, token: Any, node: Node) -> bool: ...
    def withdrawn(self, d: Any, i: Any, token: Any, node: Node) -> None: ...


class Loops(Protocol):
    def start(self, d: Any, i: Any, token: Any, node: Node) -> None: ...
    def advance(self, d: Any, i: Any, body: Any, node: Node) -> None: ...
    def item_done(self, d: Any, i: Any, token: Any, node: Node) -> None: ...


class Events(Protocol):
    def open_event_subs(self, d: Any, i: Any, holder: int, scope: Node) -> None: ...
    def open_attached(self, d: Any, i: Any, token: Any, node: Node) -> None: ...
    def find_handler(self, d: Any, i: Any, token: Any, kind: str, code: str) -> tuple[int, Node] | None: ...
    def fire(self, d: Any, i: Any, holder: int, node: Node, variables: dict[str, Any] | None, interrupting: bool) -> None: ...


class Conditional(Protocol):
    def watch(self, d: Any) -> None: ...
    def start_by(self, d: Any, variables: dict[str, Any], changed: set[str] | None = None, definition: int = 0) -> list[int]: ...


class Compensation(Protocol):
    def keep(self, d: Any, i: Any, token: Any, node: Node) -> None: ...


class Cancelling(Protocol):
    def look(self, d: Any, i: Any, token: Any) -> None: ...


class Quantities(Protocol):
    def gathered(self, d: Any, i: Any, token: Any, node: Node) -> bool: ...


class Hooks:
    """Filled by `kernel/elements/__init__.py` and `kernel/handlers/__init__.py`."""

    joins: Joins
    listeners: Listeners
    loops: Loops
    events: Events
    conditional: Conditional
    compensation: Compensation
    quantities: Quantities
    cancelling: Cancelling
    #: (decision, instance, token, code, message, variables): throws a BPMN error. Raises: Failure
    throw_error: Callable[..., None]
    #: (decision, instance, token, element, code, variables): throws a BPMN escalation
    throw_escalation: Callable[..., None]
    #: (decision, instance, name, variables)
    throw_signal: Callable[..., None]
    #: (decision, subscription of a start event, variables) -> key of the new instance, 0: none
    start_by_event: Callable[..., int]
    #: (decision, instance that has ended): what waits for its end to start
    next_start: Callable[..., None]
    #: (decision, instance, reason, note): the handlers before a roll-back have ended
    compensated: Callable[..., None]
    #: (decision, command): its handler
    handle: Callable[..., Rejected | None]
    #: (decision, instance, command, token, element): whether it is kept, since they are held
    keep: Callable[..., bool]


HOOKS = Hooks()

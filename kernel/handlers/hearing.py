"""Task listeners hear of what is done to a task by hand."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import listeners

#: moves of a person's task -> the listeners that hear of them
_TOLD = {"assign": "assigning", "claim": "assigning", "release": "assigning", "delegate": "assigning", "transfer": "assigning", "recall": "assigning",
         "update": "updating"}  # fmt: skip


def told(d: Decision, command: c.AnyCommand) -> None:
    """It was decided."""
    if type(command) is not c.MoveTask or (event := _TOLD.get(command.move)) is None:
        return
    task = d.state.tasks.get(command.task)
    i = d.state.instances.get(task.instance) if task is not None else None
    if task is not None and i is not None:
        node = d.process(i).nodes[task.element]
        if node.listeners:
            listeners.tell(d, i, i.tokens[task.token], node, event)

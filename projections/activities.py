"""Activities that the engine does itself: call activities, sub-processes, receive tasks, scripts, decisions, loops (requirement C-44).

No event is about them alone: they begin where a token arrives and end where it leaves. Which elements they are is told once by the definition
(`kernel/elements/outline.py`). Of a loop the whole has a row, of type `sub_process`, and each run that is no task of a worker or person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowledger.events import flow as fl
from flowledger.projections.context import ACTIVITY, Instance, Task

if TYPE_CHECKING:
    from flowledger.projections.fold import Fold


def arrived(f: Fold, ref: Instance, token: int, element: str, run: int = 0) -> None:
    """A token stands at `element`; `run` is the number of its run in a loop. What begins thereby is the fold's task."""
    about = (ref.own or {}).get(element)
    if about is None or (run and not about.get("own")):
        return
    task = f.task = Task(ACTIVITY | f.id, ref, ref.tenant, token, f.now, f.us, element)
    task.status, task.started = "started", True
    f.context.tasks[task.key] = task
    ref.hold(task)


def activated(f: Fold, ref: Instance, e: fl.ElementActivated) -> None:
    if e.handler_of == e.token:  # it only carries what is to be undone
        return
    here = ref.activity_at(e.token)
    if here is not None and here.element == e.element:  # it arrived before, and waits now
        return
    around = ref.activity_at(e.scope)
    if not e.index and around is not None and around.element == e.element:  # the scope of a choice inside of an ad-hoc sub-process
        return
    arrived(f, ref, e.token, e.element, e.index)


def done(ref: Instance, token: int, element: str = "") -> None:
    """The token leaves `element` by its end."""
    here = ref.activity_at(token)
    if here is not None and element in ("", here.element):
        here.ending = "completed"


def failed(f: Fold, ref: Instance, e: fl.ErrorOccurred) -> None:
    """An error came out of it."""
    here = ref.activity_at(e.token)
    if here is not None and here.element == e.element:
        here.ending = "failed"
        f.task = here

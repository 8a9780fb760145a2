"""What happens to a trace: its tokens arrive, move on and leave, it ends or goes on under another definition; each of it counted."""

from __future__ import annotations

from flowledger.analytics import named as nm
from flowledger.analytics.figures import CANCELLED, FAILED, MOVED_IN, MOVED_OUT, STARTED, Figures
from flowledger.analytics.trace import ENDS, OPEN_MAX, PATH_MAX, Trace, Visit, Work, stand


def begin(t: Trace, us: int, figures: Figures) -> None:
    figures.add(t.places.whole, us, STARTED)


def arrive(t: Trace, token: int, element: str, scope: int, us: int, figures: Figures, *, counted: bool = True, runs: bool = False) -> None:
    """A token that wasn't there stands at an element. `runs`: it is a run of a loop."""
    if len(t.visits) >= OPEN_MAX:
        t.left_out += 1
        return
    around = t.visits.get(scope)
    repeats = runs or (around is not None and around.repeats)
    v = stand(t, token, element if counted else "", scope, us, repeats)
    if counted:
        _count(t, v, us, figures)


def _count(t: Trace, v: Visit, us: int, figures: Figures) -> None:
    figures.add(v.place, us, STARTED)
    if len(t.path) < PATH_MAX:
        t.path.append(v.element)
    else:
        t.more += 1


def move(t: Trace, token: int, v: Visit, element: str, us: int, figures: Figures) -> None:
    """It leaves where it was, done, and arrives at `element`."""
    _left(t, v, us, figures, done=True)
    v.element, v.place, v.since_us, v.failing, v.tasks = element, t.places.element(element), us, False, None
    for kid in list(t.kids.get(token, ())):
        leave(t, kid, us, figures)
    _count(t, v, us, figures)


def leave(t: Trace, token: int, us: int, figures: Figures, *, done: bool = False) -> None:
    """The token is gone, and all below it."""
    for kid in list(t.kids.pop(token, ())):
        leave(t, kid, us, figures)
    v = t.visits.pop(token, None)
    if v is None:
        return
    if (kids := t.kids.get(v.scope)) is not None:
        kids.pop(token, None)
        if not kids:
            del t.kids[v.scope]
    _left(t, v, us, figures, done=done)


def _left(t: Trace, v: Visit, us: int, figures: Figures, *, done: bool) -> None:
    for task in v.tasks or ():
        if (w := t.work.pop(task, None)) is not None:
            withdrawn(t, w, us, figures)
    if not v.element:
        return
    if done:
        figures.at(v.place, us).completed(max(0, us - v.since_us))
        nm.left(t, v, us, figures.kpis)
    else:
        figures.add(v.place, us, FAILED if v.failing else CANCELLED)


def withdrawn(t: Trace, w: Work, us: int, figures: Figures) -> None:
    for place in w.places[2:]:
        figures.add(place, us, CANCELLED)
    if not w.listener:
        nm.withdrawn(t, w, us, figures.kpis)


def end(t: Trace, outcome: str, us: int, figures: Figures, token: int = 0) -> None:
    """`token`: the last one, which has done what it had to do."""
    if token:
        leave(t, token, us, figures, done=True)
    for key in list(t.visits):
        leave(t, key, us, figures)
    for w in t.work.values():  # of no token
        withdrawn(t, w, us, figures)
    t.work.clear()
    t.outcome, t.ended_us = outcome, us
    whole, lasted_us = t.places.whole, max(0, us - t.started_us)
    if outcome == "completed":
        figures.at(whole, us).completed(lasted_us)
    else:
        figures.add(whole, us, ENDS[outcome])
    nm.ended(t, outcome, us, figures.kpis)
    t.way = t.variant
    figures.variant(whole, us, t.way, ENDS[outcome], lasted_us, t.path, t.more)


def migrate(t: Trace, process: str, definition: int, version: int, renamed: dict[str, str], us: int, figures: Figures) -> None:
    """What is under way goes on under another definition: it has left the one and come to the other."""
    _moved(t, us, figures, MOVED_OUT)
    t.under(process, definition, version)
    for v in t.visits.values():
        v.element = renamed.get(v.element, v.element)
        v.place = t.places.element(v.element)
    for w in t.work.values():
        w.element = renamed.get(w.element, w.element)
        w.places = t.places.work(w.element, w.job_type)
    _moved(t, us, figures, MOVED_IN)


def _moved(t: Trace, us: int, figures: Figures, column: int) -> None:
    figures.add(t.places.whole, us, column)
    for v in t.visits.values():
        if v.element:
            figures.add(v.place, us, column)
    for w in t.work.values():
        for place in w.places[2:]:
            figures.add(place, us, column)


def rescope(t: Trace, token: int, scope: int) -> None:
    if (v := t.visits.get(token)) is not None and v.scope != scope:
        if (kids := t.kids.get(v.scope)) is not None:
            kids.pop(token, None)
            if not kids:
                del t.kids[v.scope]
        v.scope = scope
        if scope != t.key:
            t.kids.setdefault(scope, {})[token] = None

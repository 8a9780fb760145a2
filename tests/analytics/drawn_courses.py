"""Courses of a drawn history, from its events."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from flowledger.analytics import fold
from flowledger.analytics.predict.course import Course, course_of
from flowledger.bench.histories import Case, History
from flowledger.events import task as ta


def courses(history: History) -> list[Course]:
    by_key, of_task = defaultdict(list), {}
    for log in history.records().values():
        for r in log:
            e, us = r.event, r.envelope.time_us
            if type(e) is ta.TaskCreated:
                of_task[e.task] = e.key
            for key in {of_task[t] for t in e.tasks} if type(e) in fold.OF_TASKS else (e.key,):
                by_key[key].append((e, us))
    return [c for events in by_key.values() if (c := course_of(events)) is not None]


def planned(case: Case, us: int) -> set[str]:
    """Where an order stood at a time, by its plan."""
    return {element for element, since, until, _ in case.visits if since <= us and (us < until or not until)}


def stretches(course: Course, until: int) -> list[tuple[int, int]]:
    return list(pairwise([*(s.us for s in course.steps), course.ended_us or until]))

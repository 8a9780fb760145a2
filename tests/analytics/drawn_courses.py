"""Courses of a drawn history, from its events."""

from __future__ import annotations

from itertools import pairwise

from order_model import events_of

from flowledger.analytics.predict.course import Course, course_of
from flowledger.bench.histories import Case, History


def courses(history: History) -> list[Course]:
    return [c for events in events_of(history).values() if (c := course_of(events)) is not None]


def planned(case: Case, us: int) -> set[str]:
    """Where an order stood at a time, by its plan."""
    return {element for element, since, until, _ in case.visits if since <= us and (us < until or not until)}


def stretches(course: Course, until: int) -> list[tuple[int, int]]:
    return list(pairwise([*(s.us for s in course.steps), course.ended_us or until]))

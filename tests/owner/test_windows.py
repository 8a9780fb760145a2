"""What of one tenant is at the owners at once while several are about: its limits at their edges, and what the others and the whole have of it, counted."""

from __future__ import annotations

import heapq
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from counting import calls

from flowledger.processors import windows as wi
from flowledger.processors.windows import LEAST, MOST, SHARED_US, SPAN_US, Windows


def held(windows: Windows[int], tenant: str, many: int, now: int = 0) -> list[int]:
    """Numbers of those that had to wait."""
    out = []
    for n in range(1, many + 1):
        if windows.holds(tenant, n, now):
            windows.hold(tenant, n)
            out.append(n)
    return out


@pytest.mark.req("APG-TEN-004")
def test_of_a_flood_a_window_goes_and_the_next_of_another_goes_past_the_rest():
    windows: Windows[int] = Windows()
    windows.holds("a", 1, 0)
    assert held(windows, "f", 200) == list(range(LEAST + 1, 201))
    assert not windows.holds("a", 1, 1), "who sends little never waits here"
    assert windows.next("f", 200, 2) is None, "nothing of it was answered"
    assert windows.next("f", 199, 2) == LEAST + 1, "one was: the oldest goes"
    assert windows.next("f", 199, 2) is None
    assert windows.holds("f", 100, 2 * SHARED_US), "what waits keeps its order"


def test_a_lone_tenant_has_no_window_a_second_after_the_others():
    windows: Windows[int] = Windows()
    windows.holds("a", 1, 0)
    held(windows, "f", 50)
    assert windows.next("f", 50, SHARED_US - 1) is None
    found = []
    while (one := windows.next("f", 50, SHARED_US)) is not None:
        found.append(one)
    assert found == list(range(LEAST + 1, 51)) and windows.count == 0
    assert not windows.holds("f", 5_000, SHARED_US)


def test_what_waited_for_a_connection_that_is_lost_is_gone():
    windows: Windows[int] = Windows()
    windows.holds("a", 1, 0)
    held(windows, "f", 50)
    windows.clear()
    assert windows.count == 0 and windows.next("f", 50, SHARED_US) is None


def answer(windows: Windows[int], took: int, now: int, tenant: str = "f") -> None:
    windows.sent(7, now - took)
    windows.answered(7, tenant, now)


@pytest.mark.parametrize(("times", "size"), [(1, MOST), (100, LEAST)])
def test_a_window_stays_within_its_bounds(times, size):
    """All answers take the least that one took: nothing waits at the owners; or a hundred times that."""
    windows: Windows[int] = Windows()
    windows.holds("a", 1, 0)
    held(windows, "f", 50)
    answer(windows, 1_000, 1_000)
    for n in range(200):
        answer(windows, 1_000 * times, 2_000 + n)
    assert windows.size == size


def test_it_grows_for_who_is_held_by_it_only():
    windows: Windows[int] = Windows()
    for n in range(200):
        answer(windows, 1_000, 1_000 + n, "a")
    assert windows.size == LEAST


def test_one_answer_at_a_time_is_looked_at():
    windows: Windows[int] = Windows()
    windows.holds("a", 1, 0)
    held(windows, "f", 50)
    windows.sent(1, 0)
    windows.sent(2, 10)
    windows.answered(2, "f", 1_000)
    assert windows.size == LEAST
    windows.answered(1, "f", 1_000)
    assert windows.size > LEAST


def test_what_an_answer_takes_at_least_is_forgotten_when_it_is_so_no_more():
    """The disk, or the brokers, have become slow: two spans later that is how it is."""
    windows: Windows[int] = Windows()
    windows.holds("a", 1, 0)
    held(windows, "f", 50)
    for now in range(0, SPAN_US, SPAN_US // 50):
        answer(windows, 1_000, now)
    windows.size = 100
    for now in range(SPAN_US, 2 * SPAN_US, SPAN_US // 50):
        answer(windows, 10_000, now)
    assert windows.size < 20
    for now in range(2 * SPAN_US, 4 * SPAN_US, SPAN_US // 50):
        answer(windows, 10_000, now)
    assert windows.size > 100


class Owners:
    """One after the other, each for `work` microseconds, and each answer is on its way for `wait` more."""

    def __init__(self, windows: Windows[int] | None, work: int, wait: int) -> None:
        self.windows, self.work, self.wait = windows, work, wait
        self.free, self.now, self.number, self.done = 0, 0, 0, 0
        self.of = {"f": 0, "a": 0}
        self.answers: list[tuple[int, int, str]] = []
        #: what of the flood stood before each of the other's
        self.before: list[int] = []

    def call(self, tenant: str) -> None:
        self.number += 1
        self.of[tenant] += 1
        if self.windows is not None and self.windows.holds(tenant, self.of[tenant], self.now):
            self.windows.hold(tenant, self.number)
        else:
            self.send(tenant, self.number)

    def send(self, tenant: str, number: int) -> None:
        if tenant == "a":
            self.before.append(sum(1 for each in self.answers if each[0] - self.wait > self.now))
        self.free = max(self.free, self.now) + self.work
        heapq.heappush(self.answers, (self.free + self.wait, number, tenant))
        if self.windows is not None:
            self.windows.sent(number, self.now)

    def run(self, to: int, flood: int, every: int) -> None:
        """So many callers that flood, each again when it was answered, and one of another every so many microseconds."""
        other = 0
        self.call("a")
        for _ in range(flood):
            self.call("f")
        while self.now < to:
            if other <= self.answers[0][0]:
                self.now = other
                other += every
                self.call("a")
                continue
            self.now, number, tenant = heapq.heappop(self.answers)
            self.of[tenant] -= 1
            if self.windows is not None:
                self.windows.answered(number, tenant, self.now)
                while (one := self.windows.next(tenant, self.of[tenant], self.now)) is not None:
                    self.send(tenant, one)
            if tenant == "f":
                self.done += 1
                self.call("f")


@pytest.mark.req("APG-TEN-004")
@pytest.mark.parametrize(("work", "wait"), [(200, 500), (200, 2_000), (200, 10_000)], ids=["near", "disk", "brokers"])
def test_the_others_wait_for_few_and_the_owners_have_no_less_to_do(work, wait):
    """Seconds of a queue in the mind: of 200 that flood, without windows nearly all that fit stand before the other's at the owners."""
    free, bound = Owners(None, work, wait), Owners(Windows(), work, wait)
    for each in (free, bound):
        each.run(4_000_000, 200, 10_000)
    late = len(bound.before) // 2  # a window has found its size by then
    assert sorted(free.before)[len(free.before) // 2] > 140
    assert max(bound.before[late:]) <= 2 * wi.MANY + LEAST, bound.before[late:]
    assert bound.done > 0.9 * free.done


def test_the_steps_of_a_command_do_not_depend_on_how_much_waits():
    def work(many: int) -> int:
        windows: Windows[int] = Windows()
        windows.holds("a", 1, 0)
        held(windows, "f", many)

        def run() -> None:
            for n in range(100):
                windows.hold("f", n)
                windows.next("f", LEAST + windows.count - 1, 0)

        return calls(run)

    assert work(50) == work(5_000)

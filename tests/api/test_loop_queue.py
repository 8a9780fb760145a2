"""Who is let in at the doors, by how long the next one would wait for its turn of the event loop."""

import asyncio

import pytest

from flowledger.api import queue as q
from flowledger.processors.admission import LOW, NEW, RUNNING


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Turns(q.LoopQueue):
    """Turns of a loop that is only thought of: `turn(seconds, begun)`."""

    def __init__(self):
        self.clock = Clock()
        super().__init__(self.clock)

    def turn(self, seconds, begun=0, waiting=0):
        self._turning, self._began = True, self.clock.now
        for _ in range(begun):
            self.entered(self.waits())
        self.clock.now += seconds
        self.waiting = waiting
        self.turned()


def let_in(queue):
    return {kind for kind in (RUNNING, NEW, LOW) if not queue.refusal(kind)}


@pytest.mark.req("WOS-RES-010", "WOS-PER-002")
@pytest.mark.parametrize(
    ("waiting", "kinds"),
    [
        (q.FEW - 1, {RUNNING, NEW, LOW}),
        (70, {RUNNING, NEW, LOW}),
        (71, {RUNNING, NEW}),
        (200, {RUNNING, NEW}),
        (201, {RUNNING}),
        (1000, {RUNNING}),
        (1001, set()),
    ],
)
def test_the_unimportant_goes_first_and_work_on_what_runs_last(waiting, kinds):
    """A request costs 1 ms, so 200 in front are a wait of 0.2 s."""
    queue = Turns()
    for _ in range(q.FIGURES):
        queue.turn(0.2, begun=200)
    assert queue.cost_s == pytest.approx(0.001)
    queue.cost_s = 0.001  # to the last bit
    queue.turn(0.0, waiting=waiting)
    assert let_in(queue) == kinds
    assert queue.tight or kinds == {RUNNING, NEW, LOW}


def test_few_are_let_in_whatever_they_cost():
    queue = Turns()
    for _ in range(q.FIGURES):
        queue.turn(10.0, begun=q.BEGUN_MIN)
    queue.turn(0.0, waiting=q.FEW - 1)
    assert let_in(queue) == {RUNNING, NEW, LOW}


def test_one_slow_moment_is_no_overload():
    queue = Turns()
    queue.turn(3.0)
    assert queue.tight and let_in(queue) == {RUNNING, NEW, LOW}
    queue.turn(0.01)
    queue.clock.now += 5
    assert let_in(queue) == {RUNNING, NEW, LOW}, "and it is forgotten"


@pytest.mark.parametrize(("turn_s", "kinds"), [(0.069, {RUNNING, NEW, LOW}), (0.071, {RUNNING, NEW}), (0.201, {RUNNING}), (1.01, set())])
def test_turns_that_stay_too_long_are_overload(turn_s, kinds):
    """Nothing waits here: something else fills the loop."""
    queue = Turns()
    for _ in range(max(q.TURNS, 1 + int(q.INTERVAL_S / turn_s) + 1)):
        queue.turn(turn_s)
    assert let_in(queue) == kinds


def test_a_slow_answer_to_one_who_comes_alone_is_no_overload():
    """Nobody comes while the loop has nothing to do: that isn't a delay that stands."""
    queue = Turns()
    for _ in range(q.TURNS - 1):
        queue.turn(0.5)
        queue.clock.now += q.INTERVAL_S
        assert let_in(queue) == {RUNNING, NEW, LOW}
    queue.turn(0.5)
    assert let_in(queue) == {RUNNING}


async def test_where_nobody_came_for_a_while_there_is_no_queue():
    queue = Turns()
    for _ in range(q.TURNS + 1):
        queue.turn(0.5)
    queue.clock.now += q.IDLE_S - 0.01
    queue.read()
    assert let_in(queue) == {RUNNING}
    queue.turned()
    for _ in range(q.TURNS):
        queue.turn(0.5)
    assert let_in(queue) == {RUNNING}
    queue.clock.now += q.IDLE_S + 0.01
    queue.read()
    assert let_in(queue) == {RUNNING, NEW, LOW} and not queue.tight


def test_who_was_refused_of_late_is_refused_at_once_when_it_comes_again():
    queue = Turns()
    for _ in range(4):
        queue.turn(0.3)
    assert queue.refusal(NEW) == pytest.approx(0.3)
    queue.turn(0.01)
    assert not queue.refusal(NEW)
    queue.turn(0.3)
    assert queue.refusal(NEW), "no interval is waited for"
    queue.turn(0.01)
    queue.clock.now += q.MEMORY_S + 0.1
    queue.turn(0.3)
    assert not queue.refusal(NEW), "it is long ago"


def test_of_the_figures_of_what_a_request_costs_the_least_counts():
    queue = Turns()
    queue.turn(1.0, begun=10)
    assert queue.cost_s == 1 / q.USUAL_RATE, "nothing better is known yet"
    for _ in range(q.FIGURES):
        queue.turn(1.0, begun=100)
    assert queue.cost_s == pytest.approx(0.01)
    queue.turn(0.09, begun=100)  # too short a time to say anything
    assert queue.cost_s == pytest.approx(0.01)


async def test_a_turn_lasts_until_what_it_began_has_run():
    queue = q.LoopQueue()
    queue.read()
    since = queue.waits()
    asyncio.get_running_loop().call_soon(lambda: (queue.entered(since), __import__("time").sleep(0.05)))
    queue.read()
    await asyncio.sleep(0.1)
    assert 0.05 <= queue.turn_s < 0.1 and queue.waiting == 0


@pytest.mark.parametrize(("lag_s", "kinds"), [(0.07, {RUNNING, NEW, LOW}), (0.071, {RUNNING, NEW}), (0.201, {RUNNING}), (1.01, set())])
def test_who_waited_to_be_taken_in_a_crowd_has_waited(lag_s, kinds):
    queue = Turns()
    queue.slices.lag_s = lag_s
    assert not queue.tight and let_in(queue) == {RUNNING, NEW, LOW}, "few came: somebody else was slow"
    queue.slices.crowd = True
    assert queue.tight and let_in(queue) == kinds


def test_the_unimportant_overtakes_nobody(monkeypatch):
    queue = Turns()
    queue.slices.crowd = True
    monkeypatch.setattr(queue.slices, "oldest_s", lambda: 0.1)
    assert let_in(queue) == {RUNNING, NEW}, "this one came at once, others wait"


def test_the_wait_behind_the_door_counts():
    queue = Turns()
    queue.behind = lambda kind, tenant: {RUNNING: 0.0, NEW: 0.0, LOW: 0.3}[kind]
    assert queue.tight and queue.refusal(LOW) == 0.3 and let_in(queue) == {RUNNING, NEW}


@pytest.mark.parametrize(("waiting", "waited_s", "told"), [(q.FEW, 0.3, 0.3), (q.FEW, 0.069, 0.0), (q.FEW - 1, 9.0, 0.0)])
def test_who_is_let_in_hears_how_long_it_waited_in_a_crowd(waiting, waited_s, told):
    queue = Turns()
    since = queue.waits()
    queue.clock.now += waited_s
    queue.waiting = waiting
    assert queue.entered(since) == pytest.approx(told) and queue.waiting == waiting - 1


@pytest.mark.parametrize(
    ("priority", "low"),
    [
        ("u=5", True),
        ("i, u=7", True),
        ("u=4", True),
        (" u=4 ", True),
        ("u=3", False),
        ("u=1", False),
        ("", False),
        ("u=8", False),
        ("x", False),
    ],
)
def test_what_says_that_it_is_unimportant(priority, low):
    assert q.unimportant(priority) is low


@pytest.mark.parametrize(("waited", "ms"), [(0.03, 1000), (0.6, 1200), (2.0, 4000), (60.0, 5000)])
def test_when_to_come_again(waited, ms):
    assert q.retry_ms(waited) == ms

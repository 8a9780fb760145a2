"""What time makes happen: heaps stay in proportion to what is open, and nothing that is due is lost by clearing them."""

from flowledger.events import commands as c
from flowledger.kernel import Partition
from flowledger.kernel.state import Message, Task, Timer
from flowledger.processors import due


def task(key: int, **more) -> Task:
    return Task(key=key, instance=0, token=0, element="", type="service_task", job_type="j", retries=3, **more)


def test_leases_of_jobs_long_done_do_not_pile_up():
    p = Partition()
    p.tasks = {7: task(7, worker="w", deadline_us=500, fence=2), 8: task(8, retry_at_us=400)}
    p.timers = {3: Timer(key=3, instance=1, token=1, element="t", due_us=300)}
    p.messages = {4: Message(key=4, name="m", correlation="", vars=None, message_id="", expires_us=350)}
    stale = due.HEAP_MIN + 1
    p.leases = sorted([(900 + n, 100 + n, 1) for n in range(stale)] + [(200, 7, 1), (500, 7, 2)])
    p.retrying = sorted([(900 + n, 100 + n) for n in range(stale)] + [(400, 8)])
    p.due = sorted([(900 + n, 100 + n) for n in range(stale)] + [(300, 3), (350, 4)])
    assert due.collect(p, 100, 10) == []
    assert (p.leases, p.retrying, p.due) == ([(500, 7, 2)], [(400, 8)], [(300, 3), (350, 4)])
    assert due.next_at(p) == 300
    assert due.collect(p, 600, 10) == [
        c.FireTimers(timers=[3]), c.ExpireMessages(messages=[4]), c.ExpireLeases(tasks=[7]), c.ReadyTasks(tasks=[8]),
    ]  # fmt: skip


def test_heaps_of_what_is_open_are_left_alone():
    p = Partition()
    p.tasks = {n: task(n, worker="w", deadline_us=n, fence=1) for n in range(due.HEAP_MIN)}
    p.leases = [(n, n, 1) for n in range(due.HEAP_MIN)] + [(1 << 40, 0, 0)]
    before = list(p.leases)
    assert due.collect(p, -1, 10) == [] and p.leases == before

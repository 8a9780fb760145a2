"""What came all at once is taken in slices: in which order, and what is known of the wait."""

import pytest

from flowledger.api.slices import CROWD_EVERY, FEW, MIXED_S, SHARED, SLICE_S, Slices


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Peer:
    def __init__(self, house, name, running=False):
        self.house, self.name, self.running, self.whose = house, name, running, ""
        self.reading = True

    def take(self, data):
        self.house.taken.append((self.name, data.decode()))
        self.house.lags.append(round(self.house.slices.lag_s, 6))
        self.house.crowds.append(self.house.slices.crowd)
        self.house.clock.now += self.house.cost_s

    def pause(self):
        self.reading = False

    def resume(self):
        self.reading = True


class House:
    """Slices of a loop whose turns are run by hand."""

    def __init__(self, monkeypatch, cost_s=0.001):
        self.clock, self.cost_s = Clock(), cost_s
        self.slices = Slices(self.clock)
        self.taken, self.lags, self.crowds, self._soon = [], [], [], []
        monkeypatch.setattr("flowledger.api.slices.asyncio.get_running_loop", lambda: self)

    def call_soon(self, what):
        self._soon.append(what)

    def turn(self):
        soon, self._soon = self._soon, []
        for what in soon:
            what()

    def crowd(self, many=FEW, busy_s=1.0):
        peers = [Peer(self, n) for n in range(many)]
        for peer in peers:
            assert self.slices.defer(peer, b"x", busy_s)
        return peers

    @property
    def names(self):
        return [name for name, _ in self.taken]


@pytest.fixture
def house(monkeypatch):
    return House(monkeypatch)


@pytest.mark.parametrize(("busy_s", "later"), [(0.0, False), (SLICE_S, False), (SLICE_S + 1e-6, True)])
def test_what_comes_within_a_slice_is_taken_at_once(house, busy_s, later):
    assert house.slices.defer(Peer(house, 1), b"x", busy_s) is later
    house.turn()
    assert house.names == [1] * later and not len(house.slices)


def test_of_one_connection_all_comes_in_its_order_and_no_more_is_read_of_it_meanwhile(house):
    one, other = Peer(house, "one"), Peer(house, "other")
    assert house.slices.defer(one, b"1", 1.0) and one.reading
    assert house.slices.defer(other, b"a", 0.0), "others wait already"
    assert house.slices.defer(one, b"2", 0.0) and not one.reading
    assert house.slices.defer(one, b"3", 0.0), "what was on its way"
    house.turn()
    assert house.taken == [("one", "1"), ("one", "23"), ("other", "a")] and one.reading and other.reading
    assert not house.slices.defer(one, b"4", 0.0)


def test_what_is_taken_may_stop_its_own_reading(house):
    """As a door does whose application is behind."""
    peer = Peer(house, 1)
    take = peer.take
    peer.take = lambda data: (take(data), peer.pause())
    for part in (b"1", b"2"):
        house.slices.defer(peer, part, 1.0)
    house.turn()
    assert [data for _, data in house.taken] == ["1", "2"] and not peer.reading


def test_a_turn_takes_a_slice(house):
    peers = house.crowd(FEW - 1)
    turns = 0
    while len(house.slices):
        before = len(house.taken)
        house.turn()
        turns += 1
        assert 0 < len(house.taken) - before <= SLICE_S / house.cost_s + 1
    assert house.names == list(range(len(peers))), "the oldest first: this is no crowd"
    assert turns > 2 and house.lags == sorted(house.lags) and house.lags[-1] == pytest.approx(0.001 * (FEW - 2), abs=0.001)
    assert house.slices.lag_s == 0.0


def test_of_a_crowd_the_newest_is_taken_in_turn_with_the_oldest(house):
    house.crowd(FEW)
    assert house.slices.crowd
    house.turn()
    assert house.names[:4] == [FEW - 1, 0, FEW - 2, 1]
    while len(house.slices):
        house.turn()
    assert sorted(house.names) == list(range(FEW))
    assert all(house.crowds) and not house.slices.crowd, "until all were taken: the last of a crowd are late too"


def test_work_on_what_runs_comes_before_a_crowd_and_the_crowd_is_not_forgotten(house):
    house.cost_s = 0.0001
    house.crowd(FEW)
    for n in range(FEW):
        house.slices.defer(Peer(house, f"w{n}", running=True), b"x", 0.0)
    house.turn()
    first = house.names[: 2 * CROWD_EVERY]
    assert sum(str(n).startswith("w") for n in first) == 2 * (CROWD_EVERY - 1)
    running = [n for n in house.names if str(n).startswith("w")]
    assert running == [f"w{n}" for n in range(len(running))], "the oldest first"


def test_how_long_the_oldest_has_waited_that_is_not_work_on_what_runs(house):
    house.slices.defer(Peer(house, "w", running=True), b"x", 1.0)
    house.clock.now += 5
    assert house.slices.oldest_s() == 0.0
    house.slices.defer(Peer(house, 1), b"x", 1.0)
    house.clock.now += 2
    assert house.slices.oldest_s() == pytest.approx(2.0)


def of(house, tenant, many, running=False):
    peers = []
    for n in range(many):
        peers.append(Peer(house, f"{tenant}{n}", running))
        peers[-1].whose = tenant
        assert house.slices.defer(peers[-1], b"x", 1.0)
    return peers


@pytest.mark.req("APG-TEN-004")
@pytest.mark.parametrize("running", [False, True])
def test_a_tenant_that_floods_waits_for_itself_and_each_other_for_a_round(house, running):
    of(house, "f", 200, running)
    for name in "abc":
        of(house, name, 1, running)
    while len(house.slices):
        house.turn()
    assert len(house.taken) == 203
    assert {house.names.index(f"{name}0") for name in "abc"} <= set(range(5)), house.names[:8]


def test_a_turn_takes_less_while_several_tenants_are_about(house):
    house.cost_s = 0.0005

    def most():
        of(house, "f", 40)
        found = 0
        while len(house.slices):
            before = len(house.taken)
            house.turn()
            found = max(found, len(house.taken) - before)
        return found

    house.slices._flow = "f"
    assert most() == pytest.approx(SLICE_S / house.cost_s, abs=1)
    other = Peer(house, "o")
    assert not house.slices.defer(other, b"x", 0.0), "it comes while nothing waits"
    assert most() == SHARED
    house.clock.now += MIXED_S
    assert most() == pytest.approx(SLICE_S / house.cost_s, abs=1)


def test_a_connection_that_changes_its_tenant_while_it_waits_keeps_its_order(house):
    peer = Peer(house, "p")
    peer.whose = "a"
    house.slices.defer(peer, b"1", 1.0)
    peer.whose = "b"
    house.slices.defer(peer, b"2", 1.0)
    house.turn()
    assert house.taken == [("p", "1"), ("p", "2")] and not len(house.slices)

"""What waits, by whose it is, taken by turns: weighted fair queueing as deficit round robin (Shreedhar and Varghese, SIGCOMM 1995).

What one costs is known only once it was done, so it is paid afterwards: each flow takes while it has credit, pays what that came to, and gets its quantum
when its turn comes again. Within a flow the order is kept. A flow that has nothing left stays until its debt is paid, so that who sends one costly thing after
the other gains nothing by it. Every step but the sum over all takes the same time however many flows there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

#: a debt is at most so many quanta: one costly thing doesn't shut a flow out
DEBT_MAX = 64


class Flow(Generic[T]):
    """What waits of one. `credit`: what it may spend before the others have their turn; `newest`: where a crowd is taken from both ends."""

    __slots__ = ("credit", "items", "name", "newest", "quantum")

    def __init__(self, name: str, quantum: int) -> None:
        self.name, self.quantum, self.credit = name, quantum, quantum
        self.items: deque[T] = deque()
        self.newest = False


class Turns(Generic[T]):
    """`count` of all wait. `weight(name)`: how many quanta a flow gets at each of its turns, asked when it begins to wait."""

    __slots__ = ("_flows", "_quantum", "_round", "_taken", "_weight", "count")

    def __init__(self, quantum: int = 1, weight: Callable[[str], int] = lambda name: 1) -> None:
        self._quantum, self._weight = quantum, weight
        self._flows: dict[str, Flow[T]] = {}
        #: whose turn it is, and who comes after it
        self._round: deque[Flow[T]] = deque()
        #: of whom the last one was
        self._taken: Flow[T] | None = None
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[T]:
        for flow in self._round:
            yield from flow.items

    @property
    def flows(self) -> int:
        """How many flows are in the round."""
        return len(self._round)

    def waiting(self, name: str) -> int:
        return len(flow.items) if (flow := self._flows.get(name)) is not None else 0

    def add(self, name: str, item: T) -> None:
        if (flow := self._flows.get(name)) is None:
            flow = self._flows[name] = Flow(name, self._quantum * self._weight(name))
            self._round.append(flow)
        flow.items.append(item)
        self.count += 1

    def take(self, spread: bool = False) -> T:
        """The next one. `spread`: of its flow the newest in turn with the oldest. Raises: IndexError: nothing waits."""
        if not self.count:
            raise IndexError("nothing waits")
        turn = self._round
        while not (flow := turn[0]).items or flow.credit <= 0:
            turn.popleft()
            if not flow.items and flow.credit > 0:
                del self._flows[flow.name]
                continue
            flow.credit = flow.credit + flow.quantum if turn else flow.quantum  # who is alone owes nobody
            turn.append(flow)
        self._taken = flow
        self.count -= 1
        flow.newest = spread and not flow.newest
        return flow.items.pop() if flow.newest else flow.items.popleft()

    def oldest(self) -> T | None:
        """Of the flow that had the last turn (before that, whose turn it is), the one that has waited for the longest time."""
        flow = self._taken or (self._round[0] if self._round else None)
        return flow.items[0] if flow is not None and flow.items else None

    def pay(self, cost: int, name: str | None = None) -> None:
        """What the last one came to, or more that came of one of this flow."""
        if (flow := self._taken if name is None else self._flows.get(name)) is not None:
            flow.credit = max(flow.credit - cost, -DEBT_MAX * flow.quantum)
            if not self.count:  # nobody waits for anybody
                self.clear()

    def clear(self) -> None:
        self._flows.clear()
        self._round.clear()
        self._taken, self.count = None, 0

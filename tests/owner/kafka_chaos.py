"""Faults for owners on a real Kafka with a projector on a real PostgreSQL, one after the other by a seed. For `test_kafka_faults.py`.

Each kind happens once at least, in an order of the seed's; then by weight, until there were as many as asked for. They overlap: a broker is
killed while an owner is frozen, and a clock steps meanwhile.
"""

from __future__ import annotations

import contextlib
import random
import resource
import shutil
import subprocess
import time
from collections.abc import Callable

from kafka_load import FAKETIME, Owners

from flowledger.infra.kafka_broker import Broker, BrokerUnavailable

#: a frozen owner is woken as a zombie when its session (2 s) has long run out, and others have claimed
FROZEN_S = 3.5
STEPS_S = (-86_400, -3_600, -61, -5, 2, 60, 600, 90_000)


class Chaos:
    """`counts`: kind -> how often. `trim` and `cut` are done by the test: what is consumed goes from the topics; the database's connections end."""

    def __init__(self, owners: Owners, broker: Broker, seed: int, trim: Callable[[], None], cut: Callable[[], None]) -> None:
        self.owners, self.broker, self.dice = owners, broker, random.Random(seed)
        self.kinds: dict[str, tuple[float, Callable[[], bool]]] = {
            "owner killed": (4, self.kill), "owner frozen": (4, self.freeze), "connections reset": (5, self.reset), "clock stepped": (5, self.step),
            "topics trimmed": (2, self.asked(trim)), "database cut": (2, self.asked(cut)), "broker stalled": (0.6, self.stall),
            "broker killed": (0.3, self.kill_broker), "disk full": (0.3, self.fill_disk),
        }  # fmt: skip
        if not FAKETIME:
            del self.kinds["clock stepped"]
        if shutil.which("ss") is None:
            del self.kinds["connections reset"]
        self.counts = dict.fromkeys(self.kinds, 0)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def run(self, faults: int, patience_s: float) -> None:
        """So many, or as many as fit into the time."""
        first = self.dice.sample(list(self.kinds), len(self.kinds))
        weights = [weight for weight, _ in self.kinds.values()]
        until = time.monotonic() + patience_s
        while self.total < faults and time.monotonic() < until:
            time.sleep(self.dice.uniform(0.2, 1.2))
            kind = first[-1] if first else self.dice.choices(list(self.kinds), weights)[0]
            if self.kinds[kind][1]():
                self.counts[kind] += 1
                if kind in first:
                    first.remove(kind)
                if self.total % 50 == 0:
                    print(f"{self.total} faults after {patience_s - until + time.monotonic():.0f} s: {self.counts}", flush=True)
            self.owners.wake(FROZEN_S)

    @property
    def victims(self) -> list[subprocess.Popen[bytes]]:
        return [p for p in self.owners.running if p not in self.owners.frozen]

    @staticmethod
    def asked(work: Callable[[], None]) -> Callable[[], bool]:
        def do() -> bool:
            with contextlib.suppress(TimeoutError):  # the broker is slow after all that
                work()
                return True
            return False

        return do

    def kill(self) -> bool:
        if len(self.victims) < 2:
            return False
        self.owners.kill(self.dice.choice(self.victims))
        self.owners.start()
        return True

    def freeze(self) -> bool:
        if self.owners.frozen or len(self.victims) < 2:
            return False
        self.owners.freeze(self.dice.choice(self.victims))
        return True

    def step(self) -> bool:
        """The wall clock of one owner's machine, at once."""
        if not (victims := self.victims):
            return False
        self.owners.step(self.dice.choice(victims), self.dice.choice(STEPS_S))
        return True

    def reset(self) -> bool:
        """All TCP connections to the broker end in the middle of whatever they do."""
        port = self.broker.address.rpartition(":")[2]
        subprocess.run(["ss", "-K", "dst", "127.0.0.1", "dport", "=", port], capture_output=True, check=False)
        return True

    def stall(self) -> bool:
        """Sometimes for longer than the owners' patience with an append (5 s)."""
        self.broker.pause()
        time.sleep(self.dice.choice([1.0, 2.0, 6.0]))
        self.broker.resume()
        return True

    def kill_broker(self) -> bool:
        self.broker.kill()
        self.up()
        return True

    def fill_disk(self) -> bool:
        """No file of the broker may grow any more, as on a disk that is full: it takes its log for broken and ends. Then there is space again."""
        pid = self.broker.pid
        if pid is None:
            return False
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        until = time.monotonic() + 8
        while self.broker.pid is not None and time.monotonic() < until:
            time.sleep(0.1)
        self.broker.kill()
        self.up()
        return True

    def up(self) -> None:
        for _ in range(3):
            with contextlib.suppress(BrokerUnavailable):
                self.broker.up(progress=lambda text: None)
                return
        self.broker.up()

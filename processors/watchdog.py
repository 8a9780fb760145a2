"""The watchdog of one partition: goes round over all that runs, a slice at a time, and keeps what it has found. Pure: time and answers come in.

What doesn't hold in one look is a *suspicion*: it is looked at again after `CONFIRM_US`, when no follow-up of a former decision waits, and is a *finding* when
it still doesn't hold. What only another partition can tell is asked there, twice (`kernel/watchdog/peers.py`). Findings are looked at again all the time, and
go by themselves. They are in memory only: a new owner finds them again.
Choices: to look at an instance costs five times what a task or a timer costs, and what nobody touches seldom breaks. So there are two walks: over all tables but
instances in `ROUND_S`, and over instances with at most `QUIET_MAX` in a slice (250 a second), which takes longer where very many are parked. What has changed is
looked at after `FRESH_S`, and who has called or was called with each walk over the tables, since what breaks it happens elsewhere. The first walk after a
take-over, and the first after holds changed, makes no such difference. What is kept for nobody is a suspicion for ever, so the number of both is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flowledger.kernel import Facts, Partition
from flowledger.kernel.handlers.repairs import REGISTRY
from flowledger.kernel.ledger.facts import NotAtHand
from flowledger.kernel.watchdog import looking, peers
from flowledger.kernel.watchdog.kinds import KINDS, OF_PARTITION, REPAIRS, Found, found, id_of
from flowledger.logs import log

log_ = log("watchdog")

#: between slices (seconds), and the time that a round is meant to take; a shorter one rests until the next
TICK_S, ROUND_S, REST_S = 0.2, 40.0, 5.0
#: things that one slice looks at; of instances that may be quiet; of those that have changed
SLICE_MIN, SLICE_MAX, QUIET_MAX, FRESH_SLICE = 50, 1_000, 50, 200
#: what has changed is looked at so much later (seconds), and so many are remembered: beyond it is the round's
FRESH_S, FRESH_MAX = 10.0, 10_000
#: what doesn't hold twice, so long apart, is a finding (microseconds)
CONFIRM_US = 5_000_000
#: a send that is the first without confirmation for so long, and a topic of which nothing is taken for so long (microseconds)
SEND_US, COMMANDS_US = 30_000_000, 30_000_000
#: what was told by another node is asked there again after this time (microseconds)
ASK_AGAIN_US = 30_000_000
#: findings, and suspicions, that are kept; the rest is counted
KEPT_MAX = 10_000
#: findings that one answer tells
TOLD_MAX = 1_000

Asked = dict[int, list[peers.Question]]


class Suspicion:
    """`asked`: what other partitions are asked, by partition (empty: this one knows by itself); `heard`: how far each had sent when it said no the
    first time; `sure`: who has said it again since."""

    __slots__ = ("asked", "found", "heard", "since_us", "sure")

    def __init__(self, f: Found, now_us: int) -> None:
        self.found, self.since_us = f, now_us
        self.asked: dict[int, peers.Question] = {}
        self.heard: dict[int, int] = {}
        self.sure: set[int] = set()


class Walk:
    """Over `names`, again and again: `keys` gives what there is of one when its turn comes."""

    def __init__(self, names: tuple[str, ...], keys: Callable[[str], Iterable[Any]]) -> None:
        self.names, self._keys = names, keys
        self.rounds, self.took_s = 0, 0.0
        self.rests_to = 0
        self._began_us = 0
        self._slice = SLICE_MIN
        self._things: Iterator[tuple[str, Any]] = iter(())

    def slice(self, now_us: int, most: int) -> Iterator[tuple[str, Any]]:
        """What is to be looked at now, `most` things at most. At the end of a round it rests."""
        if now_us < self.rests_to:
            return
        left = min(self._slice, most)
        for thing in self._things:
            yield thing
            left -= 1
            if left <= 0:
                return
        if self._began_us:
            self.rounds += 1
            self.took_s = (now_us - self._began_us) / 1e6
            self.rests_to = self._began_us + int(REST_S * 1e6)
        self._began_us = max(now_us, self.rests_to)
        number = sum(len(list(self._keys(name))) for name in self.names)
        self._slice = min(SLICE_MAX, max(SLICE_MIN, int(number * TICK_S / ROUND_S) + 1))
        self._things = ((name, key) for name in self.names for key in list(self._keys(name)))  # each as it is when its turn comes


class Watchdog:
    """`near`: whether the owner of a partition is in this process, so that to ask costs next to nothing."""

    def __init__(self, state: Partition, facts: Facts, near: Callable[[int], bool] = lambda partition: True) -> None:
        self.state, self.facts, self._near = state, facts, near
        facts.watch = self
        self.now_us = facts.now_us
        self.suspicions: dict[str, Suspicion] = {}
        self.findings: dict[str, Suspicion] = {}
        self.looked = 0
        #: of what is acknowledged of the partition's events
        self.end = 0
        self._tables = Walk((*(n for n in looking.CHECKS if n != "instances"), "ready", "related"), self._keys)
        self._instances = Walk(("instances",), self._keys)
        #: of which holds it has heard, and the round over instances that began before
        self._holds: frozenset[Any] = frozenset()
        self._all_of = 0
        #: instances that have called, or were called
        self._related: set[int] = set()
        #: instances that have changed, and wait to be looked at
        self._fresh: deque[int] = deque()
        self._noted: set[int] = set()
        self._fresh_at = 0
        self._checks_at = 0
        #: questions of the walk that goes on, and those that are to be asked
        self._collected: Asked = {}
        self._questions: Asked = {}
        #: (kind, keys) -> when another node said that it is there
        self._told: dict[tuple[Any, ...], int] = {}
        #: partition -> the first number that is not confirmed, and since when
        self._heads: dict[int, tuple[int, int]] = {}
        self._commands: tuple[int, int] = (-1, 0)
        self._wish = self._wanted()

    # --- rounds

    @property
    def rounds(self) -> int:
        """Whole ones over everything, since the claim."""
        return min(self._tables.rounds, self._instances.rounds)

    @property
    def round_s(self) -> float:
        """How long the last whole one took."""
        return max(self._tables.took_s, self._instances.took_s)

    @property
    def pause_s(self) -> float:
        """Until the next slice."""
        working = self._fresh or min(self._tables.rests_to, self._instances.rests_to) <= self.now_us
        return TICK_S if working else 0.5

    def look(self, now_us: int, busy: Callable[[], bool] = lambda: False) -> None:
        """One slice. `busy`: a follow-up of a decision waits, so that nothing can be confirmed."""
        self.now_us = now_us
        look = looking.Look(self.state, self.facts.processes, now_us, self.facts.instances_max)
        walked = self._tables.rounds
        for name, key in self._tables.slice(now_us, SLICE_MAX):
            self._one(look, "instances" if name == "related" else name, key, self._collected)
        if self._tables.rounds != walked:
            self._merge(self._collected)
            self._collected = {}
            self._told = {k: at for k, at in self._told.items() if at + ASK_AGAIN_US > now_us}
        walked, quiet = self._instances.rounds, self._instances.rounds > self._all_of
        for name, key in self._instances.slice(now_us, QUIET_MAX if quiet else SLICE_MAX):
            self._one(look, name, key)
        self._look_at_fresh(look)
        if now_us >= self._checks_at and not busy():
            self._checks_at = now_us + 1_000_000
            self._confirm(look)
            self._sends()

    def note(self) -> None:
        """What has changed since the last checkpoint; to be told before that is forgotten, too."""
        self._noted.update(key for table, key in self.state.changed if table == "instance")
        if (holds := frozenset(self.state.holds)) != self._holds:
            self._holds, self._all_of = holds, self._instances.rounds + 1
        if len(self._noted) > FRESH_MAX:
            self._noted.clear()

    def _look_at_fresh(self, look: looking.Look) -> None:
        if self.now_us >= self._fresh_at and not self._fresh:
            self._fresh_at = self.now_us + int(FRESH_S * 1e6)
            self.note()
            self._fresh.extend(self._noted)
            self._noted.clear()
        asked: Asked = {}
        for _ in range(min(FRESH_SLICE, len(self._fresh))):
            self._one(look, "instances", self._fresh.popleft(), asked)
        for some in asked.values():
            for q in some:
                self._told.pop((q.kind, *q.of), None)
        self._merge(asked)

    def _merge(self, asked: Asked) -> None:
        for to, some in asked.items():
            self._questions.setdefault(to, []).extend(some)

    def _keys(self, name: str) -> Iterable[Any]:
        return self._related if name == "related" else getattr(self.state, name)

    def _one(self, look: looking.Look, name: str, key: Any, asked: Asked | None = None) -> None:
        """`asked`: what another partition has to be asked about it is put here."""
        p = self.state
        self.looked += 1
        try:
            if name == "ready":
                for f in looking.of_lane(look, key):
                    self._suspect(f)
                return
            x = getattr(p, name).get(key)
            if x is None:
                self._related.discard(key)
                return
            if name == "instances":
                (self._related.add if looking.related(look, x) else self._related.discard)(key)
            for check in looking.CHECKS[name]:
                for f in check(look, x):
                    self._suspect(f)
            if asked is not None and p.meta.partitions > 1 and (asks := peers.ASKS.get(name)) is not None:
                for q in asks(look, x):  # type: ignore[operator]
                    asked.setdefault(q.to, []).append(q)
        except NotAtHand:  # its model comes later
            return
        except Exception as bug:
            log_.error("the watchdog can't look", partition=p.meta.partition, table=name, key=key, exc_info=bug)

    # --- suspicions and findings

    def _suspect(self, f: Found) -> Suspicion | None:
        """None: it is a finding already, or there are too many."""
        name = f.name
        if name in self.findings:
            return None
        s = self.suspicions.get(name)
        if s is None and len(self.suspicions) < KEPT_MAX:
            s = self.suspicions[name] = Suspicion(f, self.now_us)
        return s

    def _confirm(self, look: looking.Look) -> None:
        """What is still so is a finding; what is so no more is none."""
        for name, s in list(self.suspicions.items()):
            if s.asked:
                if not any(self._still(look, q) for q in s.asked.values()):
                    del self.suspicions[name]
            elif s.since_us + CONFIRM_US <= self.now_us:
                del self.suspicions[name]
                if (f := self._again(look, s.found)) is not None:
                    s.found = f
                    self._add(s)
        for name, s in list(self.findings.items()):
            kind = s.found.kind
            if any(self._still(look, q) for q in s.asked.values()) if s.asked else kind in OF_PARTITION or self._again(look, s.found):
                continue
            self._gone(name)

    def _again(self, look: looking.Look, f: Found) -> Found | None:
        try:
            return looking.again(look, f.kind, int(f.subject), f.instance)
        except Exception:  # noqa: BLE001 - it can't be looked at: no finding
            return None

    def _still(self, look: looking.Look, q: peers.Question) -> bool:
        try:
            return peers.again(look, q)
        except Exception:  # noqa: BLE001 - it can't be looked at: no finding
            return False

    def _add(self, s: Suspicion) -> None:
        f = s.found
        if f.name not in self.findings and len(self.findings) < KEPT_MAX:
            self.findings[f.name] = s
            log_.warning("found", id=id_of(self.state.meta.partition, f), kind=f.kind, instance=f.instance or None, what=f.says)

    def _gone(self, name: str) -> None:
        if (s := self.findings.pop(name, None)) is not None:
            log_.info("holds again", id=id_of(self.state.meta.partition, s.found))

    # --- other partitions

    def questions(self) -> Asked:
        """What is to be asked now, each list for one partition: of the last round, and what was answered with no."""
        out: Asked = {}
        now = self.now_us
        for to, some in self._questions.items():
            near = self._near(to)
            for q in some:
                if near or self._told.get((q.kind, *q.of), -ASK_AGAIN_US) + ASK_AGAIN_US <= now:
                    out.setdefault(to, []).append(q)
        self._questions = {}
        known = {(q.to, q.kind, *q.of) for some in out.values() for q in some}
        for s in (*self.suspicions.values(), *self.findings.values()):
            for to, q in s.asked.items():
                if (to, q.kind, *q.of) not in known and s.since_us + CONFIRM_US <= now:
                    out.setdefault(to, []).append(q)
        return out

    def answered(self, asked: list[peers.Question], sent: int, answer: dict[str, Any]) -> None:
        """`sent`: how far this partition had sent to the asked one when it asked."""
        look = looking.Look(self.state, self.facts.processes, self.now_us, self.facts.instances_max)
        missing, all_heard = set(answer["missing"]), answer["taken"] >= sent
        for n, q in enumerate(asked):
            if n not in missing:
                self._told[(q.kind, *q.of)] = self.now_us
                self.suspicions.pop(q.finding.name, None)
                self._gone(q.finding.name)
            elif all_heard and self._still(look, q) and (s := self._suspect(q.finding)) is not None:
                self._no(s, q, answer["sent"])

    def _no(self, s: Suspicion, q: peers.Question, sent: int) -> None:
        to = q.to
        s.asked[to] = q
        if to not in s.heard:
            s.heard[to] = sent
        elif self.state.meta.taken.get(to, 0) >= s.heard[to] and s.since_us + CONFIRM_US <= self.now_us:
            s.sure.add(to)
            needed = self.state.meta.partitions - 1 if q.kind == peers.START else 1
            if len(s.sure) >= needed:
                self.suspicions.pop(s.found.name, None)
                self._add(s)

    # --- what partitions send each other, and what waits on the topic

    def _sends(self) -> None:
        meta = self.state.meta
        for to, sent in meta.sent.items():
            head = meta.confirmed.get(to, 0) + 1
            name = f"send_unconfirmed-{to}"
            if head > sent:
                self._heads.pop(to, None)
                self._gone(name)
                continue
            first, since = self._heads.get(to, (0, 0))
            if first != head:
                self._heads[to] = head, self.now_us
                self._gone(name)
            elif since + SEND_US <= self.now_us:
                lost = sum((to, seq) not in self.state.outbox for seq in range(head, sent + 1))
                says = f"sends {head} to {sent} to partition {to} are not confirmed" + (f"; {lost} of them are lost" if lost else "")
                self._found(found("send_unconfirmed", to, says), since)

    def commands(self, end: int, source: int) -> None:
        """The topic ends at offset `end`; `source` is the last that was taken of it."""
        p = self.state.meta.partition
        if source + 1 >= end or source != self._commands[0]:
            self._commands = source, self.now_us
            self._gone(f"commands_lag-{p}")
        elif self._commands[1] + COMMANDS_US <= self.now_us:
            says = f"{end - source - 1} commands wait on the topic of partition {p}, and its owner takes none"
            self._found(found("commands_lag", p, says), self._commands[1])

    def _found(self, f: Found, since_us: int) -> None:
        s = Suspicion(f, since_us)
        if f.name in self.findings:
            self.findings[f.name] = s
        else:
            self._add(s)

    def _wanted(self) -> Any:
        return self.state.records.get((REGISTRY, "commands"))

    @property
    def wishes_anew(self) -> bool:
        """An operator wants the partition to be taken over anew."""
        return bool(self._wanted() != self._wish)

    # --- told

    def counts(self, tenant: str | None = None) -> dict[str, int]:
        """By kind. `tenant`: its own; None: all."""
        out: dict[str, int] = {}
        for s in self.findings.values():
            if tenant is None or s.found.tenant == tenant:
                out[s.found.kind] = out.get(s.found.kind, 0) + 1
        return out

    def report(self, tenant: str | None) -> dict[str, Any]:
        """As `Facts.watch`: the oldest first."""
        p = self.state.meta.partition
        rows: list[dict[str, Any]] = []
        for s in self.findings.values():
            if tenant is not None and s.found.tenant != tenant:
                continue
            if len(rows) >= TOLD_MAX:
                break
            f = s.found
            i = self.state.instances.get(f.instance)
            rows.append({
                "id": id_of(p, f), "kind": f.kind, "partition": p, "subject": str(f.subject), "instance": f.instance, "element": f.element,
                "process": i.process if i is not None else "", "tenant": f.tenant, "says": f.says, "explanation": KINDS[f.kind].says,
                "repairs": [{"repair": r, "does": REPAIRS[r]} for r in f.repairs], "since_us": s.since_us,
            })  # fmt: skip
        return {
            "findings": rows, "counts": self.counts(tenant), "partition": p, "rounds": self.rounds, "round_s": round(self.round_s, 3),
            "looked_at": self.looked, "end": self.end,
        }  # fmt: skip

    def known(self, kind: str, subject: int) -> Found | None:
        """As `Facts.watch`: a finding that still holds as far as this partition sees."""
        s = self.findings.get(f"{kind}-{subject}")
        if s is None:
            return None
        if s.asked:
            look = looking.Look(self.state, self.facts.processes, self.now_us, self.facts.instances_max)
            return s.found if any(self._still(look, q) for q in s.asked.values()) else None
        return s.found if kind in OF_PARTITION else None

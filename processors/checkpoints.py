"""When an owner writes a checkpoint, and what. Pure; `docs/log-protocol.md`, "The owner"."""

from __future__ import annotations

from flowledger.events.group import Place
from flowledger.kernel import Partition
from flowledger.kernel import checkpoint as images
from flowledger.processors.effects import Checkpoint


class Checkpoints:
    """Of one claim. `standing`: what stands in `state`; it is kept up to date."""

    def __init__(self, epoch: int, standing: images.Standing, changes_max: int, every_us: int, now: int) -> None:
        self._epoch, self._standing = epoch, standing
        self._changes_max, self._every_us = changes_max, every_us
        self._at, self._number = now, 0
        #: one is being written
        self.writing = False

    def due(self, state: Partition, now: int) -> bool:
        return len(state.changed) >= self._changes_max or now - self._at > self._every_us

    def skip(self, state: Partition, now: int) -> None:
        """None is wanted: what changed is not remembered for one."""
        state.changed.clear()
        self._at = now

    def make(self, state: Partition, now: int, at: Place) -> Checkpoint:
        """All that changed since the last one. The caller sees to it that nothing is in flight: the state is what the log says up to `at`."""
        entries = self._standing.next(state, state.changed)
        state.changed.clear()
        self._number += 1
        digests = [((images.DIGEST, d),) for d in self._standing.take(entries)]
        self._at, self.writing = now, True
        tag = (("epoch", b"%d" % self._epoch), ("checkpoint", b"%d" % self._number))
        return Checkpoint(entries, digests, images.mark(state, at, self._standing), tag)

    def done(self) -> None:
        self.writing = False

    def failed(self) -> None:
        """Without its mark it never was: the next one says everything."""
        self._standing.stale = True
        self.writing = False

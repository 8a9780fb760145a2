"""When an owner writes a checkpoint, and what. Pure; `docs/log-protocol.md`, "The owner"."""

from __future__ import annotations

from flowledger.kernel import Partition
from flowledger.kernel import checkpoint as images
from flowledger.processors.effects import Checkpoint


class Checkpoints:
    """Of one claim. `written`: the keys that stand in `state`; it is kept up to date."""

    def __init__(self, epoch: int, written: set[bytes], changes_max: int, every_us: int, now: int) -> None:
        self._epoch, self._written = epoch, written
        self._changes_max, self._every_us = changes_max, every_us
        self._at, self._number = now, 0
        self._saying: set[tuple[str, object]] = set()
        self._keys: list[bytes] = []
        #: one is being written
        self.writing = False

    def due(self, state: Partition, now: int) -> bool:
        return not self.writing and (len(state.changed) >= self._changes_max or now - self._at > self._every_us)

    def make(self, state: Partition, now: int, end: int, chain: bytes, source: int) -> Checkpoint:
        """All that changed since the last one. The caller sees to it that nothing is in flight: the state is what the log says up to `end`."""
        self._saying = set(state.changed)
        entries = [(k, v) for k, v in images.records(state, self._saying) if v is not None or k in self._written]
        state.changed.clear()
        self._number += 1
        self._keys = [k for k, _ in entries]
        for k, v in entries:
            (self._written.add if v is not None else self._written.discard)(k)
        self._at, self.writing = now, True
        tag = (("epoch", b"%d" % self._epoch), ("checkpoint", b"%d" % self._number))
        return Checkpoint(entries, images.mark(state, end, chain, source, len(self._written)), tag)

    def done(self) -> None:
        self.writing = False

    def failed(self, state: Partition) -> None:
        """Without its mark it never was: the next one says it all again."""
        state.changed |= self._saying
        self._written.update(self._keys)
        self.writing = False

"""What follows from what. Pure: values in, values out. `decide` and `evolve` are the whole of it."""

from flowledger.kernel.decide import decide, record_broken, record_unreadable
from flowledger.kernel.decision import Decision, Facts
from flowledger.kernel.fold import evolve
from flowledger.kernel.state import Partition

__all__ = ["Decision", "Facts", "Partition", "decide", "evolve", "record_broken", "record_unreadable"]

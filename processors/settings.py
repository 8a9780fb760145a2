"""What an owner may be told, and its limits. Each is tested at its edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flowledger.kernel.findings import Finding
from flowledger.kernel.folds.answers import DAY_US
from flowledger.kernel.protection import Vault
from flowledger.kernel.scripts import Sandbox
from flowledger.processors.heads import Signing

#: commands that one group is made of at the most
BATCH_MAX = 512
#: events, and bytes of them, after which a group is closed, so that a reader's memory stays bounded
EVENTS_MAX = 20_000
BYTES_MAX = 8 * 1024 * 1024
#: steps of expressions after which a group is closed, so that nobody waits long for its answers
FEEL_MAX = 50_000
#: groups in flight
IN_FLIGHT_MAX = 6
#: steps of expressions that a decision may take in the owner's loop; with more it is made beside it
FEEL_SOFT = 10_000
#: bytes of resources that are read in the loop
RESOURCES_SOFT = 50_000
#: how often, and after how long, a decision is tried again whose resources have not come yet (seconds)
BRING_TRIES, BRING_S = 150, 0.2
#: commands that may wait before callers are told to come again
INBOX_MAX = 20_000
#: due timers, leases and retries that one step takes
DUE_MAX = 500
#: while something waits that was put off, one command in so many is another's; and when more than so many wait, one in so many
PUT_OFF_TURNS, PUT_OFF_MANY, PUT_OFF_TURNS_MANY = 8, 1_000, 512
#: a checkpoint is written when this many things changed, or after this time (seconds)
CHECKPOINT_CHANGES = 20_000
CHECKPOINT_S = 30.0
#: whom another owner fenced waits this long before it claims again: the group's news that the partition moved come meanwhile (seconds)
FENCED_S = 1.0
#: the longest that an owner waits between two attempts, and the time after which one counts as having gone well (seconds)
BACK_OFF_S = 2.0
#: after a group that failed, commands are taken one by one for so long, to find the one that did it (microseconds)
CAREFUL_US = 5_000_000


class Settings:
    """All have defaults that suit."""

    __slots__ = (
        "answers_us", "attempt_ms", "batch_max", "checkpoint_changes", "checkpoint_s", "hold", "inbox_max", "instances_max", "javascript", "look", "node",
        "retry", "signing", "snapshots", "spread", "stack_traces", "state_validation", "vault",
    )  # fmt: skip

    def __init__(
        self,
        batch_max: int = BATCH_MAX,
        inbox_max: int = INBOX_MAX,
        instances_max: int = 0,
        checkpoint_changes: int = CHECKPOINT_CHANGES,
        checkpoint_s: float = CHECKPOINT_S,
        node: str = "",
        spread: bool = False,
        hold: bool = False,
        signing: Signing | None = None,
        answers_us: int = DAY_US,
        javascript: Sandbox | None = None,
        look: Callable[[Any, str], list[Finding]] | None = None,
        stack_traces: bool = True,
        vault: Vault | None = None,
        retry: Mapping[str, Any] | None = None,
        attempt_ms: int = 0,
        state_validation: bool = True,
        snapshots: bool = True,
    ) -> None:
        #: as the kernel's facts have them
        self.attempt_ms, self.state_validation = attempt_ms, state_validation
        #: checkpoints are written; without them the next owner folds the log from the last one that there is
        self.snapshots = snapshots
        #: of tasks of workers for which nobody says otherwise (`kernel/retries.py`)
        self.retry = retry
        #: seals and opens protected variables; None: no model that protects any is taken, and no partition served that has any
        self.vault = vault
        #: those that workers send with a failure are kept
        self.stack_traces = stack_traces
        #: (graph, file) -> what others than the kernel have to say of a model that is deployed
        self.look = look
        #: what it takes over at its start is suspended, from before anything moves; a later claim is no start (`Engine.start`)
        self.hold = hold
        #: runs script tasks in JavaScript; None: they are incidents
        self.javascript = javascript
        self.answers_us = answers_us
        #: who signs the heads of the log; None: nobody
        self.signing = signing
        self.batch_max, self.inbox_max, self.instances_max = batch_max, inbox_max, instances_max
        self.checkpoint_changes, self.checkpoint_s, self.node, self.spread = checkpoint_changes, checkpoint_s, node, spread

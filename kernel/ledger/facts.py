"""What a decision may know from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flowledger.events.base import Heavy
from flowledger.kernel import limits
from flowledger.kernel.folds.answers import DAY_US
from flowledger.kernel.model.graph import Process
from flowledger.kernel.protection import Vault
from flowledger.kernel.scripts import Sandbox
from flowledger.kernel.tasks import privacy, schemas

#: a look at a part of a value by a schema counts as so many steps of an expression, which are about a microsecond each
LOOK_STEPS = 10


class Watch(Protocol):
    """What the watchdog of the partition has found (`processors/watchdog.py`)."""

    def report(self, tenant: str | None) -> dict[str, Any]:
        """Findings of a tenant as they are told (None: of all), how many there are by kind, and how far it is."""

    def known(self, kind: str, subject: int) -> Any:
        """A finding (`kernel/watchdog/kinds.Found`); None: it isn't one."""


class NotAtHand(LookupError):
    """What the shell should have brought before (the content of a resource): no defect of the command; the shell brings it and decides again."""


class Facts:
    """All that a decision may know from outside.

    Attributes:
        now_us: time of the command, microseconds UTC; never goes back.
        processes: definition key -> its compiled process (Mapping; the shell compiles on a miss).
        decisions: definition key -> compiled decision model.
        forms: definition key -> the schema of a form.
        triggers: definition key -> a trigger (`kernel/model/trigger_resource.py`).
        rules: definition key -> a rule pack (`kernel/model/rules_resource.py`).
        resources: what a `Deploy` is made of: `read(name, content) -> (graph, findings)`, pure.
        instances_max: 0 is no limit.
        feel_soft: steps of expressions after which a decision is `Heavy`; 0: none but the hard bound holds.
        value_max: bytes of one event, as it is written.
        spread: called instances go to other partitions in turn instead of staying.
        answers_us: how long a caller's id is remembered, microseconds.
        validate: what is wrong with a value by a JSON Schema, as texts.
        javascript: runs scripts in JavaScript; None: a script task in it is an incident.
        stack_traces: those of failures are kept.
        retry: the retry policy of tasks of workers for which neither the model nor a task definition says anything; None: three attempts at once.
        step_up: what is marked is done by who has shown a passkey (`kernel/tasks/step_up.py`); False: in trials, where nobody is.
        attempt_ms: the longest that an attempt of a worker takes for which no task definition says anything; 0: as long as the worker asks for.
        state_validation: business states keep to the table that the model declares.
        vault: seals and opens protected variables; None: there are no keys, and no model that protects any is taken.
    """

    __slots__ = (
        "about",
        "answers_us",
        "attempt_ms",
        "deciding",
        "decisions",
        "feel_left",
        "feel_soft",
        "forms",
        "instances_max",
        "javascript",
        "now_us",
        "processes",
        "read",
        "retry",
        "rng_salt",
        "rules",
        "spread",
        "stack_traces",
        "state_validation",
        "step_up",
        "steps_max",
        "triggers",
        "value_max",
        "vault",
        "watch",
    )

    def __init__(
        self,
        now_us: int = 0,
        processes: Mapping[int, Process] | None = None,
        decisions: Mapping[int, Any] | None = None,
        read: Callable[[str, str], Any] | None = None,
        instances_max: int = 0,
        steps_max: int = limits.STEPS_MAX,
        spread: bool = False,
        feel_soft: int = 0,
        value_max: int = limits.EVENT_BYTES_MAX,
        forms: Mapping[int, Any] | None = None,
        answers_us: int = DAY_US,
        javascript: Sandbox | None = None,
        triggers: Mapping[int, Any] | None = None,
        rules: Mapping[int, Any] | None = None,
        stack_traces: bool = True,
        vault: Vault | None = None,
        retry: Mapping[str, Any] | None = None,
        step_up: bool = True,
        attempt_ms: int = 0,
        state_validation: bool = True,
    ) -> None:
        self.attempt_ms, self.state_validation = attempt_ms, state_validation
        self.retry, self.step_up = retry, step_up
        self.answers_us, self.javascript, self.stack_traces = answers_us, javascript, stack_traces
        self.now_us, self.vault = now_us, vault
        #: the decision that is made: whose instance it is about; None: something is tried
        self.deciding: Any = None
        #: the instance whose variables were asked for last: of it an expression's `execution` tells; None: no instance's
        self.about: Any = None
        #: None: nobody watches
        self.watch: Watch | None = None
        self.processes: Mapping[int, Process] = processes if processes is not None else {}
        self.decisions: Mapping[int, Any] = decisions if decisions is not None else {}
        self.forms: Mapping[int, Any] = forms if forms is not None else {}
        self.triggers: Mapping[int, Any] = triggers if triggers is not None else {}
        self.rules: Mapping[int, Any] = rules if rules is not None else {}
        self.read = read
        self.instances_max = instances_max
        self.steps_max = steps_max
        self.spread = spread
        self.feel_soft = feel_soft
        self.value_max = value_max
        #: steps that the expressions of this decision may still take; each decision begins with all of them
        self.feel_left = limits.FEEL_STEPS_MAX

    def validate(self, schema: Any, value: Any) -> list[str]:
        """What is wrong with a value, by a JSON Schema; each look at a part of it counts among the steps. Raises: Heavy."""
        left = [self.feel_left // LOOK_STEPS]
        wrong = schemas.check(schema, value, left)
        self.feel_left = max(0, left[0]) * LOOK_STEPS
        if left[0] < 0 and self.feel_soft:
            raise Heavy("a schema")
        return wrong

    def consented(self, purpose: str, subject: str) -> bool:
        """Whether a subject, by the reference that models give, has agreed to a purpose. Raises: ValueError: nobody knows in a trial."""
        if (d := self.deciding) is None:
            raise ValueError("the facts of this evaluation have no consents")
        return privacy.consented(d.state, d.envelope.tenant, purpose, subject, self.now_us)

    @property
    def feel_taken(self) -> int:
        """Steps that the expressions of the last decision took."""
        return (self.feel_soft or limits.FEEL_STEPS_MAX) - self.feel_left

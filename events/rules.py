"""What rules of rule packs say of instances and tasks: `rule.*`. What they say of models stands in the findings of its deployment."""

from __future__ import annotations

from flowledger.events.base import Event


class RuleJudged(Event, frozen=True):
    """A rule was looked at and did not hold (or, where its pack wants that told too, held). Changes no state.

    Attributes:
        key: the instance; 0: of a start that was refused, so that there is none.
        pack, version, definition: the name of the rule pack, which version of it decided, and its key.
        rule, severity: its id, and `info`, `warn` or `refuse`.
        outcome: `violated`; `broken`: its condition could not be evaluated (`why`); `held`.
        refused: what was asked for was refused because of it. The refusal itself is an `operation.refused` beside it, or an incident of the caller.
        at: start, complete, assign or skip.
        process: id of the process that it is about; `task`, `element`: of a task.
        message: of the rule, for people. Never with values of variables.
    """

    pack: str
    version: int
    definition: int
    rule: str
    severity: str
    outcome: str
    at: str
    refused: bool = False
    process: str = ""
    task: int = 0
    element: str = ""
    message: str = ""
    why: str = ""

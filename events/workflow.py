"""Instances of a process: `workflow.*`, `variable.set`."""

from __future__ import annotations

from flowledger.events.base import Event, Json


class WorkflowCreated(Event, frozen=True):
    """An instance exists but waits for a place (instance limit): status `pending`. `WorkflowStarted` follows."""

    process: str
    definition: int
    version: int = 0
    business_key: str = ""
    variables: Json = None
    priority: int = 40
    #: start request as given, so that the later start needs nothing else
    request: Json = None


class WorkflowStarted(Event, frozen=True):
    """An instance runs.

    `definition` is the definition's key, `process` its BPMN process id. `token` (0: none yet) stands at `element`.
    `parent`/`parent_token` name the call activity that waits for it; `root` the top-most instance.
    `message` (0: none) is the buffered message that started it.
    """

    process: str
    definition: int
    version: int = 0
    business_key: str = ""
    variables: Json = None
    priority: int = 40
    parent: int = 0
    parent_token: int = 0
    root: int = 0
    token: int = 0
    element: str = ""
    message: int = 0
    metadata: Json = None


class WorkflowCompleted(Event, frozen=True):
    """Nothing is left to do. `token` (0: none) is the last token, consumed by `element`."""

    token: int = 0
    element: str = ""


class WorkflowFailed(Event, frozen=True):
    """Ended by an error that nothing caught and that the model says ends the instance."""

    code: str = ""
    message: str = ""


class WorkflowCancelled(Event, frozen=True):
    """Withdrawn on request, gracefully; all tokens, tasks, timers and subscriptions are gone."""

    reason: str = ""


class WorkflowTerminated(Event, frozen=True):
    """Ended at once, by force or by a terminate end event of the process."""

    reason: str = ""
    element: str = ""


class WorkflowPaused(Event, frozen=True):
    """No new work is handed out; work in hand, timers and messages go on being recorded."""

    reason: str = ""


class WorkflowUnpaused(Event, frozen=True):
    reason: str = ""


class WorkflowSuspended(Event, frozen=True):
    """Everything stands still; what arrives is kept and applied at resume."""

    reason: str = ""


class WorkflowKept(Event, frozen=True):
    """`command` arrived for a suspended instance: it is applied at resume, in this order. JSON of a command of `events/commands.py`."""

    command: Json


class WorkflowResumed(Event, frozen=True):
    """`drains`: what was kept is applied one by one from here on (`workflow.applied`); else it went with this."""

    reason: str = ""
    drains: bool = False


class WorkflowQuarantined(Event, frozen=True):
    """A defect of the engine stopped the instance: nothing of it moves until an operator releases or cancels it.

    `defect` and `message` say what was found while `command` was decided, `reference` is what its caller was told; `incident` is the key of
    the incident that follows.
    """

    incident: int
    defect: str = ""
    message: str = ""
    command: str = ""
    reference: str = ""


class WorkflowReleased(Event, frozen=True):
    """The quarantine ended: it goes on from where it was, in `status`."""

    status: str = "running"
    reason: str = ""
    #: as of `WorkflowResumed`
    drains: bool = False


class WorkflowMigrated(Event, frozen=True):
    """Goes on under another version. `elements` maps old element ids to new ones.

    `before`: {definition, process, version} until now. `opened`: new scopes [token, scope, element], outer ones first; `moved`: token -> the scope in
    which it goes on. `loops`: of tokens whose loop is another [token, number of its run, what the body remembers (null: it is none), whether it
    spawns].
    """

    definition: int
    process: str
    version: int
    elements: Json = None
    reason: str = ""
    before: Json = None
    opened: Json = None
    moved: Json = None
    loops: Json = None


class WorkflowRolledBack(Event, frozen=True):
    """It is as it was at `position` of its history. `tokens` are its tokens (as `kernel/state.py` has them), with what of them is still held; what else they
    wait for follows as events. `outside`: what was done since and could not be taken back, as texts."""

    definition: int
    process: str
    version: int
    variables: Json = None
    tokens: Json = None
    stores: Json = None
    compensable: Json = None
    spawning: list[int] = []
    position: str = ""
    reason: str = ""
    outside: Json = None


class WorkflowModified(Event, frozen=True):
    """An operator's change of tokens follows in the same group."""

    reason: str = ""
    instructions: Json = None


class WorkflowRemovedFromViews(Event, frozen=True):
    """It has ended, and its rows are deleted from all views, now and whenever they are built anew. The ledger keeps its events, of which this is one."""

    reason: str = ""


class WorkflowCommented(Event, frozen=True):
    """Somebody says something of it, also after its end; of one of its elements, where `element` names one. Nothing else changes."""

    text: str
    element: str = ""


class WorkflowFilesChanged(Event, frozen=True):
    """The file `name` was attached to the instance, or detached. `files`: all that are attached now, each `{name, uri, media_type, size, sha256, by, at_us}`."""

    name: str
    files: Json = None
    reason: str = ""


class VariableSet(Event, frozen=True):
    """`variables` are now set in the scope of `scope` (a token key, or the instance key for the root scope). `reason`: of whom set them by hand."""

    scope: int
    variables: Json
    reason: str = ""

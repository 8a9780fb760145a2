"""What the API answers with, as types: the OpenAPI document is made of them, and a client can decode into them.

Rows may have more fields than these (a later release adds some); what stands here keeps its name and its kind. A key is a text; a time is
RFC 3339 in UTC; null: there is none.
"""

from flowledger.api.answers.common import Done, Finding, Json, Key, Page, Place, Plan, Problem, T, Time, Where
from flowledger.api.answers.control import (
    Batch,
    BatchBegun,
    BatchItem,
    Chain,
    DeadLetter,
    Findings,
    Held,
    Hold,
    Incident,
    IncidentGroup,
    Operation,
    Repaired,
    Replayed,
)  # fmt: skip
from flowledger.api.answers.definitions import (
    Conditions,
    Coverage,
    Decision,
    Definition,
    DefinitionDetail,
    Deployed,
    Deployment,
    Diff,
    MappingRow,
    MigrationPlan,
    Moved,
    RolledOut,
    Version,
    Versions,
)  # fmt: skip
from flowledger.api.answers.insight import Bottlenecks, Comparison, Heatmap, Measured, Measures, Times, Variants
from flowledger.api.answers.instances import (
    Context,
    ElementTimes,
    Errors,
    Event,
    Instance,
    InstanceMetrics,
    InstanceRow,
    Progress,
    Runtime,
    Started,
    State,
    TaskState,
    Tree,
    Variable,
    Variables,
    WorkflowState,
)  # fmt: skip
from flowledger.api.answers.replays import ReplayOutcomes
from flowledger.api.answers.server import Breaker, Entry, Health, Live, Load, Setting, Stored, Tenant, TenantHas, WorkerRow
from flowledger.api.answers.tasks import Job, Jobs, Task, TaskMetrics, TaskMoved, TaskRow

__all__ = [
    "Batch", "BatchBegun", "BatchItem", "Bottlenecks", "Breaker", "Chain", "Comparison", "Conditions", "Context", "Coverage", "DeadLetter", "Decision",
    "Definition", "DefinitionDetail", "Deployed", "Deployment", "Diff", "Done", "ElementTimes", "Entry", "Errors", "Event", "Finding",
    "Findings", "Health", "Heatmap", "Held", "Hold", "Incident", "IncidentGroup", "Instance", "InstanceMetrics", "InstanceRow", "Job",
    "Jobs", "Json", "Key", "Live", "Load", "MappingRow", "Measured", "Measures", "MigrationPlan", "Moved", "Operation", "Page", "Place",
    "Plan", "Problem", "Progress", "Repaired", "ReplayOutcomes", "Replayed", "RolledOut", "Runtime", "Setting", "Started", "State",
    "Stored", "T", "Task", "TaskMetrics", "TaskMoved", "TaskRow", "TaskState", "Tenant", "TenantHas", "Time", "Times", "Tree", "Variable",
    "Variables", "Variants", "Version", "Versions", "Where", "WorkerRow", "WorkflowState",
]  # fmt: skip

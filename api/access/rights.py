"""Rights, and the roles that give them. A right is `what:how`; a role is a set of rights; whoever has several roles has the rights of all."""

from __future__ import annotations

from collections.abc import Iterable

#: right -> what it lets one do
RIGHTS: dict[str, str] = {
    "definitions:read": "see definitions, their models and what changed; drafts; check models",
    "definitions:write": "draw and try models; deploy, edit, publish, deprecate, archive and delete definitions; task definitions",
    "definitions:rollout": "say which version new work is for: a share, the default, no new starts",
    "instances:read": "see instances, their variables, events and state",
    "instances:start": "start instances",
    "instances:control": "suspend, cancel, modify, migrate instances; set their variables",
    "instances:delete": "delete ended instances from the views; their events stay",
    "instances:comment": "say something of instances, to be read by all who see them",
    "tasks:read": "see tasks",
    "tasks:work": "claim, work on and complete tasks",
    "tasks:manage": "create tasks; assign, cancel, skip and retry them; move those that others hold",
    "jobs:work": "take jobs and answer them",
    "jobs:retry": "set how often a job is tried again",
    "messages:publish": "publish messages, broadcast signals, evaluate conditions",
    "decisions:read": "see what was decided",
    "decisions:evaluate": "evaluate decisions",
    "incidents:read": "see incidents",
    "incidents:resolve": "resolve incidents",
    "holds:read": "see what is held, by whom and why",
    "holds:control": "keep instances, definitions, elements, job types, targets or tenants from going on, and release them",
    "watchdog:read": "see what the watchdog has found",
    "watchdog:repair": "repair what the watchdog has found",
    "letters:read": "see dead letters",
    "letters:control": "replay and discard dead letters",
    "operations:read": "see who asked for what, and from where",
    "batches:read": "see batches and what came of each item",
    "batches:write": "begin, pause, resume and abort batches of what one may do to one",
    "triggers:read": "see triggers, what they did and what they have parked",
    "triggers:control": "pause and resume triggers; replay and discard what they have parked",
    "webhooks:read": "see webhooks, what they have sent and what nobody took",
    "webhooks:write": "say where events are sent: make, change and delete webhooks",
    "webhooks:control": "pause, resume and try webhooks; send events again; discard what nobody took",
    "events:read": "subscribe to events",
    "directory:read": "see who may work, and when",
    "directory:write": "change who may work, and when; change and remove the views that others share",
    "limits:read": "see limits, breakers and the workload",
    "limits:write": "change limits and breakers",
    "workers:read": "see who works on what",
    "settings:read": "see the settings of the process",
    "metrics:read": "read the figures of the processes",
    "insight:read": "see measures and reports of what was done, of all together and of no person",
    "insight:write": "make, change and delete KPIs; have predictions learned anew, and choose which model is used; have advice looked for, take and refuse it",
    "alerts:read": "see alerts, when they fired and when they would have",
    "alerts:write": "make, change, silence and delete alerts",
    "users:read": "see users and everybody's API keys",
    "users:write": "make, change, reset and remove users; make and revoke anybody's API keys",
    "scim:provision": "provision people and groups by SCIM",
    "tenants:read": "see which tenants there are, and what they have",
    "tenants:write": "make, change, suspend, resume and remove tenants",
    "protected:read": "see protected values in clear text, with a reason that is written down",
    "subjects:read": "see which subjects were erased, and which legal holds there are",
    "consents:write": "record what data subjects agree to, and withdraw it",
    "subjects:export": "export the protected data of a subject in clear text, with a reason that is written down",
    "subjects:erase": "destroy the keys of a subject; place and lift legal holds",
    "approvals:read": "see what waits for a second person, and who decided",
    "approvals:decide": "approve and refuse, as a second person, what one may do oneself",
    "evidence:read": "see the evidence for auditors: who asked for what, conflicts of duties, who may do what, what rule packs say",
    "rules:write": "deploy, change and delete rule packs, beside the right to do so with definitions",
    "retention:read": "see for how long what has ended is kept, and what would go by now",
    "retention:write": "say for how long what has ended is kept: whole instances, and protected values of a class",
    "keys:own": "make and revoke API keys of one's own",
    "views:own": "save filters of lists as views of one's own, share them, and see those that others share",
}
_SEE = (
    "definitions:read", "instances:read", "tasks:read", "decisions:read", "incidents:read", "events:read", "directory:read", "workers:read",
    "holds:read",
    "batches:read", "watchdog:read", "triggers:read", "webhooks:read", "insight:read", "alerts:read", "approvals:read",
)  # fmt: skip

#: role -> (what it is for, its rights)
ROLES: dict[str, tuple[str, frozenset[str]]] = {
    "viewer": ("looks, and changes nothing", frozenset((*_SEE, "keys:own", "views:own"))),
    "task-worker": (
        "works on tasks",
        frozenset(
            (
                "definitions:read", "instances:read", "tasks:read", "tasks:work", "instances:comment", "events:read", "directory:read", "batches:read",
                "approvals:read", "batches:write", "keys:own", "views:own",
            ),
        ),
    ),
    "author": (
        "writes and deploys models, and tries them",
        frozenset(
            (
                *_SEE, "definitions:write", "definitions:rollout", "instances:start", "instances:comment", "decisions:evaluate", "alerts:write",
                "insight:write", "keys:own", "views:own",
            ),
        ),
    ),
    "operator": (
        "keeps things going: instances, tasks, incidents, limits",
        frozenset(
            (
                *_SEE, "definitions:rollout",
                "instances:start", "instances:control", "instances:delete", "instances:comment", "tasks:work", "tasks:manage", "jobs:retry",
                "messages:publish", "decisions:evaluate",
                "incidents:resolve", "approvals:decide", "holds:control", "watchdog:repair", "batches:write",
                "triggers:control", "webhooks:control", "alerts:write", "insight:write", "letters:read", "letters:control", "operations:read", "directory:write",
                "limits:read", "limits:write", "settings:read", "metrics:read", "tenants:read", "keys:own", "views:own",
            ),
        ),
    ),
    "auditor": (
        "sees all, also who may come in, and changes nothing",
        frozenset(
            (
                *_SEE, "letters:read", "operations:read", "limits:read", "settings:read", "metrics:read", "users:read", "tenants:read",
                "subjects:read", "evidence:read", "retention:read", "keys:own", "views:own",
            ),
        ),
    ),
    "administrator": ("may do everything, and says who else may do what", frozenset(RIGHTS)),
    "provisioner": ("a directory that provisions people and groups, by SCIM", frozenset(("scim:provision",))),
    "machine": (
        "workers and programs that start things",
        frozenset(
            (
                "jobs:work", "jobs:retry", "instances:start", "instances:read", "messages:publish", "decisions:evaluate", "definitions:read", "consents:write",
            ),
        ),
    ),
}  # fmt: skip
ADMINISTRATOR = "administrator"


def rights_of(roles: Iterable[str]) -> frozenset[str]:
    """An unknown role gives none."""
    return frozenset(right for role in roles if role in ROLES for right in ROLES[role][1])


def roles_with(right: str) -> list[str]:
    return [role for role, (_, rights) in ROLES.items() if right in rights]

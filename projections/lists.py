"""Which filters a list has."""

from __future__ import annotations

from flowledger.events.avro import encode_json
from flowledger.projections.filters import (
    Apply,
    activities,
    at_least,
    at_most,
    candidate,
    definition,
    due,
    equal,
    has_incident,
    key,
    key_equal,
    of_metadata,
    one_of,
    overdue,
    part_of_name,
    priority,
    result_status,
    started_from,
    started_to,
    starts,
    task_status,
    time_at,
    truth,
    whole,
)

INSTANCES: dict[str, Apply] = {
    "definition": definition("definition_id"),
    "version": whole("version", "version"),
    "status": one_of("status"),
    "business_key": equal("business_key", sparse=True),
    "has_incident": has_incident,
    "started_from": started_from,
    "started_to": started_to,
    "parent": key_equal("parent_id", "parent"),
    "initiator": equal("initiator", sparse=True, leads=True),
    "correlation_id": equal("correlation_id", sparse=True),
    "project_id": of_metadata("project_id"),
    "environment": of_metadata("environment"),
    "paused": lambda w, v: w.add("paused" if truth("paused", v) else "NOT paused"),
    "priority": priority,
}
TASKS: dict[str, Apply] = {
    "assignee": equal("assignee", leads=True),
    "candidate_group": candidate("candidate_groups"),
    "any_group": candidate("candidate_groups", several=True),
    "candidate_user": candidate("candidate_users"),
    "status": task_status,
    "due_before": due("<", "due_before"),
    "due_after": due(">=", "due_after"),
    "due": due("<=", "due"),
    "overdue": overdue,
    "priority": priority,
    "type": one_of("type", leads=True),
    "job_type": equal("job_type", sparse=True, leads=True),
    "category": equal("category", leads=True),
    "instance": key_equal("workflow_instance_id", "instance", leads=True),
    "definition": definition("workflow_definition_id"),
    "element": equal("definition_key", sparse=True, leads=True),
    "parent": key_equal("parent_id", "parent"),
    "reference": equal("reference", sparse=True, leads=True),
    "reference_starts": starts("reference"),
    "result_status": result_status,
    "activities": activities,
}
INCIDENTS: dict[str, Apply] = {
    "status": one_of("status"),
    "instance": key_equal("workflow_instance_id", "instance"),
    "definition": definition("definition_id"),
    "code": equal("code", leads=True),
    "element": equal("element", leads=True),
    "group": equal("group_id", leads=True),
}
DEAD_LETTERS: dict[str, Apply] = {
    "status": one_of("status"),
    "partition": whole("partition", "partition"),
    "instance": key_equal("workflow_instance_id", "instance"),
    "created_from": time_at("created_at", ">=", "created_from"),
    "created_to": time_at("created_at", "<", "created_to"),
}
HOLDS: dict[str, Apply] = {
    "status": one_of("status"),
    "scope": one_of("scope"),
    "mode": equal("mode"),
    "key": equal("subject"),
    "instance": key_equal("workflow_instance_id", "instance"),
}
BATCHES: dict[str, Apply] = {
    "status": one_of("status"),
    "action": equal("action"),
    "created_from": time_at("created_at", ">=", "created_from"),
    "created_to": time_at("created_at", "<", "created_to"),
}
ALERTS: dict[str, Apply] = {
    "name": equal("name"),
    "status": one_of("status"),
    "firing": lambda w, v: w.add("(firing_count > 0) = %s", v == "true"),
}
ALERT_FIRINGS: dict[str, Apply] = {"alert": key_equal("alert_id", "alert"), "status": one_of("status")}
WEBHOOKS: dict[str, Apply] = {"name": equal("name"), "status": one_of("status")}
WEBHOOK_DELIVERIES: dict[str, Apply] = {
    "webhook": key_equal("webhook_id", "webhook"), "event": equal("event"), "outcome": one_of("outcome", spread=False),
    "instance": key_equal("workflow_instance_id", "instance"),
}  # fmt: skip
WEBHOOK_LETTERS: dict[str, Apply] = {"webhook": key_equal("webhook_id", "webhook"), "status": one_of("status")}
TRIGGERS: dict[str, Apply] = {"name": equal("name"), "source": one_of("source"), "status": one_of("status")}
TRIGGER_RUNS: dict[str, Apply] = {"trigger": key_equal("trigger_id", "trigger")}
TRIGGER_LETTERS: dict[str, Apply] = {"trigger": key_equal("trigger_id", "trigger"), "status": one_of("status")}
MESSAGES: dict[str, Apply] = {
    "name": equal("name"),
    "correlation_key": equal("correlation_key"),
    "message_id": equal("message_id"),
    "status": lambda w, v: w.add(
        "(CASE WHEN status = 'received' AND expired_at IS NOT NULL THEN 'expired' ELSE status END) = %s", v
    ),
    "instance": key_equal("workflow_instance_id", "instance"),
}  # fmt: skip
TIMERS: dict[str, Apply] = {
    "instance": key_equal("workflow_instance_id", "instance"),
    "definition": definition("definition_id"),
    "status": equal("status"),
    "due_before": time_at("due_at", "<", "due_before"),
    "element": equal("element"),
}
EVENTS: dict[str, Apply] = {
    "type": one_of("event_type", spread=False),
    "element": equal("source"),
    "from": time_at("occurred_at", ">=", "from"),
    "to": time_at("occurred_at", "<", "to"),
}
EVALUATIONS: dict[str, Apply] = {
    "decision": lambda w, v: w.add("data ->> 'decision' = %s", v),
    "version": lambda w, v: w.add("data ->> 'version' = %s", v),
    "instance": key_equal("workflow_instance_id", "instance"),
}
#: of a definition, as its author gave it; else as it is of itself. What somebody wrote there before it had a meaning is none of it.
COMPLEXITY = (
    "CASE WHEN jsonb_typeof(metadata -> 'complexity_score') = 'number' THEN (metadata ->> 'complexity_score')::numeric "
    "ELSE (outline -> '' ->> 'complexity')::numeric END"
)
ESTIMATED = (
    "CASE WHEN jsonb_typeof(metadata -> 'estimated_duration_ms') = 'number' THEN (metadata ->> 'estimated_duration_ms')::numeric END"
)
DEFINITIONS: dict[str, Apply] = {
    "id": lambda w, v: w.add("id = %s", key("id", v)) if v.isascii() and v.isdigit() else equal("definition_id")(w, v),
    "definition_id": equal("definition_id"),
    "kind": equal("kind"),
    "status": one_of("status", spread=False),
    "version": whole("version", "version"),
    "name": part_of_name,
    "tag": lambda w, v: w.add("metadata -> 'tags' @> %s::jsonb", encode_json([v]).decode()),
    "category": lambda w, v: w.add("metadata ->> 'category' = %s", v),
    "depends_on": lambda w, v: w.add("metadata -> 'dependencies' @> %s::jsonb", encode_json([v]).decode()),
    "complexity_min": at_least(COMPLEXITY, "complexity_min"),
    "complexity_max": at_most(COMPLEXITY, "complexity_max"),
    "estimated_ms_min": at_least(ESTIMATED, "estimated_ms_min"),
    "estimated_ms_max": at_most(ESTIMATED, "estimated_ms_max"),
    "creator": equal("created_by"),
    "format": equal("format"),
}

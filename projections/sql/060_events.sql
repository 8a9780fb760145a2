-- History, append-only, partitioned by month. `id` is the position as one number: partition << 51 | offset.
CREATE TABLE workflow_events (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    id                   bigint NOT NULL,
    workflow_instance_id bigint NOT NULL,
    event_type           varchar(50) NOT NULL,
    occurred_at          timestamptz NOT NULL,
    source               varchar(255) NOT NULL DEFAULT '',
    data                 jsonb,
    correlation_id       varchar(255) NOT NULL DEFAULT '',
    causation_id         varchar(255) NOT NULL DEFAULT '',
    metadata             jsonb
) PARTITION BY RANGE (occurred_at);
-- Keys are of one tenant anyway. Before a text, numbers are found in an index without reading over the text: a row costs less.
CREATE INDEX workflow_events_by_instance ON workflow_events (workflow_instance_id, id, tenant_id);
-- Without the steps that every instance goes through, of which no question is asked across instances: half of all rows, and an entry costs as much
-- as a column. They are found by instance and by time.
CREATE INDEX workflow_events_by_type ON workflow_events (tenant_id, event_type, occurred_at) WHERE event_type NOT IN ('flow.taken',
    'element.activated', 'element.completed', 'element.gateway_reached', 'task.created', 'task.leased', 'task.started', 'loop.item_completed');
CREATE INDEX workflow_events_by_decision ON workflow_events (tenant_id, (data ->> 'decision'), occurred_at, id)
    WHERE event_type = 'decision.evaluated';
CREATE INDEX workflow_events_by_decision_version ON workflow_events (tenant_id, (data ->> 'decision'), (data ->> 'version'), occurred_at, id)
    WHERE event_type = 'decision.evaluated';
-- Which instances were removed: asked for each that another partition tells of.
CREATE INDEX workflow_events_of_removed ON workflow_events (workflow_instance_id, tenant_id) WHERE event_type = 'workflow.removed_from_views';
CREATE INDEX workflow_events_by_time ON workflow_events USING brin (occurred_at) WITH (pages_per_range = 16);

CREATE TABLE task_events (
    tenant_id   varchar(255) NOT NULL DEFAULT '',
    id          bigint NOT NULL,
    task_id     bigint NOT NULL,
    event_type  varchar(50) NOT NULL,
    occurred_at timestamptz NOT NULL,
    source      varchar(255) NOT NULL DEFAULT '',
    data        jsonb,
    metadata    jsonb
) PARTITION BY RANGE (occurred_at);
CREATE INDEX task_events_by_task ON task_events (task_id, id, tenant_id);
CREATE INDEX task_events_by_type ON task_events (tenant_id, event_type, occurred_at)
    WHERE event_type NOT IN ('task.created', 'task.leased', 'task.started', 'task.completed');
CREATE INDEX task_events_by_time ON task_events USING brin (occurred_at) WITH (pages_per_range = 16);

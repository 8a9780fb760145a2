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
CREATE INDEX workflow_events_by_instance ON workflow_events (tenant_id, workflow_instance_id, id);
CREATE INDEX workflow_events_by_type ON workflow_events (tenant_id, event_type, occurred_at);
CREATE INDEX workflow_events_by_decision ON workflow_events (tenant_id, (data ->> 'decision'), occurred_at, id)
    WHERE event_type = 'decision.evaluated';
CREATE INDEX workflow_events_by_decision_version ON workflow_events (tenant_id, (data ->> 'decision'), (data ->> 'version'), occurred_at, id)
    WHERE event_type = 'decision.evaluated';
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
CREATE INDEX task_events_by_task ON task_events (tenant_id, task_id, id);
CREATE INDEX task_events_by_type ON task_events (tenant_id, event_type, occurred_at);
CREATE INDEX task_events_by_time ON task_events USING brin (occurred_at) WITH (pages_per_range = 16);

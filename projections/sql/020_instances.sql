-- Partitioned by month of creation. Indexes: one for each way of listing (newest first), partial where few rows have the property. One that
-- goes on with the status before the time answers with a status and, status by status, without. A column after the key of the order only
-- lets rows go without a look into the table.
CREATE TABLE workflow_instances (
    tenant_id         varchar(255) NOT NULL DEFAULT '',
    id                bigint NOT NULL,
    definition_id     bigint NOT NULL,
    process_id        varchar(255) NOT NULL DEFAULT '',
    version           integer NOT NULL DEFAULT 0,
    name              varchar(255) NOT NULL DEFAULT '',
    description       text NOT NULL DEFAULT '',
    business_key      varchar(255) NOT NULL DEFAULT '',
    status            varchar(20) NOT NULL DEFAULT 'pending'
                      CHECK (status IN ('pending', 'running', 'suspended', 'quarantined', 'completed', 'failed', 'cancelled',
                                       'terminated')),
    paused            boolean NOT NULL DEFAULT false,
    incidents         integer NOT NULL DEFAULT 0,
    priority          varchar(20) NOT NULL DEFAULT 'normal' CHECK (priority IN ('low', 'normal', 'high', 'critical', 'urgent')),
    priority_value    integer NOT NULL DEFAULT 40,
    initiator         varchar(255) NOT NULL DEFAULT '',
    created_at        timestamptz NOT NULL DEFAULT now(),
    started_at        timestamptz,
    completed_at      timestamptz,
    cancelled_at      timestamptz,
    parent_id         bigint,
    parent_token      bigint,
    root_id           bigint NOT NULL DEFAULT 0,
    input             jsonb,
    variables         jsonb,
    output            jsonb GENERATED ALWAYS AS (CASE WHEN status = 'completed' THEN variables END) STORED,
    execution_context jsonb,
    metadata          jsonb,
    error_code        varchar(255),
    error_message     text,
    reason            text,
    correlation_id    varchar(255) NOT NULL DEFAULT '',
    row_version       integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id, created_at)
) PARTITION BY RANGE (created_at);
-- A list of several values reads the index value by value. How many rows one has isn't known when such a query is planned: told that it is few, the
-- planner takes the index that begins with the value, and not one in which it would have to look for it.
ALTER TABLE workflow_instances ALTER COLUMN status SET (n_distinct = 100, n_distinct_inherited = 100);
ALTER TABLE workflow_instances ALTER COLUMN priority_value SET (n_distinct = 100, n_distinct_inherited = 100);
CREATE INDEX workflow_instances_by_time ON workflow_instances (tenant_id, created_at, id);
CREATE INDEX workflow_instances_by_status ON workflow_instances (tenant_id, status, created_at, id, priority_value);
CREATE INDEX workflow_instances_by_process ON workflow_instances (tenant_id, process_id, status, created_at, id, version, priority_value);
CREATE INDEX workflow_instances_by_definition ON workflow_instances (tenant_id, definition_id, status, created_at, id, priority_value);
CREATE INDEX workflow_instances_by_version ON workflow_instances (tenant_id, version, created_at, id);
CREATE INDEX workflow_instances_by_priority ON workflow_instances (tenant_id, priority_value, created_at, id);
-- what begins with a text is found as well, whatever the database takes for the order of texts
CREATE INDEX workflow_instances_by_business_key ON workflow_instances (tenant_id, business_key varchar_pattern_ops, created_at, id)
    WHERE business_key <> '';
CREATE INDEX workflow_instances_by_initiator ON workflow_instances (tenant_id, initiator, status, created_at, id) WHERE initiator <> '';
CREATE INDEX workflow_instances_by_correlation ON workflow_instances (tenant_id, correlation_id, created_at, id) WHERE correlation_id <> '';
-- of any length: the beginning is enough to find few
CREATE INDEX workflow_instances_by_project ON workflow_instances (tenant_id, left(metadata ->> 'project_id', 255), created_at, id)
    WHERE left(metadata ->> 'project_id', 255) IS NOT NULL;
CREATE INDEX workflow_instances_by_environment ON workflow_instances (tenant_id, left(metadata ->> 'environment', 255), created_at, id)
    WHERE left(metadata ->> 'environment', 255) IS NOT NULL;
CREATE INDEX workflow_instances_by_parent ON workflow_instances (tenant_id, parent_id, created_at, id) WHERE parent_id IS NOT NULL;
CREATE INDEX workflow_instances_by_pause ON workflow_instances (tenant_id, created_at, id) WHERE paused;
CREATE INDEX workflow_instances_by_incident ON workflow_instances (tenant_id, created_at, id) WHERE incidents > 0;
CREATE INDEX workflow_instances_stuck_by_status ON workflow_instances (tenant_id, status, created_at, id) WHERE incidents > 0;
CREATE INDEX workflow_instances_stuck_by_process ON workflow_instances (tenant_id, process_id, created_at, id) WHERE incidents > 0;
CREATE INDEX workflow_instances_stuck_by_definition ON workflow_instances (tenant_id, definition_id, created_at, id) WHERE incidents > 0;
-- the longest time between creation and start: who asks by start is answered in the order of creation, from so much earlier on
CREATE INDEX workflow_instances_by_wait ON workflow_instances (tenant_id, (started_at - created_at))
    WHERE started_at - created_at > interval '1 minute';

-- Which token stands inside of which (sub-processes, multi-instance bodies): what a restarted projector needs to know which
-- work ends with a scope. Tokens of the root scope have no row; rows go when the instance ends.
CREATE TABLE instance_scopes (
    tenant_id   varchar(255) NOT NULL DEFAULT '',
    instance_id bigint NOT NULL,
    token_id    bigint NOT NULL,
    scope_id    bigint NOT NULL,
    PRIMARY KEY (instance_id, token_id)
);

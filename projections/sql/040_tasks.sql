-- Partitioned by month of creation. Rows of activities that the engine does itself have ids from 2^62 on. What lists show is copied into the row, so that they touch one table.
CREATE TABLE tasks (
    tenant_id              varchar(255) NOT NULL DEFAULT '',
    id                     bigint NOT NULL,
    workflow_instance_id   bigint,
    workflow_definition_id bigint,
    process_id             varchar(255) NOT NULL DEFAULT '',
    token_id               bigint NOT NULL DEFAULT 0,
    parent_id              bigint,
    sequence_number        integer,
    definition_key         varchar(255) NOT NULL DEFAULT '',
    name                   varchar(255) NOT NULL DEFAULT '',
    reference              varchar(255) NOT NULL DEFAULT '',
    description            text NOT NULL DEFAULT '',
    type                   varchar(30) NOT NULL
                           CHECK (type IN ('human_task', 'user_task', 'service_task', 'script_task', 'send_task', 'receive_task',
                                           'manual_task', 'business_rule_task', 'call_activity', 'sub_process')),
    job_type               varchar(255) NOT NULL DEFAULT '',
    listener               varchar(30) NOT NULL DEFAULT '',
    category               varchar(30) NOT NULL DEFAULT 'automated',
    status                 varchar(20) NOT NULL DEFAULT 'created'
                           CHECK (status IN ('created', 'assigned', 'started', 'in_progress', 'suspended', 'completed', 'failed',
                                             'timed_out', 'cancelled', 'skipped')),
    priority               varchar(20) NOT NULL DEFAULT 'normal' CHECK (priority IN ('low', 'normal', 'high', 'critical', 'urgent')),
    priority_value         integer NOT NULL DEFAULT 40,
    created_at             timestamptz NOT NULL DEFAULT now(),
    started_at             timestamptz,
    attempt_at             timestamptz,
    completed_at           timestamptz,
    cancelled_at           timestamptz,
    updated_at             timestamptz NOT NULL DEFAULT now(),
    due_at                 timestamptz,
    follow_up_at           timestamptz,
    assignee               varchar(255),
    candidate_groups       text[],
    candidate_users        text[],
    worker                 varchar(255),
    lease_until            timestamptz,
    fence                  integer NOT NULL DEFAULT 0,
    attempts               integer NOT NULL DEFAULT 0,
    retries                integer NOT NULL DEFAULT 0,
    retry_at               timestamptz,
    incident_id            bigint,
    input                  jsonb,
    output                 jsonb,
    execution_config       jsonb,
    retry_config           jsonb,
    dependencies           text[],
    form                   jsonb,
    progress               jsonb,
    error_code             varchar(255),
    error_message          text,
    duration_ms            bigint,
    result_status          varchar(20),
    metadata               jsonb,
    row_version            integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id, created_at)
) PARTITION BY RANGE (created_at);
-- See 020.
ALTER TABLE tasks ALTER COLUMN status SET (n_distinct = 100, n_distinct_inherited = 100);
ALTER TABLE tasks ALTER COLUMN type SET (n_distinct = 100, n_distinct_inherited = 100);
ALTER TABLE tasks ALTER COLUMN priority_value SET (n_distinct = 100, n_distinct_inherited = 100);
ALTER TABLE tasks ALTER COLUMN result_status SET (n_distinct = 100, n_distinct_inherited = 100);
-- As with the instances. Open work is little beside what is done, and is asked for most: it has indexes of its own.
CREATE INDEX tasks_by_time ON tasks (tenant_id, created_at, id);
CREATE INDEX tasks_by_status ON tasks (tenant_id, status, created_at, id, priority_value);
CREATE INDEX tasks_by_instance ON tasks (workflow_instance_id, status, created_at, id, tenant_id);
CREATE INDEX tasks_by_definition ON tasks (tenant_id, workflow_definition_id, status, created_at, id);
CREATE INDEX tasks_by_process ON tasks (tenant_id, process_id, status, created_at, id);
CREATE INDEX tasks_by_type ON tasks (tenant_id, type, status, created_at, id);
CREATE INDEX tasks_by_job_type ON tasks (tenant_id, job_type, status, created_at, id) WHERE job_type <> '';
CREATE INDEX tasks_by_category ON tasks (tenant_id, category, status, created_at, id);
CREATE INDEX tasks_by_element ON tasks (tenant_id, definition_key, status, created_at, id, process_id, workflow_definition_id)
    WHERE definition_key <> '';
CREATE INDEX tasks_by_reference ON tasks (tenant_id, reference text_pattern_ops, status, created_at, id) WHERE reference <> '';
CREATE INDEX tasks_by_assignee ON tasks (tenant_id, assignee, status, created_at, id) WHERE assignee IS NOT NULL;
CREATE INDEX tasks_by_parent ON tasks (tenant_id, parent_id, created_at, id) WHERE parent_id IS NOT NULL;
CREATE INDEX tasks_by_result ON tasks (tenant_id, result_status, created_at, id) WHERE result_status <> 'success';
CREATE INDEX tasks_by_priority ON tasks (tenant_id, priority_value, created_at, id);
CREATE INDEX tasks_open_by_priority ON tasks (tenant_id, priority_value, created_at, id)
    WHERE status NOT IN ('completed', 'cancelled', 'skipped');
CREATE INDEX tasks_by_due ON tasks (tenant_id, due_at, id, process_id) WHERE due_at IS NOT NULL;
CREATE INDEX tasks_overdue ON tasks (tenant_id, due_at, id)
    WHERE due_at IS NOT NULL AND status NOT IN ('completed', 'cancelled', 'skipped');
-- those that name candidates: of a group that has much, the newest are met sooner than sorted out
CREATE INDEX tasks_with_candidates ON tasks (tenant_id, created_at, id) WHERE candidate_groups IS NOT NULL OR candidate_users IS NOT NULL;
-- Names of people and groups recur in all tenants, so each row's tenant is among them.
CREATE INDEX tasks_by_user ON tasks USING gin (array_append(candidate_users, '@' || tenant_id)) WHERE candidate_users IS NOT NULL;
CREATE INDEX tasks_by_group ON tasks USING gin (array_append(candidate_groups, '@' || tenant_id)) WHERE candidate_groups IS NOT NULL;
CREATE INDEX tasks_open_by_user ON tasks USING gin (array_append(candidate_users, '@' || tenant_id))
    WHERE candidate_users IS NOT NULL AND status NOT IN ('completed', 'cancelled', 'skipped');
CREATE INDEX tasks_open_by_group ON tasks USING gin (array_append(candidate_groups, '@' || tenant_id))
    WHERE candidate_groups IS NOT NULL AND status NOT IN ('completed', 'cancelled', 'skipped');

-- One row for each hop: who had a person's (or agent's) task, since when, until when, and why.
CREATE TABLE task_assignments (
    tenant_id             varchar(255) NOT NULL DEFAULT '',
    id                    bigint NOT NULL,
    task_id               bigint NOT NULL,
    type                  varchar(20) NOT NULL DEFAULT 'human'
                          CHECK (type IN ('human', 'ai_agent', 'service', 'tool', 'external_api', 'hybrid')),
    assignee              varchar(255) NOT NULL DEFAULT '',
    assigned_by           varchar(255) NOT NULL DEFAULT '',
    reason                text NOT NULL DEFAULT '',
    assigned_at           timestamptz NOT NULL DEFAULT now(),
    accepted_at           timestamptz,
    started_at            timestamptz,
    completed_at          timestamptz,
    ended_at              timestamptz,
    delegation_history    jsonb,
    required_capabilities text[],
    constraints           jsonb,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX task_assignments_by_task ON task_assignments (tenant_id, task_id, id);
CREATE INDEX task_assignments_by_assignee ON task_assignments (tenant_id, assignee, id);

-- One row for each attempt. Partitioned by the month in which it ended.
CREATE TABLE task_results (
    tenant_id    varchar(255) NOT NULL DEFAULT '',
    id           bigint NOT NULL,
    task_id      bigint NOT NULL,
    execution_id varchar(64) NOT NULL,
    status       varchar(20) NOT NULL CHECK (status IN ('success', 'partial_success', 'failure', 'timeout', 'cancelled')),
    worker       varchar(255) NOT NULL DEFAULT '',
    started_at   timestamptz,
    ended_at     timestamptz NOT NULL DEFAULT now(),
    duration_ms  bigint,
    output       jsonb,
    metrics      jsonb,
    errors       jsonb,
    logs         jsonb,
    artifacts    jsonb,
    PRIMARY KEY (tenant_id, task_id, id, ended_at)
) PARTITION BY RANGE (ended_at);

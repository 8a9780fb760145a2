-- Who asked for what: one row for each event `operation.*`. `id` is its position as one number (partition << 51 | offset), `first_id` that of the
-- first event that came of it. Partitioned by month.
CREATE TABLE operations (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    id                   bigint NOT NULL,
    first_id             bigint NOT NULL,
    occurred_at          timestamptz NOT NULL,
    actor                varchar(255) NOT NULL DEFAULT '',
    operation            varchar(255) NOT NULL DEFAULT '',
    kind                 varchar(255) NOT NULL DEFAULT '',
    subject              varchar(255) NOT NULL DEFAULT '',
    workflow_instance_id bigint,
    outcome              varchar(20) NOT NULL DEFAULT 'granted' CHECK (outcome IN ('granted', 'refused')),
    code                 varchar(255) NOT NULL DEFAULT '',
    message              text NOT NULL DEFAULT '',
    reason               text NOT NULL DEFAULT '',
    names                text[],
    details              jsonb,
    door                 varchar(255) NOT NULL DEFAULT '',
    address              varchar(255) NOT NULL DEFAULT '',
    agent                varchar(255) NOT NULL DEFAULT '',
    roles                text[],
    credential           varchar(255) NOT NULL DEFAULT '',
    skipped              integer NOT NULL DEFAULT 0,
    correlation_id       varchar(255) NOT NULL DEFAULT '',
    causation_id         varchar(255) NOT NULL DEFAULT '',
    trace                varchar(255) NOT NULL DEFAULT ''
) PARTITION BY RANGE (occurred_at);
CREATE INDEX operations_by_time ON operations (tenant_id, occurred_at, id);
CREATE INDEX operations_by_actor ON operations (tenant_id, actor, occurred_at, id);
CREATE INDEX operations_by_operation ON operations (tenant_id, operation, occurred_at, id);
CREATE INDEX operations_by_kind ON operations (tenant_id, kind, occurred_at, id);
CREATE INDEX operations_by_subject ON operations (tenant_id, subject, occurred_at, id);
CREATE INDEX operations_by_instance ON operations (tenant_id, workflow_instance_id, occurred_at, id) WHERE workflow_instance_id IS NOT NULL;
CREATE INDEX operations_by_refusal ON operations (tenant_id, occurred_at, id) WHERE outcome = 'refused';

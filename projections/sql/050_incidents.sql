CREATE TABLE incidents (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    id                   bigint NOT NULL,
    workflow_instance_id bigint,
    definition_id        bigint,
    process_id           varchar(255) NOT NULL DEFAULT '',
    task_id              bigint,
    token_id             bigint NOT NULL DEFAULT 0,
    element              varchar(255) NOT NULL DEFAULT '',
    code                 varchar(255) NOT NULL DEFAULT '',
    message              text NOT NULL DEFAULT '',
    status               varchar(20) NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved')),
    created_at           timestamptz NOT NULL DEFAULT now(),
    resolved_at          timestamptz,
    resolved_by          varchar(255) NOT NULL DEFAULT '',
    cause                text NOT NULL DEFAULT '',
    group_id             varchar(24) NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
-- See 020.
ALTER TABLE incidents ALTER COLUMN status SET (n_distinct = 100, n_distinct_inherited = 100);
CREATE INDEX incidents_by_status ON incidents (tenant_id, status, created_at, id);
CREATE INDEX incidents_by_time ON incidents (tenant_id, created_at, id);
CREATE INDEX incidents_by_instance ON incidents (tenant_id, workflow_instance_id, created_at, id);
CREATE INDEX incidents_by_definition ON incidents (tenant_id, definition_id, status, created_at, id);
CREATE INDEX incidents_by_process ON incidents (tenant_id, process_id, status, created_at, id);
CREATE INDEX incidents_by_code ON incidents (tenant_id, code, status, created_at, id);
CREATE INDEX incidents_by_element ON incidents (tenant_id, element, status, created_at, id);
CREATE INDEX incidents_by_group ON incidents (tenant_id, group_id, status, created_at, id);

-- One row for each variable of each scope; partitioned like the instances (by the month of the instance's creation), so that both leave together.
-- `search` is the value as text (numbers in one normal form, the first 64 characters), null for lists and contexts.
CREATE TABLE variables (
    tenant_id           varchar(255) NOT NULL DEFAULT '',
    workflow_instance_id bigint NOT NULL,
    scope_id            bigint NOT NULL,
    name                varchar(255) NOT NULL,
    scope               varchar(20) NOT NULL DEFAULT 'workflow' CHECK (scope IN ('global', 'workflow', 'task', 'local')),
    type                varchar(20) NOT NULL DEFAULT 'null' CHECK (type IN ('null', 'boolean', 'number', 'string', 'list', 'context')),
    value               jsonb,
    search              varchar(64) COLLATE "C",
    number              numeric GENERATED ALWAYS AS (CASE WHEN jsonb_typeof(value) = 'number' THEN (value #>> '{}')::numeric END) STORED,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    instance_created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, workflow_instance_id, scope_id, name, instance_created_at)
) PARTITION BY RANGE (instance_created_at);
-- Lists are filtered by variables of the instance itself. The first two have the order of those lists. A range goes by the order of the values
-- within half a day after the other, so that a page of the newest is found among few however wide it is and wherever its rows lie.
CREATE INDEX variables_by_value ON variables (tenant_id, name, search, instance_created_at, workflow_instance_id)
    WHERE scope = 'workflow' AND search IS NOT NULL;
CREATE INDEX variables_by_name ON variables (tenant_id, name, instance_created_at, workflow_instance_id) WHERE scope = 'workflow';
CREATE INDEX variables_by_number ON variables (tenant_id, name, (date_bin('12 hours', instance_created_at, '2000-01-01 00:00:00+00')), number)
    INCLUDE (instance_created_at, workflow_instance_id) WHERE scope = 'workflow' AND number IS NOT NULL;
CREATE INDEX variables_by_text ON variables (tenant_id, name, (date_bin('12 hours', instance_created_at, '2000-01-01 00:00:00+00')), search)
    INCLUDE (instance_created_at, workflow_instance_id) WHERE scope = 'workflow' AND type = 'string';
-- What is sealed, by its key (`projections/retention.py`).
CREATE INDEX variables_sealed ON variables (tenant_id, (split_part(value #>> '{}', '.', 3)), workflow_instance_id) WHERE search LIKE 'flk1.%';

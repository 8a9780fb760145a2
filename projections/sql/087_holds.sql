CREATE TABLE holds (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    id                   bigint NOT NULL PRIMARY KEY,
    scope                varchar(20) NOT NULL DEFAULT 'instance'
                         CHECK (scope IN ('instance', 'definition', 'version', 'element', 'job_type', 'target', 'tenant')),
    subject              varchar(512) NOT NULL DEFAULT '',
    mode                 varchar(20) NOT NULL DEFAULT 'suspend' CHECK (mode IN ('pause', 'suspend')),
    starts               varchar(20) NOT NULL DEFAULT 'hold' CHECK (starts IN ('hold', 'refuse')),
    children             boolean NOT NULL DEFAULT true,
    follows              bigint,
    status               varchar(20) NOT NULL DEFAULT 'held' CHECK (status IN ('held', 'resuming', 'released')),
    reason               text NOT NULL DEFAULT '',
    rate                 integer,
    workflow_instance_id bigint,
    created_at           timestamptz NOT NULL DEFAULT now(),
    created_by           varchar(255) NOT NULL DEFAULT '',
    until_at             timestamptz,
    released_at          timestamptz,
    released_by          varchar(255) NOT NULL DEFAULT '',
    released_why         text NOT NULL DEFAULT ''
);
-- See 020.
ALTER TABLE holds ALTER COLUMN status SET (n_distinct = 100, n_distinct_inherited = 100);
CREATE INDEX holds_by_time ON holds (tenant_id, created_at, id);
CREATE INDEX holds_by_status ON holds (tenant_id, status, created_at, id);
CREATE INDEX holds_by_scope ON holds (tenant_id, scope, created_at, id);
CREATE INDEX holds_by_instance ON holds (tenant_id, workflow_instance_id, created_at, id);
CREATE INDEX holds_in_force ON holds (scope, subject) WHERE status <> 'released';

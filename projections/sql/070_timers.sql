CREATE TABLE timers (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    id                   bigint NOT NULL,
    workflow_instance_id bigint,
    definition_id        bigint,
    process_id           varchar(255) NOT NULL DEFAULT '',
    token_id             bigint NOT NULL DEFAULT 0,
    element              varchar(255) NOT NULL DEFAULT '',
    due_at               timestamptz NOT NULL,
    repeat               varchar(255) NOT NULL DEFAULT '',
    repeats_left         bigint NOT NULL DEFAULT 0,
    status               varchar(20) NOT NULL DEFAULT 'scheduled' CHECK (status IN ('scheduled', 'triggered', 'cancelled')),
    fired                integer NOT NULL DEFAULT 0,
    created_at           timestamptz NOT NULL DEFAULT now(),
    fired_at             timestamptz,
    ended_at             timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX timers_by_instance ON timers (tenant_id, workflow_instance_id);
CREATE INDEX timers_due ON timers (tenant_id, due_at) WHERE status = 'scheduled';

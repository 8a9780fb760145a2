CREATE TABLE rollouts (
    tenant_id     varchar(255) NOT NULL DEFAULT '',
    kind          varchar(30) NOT NULL,
    definition_id varchar(255) NOT NULL,
    default_key   bigint,
    ramp_key      bigint,
    share         integer NOT NULL DEFAULT 0,
    stopped       jsonb,
    reason        text NOT NULL DEFAULT '',
    changed_at    timestamptz NOT NULL DEFAULT now(),
    changed_by    varchar(255) NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, kind, definition_id)
);

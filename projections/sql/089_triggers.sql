CREATE TABLE triggers (
    tenant_id     varchar(255) NOT NULL DEFAULT '',
    id            bigint NOT NULL,
    name          varchar(255) NOT NULL DEFAULT '',
    status        varchar(20) NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'inactive', 'deleted')),
    paused        boolean NOT NULL DEFAULT false,
    source        varchar(40) NOT NULL DEFAULT '',
    version_key   bigint,
    ran           integer NOT NULL DEFAULT 0,
    seen          integer NOT NULL DEFAULT 0,
    filtered      integer NOT NULL DEFAULT 0,
    parked        integer NOT NULL DEFAULT 0,
    places        jsonb,
    next_at       timestamptz,
    last_at       timestamptz,
    skipped_from  timestamptz,
    node          varchar(500) NOT NULL DEFAULT '',
    reader        integer NOT NULL DEFAULT 0,
    read_until    timestamptz,
    error         text NOT NULL DEFAULT '',
    lag           integer,
    sample        jsonb,
    reason        text NOT NULL DEFAULT '',
    changed_by    varchar(255) NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX triggers_by_time ON triggers (tenant_id, created_at, id);
CREATE INDEX triggers_by_name ON triggers (tenant_id, name);

CREATE TABLE trigger_runs (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    id                   bigint NOT NULL,
    trigger_id           bigint NOT NULL,
    action               varchar(20) NOT NULL DEFAULT '',
    subject              text NOT NULL DEFAULT '',
    item                 text NOT NULL DEFAULT '',
    part                 text NOT NULL DEFAULT '',
    place                bigint,
    workflow_instance_id bigint,
    nominal_at           timestamptz,
    letter               bigint,
    created_at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX trigger_runs_by_time ON trigger_runs (tenant_id, trigger_id, created_at, id);

CREATE TABLE trigger_letters (
    tenant_id  varchar(255) NOT NULL DEFAULT '',
    id         bigint NOT NULL,
    trigger_id bigint NOT NULL,
    status     varchar(20) NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'replayed', 'discarded')),
    item       text NOT NULL DEFAULT '',
    part       text NOT NULL DEFAULT '',
    place      bigint,
    code       varchar(255) NOT NULL DEFAULT '',
    message    text NOT NULL DEFAULT '',
    context    jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    closed_at  timestamptz,
    closed_by  varchar(255) NOT NULL DEFAULT '',
    reason     text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
-- See 020.
ALTER TABLE trigger_letters ALTER COLUMN status SET (n_distinct = 100, n_distinct_inherited = 100);
CREATE INDEX trigger_letters_by_time ON trigger_letters (tenant_id, trigger_id, created_at, id);
CREATE INDEX trigger_letters_by_status ON trigger_letters (tenant_id, trigger_id, status, created_at, id);

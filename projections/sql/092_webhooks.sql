CREATE TABLE webhooks (
    tenant_id    varchar(255) NOT NULL DEFAULT '',
    id           bigint NOT NULL,
    name         varchar(255) NOT NULL DEFAULT '',
    status       varchar(20) NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'disabled', 'full', 'deleted')),
    url          text NOT NULL DEFAULT '',
    types        jsonb,
    definitions  jsonb,
    filter       text NOT NULL DEFAULT '',
    secrets      jsonb,
    ordering     varchar(20) NOT NULL DEFAULT '',
    cursors      jsonb,
    delivered_count bigint NOT NULL DEFAULT 0,
    failed_count bigint NOT NULL DEFAULT 0,
    dead_count   integer NOT NULL DEFAULT 0,
    node         varchar(500) NOT NULL DEFAULT '',
    sender       integer NOT NULL DEFAULT 0,
    sent_until   timestamptz,
    error        text NOT NULL DEFAULT '',
    last_at      timestamptz,
    reason       text NOT NULL DEFAULT '',
    changed_by   varchar(255) NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX webhooks_by_time ON webhooks (tenant_id, created_at, id);
CREATE INDEX webhooks_by_name ON webhooks (tenant_id, name);

-- The last attempts of each webhook: number n stands at slot n modulo kernel.limits.WEBHOOK_LOG_MAX, so that there are never more.
CREATE TABLE webhook_deliveries (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    webhook_id           bigint NOT NULL,
    slot                 integer NOT NULL,
    id                   bigint NOT NULL,
    event                varchar(60) NOT NULL DEFAULT '',
    type                 varchar(255) NOT NULL DEFAULT '',
    workflow_instance_id bigint,
    process_id           varchar(255) NOT NULL DEFAULT '',
    attempt              integer NOT NULL DEFAULT 0,
    outcome              varchar(20) NOT NULL DEFAULT '',
    code                 varchar(255) NOT NULL DEFAULT '',
    status               integer,
    ms                   integer,
    next_at              timestamptz,
    created_at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, webhook_id, slot)
);
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (tenant_id, webhook_id, created_at, id);

CREATE TABLE webhook_letters (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    webhook_id           bigint NOT NULL,
    event                varchar(60) NOT NULL,
    id                   bigint NOT NULL,
    status               varchar(20) NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'redelivered', 'discarded')),
    type                 varchar(255) NOT NULL DEFAULT '',
    workflow_instance_id bigint,
    process_id           varchar(255) NOT NULL DEFAULT '',
    attempt              integer NOT NULL DEFAULT 0,
    code                 varchar(255) NOT NULL DEFAULT '',
    created_at           timestamptz NOT NULL DEFAULT now(),
    closed_at            timestamptz,
    closed_by            varchar(255) NOT NULL DEFAULT '',
    reason               text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, webhook_id, event)
);
-- See 020.
ALTER TABLE webhook_letters ALTER COLUMN status SET (n_distinct = 100, n_distinct_inherited = 100);
CREATE INDEX webhook_letters_by_time ON webhook_letters (tenant_id, webhook_id, created_at, id);
CREATE INDEX webhook_letters_by_status ON webhook_letters (tenant_id, webhook_id, status, created_at, id);

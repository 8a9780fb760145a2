CREATE TABLE dead_letters (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    id                   bigint NOT NULL PRIMARY KEY,
    partition            integer NOT NULL DEFAULT 0,
    source               varchar(40) NOT NULL DEFAULT '',
    message              text NOT NULL DEFAULT '',
    command              text NOT NULL DEFAULT '',
    encoding             varchar(20) NOT NULL DEFAULT 'text' CHECK (encoding IN ('text', 'base64')),
    size                 integer,
    kept                 integer NOT NULL DEFAULT 0,
    sender               integer,
    workflow_instance_id bigint,
    token_id             bigint,
    status               varchar(20) NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'incident', 'replayed', 'discarded')),
    created_at           timestamptz NOT NULL DEFAULT now(),
    closed_at            timestamptz,
    closed_by            varchar(255) NOT NULL DEFAULT '',
    reason               text NOT NULL DEFAULT '',
    replayed_as          text,
    replayed_to          integer
);
-- See 020.
ALTER TABLE dead_letters ALTER COLUMN status SET (n_distinct = 100, n_distinct_inherited = 100);
CREATE INDEX dead_letters_by_time ON dead_letters (tenant_id, created_at, id);
CREATE INDEX dead_letters_by_status ON dead_letters (tenant_id, status, created_at, id);
CREATE INDEX dead_letters_by_partition ON dead_letters (tenant_id, partition, created_at, id);
CREATE INDEX dead_letters_by_instance ON dead_letters (tenant_id, workflow_instance_id, created_at, id);

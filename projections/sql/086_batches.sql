CREATE TABLE batches (
    tenant_id     varchar(255) NOT NULL DEFAULT '',
    id            bigint NOT NULL,
    action        varchar(40) NOT NULL DEFAULT '',
    list          varchar(40) NOT NULL DEFAULT '',
    params        jsonb,
    filter        jsonb,
    reason        text NOT NULL DEFAULT '',
    rate          integer NOT NULL DEFAULT 0,
    status        varchar(20) NOT NULL DEFAULT 'collecting'
        CHECK (status IN ('collecting', 'running', 'paused', 'aborting', 'completed', 'partial', 'failed', 'aborted')),
    total         integer NOT NULL DEFAULT 0,
    collected     integer NOT NULL DEFAULT 0,
    sent          integer NOT NULL DEFAULT 0,
    succeeded     integer NOT NULL DEFAULT 0,
    failed        integer NOT NULL DEFAULT 0,
    skipped       integer NOT NULL DEFAULT 0,
    created_by    varchar(255) NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz,
    ended_at      timestamptz,
    controlled_by varchar(255) NOT NULL DEFAULT '',
    note          text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
-- See 020.
ALTER TABLE batches ALTER COLUMN status SET (n_distinct = 100, n_distinct_inherited = 100);
CREATE INDEX batches_by_time ON batches (tenant_id, created_at, id);
CREATE INDEX batches_by_status ON batches (tenant_id, status, created_at, id);
CREATE INDEX batches_by_action ON batches (tenant_id, action, status, created_at, id);
CREATE INDEX batches_prepared ON batches (id) WHERE ended_at IS NULL AND action = 'roll_back';

CREATE TABLE batch_items (
    tenant_id varchar(255) NOT NULL DEFAULT '',
    batch_id  bigint NOT NULL,
    number    integer NOT NULL,
    item      bigint NOT NULL,
    status    varchar(20) NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed', 'skipped')),
    code      varchar(255) NOT NULL DEFAULT '',
    message   text NOT NULL DEFAULT '',
    done_at   timestamptz,
    PRIMARY KEY (tenant_id, batch_id, number)
);
CREATE INDEX batch_items_by_status ON batch_items (tenant_id, batch_id, status, number);

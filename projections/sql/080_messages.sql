CREATE TABLE messages (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    id                   bigint NOT NULL,
    name                 varchar(255) NOT NULL,
    correlation_key      varchar(255) NOT NULL DEFAULT '',
    message_id           varchar(255) NOT NULL DEFAULT '',
    variables            jsonb,
    status               varchar(20) NOT NULL DEFAULT 'received' CHECK (status IN ('received', 'correlated', 'expired')),
    workflow_instance_id bigint,
    correlations         integer NOT NULL DEFAULT 0,
    received_at          timestamptz NOT NULL DEFAULT now(),
    correlated_at        timestamptz,
    expires_at           timestamptz,
    expired_at           timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX messages_by_name ON messages (tenant_id, name, correlation_key);
CREATE INDEX messages_by_time ON messages (tenant_id, received_at, id);

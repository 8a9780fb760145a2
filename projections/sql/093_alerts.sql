-- Alerts: rules, and the last times that each fired. `slot` goes round, so that an alert has so many rows at most.
CREATE TABLE alerts (
    tenant_id      varchar(255) NOT NULL DEFAULT '',
    id             bigint NOT NULL,
    name           varchar(255) NOT NULL,
    status         varchar(20) NOT NULL DEFAULT 'active',
    rule           jsonb NOT NULL,
    silenced_until timestamptz,
    firing_count   integer NOT NULL DEFAULT 0,
    fired_count    bigint NOT NULL DEFAULT 0,
    error          text NOT NULL DEFAULT '',
    last_at        timestamptz,
    reason         text NOT NULL DEFAULT '',
    changed_by     varchar(255) NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX alerts_by_time ON alerts (tenant_id, created_at, id);
CREATE INDEX alerts_by_name ON alerts (tenant_id, name);

CREATE TABLE alert_firings (
    tenant_id      varchar(255) NOT NULL DEFAULT '',
    alert_id       bigint NOT NULL,
    slot           integer NOT NULL,
    id             bigint NOT NULL,
    status         varchar(20) NOT NULL,
    severity       varchar(20) NOT NULL DEFAULT '',
    grouped        jsonb NOT NULL,
    value          double precision,
    cases          bigint NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL,
    resolved_at    timestamptz,
    resolved_value double precision,
    why            varchar(20) NOT NULL DEFAULT '',
    action         jsonb,
    PRIMARY KEY (tenant_id, alert_id, slot)
);
CREATE INDEX alert_firings_by_time ON alert_firings (tenant_id, alert_id, created_at, id);

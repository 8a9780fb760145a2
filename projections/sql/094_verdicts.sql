-- What rules of rule packs said: one row for each event `rule.judged`. `id` is its position as one number (partition << 51 | offset).
CREATE TABLE verdicts (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    id                   bigint NOT NULL,
    occurred_at          timestamptz NOT NULL,
    pack                 varchar(255) NOT NULL,
    version              integer NOT NULL DEFAULT 0,
    rule                 varchar(255) NOT NULL,
    severity             varchar(20) NOT NULL,
    outcome              varchar(20) NOT NULL,
    refused              boolean NOT NULL DEFAULT false,
    moment               varchar(20) NOT NULL DEFAULT '',
    process_id           varchar(255) NOT NULL DEFAULT '',
    workflow_instance_id bigint,
    task_id              bigint,
    element              varchar(255) NOT NULL DEFAULT '',
    actor                varchar(255) NOT NULL DEFAULT '',
    message              text NOT NULL DEFAULT '',
    why                  text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX verdicts_by_time ON verdicts (tenant_id, occurred_at, id);
CREATE INDEX verdicts_by_pack ON verdicts (tenant_id, pack, occurred_at, id);
CREATE INDEX verdicts_by_instance ON verdicts (tenant_id, workflow_instance_id, occurred_at, id) WHERE workflow_instance_id IS NOT NULL;

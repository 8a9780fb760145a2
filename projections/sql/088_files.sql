-- One row for each task or instance that has files, or had some. `hashes`: `AREA/SHA256` of those that are kept here, so that what nobody needs can be told.
CREATE TABLE workflow_files (
    tenant_id            varchar(255) NOT NULL DEFAULT '',
    id                   bigint NOT NULL,
    workflow_instance_id bigint,
    files                jsonb,
    hashes               text[],
    updated_at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX workflow_files_by_instance ON workflow_files (workflow_instance_id, tenant_id) WHERE workflow_instance_id IS NOT NULL;
CREATE INDEX workflow_files_by_hash ON workflow_files USING gin (hashes) WHERE hashes IS NOT NULL;

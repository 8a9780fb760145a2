CREATE TABLE workflow_definitions (
    tenant_id         varchar(255) NOT NULL DEFAULT '',
    id                bigint NOT NULL,
    definition_id     varchar(255) NOT NULL,
    kind              varchar(30) NOT NULL DEFAULT 'process',
    name              varchar(255) NOT NULL DEFAULT '',
    name_parts        text[] NOT NULL DEFAULT '{}',
    description       text NOT NULL DEFAULT '',
    version           integer NOT NULL DEFAULT 0,
    version_tag       varchar(50) NOT NULL DEFAULT '',
    content           text NOT NULL DEFAULT '',
    content_hash      varchar(64) NOT NULL DEFAULT '',
    resource          varchar(1024) NOT NULL DEFAULT '',
    format            varchar(10) NOT NULL DEFAULT 'xml' CHECK (format IN ('xml', 'json')),
    notation          varchar(20) NOT NULL DEFAULT 'bpmn',
    status            varchar(20) NOT NULL DEFAULT 'draft'
                      CHECK (status IN ('draft', 'validated', 'published', 'deprecated', 'archived')),
    reason            text NOT NULL DEFAULT '',
    deployment_id     bigint NOT NULL DEFAULT 0,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    created_by        varchar(255) NOT NULL DEFAULT '',
    deleted_at        timestamptz,
    validation_result jsonb,
    graph_hash        varchar(64) NOT NULL DEFAULT '',
    outline           jsonb,
    metadata          jsonb,
    row_version       integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX workflow_definitions_by_name ON workflow_definitions (tenant_id, kind, definition_id, version);
CREATE INDEX workflow_definitions_by_id ON workflow_definitions (tenant_id, definition_id, version DESC, id);
CREATE INDEX workflow_definitions_by_status ON workflow_definitions (tenant_id, status, definition_id);
CREATE INDEX workflow_definitions_by_creator ON workflow_definitions (tenant_id, created_by, definition_id);
CREATE INDEX workflow_definitions_by_category ON workflow_definitions (tenant_id, (metadata ->> 'category'), definition_id);
CREATE INDEX workflow_definitions_by_hash ON workflow_definitions (tenant_id, content_hash) WHERE content <> '';
CREATE INDEX workflow_definitions_by_tags ON workflow_definitions USING gin ((metadata -> 'tags'));
-- decision models by what others import them by; a hash of it, since a text of any length doesn't go into an index
CREATE INDEX workflow_definitions_by_namespace ON workflow_definitions (tenant_id, md5(outline -> '' ->> 'namespace')) WHERE kind = 'drg';
-- each piece of up to three letters of a name, so that a part of it is found by an index
CREATE INDEX workflow_definitions_by_part ON workflow_definitions USING gin (name_parts);

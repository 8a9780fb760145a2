-- Figures that workers report with their results and progress. A value that numeric(15,6) can't hold stands in `labels.value`.
CREATE TABLE execution_metrics (
    tenant_id   varchar(255) NOT NULL DEFAULT '',
    id          bigint NOT NULL,
    entity_type varchar(20) NOT NULL CHECK (entity_type IN ('workflow', 'task')),
    entity_id   bigint NOT NULL,
    workflow_instance_id bigint,
    metric_name varchar(100) NOT NULL,
    value       numeric(15, 6),
    occurred_at timestamptz NOT NULL DEFAULT now(),
    labels      jsonb
) PARTITION BY RANGE (occurred_at);
CREATE INDEX execution_metrics_by_entity ON execution_metrics (tenant_id, entity_type, entity_id);
CREATE INDEX execution_metrics_by_instance ON execution_metrics (tenant_id, workflow_instance_id) WHERE workflow_instance_id IS NOT NULL;
CREATE INDEX execution_metrics_by_name ON execution_metrics (tenant_id, metric_name, occurred_at);
CREATE INDEX execution_metrics_by_time ON execution_metrics USING brin (occurred_at) WITH (pages_per_range = 16);

-- What stands beside the views: which version of each view is live, and how far each partition is projected.
-- Applied with search_path set to the schema of the projections.

CREATE TABLE views (
    name        varchar(64) PRIMARY KEY,
    version     integer NOT NULL,
    built_at    timestamptz NOT NULL DEFAULT now()
);

-- `next_offset` is the offset of the first event that is not in the view; rows and position change in one transaction.
CREATE TABLE positions (
    view        varchar(64) NOT NULL,
    partition   integer NOT NULL,
    version     integer NOT NULL,
    next_offset bigint NOT NULL DEFAULT 0,
    event_time  timestamptz,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (view, partition)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

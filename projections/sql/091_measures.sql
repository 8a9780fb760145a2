-- Figures by minute, hour and day (UTC), kept for years beside the events; minutes are partitioned by month, so that old ones can go. What is counted:
-- `analytics/figures.py`. A row is of a version as a whole (no element), of an element, or of the jobs of a type at an element. Times in microseconds.
CREATE TABLE measures_minute (
    tenant_id     varchar(255) NOT NULL DEFAULT '',
    process_id    varchar(255) NOT NULL,
    at            timestamptz NOT NULL,
    element       varchar(255) NOT NULL DEFAULT '',
    job_type      varchar(255) NOT NULL DEFAULT '',
    definition_id bigint NOT NULL,
    version       integer NOT NULL DEFAULT 0,
    started       bigint NOT NULL DEFAULT 0,
    completed     bigint NOT NULL DEFAULT 0,
    failed        bigint NOT NULL DEFAULT 0,
    cancelled     bigint NOT NULL DEFAULT 0,
    terminated    bigint NOT NULL DEFAULT 0,
    moved_in      bigint NOT NULL DEFAULT 0,
    moved_out     bigint NOT NULL DEFAULT 0,
    reworked      bigint NOT NULL DEFAULT 0,
    attempts      bigint NOT NULL DEFAULT 0,
    retries       bigint NOT NULL DEFAULT 0,
    errors        bigint NOT NULL DEFAULT 0,
    incidents     bigint NOT NULL DEFAULT 0,
    worked        bigint NOT NULL DEFAULT 0,
    cycle_us      bigint NOT NULL DEFAULT 0,
    wait_us       bigint NOT NULL DEFAULT 0,
    work_us       bigint NOT NULL DEFAULT 0,
    cycle_min_us  bigint,
    cycle_max_us  bigint,
    PRIMARY KEY (tenant_id, process_id, at, element, job_type, definition_id)
) PARTITION BY RANGE (at);
CREATE TABLE measures_hour (LIKE measures_minute INCLUDING DEFAULTS, PRIMARY KEY (tenant_id, process_id, at, element, job_type, definition_id));
CREATE TABLE measures_day (LIKE measures_minute INCLUDING DEFAULTS, PRIMARY KEY (tenant_id, process_id, at, element, job_type, definition_id));
-- of all processes together: the rows of versions as a whole, and those of job types
CREATE INDEX measures_minute_whole ON measures_minute (tenant_id, at, process_id) WHERE element = '';
CREATE INDEX measures_hour_whole ON measures_hour (tenant_id, at, process_id) WHERE element = '';
CREATE INDEX measures_day_whole ON measures_day (tenant_id, at, process_id) WHERE element = '';
CREATE INDEX measures_minute_jobs ON measures_minute (tenant_id, at, job_type) WHERE job_type <> '';
CREATE INDEX measures_hour_jobs ON measures_hour (tenant_id, at, job_type) WHERE job_type <> '';
CREATE INDEX measures_day_jobs ON measures_day (tenant_id, at, job_type) WHERE job_type <> '';

-- How times are spread: how many fell into a bucket (`analytics/spread.py`). `which`: 0 cycle time, 1 waiting, 2 working.
CREATE TABLE spreads_hour (
    tenant_id     varchar(255) NOT NULL DEFAULT '',
    process_id    varchar(255) NOT NULL,
    at            timestamptz NOT NULL,
    element       varchar(255) NOT NULL DEFAULT '',
    job_type      varchar(255) NOT NULL DEFAULT '',
    definition_id bigint NOT NULL,
    which         smallint NOT NULL,
    bucket        smallint NOT NULL,
    version       integer NOT NULL DEFAULT 0,
    n             bigint NOT NULL,
    PRIMARY KEY (tenant_id, process_id, at, element, job_type, definition_id, which, bucket)
);
CREATE TABLE spreads_day (
    LIKE spreads_hour INCLUDING DEFAULTS,
    PRIMARY KEY (tenant_id, process_id, at, element, job_type, definition_id, which, bucket)
);
CREATE INDEX spreads_hour_whole ON spreads_hour (tenant_id, at, process_id) WHERE element = '';
CREATE INDEX spreads_day_whole ON spreads_day (tenant_id, at, process_id) WHERE element = '';

-- One row for each instance that has begun: what became of it; `state` is what must be remembered of it while it runs. Partitioned by month of creation.
CREATE TABLE traces (
    tenant_id     varchar(255) NOT NULL DEFAULT '',
    id            bigint NOT NULL,
    created_at    timestamptz NOT NULL,
    process_id    varchar(255) NOT NULL DEFAULT '',
    definition_id bigint NOT NULL,
    version       integer NOT NULL DEFAULT 0,
    outcome       varchar(20) NOT NULL DEFAULT '',
    variant       varchar(16) NOT NULL DEFAULT '',
    started_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    cycle_us      bigint,
    wait_us       bigint NOT NULL DEFAULT 0,
    work_us       bigint NOT NULL DEFAULT 0,
    worked        integer NOT NULL DEFAULT 0,
    attempts      integer NOT NULL DEFAULT 0,
    retries       integer NOT NULL DEFAULT 0,
    errors        integer NOT NULL DEFAULT 0,
    incidents     integer NOT NULL DEFAULT 0,
    reworked      integer NOT NULL DEFAULT 0,
    left_out      integer NOT NULL DEFAULT 0,
    state         jsonb,
    PRIMARY KEY (tenant_id, id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX traces_by_end ON traces (tenant_id, process_id, ended_at, id) WHERE ended_at IS NOT NULL;

-- The ways that instances went: how many ended by day, and the path (elements in the order in which tokens arrived; `more`: how many are left out at its end).
CREATE TABLE variants_day (
    tenant_id     varchar(255) NOT NULL DEFAULT '',
    process_id    varchar(255) NOT NULL,
    at            timestamptz NOT NULL,
    variant       varchar(16) NOT NULL,
    definition_id bigint NOT NULL,
    version       integer NOT NULL DEFAULT 0,
    completed     bigint NOT NULL DEFAULT 0,
    failed        bigint NOT NULL DEFAULT 0,
    cancelled     bigint NOT NULL DEFAULT 0,
    terminated    bigint NOT NULL DEFAULT 0,
    cycle_us      bigint NOT NULL DEFAULT 0,
    cycle_min_us  bigint,
    cycle_max_us  bigint,
    PRIMARY KEY (tenant_id, process_id, at, variant, definition_id)
);
CREATE TABLE variants (
    tenant_id     varchar(255) NOT NULL DEFAULT '',
    process_id    varchar(255) NOT NULL,
    variant       varchar(16) NOT NULL,
    path          jsonb NOT NULL,
    more          integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, process_id, variant)
);

-- KPIs by minute, hour and day: how many, how many of them kept what was promised, and sum, least and most in millionths (of times: microseconds). A row is
-- of instances (no element) or of an element; `value` is what it is told by (no text: as a whole).
CREATE TABLE kpis_minute (
    tenant_id     varchar(255) NOT NULL DEFAULT '',
    process_id    varchar(255) NOT NULL,
    at            timestamptz NOT NULL,
    element       varchar(255) NOT NULL DEFAULT '',
    name          varchar(100) NOT NULL,
    value         varchar(255) NOT NULL DEFAULT '',
    definition_id bigint NOT NULL,
    version       integer NOT NULL DEFAULT 0,
    n             bigint NOT NULL,
    kept          bigint NOT NULL,
    total         numeric NOT NULL,
    least         numeric,
    most          numeric,
    PRIMARY KEY (tenant_id, name, at, process_id, element, value, definition_id)
) PARTITION BY RANGE (at);
CREATE TABLE kpis_hour (LIKE kpis_minute INCLUDING DEFAULTS, PRIMARY KEY (tenant_id, name, at, process_id, element, value, definition_id));
CREATE TABLE kpis_day (LIKE kpis_minute INCLUDING DEFAULTS, PRIMARY KEY (tenant_id, name, at, process_id, element, value, definition_id));

-- Promises that were not kept: of which instance, at what, when it ended, by how much it was too late.
CREATE TABLE kpis_broken (
    tenant_id     varchar(255) NOT NULL DEFAULT '',
    name          varchar(100) NOT NULL,
    at            timestamptz NOT NULL,
    instance_id   bigint NOT NULL,
    element       varchar(255) NOT NULL DEFAULT '',
    process_id    varchar(255) NOT NULL,
    definition_id bigint NOT NULL,
    version       integer NOT NULL DEFAULT 0,
    over_us       bigint NOT NULL,
    PRIMARY KEY (tenant_id, name, at, instance_id, element)
);
CREATE INDEX kpis_broken_by_instance ON kpis_broken (tenant_id, instance_id);

-- What is in force: KPIs and calendars, as each partition's log has told of them so far.
CREATE TABLE kpi_terms (
    tenant_id     varchar(255) NOT NULL DEFAULT '',
    partition     integer NOT NULL,
    registry      varchar(40) NOT NULL,
    name          varchar(600) NOT NULL,
    record        jsonb,
    PRIMARY KEY (tenant_id, partition, registry, name)
);

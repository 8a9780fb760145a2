"""One module for each view; `VIEWS` lists them all."""

from flowledger.projections.fold import View
from flowledger.projections.tables import Table
from flowledger.projections.views import (
    alerts,
    batches,
    dead_letters,
    definitions,
    events,
    files,
    holds,
    incidents,
    instances,
    measures,
    messages,
    metrics,
    operations,
    rollouts,
    tasks,
    timers,
    triggers,
    variables,
    verdicts,
    webhooks,
)

VIEWS: dict[str, View] = {
    m.VIEW.name: m.VIEW
    for m in (
        definitions,
        rollouts,
        instances,
        variables,
        tasks,
        incidents,
        events,
        timers,
        messages,
        metrics,
        measures,
        dead_letters,
        batches,
        holds,
        operations,
        files,
        triggers,
        webhooks,
        alerts,
        verdicts,
    )
}
TABLES: dict[str, Table] = {t.name: t for v in VIEWS.values() for t in v.tables}

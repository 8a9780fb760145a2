"""What the API asks of the projections: a port, and its adapter to `flowledger.projections.queries`.

Rows come as JSON values: keys as texts, times as ISO 8601.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from flowledger.analytics.advise.seen import Seen
from flowledger.analytics.predict.course import Course
from flowledger.analytics.simulate.learned import History
from flowledger.api.problems import Problem, malformed
from flowledger.events.base import RejectionCode

Row = dict[str, Any]
#: names that the tables have and JSON hasn't
NAMES = {"definition_id": "definition", "process_id": "process"}


#: nouns of what can be held
HELD = frozenset({"instances", "tasks"})


class Reads(Protocol):
    """Each tenant sees its own rows only. Raises in all: Problem (400 for what can't be read, 503 when the database is away)."""

    async def wait_for(self, positions: dict[int, int], timeout_s: float) -> bool:
        """Until each partition is projected up to and including its offset. False: not in time."""

    async def positions(self) -> dict[int, int]:
        """The offset of the last projected event of each partition."""

    async def restart_projector(self) -> int:
        """Sessions of projectors with the database are ended, which they begin anew. Returns how many there were."""

    async def list(self, noun: str, filters: dict[str, str], limit: int, cursor: str, tenant: str) -> Row:
        """`{items, cursor, position}`; `cursor` null: the last page. `noun`: definitions, instances, tasks, incidents,
        messages, timers, dead_letters, holds, evaluations, operations, batches, batch_items, incident_groups, triggers,
        trigger_runs, trigger_letters, webhooks, webhook_deliveries, webhook_letters, alerts, alert_firings. Instances and tasks say what
        holds them (`held`, `holds`)."""

    async def get(self, noun: str, key: str, tenant: str) -> Row | None: ...

    async def events(self, noun: str, key: int, filters: dict[str, str], after: str, limit: int, tenant: str) -> Row:
        """History of an instance or a task in order. `cursor` is the `after` of the next page."""

    async def variables(self, instance: int, tenant: str) -> Row | None:
        """`{variables: {name: value} of the root scope, items: [of all scopes], position}`."""

    async def report(self, name: str, key: int, tenant: str) -> Row | None:
        """`name`: status, metrics, tree, about, outline (of an instance), task_metrics, counts (of the tenant; `key` is 0)."""

    async def insight(self, name: str, given: dict[str, str], tenant: str) -> Row:
        """`name`: measures, heatmap, bottlenecks, variants, comparison, export, kpi_figures, kpi_promised, sla, loads. `given`: as the query has it."""

    async def figures(self, name: str, rule: Row, us: int, tenant: str) -> Sequence[Any]:
        """What a rule of an alert is held against by now: `(group, points)` of each group (`projections/alerts.py`)."""

    async def trial(self, name: str, rule: Row, given: dict[str, str], tenant: str) -> Row:
        """When a rule of an alert would have fired."""

    async def steps(self, until: datetime) -> Row:
        """Of all tenants: visits of elements by hour, and the busiest minute (`projections/loads.py`)."""

    async def ended(self, tenant: str | None = None, process: str = "") -> Sequence[Row]:
        """How many instances of a process have ended in a year; without a tenant of all: `{tenant_id, process_id, ended}`."""

    async def courses(self, tenant: str, process: str, after: datetime | None = None) -> Sequence[Course]:
        """Of the last that ended, or of those that began after a time."""

    async def past(self, tenant: str, process: str) -> History:
        """What simulations are made from."""

    async def seen(self, tenant: str, process: str) -> Seen:
        """What advice is read from."""

    async def standing(self, key: int, tenant: str) -> Row | None:
        """Where an instance stands: `{process, version, state, started_us, since_us, outcome}`."""

    async def held(self, scope: str, key: str, tenant: str) -> Row:
        """How many a hold would be over: `{instances, tasks, position}`."""

    async def belongings(self, tenant: str) -> Row:
        """What a tenant has that may go on: `{instances, tasks, definitions, position}`."""

    async def stored(self, tenant: str) -> int:
        """Bytes of a tenant's rows."""

    async def source(self, definition: str, tenant: str) -> Row | None:
        """`{name, format, notation, hash, content}`."""

    async def decision_models(self, namespaces: Sequence[str], tenant: str) -> Sequence[Row]:
        """Published decision models that an import can mean, with all that those are bound to (`projections/decision_models.py`)."""

    async def deployed(self, wanted: Sequence[Any], namespaces: Sequence[str], tenant: str) -> Sequence[Row]:
        """Definitions that a model needs: those `wanted` (kind, id, version tag, deployment) and decision models (`projections/deployed.py`)."""

    async def places_of(self, keys: Sequence[str], tenant: str) -> Row:
        """Where something is sealed under these keys: `{places, more}`."""

    async def of_keys(self, keys: Sequence[str], tenant: str) -> Row:
        """What is sealed under these keys: `{variables, events, cut, position}`."""

    async def due(self, tenant: str, term: Sequence[Any], after: Any, limit: int) -> Sequence[Row]:
        """Instances that have ended long enough ago (`projections/retention.py`)."""

    async def due_count(self, term: Sequence[Any], most: int, tenant: str) -> int: ...

    async def keys_in(self, instances: Sequence[int], tenant: str) -> dict[int, Sequence[str]]:
        """Under which keys something of these instances is sealed."""

    async def key_needed(self, key: str, terms: Sequence[Sequence[Any]], tenant: str) -> bool:
        """Whether a key seals something that is to be kept."""

    async def evidence(self, name: str, tenant: str, **given: Any) -> Any:
        """`name`: report, both, last_seen (`projections/evidence.py`), verdicts, subjects (`projections/verdicts.py`)."""

    async def unprepared(self) -> Sequence[int]:
        """Batches of all tenants that have not ended, and whose items a door prepares."""

    async def known(self, keys: Sequence[int], tenant: str) -> set[int]:
        """Those that are instances of the tenant."""

    async def files(self, holder: int, tenant: str) -> Row:
        """`{items, position}`: what is attached to a task or an instance."""

    async def needed(self, names: Sequence[str]) -> set[str]:
        """Of these files (`AREA/SHA256`) those that something of any tenant refers to."""

    async def health(self) -> str:
        """Why queries can't be answered; empty: all is well."""

    async def database(self) -> None:
        """It answers, whatever is in it; else this raises what is wrong."""


class SqlReads:
    """The port on a `projections.reader.Reader`."""

    def __init__(self, reader: Any) -> None:
        from flowledger.projections import (
            about,
            alerts,
            anomalies,
            asked,
            batches,
            courses,
            coverage,
            decision_models,
            deployed,
            event_logs,
            evidence,
            files,
            groups,
            held,
            insight,
            kpis,
            loads,
            measures,
            retention,
            saved_reports,
            subjects,
            triggers,
            verdicts,
            versions,
            webhooks,
        )
        from flowledger.projections import queries as q

        self.reader = reader
        self._lists: dict[str, Callable[..., Awaitable[Row]]] = {
            "definitions": q.list_definitions, "instances": q.list_instances, "tasks": q.list_tasks, "incidents": q.list_incidents,
            "messages": q.list_messages, "timers": q.list_timers, "evaluations": q.list_evaluations,
            "dead_letters": q.list_dead_letters, "holds": q.list_holds, "batches": batches.list_batches, "batch_items": batches.list_items,
            "triggers": triggers.list_triggers, "trigger_runs": triggers.list_runs, "trigger_letters": triggers.list_letters,
            "webhooks": webhooks.list_webhooks, "webhook_deliveries": webhooks.list_deliveries, "webhook_letters": webhooks.list_letters,
            "alerts": alerts.list_alerts, "alert_firings": alerts.list_firings,
            "operations": asked.list_operations, "incident_groups": groups.list_groups,
        }  # fmt: skip
        self._gets: dict[str, Callable[..., Awaitable[Row | None]]] = {
            "definitions": q.get_definition, "instances": q.get_instance, "tasks": q.get_task, "incidents": q.get_incident,
            "messages": q.get_message, "timers": q.get_timer, "dead_letters": q.get_dead_letter,
            "holds": q.get_hold, "versions": versions.get_versions, "version_list": partial(versions.get_versions, counts=False),
            "batches": batches.get_batch,
        }  # fmt: skip
        self._events: dict[str, Callable[..., Awaitable[Row]]] = {"instances": q.instance_events, "tasks": q.task_events}
        self._reports: dict[str, Callable[..., Awaitable[Row | None]]] = {
            "status": q.instance_status, "metrics": q.instance_metrics, "tree": q.instance_tree, "task_metrics": q.task_metrics,
            "about": about.of_instance, "outline": about.outline_of,
            "incident_chain": groups.incident_chain,
        }  # fmt: skip
        self._insight: dict[str, Callable[..., Awaitable[Row]]] = {
            "measures": measures.measures, "heatmap": insight.heatmap, "bottlenecks": insight.bottlenecks, "variants": insight.variants,
            "comparison": insight.comparison, "export": event_logs.export, "coverage": coverage.fired,
            "anomalies": anomalies.anomalies, "coming": anomalies.coming, "loads": loads.loads,
            "kpi_figures": kpis.figures, "kpi_promised": kpis.promised, "sla": kpis.promises, "saved_report": saved_reports.run,
        }  # fmt: skip
        self._steps = loads.steps
        self._alert_now, self._alert_trial = alerts.now, alerts.trial
        self._courses = courses
        self._mark, self._count, self._belongings, self._stored = held.mark, held.count, held.belongings, held.stored
        self._unprepared = batches.unprepared
        self._of_keys, self._places_of = subjects.of_keys, subjects.places_of
        self._retention = retention
        self._evidence: dict[str, Callable[..., Awaitable[Any]]] = {
            "report": evidence.report,
            "both": evidence.both,
            "last_seen": evidence.last_seen,
            "verdicts": verdicts.verdicts,
            "subjects": verdicts.subjects,
        }
        self._known = batches.known
        self._files, self._needed = files.files_of, files.needed
        self._counts, self._variables, self._source = q.counts, q.instance_variables, q.get_definition_source
        self._decision_models = decision_models.importable
        self._deployed = deployed

    async def wait_for(self, positions: dict[int, int], timeout_s: float) -> bool:
        from flowledger.projections.reader import NotProjected

        async with _told():
            try:
                await self.reader.wait_for(",".join(f"{p}-{o}" for p, o in positions.items()), timeout_s)
            except NotProjected:
                return False
            return True

    async def positions(self) -> dict[int, int]:
        async with _told():
            return {p: n - 1 for p, n in (await self.reader.positions()).items()}

    async def restart_projector(self) -> int:
        async with _told():
            return int(await self.reader.end_projectors())

    async def list(self, noun: str, filters: dict[str, str], limit: int, cursor: str, tenant: str) -> Row:
        given = dict(filters)
        more = {"latest": given.pop("latest") == "true"} if "latest" in given else {}
        async with _told():
            page = await self._lists[noun](self.reader.of(tenant), tenant, given, limit, cursor or None, **more)
            items = [named(noun, row) for row in page["items"]]
            if noun in HELD:
                await self._mark(self.reader.of(tenant), tenant, noun, items)
        return {**page, "items": items}

    async def get(self, noun: str, key: str, tenant: str) -> Row | None:
        async with _told():
            row = await self._gets[noun](self.reader.of(tenant), tenant, key if noun == "definitions" else int(key))
            if row is None:
                return None
            found = named(noun, row)
            if noun in HELD:
                await self._mark(self.reader.of(tenant), tenant, noun, [found])
        return found

    async def unprepared(self) -> Sequence[int]:
        async with _told():
            found: Sequence[int] = await self._unprepared(self.reader)
            return found

    async def known(self, keys: Sequence[int], tenant: str) -> set[int]:
        async with _told():
            found: set[int] = await self._known(self.reader.of(tenant), tenant, list(keys))
            return found

    async def held(self, scope: str, key: str, tenant: str) -> Row:
        async with _told():
            return await self._count(self.reader.of(tenant), tenant, scope, key)

    async def belongings(self, tenant: str) -> Row:
        async with _told():
            return await self._belongings(self.reader.of(tenant), tenant)

    async def stored(self, tenant: str) -> int:
        async with _told():
            return await self._stored(self.reader.of(tenant), tenant)

    async def events(self, noun: str, key: int, filters: dict[str, str], after: str, limit: int, tenant: str) -> Row:
        async with _told():
            return await self._events[noun](self.reader.of(tenant), tenant, key, filters, after or None, limit)

    async def variables(self, instance: int, tenant: str) -> Row | None:
        async with _told():
            return await self._variables(self.reader.of(tenant), tenant, instance)

    async def report(self, name: str, key: int, tenant: str) -> Row | None:
        async with _told():
            if name == "counts":
                return await self._counts(self.reader.of(tenant), tenant)
            return await self._reports[name](self.reader.of(tenant), tenant, key)

    async def insight(self, name: str, given: dict[str, str], tenant: str) -> Row:
        async with _told():
            return await self._insight[name](self.reader.of(tenant), tenant, given)

    async def steps(self, until: datetime) -> Row:
        async with _told():
            return await self._steps(self.reader, until)

    async def ended(self, tenant: str | None = None, process: str = "") -> Sequence[Row]:
        async with _told():
            reader = self.reader if tenant is None else self.reader.of(tenant)
            found: Sequence[Row] = await self._courses.ended(reader, tenant, process)
            return found

    async def courses(self, tenant: str, process: str, after: datetime | None = None) -> Sequence[Course]:
        async with _told():
            found: Sequence[Course] = await self._courses.courses(self.reader.of(tenant), tenant, process, after)
            return found

    async def past(self, tenant: str, process: str) -> History:
        async with _told():
            found: History = await self._courses.past(self.reader.of(tenant), tenant, process)
            return found

    async def seen(self, tenant: str, process: str) -> Seen:
        async with _told():
            found: Seen = await self._courses.seen(self.reader.of(tenant), tenant, process)
            return found

    async def standing(self, key: int, tenant: str) -> Row | None:
        async with _told():
            found: Row | None = await self._courses.standing(self.reader.of(tenant), tenant, key)
            return found

    async def figures(self, name: str, rule: Row, us: int, tenant: str) -> Sequence[Any]:
        async with _told():
            found: Sequence[Any] = await self._alert_now(self.reader.of(tenant), tenant, name, rule, us)
            return found

    async def trial(self, name: str, rule: Row, given: dict[str, str], tenant: str) -> Row:
        async with _told():
            return await self._alert_trial(self.reader.of(tenant), tenant, given, name, rule)

    async def decision_models(self, namespaces: Sequence[str], tenant: str) -> Sequence[Row]:
        async with _told():
            return await self._decision_models(self.reader.of(tenant), tenant, namespaces)

    async def deployed(self, wanted: Sequence[Any], namespaces: Sequence[str], tenant: str) -> Sequence[Row]:
        async with _told():
            asked = [self._deployed.Wanted(*one) for one in wanted]
            found: Sequence[Row] = await self._deployed.needed(self.reader.of(tenant), tenant, asked, namespaces)
            return found

    async def source(self, definition: str, tenant: str) -> Row | None:
        async with _told():
            return await self._source(self.reader.of(tenant), tenant, definition)

    async def places_of(self, keys: Sequence[str], tenant: str) -> Row:
        async with _told():
            return await self._places_of(self.reader.of(tenant), tenant, keys)

    async def of_keys(self, keys: Sequence[str], tenant: str) -> Row:
        async with _told():
            return await self._of_keys(self.reader.of(tenant), tenant, keys)

    async def due(self, tenant: str, term: Sequence[Any], after: Any, limit: int) -> Sequence[Row]:
        async with _told():
            found: Sequence[Row] = await self._retention.due(self.reader.of(tenant), tenant, self._retention.Term(*term), after, limit)
            return found

    async def due_count(self, term: Sequence[Any], most: int, tenant: str) -> int:
        async with _told():
            return await self._retention.count(self.reader.of(tenant), tenant, self._retention.Term(*term), most)

    async def keys_in(self, instances: Sequence[int], tenant: str) -> dict[int, Sequence[str]]:
        async with _told():
            return await self._retention.keys_in(self.reader.of(tenant), tenant, instances)

    async def key_needed(self, key: str, terms: Sequence[Sequence[Any]], tenant: str) -> bool:
        async with _told():
            return await self._retention.needed(self.reader.of(tenant), tenant, key, [self._retention.Term(*t) for t in terms])

    async def evidence(self, name: str, tenant: str, **given: Any) -> Any:
        async with _told():
            return await self._evidence[name](self.reader.of(tenant), tenant, **given)

    async def files(self, holder: int, tenant: str) -> Row:
        async with _told():
            return await self._files(self.reader.of(tenant), tenant, holder)

    async def needed(self, names: Sequence[str]) -> set[str]:
        async with _told():
            found: set[str] = await self._needed(self.reader, names)
            return found

    async def database(self) -> None:
        await self.reader.answers()

    async def health(self) -> str:
        why: str = await self.reader.ready()
        if why:
            return f"queries: {why}"
        try:
            await self.positions()
        except Problem as p:
            return f"queries: {p.detail}"
        return ""


def named(noun: str, row: Row) -> Row:
    """Under the names of JSON."""
    if noun in ("definitions", "versions", "version_list"):
        return row
    found = {NAMES.get(k, k): v for k, v in row.items()}
    if noun == "instances" and "incidents" in found:
        found["has_incident"] = found.pop("incident", found["incidents"] > 0)
    return found


@asynccontextmanager
async def _told() -> Any:
    """What goes wrong below, in the words of the edge."""
    import psycopg
    from psycopg_pool import PoolClosed, PoolTimeout

    from flowledger.projections.reader import BadQuery, GoneCursor, Senseless, TookTooLong

    try:
        yield
    except GoneCursor as e:
        raise Problem(RejectionCode.INVALID_ARGUMENT, str(e), where="query cursor") from None
    except TookTooLong as e:
        raise Problem(RejectionCode.INVALID_ARGUMENT, str(e), where="query where, text") from None
    except Senseless as e:
        raise Problem(RejectionCode.INVALID_ARGUMENT, str(e), where=f"query {str(e).partition(':')[0]}") from None
    except BadQuery as e:
        where = str(e).partition(":")[0]
        raise malformed(str(e), f"query {where}" if where.replace("_", "").replace(".", "").isalnum() else "query") from None
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, PoolClosed, OSError) as e:
        raise Problem(
            RejectionCode.UNAVAILABLE, "queries can't be answered now, the database is away; commands can", retry_after_ms=2000
        ) from e
    except psycopg.errors.UndefinedTable:
        raise Problem(RejectionCode.UNAVAILABLE, "the projections are being made; come again", retry_after_ms=1000) from None

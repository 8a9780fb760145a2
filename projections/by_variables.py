"""Instances by what their variables are: whichever of the conditions the fewest rows pass leads the query, the others are asked of its rows.

No index has two variables, or a variable and a status, together. So their lists are met: one leads, and another is either looked up for each of its
rows, or, where that would be many look-ups, read beside it, slice of time by slice of time. Which, is decided by the newest of each list (`_peeked`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg import sql

from flowledger.projections import filters as fi
from flowledger.projections.pages import newest
from flowledger.projections.reader import Query, Reader, Row
from flowledger.projections.words import INSTANCE_STATUSES

#: a range is found by the order of the values within one slice of time after the other; indexes have this expression
SLICE = "12 hours"
#: How many of the newest are looked through for a range before the slices are. The planner, who knows the values of all variables together, can't
#: tell how many rows it will be.
LOOK = 500
#: so many of the newest of a list are counted, for how dense it is; of a range, whose slice is in no order of time, more of them
SEEN, SEEN_RANGED = 1_000, 2_000
#: look-ups of a page, about; where it would be more, the other lists are read beside, unless one is so many times as long as the leader
LOOK_UPS, LONGER = 500, 15
#: who has so few rows by the planner's word leads without a look at the others. Of a value it knows how often any variable has it; where many names
#: share it, one has more of it than it thinks, about so many times as many.
FEW, NAMES = 300, 10
_WAIT = timedelta(minutes=1)

_ROOT = "v.tenant_id = %s AND v.scope = 'workflow' AND v.name = %s"
_OF_INSTANCE = (
    "EXISTS (SELECT 1 FROM variables v WHERE v.tenant_id = i.tenant_id AND v.workflow_instance_id = i.id AND v.scope_id = i.id "
    "AND v.instance_created_at = i.created_at AND v.name = %s AND {} OFFSET 0)"
)
_LED = (
    "SELECT {columns} FROM ({keys}) k {probes} CROSS JOIN LATERAL (SELECT i.* FROM workflow_instances i "
    "WHERE i.id = k.workflow_instance_id AND i.created_at = k.instance_created_at AND {where} OFFSET 0) i {order} LIMIT %s"
)
_IN_ORDER = sql.SQL("ORDER BY k.instance_created_at DESC, k.workflow_instance_id DESC")
_PROBE = (
    "CROSS JOIN LATERAL (SELECT 1 FROM variables v WHERE v.tenant_id = %s AND v.workflow_instance_id = k.workflow_instance_id "
    "AND v.scope_id = k.workflow_instance_id AND v.instance_created_at = k.instance_created_at AND v.name = %s AND {} OFFSET 0) {}"
)
_ORDER = sql.SQL("ORDER BY v.instance_created_at DESC, v.workflow_instance_id DESC")
#: keys of the instances whose variable passes: in the order of the list; among the newest that have one of that name
_BY_TIME = "SELECT v.instance_created_at, v.workflow_instance_id FROM variables v WHERE {root} AND {condition} {order}"
_AMONG_NEWEST = (
    "SELECT v.instance_created_at, v.workflow_instance_id FROM (SELECT * FROM variables v WHERE {root} {order} LIMIT %s) v "
    "WHERE {condition} {order}"
)
#: Within one slice of time after the other, the newest first, until there are enough. Each slice needs the one before (LATERAL), so they are read
#: in this order, which the planner doesn't know: it isn't asked for again.
_SERIES = (
    "generate_series(date_bin({width}, {last}, '2000-01-01 00:00:00+00'), date_bin({width}, {first}, '2000-01-01 00:00:00+00'), -{width})"
)
_SLICES = (
    "SELECT v.instance_created_at, v.workflow_instance_id FROM {slices} AS slice "
    "CROSS JOIN LATERAL (SELECT v.* FROM ({lists}) v {order} OFFSET 0) v"
)
_IN_SLICE = (
    "SELECT v.instance_created_at, v.workflow_instance_id FROM variables v WHERE {root} AND {condition} "
    "AND v.instance_created_at >= slice AND v.instance_created_at < slice + {width}"
)
_BINNED = " AND date_bin({width}, v.instance_created_at, '2000-01-01 00:00:00+00') = slice"
_INSTANCES_IN_SLICE = (
    "SELECT i.created_at AS instance_created_at, i.id AS workflow_instance_id FROM workflow_instances i WHERE {where} "
    "AND i.created_at >= slice AND i.created_at < slice + {width}"
)
_SEEN = "SELECT count(*) AS n, min(t) AS since FROM (SELECT v.instance_created_at AS t FROM variables v WHERE {root} AND {condition} {order} LIMIT %s) v"
_SEEN_RANGED = "SELECT count(*) AS n, min(t) AS since FROM (SELECT slice AS t FROM {slices} AS slice CROSS JOIN LATERAL ({keys} LIMIT {seen}) v LIMIT %s) v"
_SEEN_ALL = (
    "SELECT count(*) AS n, min(t) AS since FROM (SELECT i.created_at AS t FROM workflow_instances i WHERE {where} "
    "ORDER BY i.created_at DESC, i.id DESC LIMIT %s) v"
)
_EXTENT = (
    "SELECT (SELECT created_at FROM workflow_instances WHERE tenant_id = %s ORDER BY created_at LIMIT 1) AS first, "
    "(SELECT created_at FROM workflow_instances WHERE tenant_id = %s ORDER BY created_at DESC LIMIT 1) AS last"
)


class _List(NamedTuple):
    """Of one condition. `variable`: None, what is asked of the instances themselves. `rate`: rows in a second, about; `rows`: of them all."""

    variable: fi.Variable | None
    rate: float
    rows: float


class _Plan(NamedTuple):
    """`leader`: None, the instances themselves. `beside`: lists that are read beside the leader's. `sliced`: slice by slice."""

    leader: fi.Variable | None
    beside: list[fi.Variable | None]
    sliced: bool


class _Span(NamedTuple):
    """Between the first and the last instance, what is wanted. Months outside of it aren't planned for."""

    first: datetime
    last: datetime

    @property
    def seconds(self) -> float:
        return max(1.0, (self.last - self.first).total_seconds())


async def bound_start(r: Reader, w: fi.Where) -> None:
    """Who asks for those that started from a time on gets a bound in the order of the list: nothing waited for its start longer than this."""
    if w.started_from is None:
        return
    found = await r.rows(
        "SELECT started_at - created_at AS wait FROM workflow_instances WHERE tenant_id = %s AND started_at - created_at > interval '1 minute' "
        "ORDER BY started_at - created_at DESC LIMIT 1",
        (w.tenant,),
    )
    try:
        w.since = w.started_from - (found[0]["wait"] if found else _WAIT)
        w.add("i.created_at >= %s", w.since)
    except OverflowError:  # before the first year: no bound
        return


async def listed(r: Reader, columns: str, w: fi.Where, count: int, cursor: str | None, plainly: Callable[[Row], Row]) -> Row:
    """`{items, cursor, position}`, the newest first."""
    position = await r.position()
    rows = await page(r, columns, w, count, cursor)
    following = fi.next_cursor(rows, count)
    return {"items": [plainly(row) for row in rows], "cursor": following, "position": position}


async def page(r: Reader, columns: str, w: fi.Where, count: int, cursor: str | None) -> list[Row]:
    """With one row more than `count`, if there is one."""
    if len(w.variables) == 1 and _alone(w):
        (only,) = w.variables
        if not only.ranged:
            return await r.rows(*_led(columns, w, _by_time(w, only, cursor, count + 1), [], count + 1), sorts=False)
        rows = await r.rows(*_led(columns, w, _among_newest(w, only, cursor, count + 1), [], count + 1), sorts=False)
        if len(rows) > count:
            return rows
        span = await _span(r, w, cursor)
        plan = _Plan(only, [], True)
    else:
        span = await _span(r, w, cursor)
        plan = await _planned(r, w, count, cursor, span) if span is not None else _NOTHING
    if span is None:
        return []
    read = [plan.leader, *plan.beside] if plan.sliced else [plan.leader]
    # what the index alone says isn't all, at times
    others = [v for v in w.variables if v not in read or (plan.sliced and v.listed != (v.condition, v.values))]
    if plan.sliced:
        keys = _sliced(w, plan, cursor, span, count + 1 if not others and _alone(w) else None)
        return await r.rows(*_led(columns, w, keys, others, count + 1, span), nested=not plan.beside)
    if plan.leader is None:
        for other in others:
            w.add(sql.SQL(_OF_INSTANCE).format(other.condition), other.name, *other.values)
        fi.after(w, cursor, "i.")
        composed, values = newest(columns, "workflow_instances i", w, count + 1, prefix="i.", statuses=INSTANCE_STATUSES)
        return await r.rows(composed, values, sorts=not w.in_order)
    return await r.rows(*_led(columns, w, _by_time(w, plan.leader, cursor, span=span), others, count + 1, span), sorts=False)


# --- which list leads ---------------------------------------------------------------------------------------------------


async def _span(r: Reader, w: fi.Where, cursor: str | None) -> _Span | None:
    (found,) = await r.rows(_EXTENT, (w.tenant, w.tenant))
    if found["last"] is None:
        return None
    ends = [found["last"], *([_moment(cursor)] if cursor else []), *([w.until] if w.until is not None else [])]
    span = _Span(max(found["first"], w.since or found["first"]), min(ends))
    return span if span.first <= span.last else None


async def _planned(r: Reader, w: fi.Where, count: int, cursor: str | None, span: _Span) -> _Plan:
    """For a page of `count` rows."""
    told = await _estimated(r, w)
    if told and told[0].rows <= FEW:
        return _Plan(told[0].variable, [], False)
    lists, all_rate = await _peeked(r, w, cursor, span)
    lists += [_List(None, each.rows / span.seconds, each.rows) for each in told if each.variable is None]
    if not lists:  # conditions that no index has, each by itself
        return _Plan(w.variables[0], [], False)
    lists.sort(key=lambda each: each.rate)
    leader, *others = lists
    share = 1.0
    for other in others:
        share *= min(1.0, other.rate / all_rate) if all_rate else 1.0
    look_ups = min(leader.rows, count / share if share else leader.rows)
    beside = [other.variable for other in others if look_ups > LOOK_UPS and other.rate < LONGER * leader.rate]
    sliced = bool(beside) or (leader.variable is not None and leader.variable.ranged)
    return _Plan(leader.variable, beside, sliced)


async def _estimated(r: Reader, w: fi.Where) -> list[_List]:
    """What the planner expects, which costs no reading, the fewest first: of the instances, and of values that are looked for as such. Of a range
    it can't tell."""
    out = []
    for v in w.variables:
        if v.listed and not v.ranged:
            text = sql.SQL("SELECT 1 FROM variables v WHERE {} AND {}").format(sql.SQL(_ROOT), v.listed[0])
            out.append(_List(v, 0.0, NAMES * await r.estimate(text, [w.tenant, v.name, *v.listed[1]])))
    if not _alone(w):
        where, values = w.joined(w.sets)
        out.append(_List(None, 0.0, await r.estimate(sql.SQL("SELECT 1 FROM workflow_instances i WHERE {}").format(where), values)))
    return sorted(out, key=lambda each: each.rows)


async def _peeked(r: Reader, w: fi.Where, cursor: str | None, span: _Span) -> tuple[list[_List], float]:
    """How dense the list of each variable is by its newest rows, and how dense the instances are."""
    every = fi.Where("i.tenant_id = %s", "i.created_at >= %s", "i.created_at <= %s", tenant=w.tenant)
    every.values += span
    fi.after(every, cursor, "i.")
    where, values = every.joined()
    parts: list[sql.Composable] = [sql.SQL(_SEEN_ALL).format(where=where)]
    asked: list[Any] = [*values, SEEN]
    most = [SEEN]
    indexed = [(v, *v.listed) for v in w.variables if v.listed]
    for v, condition, more in indexed:
        root, values = _root(w, v, cursor, span).joined()
        if v.ranged:
            seen = sql.Literal(SEEN_RANGED)
            parts.append(sql.SQL(_SEEN_RANGED).format(slices=_series(span), keys=_in_slice(root, v, condition), seen=seen))
        else:
            parts.append(sql.SQL(_SEEN).format(root=root, condition=condition, order=_ORDER))
        most.append(SEEN_RANGED if v.ranged else SEEN)
        asked += [*values, *more, most[-1]]
    each = sql.SQL("(SELECT {} AS k, s.* FROM ({}) s)")
    union = sql.SQL(" UNION ALL ").join(each.format(sql.Literal(k), part) for k, part in enumerate(parts))
    found = await r.rows(sql.SQL("SELECT * FROM ({}) s ORDER BY k").format(union), asked)
    rates = []
    for row, full in zip(found, most, strict=True):
        seconds = span.seconds if row["n"] < full else max(1.0, (span.last - row["since"]).total_seconds())
        rates.append(float(row["n"]) / seconds)
    return [_List(v, rate, rate * span.seconds) for (v, *_), rate in zip(indexed, rates[1:], strict=True)], rates[0]


def _alone(w: fi.Where) -> bool:
    """Nothing but the tenant is asked of the instance."""
    return len(w.conditions) == 1 and not w.sets


_NOTHING = _Plan(None, [], False)

# --- the SQL of each way ------------------------------------------------------------------------------------------------

_WIDTH = sql.SQL("interval '{}'").format(sql.SQL(SLICE))


class _Keys(NamedTuple):
    """`in_time`: an index has the order, and the planner knows it."""

    text: sql.Composable
    values: list[Any]
    in_time: bool = True

    def limited(self, limit: int | None) -> _Keys:
        return self if limit is None else _Keys(sql.Composed([self.text, sql.SQL(" LIMIT %s")]), [*self.values, limit], self.in_time)


def _moment(cursor: str) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=fi.parse_cursor(cursor)[0])


def _root(w: fi.Where, variable: fi.Variable, cursor: str | None, span: _Span | None = None) -> fi.Where:
    v = fi.Where(_ROOT, tenant=w.tenant)
    v.values.append(variable.name)
    fi.after(v, cursor, "v.", "instance_created_at", "workflow_instance_id")
    if span is not None:
        v.add("v.instance_created_at >= %s AND v.instance_created_at <= %s", *span)
    return v


def _by_time(w: fi.Where, variable: fi.Variable, cursor: str | None, limit: int | None = None, span: _Span | None = None) -> _Keys:
    root, values = _root(w, variable, cursor, span).joined()
    keys = sql.SQL(_BY_TIME).format(root=root, condition=variable.condition, order=_ORDER)
    return _Keys(keys, [*values, *variable.values]).limited(limit)


def _among_newest(w: fi.Where, variable: fi.Variable, cursor: str | None, limit: int) -> _Keys:
    root, values = _root(w, variable, cursor).joined()
    keys = sql.SQL(_AMONG_NEWEST).format(root=root, condition=variable.condition, order=_ORDER)
    return _Keys(keys, [*values, LOOK, *variable.values]).limited(limit)


def _series(span: _Span) -> sql.Composed:
    return sql.SQL(_SERIES).format(width=_WIDTH, first=sql.Literal(span.first), last=sql.Literal(span.last))


def _in_slice(root: sql.Composable, variable: fi.Variable, condition: sql.Composable) -> sql.Composed:
    return sql.SQL(_IN_SLICE + (_BINNED if variable.ranged else "")).format(root=root, condition=condition, width=_WIDTH)


def _sliced(w: fi.Where, plan: _Plan, cursor: str | None, span: _Span, limit: int | None) -> _Keys:
    """The leader's rows of each slice that are in the lists beside it as well."""
    met: list[sql.Composable] = []
    values: list[Any] = []
    for n, variable in enumerate([plan.leader, *plan.beside]):
        if variable is None or variable.listed is None:
            of = w.copy()
            fi.after(of, cursor, "i.")
            of.add("i.created_at >= %s AND i.created_at <= %s", *span)
            if of.leads and not of.status:  # these indexes go on with the status, and then with the time
                of.sets.append(fi.Several("status", "text", list(INSTANCE_STATUSES)))
            where, more = of.joined(of.sets)
            one: sql.Composable = sql.SQL(_INSTANCES_IN_SLICE).format(where=where, width=_WIDTH)
        else:
            condition, asked = variable.listed
            root, more = _root(w, variable, cursor, span).joined()
            one, more = _in_slice(root, variable, condition), [*more, *asked]
        values += more
        joined = sql.SQL("") if not n else sql.SQL(" USING (instance_created_at, workflow_instance_id)")
        met.append(sql.SQL("({}) {}").format(one, sql.Identifier(f"l{n}")) + joined)
    lists = sql.SQL("SELECT instance_created_at, workflow_instance_id FROM {}").format(sql.SQL(" JOIN ").join(met))
    text = sql.SQL(_SLICES).format(slices=_series(span), lists=lists, order=_ORDER)
    return _Keys(text, values, in_time=False).limited(limit)


def _led(
    columns: str, w: fi.Where, keys: _Keys, probed: Sequence[fi.Variable], limit: int, span: _Span | None = None
) -> tuple[Query, list[Any]]:
    """Rows of `keys`, in their order, that pass all else. `span`: none is outside of it, so its months alone are planned for."""
    where, asked = w.joined(w.sets)
    if span is not None:
        where = sql.SQL("{} AND i.created_at >= %s AND i.created_at <= %s").format(where)
        asked += span
    probes: list[sql.Composable] = []
    looked_up: list[Any] = []
    for n, v in enumerate(probed):
        condition, bounds = v.condition, []
        if span is not None:
            condition = sql.SQL("{} AND v.instance_created_at >= %s AND v.instance_created_at <= %s").format(condition)
            bounds = [*span]
        probes.append(sql.SQL(_PROBE).format(condition, sql.Identifier(f"p{n}")))
        looked_up += [w.tenant, v.name, *v.values, *bounds]
    text = sql.SQL(_LED).format(
        columns=sql.SQL(columns),
        keys=keys.text,
        probes=sql.SQL(" ").join(probes),
        where=where,
        order=_IN_ORDER if keys.in_time else sql.SQL(""),
    )
    return text, [*keys.values, *looked_up, *asked, limit]

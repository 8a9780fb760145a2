"""Instances by what their variables are: whichever of the conditions the fewest rows pass leads the query, the others are asked of its rows.

No index has two variables, or a variable and a status, together. So their lists are met: one leads, and another is either looked up for each of its
rows, or read beside it, slice of time by slice of time. Where the instances themselves lead, each row has its variables in it, which costs much less
than to look them up. Which way is the cheapest is told by the newest of each list (`_peeked`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations
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
#: who has so few rows by the planner's word leads without a look at the others. Of a value it knows how often any variable has it; where many names
#: share it, one has more of it than it thinks, about so many times as many.
FEW, NAMES = 300, 10
#: what it costs, about (microseconds of a processor): a row looked up by its key; one read by an index whose order is that of the list; an entry of a
#: list that is read beside, and of a range, whose entries are in another order; a slice opened, and how long it is (seconds); a plan made anew for
#: its values, which those by slices are not
LOOK_UP, WALK, READ, READ_RANGED, OPEN_SLICE, SLICE_S, PLANNED = 7.0, 2.4, 0.1, 0.25, 40.0, 43_200.0, 1_500.0
#: with so many lists beside the leader's they meet by tables of the shorter ones: no range is brought into the order of time first
HASHED = 2
#: of so many lists, the sparsest, it is asked which are read beside one another
BESIDE_MAX = 5
_WAIT = timedelta(minutes=1)

_ROOT = "v.tenant_id = %s AND v.scope = 'workflow' AND v.name = %s"
_OF_INSTANCE = (
    "EXISTS (SELECT 1 FROM variables v WHERE v.tenant_id = i.tenant_id AND v.workflow_instance_id = i.id AND v.scope_id = i.id "
    "AND v.instance_created_at = i.created_at AND v.name = %s AND {} OFFSET 0)"
)
_LED = (
    "SELECT {columns} FROM ({keys}) k CROSS JOIN LATERAL (SELECT i.* FROM workflow_instances i "
    "WHERE i.id = k.workflow_instance_id AND i.created_at = k.instance_created_at AND {where} OFFSET 0) i {probes} {order} LIMIT %s"
)
_IN_ORDER = sql.SQL("ORDER BY k.instance_created_at DESC, k.workflow_instance_id DESC")
#: by the instance's own columns, and not by those of the key that led to it: so the instance is looked up first, whose row tells more
_PROBE = (
    "CROSS JOIN LATERAL (SELECT 1 FROM variables v WHERE v.tenant_id = %s AND v.workflow_instance_id = i.id "
    "AND v.scope_id = i.id AND v.instance_created_at = i.created_at AND v.name = %s AND {} OFFSET 0) {}"
)
_ORDER = sql.SQL("ORDER BY v.instance_created_at DESC, v.workflow_instance_id DESC")
#: keys of the instances whose variable passes: in the order of the list; among the newest that have one of that name
_BY_TIME = "SELECT v.instance_created_at, v.workflow_instance_id FROM variables v WHERE {root} AND {condition} {order}"
_AMONG_NEWEST = (
    "SELECT v.instance_created_at, v.workflow_instance_id FROM (SELECT * FROM variables v WHERE {root} {order} LIMIT %s) v "
    "WHERE {condition} {order}"
)
#: Within one slice of time after the other, the newest first, until there are enough. Each slice needs the one before (LATERAL), so they are read
#: in this order, which the planner doesn't know: it isn't asked for again. Where the page before ended is asked of what was found: as a condition of
#: the lists an index would begin there for each slice, and read all that lies between.
_SERIES = "generate_series(date_bin({width}, %s, '2000-01-01 00:00:00+00'), date_bin({width}, %s, '2000-01-01 00:00:00+00'), -{width})"
#: with its end, which would be added up for each row that is compared with it
_EACH = "(SELECT slice, slice + {width} AS slice_end FROM {slices} AS slice OFFSET 0) s"
_SLICES = (
    "SELECT v.instance_created_at, v.workflow_instance_id FROM {each} "
    "CROSS JOIN LATERAL (SELECT v.* FROM ({lists}) v {order} OFFSET 0) v WHERE {after}"
)
_IN_SLICE = (
    "SELECT v.instance_created_at, v.workflow_instance_id FROM variables v WHERE {root} AND {condition} "
    "AND v.instance_created_at >= slice AND v.instance_created_at < slice_end"
)
_BINNED = " AND date_bin({width}, v.instance_created_at, '2000-01-01 00:00:00+00') = slice"
_INSTANCES_IN_SLICE = (
    "SELECT i.created_at AS instance_created_at, i.id AS workflow_instance_id FROM workflow_instances i WHERE {where} "
    "AND i.created_at >= slice AND i.created_at < slice_end"
)
_SEEN = "SELECT count(*) AS n, min(t) AS since FROM (SELECT v.instance_created_at AS t FROM variables v WHERE {root} AND {condition} {order} LIMIT %s) v"
_SEEN_RANGED = (
    "SELECT count(*) AS n, min(t) AS since FROM (SELECT slice AS t FROM {each} CROSS JOIN LATERAL ({keys} LIMIT {seen}) v LIMIT %s) v"
)
_SEEN_ALL = (
    "SELECT count(*) AS n, min(t) AS since FROM (SELECT i.created_at AS t FROM workflow_instances i WHERE {where} "
    "ORDER BY i.created_at DESC, i.id DESC LIMIT %s) v"
)
_EXTENT = (
    "SELECT (SELECT created_at FROM workflow_instances WHERE tenant_id = %s ORDER BY created_at LIMIT 1) AS first, "
    "(SELECT created_at FROM workflow_instances WHERE tenant_id = %s ORDER BY created_at DESC LIMIT 1) AS last"
)


#: both ends first, then each list in its turn
_PEEK = (
    "WITH there AS MATERIALIZED ({extent}) SELECT * FROM (SELECT -1 AS k, 0 AS n, first AS since, last FROM there "
    "UNION ALL SELECT p.*, NULL::timestamptz FROM ({union}) p(k, n, since)) s ORDER BY k"
)


class _List(NamedTuple):
    """Of one condition. `variable`: None, what is asked of the instances themselves. `rate`: rows in a second, about; `rows`: of them all."""

    variable: fi.Variable | None
    rate: float
    rows: float

    @property
    def reading(self) -> float:
        """What an entry costs."""
        return READ_RANGED if self.variable is not None and self.variable.ranged else READ


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
        span, plan = await _planned(r, w, count, cursor)
    if span is None and plan.leader is None:
        return []
    read = [plan.leader, *plan.beside] if plan.sliced else [plan.leader]
    # what the index alone says isn't all, at times
    others = [v for v in w.variables if v not in read or (plan.sliced and v.listed != (v.condition, v.values))]
    if plan.sliced and span is not None:
        keys = _sliced(w, plan, cursor, span, count + 1 if not others and _alone(w) else None)
        return await r.rows(
            *_led(columns, w, keys, others, count + 1, span), nested=not plan.beside, merged=len(plan.beside) < HASHED, kept=True
        )
    if plan.leader is None:
        for other in others:
            if other.kept is not None:  # the planner looks a variable up where this is true
                w.add(other.kept[0], *other.kept[1])
            condition, bounds = _bounded(other, span)
            w.add(sql.SQL(_OF_INSTANCE).format(condition), other.name, *other.values, *bounds)
        if span is not None:  # its months alone are planned for
            w.add("i.created_at >= %s AND i.created_at <= %s", *span)
        fi.after(w, cursor, "i.")
        composed, values = newest(columns, "workflow_instances i", w, count + 1, prefix="i.", statuses=INSTANCE_STATUSES)
        return await r.rows(composed, values, sorts=not w.in_order)
    return await r.rows(*_led(columns, w, _by_time(w, plan.leader, cursor, span=span), others, count + 1, span), sorts=False)


# --- which list leads ---------------------------------------------------------------------------------------------------


def _between(w: fi.Where, cursor: str | None, first: datetime | None, last: datetime | None) -> _Span | None:
    """What may be on the page, where the tenant's instances were created from `first` to `last`."""
    if first is None or last is None:
        return None
    ends = [last, *([_moment(cursor)] if cursor else []), *([w.until] if w.until is not None else [])]
    span = _Span(max(first, w.since or first), min(ends))
    return span if span.first <= span.last else None


async def _span(r: Reader, w: fi.Where, cursor: str | None) -> _Span | None:
    (found,) = await r.rows(_EXTENT, (w.tenant, w.tenant), kept=True)
    return _between(w, cursor, found["first"], found["last"])


async def _planned(r: Reader, w: fi.Where, count: int, cursor: str | None) -> tuple[_Span | None, _Plan]:
    """For a page of `count` rows. Without a span nothing can be on it, but where few rows lead, who are read whenever they are."""
    for v in w.variables:
        if v.listed and not v.ranged and not _is_truth(v) and await _of_value(r, w, v) <= FEW:
            return None, _Plan(v, [], False)
    own = None if _alone(w) else await _expected(r, w, cursor)
    span, lists, all_rate = await _peeked(r, w, cursor)
    if span is None:
        return None, _NOTHING
    if own is not None:
        lists.append(_List(None, own / span.seconds, own))
    if not lists:  # conditions that no index has, each by itself
        return span, _Plan(w.variables[0], [], False)
    lists.sort(key=lambda each: each.rate)
    return span, _cheapest(lists, all_rate, count)


def _cheapest(lists: list[_List], all_rate: float, count: int) -> _Plan:
    """Of the ways to a page the one that costs the least, about. `lists`: the sparsest first."""

    def share(of: Sequence[_List]) -> float:
        """Of all instances those that pass."""
        return math.prod(min(1.0, each.rate / all_rate) if all_rate else 1.0 for each in of)

    def read(leader: _List, others: Sequence[_List]) -> float:
        """Rows of the leader until a page is found."""
        passing = share(others)
        return min(leader.rows, count / passing) if passing else leader.rows

    leader, *others = lists
    own = next((each for each in lists if each.variable is None), None)
    rest = [each for each in lists if each is not own]
    kept = all(each.variable is not None and each.variable.kept is not None for each in rest)
    walked = read(own, rest) if own is not None else count / (share(rest) or 1.0)
    ways = [(PLANNED + walked * (WALK if kept else LOOK_UP), _Plan(None, [], False))]
    if leader.variable is not None:
        rows = read(leader, others)
        opened = rows / leader.rate / SLICE_S * OPEN_SLICE if leader.variable.ranged and leader.rate else 0.0
        opened += 0.0 if leader.variable.ranged else PLANNED
        ways.append((rows * (leader.reading + LOOK_UP) + opened, _Plan(leader.variable, [], leader.variable.ranged)))
    passing = share(lists)
    seconds = min(max(each.rows / each.rate if each.rate else 0.0 for each in lists), count / (all_rate * passing) if passing else math.inf)
    seconds = max(seconds, SLICE_S)  # a slice is read as a whole
    for n in range(
        2, min(len(lists), BESIDE_MAX) + 1
    ):  # these are read beside one another, what all of them have is looked up for the rest
        for met in combinations(lists[:BESIDE_MAX], n):
            first, *beside = sorted(met, key=lambda each: each.variable is None)
            looked_up = seconds * all_rate * share(met) * LOOK_UP if n < len(lists) else 0.0
            cost = seconds * sum(each.rate * each.reading for each in met) + looked_up + seconds / SLICE_S * OPEN_SLICE
            ways.append((cost, _Plan(first.variable, [each.variable for each in beside], True)))
    return min(ways, key=lambda way: way[0])[1]


async def _of_value(r: Reader, w: fi.Where, v: fi.Variable) -> float:
    """How many have this value, as the planner expects."""
    assert v.listed is not None
    text = sql.SQL("SELECT 1 FROM variables v WHERE {} AND {}").format(sql.SQL(_ROOT), v.listed[0])
    return NAMES * await r.estimate(text, [w.tenant, v.name, *v.listed[1]])


def _is_truth(v: fi.Variable) -> bool:
    return v.listed is not None and v.listed[1] in (["true"], ["false"])


async def _expected(r: Reader, w: fi.Where, cursor: str | None) -> float:
    """How many of the instances that are left pass what is asked of themselves, as the planner expects, which costs no reading."""
    left = w.copy()
    if cursor:
        left.add("i.created_at <= %s", _moment(cursor))
    where, values = left.joined(left.sets)
    return await r.estimate(sql.SQL("SELECT 1 FROM workflow_instances i WHERE {}").format(where), values)


async def _peeked(r: Reader, w: fi.Where, cursor: str | None) -> tuple[_Span | None, list[_List], float]:
    """What may be on the page, how dense the list of each variable is by its newest rows, and how dense the instances are."""
    every = fi.Where("i.tenant_id = %s", tenant=w.tenant)
    fi.after(every, cursor, "i.")
    if w.until is not None:
        every.add("i.created_at <= %s", w.until)
    where, values = every.joined()
    parts: list[sql.Composable] = [sql.SQL(_SEEN_ALL).format(where=where)]
    asked: list[Any] = [w.tenant, w.tenant, *values, SEEN]
    most = [SEEN]
    indexed = [(v, *v.listed) for v in w.variables if v.listed]
    for v, condition, more in indexed:
        # Of the cursor's slice all of a range are counted: it is in no order of time, so what lies behind the cursor would be read to be left out.
        of = _root(w, v, None if v.ranged else cursor)
        if w.until is not None:
            of.add("v.instance_created_at <= %s", w.until)
        root, values = of.joined()
        if v.ranged:
            parts.append(
                sql.SQL(_SEEN_RANGED).format(each=_each(_SERIES_THERE), keys=_in_slice(root, v, condition), seen=sql.Literal(SEEN_RANGED))
            )
            asked += [_moment(cursor) if cursor else None, w.until, w.since]
        else:
            parts.append(sql.SQL(_SEEN).format(root=root, condition=condition, order=_ORDER))
        most.append(SEEN_RANGED if v.ranged else SEEN)
        asked += [*values, *more, most[-1]]
    each = sql.SQL("SELECT {}, s.* FROM ({}) s")
    union = sql.SQL(" UNION ALL ").join(each.format(sql.Literal(k), part) for k, part in enumerate(parts))
    found = await r.rows(sql.SQL(_PEEK).format(extent=sql.SQL(_EXTENT), union=union), asked, sorts=False, kept=True)
    ends, *seen = found
    span = _between(w, cursor, ends["since"], ends["last"])
    if span is None:
        return None, [], 0.0
    rates = []
    ranged = [False, *(v.ranged for v, *_ in indexed)]
    for row, full, sliced in zip(seen, most, ranged, strict=True):
        last = min(ends["last"], w.until or ends["last"], _slice_end(span.last)) if sliced else span.last
        seconds = span.seconds if row["n"] < full else max(1.0, (last - row["since"]).total_seconds())
        rates.append(float(row["n"]) / seconds)
    return span, [_List(v, rate, rate * span.seconds) for (v, *_), rate in zip(indexed, rates[1:], strict=True)], rates[0]


def _slice_end(moment: datetime) -> datetime:
    width = timedelta(seconds=SLICE_S)
    begun = datetime(2000, 1, 1, tzinfo=UTC)
    return begun + width * ((moment - begun) // width + 1)


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


#: before the ends are known here: up to the cursor, the end that is asked for and the newest; from the beginning that is asked for, or the oldest
_SERIES_THERE = sql.SQL(
    "(SELECT generate_series(date_bin({width}, least(last, %s, %s), '2000-01-01 00:00:00+00'), "
    "date_bin({width}, greatest(first, %s), '2000-01-01 00:00:00+00'), -{width}) AS slice FROM there)"
).format(width=_WIDTH)


_SERIES_OF_SPAN = sql.SQL(_SERIES).format(width=_WIDTH)


def _each(slices: sql.Composable) -> sql.Composed:
    return sql.SQL(_EACH).format(slices=slices, width=_WIDTH)


def _in_slice(root: sql.Composable, variable: fi.Variable, condition: sql.Composable) -> sql.Composed:
    return sql.SQL(_IN_SLICE + (_BINNED if variable.ranged else "")).format(root=root, condition=condition, width=_WIDTH)


def _sliced(w: fi.Where, plan: _Plan, cursor: str | None, span: _Span, limit: int | None) -> _Keys:
    """The leader's rows of each slice that are in the lists beside it as well."""
    met: list[sql.Composable] = []
    values: list[Any] = []
    after = fi.Where("TRUE", tenant=w.tenant)
    after.values.clear()
    fi.after(after, cursor, "v.", "instance_created_at", "workflow_instance_id")
    for n, variable in enumerate([plan.leader, *plan.beside]):
        if variable is None or variable.listed is None:
            of = w.copy()
            of.add("i.created_at >= %s AND i.created_at <= %s", *span)
            if of.leads and not of.status:  # these indexes go on with the status, and then with the time
                of.sets.append(fi.Several("status", "text", list(INSTANCE_STATUSES)))
            where, more = of.joined(of.sets)
            one: sql.Composable = sql.SQL(_INSTANCES_IN_SLICE).format(where=where)
        else:
            condition, asked = variable.listed
            root, more = _root(w, variable, None, span).joined()
            one, more = _in_slice(root, variable, condition), [*more, *asked]
        values += more
        joined = sql.SQL("") if not n else sql.SQL(" USING (instance_created_at, workflow_instance_id)")
        met.append(sql.SQL("({}) {}").format(one, sql.Identifier(f"l{n}")) + joined)
    lists = sql.SQL("SELECT instance_created_at, workflow_instance_id FROM {}").format(sql.SQL(" JOIN ").join(met))
    beyond, more = after.joined()
    text = sql.SQL(_SLICES).format(each=_each(_SERIES_OF_SPAN), lists=lists, order=_ORDER, after=beyond)
    return _Keys(text, [span.last, span.first, *values, *more], in_time=False).limited(limit)


def _bounded(v: fi.Variable, span: _Span | None) -> tuple[sql.Composable, list[Any]]:
    """What is asked of the variable, in the months of the span."""
    if span is None:
        return v.condition, []
    return sql.SQL("{} AND v.instance_created_at >= %s AND v.instance_created_at <= %s").format(v.condition), [*span]


def _led(
    columns: str, w: fi.Where, keys: _Keys, probed: Sequence[fi.Variable], limit: int, span: _Span | None = None
) -> tuple[Query, list[Any]]:
    """Rows of `keys`, in their order, that pass all else. `span`: none is outside of it, so its months alone are planned for."""
    where, asked = w.joined(w.sets)
    if span is not None:
        where = sql.SQL("{} AND i.created_at >= %s AND i.created_at <= %s").format(where)
        asked += span
    for v in probed:
        if v.kept is not None:
            where, asked = sql.SQL("{} AND {}").format(where, v.kept[0]), [*asked, *v.kept[1]]
    probes: list[sql.Composable] = []
    looked_up: list[Any] = []
    for n, v in enumerate(probed):
        condition, bounds = _bounded(v, span)
        probes.append(sql.SQL(_PROBE).format(condition, sql.Identifier(f"p{n}")))
        looked_up += [w.tenant, v.name, *v.values, *bounds]
    text = sql.SQL(_LED).format(
        columns=sql.SQL(columns),
        keys=keys.text,
        probes=sql.SQL(" ").join(probes),
        where=where,
        order=_IN_ORDER if keys.in_time else sql.SQL(""),
    )
    return text, [*keys.values, *asked, *looked_up, limit]

"""What a model says to MongoDB: filters, changes and pipelines as JSON of the model, where data of an instance stands in named places only.

A value that came as data can be no operator: `{"$param": "name"}` is replaced by a parameter, and a parameter with a key that begins with $ is refused. Nor can it be
a field's name: where MongoDB reads expressions, in which "$name" means a field, a text that begins with $ is refused outside of `$literal`. Nothing that
runs code on the server, writes by an aggregation or looks at the server itself may be said.
"""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

TEXT_CHARS_MAX, DEPTH_MAX = 100_000, 50
#: code on the server (JavaScript)
CODE = frozenset({"$where", "$function", "$accumulator"})
STAGES = frozenset(
    "$addFields $bucket $bucketAuto $count $densify $facet $fill $geoNear $graphLookup $group $limit $lookup $match $project $redact $replaceRoot $replaceWith "
    "$sample $set $setWindowFields $skip $sort $sortByCount $unionWith $unset $unwind".split()
)
#: stages that have pipelines within
_INNER = {"$lookup": "pipeline", "$unionWith": "pipeline"}
#: stages that read another collection, and where they name it
_FROM = {"$lookup": "from", "$graphLookup": "from", "$unionWith": "coll"}
UPDATES = frozenset("$addToSet $bit $currentDate $inc $max $min $mul $pop $pull $push $rename $set $setOnInsert $unset".split())
#: what a text of a parameter becomes, where a model says so
KINDS = ("objectId", "date", "decimal")
PARAM = "$param"
#: whether what stands below reads texts that begin with $ as fields; of all else: as what is around it
READS = {"$match": False, "$literal": False, "$expr": True}
#: texts of a model that are expressions from the beginning
EXPRESSIONS = frozenset({"pipeline", "projection"})


def parsed(text: str) -> Any:
    """JSON of a model, MongoDB's extended one included. Raises: ValueError."""
    from bson.json_util import JSONMode, JSONOptions, loads

    if not text.strip():
        return None
    options = JSONOptions(json_mode=JSONMode.RELAXED, tz_aware=True, strict_number_long=False)
    try:
        found = loads(text, json_options=options)
    except RecursionError:
        raise ValueError("it nests too deeply") from None
    except Exception as e:  # noqa: BLE001 - `bson` says it in many ways
        raise ValueError(f"expected JSON: {' '.join(str(e).split())[:200]}") from None
    _walked(found, 0)
    return found


def _walked(value: Any, depth: int) -> None:
    """Raises: ValueError."""
    from bson import Code, DBRef

    if depth > DEPTH_MAX:
        raise ValueError(f"expected at most {DEPTH_MAX} levels")
    if isinstance(value, (Code, DBRef)):
        raise ValueError("code and references to other databases are not sent")
    if isinstance(value, list):
        for each in value:
            _walked(each, depth + 1)
    if isinstance(value, dict):
        if PARAM in value:
            _place(value)
            return
        for key, each in value.items():
            if key in CODE:
                raise ValueError(f"{key}: code isn't run on the server")
            _walked(each, depth + 1)


def _place(value: dict[str, Any]) -> tuple[str, str]:
    """Name and kind of a parameter's place. Raises: ValueError."""
    name, kind = value[PARAM], value.get("as", "")
    if not isinstance(name, str) or not name or value.keys() - {PARAM, "as"} or kind not in ("", *KINDS):
        raise ValueError(f'expected {{"{PARAM}": "name"}}, with "as": {", ".join(KINDS)} where the text is one')
    return name, kind


def context(found: Any) -> dict[str, Any]:
    """Raises: ValueError."""
    if not isinstance(found, dict) or PARAM in found:
        raise ValueError("expected an object")
    return found


def update(found: Any) -> dict[str, Any]:
    """Raises: ValueError."""
    made = context(found)
    if not made or (odd := [k for k in made if k not in UPDATES]):
        raise ValueError(f"expected operators of a change, such as $set and $inc, found {odd[0][:50] if made else 'none'}")
    return made


def pipeline(found: Any) -> list[dict[str, Any]]:
    """Stages that only read. Raises: ValueError."""
    if not isinstance(found, list) or not found:
        raise ValueError("expected a list of stages")
    for stage in found:
        if not isinstance(stage, dict) or len(stage) != 1 or (name := next(iter(stage))) not in STAGES:
            raise ValueError(f"expected stages that only read, such as $match and $group, found {str(stage)[:80]}")
        within = stage[name]
        if name in _FROM:
            of = within.get(_FROM[name]) if isinstance(within, dict) else within
            if not isinstance(of, str) or not of or of.startswith("system."):
                raise ValueError(f"expected the name of a collection of an application in {name}, as the model's own text")
        if name == "$facet":
            for each in context(within).values():
                pipeline(each)
        elif name in _INNER and isinstance(within, dict) and _INNER[name] in within and within[_INNER[name]]:
            pipeline(within[_INNER[name]])
    return found


def names(found: Any) -> set[str]:
    """Of the parameters."""
    if isinstance(found, list):
        return {n for each in found for n in names(each)}
    if isinstance(found, dict):
        return {_place(found)[0]} if PARAM in found else {n for each in found.values() for n in names(each)}
    return set()


def filled(found: Any, parameters: dict[str, Any], expression: bool = False) -> Any:
    """With the parameters in their places. `expression`: a text that begins with $ means a field there. Raises: ValueError."""
    if isinstance(found, list):
        return [filled(each, parameters, expression) for each in found]
    if not isinstance(found, dict):
        return found
    if PARAM not in found:
        return {key: filled(each, parameters, READS.get(key, expression)) for key, each in found.items()}
    name, kind = _place(found)
    if name not in parameters:
        raise ValueError(f"parameters: '{name[:100]}' is missing")
    if kind:
        return _kind(parameters[name], kind, name)
    if expression:
        _no_field(parameters[name], name)
    return data(parameters[name], f"parameters.{name[:100]}")


def _no_field(value: Any, name: str, depth: int = 0) -> None:
    """Raises: ValueError."""
    if isinstance(value, str) and value.startswith("$"):
        raise ValueError(
            f'parameters.{name[:100]}: a text that begins with $ means a field there: expected the model to say {{"$literal": {{"{PARAM}": ...}}}}'
        )
    if depth <= DEPTH_MAX and isinstance(value, (list, dict)):  # what is deeper `data` refuses
        for each in value.values() if isinstance(value, dict) else value:
            _no_field(each, name, depth + 1)


def _kind(value: Any, kind: str, name: str) -> Any:
    """Raises: ValueError."""
    from bson import Decimal128, ObjectId

    if isinstance(value, list):
        return [_kind(each, kind, name) for each in value]
    try:
        if kind == "objectId":
            return ObjectId(value)
        if kind == "decimal":
            return Decimal128(Decimal(value))
        made = datetime.datetime.fromisoformat(value)
    except Exception as e:
        raise ValueError(f"parameters.{name[:100]}: expected {kind}, found {type(value).__name__}") from e
    return made if made.tzinfo is not None else made.replace(tzinfo=datetime.UTC)


def data(value: Any, where: str, depth: int = 0) -> Any:
    """A value as BSON has it: a fraction as a double where that says the same, else as a Decimal128. Raises: ValueError."""
    from bson import Decimal128

    if depth > DEPTH_MAX:
        raise ValueError(f"{where}: expected at most {DEPTH_MAX} levels")
    if isinstance(value, Decimal):
        if value == value.to_integral_value() and abs(value) < 2**63 and value.as_tuple().exponent == 0:
            return int(value)
        if Decimal(repr(float(value))) == value:
            return float(value)
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63):
        try:
            return Decimal128(Decimal(value))
        except ArithmeticError:
            raise ValueError(f"{where}: expected a number of at most 34 digits, found {str(value)[:50]}") from None
    if isinstance(value, list):
        return [data(each, where, depth + 1) for each in value]
    if isinstance(value, dict):
        for key in value:
            if key.startswith("$") or "\0" in key:
                raise ValueError(f"{where}: a name that begins with $ stands in the model only, found {key[:50]!r}")
        return {key: data(each, where, depth + 1) for key, each in value.items()}
    return value


def plain(value: Any) -> Any:
    """What MongoDB gives, as JSON has it: ids as their 24 letters, moments as texts."""
    from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp

    from flowledger.connectors import reach

    if isinstance(value, Int64):
        return int(value)
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, Decimal128):
        return reach.plain(value.to_decimal())
    if isinstance(value, Binary):
        return reach.plain(bytes(value))
    if isinstance(value, Regex):
        return str(value.pattern)
    if isinstance(value, Timestamp):
        return value.as_datetime().isoformat()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return reach.plain(value)

"""All that decision models need of FEEL, in one place: compiling texts, telling values apart, functions, and values from and to JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.dmn.types import Scope
from flowledger.kernel.feel import limits, temporal, values
from flowledger.kernel.feel.engine import odd_members
from flowledger.kernel.feel.errors import LimitReached
from flowledger.kernel.feel.limits import LOCALS
from flowledger.kernel.feel.tree import InstanceOf

#: what else decision models need of FEEL
__all__ = ["LOCALS", "LimitReached"]

Names = frozenset[str]
SyntaxError_ = feel.FeelSyntaxError
_QUESTION: Names = frozenset("?")
_VARIANTS_MAX = 64


def position(error: feel.FeelSyntaxError) -> int:
    return error.position


# Telling values apart


def is_number(value: Any) -> bool:
    return type(value) is Decimal


def is_date(value: Any) -> bool:
    return type(value) is temporal.FeelDate


# Values from outside and to it


def value(v: Any) -> Any:
    """A plain value as a FEEL value: int and float become decimals, Python's dates FEEL's; one too large to be walked through is null."""
    try:
        return values.convert(v)
    except LimitReached:
        return None


def plain(v: Any) -> Any:
    """A FEEL value as JSON; one that is too large for it by its kind alone."""
    try:
        return values.to_json(v)
    except ValueError:
        return f"<{values.kind(v)}, too large>"


# Functions and ranges


def is_function(v: Any) -> bool:
    return values.kind(v) == "function"


def is_range(v: Any) -> bool:
    return isinstance(v, values.Range)


def range_items(v: Any) -> list[Any] | None:
    """The whole numbers or days of a range, None for anything else and for an endless or reversed range. At most `list_items_max` of them."""
    if not isinstance(v, values.Range) or v.operator:
        return None
    if is_number(v.start) and is_number(v.end) and v.start == int(v.start) and v.end == int(v.end):
        make: Callable[[int], Any] = Decimal
        first, last = int(v.start), int(v.end)
    elif is_date(v.start) and is_date(v.end):
        make, first, last = temporal.FeelDate.from_days, v.start.days, v.end.days
    else:
        return None
    if first > last:
        return None  # a range has its start first
    first, last = first + (not v.start_included), last - (not v.end_included)
    if last - first >= limits.list_items_max:
        return None
    return [make(n) for n in range(first, last + 1)]


def function(name: str, parameters: Sequence[tuple[str, Any]], call: Callable[..., Any]) -> values.FeelFunction:
    """A function value; `parameters` are (name, type or None). Arguments are converted to the types before `call` gets them."""
    return values.FeelFunction([p for p, _ in parameters], call, [t for _, t in parameters], name)


def invoke(target: Any, arguments: dict[str, Any], run: Any, element: str | None) -> Any:
    """Call by the names of the parameters; those that are missing are null."""
    try:
        return run.runtime.invoke_named(target, arguments)
    except LimitReached as limit:
        run.runtime.stopped(limit.code, str(limit))
        run.annotate(len(run.warnings) - 1, element)
        return None


# Compiling


def _compiled(make: Any, text: str, names: Names, members: Names, types: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Any]:
    """What gives the compiled text for a scope. Only where a name after a dot can be read in several ways the data is asked."""
    known = make(text, names, members, types)
    try:
        if not make(text, names, None, types)._by_members:
            return lambda scope: known
    except SyntaxError_:
        pass  # it needs names to be read at all
    variants: dict[Names, Any] = {frozenset(): known}

    def for_scope(scope: Mapping[str, Any]) -> Any:
        found_names = odd_members(scope) - members
        found = variants.get(found_names)
        if found is None:
            if len(variants) > _VARIANTS_MAX:
                return variants[frozenset()]
            found = variants[found_names] = make(text, names, members | found_names, types)
        return found

    return for_scope


def expression(text: str, names: Names, members: Names, types: Mapping[str, Any], element: str | None) -> Callable[[Scope, Any], Any]:
    """A FEEL text as a closure `(scope, run) -> value`; `members` are names that may stand after a dot.

    Raises:
        SyntaxError_: the text is no FEEL.
    """
    compiled = _compiled(feel.compile, text, names, members, types)
    work = 1 + feel.compile(text, names, members, types).work

    def evaluate(scope: Scope, run: Any) -> Any:
        warnings = run.warnings
        before = len(warnings)
        try:
            run.runtime.tick(work)
            value = compiled(scope)(scope, runtime=run.runtime)
        except LimitReached as limit:
            run.runtime.stopped(limit.code, str(limit))
            value = None
        if len(warnings) != before:
            run.annotate(before, element)
        return value

    return evaluate


def test(text: str, names: Names, members: Names, types: Mapping[str, Any], element: str | None) -> Callable[[Any, Scope, Any], bool]:
    """Unary tests as a closure `(value, scope, run) -> whether they hold`; null counts as false.

    Raises:
        SyntaxError_: the text is no FEEL.
    """
    compiled = _compiled(feel.compile_unary, text, names | _QUESTION, members, types)
    work = 1 + feel.compile_unary(text, names | _QUESTION, members, types).work

    def holds(value: Any, scope: Scope, run: Any) -> bool:
        warnings = run.warnings
        before = len(warnings)
        try:
            run.runtime.tick(work)
            result: bool = compiled(scope)(value, scope, runtime=run.runtime)
        except LimitReached as limit:
            run.runtime.stopped(limit.code, str(limit))
            result = False
        if len(warnings) != before:
            run.annotate(before, element)
        return result

    return holds


def reads(text: str, names: Names, members: Names) -> frozenset[str]:
    """Names that a text takes from its scope, built-in functions left out. Raises SyntaxError_."""
    return feel.compile(text, names, members).reads


def type_of_text(text: str, named: Mapping[str, Any]) -> Any:
    """The type that a type expression such as `list<number>` means, None if it means none."""
    try:
        tree = feel.parse(f"null instance of {text}", named)
    except feel.FeelSyntaxError:
        return None
    return feel.types.resolve(tree.type, named) if type(tree) is InstanceOf else None

"""From variables to a handler's parameters and from what it returns to variables, by its annotations alone.

- a parameter annotated `Job`: the context;
- a single other parameter annotated with a msgspec Struct, a dataclass, a TypedDict or a pydantic model: all variables in that shape;
- any other parameter: the variable of that name in the annotated type (no annotation: as it is, numbers with a fraction are `Decimal`);
  a default stands for a missing one;
- `**rest`: all variables that no other parameter took.

It returns `None`, a dict, a Struct, a dataclass or a pydantic model: these are the variables of the result; anything else needs a name
(`@worker.job("type", result="name")`). The conversion is prepared once, when the handler is registered.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from flowledger.sdk.job import Job


class BadVariables(Exception):
    """The variables don't fit the handler's parameters; another attempt won't change that."""


def _is_pydantic(t: Any) -> bool:
    return isinstance(t, type) and hasattr(t, "model_validate") and hasattr(t, "model_fields")


def _is_shape(t: Any) -> bool:
    return _is_pydantic(t) or (
        isinstance(t, type) and (issubclass(t, msgspec.Struct) or dataclasses.is_dataclass(t) or typing.is_typeddict(t))
    )


def converter(t: Any) -> Callable[[Any], Any]:
    """A function that makes a `t` of a JSON value. Raises: BadVariables (when called)."""
    if t is Any or t is inspect.Parameter.empty or t is object:
        return lambda value: value
    if _is_pydantic(t):
        validate = t.model_validate

        def by_pydantic(value: Any) -> Any:
            try:
                return validate(value)
            except ValueError as e:
                raise BadVariables(str(e)) from None

        return by_pydantic
    convert = msgspec.convert

    def by_msgspec(value: Any) -> Any:
        try:
            return convert(value, t, dec_hook=_hook)
        except (msgspec.ValidationError, TypeError) as e:
            raise BadVariables(str(e)) from None

    return by_msgspec


def _hook(t: Any, value: Any) -> Any:
    """Types that msgspec doesn't know, inside of those that it does."""
    if _is_pydantic(t):
        return t.model_validate(value)
    raise TypeError(f"expected a type that JSON can be converted to, found {t!r}")


def plan(function: Callable[..., Any]) -> Callable[[Job], tuple[tuple[Any, ...], dict[str, Any]]]:
    """How to call it: from a job to arguments. Raises: TypeError (when registered), BadVariables (when called)."""
    hints = typing.get_type_hints(function)
    parameters = list(inspect.signature(function).parameters.values())
    data = [p for p in parameters if hints.get(p.name) is not Job]
    steps: list[Callable[[Job, dict[str, Any]], None]] = []
    shape = len(data) == 1 and _is_shape(hints.get(data[0].name)) and data[0].kind is not inspect.Parameter.VAR_KEYWORD
    taken = {p.name for p in data}
    for p in parameters:
        if p.kind is inspect.Parameter.POSITIONAL_ONLY or p.kind is inspect.Parameter.VAR_POSITIONAL:
            raise TypeError(f"{function.__qualname__}: expected parameters that can be given by name, found '{p}'")
        t = hints.get(p.name, inspect.Parameter.empty)
        if t is Job:
            steps.append(_context(p.name))
        elif p.kind is inspect.Parameter.VAR_KEYWORD:
            steps.append(_rest(taken))
        elif shape:
            steps.append(_whole(p.name, converter(t)))
        else:
            steps.append(_one(p.name, converter(t), p.default is not inspect.Parameter.empty))

    def arguments(job: Job) -> tuple[tuple[Any, ...], dict[str, Any]]:
        kwargs: dict[str, Any] = {}
        for step in steps:
            step(job, kwargs)
        return (), kwargs

    return arguments


def _context(name: str) -> Callable[[Job, dict[str, Any]], None]:
    def step(job: Job, kwargs: dict[str, Any]) -> None:
        kwargs[name] = job

    return step


def _rest(taken: set[str]) -> Callable[[Job, dict[str, Any]], None]:
    def step(job: Job, kwargs: dict[str, Any]) -> None:
        kwargs.update((k, v) for k, v in job.variables.items() if k not in taken)

    return step


def _whole(name: str, convert: Callable[[Any], Any]) -> Callable[[Job, dict[str, Any]], None]:
    def step(job: Job, kwargs: dict[str, Any]) -> None:
        kwargs[name] = convert(job.variables)

    return step


def _one(name: str, convert: Callable[[Any], Any], has_default: bool) -> Callable[[Job, dict[str, Any]], None]:
    def step(job: Job, kwargs: dict[str, Any]) -> None:
        variables = job.variables
        if name in variables:
            try:
                kwargs[name] = convert(variables[name])
            except BadVariables as e:
                raise BadVariables(f"variable '{name}': {e}") from None
        elif not has_default:
            raise BadVariables(f"expected a variable '{name}', found {', '.join(sorted(variables)) or 'none'}")

    return step


def result_of(value: Any, name: str = "") -> dict[str, Any] | None:
    """The variables that a handler's answer stands for. Raises: TypeError."""
    if name:
        return {name: plain(value)}
    if value is None:
        return None
    found = plain(value)
    if type(found) is not dict:
        raise TypeError(f'expected None, a dict or an object, found {type(value).__name__}; to name it: @worker.job(..., result="name")')
    return found


def plain(value: Any) -> Any:
    """As JSON values; `Decimal` stays, it is written with all its digits."""
    if value is None or type(value) in (dict, list, str, int, float, bool, Decimal):
        return value
    if _is_pydantic(type(value)):
        return value.model_dump(mode="json")
    return msgspec.to_builtins(value, builtin_types=(Decimal,), enc_hook=_dump)


def _dump(value: Any) -> Any:
    if _is_pydantic(type(value)):
        return value.model_dump(mode="json")
    raise TypeError(f"expected a value that JSON can hold, found {type(value).__name__}")

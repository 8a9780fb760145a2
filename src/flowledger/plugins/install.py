"""Where the parts of plug-ins go: each kind has one registry, that of our own. What a plug-in raises or gives wrongly stays with the one who asked."""

from __future__ import annotations

import copy
import errno
import inspect
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from flowledger import plugin as p
from flowledger.connectors import catalogue
from flowledger.connectors.frame import Config
from flowledger.connectors.sources.catalogue import KINDS
from flowledger.infra import blobs, secrets
from flowledger.infra.blobs.store import Kept
from flowledger.infra.settings import Settings
from flowledger.kernel.feel.builtins.registry import BUILTINS, Builtin, Signature
from flowledger.kernel.feel.values import convert
from flowledger.kernel.model import trigger_fields
from flowledger.kernel.model.connectors import ALIASES, PREFIX
from flowledger.kernel.model.formats import build, work
from flowledger.kernel.model.trigger_sources import SOURCES
from flowledger.kernel.model.trigger_sources import Source as SourceKind
from flowledger.kernel.state import Partition
from flowledger.kernel.tasks import assignment
from flowledger.plugins.unfit import TEXT_MAX, Unfit

NAME, FEEL_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}"), re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
WORK_MAX = 100_000


def taken(part: p.Part) -> bool:
    """Whether we have one of that name."""
    name = p.name_of(part)
    registries: dict[type, tuple[Mapping[str, Any], ...]] = {
        p.Function: (BUILTINS,), p.Strategy: (assignment.STRATEGIES,), p.StepType: (work.OWN, work.KINDS), p.SecretProvider: (secrets.MAKERS, {"env": 0}),
        p.Connector: (catalogue.CONFIGS,), p.Source: (SOURCES,), p.BlobStore: (blobs.MAKERS,),
    }  # fmt: skip
    return any(name in registry for registry in registries[type(part)])


def check(part: Any) -> p.Part:
    """It, when its shape is right. Raises: Unfit."""
    if not isinstance(part, p.Part):
        raise Unfit(f"expected parts of flowledger.plugin, found {type(part).__name__}")
    if part.api != p.API:
        raise Unfit(f"it is made for version {part.api!r} of flowledger.plugin, this is version {p.API}")
    name = p.name_of(part)
    shape = FEEL_NAME if isinstance(part, p.Function) else NAME
    if not shape.fullmatch(name):
        raise Unfit(f"expected a name that fits {shape.pattern}, found {name[:100]!r}")
    if not isinstance(part.doc, str) or not part.doc.strip():
        raise Unfit(f"{name} has no text that says what it is (doc)")
    _CHECKS.get(type(part), lambda part: None)(part)
    return part


def _check_function(part: p.Function) -> None:
    if not isinstance(part.work, int) or not 1 <= part.work <= WORK_MAX:
        raise Unfit(f"{part.name}: expected 1 to {WORK_MAX} steps as work, found {part.work!r}")
    try:
        Signature(part.signature, part.call)
    except KeyError as e:
        raise Unfit(f"{part.name}: the signature has a type that FEEL doesn't have: {e.args[0]!r}") from None


def _check_connector(part: p.Connector) -> None:
    c = part.connector
    if not isinstance(config := getattr(c, "config", None), type) or not issubclass(config, Config):
        raise Unfit(f"{c.name}: expected config to be a class of flowledger.connectors.frame.Config")
    if getattr(c, "job_type", "") != PREFIX + c.name:
        raise Unfit(f"{c.name}: expected the job type {PREFIX}{c.name}, found {getattr(c, 'job_type', '')!r}")
    if not inspect.iscoroutinefunction(getattr(c, "call", None)):
        raise Unfit(f"{c.name}: expected call to be a coroutine function")
    if wrong := [a for a in c.aliases if ALIASES.get(a, c.job_type) != c.job_type]:
        raise Unfit(f"{c.name}: the job type {wrong[0]} is another connector's")


def _check_source(part: p.Source) -> None:
    if not inspect.iscoroutinefunction(part.open):
        raise Unfit(f"{part.name}: expected open to be a coroutine function")


_CHECKS: dict[type, Any] = {p.Function: _check_function, p.Connector: _check_connector, p.Source: _check_source}


def install(part: p.Part) -> None:
    """It has passed `check`, and no other has its name."""
    _INSTALL[type(part)](part)


def _why(e: Exception) -> str:
    return f"{type(e).__name__}: {e}"[:TEXT_MAX]


def _function(part: p.Function) -> None:
    def run(runtime: Any, *arguments: Any) -> Any:
        try:
            made = part.call(*(copy.deepcopy(a) if type(a) in (list, dict) else a for a in arguments))
        except ValueError:
            raise
        except Exception as e:  # noqa: BLE001 - a foreign function, in the middle of a decision
            raise ValueError(f"the plug-in's function failed: {_why(e)}") from None
        try:
            return convert(made)
        except (TypeError, RecursionError) as e:
            raise ValueError(f"the plug-in's function gave what is no value of FEEL: {_why(e)}") from None

    entry = Builtin(part.name, True, part.doc, part.work)
    entry.signatures.append(Signature(part.signature, run))
    BUILTINS[part.name] = entry


def _strategy(part: p.Strategy) -> None:
    def choose(state: Partition, needs: assignment.Needs, pool: str, eligible: dict[str, dict[str, Any]]) -> tuple[str, str]:
        candidates = [
            p.Candidate(
                name=name, kind=assignment.kind_of(name, record), groups=frozenset(assignment.groups_of(record)),
                tasks=len(state.by_assignee.get(name) or ()), load=assignment.load(state, name, record), record=copy.deepcopy(record),
            )
            for name, record in sorted(eligible.items())
        ]  # fmt: skip
        try:
            name, why = part.choose(candidates, dict(needs.capabilities))
            if name in eligible and isinstance(why, str):
                return name, why[:TEXT_MAX]
            failed = f"it chose {str(name)[:100]!r}, who is none of the eligible"
        except Exception as e:  # noqa: BLE001 - a foreign function, in the middle of a decision
            failed = _why(e)
        name, why = assignment.STRATEGIES["least_loaded"](state, needs, pool, eligible)
        return name, f"{why}; the strategy {part.name} failed ({failed})"

    assignment.STRATEGIES[part.name] = choose


_FITS: dict[str, tuple[type, ...]] = {"text": (str,), "number": (int, float, Decimal), "flag": (bool,), "object": (dict,), "list": (list,)}


def _step(part: p.StepType) -> None:
    def fill(r: Any, element: Any, value: Any, word: str, retry: Any) -> None:
        id, given, wrong = element.get("id"), {}, False
        for name, field in part.fields.items():
            found = value.get(name)
            if found is None or found.data is None:
                if field.required:
                    r.find("KEY_MISSING", f"the {word} step '{id}' needs '{name}'", value, element=id)
                    wrong = True
                continue
            plain = found.plain()
            if isinstance(plain, str) and plain.lstrip().startswith("="):
                r.checked(plain, found, name)
            elif not isinstance(plain, _FITS[field.kind]) or (field.kind == "number" and isinstance(plain, bool)):
                r.find(
                    "TYPE_WRONG", f"expected a {field.kind} as '{name}' of the {word} step '{id}', found {found.kind()}", found, element=id
                )
                wrong = True
            given[name] = plain
        if wrong:
            return
        try:
            job = part.make(given)
            inputs = {str(target): build.source_of(source) for target, source in job.inputs.items()}
            headers = {str(k): str(v) for k, v in job.headers.items()}
        except ValueError as e:
            r.find("STEP_WRONG", f"the {word} step '{id}': {e}", value, element=id)
            return
        except Exception as e:  # noqa: BLE001 - a foreign function
            r.find("STEP_TYPE_FAILED", f"the plug-in that makes {word} steps failed at '{id}': {_why(e)}", value, element=id)
            return
        build.job(element, str(job.type), retry.attempts, headers)
        for target, source in inputs.items():
            build.mapping(element, "input", source, target)

    work.OWN[part.name] = work.OwnType(frozenset(part.fields), fill)


class _Provider:
    """A foreign provider: whatever it raises is one of the two that ours raise, and its text is not shown where it isn't one of them."""

    def __init__(self, name: str, foreign: Any) -> None:
        self.name, self._foreign = name, foreign

    def get(self, name: str) -> str | None:
        try:
            found = self._foreign.get(name)
        except (OSError, ValueError):
            raise
        except Exception as e:  # noqa: BLE001
            raise OSError(errno.EIO, f"its plug-in failed with {type(e).__name__}") from None
        if found is not None and not isinstance(found, str):
            raise ValueError("its plug-in gave what is no text")
        return found


def _secrets(part: p.SecretProvider) -> None:
    def make(where: str, settings: Settings) -> secrets.Provider:
        try:
            return _Provider(f"{part.name}:{where}", part.open(where))
        except ValueError:
            raise
        except Exception as e:  # noqa: BLE001
            raise ValueError(f"the plug-in failed: {_why(e)}") from None

    secrets.MAKERS[part.name] = make


def _connector(part: p.Connector) -> None:
    c = part.connector
    catalogue.CONFIGS[c.name] = c.config
    catalogue.FOREIGN.append(c)
    ALIASES.update({alias: c.job_type for alias in c.aliases})


def _source(part: p.Source) -> None:
    def guarded(check: Any) -> Any:
        def looked(value: Any) -> str:
            try:
                return str(check(value) or "")
            except Exception as e:  # noqa: BLE001
                return f"something that its plug-in can check ({_why(e)})"

        return looked

    fields = {name: trigger_fields.Field(guarded(check), needed) for name, (check, needed) in part.fields.items()}
    SOURCES[part.name] = SourceKind(fields, guarded(part.whole))
    KINDS[part.name] = part.open


class _Store:
    """A foreign store: whatever it raises is what ours raise."""

    def __init__(self, name: str, foreign: Any) -> None:
        self._name, self._foreign = name, foreign

    def _said(self, e: Exception) -> OSError:
        return e if isinstance(e, OSError) else OSError(errno.EIO, f"the plug-in {self._name} failed: {_why(e)}")

    def put(self, name: str, file: Path) -> None:
        try:
            self._foreign.put(name, file)
        except Exception as e:  # noqa: BLE001
            raise self._said(e) from None

    def open(self, name: str) -> Any:
        try:
            return self._foreign.open(name)
        except Exception as e:  # noqa: BLE001
            raise self._said(e) from None

    def delete(self, name: str, before_s: float) -> bool:
        try:
            return bool(self._foreign.delete(name, before_s))
        except Exception as e:  # noqa: BLE001
            raise self._said(e) from None

    def kept(self, of: str = "") -> Iterator[Kept]:
        try:
            for name, size, at_s in self._foreign.kept(of):
                yield Kept(str(name), int(size), float(at_s))
        except Exception as e:  # noqa: BLE001
            raise self._said(e) from None


def _blobs(part: p.BlobStore) -> None:
    def make(where: str, settings: Settings) -> _Store:
        try:
            return _Store(part.name, part.open(where))
        except ValueError:
            raise
        except Exception as e:  # noqa: BLE001
            raise ValueError(f"the plug-in failed: {_why(e)}") from None

    blobs.MAKERS[part.name] = make


_INSTALL: dict[type, Any] = {
    p.Function: _function, p.Strategy: _strategy, p.StepType: _step, p.SecretProvider: _secrets, p.Connector: _connector, p.Source: _source,
    p.BlobStore: _blobs,
}  # fmt: skip

"""Which models the imports of decision models mean: of files that come together, and of models that are there already.

An import names a namespace (DMN 1.5, 6.3.3 and 7.3.6). A file that comes along wins over what is there. A model that was bound stays so: what it imports
is what was bound to it, be there a newer one. So two models that one imports may be bound to two versions of a third.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from flowledger.kernel import limits
from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.checks import findings_of
from flowledger.kernel.dmn.evaluation import DecisionModel
from flowledger.kernel.dmn.standard import STANDARD
from flowledger.kernel.findings import Finding


class File(NamedTuple):
    """A model as it was read by itself."""

    model: DecisionModel
    source: bytes
    name: str


class Known(NamedTuple):
    """A model that is there already."""

    model: DecisionModel
    id: str
    resource: str
    version: int
    key: int


class Linked(NamedTuple):
    """A file with what it is bound to: by namespace the number of another file, or one that is there."""

    model: DecisionModel
    bound: dict[str, int | Known]
    findings: list[Finding]


def imports_of(definitions: m.Definitions) -> dict[str, m.Import]:
    """Other decision models that a model imports, by namespace."""
    found: dict[str, m.Import] = {}
    for i in definitions.imports:
        if i.namespace != definitions.namespace and (not i.import_type or "/DMN/" in i.import_type):
            found.setdefault(i.namespace, i)
    return found


def link(files: Mapping[int, File], known: Callable[[str], list[Known]]) -> dict[int, Linked]:
    """Those that import something, in an order in which each stands behind what it imports. `known`: the models there by namespace."""
    return _Linker(files, known).run()


class _Linker:
    def __init__(self, files: Mapping[int, File], known: Callable[[str], list[Known]]) -> None:
        self.files, self.known = files, known
        self.named: dict[str, list[int]] = {}
        for n, file in files.items():
            self.named.setdefault(file.model.definitions.namespace, []).append(n)
        self.bound: dict[int, dict[str, int | Known]] = {}
        self.told: dict[int, dict[str, Finding]] = {n: {} for n in files}

    def run(self) -> dict[int, Linked]:
        importing = {n: those for n, file in self.files.items() if (those := imports_of(file.model.definitions))}
        for n, imports in importing.items():
            self.bound[n] = {}
            for namespace, i in imports.items():
                if (target := self._target(n, i)) is not None:
                    self.bound[n][namespace] = target
        models: dict[int, DecisionModel] = {}
        done: dict[int, Linked] = {}
        for n in self._order():
            file = self.files[n]
            models[n] = file.model
            if n in importing:
                models[n] = self._model(n, models)
                told = self.told[n]
                found = [*findings_of(models[n], file.source, file.name, told), *told.values()]
                done[n] = Linked(models[n], self.bound[n], sorted(found, key=lambda f: f.line))
        return done

    def _target(self, n: int, i: m.Import) -> int | Known | None:
        """What an import means: of several with its namespace the one that stands where it says."""
        here = [other for other in self.named.get(i.namespace, ()) if other != n]
        found: list[tuple[str, int | Known]] = [(self.files[other].name, other) for other in here]
        if not found:
            found = [(one.resource, one) for one in self.known(i.namespace)]
        if len(found) > 1:
            wanted = _last(i.location)
            found = [f for f in found if _last(f[0]) == wanted] if any(_last(f[0]) == wanted for f in found) else found
        if len(found) > 1:
            names = ", ".join(f"'{_called(f)}'" for f in found[:10])
            where = "of this deployment" if here else "that are deployed"
            text = f"the imported model {i.name or i.namespace} can be any of {len(found)} models {where} with the namespace '{i.namespace}': {names}"
            hint = "give each a namespace of its own, or name the file of the one that is meant as the import's locationURI"
            self._tell(n, i, "IMPORT_AMBIGUOUS", text, hint)
            return None
        return found[0][1] if found else None

    def _tell(self, n: int, i: m.Import, code: str, text: str, hint: str) -> None:
        chapter = STANDARD.get(code, "")
        self.told[n][i.namespace] = Finding(
            code, text, element=i.id, line=i.line, hint=hint, file=self.files[n].name, standard=bool(chapter), chapter=chapter
        )

    def _order(self) -> list[int]:
        """Each behind those that it is bound to; a circle is told, and cut."""
        order: list[int] = []
        state: dict[int, int] = {}
        for start in self.files:
            if start in state:
                continue
            state[start] = 1
            way: list[tuple[int, Iterator[tuple[str, int | Known]]]] = [(start, iter([*self.bound.get(start, {}).items()]))]
            while way:
                n, rest = way[-1]
                namespace, target = next(rest, ("", None))
                if target is None:
                    state[n] = 2
                    order.append(n)
                    way.pop()
                elif isinstance(target, int) and target not in state:
                    state[target] = 1
                    way.append((target, iter([*self.bound.get(target, {}).items()])))
                elif isinstance(target, int) and state[target] == 1:
                    circle = [at for at, _ in way]
                    self._circle(circle[circle.index(target) :], namespace)
        return order

    def _circle(self, circle: list[int], namespace: str) -> None:
        n = circle[-1]
        names = " imports ".join(f"'{self.files[at].name}'" for at in [n, *circle][:20])
        del self.bound[n][namespace]
        hint = "move what both use into a model of its own, which both import"
        self._tell(
            n, imports_of(self.files[n].model.definitions)[namespace], "IMPORT_CIRCULAR", f"models import one another: {names}", hint
        )

    def _model(self, n: int, models: dict[int, DecisionModel]) -> DecisionModel:
        file, bound = self.files[n], self.bound[n]
        others = {namespace: models[t] if isinstance(t, int) else t.model for namespace, t in bound.items()}
        if not others:
            return file.model
        every = _all_of(others.values(), limits.DMN_MODELS_MAX)
        depth = 1 + max(other.depth for other in others.values())
        size = file.model.size + sum(other.size for other in every)
        for what, found, most in (
            ("models with all that they import", 1 + len(every), limits.DMN_MODELS_MAX),
            ("models one above the other", depth, limits.DMN_DEPTH_MAX),
            ("bytes of models with all that they import", size, limits.DMN_BYTES_MAX),
        ):
            if found > most:
                first = next(iter(bound))
                text = f"expected at most {most} {what}, found {'more' if what.startswith('models with') else found}"
                self._tell(
                    n, imports_of(file.model.definitions)[first], "IMPORT_LIMIT", text, "import fewer models, or bring some together"
                )
                bound.clear()
                return file.model
        return DecisionModel(file.model.definitions, bound=others, size=file.model.size)


def _all_of(models: Iterable[DecisionModel], most: int) -> list[DecisionModel]:
    """Models with all that they are bound to, each once; no more than a few above `most` are looked for."""
    found: dict[int, DecisionModel] = {}
    ahead = [*models]
    while ahead and len(found) <= most:
        one = ahead.pop()
        if id(one) not in found:
            found[id(one)] = one
            ahead += one.bound.values()
    return [*found.values()]


def _last(path: str | None) -> str:
    return unquote(path or "").replace("\\", "/").rpartition("/")[2]


def _called(found: tuple[str, int | Known]) -> str:
    name, one = found
    return f"{one.id} version {one.version} ({name})" if isinstance(one, Known) else name

"""What each part of a plug-in is held to, as tests that need no server: `flowledger plugins check`, or in one's own tests

@pytest.mark.parametrize("part", PARTS)
def test_contract(part): assert problems(part) == []
"""

from __future__ import annotations

import copy
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from flowledger import plugin as p
from flowledger.plugins.install import check, install, taken
from flowledger.plugins.unfit import Unfit

#: values that somebody will pass some day
HOSTILE: tuple[Any, ...] = (None, True, 0, -1, 10**30, Decimal("1E+400"), "", "=", "\ud800", "x" * 10_000, [], [[]], {}, {"": None})
_NOBODY = "flowledger-plugin-check"


def problems(part: Any) -> list[str]:
    """What is wrong with it; it is installed in this process, when it isn't yet."""
    try:
        check(part)
    except Unfit as e:
        return [str(e)]
    if not taken(part):
        install(part)
    return list(_KINDS[type(part)](part))


def _function(part: p.Function) -> Iterator[str]:
    from flowledger.kernel import feel
    from flowledger.kernel.feel.builtins.registry import Signature
    from flowledger.kernel.feel.values import from_json, to_json

    if not part.examples:
        yield f"{part.name} has no examples"
    for text, expected in part.examples.items():
        try:
            found = [to_json(feel.evaluate(text)) for _ in range(2)]
        except feel.FeelSyntaxError as e:
            yield f"the example {text!r} is no FEEL: {e}"
            continue
        if f"{part.name}(" not in text:
            yield f"the example {text!r} doesn't call {part.name}"
        if found[0] != found[1]:
            yield f"{text!r} gave {found[0]!r}, then {found[1]!r}: a function gives the same for the same arguments"
        elif found[0] != expected:
            yield f"{text!r}: expected {expected!r}, found {found[0]!r}"
    signature = Signature(part.signature, part.call)
    count = len(signature.checks) or 1
    for value in HOSTILE:
        if (given := signature.bind([from_json(value) for _ in range(count)])) is None:
            continue  # the signature keeps it out
        before = copy.deepcopy(given)
        try:
            part.call(*given)
        except ValueError:
            pass
        except Exception as e:  # noqa: BLE001
            yield f"{part.name}({value!r:.60}) raised {type(e).__name__}: {e}; expected a value or ValueError"
        if given != before:
            yield f"{part.name} changes its arguments"


def _strategy(part: p.Strategy) -> Iterator[str]:
    def candidate(name: str, tasks: int) -> p.Candidate:
        record = {"groups": ["clerks"], "capabilities": {"python": tasks}}
        return p.Candidate(name=name, kind="human", groups=frozenset({"clerks"}), tasks=tasks, load=Decimal(tasks), record=record)

    people = [candidate("ann", 2), candidate("bob", 0), candidate("cem", 1)]
    for several in (people, people[:1], people[1:]):
        before = copy.deepcopy(several)
        try:
            found = [part.choose(list(several), {"python": Decimal(1)}) for _ in range(2)]
        except Exception as e:  # noqa: BLE001
            yield f"it raised {type(e).__name__}: {e}"
            return
        if found[0] != found[1]:
            yield "it chooses differently for the same candidates"
        if not (isinstance(found[0], tuple) and len(found[0]) == 2 and all(isinstance(x, str) and x for x in found[0])):
            yield f"expected (name, why), found {found[0]!r:.100}"
        elif found[0][0] not in {c.name for c in several}:
            yield f"it chose {found[0][0]!r}, who was none of the candidates"
        if several != before:
            yield "it changes the candidates"


def _step(part: p.StepType) -> Iterator[str]:
    from flowledger.kernel.model import read

    def errors(fields: dict[str, Any]) -> list[str]:
        text = json.dumps({"id": "check", "steps": [{"id": "one", "type": part.name, **fields}]})
        return [f.message for f in read(text.encode(), "check.json")[1] if f.severity == "error"]

    if found := errors(dict(part.example)):
        yield f"its example: {found[0]}"
    for name, field in part.fields.items():
        rest = {k: v for k, v in part.example.items() if k != name}
        if field.required and not errors(rest):
            yield f"a step without {name} was not refused"
        for value in HOSTILE[1:]:
            if isinstance(value, (Decimal, bool)) or value == "\ud800":
                continue  # no value of JSON, or one that its field may take
            wrong = [m for m in errors({**part.example, name: value}) if "plug-in" in m]
            if wrong:
                yield f"{name} = {value!r:.60}: {wrong[0]}"


def _secrets(part: p.SecretProvider) -> Iterator[str]:
    try:
        provider = part.open(part.example)
        if (found := provider.get(_NOBODY)) is not None:
            yield f"expected None for a secret that isn't there, found a {type(found).__name__}"
    except (OSError, ValueError):
        return  # away, or it can't be had here, in its own words
    except Exception as e:  # noqa: BLE001
        yield f"it raised {type(e).__name__}; expected OSError or ValueError"


def _connector(part: p.Connector) -> Iterator[str]:
    from pydantic import ValidationError

    from flowledger.connectors.templates import template

    config = part.connector.config
    if not (config.__doc__ or "").strip():
        yield "its configuration has no docstring, which is the template's description"
    try:
        json.dumps(template(part.connector.name))
    except Exception as e:  # noqa: BLE001
        yield f"no element template can be made of its configuration: {type(e).__name__}: {e}"
    try:
        config.model_validate({_NOBODY: 1})
        yield "its configuration takes a field that it doesn't have"
    except ValidationError:
        pass


def _source(part: p.Source) -> Iterator[str]:
    from flowledger.kernel.model.trigger_sources import SOURCES, problems

    for name, what in problems(SOURCES[part.name].fields, part.example):
        yield f"its example: {name}: expected {what}"
    for name, (look, _) in part.fields.items():
        for value in HOSTILE:
            try:
                if not isinstance(look(value), str):
                    yield f"{name}: the check of {value!r:.60} gave no text"
            except Exception as e:  # noqa: BLE001
                yield f"{name}: the check of {value!r:.60} raised {type(e).__name__}"


def _blobs(part: p.BlobStore) -> Iterator[str]:
    if not part.example:
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield from _store(part.open(part.example.replace("{folder}", folder)), Path(folder))
        except OSError as e:
            yield f"it is away: {type(e).__name__}: {e}"
        except Exception as e:  # noqa: BLE001
            yield f"it raised {type(e).__name__}: {e}; expected OSError"


def _store(store: Any, folder: Path) -> Iterator[str]:
    def put(of: str, data: bytes) -> str:
        name = f"{of}/{hashlib.sha256(data).hexdigest()}"
        file = folder / "flowledger-check"
        file.write_bytes(data)
        store.put(name, file)
        return name

    def read(name: str) -> bytes:
        with store.open(name) as file:
            return b"".join(iter(lambda: file.read(1000), b""))

    began = time.time()
    data = {put(of, content): content for of in ("none", "t-0") for content in (b"", b"one", bytes(range(256)) * 1000)}
    for name, content in data.items():
        if (found := read(name)) != content:
            yield f"{len(content)} bytes were put, {len(found)} others came back"
    for of in ("none", "t-0"):
        mine = {(k[0], k[1]) for k in store.kept(of)}
        expected = {(n, len(c)) for n, c in data.items() if n.startswith(f"{of}/")}
        if mine != expected:
            yield f"kept({of!r}) gave {len(mine & expected)} of {len(expected)}, and {len(mine - expected)} others"
    if wrong := [k for k in store.kept() if not began - 60 < k[2] < time.time() + 60]:
        yield f"a file that was put now is told as put at {wrong[0][2]!r}"
    name = put("none", b"one")
    if store.delete(name, began - 60) or read(name) != b"one":
        yield "it deleted what was put after that moment"
    if not store.delete(name, time.time() + 60):
        yield "it did not delete what was put before that moment"
    try:
        store.open(name).close()
        yield "it opened a file that was deleted; expected FileNotFoundError"
    except FileNotFoundError:
        pass
    if store.delete(name, time.time() + 60):
        yield "it deleted a file twice"
    if set(data) - {name} != {k[0] for k in store.kept()}:
        yield "other files went, too"


_KINDS: dict[type, Any] = {
    p.Function: _function, p.Strategy: _strategy, p.StepType: _step, p.SecretProvider: _secrets, p.Connector: _connector, p.Source: _source,
    p.BlobStore: _blobs,
}  # fmt: skip

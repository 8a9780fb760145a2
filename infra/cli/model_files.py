"""Which files of a folder are models, or records that are deployed with them; what is neither is told, not passed over in silence."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from flowledger.infra.cli.output import USAGE, fail, say
from flowledger.infra.cli.record_files import KINDS
from flowledger.kernel.limits import MODEL_BYTES_MAX

SUFFIXES = frozenset({".bpmn", ".dmn", ".bpml", ".form", ".xml", ".json", ".yaml", ".yml"})
#: what lies beside models, and who takes it
_ELSEWHERE = {
    ".flowtest.": "a test: flowledger test",
    ".connector.": "a connector's template",
    ".capability.": "a capability: flowledger capabilities put",
    ".schedule.": "when a report is sent: flowledger reports schedule",
    "flowledger.rollouts.": "settings of a bundle: flowledger bundle",
}
#: tests and settings that lie beside models; triggers are deployed by those who ask for it
OTHERS = (".flowtest.", ".trigger.", ".connector.", ".capability.", ".schedule.", *(f".{kind.word}." for kind in KINDS))
#: folders of tools, which nobody means; hidden ones are left alone as well
TOOLS = frozenset({"node_modules", "__pycache__"})
#: of one deployment: files and folders that are looked at, models (as the server takes them), bytes of all
LOOKED_MAX, MODELS_MAX, BYTES_MAX = 100_000, 1_000, 128 * 1024 * 1024
#: files that are named of those that are ignored
NAMED_MAX = 10
_WORDS = "BPMN, DMN, BPML, a form, a trigger, or JSON or YAML of a process, of steps or of capabilities"


class Model(NamedTuple):
    """`name`: of the resource. It is the file's name, and the way to it where two have one."""

    path: Path
    name: str


class Gathered(NamedTuple):
    """`ignored`: files of folders that are of no kind, and why."""

    models: list[Model]
    records: list[Path]
    ignored: list[tuple[Path, str]]

    def tell(self) -> None:
        """On stderr."""
        from rich.markup import escape

        if not self.ignored:
            return
        named = ", ".join(f"{path} ({why})" if why else str(path) for path, why in self.ignored[:NAMED_MAX])
        more = f" and {len(self.ignored) - NAMED_MAX} more" if len(self.ignored) > NAMED_MAX else ""
        say(f"[dim]ignored {len(self.ignored)} file{'s' if len(self.ignored) != 1 else ''}: {escape(named)}{more}[/]")


def is_model(path: Path) -> bool:
    name = path.name
    return path.suffix.lower() in SUFFIXES and not name.startswith((".", "~", "#")) and not any(o in name for o in OTHERS)


def models_in(folder: Path) -> list[Path]:
    """Those that a watched folder deploys."""
    return sorted(
        p
        for p in folder.rglob("*")
        if p.is_file() and is_model(p) and not any(part.startswith(".") for part in p.relative_to(folder).parts)
    )


def gathered(given: Sequence[Path]) -> Gathered:
    """Files, and of folders all that is of a known kind. Fails where a given file is of none, and where there is too much."""
    models: dict[Path, Path] = {}
    records: dict[Path, Path] = {}
    ignored: list[tuple[Path, str]] = []
    unknown: list[str] = []
    size = 0
    for each in given:
        folder = each.is_dir()
        before = len(models) + len(records)
        for path in _files(each) if folder else [each]:
            place = Path(os.path.abspath(path))
            if place in models or place in records:
                continue
            if _is_record(path):
                records[place] = path
                continue
            why = _why_not(path, folder)
            if why is None:
                models[place] = path
                size += path.stat().st_size
            elif folder:
                ignored.append((path, why))
            else:
                unknown.append(f"{path}{f' is {why}' if why else ''}")
            if len(models) > MODELS_MAX:
                fail(f"{each}: expected at most {MODELS_MAX} models in one deployment, found more", USAGE)
            if size > BYTES_MAX:
                fail(f"{each}: expected models of at most {BYTES_MAX} bytes together in one deployment, found more", USAGE)
        if folder and len(models) + len(records) == before:
            Gathered([], [], ignored).tell()
            fail(f"{each}: expected a folder with models, found none in it", USAGE)
    if unknown:
        fail(f"expected {_WORDS}, or {_records()}; found none of these: {', '.join(unknown[:NAMED_MAX])}", USAGE)
    return Gathered(_named(given, [*models.values()]), [*records.values()], ignored)


def _records() -> str:
    return ", ".join(f"*.{kind.word}.yaml" for kind in KINDS)


def _named(given: Sequence[Path], paths: list[Path]) -> list[Model]:
    """The file's name as long as it is the only one: so a file that is deployed by itself later is the same resource."""
    names = Counter(path.name for path in paths)
    tops = [each for each in given if each.is_dir()]

    def name(path: Path) -> str:
        if names[path.name] == 1:
            return path.name
        top = next((top for top in tops if path.is_relative_to(top)), None)
        return (path.relative_to(top) if top is not None else path).as_posix()

    return [Model(path, name(path)) for path in paths]


def _files(folder: Path) -> list[Path]:
    found, looked = [], 0
    for place, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in TOOLS)
        looked += len(folders) + len(files)
        if looked > LOOKED_MAX:
            fail(f"{folder}: expected a folder with at most {LOOKED_MAX} files and folders, found more", USAGE)
        found += [Path(place) / f for f in files if not f.startswith((".", "~", "#")) and not f.endswith("~")]
    return sorted(found)


def _unreadable(e: OSError) -> None:
    fail(f"{e.filename}: {e.strerror}", USAGE)


def _is_record(path: Path) -> bool:
    return any(kind.of([path]) for kind in KINDS)


def _why_not(path: Path, folder: bool) -> str | None:
    """Why a file isn't deployed; None: it is a model, or is meant to be one and broken: then its findings say more."""
    from flowledger.kernel.model import read
    from flowledger.kernel.model.formats import detect

    for part, why in _ELSEWHERE.items():
        if part in path.name:
            return why
    if folder and path.suffix.lower() not in SUFFIXES:
        return ""
    data = _data(path)
    if detect(data, path.name) != "unknown" and (path.suffix.lower() in (".bpmn", ".dmn", ".bpml") or not _other_xml(data, path)):
        return None
    if not data.strip():
        return "empty"
    graph, findings = read(data, path.name)
    if graph is not None or any(f.code not in ("FORMAT_UNKNOWN", "NOT_BPMN") for f in findings):
        return None
    suffix = path.suffix.lower()
    return "XML of something else" if suffix == ".xml" else _other_text(data, suffix)


def _other_xml(data: bytes, path: Path) -> bool:
    """`detect` takes any XML for BPMN, so that it is read, and what is wrong said."""
    return path.suffix.lower() == ".xml" and b"omg.org/spec/" not in data and b"bpmi.org" not in data


def _other_text(data: bytes, suffix: str) -> str | None:
    """What is broken may be a model: it isn't passed over."""
    import yaml

    try:
        if suffix == ".json":
            msgspec.json.decode(data)
            return "JSON of something else"
        if suffix in (".yaml", ".yml"):
            list(yaml.parse(data, Loader=yaml.SafeLoader))
            return "YAML of something else"
    except (msgspec.DecodeError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return None
    return "" if suffix not in SUFFIXES else None


def _data(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            fail(f"{path}: a file was expected", USAGE)
        with path.open("rb") as f:
            data = f.read(MODEL_BYTES_MAX + 1)
    except OSError as e:
        fail(f"{path}: {e.strerror}", USAGE)
    if len(data) > MODEL_BYTES_MAX:
        fail(f"{path}: expected at most {MODEL_BYTES_MAX} bytes, found more", USAGE)
    return data

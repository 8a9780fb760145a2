"""A folder (of a Git repository) as a bundle: its models, by their paths in it; hidden files and folders are left alone.

Settings may stand beside, in `flowledger.rollouts.yaml` (or `.json`) at its top: a list of `{kind?, id, share?, stopped?}`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from flowledger.infra.cli.bundles.content import RESOURCE_BYTES_MAX, RESOURCES_MAX, Bundle, Resource, Setting, Wrong, checked, defined_in
from flowledger.infra.cli.model_files import is_model
from flowledger.infra.cli.models import finding_view

SETTINGS = ("flowledger.rollouts.yaml", "flowledger.rollouts.yml", "flowledger.rollouts.json")
#: files and folders that are looked at
LOOKED_MAX = 100_000


def load(folder: Path) -> tuple[Bundle, list[dict[str, Any]], list[str]]:
    """With what a check of the models finds, and the files that were passed over. Raises: Wrong."""
    if not folder.is_dir():
        raise Wrong(f"{folder}: a folder was expected")
    top, resources, findings, passed = folder.resolve(), [], [], []
    for path in _models(folder):
        name = path.relative_to(folder).as_posix()
        if not path.resolve().is_relative_to(top):
            raise Wrong(f"{path}: it is a link to what is outside of {folder}")
        content = _text(path)
        defined, found = defined_in(path.name, content)
        shown = [finding_view(f, name) for f in found]
        if defined is None and _of_something_else(path, content, found):
            passed.append(name)
            continue
        findings += shown
        if defined:
            resources.append(Resource(name, content, defined))
        if len(resources) > RESOURCES_MAX:
            raise Wrong(f"{folder}: expected at most {RESOURCES_MAX} models, found more")
    return checked(resources, _settings(folder), str(folder)), findings, passed


def _of_something_else(path: Path, content: str, findings: list[Any]) -> bool:
    """JSON, YAML or XML that is whole, and no model. What is broken may be one: it isn't passed over."""
    suffix = path.suffix.lower()
    if suffix not in (".json", ".yaml", ".yml", ".xml") or any(f.code not in ("FORMAT_UNKNOWN", "NOT_BPMN") for f in findings):
        return False
    if suffix == ".xml":
        return True
    import yaml

    try:
        msgspec.json.decode(content) if suffix == ".json" else list(yaml.parse(content, Loader=yaml.SafeLoader))
    except (msgspec.DecodeError, yaml.YAMLError, RecursionError):
        return False
    return True


def _models(folder: Path) -> list[Path]:
    found, looked = [], 0
    for place, folders, files in os.walk(folder, onerror=_fail):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        looked += len(folders) + len(files)
        if looked > LOOKED_MAX:
            raise Wrong(f"{folder}: expected a folder with at most {LOOKED_MAX} files and folders, found more")
        found += [Path(place) / f for f in files if _is_resource(Path(f)) and not (f in SETTINGS and Path(place) == folder)]
    return sorted(found)


def _is_resource(file: Path) -> bool:
    """Triggers are deployed like models."""
    return is_model(file) or is_model(Path(file.name.replace(".trigger.", ".")))


def _fail(e: OSError) -> None:
    raise Wrong(f"{e.filename}: {e.strerror}")


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise Wrong(f"{path}: a file was expected")
        with path.open("rb") as f:
            data = f.read(RESOURCE_BYTES_MAX + 1)
    except OSError as e:
        raise Wrong(f"{path}: {e.strerror}") from None
    if len(data) > RESOURCE_BYTES_MAX:
        raise Wrong(f"{path}: expected at most {RESOURCE_BYTES_MAX} bytes, found more")
    return data


def _text(path: Path) -> str:
    from flowledger.sdk.resources import text_of

    try:
        return text_of(_bytes(path))
    except (UnicodeDecodeError, LookupError) as e:
        raise Wrong(f"{path}: text in the encoding that it says was expected: {e}") from None


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    kind: str = "process"
    share: float | None = None
    stopped: bool = False


def _settings(folder: Path) -> list[Setting]:
    there = [folder / name for name in SETTINGS if (folder / name).exists()]
    if len(there) > 1:
        raise Wrong(f"{folder}: expected one of {', '.join(p.name for p in there)}, found both")
    if not there:
        return []
    import yaml

    try:  # JSON is YAML
        said = msgspec.convert(yaml.safe_load(_bytes(there[0])) or [], list[_Said])
    except (yaml.YAMLError, msgspec.MsgspecError, RecursionError) as e:
        raise Wrong(f"{there[0]}: a list of {{id, share?, stopped?}} was expected: {e}") from None
    return [Setting(s.kind, s.id, s.share, s.stopped) for s in said]

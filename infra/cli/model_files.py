"""Which files of a folder are models."""

from __future__ import annotations

from pathlib import Path

from flowledger.infra.cli.output import USAGE, fail
from flowledger.infra.cli.record_files import KINDS

SUFFIXES = frozenset({".bpmn", ".dmn", ".bpml", ".form", ".xml", ".json", ".yaml", ".yml"})
#: tests and settings that lie beside models
OTHERS = (".flowtest.", ".trigger.", ".connector.", ".capability.", *(f".{kind.word}." for kind in KINDS))


def is_model(path: Path) -> bool:
    name = path.name
    return path.suffix.lower() in SUFFIXES and not name.startswith((".", "~", "#")) and not any(o in name for o in OTHERS)


def models_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and is_model(p) and not any(part.startswith(".") for part in p.parts))


def models_of(files: list[Path]) -> list[Path]:
    """Files, and of folders all models."""
    return [file for each in files for file in (_folder(each) if each.is_dir() else [each])]


def _folder(folder: Path) -> list[Path]:
    """Its models; JSON and YAML of something else lie beside them."""
    from flowledger.kernel.model.formats import detect

    found = [file for file in models_in(folder) if detect(file.read_bytes(), file.name) != "unknown"]
    return found or fail(f"{folder}: expected a folder with models, found none in it", USAGE)

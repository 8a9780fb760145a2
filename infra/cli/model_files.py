"""Which files of a folder are models."""

from __future__ import annotations

from pathlib import Path

from flowledger.infra.cli.record_files import KINDS

SUFFIXES = frozenset({".bpmn", ".dmn", ".bpml", ".form", ".xml", ".json", ".yaml", ".yml"})
#: tests and settings that lie beside models
OTHERS = (".flowtest.", ".trigger.", ".connector.", ".capability.", *(f".{kind.word}." for kind in KINDS))


def is_model(path: Path) -> bool:
    name = path.name
    return path.suffix.lower() in SUFFIXES and not name.startswith((".", "~", "#")) and not any(o in name for o in OTHERS)


def models_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and is_model(p) and not any(part.startswith(".") for part in p.parts))

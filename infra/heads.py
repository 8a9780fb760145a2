"""Which key signs the heads of this process's partitions, and where they are kept, by its settings."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from pathlib import Path

from flowledger.infra.anchors import Anchors, places
from flowledger.infra.settings import Settings, SettingsError
from flowledger.infra.signing import KeyFile, KeyUnusable, generate
from flowledger.processors.heads import Signing

NONE = "none"


def key_path(settings: Settings) -> Path | None:
    """The file of the signing key; None: this process signs nothing."""
    if settings.signing_key == NONE or (not settings.signing_key and settings.kafka):
        return None
    return Path(settings.signing_key) if settings.signing_key else settings.data / "keys" / "ledger.pem"


def heads_path(settings: Settings) -> Path:
    """The anchor that a server has by default."""
    return settings.data / "heads.jsonl"


def signing_of(settings: Settings, kept: Callable[[str, bool], None] = lambda place, ok: None) -> Signing | None:
    """Made once for a process. A key that a setting names must be there; the default one is made at the first start. Raises: SettingsError."""
    path = key_path(settings)
    if path is None:
        return None
    try:
        key = KeyFile(path) if settings.signing_key or path.exists() else _first(path)
        token = Path(settings.anchor_token_file).read_text().strip() if settings.anchor_token_file else ""
        named = settings.anchors or (f"file:{heads_path(settings)}",)
        anchors = Anchors(places(named, token), kept)
        atexit.register(anchors.close)  # heads of the last moment are kept too
    except KeyUnusable as e:
        raise SettingsError(f"setting signing_key: {e}") from None
    except ValueError as e:
        raise SettingsError(f"setting anchors: {e}") from None
    except OSError as e:
        raise SettingsError(f"setting anchor_token_file: {settings.anchor_token_file}: {e.strerror}") from None
    return Signing(key, anchors, settings.head_groups, settings.head_s)


def _first(path: Path) -> KeyFile:
    """Several processes may start at once: the first one makes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.chmod(path.parent, 0o700)
    try:
        return generate(path)
    except KeyUnusable:
        return KeyFile(path)

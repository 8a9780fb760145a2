"""Which sources are read, and by whom."""

from __future__ import annotations

from flowledger.connectors.sources.frame import Kind
from flowledger.connectors.sources.own_events import open_events

#: source (`kernel/model/trigger_sources.py`) -> who opens it
KINDS: dict[str, Kind] = {"events": open_events}

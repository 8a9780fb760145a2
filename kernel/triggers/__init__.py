"""Triggers: what an item of a source does, when a schedule is due, and the home that remembers (docs/decisions/0011)."""

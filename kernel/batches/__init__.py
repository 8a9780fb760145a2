"""Batches: one action for many items, each once (docs/decisions/0009)."""

"""Webhooks: which records stand, which events may be told, when one that wasn't taken is due again (docs/decisions/0011)."""

"""Alerts: what a rule may say, and when it fires (docs/insight.md)."""

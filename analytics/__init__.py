"""Figures from events: pure functions, whoever runs them (docs/decisions/0014-insight.md)."""

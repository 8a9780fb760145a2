"""Figures from events: pure functions, whoever runs them (docs/decisions/0012-insight.md)."""

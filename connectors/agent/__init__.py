"""Agents: a language model that chooses among the activities of an ad-hoc sub-process (docs/agents.md)."""

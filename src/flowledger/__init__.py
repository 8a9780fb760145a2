"""Flowledger: a workflow orchestrator that runs from a ledger."""

__version__ = "0.1.0"

"""Stub servers of the platform's capabilities: what `flowledger stubs` serves, and what their contract suites run against."""

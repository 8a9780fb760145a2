"""Snowflake by its SQL REST API (v2)."""

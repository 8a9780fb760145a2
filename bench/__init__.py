"""Benchmarks: each module has `run() -> list[dict]`, a figure per row."""

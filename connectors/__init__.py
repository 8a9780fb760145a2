"""Connectors: jobs that a process of ours works on, so that a model calls the world without code (docs/connectors.md).

One connector is one module (or folder) with a typed configuration and one call; `frame` is what they have in common, `catalogue` lists them.
"""

"""Bundles: definitions with their settings as one file or folder, compared with what a server has, and promoted to it (docs/control.md)."""

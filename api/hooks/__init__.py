"""Webhooks that come in: `POST /hooks/{path}`, each the door of one trigger (docs/triggers.md)."""

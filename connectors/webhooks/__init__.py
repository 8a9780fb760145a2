"""Webhooks are sent: which events, in which words, signed how, by whom (docs/webhooks.md)."""

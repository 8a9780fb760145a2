"""Drawing together: a draft's document that several people change at once (docs/decisions/0015-drawing-together.md)."""

"""Advice from histories: what would make a process faster, with what speaks for it, what it would gain, and what to change."""

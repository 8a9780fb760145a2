"""How each event changes the state, by noun. The table of all is in `kernel/fold.py`."""

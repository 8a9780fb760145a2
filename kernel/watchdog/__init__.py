"""What must hold of everything that runs, looked at while it runs; what doesn't hold is a finding, and has repairs (docs/control.md, "Watchdog").

`kinds`: the table of what can be found. `looking`: the checks, pure functions of a partition's state at rest. `peers`: what only another partition
can tell. Who goes round, and when a suspicion is a finding, is `processors/watchdog.py`; repairs are `kernel/handlers/repairs.py`.
"""

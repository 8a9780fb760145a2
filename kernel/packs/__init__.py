"""Rule packs: what must hold of models, instances and tasks (docs/rules.md).

`judge`: one rule and what it sees, evaluated within bounds. `contexts`: what rules see. `gate`: where decisions ask. A pack is a definition of kind
`rules`; which version is in force is said as for processes.
"""

"""Sources of triggers that are read: each trigger by one reader of one node, with a lease (docs/triggers.md, docs/decisions/0011)."""

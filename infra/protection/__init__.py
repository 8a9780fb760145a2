"""Keys of protected variables: a key encryption key outside of all that is kept (`wrapping.py`), data keys by subject in PostgreSQL (`store.py`), and the
vault that seals and opens with them (`vault.py`). Source: docs/decisions/0016, docs/privacy.md."""

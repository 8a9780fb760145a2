"""Whole systems, as `tests/system` has them."""

from tests.system.conftest import place  # noqa: F401 - a fixture

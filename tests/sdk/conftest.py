"""The scripted engine of the gateway's tests serves these too."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("flowledger_fake_engine", Path(__file__).parents[1] / "gateway" / "conftest.py")
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture
async def engine():
    return _module.FakeClient()

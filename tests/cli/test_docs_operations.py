"""What the pages say of settings, figures and paths is what the code has."""

from __future__ import annotations

from pathlib import Path

from flowledger.infra.settings import Settings
from flowledger.infra.telemetry import Metrics

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_names_every_setting_with_its_default():
    page = (DOCS / "operations.md").read_text()
    for name, field in Settings.model_fields.items():
        row = next((line for line in page.splitlines() if line.startswith(f"| `FLOWLEDGER_{name.upper()}` |")), None)
        assert row is not None, f"{name} isn't in docs/operations.md"
        default = field.get_default(call_default_factory=True)
        shown = ",".join(default) if isinstance(default, tuple) else str(default or "") if isinstance(default, dict) else str(default)
        assert name == "node" or (f"`{shown}`" in row if shown else "| |" in row), f"{name}: its default is {shown}"


def test_the_page_names_every_figure():
    page = (DOCS / "operations.md").read_text()
    for metric in Metrics().registry.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        assert f"| `{name}` |" in page, f"{name} isn't in docs/operations.md"


def test_the_page_of_the_api_names_every_noun():
    from flowledger.api.app import NOUNS

    page = (DOCS / "http-api.md").read_text()
    assert all(f"/{noun}" in page for noun in NOUNS)

"""Every part of the plug-in against what Flowledger holds it to."""

import pytest
from flowledger_bank.archive import ARCHIVE
from flowledger_bank.connector import BANK
from flowledger_bank.functions import FUNCTIONS
from flowledger_bank.secrets import NETRC
from flowledger_bank.source import LINES
from flowledger_bank.steps import TRANSFER
from flowledger_bank.strategy import NEAREST

from flowledger.plugin import Part, name_of
from flowledger.plugins.kit import problems


@pytest.mark.parametrize("part", [*FUNCTIONS, TRANSFER, BANK, NEAREST, NETRC, LINES, ARCHIVE], ids=name_of)
def test_it_keeps_to_the_contract(part: Part) -> None:
    assert problems(part) == []

"""The built-in functions (DMN 1.5, 10.3.4) by topic, and the extensions."""

from flowledger.kernel.feel.builtins import (  # noqa: F401 - importing declares them
    contexts,
    conversion,
    extensions,
    lists,
    moments,
    numeric,
    ranges,
    rangetext,
    strings,
)
from flowledger.kernel.feel.builtins.registry import BUILTINS, Builtin

__all__ = ["BUILTINS", "Builtin"]

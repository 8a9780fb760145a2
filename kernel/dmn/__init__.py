"""Decision models by DMN 1.5 (and 1.1 to 1.4): read, evaluate, trace, check. Pure; see docs/dmn.md.

    evaluate(xml, "Approval", {"amount": 10})      the value
    model = read(xml); model.evaluate("Approval", {"amount": 10}).trace

Errors: DmnError for a model that can't be read or a name that isn't in it; an error in an expression is null with a warning.
"""

from flowledger.kernel.dmn.checks import findings
from flowledger.kernel.dmn.errors import DmnError
from flowledger.kernel.dmn.evaluation import DecisionModel, Evaluation, evaluate, read

__all__ = ["DecisionModel", "DmnError", "Evaluation", "evaluate", "findings", "read"]

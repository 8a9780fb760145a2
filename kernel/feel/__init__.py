"""FEEL, the expression language of DMN 1.5 (chapter 10): parsed once, compiled once to closures, evaluated without exceptions.

    evaluate(text, context)          the value of an expression
    unary_test(text, value, context) whether a value passes the tests of a decision table's cell
    compile, compile_unary           the same in two steps, for expressions that are used again
    parse                            the tree

Numbers are `decimal.Decimal`; `values` lists all types, `types` those of the language. Errors in expressions are null and, where a list is
given for them, warnings; `FeelSyntaxError` is raised for a text that can't be parsed, and nothing else. See docs/feel.md.
"""

from flowledger.kernel.feel import types, values
from flowledger.kernel.feel.engine import Compiled, CompiledTests, compile, compile_unary, evaluate, parse, parse_unary, unary_test
from flowledger.kernel.feel.errors import FeelSyntaxError, Warning
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.values import FeelFunction

__all__ = [
    "Compiled",
    "CompiledTests",
    "FeelFunction",
    "FeelSyntaxError",
    "Runtime",
    "Warning",
    "compile",
    "compile_unary",
    "evaluate",
    "parse",
    "parse_unary",
    "types",
    "unary_test",
    "values",
]

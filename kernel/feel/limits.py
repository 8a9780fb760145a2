"""Bounds of FEEL, so that no expression can hang or fill an owner. All are deterministic: they count, they don't measure.

Beyond a bound of parsing stands a FeelSyntaxError, beyond one of evaluation null with a warning.
"""

#: Longest text that is parsed, in code points.
text_chars_max = 100_000
#: Deepest nesting of a text.
nesting_max = 150
#: Longest chain `a + b + c ...`, which makes a tree as deep as it is long.
chain_max = 1_000
#: Most levels of the tree of an expression.
height_max = 1_500
#: Attempts of the parser, for the few places where it has to try twice.
parse_steps_max = 100_000
#: Iterations, calls and items touched in one evaluation; what is repeated counts with its operators, costly functions for more.
steps_max = 1_000_000
#: Depth of calls, each counted with the height of its expression.
depth_max = 2_000
#: Depth of a value that is compared, written or converted.
value_depth_max = 200
#: Longest string that an operation may make, in code points.
string_chars_max = 1_000_000
#: Longest list that an operation may make.
list_items_max = 1_000_000
#: Warnings kept of one evaluation.
warnings_max = 100
#: Frames that Python must allow for the bounds above to be reached before Python's own. Calls of Python functions take no C stack (3.11).
python_frames = 12_000
#: So many local names are copied in about one step.
LOCALS = 32

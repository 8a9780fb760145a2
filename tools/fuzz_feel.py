"""Coverage-guided fuzzing of FEEL: `python tools/fuzz_feel.py CORPUS_DIR -max_total_time=3600` in an environment with `atheris`.

Anything but a value or `FeelSyntaxError` is a crash; `-timeout=10` makes a hang one too.
"""

import sys

import atheris

with atheris.instrument_imports(include=["flowledger.kernel.feel"]):
    from flowledger.kernel import feel

CONTEXT = {
    "a": 1, "b": "text", "c": [1, 2, 3], "d": {"e": None, "f g": 2}, "h i": True, "j": None, "k": 1.5, "list": [{"x": 1, "y": "s"}, {"x": 2}], "day": "2024-02-29",
}  # fmt: skip


def one(data: bytes) -> None:
    text = data.decode("utf-8", "ignore")
    try:
        feel.evaluate(text, CONTEXT)
    except feel.FeelSyntaxError:
        pass
    try:
        feel.unary_test(text, 5, CONTEXT)
    except feel.FeelSyntaxError:
        pass


atheris.Setup(sys.argv, one)
atheris.Fuzz()

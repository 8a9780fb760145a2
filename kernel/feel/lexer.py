"""Tokens of FEEL (DMN 1.5, 10.3.1.2 rules 26 to 37, 61 to 65). One regular expression, one pass.

A name of the language can hold several tokens (`a - b`, `Profit and loss`): which tokens make one name depends on the scope and is the
parser's matter, so characters that only make sense inside of names (`'`, `?`) are tokens of their own.
"""

from __future__ import annotations

import re

from flowledger.kernel.feel import limits
from flowledger.kernel.feel.errors import FeelSyntaxError

# Kinds of tokens.
NAME, NUMBER, STRING, AT, SYMBOL, END = "name", "number", "string", "at", "symbol", "end"
#: A name in backticks, of any characters: an extension that users of Zeebe know.
QUOTED = "quoted"

#: Words that can't start a name by themselves.
KEYWORDS = frozenset("if then else for in return some every satisfies and or between instance of function external null true false".split())

_SPACE = "\u0009-\u000d\u0020\u0085\u00a0\u1680\u180e\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
# Rule 28 (name start char) and 29 (name part char).
_START = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u167f\u1681-\u180d\u180f-\u1fff\u200c-\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufefe\uff00-\ufffd\U00010000-\U000effff"
)
_PART = _START + "0-9\u00b7\u0300-\u036f\u203f-\u2040"

_TOKEN = re.compile(
    rf"""(?P<space>(?:[{_SPACE}]+|//[^\n\r]*|/\*.*?(?:\*/|\Z))+)
    |(?P<name>\??[{_START}][{_PART}]*|\?)
    |(?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+(?![{_PART}]))?)
    |(?P<string>"(?:[^"\\\n\r]|\\.)*")
    |(?P<at>@[ \t]*"(?:[^"\\\n\r]|\\.)*")
    |(?P<quoted>`[^`\n\r]+`)
    |(?P<symbol>\*\*|\.\.|<=|>=|!=|->|[^{_SPACE}])""",
    re.VERBOSE | re.DOTALL,
)

_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{6})|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\"}
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


class Token:
    __slots__ = ("kind", "text", "start", "end")

    def __init__(self, kind: str, text: str, start: int, end: int) -> None:
        self.kind, self.text, self.start, self.end = kind, text, start, end

    def __repr__(self) -> str:
        return f"{self.kind}:{self.text}"


def tokens(text: str) -> list[Token]:
    """All tokens of a text, an END token last. Raises FeelSyntaxError for a text that is too long."""
    if len(text) > limits.text_chars_max:
        raise FeelSyntaxError(f"longer than {limits.text_chars_max} characters", text, limits.text_chars_max)
    out = [Token(m.lastgroup or SYMBOL, m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text) if m.lastgroup != "space"]
    out.append(Token(END, "", len(text), len(text)))
    return out


def words(name: str) -> tuple[str, ...]:
    """A name as its tokens: two names are the same if these are."""
    return tuple(t.text for t in tokens(name[:1000])[:-1])


def is_plain(name: str) -> bool:
    """Whether a name is one token that isn't a keyword, so that no scope is needed to find it."""
    return name.isidentifier() and name not in KEYWORDS


def unescape(text: str, at: int, source: str) -> str:
    """The value of a string literal without its quotes. An unknown escape keeps its backslash, as patterns such as "\\s" need it."""
    if "\\" not in text:
        return text

    def one(m: re.Match[str]) -> str:
        code = m[1] or m[2]
        if code:
            value = int(code, 16)
            if value > 0x10FFFF:
                raise FeelSyntaxError("no such code point", source, at + m.start())
            return chr(value)
        return _SIMPLE.get(m[3], m[0])

    out = _ESCAPE.sub(one, text)
    # A surrogate pair written as two escapes is one code point.
    return _PAIR.sub(lambda m: m[0].encode("utf-16", "surrogatepass").decode("utf-16"), out)

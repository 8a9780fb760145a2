"""The floor of the parser: tokens, names of several words, and types (DMN 1.5, 10.3.1.2, rules 25 to 30 and 53 to 55)."""

from __future__ import annotations

from typing import NoReturn

from flowledger.kernel.feel import limits
from flowledger.kernel.feel import tree as t
from flowledger.kernel.feel.errors import FeelSyntaxError
from flowledger.kernel.feel.lexer import END, KEYWORDS, NAME, NUMBER, QUOTED, STRING, SYMBOL, Token, tokens
from flowledger.kernel.feel.names import NameIndex

#: What may stand between the tokens of a name (rule 30).
_NAME_SYMBOLS = frozenset((".", "/", "-", "'", "+", "*", "’"))  # noqa: RUF001 - the grammar has this one too
_TYPE_NAMES = ("days and time duration", "day time duration", "years and months duration", "year month duration", "date and time")
#: Properties of values whose names have several words.
MEMBERS = ("time offset", "start included", "end included")
TYPE_INDEX = NameIndex(_TYPE_NAMES)


class Reading:
    def __init__(self, text: str, names: NameIndex, members: NameIndex, builtins: NameIndex) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0
        self.token = self.tokens[0]
        #: Scopes from inner to outer are searched together; the longest match wins.
        self.scopes: list[NameIndex] = [names]
        #: places after `..` where no endpoint can be read: token index -> why
        self.dead_ends: dict[int, FeelSyntaxError] = {}
        self.members = members
        self.builtins = builtins
        self.depth = 0
        self.steps = 0
        #: Set where a name, or the name of a member, may have been read differently in another scope.
        self.ambiguous = False
        self.ambiguous_member = False
        self.partial_seen = False

    # Tokens

    def fail(self, message: str, position: int | None = None) -> NoReturn:
        raise FeelSyntaxError(message, self.text, self.token.start if position is None else position)

    def advance(self, count: int = 1) -> Token:
        token = self.token
        self.at += count
        self.token = self.tokens[self.at]
        return token

    def back(self, at: int) -> None:
        self.at, self.token = at, self.tokens[at]

    def peek(self, count: int = 1) -> Token:
        return self.tokens[min(self.at + count, len(self.tokens) - 1)]

    def is_symbol(self, text: str) -> bool:
        return self.token.text == text and self.token.kind == SYMBOL

    def is_word(self, text: str) -> bool:
        return self.token.text == text and self.token.kind == NAME

    def expect(self, text: str) -> Token:
        if self.token.text != text or self.token.kind not in (SYMBOL, NAME):
            self.fail(f"expected {text!r}, found {self.found()}")
        return self.advance()

    def found(self) -> str:
        return "the end of the text" if self.token.kind == END else repr(self.token.text)

    def end(self) -> None:
        if self.token.kind != END:
            self.fail(f"unexpected {self.found()}")

    def enter(self) -> None:
        self.depth += 1
        self.steps += 1
        if self.depth > limits.nesting_max:
            self.fail(f"nested deeper than {limits.nesting_max}")
        if self.steps > limits.parse_steps_max:
            self.fail("too complex to parse")

    # Names

    def parameter_name(self, take: bool = False) -> str | None:
        """The name before a colon, if here is one."""
        at = self.at
        if self.tokens[at].kind != NAME:
            return None
        while self.tokens[at].kind in (NAME, NUMBER) or (self.tokens[at].kind == SYMBOL and self.tokens[at].text in _NAME_SYMBOLS):
            at += 1
        if self.tokens[at].text != ":" or self.tokens[at].kind != SYMBOL:
            return None
        name = self.spelled(self.at, at)
        if take:
            self.back(at + 1)
        return name

    def spelled(self, start: int, end: int) -> str:
        """The tokens of a name as one text: a space where the text has any."""
        parts = [self.tokens[start].text]
        for i in range(start + 1, end):
            if self.tokens[i].start > self.tokens[i - 1].end:
                parts.append(" ")
            parts.append(self.tokens[i].text)
        return "".join(parts)

    def declared(self, *stops: str) -> str:
        """A new name, up to one of the tokens `stops`."""
        start = self.at
        if self.token.kind == QUOTED:
            return self.advance().text[1:-1]
        if self.token.kind != NAME:
            self.fail(f"expected a name, found {self.found()}")
        while self.token.text not in stops:
            token = self.token
            if token.kind not in (NAME, NUMBER) and not (token.kind == SYMBOL and token.text in _NAME_SYMBOLS):
                self.fail(f"expected {stops[0]!r}, found {self.found()}")
            self.advance()
        if self.at == start:
            self.fail(f"expected a name, found {self.found()}")
        return self.spelled(start, self.at)

    def member(self) -> str:
        """The name after a dot: the longest that is known, else all words that follow each other."""
        if self.token.kind == STRING:
            self.fail("expected a name after '.'")
        if self.token.kind == QUOTED:
            return self.advance().text[1:-1]
        known = self.members.longest(self.tokens, self.at)
        if known:
            self.advance(known[0])
            name = known[1]
        elif self.token.kind == NAME:
            name = self.loose_name()
        else:
            self.fail(f"expected a name after '.', found {self.found()}")
        self.ambiguous_member = self.ambiguous_member or (self.may_go_on() and self.token.text != ".")
        return name

    def may_go_on(self) -> bool:
        """Whether the name that was just read could be longer in a scope that knows more names."""
        token = self.token
        return token.kind in (NAME, NUMBER) or (token.kind == SYMBOL and token.text in _NAME_SYMBOLS)

    def loose_name(self) -> str:
        """Words that follow each other, the first whatever it is: an unknown name of several words."""
        start = self.at
        self.advance()
        while self.token.kind == NAME and self.token.text not in KEYWORDS:
            self.advance()
        return self.spelled(start, self.at)

    # Types

    def type(self) -> t.TypeNode:
        self.enter()
        start = self.token.start
        if self.token.kind != NAME:
            self.fail(f"expected a type, found {self.found()}")
        name = self.token.text
        if name in ("list", "range", "context", "function") and self.peek().text == "<":
            self.advance(2)
            node = self.generic(start, name)
        else:
            node = t.TypeNode(start, self.type_name())
        self.depth -= 1
        return node

    def generic(self, start: int, name: str) -> t.TypeNode:
        arguments: list[t.TypeNode] = []
        names: list[str] = []
        while not self.is_symbol(">"):
            if name == "context":
                names.append(self.declared(":"))
                self.expect(":")
            arguments.append(self.type())
            if not self.is_symbol(","):
                break
            self.advance()
        self.expect(">")
        result = None
        if name == "function":
            self.expect("->")
            result = self.type()
        if name in ("list", "range") and len(arguments) != 1:
            self.fail(f"{name} takes one type")
        return t.TypeNode(start, name, tuple(arguments), tuple(names), result, True)

    def type_name(self) -> str:
        for index in (TYPE_INDEX, self.members, *self.scopes):
            known = index.longest(self.tokens, self.at)
            if known:
                self.advance(known[0])
                return self.qualified(known[1])
        if self.token.text == "null":
            self.advance()
            return "Null"
        if self.token.text in KEYWORDS and self.token.text != "function":
            self.fail(f"expected a type, found {self.found()}")
        start = self.at
        self.advance()
        while self.token.kind == NAME and self.token.text not in KEYWORDS and self.token.text != "instance":
            self.advance()
        return self.qualified(self.spelled(start, self.at))

    def qualified(self, name: str) -> str:
        """`import.type`."""
        while self.is_symbol(".") and self.peek().kind == NAME:
            self.advance()
            name += "." + self.advance().text
        return name

"""Text to tree: precedence climbing over the tokens, names resolved by the scope (DMN 1.5, 10.3.1.2).

Lowest to highest: or, and, comparison (= != < > between in), + -, * /, **, unary -, instance of, path, filter and call. All infix
operators are left associative, and `-3 ** 2` is 9.
"""

from __future__ import annotations

from decimal import Decimal, DecimalException
from typing import NoReturn

from flowledger.kernel.feel import limits, temporal
from flowledger.kernel.feel import tree as t
from flowledger.kernel.feel.errors import FeelSyntaxError
from flowledger.kernel.feel.lexer import AT, END, KEYWORDS, NAME, NUMBER, QUOTED, STRING, SYMBOL, Token, tokens, unescape
from flowledger.kernel.feel.names import NameIndex, has_keyword
from flowledger.kernel.feel.numbers import CONTEXT

OR, AND, COMPARE, ADD, MULTIPLY, POWER = 1, 2, 3, 4, 5, 6
_BINARY = {
    "or": OR,
    "and": AND,
    "=": COMPARE,
    "!=": COMPARE,
    "<": COMPARE,
    "<=": COMPARE,
    ">": COMPARE,
    ">=": COMPARE,
    "between": COMPARE,
    "in": COMPARE,
    "+": ADD,
    "-": ADD,
    "*": MULTIPLY,
    "/": MULTIPLY,
    "**": POWER,
}
_TEST_OPERATORS = frozenset(("<", "<=", ">", ">=", "=", "!="))
#: What may stand between the tokens of a name (rule 30).
_NAME_SYMBOLS = frozenset((".", "/", "-", "'", "+", "*", "’"))  # noqa: RUF001 - the grammar has this one too
_TYPE_NAMES = ("days and time duration", "day time duration", "years and months duration", "year month duration", "date and time")
#: Properties of values whose names have several words.
MEMBERS = ("time offset", "start included", "end included")
_CONSTANTS = {"true": True, "false": False, "null": None}


class Parser:
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

    # Expressions

    def expression(self, power: int = 0) -> t.Node:
        """`power`: only operators that bind tighter than it are taken."""
        self.enter()
        left = self.unary()
        chain = 0
        while True:
            token = self.token
            own = _BINARY.get(token.text, 0) if token.kind in (SYMBOL, NAME) else 0
            if own <= power:
                break
            self.steps += 1
            if self.steps > limits.parse_steps_max:
                self.fail("too complex to parse")
            self.advance()
            if token.text == "between":
                low = self.expression(COMPARE)
                self.expect("and")
                left = t.Between(token.start, left, low, self.expression(COMPARE))
            elif token.text == "in":
                left = t.In(token.start, left, self.in_tests())
            else:
                left = t.Binary(token.start, token.text, left, self.expression(own))
            chain += 1
            if chain > limits.chain_max:
                self.fail(f"a chain of more than {limits.chain_max} operators")
        self.depth -= 1
        return left

    def unary(self) -> t.Node:
        if self.is_symbol("-"):
            self.enter()
            start = self.advance().start
            operand = self.unary()
            self.depth -= 1
            if isinstance(operand, t.Literal) and isinstance(operand.value, Decimal):
                return t.Literal(start, CONTEXT.minus(operand.value))
            return t.Negate(start, operand)
        return self.postfix(self.primary())

    def postfix(self, node: t.Node, filters: bool = True) -> t.Node:
        links = 0
        while True:
            token = self.token
            if token.kind == NAME:
                if token.text != "instance" or self.peek().text != "of":
                    return node
                self.advance(2)
                node = t.InstanceOf(token.start, node, self.type())
            elif token.kind != SYMBOL:
                return node
            elif token.text == ".":
                self.advance()
                node = t.Path(token.start, node, self.member())
            elif token.text == "[" and filters:
                self.advance()
                self.scopes.append(self.members)
                condition = self.expression()
                self.scopes.pop()
                self.expect("]")
                node = t.Filter(token.start, node, condition)
            elif token.text == "(":
                self.advance()
                node = self.call(node, token.start)
            else:
                return node
            links += 1
            if links > limits.nesting_max:
                self.fail(f"a chain of more than {limits.nesting_max} parts")

    def call(self, function: t.Node, start: int) -> t.Node:
        arguments: list[t.Node] = []
        names: list[str] = []
        if not self.is_symbol(")"):
            named = self.parameter_name() is not None
            while True:
                if named:
                    name = self.parameter_name(True)
                    if name is None:
                        self.fail("expected the name of a parameter")
                    names.append(name)
                arguments.append(self.expression())
                if not self.is_symbol(","):
                    break
                self.advance()
        self.expect(")")
        return t.Call(start, function, tuple(arguments), tuple(names))

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

    # Primary expressions

    def primary(self) -> t.Node:
        token = self.token
        kind = token.kind
        if kind == NAME:
            return self.word()
        if kind == QUOTED:
            return t.Name(token.start, self.advance().text[1:-1])
        if kind == NUMBER:
            self.advance()
            try:
                return t.Literal(token.start, CONTEXT.create_decimal(token.text))
            except DecimalException:
                self.fail("no such number", token.start)
        if kind == STRING:
            self.advance()
            return t.Literal(token.start, unescape(token.text[1:-1], token.start + 1, self.text))
        if kind == AT:
            self.advance()
            quoted = token.text[token.text.index('"') + 1 : -1]
            value = temporal.parse_temporal(unescape(quoted, token.start + 2, self.text))
            return t.BadLiteral(token.start, quoted) if value is None else t.Literal(token.start, value)
        reader = _PRIMARY.get(token.text) if kind == SYMBOL else None
        if reader is None:
            self.fail("a string without its end" if token.text == '"' else f"unexpected {self.found()}")
        return reader(self)

    def word(self) -> t.Node:
        token = self.token
        text = token.text
        known: tuple[int, str] | None = None
        for scope in self.scopes:
            match = scope.longest(self.tokens, self.at)
            if match and (known is None or match[0] > known[0]):
                known = match
        built_in = self.builtins.longest(self.tokens, self.at)
        # `date and time` is the function, unless it stands where two variables are meant.
        if built_in and (known is None or built_in[0] > known[0]) and (self.peek(built_in[0]).text == "(" or not has_keyword(built_in[1])):
            known = built_in
        reader = _WORDS.get(text)
        if known and (reader is None or text in _CONSTANTS):
            self.advance(known[0])
            self.note_ambiguity(known[1])
            return t.Name(token.start, known[1])
        if reader is not None and not (text == "function" and self.peek().text != "("):
            return reader(self)
        if text in KEYWORDS:
            self.fail(f"unexpected {text!r}")
        name = self.loose_name()
        if name == "partial":
            self.partial_seen = True
        self.note_ambiguity(name)
        return t.Name(token.start, name)

    def note_ambiguity(self, name: str) -> None:
        if self.may_go_on() or (" " in name and name not in self.scopes[0].names):
            self.ambiguous = True
            self.ambiguous_member = self.ambiguous_member or len(self.scopes) > 1

    def constant(self) -> t.Node:
        token = self.advance()
        return t.Literal(token.start, _CONSTANTS[token.text])

    def if_(self) -> t.Node:
        start = self.advance().start
        condition = self.expression()
        self.expect("then")
        then = self.expression()
        self.expect("else")
        return t.If(start, condition, then, self.expression())

    def iterations(self) -> tuple[t.Iteration, ...]:
        out: list[t.Iteration] = []
        while True:
            name = self.declared("in")
            self.expect("in")
            start = self.expression()
            end = None
            if self.is_symbol(".."):
                self.advance()
                end = self.expression()
            out.append(t.Iteration(name, start, end))
            self.scopes.append(NameIndex((name,)))
            if not self.is_symbol(","):
                return tuple(out)
            self.advance()

    def for_(self) -> t.Node:
        start = self.advance().start
        iterations = self.iterations()
        seen, self.partial_seen = self.partial_seen, False
        self.expect("return")
        self.scopes.append(NameIndex(("partial",)))
        body = self.expression()
        del self.scopes[-len(iterations) - 1 :]
        uses, self.partial_seen = self.partial_seen, seen
        return t.For(start, iterations, body, uses)

    def quantified(self) -> t.Node:
        token = self.advance()
        iterations = self.iterations()
        self.expect("satisfies")
        body = self.expression()
        del self.scopes[-len(iterations) :]
        return t.Quantified(token.start, token.text == "every", iterations, body)

    def function(self) -> t.Node:
        start = self.advance().start
        self.expect("(")
        parameters: list[tuple[str, t.TypeNode | None]] = []
        while not self.is_symbol(")"):
            name = self.declared(":", ",", ")")
            kind = None
            if self.is_symbol(":"):
                self.advance()
                kind = self.type()
            parameters.append((name, kind))
            if not self.is_symbol(","):
                break
            self.advance()
        self.expect(")")
        external = self.is_word("external")
        if external:
            self.advance()
        self.scopes.append(NameIndex(p[0] for p in parameters))
        body = self.expression()
        self.scopes.pop()
        return t.FunctionNode(start, tuple(parameters), body, external)

    def bracket(self) -> t.Node:
        """`[1, 2]` or `[1..2]`."""
        start = self.advance().start
        if self.is_symbol("]"):
            self.advance()
            return t.List(start, ())
        first = self.expression()
        if self.is_symbol(".."):
            return self.range(start, first, True)
        items = [first]
        while self.is_symbol(","):
            self.advance()
            items.append(self.expression())
        self.expect("]")
        return t.List(start, tuple(items))

    def open_bracket(self) -> t.Node:
        """`]1..2]`: the first endpoint doesn't belong to the range."""
        start = self.advance().start
        first = self.expression(COMPARE)
        if not self.is_symbol(".."):
            self.fail(f"expected '..', found {self.found()}")
        return self.range(start, first, False)

    def range(self, start: int, first: t.Node, included: bool) -> t.Node:
        self.advance()
        at, depth, scopes = self.at, self.depth, len(self.scopes)
        if (known := self.dead_ends.get(at)) is not None:
            raise known  # nested ranges would otherwise be tried twice at each level
        failure: FeelSyntaxError | None = None
        try:
            last = self.expression(COMPARE)
        except FeelSyntaxError as error:
            failure = error
        if failure or self.token.text not in ("]", ")", "["):
            # `[` may also close a range: then the endpoint has no filter.
            self.back(at)
            self.depth = depth
            del self.scopes[scopes:]
            try:
                last = self.plain_endpoint()
                if self.token.text not in ("]", ")", "["):
                    if failure:
                        raise failure
                    self.fail(f"expected the end of the range, found {self.found()}")
            except FeelSyntaxError as error:
                self.dead_ends[at] = error
                raise
        closer = self.advance().text
        return t.RangeNode(start, first, last, included, closer == "]")

    def plain_endpoint(self) -> t.Node:
        if self.is_symbol("-"):
            start = self.advance().start
            return t.Negate(start, self.postfix(self.primary(), filters=False))
        return self.postfix(self.primary(), filters=False)

    def parenthesis(self) -> t.Node:
        """`(1 + 2)`, `(1..2)` or `(< 2)`."""
        start = self.advance().start
        if self.token.kind == SYMBOL and self.token.text in _TEST_OPERATORS:
            test = self.operator_test()
            self.expect(")")
            return test
        inner = self.expression()
        if self.is_symbol(".."):
            return self.range(start, inner, False)
        self.expect(")")
        return inner

    def context(self) -> t.Node:
        start = self.advance().start
        entries: list[tuple[str, t.Node]] = []
        self.scopes.append(NameIndex())
        keys: set[str] = set()
        while not self.is_symbol("}"):
            position = self.token.start
            if self.token.kind == STRING:
                token = self.advance()
                key = unescape(token.text[1:-1], token.start + 1, self.text)
            elif self.token.kind == QUOTED:
                key = self.advance().text[1:-1]
            else:
                key = self.declared(":")
            if key in keys:
                self.fail(f"the entry {key!r} is there twice", position)
            keys.add(key)
            self.expect(":")
            is_function = self.is_word("function")
            if is_function:
                self.scopes[-1].add(key)
            value = self.expression()
            self.scopes[-1].add(key)
            if len(key) < 500 and not key.isidentifier():
                self.members.add(key)
            entries.append((key, value))
            if not self.is_symbol(","):
                break
            self.advance()
        self.scopes.pop()
        self.expect("}")
        return t.Context(start, tuple(entries))

    # Tests

    def operator_test(self) -> t.Node:
        token = self.advance()
        return t.UnaryRange(token.start, token.text, self.expression(COMPARE))

    def test(self) -> t.Node:
        if self.token.kind == SYMBOL and self.token.text in _TEST_OPERATORS:
            return self.operator_test()
        return self.expression()

    def in_tests(self) -> tuple[t.Node, ...]:
        """What follows `in`: one test, or several in parentheses."""
        if not self.is_symbol("("):
            if self.token.kind == SYMBOL and self.token.text in _TEST_OPERATORS:
                return (self.operator_test(),)
            return (self.expression(COMPARE),)
        start = self.advance().start
        first = self.test()
        if self.is_symbol(".."):
            return (self.postfix(self.range(start, first, False)),)
        tests = [first]
        while self.is_symbol(","):
            self.advance()
            tests.append(self.test())
        self.expect(")")
        if len(tests) == 1 and not isinstance(first, t.UnaryRange):
            return (self.postfix(first),)
        return tuple(tests)

    def unary_tests(self) -> t.UnaryTests:
        """The text of a cell: `-`, tests, or `not(tests)` (rules 12 to 15)."""
        start = self.token.start
        if self.token.kind == END:
            return t.UnaryTests(start, ())
        if self.is_symbol("-") and self.peek().kind == END:
            self.advance()
            return t.UnaryTests(start, ())
        if self.is_word("not") and self.peek().text == "(":
            at = self.at
            self.advance(2)
            try:
                tests = self.test_list()
                self.expect(")")
                if self.token.kind == END:
                    return t.UnaryTests(start, tests, True)
            except FeelSyntaxError:
                # `not(a) and b` isn't this form; whatever is wrong is found again below.
                pass
            self.back(at)
            self.depth = 0
            del self.scopes[1:]
        tests = self.test_list()
        self.end()
        return t.UnaryTests(start, tests)

    def test_list(self) -> tuple[t.Node, ...]:
        tests = [self.test()]
        while self.is_symbol(","):
            self.advance()
            tests.append(self.test())
        return tuple(tests)

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


TYPE_INDEX = NameIndex(_TYPE_NAMES)

_WORDS = {
    "if": Parser.if_,
    "for": Parser.for_,
    "some": Parser.quantified,
    "every": Parser.quantified,
    "function": Parser.function,
    "true": Parser.constant,
    "false": Parser.constant,
    "null": Parser.constant,
}
_PRIMARY = {"(": Parser.parenthesis, "[": Parser.bracket, "]": Parser.open_bracket, "{": Parser.context}

"""Compiled expressions: what the rest of the kernel holds on to."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from flowledger.kernel.feel import limits
from flowledger.kernel.feel import tree as t
from flowledger.kernel.feel.builtins import BUILTINS
from flowledger.kernel.feel.compiler import Compiler
from flowledger.kernel.feel.errors import FeelSyntaxError, LimitReached, Warning
from flowledger.kernel.feel.lexer import is_plain
from flowledger.kernel.feel.names import NameIndex
from flowledger.kernel.feel.parser import Parser
from flowledger.kernel.feel.reading import MEMBERS
from flowledger.kernel.feel.resolving import Scope
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.values import convert

# The bounds of `limits` are reached before Python's own: whether an expression is too deep must not depend on the caller's depth.
if sys.getrecursionlimit() < limits.python_frames:
    sys.setrecursionlimit(limits.python_frames)

_BUILTIN_INDEX = NameIndex(n for n in BUILTINS if " " in n)
_NO_LOCALS: dict[Any, Any] = {}
_QUESTION = Scope(None, frozenset(("?",)))
_VARIANTS_MAX = 64
_PLAIN_MAX = 20_000
#: Names known to be plain, a cache.
_plain: set[str] = set()


def _parser(text: str, names: Iterable[str], members: Iterable[str]) -> Parser:
    return Parser(text, NameIndex(names), NameIndex((*MEMBERS, *members)), _BUILTIN_INDEX)


def _checked(tree: t.Node, text: str) -> Any:
    # a character makes a few levels at most: a short text needs no walk over its tree
    if len(text) * 4 > limits.height_max and t.height(tree) > limits.height_max:
        raise FeelSyntaxError(f"a tree of more than {limits.height_max} levels", text, 0)
    return tree


def parse(text: str, names: Iterable[str] = (), members: Iterable[str] = ()) -> t.Node:
    """The tree of an expression. `names`: variables in scope; `members`: names of entries anywhere. Raises FeelSyntaxError."""
    return _parse(text, names, members)[0]


def parse_unary(text: str, names: Iterable[str] = (), members: Iterable[str] = ()) -> t.UnaryTests:
    """The tree of unary tests. Raises FeelSyntaxError."""
    return _parse_unary(text, names, members)[0]  # type: ignore[return-value]


def _parse(text: str, names: Iterable[str], members: Iterable[str]) -> tuple[t.Node, Parser]:
    parser = _parser(text, names, members)
    tree = parser.expression()
    parser.end()
    return _checked(tree, text), parser


def _parse_unary(text: str, names: Iterable[str], members: Iterable[str]) -> tuple[t.Node, Parser]:
    parser = _parser(text, names, members)
    return _checked(parser.unary_tests(), text), parser


def odd_names(context: Mapping[str, Any]) -> frozenset[str]:
    """The names of a context that a parser must know: those of several tokens."""
    out = []
    for name in context:
        if name not in _plain and type(name) is str:
            if is_plain(name):
                if len(_plain) < _PLAIN_MAX:
                    _plain.add(name)
            else:
                out.append(name)
    return frozenset(out)


def odd_members(context: Mapping[str, Any], most: int = 2_000) -> frozenset[str]:
    """As `odd_names`, of all contexts inside of a context."""
    out: set[str] = set()
    stack: list[Any] = [v for v in context.values() if type(v) in (dict, list)]
    while stack and most > 0:
        value = stack.pop()
        most -= 1
        if type(value) is dict:
            out |= odd_names(value)
        stack.extend(v for v in (value.values() if type(value) is dict else value) if type(v) in (dict, list))
    return frozenset(out)


class _Base:
    __slots__ = ("text", "tree", "reads", "_code", "_names", "_members", "_types", "_by_names", "_by_members", "_variants")

    _parse: Any

    def __init__(
        self, text: str, names: Iterable[str] = (), members: Iterable[str] | None = None, types: Mapping[str, Any] | None = None
    ) -> None:
        """`members`: names of entries anywhere in the data; None lets the context of each call tell them. Raises FeelSyntaxError."""
        self.text = text
        self._names = frozenset(names)
        self._members = None if members is None else frozenset(members)
        self._types = types
        self.tree, parser = self._parse(text, self._names, self._members or ())
        self._by_names: bool = parser.ambiguous
        self._by_members: bool = parser.ambiguous_member and members is None
        self._variants: dict[Any, Any] = {}
        compiler = Compiler(BUILTINS, types, self._names)
        self._code = self._compile(compiler)
        #: Names of the variables that it reads.
        self.reads = frozenset(compiler.reads - {"?"})

    @property
    def work(self) -> int:
        """Steps of one evaluation, for who evaluates it again and again; what it repeats itself counts by itself."""
        return t.work(self.tree)

    def _compile(self, compiler: Compiler) -> Any:
        return compiler.compile(self.tree, None)

    def _variant(self, context: Mapping[str, Any]) -> Any:
        """This expression as the names of a context make it read."""
        names = odd_names(context) - self._names if self._by_names else frozenset()
        members = odd_members(context) if self._by_members else frozenset()
        if not names and not members:
            return self
        key = names, members
        found = self._variants.get(key)
        if found is None:
            if len(self._variants) >= _VARIANTS_MAX:
                self._variants.clear()
            try:
                found = type(self)(self.text, self._names | names, members | (self._members or frozenset()), self._types)
            except FeelSyntaxError:
                found = self
            self._variants[key] = found
        return found


class Compiled(_Base):
    """An expression. Call it with a context; it raises nothing."""

    __slots__ = ()
    _parse = staticmethod(_parse)

    def __call__(
        self, context: Mapping[str, Any], facts: Any = None, warnings: list[Warning] | None = None, runtime: Runtime | None = None
    ) -> Any:
        me = self._variant(context) if self._by_names or self._by_members else self
        r = Runtime(facts, warnings) if runtime is None else runtime
        try:
            return me._code(context, _NO_LOCALS, r)
        except (LimitReached, ArithmeticError, RecursionError) as error:
            if runtime is not None and isinstance(error, LimitReached):
                raise
            return _failed(error, r)


class CompiledTests(_Base):
    """Unary tests. Call it with a value and a context: True if the value passes, False if it doesn't or nothing can be said."""

    __slots__ = ()
    _parse = staticmethod(_parse_unary)

    def _compile(self, compiler: Compiler) -> Any:
        return compiler.unary_tests(self.tree, _QUESTION)

    def __call__(
        self,
        value: Any,
        context: Mapping[str, Any] = _NO_LOCALS,
        facts: Any = None,
        warnings: list[Warning] | None = None,
        runtime: Runtime | None = None,
    ) -> bool:
        me = self._variant(context) if self._by_names or self._by_members else self
        r = Runtime(facts, warnings) if runtime is None else runtime
        try:
            value = convert(value)
            passes: bool = me._code(value, context, {"?": value}, r)
            return passes
        except (LimitReached, ArithmeticError, RecursionError) as error:
            if runtime is not None and isinstance(error, LimitReached):
                raise
            _failed(error, r)
            return False


def _failed(error: Exception, r: Runtime) -> None:
    code = error.code if isinstance(error, LimitReached) else "LIMIT_DEPTH" if isinstance(error, RecursionError) else "OUT_OF_RANGE"
    r.stopped(code, str(error))


def compile(text: str, names: Iterable[str] = (), members: Iterable[str] | None = None, types: Mapping[str, Any] | None = None) -> Compiled:
    """An expression, to be called with contexts.

    `names`: variables that will be in the context, so that names of several words are known; those of the context itself are found as well.
    `members`: names of entries anywhere in the data (None: the data tells). `types`: named types for `instance of` and parameters.

    Raises: FeelSyntaxError.
    """
    return Compiled(text, names, members, types)


def compile_unary(
    text: str, names: Iterable[str] = (), members: Iterable[str] | None = None, types: Mapping[str, Any] | None = None
) -> CompiledTests:
    """Unary tests, to be called with values and contexts. Arguments and errors as `compile`."""
    return CompiledTests(text, names, members, types)


@lru_cache(maxsize=2_000)
def _cached(kind: Any, text: str, names: frozenset[str]) -> Any:
    return kind(text, names)


@lru_cache(maxsize=500)
def _cached_with_members(kind: Any, text: str, names: frozenset[str], members: frozenset[str]) -> Any:
    return kind(text, names, members)


def _for(kind: Any, text: str, context: Mapping[str, Any]) -> Any:
    try:
        return _cached(kind, text, odd_names(context))
    except FeelSyntaxError:
        members = odd_members(context)
        if not members:
            raise
        return _cached_with_members(kind, text, odd_names(context), members)


def evaluate(text: str, context: Mapping[str, Any] | None = None, *, facts: Any = None, warnings: list[Warning] | None = None) -> Any:
    """The value of an expression. `facts.now_us` is the time for `now()` and `today()`, in microseconds since the epoch.

    Raises: FeelSyntaxError.
    """
    context = {} if context is None else context
    return _for(Compiled, text, context)(context, facts, warnings)


def unary_test(
    text: str, value: Any, context: Mapping[str, Any] | None = None, *, facts: Any = None, warnings: list[Warning] | None = None
) -> bool:
    """Whether a value passes unary tests such as `[1..10], > 20` or `not("a", "b")`. Raises: FeelSyntaxError."""
    context = {} if context is None else context
    passes: bool = _for(CompiledTests, text, context)(value, context, facts, warnings)
    return passes

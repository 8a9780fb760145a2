"""`assert_that(instance).has_passed("check", "ship").is_completed()`: each says what was expected, and what the instance did instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, overload

import msgspec

from flowledger.sdk.testing.instance import Instance
from flowledger.sdk.testing.mocks import JobMock, as_json

_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


@overload
def assert_that(what: Instance) -> InstanceAssert: ...
@overload
def assert_that(what: JobMock) -> JobAssert: ...
def assert_that(what: Any) -> Any:
    if isinstance(what, JobMock):
        return JobAssert(what)
    if isinstance(what, Instance):
        return InstanceAssert(what)
    raise TypeError(f"expected an instance or the mock of a job, found {type(what).__name__}")


def same(expected: Any, found: Any) -> bool:
    """Equal as JSON: 1, 1.0 and Decimal("1.00") are one number, true is no number."""
    if isinstance(expected, bool) or isinstance(found, bool) or expected is None or found is None:
        return expected is found
    if isinstance(expected, (int, float, Decimal)) and isinstance(found, (int, float, Decimal)):
        return Decimal(str(expected)) == Decimal(str(found))
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return expected.keys() == found.keys() and all(same(v, found[k]) for k, v in expected.items())
    if isinstance(expected, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(expected) == len(found) and all(map(same, expected, found))
    return type(expected) is type(found) and expected == found


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What is wrong with `found`, one sentence for each variable; functions are asked."""
    wrong = []
    for name, value in expected.items():
        if name not in found:
            wrong.append(f"'{name}' is missing")
        elif callable(value):
            if not value(found[name]):
                wrong.append(f"'{name}' = {_text(found[name])} doesn't hold for {getattr(value, '__name__', value)}")
        elif not same(as_json(value), found[name]):
            wrong.append(f"'{name}': expected {_text(value)}, found {_text(found[name])}")
    return wrong


def _text(value: Any) -> str:
    return _encode(value).decode()


class InstanceAssert:
    """Each method returns the same object, for a chain. Raises: AssertionError; UnknownElement for ids that the process doesn't have."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def _fail(self, expected: str) -> None:
        __tracebackhide__ = True
        raise AssertionError(f"{self.instance.name}: expected {expected}\n{self.instance.explain()}")

    # --- path

    def has_passed(self, *elements: str) -> InstanceAssert:
        """All were entered and left again, in any order."""
        __tracebackhide__ = True
        passed = set(self.instance.path.names("leave"))
        missing = [e for e in elements if self.instance.known(e) not in passed]
        if missing:
            self._fail(f"to have passed {_ids(missing)}, it has not")
        return self

    def has_passed_in_order(self, *elements: str) -> InstanceAssert:
        """They were left in this order; others may have come between."""
        __tracebackhide__ = True
        left = iter(self.instance.path.names("leave"))
        for n, element in enumerate(elements):
            self.instance.known(element)
            if element not in left:
                before = f" after {_ids(elements[:n])}" if n else ""
                self._fail(f"to have passed {_ids([element])}{before}, it has not")
        return self

    def has_passed_times(self, element: str, times: int) -> InstanceAssert:
        __tracebackhide__ = True
        self.instance.known(element)
        found = Counter(self.instance.path.names("leave"))[element]
        if found != times:
            self._fail(f"to have passed '{element}' {times} times, found {found}")
        return self

    def has_not_passed(self, *elements: str) -> InstanceAssert:
        """None was left; one of them may still be waited at."""
        __tracebackhide__ = True
        passed = set(self.instance.path.names("leave"))
        wrong = [e for e in elements if self.instance.known(e) in passed]
        if wrong:
            self._fail(f"not to have passed {_ids(wrong)}, it has")
        return self

    def has_not_entered(self, *elements: str) -> InstanceAssert:
        __tracebackhide__ = True
        entered = {*self.instance.path.names("enter"), *self.instance.path.names("run")}
        wrong = [e for e in elements if self.instance.known(e) in entered]
        if wrong:
            self._fail(f"not to have entered {_ids(wrong)}, it has")
        return self

    def has_taken(self, *flows: str) -> InstanceAssert:
        """Sequence flows by id."""
        __tracebackhide__ = True
        taken = set(self.instance.path.names("flow"))
        missing = [f for f in flows if self.instance.known(f, flow=True) not in taken]
        if missing:
            self._fail(f"to have taken the flow {_ids(missing)}, it has not")
        return self

    def has_not_taken(self, *flows: str) -> InstanceAssert:
        __tracebackhide__ = True
        taken = set(self.instance.path.names("flow"))
        wrong = [f for f in flows if self.instance.known(f, flow=True) in taken]
        if wrong:
            self._fail(f"not to have taken the flow {_ids(wrong)}, it has")
        return self

    def has_withdrawn(self, *elements: str) -> InstanceAssert:
        """They were ended from outside (an interrupting event, a cancellation)."""
        __tracebackhide__ = True
        withdrawn = set(self.instance.path.names("withdraw"))
        missing = [e for e in elements if self.instance.known(e) not in withdrawn]
        if missing:
            self._fail(f"to have withdrawn {_ids(missing)}, it has not")
        return self

    def is_waiting_at(self, *elements: str) -> InstanceAssert:
        """A token stands at each."""
        __tracebackhide__ = True
        active = set(self.instance.active)
        missing = [e for e in elements if self.instance.known(e) not in active]
        if missing:
            self._fail(f"to wait at {_ids(missing)}, it waits at {_ids(self.instance.waiting) or 'nothing'}")
        return self

    def is_waiting_only_at(self, *elements: str) -> InstanceAssert:
        """Tokens stand at exactly these, one each (name an element twice for two); sub-processes around them don't count."""
        __tracebackhide__ = True
        for e in elements:
            self.instance.known(e)
        if Counter(self.instance.waiting) != Counter(elements):
            self._fail(f"to wait only at {_ids(elements) or 'nothing'}, it waits at {_ids(self.instance.waiting) or 'nothing'}")
        return self

    def is_not_waiting_at(self, *elements: str) -> InstanceAssert:
        __tracebackhide__ = True
        active = set(self.instance.active)
        wrong = [e for e in elements if self.instance.known(e) in active]
        if wrong:
            self._fail(f"not to wait at {_ids(wrong)}, it does")
        return self

    def is_waiting_for_message(self, name: str, key: Any = None) -> InstanceAssert:
        __tracebackhide__ = True
        self._subscribed("message", name, None if key is None else str(key))
        return self

    def is_waiting_for_signal(self, name: str) -> InstanceAssert:
        __tracebackhide__ = True
        self._subscribed("signal", name, None)
        return self

    def _subscribed(self, kind: str, name: str, key: str | None) -> None:
        __tracebackhide__ = True
        for s in self.instance.engine.state.subscriptions.values():
            if s.instance == self.instance.key and (s.kind, s.name) == (kind, name) and key in (None, s.correlation):
                return
        self._fail(f"to wait for {kind} '{name}'{f' with key {key!r}' if key is not None else ''}, it doesn't")

    # --- variables

    def has_variables(self, expected: Mapping[str, Any] | None = None, /, **more: Any) -> InstanceAssert:
        """Each has this value (a function: it holds for the value); others may be there too."""
        __tracebackhide__ = True
        self._compare({**(expected or {}), **more}, self.instance.variables, "variables")
        return self

    def has_local_variables(self, element: str, expected: Mapping[str, Any] | None = None, /, **more: Any) -> InstanceAssert:
        """As `has_variables`, of the token at `element` alone."""
        __tracebackhide__ = True
        self._compare({**(expected or {}), **more}, self.instance.local_variables(element), f"local variables at '{element}'")
        return self

    def has_no_variables(self, *names: str) -> InstanceAssert:
        """None of these; without names: none at all."""
        __tracebackhide__ = True
        wrong = [n for n in (names or self.instance.variables) if n in self.instance.variables]
        if wrong:
            self._fail(f"not to have the variables {_ids(wrong)}, it has")
        return self

    def _compare(self, expected: Mapping[str, Any], found: Mapping[str, Any], what: str) -> None:
        __tracebackhide__ = True
        wrong = differences(expected, found)
        if wrong:
            self._fail(f"other {what}: {'; '.join(wrong)}")

    # --- status

    def is_running(self) -> InstanceAssert:
        __tracebackhide__ = True
        return self.has_status("running")

    def is_completed(self) -> InstanceAssert:
        __tracebackhide__ = True
        return self.has_status("completed")

    def is_terminated(self) -> InstanceAssert:
        __tracebackhide__ = True
        return self.has_status("terminated")

    def is_cancelled(self) -> InstanceAssert:
        __tracebackhide__ = True
        return self.has_status("cancelled")

    def is_failed(self) -> InstanceAssert:
        __tracebackhide__ = True
        return self.has_status("failed")

    def has_status(self, status: str) -> InstanceAssert:
        __tracebackhide__ = True
        if self.instance.status != status:
            self._fail(f"to be {status}, it is {self.instance.status}")
        return self

    def has_incident(self, code: str = "", *, element: str = "", message: str | Callable[[str], bool] = "") -> InstanceAssert:
        """An open one; `message` is a part of its text, or a function that is asked."""
        __tracebackhide__ = True
        if element:
            self.instance.known(element)
        for i in self.instance.open_incidents:
            fits = message(i.message) if callable(message) else message in i.message
            if code in ("", i.code) and element in ("", i.element) and fits:
                return self
        wanted = " ".join(x for x in (code, f"at '{element}'" if element else "", f"with {message!r}" if message else "") if x)
        found = ", ".join(f"{i.code} at '{i.element}'" for i in self.instance.open_incidents)
        self._fail(f"an incident {wanted}, found {found or 'none'}")
        return self

    def has_no_incident(self) -> InstanceAssert:
        __tracebackhide__ = True
        if self.instance.open_incidents:
            self._fail("no incident, found " + ", ".join(i.code for i in self.instance.open_incidents))
        return self

    def has_called(self, process: str, times: int = 1) -> InstanceAssert:
        """Its call activities started so many instances of `process`."""
        __tracebackhide__ = True
        found = sum(1 for i in self.instance.children if i.process == process)
        if found != times:
            self._fail(f"to have called '{process}' {times} times, found {found}")
        return self


class JobAssert:
    """Of the mock of a job."""

    def __init__(self, mock: JobMock) -> None:
        self.mock = mock

    def was_called(self, times: int | None = None) -> JobAssert:
        """So many times; at least once without a number."""
        __tracebackhide__ = True
        if self.mock.count != times if times is not None else not self.mock.count:
            raise AssertionError(
                f"expected job '{self.mock.type}' {f'{times} times' if times is not None else 'at least once'}, found {self.mock.count}"
            )
        return self

    def was_not_called(self) -> JobAssert:
        __tracebackhide__ = True
        return self.was_called(0)

    def was_called_with(self, expected: Mapping[str, Any] | None = None, /, **more: Any) -> JobAssert:
        """Some call had these variables."""
        __tracebackhide__ = True
        wanted = {**(expected or {}), **more}
        wrong = [differences(wanted, job.variables) for job in self.mock.calls]
        if all(wrong):
            said = "; ".join(wrong[-1]) if wrong else "it was never handed out"
            raise AssertionError(
                f"expected job '{self.mock.type}' with {_text({k: v if not callable(v) else '?' for k, v in wanted.items()})}: {said}"
            )
        return self


def _ids(ids: Any) -> str:
    return ", ".join(f"'{i}'" for i in ids)

"""Tests as data: a JSON or YAML file with models, mocks and steps, run by `flowledger test FILE` and by pytest (`*.flowtest.json`, `*.flowtest.yaml`).

    deploy: [order.bpmn]
    mocks: {jobs: {order.check: {complete: {checked: true}}}}
    tests:
      - name: small orders need nobody
        steps:
          - {start: order, variables: {amount: 50}}
          - expect: {passed: [check], not_passed: [approve]}

Unknown words are errors when the file is read, with their place: a misspelled expectation never passes. docs/testing.md lists all verbs.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from flowledger.kernel import feel
from flowledger.kernel.feel.values import to_json
from flowledger.sdk.frames import exact
from flowledger.sdk.job import BpmnError, JobFailed
from flowledger.sdk.testing.assertions import assert_that, same
from flowledger.sdk.testing.coverage import Coverage
from flowledger.sdk.testing.engine import START, Engine
from flowledger.sdk.testing.errors import Refused
from flowledger.sdk.testing.instance import Instance
from flowledger.sdk.testing.mocks import NO_ANSWER, as_json

SUFFIXES = (".flowtest.json", ".flowtest.yaml", ".flowtest.yml")


class BadTest(ValueError):
    """The file is no test. The message says where and what was expected."""


class StepFailed(AssertionError):
    """`step` counts from 1."""

    def __init__(self, case: Case, step: int, what: str, message: str) -> None:
        super().__init__(f"{case.file.name}: '{case.name}', step {step} ({what}): {message}")
        self.case, self.step = case, step


class Case(msgspec.Struct):
    """One test of a file."""

    name: str
    file: Path
    steps: list[dict[str, Any]]
    deploy: list[Any]
    now: Any = START
    mocks: list[dict[str, Any]] = []


def load(file: str | Path) -> list[Case]:
    """Raises: BadTest, OSError."""
    file = Path(file)
    top = as_mapping(_parse(file), file.name)
    _words(top, _TOP, file.name)
    tests = top.get("tests")
    if not isinstance(tests, list) or not tests:
        raise BadTest(f"{file.name}: expected a list 'tests' with at least one test")
    return list(_cases(file, top, tests))


def _parse(file: Path) -> Any:
    data = file.read_bytes()
    if file.suffix == ".json":
        try:
            return msgspec.json.Decoder(float_hook=exact).decode(data)
        except msgspec.DecodeError as e:
            raise BadTest(f"{file.name}: {e}") from None
    try:
        import yaml
    except ImportError:
        raise BadTest(f"{file.name}: reading YAML needs the package pyyaml; JSON works without") from None
    try:
        return yaml.safe_load(data)
    except yaml.YAMLError as e:
        raise BadTest(f"{file.name}: {e}") from None


def _cases(file: Path, top: dict[str, Any], tests: list[Any]) -> Iterator[Case]:
    for n, test in enumerate(tests):
        place = f"{file.name}: tests[{n}]"
        test = as_mapping(test, place)
        _words(test, _TEST, place)
        steps = test.get("steps")
        if not isinstance(steps, list) or not steps:
            raise BadTest(f"{place}: expected a list 'steps' with at least one step")
        for m, step in enumerate(steps):
            check_step(as_mapping(step, f"{place}.steps[{m}]"), f"{place}.steps[{m}]")
        mocks = [m for m in (top.get("mocks"), test.get("mocks")) if m]
        for m in mocks:
            check_mocks(m, f"{place}.mocks")
        yield Case(
            str(test.get("name") or f"test {n + 1}"), file, steps, [*listed(top.get("deploy")), *listed(test.get("deploy"))],
            test.get("now") or top.get("now") or START, mocks,
        )  # fmt: skip


def run(case: Case, coverage: Coverage | None = None) -> Engine:
    """Raises: StepFailed with the step and what happened instead."""
    engine = Engine(now=case.now, folder=case.file.parent, coverage=coverage)
    r = Run(engine)
    n, what = 0, "deploy"
    try:
        for mocks in case.mocks:
            r.mock(mocks, {})
        if case.deploy:
            engine.deploy(*case.deploy)
        for at, step in enumerate(case.steps, 1):
            n, what = at, verb_of(step)
            r.step(what, step)
    except (AssertionError, Refused, ValueError, OSError) as e:
        raise StepFailed(case, n, what, str(e) or type(e).__name__) from None
    return engine


class Run:
    """One case on its way. A verb is a method: (its value, all of the step)."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.named: dict[str, Instance] = {}
        self.current: Instance | None = None
        self.decisions: dict[str, list[Any]] = {}

    def step(self, verb: str, step: dict[str, Any]) -> None:
        code = step.get("refused")
        try:
            _VERBS[verb][0](self, step[verb], step)
        except Refused as e:
            if code not in (True, e.code):
                raise
            return
        if code:
            raise AssertionError(f"expected to be refused{'' if code is True else f' with {code}'}, it was granted")

    def instance(self, step: dict[str, Any]) -> Instance:
        """Named by the step, or `process#2` (its second instance); else the one started last."""
        name = step.get("instance")
        if name is None:
            if self.current is not None:
                return self.current
            assert self.engine.instances, "no instance was started"
            return self.engine.instances[-1]
        process, _, number = str(name).rpartition("#")
        found = self.named.get(name) or next((i for i in reversed(self.engine.instances) if i.process == name), None)
        if found is None and number.isascii() and number.isdigit() and len(number) < 6:
            found = next(iter([i for i in self.engine.instances if i.process == process][int(number) - 1 : int(number)]), None)
        assert found is not None, f"no instance is named '{name}' and none of a process '{name}' was started"
        return found

    # --- verbs

    def start(self, process: str, s: dict[str, Any]) -> None:
        self.current = self.engine.start(
            process,
            s.get("variables"),
            business_key=str(s.get("business_key", "")),
            version=s.get("version", 0),
            start_at=listed(s.get("start_at")),
        )
        if "as" in s:
            self.named[s["as"]] = self.current

    def complete(self, element: str, s: dict[str, Any]) -> None:
        self._work(element, s).complete(s.get("variables"), by=s.get("by", ""))

    def fail(self, element: str, s: dict[str, Any]) -> None:
        backoff = self.engine._duration(s["backoff"]) / 1e6 if "backoff" in s else -1
        self._work(element, s).fail(
            s.get("message", ""), code=s.get("code", ""), retries=s.get("retries", -1), backoff_s=backoff, by=s.get("by", "")
        )

    def throw(self, element: str, s: dict[str, Any]) -> None:
        self._work(element, s).throw(s.get("code", ""), s.get("message", ""), s.get("variables"), by=s.get("by", ""))

    def claim(self, element: str, s: dict[str, Any]) -> None:
        self._work(element, s).claim(s.get("by", ""))

    def move(self, element: str, s: dict[str, Any]) -> None:
        self._work(element, s).move(s.get("to", ""), by=s.get("by", ""), reason=s.get("reason", ""), **s.get("details", {}))

    def _work(self, element: str, s: dict[str, Any]) -> Any:
        return self.instance(s)._work(element, "task or job", lambda t: True, int(s.get("nth", 1)))

    def advance(self, by: Any, s: dict[str, Any]) -> None:
        self.engine.advance(by if isinstance(by, str) else float(by))

    def advance_to(self, moment: Any, s: dict[str, Any]) -> None:
        self.engine.advance_to(moment)

    def publish(self, name: str, s: dict[str, Any]) -> None:
        self.engine.publish(name, s.get("key", ""), s.get("variables"), ttl=s.get("ttl", 0), message_id=str(s.get("id", "")))

    def receive(self, name: str, s: dict[str, Any]) -> None:
        self.instance(s).receive(name, s.get("variables"))

    def signal(self, name: str, s: dict[str, Any]) -> None:
        self.engine.signal(name, s.get("variables"))

    def set(self, variables: dict[str, Any], s: dict[str, Any]) -> None:
        self.instance(s).set_variables(variables, s.get("at", ""))

    def cancel(self, reason: Any, s: dict[str, Any]) -> None:
        self.instance(s).cancel(reason if isinstance(reason, str) else "")

    def resolve(self, retries: Any, s: dict[str, Any]) -> None:
        self.instance(s).resolve(1 if retries is True else int(retries))

    def deploy(self, files: Any, s: dict[str, Any]) -> None:
        self.engine.deploy(*listed(files))

    def evaluate(self, decision: str, s: dict[str, Any]) -> None:
        found = self.engine.evaluate(decision, s.get("variables"))
        if "output" in s and not same(as_json(s["output"]), found):
            raise AssertionError(f"expected decision '{decision}' to give {s['output']!r}, found {found!r}")

    def mock(self, mocks: dict[str, Any], s: dict[str, Any]) -> None:
        for type, answer in (mocks.get("jobs") or {}).items():
            self.engine.on_job(type, _answer(answer))
        for id, value in (mocks.get("decisions") or {}).items():
            self.decisions[id] = self.engine.on_decision(id, _feel(value))
        for id, answer in (mocks.get("processes") or {}).items():
            self.engine.on_process(id, _answer(answer))

    def expect(self, expected: dict[str, Any], s: dict[str, Any]) -> None:
        for word, value in expected.items():
            if word in _EXPECT_ENGINE:
                _EXPECT_ENGINE[word](self, value)
            else:
                _EXPECT[word](assert_that(self.instance(s)), value)


# --- tables of words

_TOP = {"deploy", "now", "mocks", "tests", "name", "description", "$schema"}
_TEST = {"name", "description", "deploy", "now", "mocks", "steps"}
_WORK = {"instance", "by", "nth"}
#: verb -> (what it does, its options)
_VERBS: dict[str, tuple[Callable[[Run, Any, dict[str, Any]], None], set[str]]] = {
    "start": (Run.start, {"variables", "business_key", "version", "start_at", "as"}),
    "complete": (Run.complete, {"variables", *_WORK}),
    "fail": (Run.fail, {"message", "code", "retries", "backoff", *_WORK}),
    "throw": (Run.throw, {"code", "message", "variables", *_WORK}),
    "claim": (Run.claim, _WORK),
    "move": (Run.move, {"to", "reason", "details", *_WORK}),
    "advance": (Run.advance, set()),
    "advance_to": (Run.advance_to, set()),
    "publish": (Run.publish, {"key", "variables", "ttl", "id"}),
    "receive": (Run.receive, {"variables", "instance"}),
    "signal": (Run.signal, {"variables"}),
    "set": (Run.set, {"at", "instance"}),
    "cancel": (Run.cancel, {"instance"}),
    "resolve": (Run.resolve, {"instance"}),
    "deploy": (Run.deploy, set()),
    "evaluate": (Run.evaluate, {"variables", "output"}),
    "mock": (Run.mock, set()),
    "expect": (Run.expect, {"instance"}),
}
_ANY_STEP = {"refused", "comment"}


def _incident(a: Any, value: Any) -> None:
    if value is False:
        a.has_no_incident()
    elif isinstance(value, dict):
        a.has_incident(value.get("code", ""), element=value.get("element", ""), message=value.get("message", ""))
    else:
        a.has_incident("" if value is True else value)


def _each(method: str) -> Callable[[Any, Any], None]:
    return lambda a, value: getattr(a, method)(*listed(value))


def _is(status: str) -> Callable[[Any, Any], None]:
    def check(a: Any, value: Any) -> None:
        if value:
            a.has_status(status)
        elif a.instance.status == status:
            a._fail(f"not to be {status}")

    return check


#: of the instance
_EXPECT: dict[str, Callable[[Any, Any], Any]] = {
    "passed": _each("has_passed"),
    "passed_in_order": _each("has_passed_in_order"),
    "passed_times": lambda a, value: [a.has_passed_times(e, n) for e, n in value.items()],
    "not_passed": _each("has_not_passed"),
    "not_entered": _each("has_not_entered"),
    "taken": _each("has_taken"),
    "not_taken": _each("has_not_taken"),
    "withdrawn": _each("has_withdrawn"),
    "waiting_at": _each("is_waiting_at"),
    "waiting_only_at": _each("is_waiting_only_at"),
    "not_waiting_at": _each("is_not_waiting_at"),
    "message": lambda a, v: a.is_waiting_for_message(*((v.get("name", ""), v.get("key")) if isinstance(v, dict) else (v,))),
    "for_signal": lambda a, value: a.is_waiting_for_signal(value),
    "variables": lambda a, value: a.has_variables(value),
    "local_variables": lambda a, value: [a.has_local_variables(e, v) for e, v in value.items()],
    "no_variables": _each("has_no_variables"),
    "status": lambda a, value: a.has_status(value),
    "running": _is("running"),
    "completed": _is("completed"),
    "cancelled": _is("cancelled"),
    "terminated": _is("terminated"),
    "failed": _is("failed"),
    "incident": _incident,
    "called": lambda a, v: [a.has_called(p, n) for p, n in (v if isinstance(v, dict) else dict.fromkeys(listed(v), 1)).items()],
}


def _jobs(r: Run, value: dict[str, int]) -> None:
    for type, times in value.items():
        mock = r.engine.mocks.get(type)
        assert mock is not None, f"job '{type}' is not mocked: its calls are not counted"
        assert_that(mock).was_called(times)


def _count(r: Run, value: dict[str, int]) -> None:
    for process, n in value.items():
        found = sum(1 for i in r.engine.instances if i.process == process)
        assert found == n, f"expected {n} instances of '{process}', found {found}"


def _published(kind: str) -> Callable[[Run, Any], None]:
    def check(r: Run, value: Any) -> None:
        found = [t.name for t in getattr(r.engine, kind)]
        missing = [name for name in listed(value) if name not in found]
        assert not missing, f"expected {kind} {', '.join(missing)} to be published, found {', '.join(found) or 'none'}"

    return check


#: of the engine
_EXPECT_ENGINE: dict[str, Callable[[Run, Any], None]] = {
    "jobs": _jobs,
    "instances": _count,
    "published": _published("messages"),
    "signalled": _published("signals"),
}
_ANSWERS = {"complete": set(), "error": {"message", "variables"}, "fail": {"code", "retries", "backoff_s", "variables"}, "no_answer": set()}


# --- reading


def verb_of(step: dict[str, Any]) -> str:
    """`deploy` and others may stand beside nothing else that is a verb, except for options of the same name."""
    found = [w for w in step if w in _VERBS]
    main = [v for v in found if all(w == v or w in _VERBS[v][1] for w in found)]
    return main[0] if main else ""


def check_step(step: dict[str, Any], place: str) -> None:
    verb = verb_of(step)
    if not verb:
        found = next(iter(step), "")
        raise BadTest(f"{place}: expected one of {', '.join(_VERBS)}, found {', '.join(map(str, step)) or 'nothing'}{_near(found, _VERBS)}")
    _words(step, {verb, *_VERBS[verb][1], *_ANY_STEP}, place)
    if verb == "expect":
        _words(as_mapping(step[verb], f"{place}.expect"), {*_EXPECT, *_EXPECT_ENGINE}, f"{place}.expect")
    if verb == "mock":
        check_mocks(step[verb], f"{place}.mock")


def check_mocks(mocks: Any, place: str) -> None:
    _words(as_mapping(mocks, place), {"jobs", "decisions", "processes"}, place)
    for group in ("jobs", "processes"):
        for type, answers in as_mapping(mocks.get(group) or {}, f"{place}.{group}").items():
            for answer in answers if isinstance(answers, list) else [answers]:
                at = f"{place}.{group}.{type}"
                kind = next((k for k in _ANSWERS if k in as_mapping(answer, at)), None)
                if kind is None:
                    raise BadTest(f"{at}: expected one of {', '.join(_ANSWERS)}, found {', '.join(map(str, answer)) or 'nothing'}")
                _words(answer, {kind, *_ANSWERS[kind]}, at)


def as_mapping(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadTest(f"{place}: expected an object, found {type(value).__name__}")
    return value


def _words(found: dict[str, Any], known: Any, place: str) -> None:
    for word in found:
        if word not in known:
            raise BadTest(f"{place}: unknown word '{word}'{_near(word, known)}; known here: {', '.join(sorted(known))}")


def _near(word: Any, known: Any) -> str:
    near = difflib.get_close_matches(str(word), list(known), 1)
    return f", did you mean '{near[0]}'?" if near else ""


def listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]


def _answer(answers: Any) -> Any:
    return [_one(a) for a in answers] if isinstance(answers, list) else _one(answers)


def _one(a: dict[str, Any]) -> Any:
    if "complete" in a:
        value = _feel(a["complete"])
        return (lambda job: value(job.variables)) if callable(value) else value
    if "error" in a:
        return BpmnError(a["error"], a.get("message", ""), a.get("variables"))
    if "fail" in a:
        return JobFailed(
            a["fail"] or "failed",
            code=a.get("code", ""),
            retries=a.get("retries"),
            backoff_s=a.get("backoff_s"),
            variables=a.get("variables"),
        )
    return NO_ANSWER


def _feel(value: Any) -> Any:
    """A text that begins with `=` is FEEL over the variables; anything else stands for itself."""
    if not (isinstance(value, str) and value.startswith("=")):
        return value
    try:
        compiled = feel.compile(value[1:].strip())
    except feel.FeelSyntaxError as e:
        raise ValueError(f"'{value}': {e}") from None
    return lambda variables: to_json(compiled(variables))

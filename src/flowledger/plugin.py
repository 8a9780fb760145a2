"""What a plug-in is made of. A distribution names such objects, or lists of them, in its entry points; a server takes them when it starts (docs/plugins.md).

    [project.entry-points."flowledger.feel"]
    bank = "my_plugin.functions:FUNCTIONS"

Each says by `api` which version of this page it was written for. `flowledger plugins check` tries it against what is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

#: version of what stands here; one that a plug-in asks for and that isn't this one is refused
API = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of FEEL (group `flowledger.feel`). It is pure: the same arguments give the same value, and it changes none of them.

    Attributes:
        name: letters, digits and _, none of FEEL's own.
        signature: such as `"text: string, length?: number"`: `?` may be left out, `??` may be null, too. Types: string, number, boolean, context,
            list, date, time, date and time, days and time duration, any.
        call: gets str, Decimal, bool, dict, list, None and FEEL's own moments; gives one of these, int or float. ValueError makes the result null, with a
            warning that has its text.
        work: steps of evaluation that a call counts, of about a microsecond each.
        examples: expression -> its value as JSON.
    """

    api: int
    name: str
    signature: str
    call: Callable[..., Any]
    doc: str
    work: int = 100
    examples: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Somebody who may get a task. `load`: share of what they may hold, or tasks where there is no limit. `record`: as the directory has it."""

    name: str
    kind: str
    groups: frozenset[str]
    tasks: int
    load: Decimal
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A way to choose who gets a task (group `flowledger.assignment`), named as `strategy` in a task's assignment.

    Attributes:
        choose: of the eligible in order of name, at least one, with what the task asks for (capability -> least level): the name of one of them, and why,
            for people. Pure. Where it fails, or names somebody else, the least loaded is taken, and the reason says so.
    """

    api: int
    name: str
    choose: Callable[[Sequence[Candidate], Mapping[str, Decimal]], tuple[str, str]]
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Of a step type. A text that begins with `=` is FEEL, whatever the kind."""

    kind: Literal["text", "number", "flag", "object", "list"]
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a step becomes: a service task. `inputs`: what its worker gets (target -> FEEL with `=`, or a value)."""

    type: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepType:
    """A type of step in workflows as steps or simplified JSON (group `flowledger.steps`): `type: NAME`.

    Attributes:
        make: of the fields that are given, the job. ValueError is a finding at the step, with its text. Pure.
        example: fields of a good step.
    """

    api: int
    name: str
    fields: Mapping[str, Field]
    make: Callable[[Mapping[str, Any]], Job]
    doc: str
    example: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretProvider:
    """Who holds secrets (group `flowledger.secrets`), asked as `NAME:WHERE` in the setting `secrets`.

    Attributes:
        open: of WHERE, something with `get(name) -> str | None`, which may block, and is asked again for each use. OSError: away; ValueError: of no use. The
            text of neither may have a value. `open` itself raises ValueError for a WHERE that is none.
        example: a WHERE that can be opened anywhere and has no secret.
    """

    api: int
    name: str
    open: Callable[[str], Any]
    doc: str
    example: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """A connector (group `flowledger.connectors`): `connector` is as `flowledger.connectors.frame.Connector` says; its job type is `flowledger:NAME`."""

    api: int
    connector: Any
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source of triggers (group `flowledger.triggers`), read as `flowledger.connectors.sources.frame` says.

    Attributes:
        fields: name -> (check, whether it is needed); a check gives what was expected, `""` where it fits.
        whole: what is wrong with all fields together; `""`: nothing.
        open: a coroutine function of `Opening` that gives an open source.
        example: fields of a good one.
    """

    api: int
    name: str
    fields: Mapping[str, tuple[Callable[[Any], str], bool]]
    open: Any
    doc: str
    whole: Callable[[Mapping[str, Any]], str] = lambda config: ""
    example: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobStore:
    """Where files are kept (group `flowledger.blobs`), asked as `NAME:WHERE` in the setting `blobs`.

    Attributes:
        open: of WHERE, a store as `flowledger.infra.blobs.store.Store` says; ValueError for a WHERE that is none. It touches nothing: a store that is away says so
            (OSError) when it is asked.
        example: a WHERE that can be opened and written to anywhere; `{folder}` in it is a folder of the check's own. Empty: the check looks at its shape alone.
    """

    api: int
    name: str
    open: Callable[[str], Any]
    doc: str
    example: str = ""


Part = Function | Strategy | StepType | SecretProvider | Connector | Source | BlobStore


def name_of(part: Part) -> str:
    return str(getattr(part.connector, "name", "")) if isinstance(part, Connector) else part.name

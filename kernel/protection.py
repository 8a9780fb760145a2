"""Values that are protected: which ones, how they stand on the log, and who opens them. Source: docs/decisions/0016, docs/privacy.md.

A name means the same in all of a tenant: what any of its models marks (`flowledger:protect`) is sealed wherever a variable of that name is recorded,
before it is folded. So state, checkpoints, events and rows hold the sealed text and nothing else, folding needs no key, and a key that is gone changes no
state. An expression that reads a sealed variable sees it opened; what it makes has the same class. Null is not sealed.

A sealed value is a text, `flk1.CLASS.KEY.ORIGIN.NAME.BYTES`: the key by which it is opened, the instance (or task, or message) and the variable that it is
of, and nonce and ciphertext. All but the bytes are under the cipher's associated data, with the tenant. Who seals and opens is the vault (`Facts.vault`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from flowledger.events import batch as ba
from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.avro import decode_json, encode_json
from flowledger.events.base import Event, Heavy
from flowledger.kernel.expressions import Failure
from flowledger.kernel.marks import Names

if TYPE_CHECKING:
    from flowledger.kernel.state import Instance

PREFIX = "flk1."
#: what stands for a value that its reader may not see, and for one whose key is gone. As a result of a form the first means: as it was
MASKED, ERASED = "[protected]", "[erased]"
#: code of what can't be done since the keys can't be had, and when a caller may come again (milliseconds)
KEYS_AWAY, AGAIN_MS = "KEYS_AWAY", 1_000
#: characters of the reference to a subject
SUBJECT_MAX = 200
_TOKEN = re.compile(r"flk1\.([a-z][a-z0-9_-]*)\.([A-Za-z0-9_-]+)\.([0-9]+)\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]+)")


class KeysAway(Exception):
    """Keys can't be asked for at the moment."""


class Erased(Exception):
    """The key was destroyed: nobody opens it any more."""


class Vault(Protocol):
    """Keys, and what they seal (`infra/protection`). `soft`: nothing may block; what would have to raises `Heavy`."""

    def key_of(self, tenant: str, subject: str, cls: str, soft: bool) -> str:
        """Of a subject, for values of a class; made when it has none. Raises: KeysAway, Heavy."""

    def seal(self, tenant: str, key: str, cls: str, origin: int, name: str, value: Any, soft: bool) -> str:
        """Under that key, or, where that is of another class, under the one of this class of the same subject. Raises: KeysAway, Erased, Heavy."""

    def open(self, tenant: str, text: str, soft: bool) -> Any:
        """The value. A text that only looks like a sealed one is itself. Raises: KeysAway, Erased, Heavy."""


class Sealed(NamedTuple):
    cls: str
    key: str
    origin: int
    name: str


def sealed(value: Any) -> Sealed | None:
    """What a value says of itself, when it is a sealed one."""
    if type(value) is not str or not value.startswith(PREFIX) or (found := _TOKEN.fullmatch(value)) is None:
        return None
    cls, key, origin, name, _ = found.groups()
    try:
        return Sealed(cls, key, int(origin), base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode())
    except ValueError:
        return None


def sealed_text(about: Sealed, data: bytes) -> str:
    return f"{PREFIX}{about.cls}.{about.key}.{about.origin}.{_plain(about.name.encode())}.{_plain(data)}"


def _plain(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    """What `sealed_text` was given. Raises: ValueError."""
    raw = text.rpartition(".")[2]
    return base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))


class TrialVault:
    """Of a process that is only tried, in memory: it looks as it would, and hides nothing. What a real one has sealed is as if erased."""

    def key_of(self, tenant: str, subject: str, cls: str, soft: bool) -> str:
        return "trial"

    def seal(self, tenant: str, key: str, cls: str, origin: int, name: str, value: Any, soft: bool) -> str:
        return sealed_text(Sealed(cls, "trial", origin, name), encode_json(value))

    def open(self, tenant: str, text: str, soft: bool) -> Any:
        found = sealed(text)
        if found is None:
            return text
        if found.key != "trial":
            raise Erased(found.key)
        return decode_json(bytes_of(text))


# --- sealing -------------------------------------------------------------------------------------------------------------------------------


def guarded(d: Any, event: Event, names: Names) -> Event:
    """The event as it goes to the log. Raises: Failure KEYS_MISSING, KEYS_AWAY; Heavy."""
    way = _WAYS.get(type(event))
    if way is None:
        return event
    changes = way(d, event, names)
    return msgspec.structs.replace(event, **changes) if changes else event


def _vault(d: Any) -> Vault:
    vault: Vault | None = d.facts.vault
    if vault is None:
        raise Failure("KEYS_MISSING", "protected variables need keys, and this server has none: set protect_key (docs/privacy.md)")
    return vault


def _soft(d: Any) -> bool:
    return bool(d.facts.feel_soft > 0)


def sealed_names(d: Any, origin: int, variables: Any, names: Names, process: str = "", all_of: str = "") -> dict[str, Any] | None:
    """Variables with those that are protected sealed; None: as they are. `all_of`: the class of those that have none of their own."""
    if not isinstance(variables, dict):
        return None
    out: dict[str, Any] | None = None
    for name, value in variables.items():
        cls, hint = names.of(name) or all_of, ""
        if (found := sealed(value)) is not None:
            if found.origin == origin and found.name == name:
                continue
            cls, hint = cls or found.cls, found.key
            try:
                value = _opened(d, value)
            except Erased:
                continue
        elif not cls or value is None:
            continue
        out = dict(variables) if out is None else out
        if value == MASKED:  # somebody sends back what was hidden from them
            del out[name]
        else:
            out[name] = _seal(d, origin, name, cls, value, variables, names, process, hint)
    return out


def _seal(
    d: Any, origin: int, name: str, cls: str, value: Any, variables: Mapping[str, Any], names: Names, process: str, hint: str = ""
) -> str:  # fmt: skip
    tenant, vault, soft = d.envelope.tenant, _vault(d), _soft(d)
    held = _key_held(d.state.instances.get(origin))
    try:
        if held is not None:
            try:
                return vault.seal(tenant, held.key, cls, origin, name, value, soft)
            except Erased:  # the subject's key is gone: what comes now is under a new one
                hint = ""
        about = _subject(d, origin, variables, names, process)
        if not about and hint:  # of whom it came from
            try:
                return vault.seal(tenant, hint, cls, origin, name, value, soft)
            except Erased:
                pass
        # an instance without an answer is its own subject; what is of no instance is the tenant's
        key = vault.key_of(tenant, about or (f"instance:{origin}" if process or held is not None else ""), cls, soft)
        return vault.seal(tenant, key, cls, origin, name, value, soft)
    except KeysAway as e:
        raise Failure(KEYS_AWAY, f"the keys of protected variables can't be had: {e}") from None


def _key_held(i: Instance | None) -> Sealed | None:
    """Something that an instance has sealed: all that comes later is under the same key."""
    if i is None:
        return None
    for layer in (i.vars, *(t.vars for t in i.tokens.values() if t.vars)):
        for value in layer.values():
            if type(value) is str and value.startswith(PREFIX) and (found := sealed(value)) is not None and found.origin == i.key:
                return found
    return None


def _subject(d: Any, origin: int, variables: Mapping[str, Any], names: Names, process: str) -> str:
    """Whom it is about, by the rules of the tenant's models, those of its own process first; empty: none has an answer."""
    i = d.state.instances.get(origin)
    process = i.process if i is not None else process
    if names.subjects:
        seen = {**opened_values(d, i.vars if i is not None else {}), **opened_values(d, variables)}
        for _, rule in sorted(names.subjects, key=lambda s: s[0] != process):
            value = rule.json(seen, d.facts) if rule.reads & seen.keys() else None
            if value is not None and not isinstance(value, bool | list | dict) and str(value).strip():
                return str(value)[:SUBJECT_MAX]
    return ""


def text_hidden(d: Any, key: int, element: str, message: str) -> str:
    """A text for people about an instance that has protected values, which it may quote: sealed as a whole."""
    i = d.state.instances.get(key)
    if not message or i is None or (held := _key_held(i)) is None:
        return message
    try:
        return _vault(d).seal(d.envelope.tenant, held.key, held.cls, key, element, message, _soft(d))
    except Heavy:
        raise
    except Exception:  # noqa: BLE001 - an incident is told whatever keys do; its text is not
        return "the text is not shown: it may quote protected variables, and the keys can't be had"


def whole(d: Any, key: int, name: str, value: Any) -> Any:
    """A value that was made of an instance's variables and stands under no name of theirs."""
    i = d.state.instances.get(key)
    if value is None or i is None or (held := _key_held(i)) is None:
        return value
    try:
        return _vault(d).seal(d.envelope.tenant, held.key, held.cls, key, name, value, _soft(d))
    except (KeysAway, Erased) as e:
        raise Failure(KEYS_AWAY, f"the keys of protected variables can't be had: {e}") from None


# --- opening -------------------------------------------------------------------------------------------------------------------------------


def _opened(d: Any, text: str) -> Any:
    try:
        return _vault(d).open(d.envelope.tenant, text, _soft(d))
    except KeysAway as e:
        raise Failure(KEYS_AWAY, f"the keys of protected variables can't be had: {e}") from None


def opened_values(d: Any, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """As expressions and workers see them; what was erased is null. The same mapping when nothing is sealed. Raises: Failure, Heavy."""
    out: dict[str, Any] | None = None
    for name, value in variables.items():
        if type(value) is str and value.startswith(PREFIX):
            out = dict(variables) if out is None else out
            out[name] = opened_value(d, value)
    return variables if out is None else out


def opened_value(d: Any, value: Any) -> Any:
    if type(value) is not str or not value.startswith(PREFIX):
        return value
    try:
        return _opened(d, value)
    except Erased:
        return None


def follow(d: Any, i: Instance, scope: int, reads: Iterable[str] | None, made: dict[str, Any]) -> dict[str, Any]:
    """What was made of variables, some of which are sealed: it has their class. `reads`: of which (None: of any that are seen)."""
    names = d.state.protection.get(i.tenant)
    if names is None or not made:
        return made
    kept = d.kept(i, scope)
    # of several classes the first by name, whoever decides it
    source = next((s for n in sorted(kept if reads is None else reads) if (s := sealed(kept.get(n))) is not None), None)
    if source is None:
        return made
    return sealed_names(d, i.key, made, names, all_of=source.cls) or made


def nameless(d: Any, i: Instance, scope: int, reads: Iterable[str], made: list[Any]) -> list[Any]:
    """Items and results of a loop, which stand under no name until a run has them: each sealed, when what they were made of is."""
    if not d.state.protection or not made:
        return made
    kept = d.kept(i, scope)
    if not any(sealed(kept.get(name)) for name in reads):
        return made
    return [whole(d, i.key, "items", value) for value in made]


def collected(d: Any, i: Instance, name: str, results: list[Any]) -> dict[str, Any]:
    """The results of runs, some of which are sealed, as one variable."""
    found = next((s for r in results if (s := sealed(r)) is not None), None)
    if found is None:
        return {name: results}
    made = {name: [opened_value(d, r) for r in results]}
    return sealed_names(d, i.key, made, d.state.protection.get(i.tenant) or Names(), all_of=found.cls) or made


def sent(d: Any, command: Any, names: Names) -> Any:
    """A command that goes to the log, for another partition or for later."""
    changes: dict[str, Any] = {}
    for field in ("variables", "start_payload"):
        if (made := sealed_names(d, d.cause[0], getattr(command, field, None), names)) is not None:
            changes[field] = made
    if getattr(command, "registry", "") == "data_store" and isinstance(command.value, dict):
        store = command.name.partition("/")[2]
        if (made := sealed_names(d, d.cause[0], {store: command.value.get("value")}, names)) is not None:
            changes["value"] = {"value": made[store]}
    return msgspec.structs.replace(command, **changes) if changes else command


#: files, and what a door has read from the state itself
_SPARED = (c.Deploy, c.ChangeDefinition, c.RollBackInstance)
_BEGINS = f'"{PREFIX}'.encode()
_encode_command = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


def refused(command: Any) -> bool:
    """Whether a caller has put a text into it that looks like a sealed value: it would be opened for whoever reads it."""
    if isinstance(command, _SPARED):
        return False
    try:
        return _BEGINS in _encode_command(command)
    except Exception:  # noqa: BLE001 - what can't be written is refused where it would be
        return False


# --- what is sealed of each event ----------------------------------------------------------------------------------------------------------

Way = Callable[[Any, Any, Names], dict[str, Any]]


def _of_variables(origin: Callable[[Any], int], process: Callable[[Any, Any], str] | None = None) -> Way:
    def way(d: Any, e: Any, names: Names) -> dict[str, Any]:
        made = sealed_names(d, origin(e), e.variables, names, process(d, e) if process is not None else "") if e.variables else None
        return {} if made is None else {"variables": made}

    return way


def _with_text(field: str, way: Way) -> Way:
    def both(d: Any, e: Any, names: Names) -> dict[str, Any]:
        found = dict(way(d, e, names))
        text = getattr(e, field)
        if (hidden := text_hidden(d, e.key, field, text)) != text:
            found[field] = hidden
        return found

    return both


def _created(d: Any, e: wf.WorkflowCreated, names: Names) -> dict[str, Any]:
    found = _IN_INSTANCE(d, e, names)
    if isinstance(e.request, dict):
        for field in ("variables", "start_payload"):
            made = sealed_names(d, e.key, e.request.get(field), names, e.process)
            if made is not None:
                found["request"] = {**found.get("request", e.request), field: made}
    return found


def _failed(d: Any, e: ta.TaskFailed, names: Names) -> dict[str, Any]:
    found = _with_text("message", _IN_INSTANCE)(d, e, names)
    if e.details is not None and (hidden := whole(d, e.key, "details", e.details)) is not e.details:
        found["details"] = {"sealed": hidden}
    return found


def _decided(d: Any, e: fl.DecisionEvaluated, names: Names) -> dict[str, Any]:
    return {"result": whole(d, e.key, "result", e.result), "trace": whole(d, e.key, "trace", e.trace)}


def _written(d: Any, e: fl.DataWritten, names: Names) -> dict[str, Any]:
    made = sealed_names(d, e.key, {e.store: e.value}, names)
    return {} if made is None else {"value": made.get(e.store)}


def _changed(d: Any, e: ta.TaskChanged, names: Names) -> dict[str, Any]:
    """Drafts have values by the names of fields."""
    if not isinstance(e.details, dict):
        return {}
    found = dict(e.details)
    for field in ("draft", "variables"):
        if (made := sealed_names(d, e.key or e.task, e.details.get(field), names)) is not None:
            found[field] = made
    return {"details": found} if found != e.details else {}


def _noted(d: Any, e: fl.TokenNoted, names: Names) -> dict[str, Any]:
    """What several events have brought so far has variables in it."""
    found = dict(e.data) if isinstance(e.data, dict) else {}
    for field, value in found.items():
        if isinstance(value, dict) and (made := sealed_names(d, e.key, value.get("variables"), names)) is not None:
            found[field] = {**value, "variables": made}
    return {"data": found} if found and found != e.data else {}


def _stored(d: Any, e: le.RecordStored, names: Names) -> dict[str, Any]:
    """The same of a start event that has several; and data stores, as other partitions tell of them."""
    if e.registry != "parallel_start" or not isinstance(e.value, dict):
        return {}
    made = sealed_names(d, 0, e.value.get("variables"), names)
    return {} if made is None else {"value": {**e.value, "variables": made}}


def _kept_back(d: Any, e: wf.WorkflowKept, names: Names) -> dict[str, Any]:
    made = sealed_names(d, e.key, e.command.get("variables"), names) if isinstance(e.command, dict) else None
    return {} if made is None else {"command": {**e.command, "variables": made}}


def _answered(d: Any, e: le.Answered, names: Names) -> dict[str, Any]:
    origin = e.answer.get("key") or e.answer.get("task") if isinstance(e.answer, dict) else None
    made = sealed_names(d, int(origin or 0), e.answer.get("variables"), names) if isinstance(e.answer, dict) else None
    return {} if made is None else {"answer": {**e.answer, "variables": made}}


def _batched(d: Any, e: ba.BatchCreated, names: Names) -> dict[str, Any]:
    made = sealed_names(d, e.batch, e.params.get("variables"), names) if isinstance(e.params, dict) else None
    return {} if made is None else {"params": {**e.params, "variables": made}}


def _process_of(d: Any, e: Any) -> str:
    i = d.state.instances.get(e.key)
    return i.process if i is not None else ""


_IN_INSTANCE = _of_variables(lambda e: int(e.key or getattr(e, "task", 0)), lambda d, e: getattr(e, "process", "") or _process_of(d, e))
_WAYS: dict[type[Event], Way] = {
    wf.WorkflowCreated: _created,
    wf.WorkflowStarted: _IN_INSTANCE,
    wf.VariableSet: _of_variables(lambda e: int(e.key), _process_of),
    wf.WorkflowFailed: _with_text("message", lambda d, e, names: {}),
    fl.ElementActivated: _IN_INSTANCE,
    fl.ErrorOccurred: _with_text("message", _IN_INSTANCE),
    fl.CompensationRecorded: _IN_INSTANCE,
    fl.DataWritten: _written,
    fl.DecisionEvaluated: _decided,
    fl.TokenNoted: _noted,
    le.RecordStored: _stored,
    le.Answered: _answered,
    wf.WorkflowKept: _kept_back,
    ba.BatchCreated: _batched,
    ta.TaskCreated: _IN_INSTANCE,
    ta.TaskCompleted: _IN_INSTANCE,
    ta.TaskFailed: _failed,
    wa.MessageReceived: _of_variables(lambda e: int(e.message)),
    wa.MessageCorrelated: _IN_INSTANCE,
    wa.SignalReceived: _of_variables(lambda e: int(e.key or e.signal)),
    wa.IncidentRaised: _with_text("message", lambda d, e, names: {}),
    **{cls: _changed for cls in ta.TaskChanged.__subclasses__()},
}

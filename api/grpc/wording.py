"""What Zeebe says where our kernel says it in other words: its clients look for these sentences.

Source: the rejections of Zeebe 8.6 as its clients see them. A refusal that is not in the table keeps our own words.
"""

from __future__ import annotations

import re

#: our status of a task -> Zeebe's state of a job
STATES = {"failed": "FAILED", "timed_out": "FAILED"}
_IN_STATE = r"can't \w+ task \d+: it is (failed|timed_out)\b.*"
_NONE_START = "Expected to create instance of process with none start event, but there is no such event"

#: name of a command -> what we say, as a whole -> what Zeebe says; `{subject}`: the key or id that was asked for
_SAID: dict[str, list[tuple[str, str]]] = {
    "COMPLETE": [(_IN_STATE, "Expected to complete job with key '{subject}', but it is in state '{state}'")],
    "FAIL": [(_IN_STATE, "Expected to fail job with key '{subject}', but it is in state '{state}'")],
    "UPDATE_TIMEOUT": [
        (r"nobody has the lease of task \d+", "Expected to update the timeout of job with key '{subject}', but it is not active")
    ],
    "PUBLISH": [
        (
            r"a message '.*' with id '(?P<id>.*)' was published before",
            "Expected to publish a new message with id '{id}', but a message with that id was already published",
        )
    ],
    "CREATE": [
        (r"expected process '.*' to have a none start event, .*", _NONE_START),
        (r"process '.*' has nothing to start with", _NONE_START),
        (
            r"can't start at '(?P<id>.*)': expected an element of '.*', found '.*'",
            "Expected to create instance of process with start instructions but no element found with id '{id}'.",
        ),
    ],
    "CANCEL": [
        (
            r"instance \d+ was called by instance \d+: cancel its root instance (?P<root>\d+) instead.*",
            "Expected to cancel a process instance with key '{subject}', but it is created by a parent process instance. "
            "Cancel the root process instance '{root}' instead.",
        )
    ],
    "MODIFY": [
        (
            r"expected an element of '(?P<process>.*)', found '(?P<id>.*)'",
            "Expected to modify instance of process '{process}' but it contains one or more activate instructions with an element "
            "that could not be found: '{id}'",
        )
    ],
    "MIGRATE": [
        (
            r"expected a mapping for the active element '(?P<id>.*)', found none",
            "Expected to migrate process instance '{subject}' but no mapping instruction defined for active element with id '{id}'. "
            "Elements cannot be migrated without a mapping.",
        )
    ],
}
_TABLE = {name: [(re.compile(ours, re.DOTALL), theirs) for ours, theirs in rows] for name, rows in _SAID.items()}


def said(command: str, message: str, subject: object) -> str:
    """Our message in Zeebe's words, where it has some."""
    for ours, theirs in _TABLE.get(command, ()):
        if found := ours.fullmatch(message):
            state = STATES.get(found[1], "") if found.re.groups and not found.re.groupindex else ""
            return theirs.format(subject=subject, state=state, **found.groupdict())
    return message


def not_mapped(instance: int, which: str, element: str) -> str:
    """`which`: source or target."""
    return (
        f"Expected to migrate process instance '{instance}' but mapping instructions contain a non-existing {which} element id '{element}'. "
        f"Elements provided in mapping instructions must exist in the {which} process definition."
    )

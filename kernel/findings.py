"""What a check of a model found: one shape for every format (interfaces.md, `flowledger validate`)."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One remark about a model. `code` is stable and for programs, `message` and `hint` are for people.

    `line` and `column` count from 1; 0 means unknown. `severity` is error, warning or info.
    """

    code: str
    message: str
    severity: str = "error"
    #: Id of the element in the model that the remark is about.
    element: str | None = None
    line: int = 0
    column: int = 0
    hint: str = ""
    file: str = ""
    #: Whether the standard forbids what was found, be it runnable or not; and the chapter that does.
    standard: bool = False
    chapter: str = ""

"""The one exception that this package raises."""


class DmnError(ValueError):
    """The model can't be read: not XML, not DMN, too large, with a DOCTYPE; or the asked name isn't in it.

    An error inside an expression is no DmnError: it is null with a warning, as the standard says.
    `line` counts from 1, 0 when unknown.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line

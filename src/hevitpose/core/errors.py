"""The one error that a user's input can cause."""

from os import PathLike


class InputError(Exception):
    """A file or value that cannot be used: `str()` is "FILE: reason", which a command prints as one line."""

    def __init__(self, source: str | PathLike[str], reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source, self.reason = str(source), reason

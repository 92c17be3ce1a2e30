"""The exceptions of this package, under one root.

A message names a parameter in backticks, `resume=True`; the command line shows it as its option, --resume.
"""

from os import PathLike


class HevitposeError(Exception):
    """The root: catching it catches everything that this package raises on purpose."""


class InputError(HevitposeError, ValueError):
    """A file or value that cannot be used: `str()` is "FILE: reason", which a command prints as one line.

    >>> str(InputError("photo.jpg", "no such file"))
    'photo.jpg: no such file'
    """

    def __init__(self, source: str | PathLike[str], reason: str) -> None:
        super().__init__(str(source), reason)
        self.source, self.reason = str(source), reason

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class DeviceError(InputError):
    """A device or runtime that this machine does not have."""


class TrainingDiverged(InputError):  # noqa: N818 - what happened, not that it is an error
    """A loss or gradient that is not finite; `reason` names the step and how to debug it."""


class MissingExtraError(HevitposeError, ImportError):
    """An optional dependency that is not installed; `extra` installs it.

    >>> str(MissingExtraError("openvino"))
    'openvino: needs packages that are not installed: pip install "hevitpose[openvino]"'
    """

    def __init__(self, extra: str, what: str | None = None) -> None:
        super().__init__(extra, what)
        self.extra, self.what = extra, what or extra

    def __str__(self) -> str:
        return f'{self.what}: needs packages that are not installed: pip install "hevitpose[{self.extra}]"'

"""What several commands share."""

from importlib.util import find_spec

from hevitpose.core.errors import InputError

EXTRAS = {
    "train": ("torch", "lightning_fabric", "safetensors", "tensorboard", "matplotlib", "scipy"),
    "export": ("torch", "onnx", "onnxscript"),
}


def need(extra: str) -> None:
    """Raise InputError, with the command that installs it, where an optional part of the package is missing."""
    if not all(find_spec(module) for module in EXTRAS[extra]):
        raise InputError(extra, f'needs packages that are not installed: pip install "hevitpose[{extra}]"')

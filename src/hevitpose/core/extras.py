"""The optional parts of the package, and which modules they install."""

from importlib.util import find_spec

from hevitpose.core.errors import MissingExtraError

EXTRAS = {
    "plot": ("matplotlib",),
    "train": ("torch", "lightning_fabric", "safetensors", "tensorboard", "matplotlib", "scipy"),
    "baselines": ("torch", "timm"),
    "export": ("torch", "onnx", "onnxscript"),
    "openvino": ("openvino",),
    "serve": ("starlette", "uvicorn", "prometheus_client"),
    "video": ("av",),
    "camera": ("av", "cv2"),
    "ray": ("ray", "pyarrow"),
}


def need(extra: str) -> None:
    """Raise MissingExtraError where an optional part of the package is missing."""
    if not all(find_spec(module) for module in EXTRAS[extra]):
        raise MissingExtraError(extra)


def extra_of(module: str) -> str | None:
    """The extra that installs a module, or a part of one."""
    return next((extra for extra, modules in EXTRAS.items() if module.partition(".")[0] in modules), None)

"""Light human pose estimation: HEViTPose, its training and evaluation, and fast prediction without torch.

>>> from hevitpose import PoseEstimator, list_models
>>> list_models()
['hevitpose_t_fast_people21', 'hevitpose_t_people16']
>>> estimator = PoseEstimator.from_pretrained()
>>> estimator.network.config.skeleton.num_keypoints
21
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from hevitpose.core.errors import DeviceError, HevitposeError, InputError, MissingExtraError, TrainingDiverged
    from hevitpose.core.results import Detections, ImagePoses, Person
    from hevitpose.core.skeleton import COCO17, MPII16, PEOPLE21, Skeleton
    from hevitpose.data.find import find_dataset
    from hevitpose.evaluation.evaluate import evaluate
    from hevitpose.export.checked import export_onnx
    from hevitpose.inference.backends import RuntimeOptions
    from hevitpose.inference.estimator import PoseEstimator
    from hevitpose.inference.inputs import Frame
    from hevitpose.inference.network import list_models
    from hevitpose.inference.video import PoseTracker
    from hevitpose.models.hevitpose import HEViTPose, hevitpose_b, hevitpose_s, hevitpose_t
    from hevitpose.training.loop import train
    from hevitpose.training.recipes import Recipe
    from hevitpose.view.draw import draw

__all__ = [
    "COCO17",
    "MPII16",
    "PEOPLE21",
    "Detections",
    "DeviceError",
    "Frame",
    "HEViTPose",
    "HevitposeError",
    "ImagePoses",
    "InputError",
    "MissingExtraError",
    "Person",
    "PoseEstimator",
    "PoseTracker",
    "Recipe",
    "RuntimeOptions",
    "Skeleton",
    "TrainingDiverged",
    "draw",
    "evaluate",
    "export_onnx",
    "find_dataset",
    "hevitpose_b",
    "hevitpose_s",
    "hevitpose_t",
    "list_models",
    "train",
]
_NAMES = {
    "core.errors": ("DeviceError", "HevitposeError", "InputError", "MissingExtraError", "TrainingDiverged"),
    "core.results": ("Detections", "ImagePoses", "Person"),
    "core.skeleton": ("COCO17", "MPII16", "PEOPLE21", "Skeleton"),
    "data.find": ("find_dataset",),
    "evaluation.evaluate": ("evaluate",),
    "export.checked": ("export_onnx",),
    "inference.backends": ("RuntimeOptions",),
    "inference.estimator": ("PoseEstimator",),
    "inference.inputs": ("Frame",),
    "inference.network": ("list_models",),
    "inference.video": ("PoseTracker",),
    "models.hevitpose": ("HEViTPose", "hevitpose_b", "hevitpose_s", "hevitpose_t"),
    "training.loop": ("train",),
    "training.recipes": ("Recipe",),
    "view.draw": ("draw",),
}
"""The public names, by the module that defines them."""
_HOMES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import hevitpose` loads neither torch nor ONNX Runtime."""
    if name == "__version__":
        from importlib.metadata import version  # which takes longer than all else here

        return version("hevitpose")
    if name not in _HOMES:
        raise AttributeError(f"module 'hevitpose' has no attribute {name!r}")
    try:
        return getattr(import_module(f"hevitpose.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        from hevitpose.core.errors import MissingExtraError
        from hevitpose.core.extras import extra_of

        extra = extra_of(error.name or "")
        if extra is None:
            raise
        raise MissingExtraError(extra, f"hevitpose.{name}") from error


def __dir__() -> list[str]:
    return sorted([*_HOMES, "__version__"])

"""Light human pose estimation: HEViTPose, its training and evaluation, and fast prediction without torch.

>>> from hevitpose import PoseEstimator
>>> estimator = PoseEstimator.from_pretrained()
>>> estimator.network.config.skeleton.num_keypoints
16
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from hevitpose.core.errors import InputError
    from hevitpose.core.results import ImagePoses, Person
    from hevitpose.core.skeleton import COCO17, MPII16, Skeleton
    from hevitpose.data.find import find_dataset
    from hevitpose.inference.estimator import PoseEstimator
    from hevitpose.models.hevitpose import HEViTPose, hevitpose_b, hevitpose_s, hevitpose_t
    from hevitpose.training.loop import train
    from hevitpose.training.recipes import Recipe
    from hevitpose.view.draw import draw

__all__ = [
    "COCO17",
    "MPII16",
    "HEViTPose",
    "ImagePoses",
    "InputError",
    "Person",
    "PoseEstimator",
    "Recipe",
    "Skeleton",
    "draw",
    "find_dataset",
    "hevitpose_b",
    "hevitpose_s",
    "hevitpose_t",
    "train",
]
_HOMES = {
    "InputError": "core.errors",
    "Person": "core.results",
    "ImagePoses": "core.results",
    "COCO17": "core.skeleton",
    "MPII16": "core.skeleton",
    "Skeleton": "core.skeleton",
    "find_dataset": "data.find",
    "PoseEstimator": "inference.estimator",
    "HEViTPose": "models.hevitpose",
    "hevitpose_b": "models.hevitpose",
    "hevitpose_s": "models.hevitpose",
    "hevitpose_t": "models.hevitpose",
    "train": "training.loop",
    "Recipe": "training.recipes",
    "draw": "view.draw",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import hevitpose` loads neither torch nor ONNX Runtime."""
    if name == "__version__":
        from importlib.metadata import version  # which takes longer than all else here

        return version("hevitpose")
    if name not in _HOMES:
        raise AttributeError(f"module 'hevitpose' has no attribute {name!r}")
    return getattr(import_module(f"hevitpose.{_HOMES[name]}"), name)

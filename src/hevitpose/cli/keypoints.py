"""The option `--keypoints`."""

from typing import Literal

from hevitpose.core.keypoint_names import match_names, require_names
from hevitpose.core.skeleton import COCO17, MPII16, Skeleton
from hevitpose.inference.network import Network

KeypointSet = Literal["all", "coco17", "mpii16"]


def written_skeleton(keypoints: KeypointSet | None, format: str, network: Network) -> Skeleton | None:
    """The keypoints to write, None for all. Raises InputError where the network does not predict them."""
    has_coco = None not in match_names(COCO17.keypoints, network.config.skeleton.keypoints)
    chosen = keypoints or ("coco17" if format == "coco" and has_coco else "all")
    if chosen == "all":
        return None
    skeleton = COCO17 if chosen == "coco17" else MPII16
    require_names(skeleton.keypoints, network.config.skeleton.keypoints, chosen, network.name)
    return skeleton

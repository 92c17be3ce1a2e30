"""Write what the page in web/ must share with Python: constants and test vectors, or whole images with their people.

python tools/web_golden.py            # web/src/generated.json and web/tests/golden.json, which are committed
python tools/web_golden.py FOLDER     # six images and the people that PoseEstimator finds in them
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageOps

from hevitpose import PoseEstimator
from hevitpose.core import geometry
from hevitpose.core.geometry import Floats
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.results import SCHEMA
from hevitpose.core.skeleton import COCO17, MPII16
from hevitpose.inference import detectors, estimator
from hevitpose.inference.network import DEFAULT, PERSON_DETECTOR, Network, list_models, weights_folder
from hevitpose.io import images
from hevitpose.view.draw import COLORS, FULL_SIGMA, LINE_SHARE

ROOT = Path(__file__).parents[1]
CONSTANTS, VECTORS = ROOT / "web/src/generated.json", ROOT / "web/tests/golden.json"
LETTERBOXED = [(37, 23, (16, 16)), (23, 37, (16, 16)), (9, 12, (20, 24)), (16, 16, (16, 32))]
"""Width, height and the size of the input."""
SHAPES = [(640, 480), (480, 640), (500, 500), (1920, 1080), (600, 399), (3000, 400), (90, 1200)]
"""Widths and heights of images whose input is chosen."""
CUT = [
    (40, 30, (5, 4, 25, 24), 1.25, (16, 16)),  # enlarged a little, all inside
    (40, 30, (-6, 8, 14, 40), 1.25, (16, 12)),  # beyond two edges
    (70, 50, (3, 2, 67, 48), 1.05, (16, 16)),  # blocks of 4
    (47, 31, (0, 0, 47, 31), 1.25, (12, 12)),  # blocks that the edges cut
    (20, 20, (100, 100, 120, 120), 1.0, (8, 8)),  # outside
]
"""Width, height, box, padding and (height, width) of the crop."""


def main() -> None:
    if sys.argv[1:]:
        write_images(Path(sys.argv[1]))
        return
    for path, content in ((CONSTANTS, constants()), (VECTORS, vectors())):
        path.write_text(json.dumps(content, indent=1 if path == CONSTANTS else None) + "\n")


def constants() -> dict[str, Any]:
    """What the page takes from Python; inputs, keypoints and the detector's threshold are in the ONNX files."""
    cards = {
        name: json.loads((weights_folder() / f"{name}.json").read_text()) for name in [*list_models(), PERSON_DETECTOR]
    }
    files = {
        name: {
            "sha256": card["sha256"][f"{name}.onnx"],
            "bytes": (weights_folder() / f"{name}.onnx").stat().st_size,
            "terms": card["terms"],
        }
        for name, card in cards.items()
    }
    return {
        "constants": {
            "schema": SCHEMA,
            "min_score": estimator.MIN_SCORE,
            "min_person_score": estimator.MIN_PERSON_SCORE,
            "lone_person_score": estimator.LONE_PERSON_SCORE,
            "min_keypoints": detectors.MIN_KEYPOINTS,
            "min_keypoint_share": detectors.MIN_KEYPOINT_SHARE,
            "head": list(detectors.HEAD),
            "min_head_keypoints": detectors.MIN_HEAD_KEYPOINTS,
            "sure_head": detectors.SURE_HEAD,
            "body_of_head": detectors.BODY_OF_HEAD,
            "box_margins": list(estimator.BOX_MARGINS),
            "margin_above_face": estimator.MARGIN_ABOVE_FACE,
            "min_body_keypoints": estimator.MIN_BODY_KEYPOINTS,
            "at_edge": estimator.AT_EDGE,
            "second_pass_tolerance": estimator.SECOND_PASS_TOLERANCE,
            "calibration_slope": estimator.PERSON_CALIBRATION.slope,
            "calibration_half": estimator.PERSON_CALIBRATION.half,
            "same_pose": estimator.SAME_POSE,
            "default_sigma": detectors.DEFAULT_SIGMA,
            "line_share": LINE_SHARE,
            "full_sigma": FULL_SIGMA,
            "colors": {side: list(color) for side, color in COLORS.items()},
        },
        "detector": files.pop(PERSON_DETECTOR) | {"name": PERSON_DETECTOR},
        "default_model": DEFAULT,
        "models": [{"name": name} | file for name, file in files.items()],
    }


def vectors() -> dict[str, Any]:
    """Inputs and outputs of resampling, of the estimator without its networks, and of the sides of skeletons."""
    return {
        "letterbox": [letterbox_vector(*case) for case in LETTERBOXED],
        "input_sizes": [
            {"width": w, "height": h, "side": side, "multiple": m, "input_hw": detectors.input_size(w / h, side, m)}
            for w, h in SHAPES
            for side, m in ((320, 64), (256, 64), (320, 320))
        ],
        "cut": [cut_vector(*case) for case in CUT],
        "estimates": [estimate_vector(), lone_vector(), head_vector(0.7), head_vector(0.2)],
        "sides": [
            {"keypoints": s.keypoints, "mirror": s.mirror, "sides": [s.side(k) for k in range(s.num_keypoints)]}
            for s in (MPII16, COCO17)
        ],
    }


def pattern(width: int, height: int) -> images.Image:
    """An image (height, width, 3) that web/tests/numbers.test.ts makes by the same rule."""
    x, y, c = np.meshgrid(np.arange(width), np.arange(height), np.arange(3))
    return np.asarray(((x * 7 + y * 13 + c * 50) ^ (x * y)) & 255, dtype=np.uint8)


def encoded(pixels: NDArray[np.uint8]) -> str:
    return base64.b64encode(pixels.tobytes()).decode()


def letterbox_vector(width: int, height: int, input_hw: tuple[int, int]) -> dict[str, Any]:
    pixels, scales = detectors.letterbox(pattern(width, height), input_hw)
    return {"width": width, "height": height, "input_hw": input_hw, "scales": scales, "input": encoded(pixels)}


def cut_vector(
    width: int, height: int, box: tuple[float, ...], padding: float, size_hw: tuple[int, int]
) -> dict[str, Any]:
    padded = geometry.crop_box(np.array(box), padding, size_hw[1] / size_hw[0])
    matrix = geometry.crop_matrix(padded, size_hw)
    crop = images.cut(pattern(width, height), matrix, size_hw)
    case = {"width": width, "height": height, "box": box, "padding": padding, "crop_hw": size_hw}
    return case | {"scale": matrix[0, 0], "offset": matrix[:, 2].tolist(), "crop": encoded(crop)}


class GivenBoxes(detectors.PersonDetector):
    """The bundled detector with fixed outputs in place of its graph."""

    def __init__(self, boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> None:
        self.path, self.side, self.multiple, self.min_score = detectors.bundled_detector(), 320, 64, 0.24
        self.graph = lambda *_: [boxes[None], scores[None]]  # type: ignore[assignment]


def estimate_vector() -> dict[str, Any]:
    """Five boxes: a person, the same once more, one half outside, one of a low score, one below the threshold."""
    boxes = np.array(
        [[40, 60, 120, 200], [42, 62, 121, 203], [250, 20, 330, 190], [150, 90, 200, 180], [10, 10, 60, 90]], np.float32
    )
    box_scores = np.array([0.71, 0.62, 0.55, 0.27, 0.2], np.float32)
    rng = np.random.default_rng(1)
    joints = rng.uniform(10, 182, (1, 16, 2)).repeat(4, axis=0) + rng.normal(0, 0.5, (4, 16, 2))
    scores = rng.uniform(0.1, 0.95, (4, 16))
    joints, scores = joints.round(2), scores.round(3)
    scores[3] *= 0.3
    return estimated(boxes, box_scores, joints, scores)


def lone_vector() -> dict[str, Any]:
    """No box: the image as a whole, then a second look at the person in it."""
    rng = np.random.default_rng(3)
    joints, scores = rng.uniform(30, 160, (2, 16, 2)).round(2), rng.uniform(0.3, 0.95, (2, 16)).round(3)
    return estimated(np.array([[10, 10, 60, 90]], np.float32), np.array([0.2], np.float32), joints, scores)


def head_vector(box_score: float) -> dict[str, Any]:
    """A person of whom only the head is visible: in a box, or where the score of the box is too low, in the image."""
    rng = np.random.default_rng(4)
    joints, scores = rng.uniform(30, 120, (2, 16, 2)).round(2), rng.uniform(0.05, 0.15, (2, 16)).round(3)
    scores[:, detectors.head_keypoints(MPII16)], scores[:, 0] = 0.85, 0.3  # an ankle that is sure enough by itself
    return estimated(np.array([[40, 30, 120, 120]], np.float32), np.array([box_score], np.float32), joints, scores)


def estimated(
    boxes: NDArray[np.float32], box_scores: NDArray[np.float32], joints: Floats, scores: Floats
) -> dict[str, Any]:
    """What comes of the detector's boxes and of the joints and scores of the crops, one after the other."""
    config, crops = ModelConfig("t", MPII16, (192, 192), geometry.BOX_PADDING), iter(zip(joints, scores, strict=True))

    def look(pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        points, values = zip(*(next(crops) for _ in pixels), strict=True)
        return np.stack(points), np.stack(values)

    estimator = PoseEstimator(Network("golden", lambda _: np.zeros(0, np.float32), config, look))
    estimator._detector = GivenBoxes(boxes, box_scores)  # noqa: SLF001 - as if "auto" had loaded it
    found = estimator(pattern(200, 130))
    return {
        "width": 200,
        "height": 130,
        "side": 320,
        "multiple": 64,
        "min_score": 0.24,
        "skeleton": {"keypoints": MPII16.keypoints, "mirror": MPII16.mirror, "limbs": MPII16.limbs, "sigmas": None},
        "padding": config.padding,
        "boxes": boxes.ravel().tolist(),
        "box_scores": box_scores.astype(float).tolist(),
        "joints": joints.ravel().tolist(),
        "scores": scores.ravel().tolist(),
        "poses": found.to_json(),
    }


def write_images(folder: Path) -> None:
    """Six images as files of several kinds, `expected.json` with the people of each, and a film for a camera."""
    folder.mkdir(parents=True, exist_ok=True)
    skier, street = (PILImage.open(ROOT / "examples" / name).convert("RGB") for name in ("skier.jpg", "street.jpg"))
    turned = PILImage.Exif()
    turned[0x0112] = 6  # shown turned by a quarter clockwise
    whole = {
        "skier.jpg": (skier, {"quality": 92}),
        "turned.jpg": (street.rotate(90, expand=True), {"quality": 92, "exif": turned}),
        "grey.png": (ImageOps.grayscale(street), {}),
        "part.webp": (street.crop((201, 87, 560, 401)), {"lossless": True}),
        "large.jpg": (skier.resize((2048, 1360), PILImage.Resampling.BICUBIC), {"quality": 88}),
        "two.jpg": (side_by_side(ImageOps.mirror(skier).crop((99, 0, 400, 400)), street.crop((240, 25, 541, 425))), {}),
    }
    estimate = PoseEstimator.from_pretrained(threads=1)
    expected = []
    for name, (image, options) in whole.items():
        image.save(folder / name, **options)  # type: ignore[arg-type]
        found = estimate(folder / name)
        expected.append({"file": name, "poses": found.to_json() | {"file": name}})
    (folder / "expected.json").write_text(json.dumps(expected))
    # Chromium's camera of files: JPEGs, one after the other, of even sides.
    skier.crop((0, 0, 640, 424)).save(folder / "camera.mjpeg", format="JPEG")
    (folder / "camera.mjpeg").write_bytes((folder / "camera.mjpeg").read_bytes() * 10)


def side_by_side(left: PILImage.Image, right: PILImage.Image) -> PILImage.Image:
    return PILImage.fromarray(np.hstack([np.asarray(left), np.asarray(right)]))


if __name__ == "__main__":
    main()

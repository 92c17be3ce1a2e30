"""The Python interface in one page: `python examples/api.py photo.jpg`."""

import sys

import numpy as np
from PIL import Image

from hevitpose import ImagePoses, PoseEstimator, draw
from hevitpose.io import images


def main() -> None:
    estimator = PoseEstimator.from_pretrained()
    image = images.read(sys.argv[1])
    poses = estimator(image)
    for person in poses:
        print(f"score {person.score:.2f}, box {person.box.round().tolist()}")
        for name, (x, y) in zip(poses.skeleton.keypoints, person.keypoints, strict=True):
            print(f"  {name}: " + ("absent" if np.isnan(x) else f"{x:.0f}, {y:.0f}"))
    Image.fromarray(draw(image, poses)).save("drawn.png")

    # Several images at once; boxes that are known already, x1, y1, x2, y2.
    both: list[np.ndarray] = [image, np.ascontiguousarray(image[:, ::-1])]
    answers: list[ImagePoses] = estimator(both, [poses.boxes, None])
    print(answers)


if __name__ == "__main__":
    main()

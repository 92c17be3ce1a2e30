import json
import socket

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hevitpose.core.skeleton import MPII16

DOTS = [(255, 40, 40), (40, 255, 40), (40, 40, 255), (255, 255, 40), (255, 40, 255), (40, 255, 255)]


@pytest.fixture
def free_port():
    """A function that finds a port of this machine that nobody listens on."""

    def find():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return find


@pytest.fixture(scope="session")
def dots(tmp_path_factory):
    """A folder with a data set to learn from: 24 images of one "person", a coloured dot for each of six joints."""
    folder = tmp_path_factory.mktemp("dots")
    random = np.random.default_rng(0)
    images, annotations = [], []
    for n in range(24):
        joints = random.uniform(20, 100, (6, 2)).round(1)
        image = Image.new("RGB", (120, 120), (30, 30, 30))
        for (x, y), color in zip(joints, DOTS, strict=True):
            ImageDraw.Draw(image).circle((x + 0.5, y + 0.5), 6, fill=color)
        image.save(folder / f"{n}.png")
        visibility = [2] * 5 + [0 if n % 3 == 0 else 2]
        keypoints = [v for (x, y), seen in zip(joints, visibility, strict=True) for v in (x, y, seen)]
        images.append({"id": n, "file_name": f"{n}.png"})
        annotations.append(
            {"id": n, "image_id": n, "category_id": 1, "bbox": [10, 10, 100, 100], "keypoints": keypoints}
            | {"head_box": [0, 0, 20, 20]}
        )
    names = ["a", "b", "c", "d", "e", "f"]
    category = {"id": 1, "name": "dots", "keypoints": names}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / "dots.json").write_text(json.dumps(content))
    (folder / "dots.toml").write_text(
        'terms = "free"\n[train]\nannotations = "dots.json"\n'
        '[validation.seen]\nannotations = "dots.json"\nmetric = "pckh"\n'
    )
    return folder


@pytest.fixture(scope="session")
def mpii_people():
    """40 persons with the joints of MPII, without images."""
    from hevitpose.core.labels import ImageFile, LabelledPeople

    random = np.random.default_rng(1)
    corners = random.uniform(0, 200, (40, 2))
    sizes = random.uniform(40, 200, (40, 2))
    visibility = random.integers(0, 3, (40, 16)).astype(np.int8)
    visibility[:, :3] = 2
    return LabelledPeople(
        name="random",
        skeleton=MPII16,
        images=(ImageFile("none.png", None),),
        image_ids=(0,),
        image_index=np.zeros(40, dtype=np.int64),
        ids=np.arange(40),
        boxes=np.concatenate([corners, corners + sizes], axis=1),
        keypoints=corners[:, None] + random.uniform(0, 1, (40, 16, 2)) * sizes[:, None],
        visibility=visibility,
        head_sizes=np.full(40, 20.0),
        areas=np.full(40, np.nan),
    )

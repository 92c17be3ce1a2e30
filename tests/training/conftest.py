import json
import socket
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

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


@pytest.fixture
def recipe():
    """A function that makes a short recipe for the dots, with the given changes."""

    def make(**changes):
        from hevitpose.training.recipes import InputSize, Recipe

        short = Recipe(epochs=2, batch_size=8, input_sizes=(InputSize(32, 32),), warmup_steps=1)
        return replace(short, **changes)

    return make


@pytest.fixture
def write_run():
    """A function that writes a run's folder; an epoch of `scores` by epoch takes two hours less than the one before."""

    def write(folder, scores=(), recipe=None, **data):
        folder.mkdir(parents=True, exist_ok=True)
        recipe = {"model": "t", "epochs": 3, "codec": {"sigma": 1.0}} | (recipe or {})
        (folder / "recipe.json").write_text(json.dumps(recipe))
        (folder / "data.json").write_text(json.dumps({"name": "mouse", "persons": 72_000} | data))
        rows = [
            {"epoch": n, "size": "64x64", "learning_rate": 0.1, "loss": 1 / n, "images_per_second": 10.0 * n}
            | ({"val PCKh@0.5": score} if score is not None else {})
            for n, score in enumerate(scores, start=1)
        ]
        (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    return write


@pytest.fixture(scope="session")
def mpii_people(make_people):
    """40 persons with the joints of MPII in boxes of all shapes, without images."""
    random = np.random.default_rng(1)
    corners = random.uniform(0, 200, (40, 2))
    sizes = random.uniform(40, 200, (40, 2))
    visibility = random.integers(0, 3, (40, 16)).astype(np.int8)
    visibility[:, :3] = 2
    return make_people(
        40,
        boxes=np.concatenate([corners, corners + sizes], axis=1),
        keypoints=corners[:, None] + random.uniform(0, 1, (40, 16, 2)) * sizes[:, None],
        visibility=visibility,
    )

import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.skeleton import MPII16

# Tiny tensors gain nothing from threads, and threads that wait for each other on a busy machine cost seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="session")
def real_crops() -> np.ndarray:
    """Eight uint8 crops (8, 256, 256, 3) of real people, upright and mirrored, near and far."""
    from hevitpose.core.geometry import crop_box, crop_matrix, xyxy_from_xywh
    from hevitpose.io import images

    crops = []
    for file, box in (("skier.jpg", (280, 44, 218, 346)), ("street.jpg", (275, 128, 142, 251))):
        image = images.read(EXAMPLES / file)
        for padding, mirrored in ((1.0, False), (1.25, False), (1.25, True), (1.7, False)):
            matrix = crop_matrix(crop_box(xyxy_from_xywh(box), padding, 1.0), (256, 256), 0.0, mirrored)
            crops.append(images.cut(image, matrix, (256, 256)))
    return np.stack(crops)


@pytest.fixture
def refused():
    """Expects an InputError of one line that begins with the file and holds the given words."""

    @contextmanager
    def about(source, *words):
        with pytest.raises(InputError) as error:
            yield
        text = str(error.value)
        assert text.startswith(f"{source}: ")
        assert "\n" not in text
        assert [word for word in words if word not in text] == [], text

    return about


@pytest.fixture
def full_disk():
    """A context in which no file can grow beyond a number of bytes, as on a disk that fills there."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def at(size):
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    return at


@pytest.fixture(scope="session")
def make_people():
    """A function that makes `count` persons of a skeleton on one image of 500 x 500 pixels, all joints labelled."""

    def make(count, skeleton=MPII16, **changes):
        from hevitpose.core.labels import ImageFile, LabelledPeople

        people = LabelledPeople(
            name="people",
            skeleton=skeleton,
            images=(ImageFile("none.png", None),),
            image_ids=(0,),
            image_index=np.zeros(count, dtype=np.int64),
            ids=np.arange(count),
            boxes=np.tile([0.0, 0, 500, 500], (count, 1)),
            keypoints=np.random.default_rng(0).uniform(0, 500, (count, skeleton.num_keypoints, 2)),
            visibility=np.full((count, skeleton.num_keypoints), 2, dtype=np.int8),
            head_sizes=np.full(count, 20.0),
            areas=np.full(count, np.nan),
        )
        return replace(people, **changes)

    return make

from pathlib import Path

import numpy as np
import pytest

from hevitpose.benchmark.pipeline import ALL, DETECTOR, HEATMAPS, NETWORK, median_ms, pipeline_ms, spread, steps
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import DEFAULT, PAPER_T
from hevitpose.io import images
from hevitpose.view.draw import draw

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_each_step_has_its_own_time(monkeypatch):
    from hevitpose.benchmark import pipeline

    now = [0.0]

    class Time:
        perf_counter = staticmethod(lambda: now[0])

    def step(*seconds):
        remaining = iter(seconds)
        return lambda: now.__setitem__(0, now[0] + next(remaining))

    monkeypatch.setattr(pipeline, "time", Time)
    assert median_ms({"a": step(9, 1, 5, 2), "b": step(9, 0.5, 0.5, 0.25)}, 3) == {"a": 2000.0, "b": 500.0}


@pytest.mark.parametrize("count", [1, 5, 20])
def test_boxes_are_spread_over_the_image(count):
    box = np.array([100.0, 50.0, 160.0, 150.0])
    boxes = spread(box, count, (480, 640))
    assert len({tuple(each) for each in boxes}) == len(boxes) == count
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], [[60, 100]] * count)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [640, 480]).all()
    if count == 1:
        np.testing.assert_array_equal(boxes[0], box)


@pytest.mark.parametrize(("runtime", "weights"), [("onnx", DEFAULT), ("torch", PAPER_T)])
def test_the_steps_of_a_photo(runtime, weights):
    estimator = PoseEstimator.from_pretrained(weights, runtime=runtime, threads=1)
    ms = pipeline_ms(estimator, EXAMPLES / "skier.jpg", 3, draw, rounds=1)
    assert list(ms) == ["read image", DETECTOR, "cut crops", NETWORK, HEATMAPS, "draw", ALL]
    assert all(own > 0 for own in ms.values())
    assert ms[NETWORK] > ms[HEATMAPS]


def test_all_in_one_decodes_once_and_each_step_gives_what_the_estimator_gives(monkeypatch):
    estimator = PoseEstimator.from_pretrained(threads=1)
    photo, boxes = EXAMPLES / "skier.jpg", np.array([[60.0, 40, 200, 300], [90, 60, 230, 320]])
    image = images.read(photo)
    pose = estimator(image, boxes)
    drawn, read, looked_at = [], [], []
    own_read, own_detector = images.read, estimator.detector
    of_photo = steps(estimator, photo, boxes, lambda *given: drawn.append(given))
    monkeypatch.setattr(images, "read", lambda *given: read.append(given) or own_read(*given))
    estimator._detector = lambda frames: looked_at.extend(frames) or own_detector(frames)
    of_photo[ALL]()
    ((drawn_on, drawn_pose),) = drawn
    assert read == [(photo,)]
    assert [frame.image is drawn_on for frame in looked_at] == [True]
    np.testing.assert_array_equal(drawn_on, image)
    np.testing.assert_array_equal(drawn_pose.boxes, boxes)
    np.testing.assert_allclose(drawn_pose.all_keypoints, pose.all_keypoints)
    np.testing.assert_allclose(of_photo[HEATMAPS](), pose.all_keypoints, atol=1e-3)
    assert of_photo["cut crops"]().pixels.shape == (2, *estimator.network.config.input_size, 3)


def test_a_photo_without_a_person_is_refused(tmp_path, refused):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    with refused(tmp_path / "black.png"):
        pipeline_ms(PoseEstimator.from_pretrained(threads=1), tmp_path / "black.png", 1, draw, rounds=1)

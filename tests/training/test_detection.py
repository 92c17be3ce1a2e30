"""Training of a detector: examples, resuming, refusals."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hevitpose.core.errors import InputError, TrainingDiverged
from hevitpose.core.progress import Progress
from hevitpose.inference.detectors import letterbox
from hevitpose.io.lock import hold_folder
from hevitpose.models import weights
from hevitpose.models.detector import Detector, DetectorConfig
from hevitpose.models.detector_weights import load_detector
from hevitpose.training.detection import BEST, LAST, DetectorOptions, average_over_processes, train_detector
from hevitpose.training.detection_data import (
    Boxes,
    DetectionAugmentation,
    DetectionSet,
    draw_example,
)

TINY = DetectorConfig(channels=(8, 16, 16), depths=(1, 1, 1), groups=(2, 2, 2), heads=(1, 1, 1), width=8, detail=4)
OPTIONS = DetectorOptions(epochs=2, batch_size=3, sides=((64, 0.5), (128, 1.0)), config=TINY)
NO_COLOR = {"color": 0.0, "grey": 0.0, "low_resolution": 0.0}


def squares(count: int = 5) -> DetectionSet:
    """White squares on black: (20, 10) to (50, 40) and so on, at other places in each image."""
    images, boxes = [], []
    for number in range(count):
        image = np.zeros((60, 90, 3), dtype=np.uint8)
        x, y = 5 * number + 10, 3 * number + 5
        image[y : y + 30, x : x + 30] = 255
        images.append(image)
        box = np.array([[x, y, x + 30.0, y + 30.0]])
        boxes.append(Boxes(box, np.zeros(1, dtype=np.int64), np.zeros(1, dtype=bool)))
    return DetectionSet(images, boxes, np.arange(count) % 2 == 0, ("square",))


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_boxes_follow_the_pixels(mosaic: float) -> None:
    augmentation = DetectionAugmentation(mosaic=mosaic, quarter_turns=0.5, **NO_COLOR)
    data, seen = squares(), 0
    for index in range(5):
        for epoch in range(4):
            pixels, boxes, colors = draw_example(data, index, 192, augmentation, 0, epoch)
            assert colors.tolist() == [1, 1, 1]
            white = pixels[..., 0] > 127
            inside = np.zeros_like(white)
            for x0, y0, x1, y1 in boxes.xyxy.round().astype(int):
                inside[y0:y1, x0:x1] = True
            difference = (white ^ inside).sum()
            assert difference < 0.06 * max(200, white.sum()) + 150
            seen += len(boxes.classes)
    assert seen > 10


def test_an_example_is_decided_by_seed_epoch_and_index() -> None:
    one, same, other = (draw_example(squares(), 2, 64, DetectionAugmentation(), 7, epoch) for epoch in (3, 3, 4))
    assert (one[0] == same[0]).all()
    assert (one[1].xyxy == same[1].xyxy).all()
    assert one[0].shape != other[0].shape or (one[0] != other[0]).any()


def test_letterbox_fills_the_upper_left() -> None:
    square, (x, y) = letterbox(np.full((30, 60, 3), 200, dtype=np.uint8), (64, 64))
    assert (x, y) == (64 / 60, 32 / 30)
    assert (square[:32] == 200).all()
    assert (square[32:] == 0).all()


@pytest.mark.parametrize("after", [1, 3])  # steps of the first epoch and of the second
def test_a_resumed_run_ends_bit_equal(tmp_path: Path, after: int) -> None:
    """A run that is stopped in the middle of an epoch, its last checkpoint a step old, ends as one that is not."""
    options = replace(OPTIONS, checkpoint_minutes=0.0)
    whole = train_detector(squares(), squares(2), tmp_path / "whole", options)
    steps = 0

    def stop(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_detector(squares(), squares(2), tmp_path / "parts", options, on_progress=stop)
    parts = train_detector(squares(), squares(2), tmp_path / "parts", options, resume=True)
    assert [row["loss"] for row in parts] == [row["loss"] for row in whole]
    for name in (LAST, BEST):
        ours, theirs = (weights.load(tmp_path / run / name)[0] for run in ("whole", "parts"))
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def average_in(rank: int, meeting: Path) -> None:
    """One of two processes: its gradient and its statistics are its rank and become 0.5."""
    torch.distributed.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=2)
    layer = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    for parameter in layer.parameters():
        parameter.grad = torch.full_like(parameter, rank)
    layer[1].running_mean.fill_(rank)
    loss = average_over_processes(layer, torch.tensor(2.0 * rank))
    torch.distributed.destroy_process_group()
    numbers = [loss.view(1), layer[1].running_mean, *(parameter.grad.flatten() for parameter in layer.parameters())]
    torch.save(torch.cat(numbers), meeting.with_name(f"{rank}.pt"))


def test_processes_average_gradients_and_statistics(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=average_in, args=(rank, tmp_path / "meeting")) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    for rank in range(2):
        loss, *others = torch.load(tmp_path / f"{rank}.pt").tolist()
        assert loss == 1
        assert set(others) == {0.5}


def test_a_trained_detector_finds_what_it_has_seen(tmp_path: Path) -> None:
    augmentation = DetectionAugmentation(mosaic=0.0, quarter_turns=0.0, scale=(0.9, 1.0), **NO_COLOR)
    options = replace(OPTIONS, epochs=28, sides=((64, 1.0),), learning_rate=5e-3, augmentation=augmentation)
    exact, rounded = (
        train_detector(squares(6), squares(6), tmp_path / precision, options, precision=precision)
        for precision in ("fp32", "bf16")
    )
    for history in (exact, rounded):
        assert max(row["AP50"] for row in history) > 0.9
    assert rounded[0]["loss"] != exact[0]["loss"]
    assert rounded[0]["loss"] == pytest.approx(exact[0]["loss"], rel=0.05)
    network, file_config = load_detector(tmp_path / "bf16" / BEST)
    assert file_config.class_names == ("square",)
    assert file_config.side == 64
    assert network.config == TINY
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())


def test_progress_is_that_of_every_training(tmp_path: Path) -> None:
    seen: list[Progress] = []
    train_detector(squares(), None, tmp_path, OPTIONS, on_progress=seen.append)
    assert [(at.stage, at.done, at.total, at.run_share) for at in seen] == [
        ("detector: epoch 1/2", 1, 2, 0.25),
        ("detector: epoch 1/2", 2, 2, 0.5),
        ("detector: epoch 2/2", 1, 2, 0.75),
        ("detector: epoch 2/2", 2, 2, 1.0),
    ]
    assert all(at.loss and at.loss > 0 for at in seen)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    def broken(network: Detector) -> None:
        for parameter in network.parameters():
            parameter.data.fill_(float("nan"))

    with pytest.raises(TrainingDiverged, match=r"the loss is nan, .* at step 1 of epoch 1"):
        train_detector(squares(), None, tmp_path, OPTIONS, broken)


def test_refusals(tmp_path: Path) -> None:
    with hold_folder(tmp_path), pytest.raises(InputError, match="another run uses it"):
        train_detector(squares(), None, tmp_path, OPTIONS)
    with pytest.raises(InputError, match="2 classes"):
        train_detector(squares(), None, tmp_path, replace(OPTIONS, config=replace(TINY, num_classes=2)))
    with pytest.raises(InputError, match="multiple of 64"):
        train_detector(squares(), None, tmp_path, replace(OPTIONS, sides=((100, 1.0),)))
    train_detector(squares(3), None, tmp_path, replace(OPTIONS, epochs=1))
    with pytest.raises(InputError, match="already holds a run"):
        train_detector(squares(3), None, tmp_path, OPTIONS)
    with pytest.raises(InputError, match="epochs"):
        train_detector(squares(3), None, tmp_path, OPTIONS, resume=True)

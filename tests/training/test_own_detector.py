"""The detector of a run: its data, its settings, resuming, and the folder that is then a model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from hevitpose.core.errors import InputError
from hevitpose.core.labels import Ignored
from hevitpose.core.model_config import BoxSizes
from hevitpose.data.box_sizes import measure_box_sizes
from hevitpose.data.find import find_dataset
from hevitpose.inference.estimator import PERSON_CALIBRATION, PoseEstimator
from hevitpose.inference.model_folder import BEST, MODEL, Calibration, ModelFolder, read_model_folder
from hevitpose.inference.network import load_network
from hevitpose.io import images
from hevitpose.io.lock import hold_folder
from hevitpose.models import weights
from hevitpose.training import own_detector
from hevitpose.training.fabric import Hardware
from hevitpose.training.loop import train
from hevitpose.training.own_detector import detection_set, detector_options, train_own_detector
from hevitpose.training.own_model import finish_model
from hevitpose.training.recipes import InputSize, Recipe
from hevitpose.training.run import read_run, read_samples


@pytest.fixture(scope="module", autouse=True)
def short():
    """Two epochs of a batch of eight at 64 x 64."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"SHOWN": (16, 16), "SIDES": (64,), "MAX_IMAGES": 8, "MAX_VALIDATED": 4}.items():
            patched.setattr(own_detector, name, value)
        yield


@pytest.fixture(scope="module")
def dataset(dots):
    return find_dataset(str(dots / "dots.toml"))


@pytest.fixture(scope="module")
def run(dataset, short, tmp_path_factory):  # noqa: ARG001
    """A run with a detector that was not interrupted."""
    folder = tmp_path_factory.mktemp("run")
    recipe = Recipe(epochs=1, batch_size=24, input_sizes=(InputSize(32, 32),))
    train(recipe, dataset, folder, Hardware("cpu", "fp32"))
    train_own_detector(dataset, folder)
    return folder


def test_boxes_are_those_of_the_labels_and_the_rest_is_ignored(dataset):
    people = dataset.train.people
    crowd = Ignored(np.array([3]), np.array([[0.0, 0, 500, 30]]), np.array([1.0]), np.array([True]))
    data = detection_set(replace(people, ignored=crowd), 24)
    assert len(data) == 24
    assert data.boxes[3].xyxy.tolist() == [[10, 10, 110, 110], [0, 0, 120, 30]]
    assert data.boxes[3].ignored.tolist() == [False, True]
    assert len(detection_set(people, 5)) == 5


@pytest.mark.parametrize(("low", "side"), [(0.3, 192), (0.16, 256), (0.05, 320)])
def test_smaller_people_need_a_larger_input(monkeypatch, low, side):
    monkeypatch.setattr(own_detector, "SIDES", (192, 256, 320))
    monkeypatch.setattr(own_detector, "SHOWN", (1600, 12000))
    options = detector_options(87, BoxSizes(0.4, low, 0.5))
    assert (options.sides, options.epochs, options.batch_size) == (((side, 1.0),), 19, 8)
    assert detector_options(4000, None).epochs == 3


def test_an_interrupted_detector_ends_with_the_same_bits(dataset, run, tmp_path):
    steps = []

    def stop(progress):
        if progress.stage.startswith("detector"):
            steps.append(progress)
            if len(steps) > 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_own_detector(dataset, tmp_path, on_progress=stop)
    resumed = train_own_detector(dataset, tmp_path)
    ours, theirs = (weights.load(path)[0] for path in (resumed, run / "detector" / BEST))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_finished_detector_decodes_no_image_and_other_data_are_refused_before(dataset, run, monkeypatch):
    def decoded(*_):
        raise AssertionError

    monkeypatch.setattr(images, "read", decoded)
    assert train_own_detector(dataset, run) == run / "detector" / BEST
    with pytest.raises(InputError, match=r"last\.safetensors: was made with another value of seed"):
        train_own_detector(dataset, run, seed=5)


def test_a_run_in_use_and_data_without_training_are_refused(dataset, run, refused):
    with hold_folder(run):
        with refused(run, "another run uses it"):
            train_own_detector(dataset, run)
        with refused(run, "another run uses it"):
            finish_model(run, [], None)
    with refused("dots", "has no [train] table"):
        train_own_detector(replace(dataset, train=None), run)


def test_the_people_of_a_training_are_measured_once(dots, monkeypatch):
    people, sizes = find_dataset(str(dots / "dots.toml")).train.people, []
    read_size = images.read_size
    monkeypatch.setattr(images, "read_size", lambda file: sizes.append(file) or read_size(file))
    assert measure_box_sizes(people) == measure_box_sizes(people) == BoxSizes(0.8333, 0.8333, 0.8333)
    assert len(sizes) == 24


def test_the_run_is_then_a_model(dataset, run):
    validation = [split.people for split in dataset.validation]
    model, found = finish_model(run, validation, run / "detector" / BEST)
    assert read_model_folder(run) == model
    assert model.detector == run / "detector" / BEST
    counts = json.loads((run / "end_to_end.json").read_text())["seen"]
    assert (counts["people"], counts["joints"]) == (24, 136)
    assert (counts["boxes"], counts["strays"]) == (
        "end to end, found by the model's own detector",
        found["seen"].strays,
    )
    card = json.loads((run / "detector" / "card.json").read_text())
    assert card["terms"].startswith("free; those of person_detector, with which it begins: research use only")
    network = load_network(run)
    assert (network.name, network.config.skeleton.num_keypoints) == (run.name, 6)
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    estimator = PoseEstimator(network)
    estimator(image)
    assert estimator.detector.path == model.detector
    assert estimator.calibration == (model.person_score or PERSON_CALIBRATION)
    assert PoseEstimator(network, "person").calibration == PERSON_CALIBRATION


def test_a_run_names_images_for_the_check_of_an_export(run):
    samples = read_samples(read_run(run))
    assert [image.shape for image in samples] == [(120, 120, 3)] * 7


def test_a_model_folder_is_refused_in_one_line(tmp_path, refused):
    with refused(tmp_path, "holds no model"):
        read_model_folder(tmp_path)
    (tmp_path / MODEL).write_text('{"schema": "hevitpose.model/1", "pose": "pose.onnx"}')
    with refused(tmp_path / MODEL, "does not describe a model"):
        read_model_folder(tmp_path)
    (tmp_path / MODEL).write_text(json.dumps(ModelFolder(tmp_path / "pose.onnx").to_json()))
    with refused(tmp_path / "pose.onnx", "is missing"):
        read_model_folder(tmp_path)
    (tmp_path / MODEL).write_text('{"schema": "hevitpose.model/9"}')
    with refused(tmp_path / MODEL, "has the schema hevitpose.model/9"):
        read_model_folder(tmp_path)


def test_what_is_written_is_read_again(tmp_path):
    (tmp_path / "pose.onnx").touch()
    (tmp_path / "detector.onnx").touch()
    model = ModelFolder(tmp_path / "pose.onnx", tmp_path / "detector.onnx", Calibration(2.0, 0.1))
    (tmp_path / MODEL).write_text(json.dumps(model.to_json()))
    assert read_model_folder(tmp_path) == model

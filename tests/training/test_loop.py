import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hevitpose.core.errors import InputError
from hevitpose.core.heatmap import Codec
from hevitpose.core.model_config import BoxSizes
from hevitpose.data.find import find_dataset
from hevitpose.io.lock import hold_folder
from hevitpose.models import weights
from hevitpose.models.weights import load_model
from hevitpose.training import loop
from hevitpose.training.augment import Augmentation
from hevitpose.training.fabric import Hardware
from hevitpose.training.loop import train
from hevitpose.training.recipes import InputSize, Recipe
from hevitpose.training.run import RunWriter, read_run, read_scores

RECIPE = Recipe(
    epochs=3,
    batch_size=8,
    input_sizes=(InputSize(32, 32), InputSize(64, 64, 0.6)),
    codec=Codec(sigma=1.5),
    warmup_steps=4,
    augmentation=Augmentation(scale=0.2, rotation=10),
)
HARDWARE = Hardware(device="cpu", precision="fp32", checkpoint_minutes=0)


class Killed(BaseException):
    """As if the process had been killed at this moment."""


def killed_at(epoch, step):
    def on_progress(progress):
        if progress.stage.startswith(f"epoch {epoch}/") and progress.done == step:
            raise Killed

    return on_progress


@pytest.fixture(scope="module")
def dataset(dots):
    return find_dataset(str(dots / "dots.toml"))


@pytest.fixture(scope="module")
def uninterrupted(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    history = train(RECIPE, dataset, folder, HARDWARE)
    return folder, history


def without_speed(history):
    return [dataclasses.replace(row, images_per_second=0) for row in history]


def test_a_run_leaves_log_curve_weights_and_recipe(uninterrupted):
    folder, history = uninterrupted
    assert read_run(folder).history == history
    assert (folder / "log.csv").read_text().count("\n") == 4
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert any((folder / "tensorboard").iterdir())
    assert json.loads((folder / "recipe.json").read_text())["epochs"] == 3
    assert [row.size for row in history] == ["32x32", "32x32", "64x64"]
    assert 0 <= history[-1].scores["seen PCKh@0.5"] <= 100
    assert read_scores(folder)["seen"].persons == 24
    assert json.loads((folder / "card.json").read_text())["steps"] % 3 == 0
    assert {file.name for file in folder.iterdir()} >= {"keypoints.csv", "worst_seen.png", "errors_seen.png"}
    model, config = load_model(folder / "last.safetensors")
    assert config.skeleton.keypoints == ("a", "b", "c", "d", "e", "f")
    assert config.input_size == (64, 64)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 6, 16, 16)


@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (2, 2), (2, 3), (3, 1)])
def test_a_killed_run_resumes_to_the_same_weights_bit_for_bit(dataset, uninterrupted, tmp_path, epoch, step):
    with pytest.raises(Killed):
        train(RECIPE, dataset, tmp_path, HARDWARE, on_progress=killed_at(epoch, step))
    history = train(RECIPE, dataset, tmp_path, HARDWARE, resume=True)
    folder, whole_history = uninterrupted
    assert without_speed(history) == without_speed(whole_history)
    resumed, whole = (load_file(f / "last.safetensors") for f in (tmp_path, folder))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


@pytest.mark.parametrize(
    ("epoch", "written"),
    [(2, True), (3, True), (3, False)],
    ids=["after a report", "after the last", "before the last"],
)
def test_a_run_that_is_killed_at_an_epochs_end_leaves_the_same_files(
    dataset, uninterrupted, tmp_path, monkeypatch, epoch, written
):
    real, calls = RunWriter.write, []

    def write(*arguments):
        calls.append(arguments)
        if len(calls) != epoch:
            return real(*arguments)
        if written:
            real(*arguments)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(RunWriter, "write", write)
        with pytest.raises(Killed):
            train(RECIPE, dataset, tmp_path, HARDWARE)
    train(RECIPE, dataset, tmp_path, HARDWARE, resume=True)
    folder, _ = uninterrupted
    for name in ("best.safetensors", "last.safetensors"):
        killed, whole = load_file(tmp_path / name), load_file(folder / name)
        assert all(torch.equal(killed[tensor], whole[tensor]) for tensor in whole), name
    assert without_speed(read_run(tmp_path).history) == without_speed(read_run(folder).history)


def test_a_folder_with_a_run_is_not_overwritten(dataset, uninterrupted):
    folder, _ = uninterrupted
    before = (folder / "checkpoint.safetensors").read_bytes()
    with pytest.raises(InputError, match="already holds a run"):
        train(RECIPE, dataset, folder, HARDWARE)
    assert (folder / "checkpoint.safetensors").read_bytes() == before


def test_a_folder_in_use_is_refused(dataset, tmp_path):
    with hold_folder(tmp_path), pytest.raises(InputError, match="another run uses it at this moment"):
        train(RECIPE, dataset, tmp_path, HARDWARE)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_fills_the_disk_at_any_byte_leaves_the_former_one(tmp_path, full_disk):
    path = tmp_path / "checkpoint.safetensors"
    weights.save(path, {"a": torch.arange(40.0)}, {"progress": "former"})
    for size in range(path.stat().st_size):
        with pytest.raises(InputError, match="cannot be written"), full_disk(size):
            weights.save(path, {"a": torch.zeros(40)}, {"progress": "newer."})
    tensors, metadata = weights.load(path)
    assert (tensors["a"].tolist(), metadata["progress"]) == (list(range(40)), "former")


def test_resuming_with_another_recipe_is_refused(dataset, uninterrupted):
    folder, _ = uninterrupted
    other = Recipe(**vars(RECIPE) | {"learning_rate": 2e-3})
    with pytest.raises(InputError, match=r"was made with learning_rate = 0\.001, not 0\.002: .*`weights=.*last"):
        train(other, dataset, folder, HARDWARE, resume=True)


@pytest.mark.parametrize(
    ("people", "metric", "what"), [(20, "pckh", "training people"), (24, "pck_box", "validation sets")]
)
def test_resuming_with_other_data_is_refused(dots, uninterrupted, tmp_path, people, metric, what):
    folder, _ = uninterrupted
    content = json.loads((dots / "dots.json").read_text())
    content["annotations"] = content["annotations"][:people]
    (tmp_path / "some.json").write_text(json.dumps(content))
    (tmp_path / "other.toml").write_text(
        f'[train]\nannotations = "some.json"\nimages = "{dots}"\n'
        f'[validation.seen]\nannotations = "{dots}/dots.json"\nmetric = "{metric}"\n'
    )
    with pytest.raises(InputError, match=f"was made with other {what}"):
        train(RECIPE, find_dataset(str(tmp_path / "other.toml")), folder, HARDWARE, resume=True)


def test_resuming_with_other_arithmetic_says_so(dataset, tmp_path, caplog):
    with pytest.raises(Killed):
        train(RECIPE, dataset, tmp_path, HARDWARE, on_progress=killed_at(3, 2))
    train(RECIPE, dataset, tmp_path, dataclasses.replace(HARDWARE, micro_batch_size=4), resume=True)
    assert "4 instead of None, not the same to the last bit" in caplog.messages[-1]


def test_a_loss_that_is_no_number_stops_the_run_before_the_weights_move(dataset, tmp_path, monkeypatch):
    saved = []
    real = loop.heatmap_loss

    def loss(*arguments):
        saved.append(real(*arguments))
        return saved[-1] * (float("nan") if len(saved) == 2 else 1)

    monkeypatch.setattr(loop, "heatmap_loss", loss)
    with pytest.raises(
        InputError, match=r"the loss is nan, the gradient norm nan at step 2 of epoch 1, learning rate 0\.001: "
    ):
        train(RECIPE, dataset, tmp_path, HARDWARE)
    state = load_file(tmp_path / "checkpoint.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in state.values() if tensor.is_floating_point())


def test_everybody_is_seen_once_in_every_epoch(dataset, tmp_path, monkeypatch):
    seen, real = [], loop.make_batch
    monkeypatch.setattr(loop, "make_batch", lambda *a: seen.append(a[2].tolist()) or real(*a))
    train(dataclasses.replace(RECIPE, epochs=1, batch_size=7), dataset, tmp_path, HARDWARE)
    assert [len(batch) for batch in seen] == [6, 6, 6, 6]
    assert sorted(person for batch in seen for person in batch) == list(range(24))


def test_one_person_is_too_few(dataset, tmp_path):
    split = dataset.train
    one = dataclasses.replace(split)
    one.__dict__["people"] = split.people.subset(np.array([0]))
    with pytest.raises(InputError, match="1 persons are too few to train on"):
        train(RECIPE, dataclasses.replace(dataset, train=one), tmp_path, HARDWARE)


@pytest.mark.parametrize(
    ("persons", "batch_size", "reason"),
    [
        (9, 6, "cannot share a batch of 6"),
        (7, 4, "7 persons are too few"),
        (9, 4, "cannot share 9 persons in batches of 3"),  # three of each, so one process would have none
    ],
)
def test_no_process_is_left_without_a_person(persons, batch_size, reason, refused):
    with refused("set", reason):
        loop.refuse_batch(dataclasses.replace(RECIPE, batch_size=batch_size), persons, 4, "set")


def test_weights_say_how_large_people_are_in_their_images(uninterrupted):
    _, config = load_model(uninterrupted[0] / "best.safetensors")
    assert config.box_sizes == BoxSizes(0.8333, 0.8333, 0.8333)


def test_patience_without_a_score_is_refused(dataset, tmp_path):
    unscored = dataclasses.replace(dataset, validation=())
    with pytest.raises(InputError, match="`patience`: needs a validation set with a metric"):
        train(dataclasses.replace(RECIPE, patience=2), unscored, tmp_path, HARDWARE)


def test_a_small_set_is_learned_by_heart(dataset, tmp_path):
    recipe = Recipe(
        epochs=30,
        batch_size=8,
        input_sizes=(InputSize(64, 64),),
        codec=Codec(sigma=1.5),
        learning_rate=5e-3,
        warmup_steps=10,
        ema_decay=0.9,
        augmentation=Augmentation(flip=0, scale=0, rotation=0),
    )
    history = train(recipe, dataset, tmp_path, Hardware(device="cpu"))
    assert history[-1].scores["seen PCKh@0.5"] > 95
    assert history[-1].loss < history[0].loss / 10

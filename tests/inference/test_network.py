import json
import multiprocessing
import os
import pickle
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.model_config import KEY, ModelConfig, model_config_from_metadata
from hevitpose.core.skeleton import PEOPLE21, Skeleton
from hevitpose.inference import network
from hevitpose.inference.backends import OnnxGraph, OpenVINOGraph, RuntimeOptions
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import DEFAULT, PAPER_T, Network, find_weights, keypoints_of, load_network


def test_the_bundled_weights_are_found_by_name_for_every_runtime():
    assert find_weights(DEFAULT).name == find_weights(DEFAULT, "openvino").name == f"{DEFAULT}.onnx"
    assert find_weights(PAPER_T, "torch").name == f"{PAPER_T}.safetensors"
    assert load_network(DEFAULT).config.skeleton.keypoints == PEOPLE21.keypoints


def test_the_bundled_weights_are_at_most_7_mb_a_file():
    assert max(file.stat().st_size for file in network.weights_folder().glob("*")) <= 7e6


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize(
    ("name", "runtimes"), [(PAPER_T, ("torch", "onnx", "openvino")), (DEFAULT, ("onnx", "openvino"))]
)
def test_every_runtime_finds_the_same_joints_on_real_crops(real_crops, flip_test, name, runtimes):
    boxes = [[0, 0, 256, 256]]
    poses = [
        PoseEstimator.from_pretrained(name, runtime=runtime, padding=1.0, flip_test=flip_test)(
            list(real_crops), [boxes] * len(real_crops)
        )
        for runtime in runtimes
    ]
    for truth, *others in zip(*poses, strict=True):
        for other in others:
            assert other.people[0].all_keypoints == pytest.approx(truth.people[0].all_keypoints, abs=0.05)
            assert other.people[0].keypoint_scores == pytest.approx(truth.people[0].keypoint_scores, abs=1e-3)


def test_the_bundled_graph_decodes_as_prediction_does(real_crops):
    graph = OnnxGraph(find_weights(DEFAULT))
    keypoints, scores, heatmaps = graph(real_crops, ("keypoints", "scores", "heatmaps"))
    joints, peaks = model_config_from_metadata(graph.metadata, DEFAULT).codec.decode(heatmaps, real_crops.shape[1:3])
    assert keypoints == pytest.approx(joints, abs=0.01)
    assert scores == pytest.approx(peaks, abs=1e-6)


def test_eight_bits_move_joints_by_less_than_a_pixel_on_average(real_crops):
    boxes = [[[0, 0, 256, 256]]] * len(real_crops)
    exact, rounded = (
        PoseEstimator.from_pretrained(precision=precision, padding=1.0)(list(real_crops), boxes)
        for precision in ("float32", "int8")
    )
    moved = np.stack(
        [a.people[0].all_keypoints - b.people[0].all_keypoints for a, b in zip(exact, rounded, strict=True)]
    )
    sure = np.stack([poses.people[0].keypoint_scores for poses in exact]) > 0.5
    assert 0 < np.linalg.norm(moved, axis=-1)[sure].mean() < 1
    estimator = PoseEstimator.from_pretrained(precision="int8")
    assert estimator.network.name == f"{DEFAULT}_int8"


def test_a_model_without_a_form_in_eight_bits_is_refused(tmp_path):
    for name in (PAPER_T, tmp_path / "mine.onnx"):
        with pytest.raises(InputError, match="8-bit") as caught:
            PoseEstimator.from_pretrained(name, precision="int8")
        assert caught.value.source == str(name)
    with pytest.raises(InputError, match="torch does not read"):
        PoseEstimator.from_pretrained(precision="int8", runtime="torch")
    with pytest.raises(InputError, match="float32 or int8"):
        PoseEstimator.from_pretrained(precision="int4")


@pytest.mark.parametrize("options", [{"threads": 1}, {"optimize_graph": False}])
def test_threads_and_optimisation_do_not_change_the_answer(real_crops, options):
    usual, other = (
        load_network(DEFAULT, o).heatmap_fn(real_crops[:2]) for o in (RuntimeOptions(), RuntimeOptions(**options))
    )
    assert other == pytest.approx(usual, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "runtime", "reason"),
    [
        ("hevitpose_xl", None, f"neither a weight file .* nor bundled weights \\(.*{DEFAULT}.*\\)"),
        ("none.onnx", None, "no such file"),
        ("none.safetensors", "onnx", "onnx does not read this file"),
    ],
)
def test_weights_that_are_not_there(name, runtime, reason):
    with pytest.raises(InputError, match=reason):
        load_network(name, RuntimeOptions(runtime))


@pytest.mark.parametrize(
    ("suffix", "runtime", "reason"),
    [
        (".onnx", "onnx", "cannot be loaded"),
        (".onnx", "openvino", "cannot be loaded"),
        (".xml", "openvino", "cannot be loaded"),
        (".safetensors", "torch", "cannot be read"),
    ],
)
def test_broken_weights_are_one_line(tmp_path, capfd, suffix, runtime, reason):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(1000))
    with pytest.raises(InputError, match=reason) as error:
        load_network(path, RuntimeOptions(runtime))
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_a_runtime_that_is_not_installed_is_one_line_that_names_the_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r'^openvino: .*: pip install "hevitpose\[openvino\]"$'):
        load_network(DEFAULT, RuntimeOptions("openvino"))


def test_an_onnx_file_of_another_program_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "other", [value], [out])
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9),
        tmp_path / "other.onnx",
    )
    with pytest.raises(InputError, match=r"other\.onnx: not weights of hevitpose"):
        load_network(tmp_path / "other.onnx")


@pytest.mark.parametrize("graph", [OnnxGraph, OpenVINOGraph])
def test_a_file_that_is_loaded_but_cannot_be_run_is_one_line(tmp_path, graph):
    onnx = pytest.importorskip("onnx")
    pixels, sides = onnx.TensorProto.UINT8, ["n", "h", "w", 3]
    crops, heatmaps = (onnx.helper.make_tensor_value_info(name, pixels, sides) for name in ("crops", "heatmaps"))
    shape = onnx.numpy_helper.from_array(np.array([1, 7, 11, 3]), "shape")  # which no crop of 8 x 8 has
    node = onnx.helper.make_node("Reshape", ["crops", "shape"], ["heatmaps"])
    content = onnx.helper.make_graph([node], "other", [crops], [heatmaps], [shape])
    opset = onnx.helper.make_opsetid("", 18)
    onnx.save(onnx.helper.make_model(content, opset_imports=[opset], ir_version=9), tmp_path / "other.onnx")
    with pytest.raises(InputError, match=r"other\.onnx: cannot be run \(") as error:
        graph(tmp_path / "other.onnx")(np.zeros((1, 8, 8, 3), dtype=np.uint8), ["heatmaps"])
    assert "\n" not in str(error.value)


def test_keypoints_of_a_set_are_found_among_those_of_the_network():
    config = ModelConfig("t", Skeleton("three", ("r_knee", "nose", "l_knee"), (2, 1, 0)), (32, 32), 1.25)
    mine = Network("mine", lambda crops: crops.astype(np.float32), config)

    def people(name, skeleton):
        none, k = np.zeros(0, dtype=np.int64), skeleton.num_keypoints
        joints = np.zeros((0, k, 2)), np.zeros((0, k), dtype=np.int8)
        return LabelledPeople(name, skeleton, (), (), none, none, np.zeros((0, 4)), *joints, none, none)

    assert keypoints_of(mine, people("legs", Skeleton("person", ("LeftKnee", "RightKnee"), (1, 0)))) == [2, 0]
    with pytest.raises(InputError, match=r"^mine: lacks tail, keypoints of cats$"):
        keypoints_of(mine, people("cats", Skeleton("cat", ("nose", "tail"), (0, 1))))


def test_a_renamed_copy_of_the_weights_works(tmp_path):
    shutil.copy(find_weights(DEFAULT), tmp_path / "mine.onnx")
    assert load_network(tmp_path / "mine.onnx").name == "mine"


def test_a_bundled_file_that_is_not_that_of_its_card_is_refused(tmp_path, monkeypatch):
    for suffix in (".onnx", ".json"):
        shutil.copy(find_weights(DEFAULT).with_suffix(suffix), tmp_path)
    monkeypatch.setattr(network, "weights_folder", lambda: tmp_path)
    assert find_weights(DEFAULT) == tmp_path / f"{DEFAULT}.onnx"
    (tmp_path / f"{PAPER_T}.safetensors").touch()
    with pytest.raises(InputError, match=rf"which torch does not read; it reads {PAPER_T}"):
        find_weights(DEFAULT, "torch")
    with (tmp_path / f"{DEFAULT}.onnx").open("ab") as file:
        file.write(b"0")
    with pytest.raises(InputError, match=r"\.onnx: is not the file that its card names"):
        load_network(DEFAULT)


@pytest.mark.parametrize(("name", "runtime"), [(DEFAULT, "onnx"), (DEFAULT, "openvino"), (PAPER_T, "torch")])
def test_threads_that_share_an_estimator_get_their_own_answers(real_crops, name, runtime):
    estimator = PoseEstimator.from_pretrained(name, runtime=runtime, threads=1)
    boxes = [[0, 0, 256, 256]]
    alone = [estimator(crop, boxes).all_keypoints for crop in real_crops]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda crop: estimator(crop, boxes).all_keypoints, list(real_crops) * 3))
    for expected, found in zip(alone * 3, together, strict=True):
        assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("name", "runtime"), [(DEFAULT, "onnx"), (DEFAULT, "openvino"), (PAPER_T, "torch")])
def test_estimators_are_pickled(real_crops, name, runtime):
    estimator = PoseEstimator.from_pretrained(name, runtime=runtime, threads=1)
    copy = pickle.loads(pickle.dumps(estimator))
    boxes = [[0, 0, 256, 256]]
    assert copy(real_crops[0], boxes).all_keypoints == pytest.approx(estimator(real_crops[0], boxes).all_keypoints)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_process_opens_its_own_session(real_crops):
    estimator = PoseEstimator.from_pretrained(threads=2)
    boxes = [[0, 0, 256, 256]]
    expected = estimator(real_crops[0], boxes).all_keypoints
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        found = pool.submit(estimator, real_crops[0], boxes).result(timeout=60)
    assert found.all_keypoints == pytest.approx(expected)


def test_a_file_of_an_unknown_architecture_runs_if_it_says_how(tmp_path, real_crops):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(find_weights(DEFAULT))
    (entry,) = (each for each in model.metadata_props if each.key == KEY)
    entry.value = json.dumps(json.loads(entry.value) | {"architecture": "later", "variant": "unheard_of=1"})
    onnx.save(model, tmp_path / "later.onnx")
    theirs, ours = load_network(tmp_path / "later.onnx"), load_network(DEFAULT)
    assert theirs.config.architecture == "later"
    assert (theirs.heatmap_fn(real_crops[:1]) == ours.heatmap_fn(real_crops[:1])).all()

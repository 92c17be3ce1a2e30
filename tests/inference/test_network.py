import shutil

import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.skeleton import MPII16
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import DEFAULT, find_weights, load_network


def test_the_shipped_weights_are_found_by_name_for_both_runtimes():
    assert find_weights(DEFAULT).name == f"{DEFAULT}.onnx"
    assert find_weights(DEFAULT, "torch").name == f"{DEFAULT}.safetensors"
    assert load_network(DEFAULT).facts.skeleton.keypoints == MPII16.keypoints


def test_the_shipped_weights_are_at_most_7_mb_a_file():
    assert max(find_weights(DEFAULT, runtime).stat().st_size for runtime in ("onnx", "torch")) <= 7e6


@pytest.mark.parametrize("flip_test", [False, True])
def test_both_runtimes_find_the_same_joints_on_real_crops(real_crops, flip_test):
    boxes = [[-0.5, -0.5, 255.5, 255.5]]
    poses = [
        PoseEstimator.from_pretrained(DEFAULT, runtime=runtime, padding=1.0, flip_test=flip_test)(
            list(real_crops), [boxes] * len(real_crops)
        )
        for runtime in ("onnx", "torch")
    ]
    for a, b in zip(*poses, strict=True):
        assert a.people[0].all_keypoints == pytest.approx(b.people[0].all_keypoints, abs=0.05)
        assert a.people[0].scores == pytest.approx(b.people[0].scores, abs=1e-3)


def test_threads_do_not_change_the_answer(real_crops):
    one, two = (load_network(DEFAULT, threads=n).backend(real_crops[:2]) for n in (1, 2))
    assert one == pytest.approx(two, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "runtime", "reason"),
    [
        ("hevitpose_xl", None, f"neither a weight file .* nor a name that ships \\({DEFAULT}\\)"),
        ("none.onnx", None, "no such file"),
        ("none.safetensors", "onnx", "is not a file for the runtime onnx"),
    ],
)
def test_weights_that_are_not_there(name, runtime, reason):
    with pytest.raises(InputError, match=reason):
        load_network(name, runtime)


@pytest.mark.parametrize(("suffix", "reason"), [(".onnx", "cannot be loaded"), (".safetensors", "cannot be read")])
def test_broken_weights_are_one_line(tmp_path, suffix, reason):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(1000))
    with pytest.raises(InputError, match=reason) as error:
        load_network(path)
    assert "\n" not in str(error.value)


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


def test_a_renamed_copy_of_the_weights_works(tmp_path):
    shutil.copy(find_weights(DEFAULT), tmp_path / "mine.onnx")
    assert load_network(tmp_path / "mine.onnx").name == "mine"

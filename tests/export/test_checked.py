import dataclasses
import json

import numpy as np
import onnx
import pytest
from PIL import Image

from hevitpose.core.architecture import parse_variant
from hevitpose.core.errors import InputError
from hevitpose.core.heatmap import CODECS
from hevitpose.core.model_config import ModelConfig, model_config_from_metadata
from hevitpose.core.skeleton import MPII16, Skeleton
from hevitpose.export import checked
from hevitpose.export.checked import crops_of, export_onnx
from hevitpose.export.onnx import OUTPUTS
from hevitpose.inference.backends import OnnxGraph, OpenVINOGraph
from hevitpose.inference.keypoints import KeypointPredictor
from hevitpose.inference.network import load_network
from hevitpose.models.hevitpose import hevitpose_t
from hevitpose.models.weights import half_precision, save_model

CONFIG = ModelConfig("t", MPII16, (128, 128), 1.25, CODECS["udp"])


@pytest.fixture(scope="module")
def files(tmp_path_factory, as_if_trained):
    """A folder that holds weights in float16."""
    folder = tmp_path_factory.mktemp("export")
    save_model(folder / "t.safetensors", half_precision(as_if_trained(hevitpose_t()).state_dict()), CONFIG)
    return folder


@pytest.fixture(scope="module", autouse=True)
def parity(files, real_crops):
    """Of one of the two files that are exported into that folder."""
    export_onnx(files / "t.safetensors", files / "flipped.onnx", images=real_crops, flip_test=True)
    return export_onnx(files / "t.safetensors", files / "t.onnx", images=real_crops)


@pytest.mark.parametrize("runtime", [OnnxGraph, OpenVINOGraph])
def test_the_file_gives_the_heatmaps_of_torch_and_decodes_them_as_the_codec_does(files, real_crops, runtime):
    graph, torch = runtime(files / "t.onnx"), load_network(files / "t.safetensors").heatmap_fn
    assert model_config_from_metadata(graph.metadata, "file") == CONFIG
    crops = real_crops[:, ::2, ::2]
    for batch in (crops[:1], crops, crops[:3, :, :96], crops[:2, :64, 32:]):
        keypoints, scores, heatmaps = graph(batch, OUTPUTS)
        assert abs(heatmaps - torch(batch)).max() < 1e-4
        joints, peaks = CONFIG.codec.decode(heatmaps, batch.shape[1:3])
        assert keypoints == pytest.approx(joints, abs=1e-3)
        assert scores == pytest.approx(peaks, abs=1e-6)


def test_parity_is_returned_and_in_the_metadata(files, parity):
    metadata = OnnxGraph(files / "t.onnx").metadata
    assert json.loads(metadata["hevitpose.parity"]) == dataclasses.asdict(parity)
    assert json.loads(metadata["hevitpose"])["skeleton"]["keypoints"] == list(MPII16.keypoints)
    assert metadata["hevitpose.version"]
    assert 0 < parity.heatmaps <= checked.MAX_DIFFERENCE


def test_a_file_with_the_flip_test_gives_its_average_and_is_not_mirrored_again(files, real_crops):
    plain, flipped = (load_network(files / name) for name in ("t.onnx", "flipped.onnx"))
    assert (flipped.config.flip_test, plain.config.flip_test) == (True, False)
    crops, run = real_crops[:2, ::2, ::2], plain.heatmap_fn
    average = CONFIG.codec.flip_average(run(crops), run(crops[:, :, ::-1]), MPII16.mirror)
    assert flipped.heatmap_fn(crops) == pytest.approx(average, abs=1e-4)
    assert [KeypointPredictor(network, flip_test=True).flips for network in (plain, flipped)] == [True, False]


def test_a_disk_that_fills_leaves_the_former_file(files, real_crops, tmp_path, full_disk):
    path = tmp_path / "t.onnx"
    path.write_text("former")
    for size in (1000, (files / "t.onnx").stat().st_size - 1):  # as it is compared, and as it is written
        with pytest.raises(InputError, match="cannot be written"), full_disk(size):
            export_onnx(files / "t.safetensors", path, images=real_crops)
        assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("t.onnx", "former")]


@pytest.mark.parametrize("variant", ["", "query_reduction=true"])
@pytest.mark.parametrize(
    ("precision", "smallest", "largest"), [("float32", 12e6, 14e6), ("float16", 6e6, 7e6), ("int8", 3e6, 3.9e6)]
)
def test_weights_are_stored_as_they_are_rounded(
    as_if_trained, real_crops, tmp_path, precision, smallest, largest, variant
):
    """And the file equals torch with the same rounded weights, else it would not be written."""
    config = dataclasses.replace(CONFIG, input_size=(64, 64), variant=parse_variant(variant, "test"))
    network = as_if_trained(hevitpose_t(query_reduction=bool(variant)))
    save_model(tmp_path / "t.safetensors", network.state_dict(), config)
    export_onnx(tmp_path / "t.safetensors", tmp_path / "t.onnx", images=real_crops, precision=precision)
    assert smallest < (tmp_path / "t.onnx").stat().st_size < largest


@pytest.mark.parametrize("damage", [2e-4, np.nan])
def test_a_graph_that_differs_is_not_written(files, real_crops, monkeypatch, tmp_path, refused, damage):
    damaged = onnx.load(files / "t.onnx")
    last = [node for node in damaged.graph.node if node.op_type == "Conv"][-1]
    bias = next(tensor for tensor in damaged.graph.initializer if tensor.name == last.input[2])
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(damage), bias.name))
    monkeypatch.setattr(checked, "to_onnx", lambda *_: damaged)
    with refused(tmp_path / "t.onnx", "not written", "heatmaps differ by", "torch"):
        export_onnx(files / "t.safetensors", tmp_path / "t.onnx", images=real_crops)
    assert not list(tmp_path.iterdir())


def test_other_suffixes_weights_without_mirror_pairs_and_no_images_are_refused(files, tmp_path, refused):
    save_model(
        tmp_path / "odd.safetensors",
        hevitpose_t(2).state_dict(),
        dataclasses.replace(CONFIG, skeleton=Skeleton("odd", ("nose", "tail"), (0, 1))),
    )
    with refused("t.xml", "must end in .onnx"):
        export_onnx(files / "t.safetensors", "t.xml", images=[])
    with refused("`flip_test`"):
        export_onnx(tmp_path / "odd.safetensors", tmp_path / "t.onnx", images=[], flip_test=True)
    with refused("`images`", "at least one"):
        export_onnx(files / "t.safetensors", tmp_path / "t.onnx", images=[])
    with refused("none.safetensors", "no such file"):
        export_onnx("none.safetensors", tmp_path / "t.onnx", images=[])


def test_crops_come_from_files_folders_and_arrays_in_any_number(tmp_path):
    assert crops_of([np.full((20, 30, 3), 7, dtype=np.uint8)], (64, 32)).shape == (7, 64, 32, 3)
    (tmp_path / "photos").mkdir()
    for level in (10, 20):
        Image.new("RGB", (40, 40), (level,) * 3).save(tmp_path / "photos" / f"{level}.png")
    crops = crops_of([tmp_path / "photos", str(tmp_path / "photos" / "20.png")], (32, 32))
    assert crops.max(axis=(1, 2, 3)).tolist() == [10, 20, 20, 10, 20, 20, 10]
    assert len(crops_of(np.zeros((9, 32, 32, 3), dtype=np.uint8), (32, 32))) == 7

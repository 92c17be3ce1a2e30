import pytest

from hevitpose.core.heatmap import CODECS
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.skeleton import MPII16
from hevitpose.export.fuse import fuse
from hevitpose.export.onnx import to_onnx
from hevitpose.inference.backends import TorchHeatmaps
from hevitpose.inference.network import load_network
from hevitpose.models.hevitpose import HEViTPose

CONFIG = ModelConfig("t", MPII16, (256, 256), 1.25, CODECS["udp"])


@pytest.mark.parametrize(
    "switches",
    [
        {"query_reduction": True, "reductions": (4, 2, 1)},
        {"relu_projection": True},
        {"shared_weights": False},
        {"embedding": "conv15-deconv4"},
    ],
    ids=str,
)
def test_every_form_of_the_network_can_be_exported(switches, real_crops, tmp_path, as_if_trained):
    model = as_if_trained(HEViTPose(16, (32, 64, 96), (1, 1, 1), **switches))
    (tmp_path / "x.onnx").write_bytes(to_onnx(fuse(model), CONFIG).SerializeToString())
    ours = load_network(tmp_path / "x.onnx").heatmap_fn(real_crops[:2, :64, :96])
    assert abs(ours - TorchHeatmaps(model)(real_crops[:2, :64, :96])).max() < 1e-4

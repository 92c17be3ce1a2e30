import numpy as np
import onnx
import pytest
import torch

from hevitpose.core.errors import InputError
from hevitpose.core.facts import Facts
from hevitpose.core.heatmap import EDGES
from hevitpose.core.skeleton import MPII16
from hevitpose.export import onnx as export
from hevitpose.inference.backends import open_onnx, open_torch, torch_backend
from hevitpose.models.hevitpose import HEViTPose, hevitpose_t
from hevitpose.models.weights import half_precision, save_model

FACTS = Facts("t", MPII16, (256, 256), 1.25)
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


def unlike_identity(model):
    """The network as if trained: no residual branch at zero, batch statistics of its own."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
        elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
    model.head[-1].weight.data.mul_(0.01)
    torch.nn.init.normal_(model.head[-1].bias, std=0.1)  # the graph drops a bias that is zero
    return model.eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory, real_crops):
    folder = tmp_path_factory.mktemp("export")
    model = unlike_identity(hevitpose_t())
    save_model(folder / "t.safetensors", half_precision(model.state_dict()), FACTS)
    difference = export.export_onnx(folder / "t.safetensors", folder / "t.onnx", real_crops)
    return folder, difference


def test_the_onnx_file_holds_the_facts_and_the_same_network(files, real_crops):
    folder, difference = files
    onnx_run, facts = open_onnx(folder / "t.onnx")
    torch_run, _ = open_torch(folder / "t.safetensors")
    assert facts == FACTS
    assert difference < export.MAX_DIFFERENCE
    for batch in (real_crops[:1], real_crops, real_crops[:3, :, :192]):
        ours, theirs = onnx_run(batch), torch_run(batch)
        assert abs(ours - theirs).max() < 1e-4
        assert EDGES.decode(ours, (256, 256))[0] == pytest.approx(EDGES.decode(theirs, (256, 256))[0], abs=0.05)


def test_the_onnx_file_is_small(files):
    folder, _ = files
    assert (folder / "t.onnx").stat().st_size < 7e6


def test_a_graph_that_differs_is_not_written(files, real_crops, monkeypatch, tmp_path):
    folder, _ = files
    damaged = onnx.load(folder / "t.onnx")
    last = [node for node in damaged.graph.node if node.op_type == "Conv"][-1]
    bias = next(tensor for tensor in damaged.graph.initializer if tensor.name == last.input[2])
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(2e-4), bias.name))
    monkeypatch.setattr(export, "to_onnx", lambda *_: damaged)
    with pytest.raises(InputError, match=r"not written: heatmaps differ by 2.* from torch's"):
        export.export_onnx(folder / "t.safetensors", tmp_path / "t.onnx", real_crops)
    assert not list(tmp_path.iterdir())


FORMS = [
    {"query_reduction": True, "reductions": (4, 2, 1)},
    *(
        pytest.param(switches, marks=pytest.mark.slow)
        for switches in ({"relu_projection": True}, {"shared_weights": False}, {"embedding": "conv15-deconv4"})
    ),
]


@pytest.mark.parametrize("switches", FORMS, ids=str)
def test_every_form_of_the_network_can_be_exported(switches, real_crops, tmp_path):
    model = unlike_identity(HEViTPose(16, (32, 64, 96), (1, 1, 1), **switches))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    (tmp_path / "x.onnx").write_bytes(export.to_onnx(model, FACTS).SerializeToString())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    ours = open_onnx(tmp_path / "x.onnx")[0](real_crops[:2, :64, :96])
    theirs = torch_backend(load_halved(model))(real_crops[:2, :64, :96])
    assert abs(ours - theirs).max() < 1e-4 * max(1.0, abs(theirs).max())


def load_halved(model):
    """The network with the weights that an ONNX file stores as float16 rounded so."""
    for parameter in model.parameters():
        if parameter.numel() >= export.SMALLEST_HALF:
            parameter.data = parameter.data.half().float()
    return model

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hevitpose.core.errors import InputError
from hevitpose.models.baselines.efficientvit import efficientvit_m4
from hevitpose.models.baselines.networks import import_timm
from hevitpose.models.hevitpose import hevitpose_b, hevitpose_s, hevitpose_t
from hevitpose.models.imagenet import init_from_efficientvit


def timms(name, tmp_path):
    """timm's network in evaluation, none of whose layers is zero or one, and its file."""
    torch.manual_seed(0)
    network = import_timm().create_model(name).eval()
    for key, tensor in network.state_dict().items():
        if key.endswith(("bn.weight", "running_var")):
            nn.init.uniform_(tensor, 0.5, 1.5)
        elif tensor.ndim == 1 or key.endswith("attention_biases"):
            nn.init.normal_(tensor, std=0.1)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    return network, tmp_path / "model.safetensors"


def same(ours, theirs, channels, height, width):
    """Whether two modules do the same with a map of this size, and something."""
    x = torch.randn(2, channels, height, width)
    with torch.no_grad():
        expected = theirs(x)
        scale = expected.abs().max().item()
        return expected.std() > 0 and torch.allclose(ours(x), expected, atol=1e-5 * scale)


@pytest.mark.parametrize(
    ("build", "name"),
    [(hevitpose_t, "efficientvit_m0"), (hevitpose_s, "efficientvit_m2"), (hevitpose_b, "efficientvit_m4")],
)
def test_sandwich_halves_and_downsampling_compute_what_timms_do(build, name, tmp_path):
    theirs, path = timms(name, tmp_path)
    ours = build(5).eval()
    init_from_efficientvit(ours, path)
    for i, stage in enumerate(ours.stages):
        if i:
            channels = theirs.stages[i - 1].blocks[0].dw0.m.conv.in_channels
            assert same(stage.downsampling, theirs.stages[i].downsample, channels, 12, 8)
        for block, other in zip(stage.blocks, theirs.stages[i].blocks, strict=True):
            channels = other.dw0.m.conv.in_channels
            for layer in ("dw0", "ffn0", "dw1", "ffn1"):
                assert same(block.get_submodule(layer), other.get_submodule(layer), channels, 6, 4)


def test_efficientvit_m4_computes_what_timms_does(tmp_path):
    theirs, path = timms("efficientvit_m4", tmp_path)
    ours = efficientvit_m4(5).eval()
    init_from_efficientvit(ours, path)
    assert ours.stages[0].blocks[0].mixer.branch.biases.std() > 0
    # Whole windows of 7 x 7, and windows that reach beyond the map.
    for height, width in ((14, 21), (16, 4)):
        assert same(ours.stages[0], theirs.stages[0], 128, height, width)
        assert same(ours.stages[1], theirs.stages[1], 128, 2 * height, 2 * width)


def test_what_was_loaded_is_reported(tmp_path):
    _, path = timms("efficientvit_m0", tmp_path)
    attention = "attention of stage 1, attention of stage 2, attention of stage 3"
    assert init_from_efficientvit(hevitpose_t(), path) == (
        "loaded: 1,902,144 parameters (stage 1, stage 2, stage 3)",
        f"initialized randomly: 1,307,376 parameters (embedding, {attention}, head)",
        f"not used of model.safetensors: 447,292 parameters (head, patch_embed, {attention})",
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda t: t,
            r"dw0\.m\.conv\.weight is \(64, 1, 3, 3\), expected \(128, 1, 3, 3\): weights of an EfficientViT",
        ),
        (lambda t: {"conv1.weight": t["head.linear.weight"]}, "is missing: not weights of timm's EfficientViT"),
    ],
    ids=["another size", "another network"],
)
def test_a_file_that_does_not_fit_changes_nothing(change, reason, tmp_path):
    network, path = timms("efficientvit_m0", tmp_path)
    save_file(change(network.state_dict()), path)
    ours = hevitpose_b()
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    with pytest.raises(InputError, match=rf"model\.safetensors: .*{reason}"):
        init_from_efficientvit(ours, path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())

import pytest
import torch

from hevitpose.models.baselines.efficientvit import efficientvit_m4
from hevitpose.models.hevitpose import CGSRAttention, HEViTPose, Residual, hevitpose_b, hevitpose_s, hevitpose_t

BUILDERS = [hevitpose_t, hevitpose_s, hevitpose_b]
SMALL = {"channels": (32, 64, 96), "depths": (1, 1, 1)}


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(("keypoints", "height", "width"), [(16, 64, 64), (17, 96, 64), (1, 32, 160)])
def test_heatmaps_have_a_quarter_of_the_inputs_sides(build, keypoints, height, width):
    heatmaps = build(keypoints)(torch.rand(2, 3, height, width))
    assert heatmaps.shape == (2, keypoints, height // 4, width // 4)


@pytest.mark.parametrize(
    "knobs",
    [
        {"embedding": "conv3-conv3"},
        {"embedding": "conv15-deconv4"},
        {"embedding": "conv7-conv7"},
        {"groups": (2, 2, 2)},
        {"groups": (8, 8, 8), "heads": (1, 1, 1)},
        {"reductions": (4, 2, 1)},
        {"reductions": (16, 8, 4)},
        {"heads": (1, 2, 4)},
        {"depths": (2, 1, 1)},
        {"shared_weights": False},
        {"relu_projection": True},
        {"query_reduction": True},
        {"query_reduction": True, "relu_projection": True, "reductions": (4, 2, 1)},
    ],
    ids=str,
)
def test_every_knob_trains(knobs):
    model = HEViTPose(5, **SMALL | knobs)
    heatmaps = model(torch.rand(2, 3, 64, 64))
    assert heatmaps.shape == (2, 5, 16, 16)
    heatmaps.square().mean().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(("height", "width"), [(250, 256), (256, 100), (16, 32)])
def test_a_side_that_is_no_multiple_of_32_is_refused_in_words(height, width):
    with pytest.raises(ValueError, match=f"{height} x {width}.*multiples of 32"):
        hevitpose_t()(torch.zeros(1, 3, height, width))


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match="128 channels do not divide into 3 groups of 2 heads"):
        HEViTPose(16, (128, 256, 384), groups=(3, 4, 4))


def test_reduced_queries_need_whole_windows():
    with pytest.raises(ValueError, match=r"stage 1: queries reduced by 16 need maps of whole windows, .* of 8$"):
        hevitpose_t(reductions=(16, 8, 4), query_reduction=True)


@pytest.mark.parametrize(
    ("build", "expected"),
    [(hevitpose_t, 39921.553), (hevitpose_s, -24450.971), (efficientvit_m4, -78709.143)],
)
def test_a_seed_gives_the_weights_that_it_gave_in_version_0_1(build, expected):
    """In the same order, which that of an optimizer's state in a checkpoint follows."""
    torch.manual_seed(0)
    sums = [parameter.detach().double().sum().item() for parameter in build().parameters() if parameter.ndim > 1]
    places = [place for place, parameter in enumerate(build().parameters()) if parameter.ndim > 1]
    assert sum(place * total for place, total in zip(places, sums, strict=True)) == pytest.approx(expected, abs=0.01)


def test_the_network_begins_as_the_identity_between_patch_embedding_and_downsampling():
    model = hevitpose_t().eval()
    x = torch.rand(1, 64, 16, 16)
    with torch.no_grad():
        assert torch.equal(model.stages[0](x), x)


def attention_by_hand(block, x):
    """CGSR-MHA from equations 6 to 8 with plain matrix products, in float64, one group and one head at a time."""
    shared, heads, r = block.attention[0], block.attention[0].heads, block.reduction
    carried, outputs = 0.0, []
    for g, group in enumerate(x.chunk(block.groups, dim=1)):
        features = group + carried
        n, d, h, w = features.shape
        queries = block.query_norms[g](features.permute(0, 2, 3, 1).reshape(n, h * w, d))
        reduced = queries
        if r > 1:
            conv = shared.spatial_reduction(features)
            reduced = block.key_value_norms[g](conv.permute(0, 2, 3, 1).reshape(n, -1, d))
        q, (k, v) = queries @ shared.query.weight.T, (reduced @ shared.key_value.weight.T).split(d, dim=2)
        mixed = []
        for head in range(heads):
            part = slice(head * d // heads, (head + 1) * d // heads)
            weights = (q[..., part] @ k[..., part].mT / (d // heads) ** 0.5).softmax(dim=2)
            mixed.append(weights @ v[..., part])
        tokens = block.output_norms[g](torch.cat(mixed, 2) @ shared.output.weight.T)
        carried = tokens.permute(0, 2, 1).reshape(n, d, h, w)
        outputs.append(carried)
    return block.projection(torch.cat(outputs, 1))


@pytest.mark.parametrize(("groups", "reduction", "heads"), [(4, 8, 2), (4, 2, 8), (2, 1, 4), (1, 4, 1)])
def test_the_attention_is_equations_6_to_8(groups, reduction, heads):
    torch.manual_seed(0)
    block = CGSRAttention(32, groups, reduction, heads).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 32, 16, 24, dtype=torch.float64)
    assert torch.allclose(block(x), attention_by_hand(block, x), atol=1e-10)


def test_spatial_reduction_overlaps_and_keeps_the_number_of_windows():
    conv = CGSRAttention(32, 4, 8, 2).attention[0].spatial_reduction
    assert (conv.kernel_size, conv.stride, conv.padding) == ((15, 15), (8, 8), (7, 7))
    assert conv(torch.zeros(1, 8, 64, 32)).shape == (1, 8, 8, 4)


def test_reduced_queries_repeat_over_each_window():
    torch.manual_seed(0)
    block = CGSRAttention(32, 4, 4, 2, query_reduction=True).eval()
    mixed = block.attend(0, torch.randn(1, 8, 16, 16))
    assert torch.equal(mixed, mixed[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_groups_share_attention_weights_but_not_norms():
    shared, own = CGSRAttention(32, 4, 2, 2), CGSRAttention(32, 4, 2, 2, shared_weights=False)
    assert (len(shared.attention), len(own.attention)) == (1, 4)
    assert len({id(norm) for norm in shared.output_norms}) == 4


def test_channels_last_gives_the_same_heatmaps():
    torch.manual_seed(0)
    model = HEViTPose(4, **SMALL).eval()
    for module in model.modules():  # the residual branches begin at zero and would prove nothing
        if isinstance(module, Residual):
            for parameter in module.parameters():
                torch.nn.init.normal_(parameter, std=0.1)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        plain = model(x)
        other = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    assert torch.allclose(plain, other, atol=1e-4 * plain.abs().max().item())

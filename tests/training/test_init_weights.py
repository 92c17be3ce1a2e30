import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from hevitpose.core.architecture import Variant
from hevitpose.core.errors import InputError
from hevitpose.core.heatmap import EDGES
from hevitpose.core.keypoint_names import normalize_name
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.skeleton import MPII16
from hevitpose.data.find import find_dataset
from hevitpose.data.skeletons import skeleton_from_coco
from hevitpose.models.baselines.networks import import_timm
from hevitpose.models.hevitpose import hevitpose_s, hevitpose_t
from hevitpose.models.registry import build_network
from hevitpose.models.weights import save_model
from hevitpose.training.fabric import Hardware
from hevitpose.training.init_weights import KeypointMatch, init_from_imagenet, init_from_weights
from hevitpose.training.loop import train
from hevitpose.training.recipes import TIMM, InputSize, Recipe

OURS = skeleton_from_coco({"keypoints": ["LeftKnee", "RightKnee", "r_hip", "l_hip", "nose"]}, "ours")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A weight file of T with the joints of MPII."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("trained") / "t.safetensors"
    save_model(path, hevitpose_t(16).state_dict(), ModelConfig("t", MPII16, (64, 64), 1.25, EDGES))
    return path


@pytest.mark.parametrize("name", ["l_knee", "left_knee", "LeftKnee", "LKnee", "knee_l", "kneeLeft", "Left Knee"])
def test_a_name_is_the_same_however_it_is_written(name):
    assert normalize_name(name) == "left knee"


def test_keypoints_are_paired_by_name_and_the_report_says_how():
    match = KeypointMatch(OURS, MPII16)
    place = MPII16.keypoints.index
    assert match.rows == (place("l_knee"), place("r_knee"), place("r_hip"), place("l_hip"), None)
    kept, renamed, new, unused = match.report
    assert kept == "kept: r_hip, l_hip"
    assert renamed == "renamed: l_knee as LeftKnee, r_knee as RightKnee"
    assert new == "initialized randomly: nose"
    assert unused.startswith("unused: r_ankle, ")
    assert "r_knee" not in unused


def test_maps_of_the_keypoints_in_common_are_those_of_the_trained_network(trained):
    network = hevitpose_t(len(OURS.keypoints))
    fresh = {name: tensor.clone() for name, tensor in network.head[-1].state_dict().items()}
    match = init_from_weights(network, trained, OURS)
    torch.manual_seed(1)
    theirs, image = hevitpose_t(16).eval(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        ours, wanted = network.eval()(image), theirs(image)
    assert torch.equal(ours[:, :4], wanted[:, list(match.rows[:4])])
    assert all(torch.equal(network.head[-1].state_dict()[name][4], fresh[name][4]) for name in fresh)


def test_another_size_of_network_is_refused(trained):
    with pytest.raises(InputError, match="holds HEViTPose-T: use `model=t`"):
        init_from_weights(hevitpose_s(5), trained, OURS)


def test_a_variant_with_the_same_tensors_begins_with_them(trained):
    fast = build_network("t", 16, Variant(query_reduction=True))
    init_from_weights(fast, trained, MPII16)
    theirs = load_file(trained)
    assert [name for name, tensor in fast.state_dict().items() if not torch.equal(tensor, theirs[name])] == []
    with pytest.raises(InputError, match="holds HEViTPose-T: use `model=t`"):
        init_from_weights(build_network("t", 16, Variant(shared_weights=False)), trained, MPII16)


def test_a_run_begins_with_the_weights_that_its_recipe_names(trained, dots, tmp_path, caplog):
    given = tmp_path / "given.safetensors"
    shutil.copy(trained, given)
    still = Recipe(epochs=1, batch_size=8, input_sizes=(InputSize(32, 32),), learning_rate=0, weights=str(given))
    dataset, hardware = find_dataset(str(dots / "dots.toml")), Hardware(device="cpu", precision="fp32")
    caplog.set_level("INFO")
    train(still, dataset, tmp_path / "run", hardware)
    report = (tmp_path / "run" / "keypoints.txt").read_text()
    assert report.startswith("initialized randomly: a, b, c, d, e, f\nunused: r_ankle")
    assert report.rstrip() in caplog.messages
    ours, theirs = (load_file(path) for path in (tmp_path / "run" / "last.safetensors", given))
    learned = [name for name, _ in hevitpose_t(16).named_parameters() if not name.startswith("head.heatmaps.")]
    assert [name for name in learned if not torch.equal(ours[name], theirs[name])] == []
    given.unlink()  # a resumed run does not need them
    assert len(train(still, dataset, tmp_path / "run", hardware, resume=True)) == 1
    with pytest.raises(InputError, match=r"given.safetensors: no such file"):
        train(still, dataset, tmp_path / "other", hardware)


def timms(name, path):
    """The file of timm's network of this name, with random weights."""
    torch.manual_seed(7)
    save_file(import_timm().create_model(name).state_dict(), path)
    return load_file(path)


def begun(recipe, keypoints=5):
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.model, keypoints, recipe.variant)
    return network, init_from_imagenet(network, recipe)


def test_a_backbone_is_loaded_and_the_head_is_random(tmp_path):
    path = tmp_path / "mobilenet.safetensors"
    theirs = timms("mobilenetv2_100", path)
    plain = build_network("mobilenet_v2", 5)
    network, report = begun(Recipe(model="mobilenet_v2", imagenet=str(path)))
    assert [
        name for name, tensor in network.backbone.state_dict().items() if not torch.equal(tensor, theirs[name])
    ] == []
    assert network.head[-1].weight.shape == plain.head[-1].weight.shape
    whole = sum(p.numel() for p in network.backbone.parameters())
    # Batch norms init_network as ones and zeros, in the file as in a new network.
    same = sum(p.numel() for p in network.backbone.parameters() if p.ndim == 1)
    assert report == (f"loaded: {whole - same:,} of {whole:,} parameters of the backbone", "initialized randomly: head")


def test_a_run_reports_the_weights_that_it_loaded(dots, tmp_path, caplog):
    timms("efficientvit_m0", tmp_path / "m0.safetensors")
    sizes = (InputSize(32, 32),)
    recipe = Recipe(epochs=1, batch_size=8, input_sizes=sizes, imagenet=str(tmp_path / "m0.safetensors"))
    caplog.set_level("INFO")
    train(recipe, find_dataset(str(dots / "dots.toml")), tmp_path / "run", Hardware(device="cpu", precision="fp32"))
    report = (tmp_path / "run" / "imagenet.txt").read_text()
    assert report.startswith("loaded: ")
    assert report.rstrip() in caplog.messages


@pytest.mark.parametrize(
    ("model", "given", "source"),
    [
        ("pvt_s", "x.safetensors", "PVT-S"),
        ("s", TIMM, "HEViTPose-S"),
        ("mobilenet_v2", "x.safetensors", "x.safetensors"),
        ("mobilenet_v2", "none.safetensors", "none.safetensors"),
        ("mobilenet_v2", TIMM, "MobileNetV2"),
    ],
)
def test_unusable_imagenet_weights_are_refused(model, given, source, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    save_file({"x": torch.zeros(1)}, "x.safetensors")
    real = import_timm().create_model

    def offline(*arguments, pretrained, pretrained_cfg_overlay, **options):
        if pretrained and not pretrained_cfg_overlay:
            raise OSError("no\nnetwork today")
        return real(*arguments, pretrained=pretrained, pretrained_cfg_overlay=pretrained_cfg_overlay, **options)

    monkeypatch.setattr(import_timm(), "create_model", offline)
    with refused(source):
        begun(Recipe(model=model, imagenet=given))

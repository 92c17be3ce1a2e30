import sys
from typing import get_args

import pytest

from hevitpose.core.architecture import PLAIN, NetworkName, Variant
from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.models.hevitpose import HEViTPose, hevitpose_b, hevitpose_s
from hevitpose.models.registry import NETWORKS, build_network, title_of


def test_every_name_is_a_network():
    assert list(NETWORKS) == list(get_args(NetworkName))


def test_a_variant_changes_what_it_names_and_nothing_else():
    variant = Variant(groups=(2, 2, 2), embedding="conv7-conv7", shared_weights=False)
    built = HEViTPose(5, (128, 192, 224), groups=(2, 2, 2), embedding="conv7-conv7", shared_weights=False)
    assert str(build_network("s", 5, variant)) == str(built)
    assert str(build_network("s", 5)) == str(hevitpose_s(5))
    assert str(build_network("b", 5, Variant(heads=(2, 4, 8)))) == str(hevitpose_b(5))


@pytest.mark.parametrize(
    ("name", "variant", "message"),
    [
        ("resnet50", Variant(groups=(2, 2, 2)), "resnet50:groups=2-2-2: ResNet-50 has no variants"),
        (
            "efficientvit_m4",
            Variant(embedding="conv7", shared_weights=False),
            "efficientvit_m4:embedding=conv7:shared_weights=false: EfficientViT-M4 has only embedding",
        ),
        ("b", Variant(groups=(3, 3, 3)), "b:groups=3-3-3: 128 channels do not divide into 3 groups of 2 heads"),
    ],
)
def test_a_network_that_cannot_be_is_refused(name, variant, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        build_network(name, 16, variant)


def test_a_missing_timm_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"^ResNet-50: .*: pip install \"hevitpose\[baselines\]\"$"):
        build_network("resnet50", 16)


def test_the_title_says_in_what_it_differs():
    assert title_of("b", PLAIN) == "HEViTPose-B"
    assert title_of("b", Variant(groups=(2, 2, 2), shared_weights=False)) == (
        "HEViTPose-B, groups=2-2-2, shared_weights=false"
    )

import pytest

from hevitpose.core.architecture import PLAIN, Variant, network_spec, parse_network, parse_variant
from hevitpose.core.errors import InputError


@pytest.mark.parametrize(
    ("variant", "text"),
    [
        (PLAIN, ""),
        (Variant(groups=(2, 2, 2)), "groups=2-2-2"),
        (Variant(reductions=(16, 8, 4), heads=(1, 2, 4)), "reductions=16-8-4:heads=1-2-4"),
        (Variant(embedding="conv15-deconv4"), "embedding=conv15-deconv4"),
        (
            Variant(shared_weights=False, relu_projection=True, query_reduction=False),
            "shared_weights=false:relu_projection=true:query_reduction=false",
        ),
    ],
)
def test_a_variant_is_spelled_and_read_again(variant, text):
    assert str(variant) == text
    assert parse_variant(text, "here") == variant
    assert network_spec("b", variant) == (f"b:{text}" if text else "b")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("groups", "'groups' is not of the form name=value, each name once"),
        ("groups=2-2-2:groups=2-2-2", "'groups=2-2-2' is not of the form name=value, each name once"),
        ("groups=2-2", "groups must be three numbers, as 4-4-4, not '2-2'"),
        ("heads=0-2-4", "heads must be three numbers"),
        ("embedding=conv5", "embedding must be one of conv3-conv3, conv7, conv15-deconv4, conv7-conv7, not 'conv5'"),
        ("shared_weights=no", "shared_weights must be true or false, not 'no'"),
        ("depths=1-2-3", "no such setting 'depths'"),
    ],
)
def test_what_is_no_variant_is_refused_in_words(text, reason):
    with pytest.raises(InputError, match=f"^here: {reason}"):
        parse_variant(text, "here")


def test_a_network_is_parsed_with_alias_variant_and_other_settings():
    name, variant, others = parse_network("b-r421-h124:sigma=2", "here", ["codec", "sigma"])
    assert (name, variant, others) == ("b", Variant(reductions=(4, 2, 1), heads=(1, 2, 4)), {"sigma": "2"})
    assert parse_network("hevitpose_t", "here") == ("t", PLAIN, {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [("alexnet", "no network 'alexnet'"), ("", "no network ''"), ("t:sigma=2", "no such setting 'sigma'")],
)
def test_unknown_networks_and_settings_are_refused(text, reason):
    with pytest.raises(InputError, match=f"^here: {reason}"):
        parse_network(text, "here")

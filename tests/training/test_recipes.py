import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import get_args

import pytest

from hevitpose.core.architecture import ALIASES, PLAIN, NetworkName, Variant
from hevitpose.core.errors import InputError
from hevitpose.core.heatmap import EDGES, MSRA, UDP
from hevitpose.training.recipes import (
    RECIPES,
    InputSize,
    Recipe,
    make_recipe,
    parse_sizes,
    recipe_by_name,
    with_network,
)


def test_the_papers_rate_drops_at_170_and_200_of_210_epochs():
    recipe, steps = Recipe(), 100
    rate = {epoch: recipe.learning_rate_at(epoch * steps, 210 * steps) for epoch in (6, 169, 170, 199, 200, 209)}
    assert rate == pytest.approx({6: 1e-3, 169: 1e-3, 170: 1e-4, 199: 1e-4, 200: 1e-5, 209: 1e-5})


def test_the_drops_keep_their_share_of_a_shorter_run():
    recipe = Recipe(epochs=21, warmup_steps=0)
    assert [recipe.learning_rate_at(step, 21) for step in (16, 17, 19, 20)] == pytest.approx([1e-3, 1e-4, 1e-4, 1e-5])


def test_warm_up_rises_over_500_steps():
    recipe = Recipe()
    assert [recipe.learning_rate_at(step, 10**6) for step in (0, 249, 499, 500)] == pytest.approx(
        [2e-6, 5e-4, 1e-3, 1e-3]
    )


def test_warm_up_is_at_most_a_tenth_of_the_run():
    recipe = Recipe()
    assert [recipe.warmup(steps) for steps in (8, 120, 6000)] == [0, 12, 500]
    assert recipe.learning_rate_at(0, 8) == pytest.approx(1e-3)


def test_cosine_falls_from_the_rate_to_zero():
    recipe = Recipe(schedule="cosine", warmup_steps=0)
    assert [recipe.learning_rate_at(step, 100) for step in (0, 50, 100)] == pytest.approx([1e-3, 5e-4, 0])


def test_input_sizes_change_at_their_share_of_the_epochs():
    recipe = Recipe(epochs=10, input_sizes=parse_sizes("128,192x160@0.5,256@0.8"))
    assert [recipe.input_size(epoch) for epoch in (0, 4, 5, 7, 8)] == [
        *((128, 128), (128, 128)),
        *((192, 160), (192, 160)),
        (256, 256),
    ]


def test_work_is_counted_in_pixels():
    recipe = Recipe(epochs=4, input_sizes=parse_sizes("64,128@0.5"))
    assert [recipe.work(0, 0.0), recipe.work(1, 1.0), recipe.work(3, 0.0), recipe.work(3, 1.0)] == [0, 0.2, 0.6, 1]


def test_one_size_is_for_the_whole_run():
    assert parse_sizes("256x192") == (InputSize(256, 192),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not of the form"),
        ("big", "is not of the form"),
        ("250", "the nearest are 224 and 256"),
        ("256x100", "the nearest are 96 and 128"),
        ("0", "the nearest are 32 and 64"),
        ("128@0.2", "starts at 0"),
        ("128,256", "larger share"),
        ("128,192@0.5,256@0.4", "larger share"),
        ("128,256@1.5", "is not of the form"),
    ],
)
def test_a_size_that_cannot_be_is_refused_in_words(text, reason):
    with pytest.raises(InputError, match=reason):
        parse_sizes(text)


@pytest.mark.parametrize("base", RECIPES)
@pytest.mark.parametrize("network", get_args(NetworkName))
def test_every_network_has_a_recipe_of_every_set(base, network):
    assert recipe_by_name(f"{base}/{network}") == replace(RECIPES[base], model=network)


def test_the_presets_differ_in_what_the_documentation_says():
    ours, theirs = recipe_by_name("mpii/b"), recipe_by_name("mpii-mmpose/b")
    assert changes(ours, theirs) == {
        "batch_size": (32, 64),
        "learning_rate": (1e-3, 5e-4),
        "base_batch_size": (None, 512),
        "codec": (replace(MSRA, sigma=1), MSRA),
    }
    assert MSRA.sigma == 2
    assert changes(ours, recipe_by_name("coco/b")).keys() == {"batch_size", "augmentation"}
    assert changes(theirs, recipe_by_name("coco-mmpose/b")).keys() == {"augmentation"}
    assert recipe_by_name("coco/b").augmentation == recipe_by_name("coco-mmpose/b").augmentation
    assert theirs.learning_rate_at(1000, 10**6) == pytest.approx(5e-4 * 64 / 512)


def test_the_documentation_names_every_network_and_recipe():
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    assert [name for name in (*RECIPES, *get_args(NetworkName), *ALIASES) if f"`{name}`" not in page] == []


def changes(first, second):
    pairs = {name: (value, getattr(second, name)) for name, value in vars(first).items()}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@pytest.mark.parametrize(
    ("text", "variant", "sigma", "rate"),
    [
        ("hevitpose_b", PLAIN, 1.0, 1e-3),
        ("b-g222", Variant(groups=(2, 2, 2)), 1.0, 1e-3),
        ("b-r421-h124:sigma=2", Variant(reductions=(4, 2, 1), heads=(1, 2, 4)), 2.0, 1e-3),
        ("b:learning_rate=5e-4:shared_weights=false:sigma=1.5", Variant(shared_weights=False), 1.5, 5e-4),
    ],
)
def test_a_network_is_named_with_what_changes(text, variant, sigma, rate):
    recipe = with_network(Recipe(), text, "here")
    codec = replace(MSRA, sigma=sigma)
    assert recipe == Recipe(model="b", variant=variant, codec=codec, learning_rate=rate)


def test_the_codec_keeps_the_sigma_unless_it_is_given_too():
    assert with_network(Recipe(), "t:codec=udp:batch_size=8", "") == Recipe(codec=replace(UDP, sigma=1.0), batch_size=8)
    assert with_network(Recipe(), "t:sigma=3:codec=edges", "").codec == replace(EDGES, sigma=3.0)


def test_the_rows_of_table_5_are_its_rows():
    rows = json.loads((resources.files("hevitpose.paper") / "paper.json").read_text())["table5_groups_mpii_val"]["rows"]
    own = {"groups": (4, 4, 4), "reductions": (8, 4, 2), "heads": (2, 4, 8)}
    printed = {tuple(map(tuple, row[1:4])) for row in rows}
    named_so = {
        tuple((own | with_network(Recipe(), name, name).variant.options)[key] for key in own)
        for name in ALIASES
        if name.startswith("b-") or name == "hevitpose_b"
    }
    assert named_so == printed


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        ("nothing", None, "`recipe=nothing`: no such recipe (known: paper, paper-coco, mpii, coco, mpii-mmpose, "),
        ("mpii/", None, "`recipe=mpii/`: no network ''"),
        ("mpii/alexnet", None, "`recipe=mpii/alexnet`: no network 'alexnet' (known: t, s, b, "),
        ("mpii/b", "t", "`model=t`: the recipe mpii/b names its network"),
        ("paper", "t:depth=3", "`model=t:depth=3`: no such setting 'depth' (known: groups, reductions, heads, "),
        ("paper", "t:sigma=0", "`model=t:sigma=0`: sigma must be a number above 0, not '0'"),
        (
            "paper",
            "t:learning_rate=fast",
            "`model=t:learning_rate=fast`: learning_rate must be a number above 0, not 'fast'",
        ),
        ("paper", "t:batch_size=1.5", "`model=t:batch_size=1.5`: batch_size must be a number above 0, not '1.5'"),
        ("paper", "t:codec=jpeg", "`model=t:codec=jpeg`: codec must be one of edges, msra, dark, udp, not 'jpeg'"),
    ],
)
def test_a_name_that_is_none_is_refused(name, model, message):
    with pytest.raises(InputError) as error:
        make_recipe(name, model)
    assert str(error.value).startswith(message)


def test_options_win_over_the_recipe():
    recipe = make_recipe("mpii", "t:sigma=2:learning_rate=1", "128", sigma=3.0, learning_rate=0.5, epochs=None, seed=4)
    assert recipe == Recipe(
        codec=replace(MSRA, sigma=3.0), learning_rate=0.5, input_sizes=(InputSize(128, 128),), seed=4
    )

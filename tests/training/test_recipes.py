import pytest

from hevitpose.core.errors import InputError
from hevitpose.training.recipes import InputSize, Recipe, parse_sizes


def test_the_papers_rate_drops_at_170_and_200_of_210_epochs():
    recipe, steps = Recipe(), 100
    rate = {epoch: recipe.rate(epoch * steps, 210 * steps) for epoch in (6, 169, 170, 199, 200, 209)}
    assert rate == pytest.approx({6: 1e-3, 169: 1e-3, 170: 1e-4, 199: 1e-4, 200: 1e-5, 209: 1e-5})


def test_the_drops_keep_their_share_of_a_shorter_run():
    recipe = Recipe(epochs=21, warmup_steps=0)
    assert [recipe.rate(step, 21) for step in (16, 17, 19, 20)] == pytest.approx([1e-3, 1e-4, 1e-4, 1e-5])


def test_warm_up_rises_over_500_steps():
    recipe = Recipe()
    assert [recipe.rate(step, 10**6) for step in (0, 249, 499, 500)] == pytest.approx([2e-6, 5e-4, 1e-3, 1e-3])


def test_cosine_falls_from_the_rate_to_zero():
    recipe = Recipe(schedule="cosine", warmup_steps=0)
    assert [recipe.rate(step, 100) for step in (0, 50, 100)] == pytest.approx([1e-3, 5e-4, 0])


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

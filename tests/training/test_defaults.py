import pytest

from hevitpose.training.defaults import reasons, recipe_for


@pytest.mark.parametrize(
    ("people", "epochs", "batch", "sides"),
    [(2, 150, 2, [128]), (87, 58, 8, [128]), (1001, 30, 16, [128, 192]), (5000, 30, 32, [128, 192])],
)
def test_settings_follow_from_the_number_of_people(make_people, people, epochs, batch, sides):
    recipe = recipe_for(make_people(people))
    assert (recipe.epochs, recipe.batch_size) == (epochs, batch)
    assert [size.height for size in recipe.input_sizes] == sides
    assert recipe.augmentation.shift_probability > 0


def test_reasons_leave_out_what_was_given(make_people):
    people = make_people(87)
    lines = reasons(recipe_for(people), people)
    assert len(lines) == 5
    assert lines[0] == "settings for 87 people in 1 images:"
    assert lines[4] == "  warm-up 63 of 638 steps"
    assert [line.split()[0] for line in reasons(recipe_for(people), people, ["epochs", "size"])[1:]] == [
        "batch",
        "warm-up",
    ]

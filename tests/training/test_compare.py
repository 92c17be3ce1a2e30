import json
from dataclasses import replace

import pytest

from hevitpose.core.architecture import Variant
from hevitpose.core.errors import InputError
from hevitpose.training.compare import Entry, entries, finished, result_of
from hevitpose.training.recipes import Recipe, with_codec

BASE = Recipe(epochs=3)
PEOPLE = {"train": "0", "val": "1"}


def test_every_network_runs_with_the_first_seed_before_any_with_the_next():
    first, second, third, *others = entries("b-g222, t:sigma=3,resnet50", BASE, range(5, 7))
    assert first == Entry("b:groups=2-2-2", replace(BASE, model="b", variant=Variant(groups=(2, 2, 2)), seed=5))
    assert second == Entry("t:sigma=3", replace(with_codec(BASE, None, 3.0), seed=5))
    assert third == Entry("resnet50", replace(BASE, model="resnet50", seed=5))
    assert [(entry.model, entry.recipe.seed) for entry in others] == [(e.model, 6) for e in (first, second, third)]
    assert (first.name, first.title) == ("b,groups=2-2-2-seed5", "HEViTPose-B, groups=2-2-2")
    assert (third.name, third.title) == ("resnet50-seed5", "ResNet-50")


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("t,", "`models=t,`: no network ''"),
        ("t,x", "`models=t,x`: no network 'x'"),
        ("t,t:sigma", "`models=t,t:sigma`: 'sigma' is not of the form"),
        ("b-g222,t,b:groups=2-2-2", "`models`: b,groups=2-2-2 is there twice"),
        ("resnet50:groups=2-2-2", "resnet50:groups=2-2-2: ResNet-50 has no variants"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_runs(models, message):
    with pytest.raises(InputError) as error:
        entries(models, BASE, [0])
    assert str(error.value).startswith(message)


def test_a_result_counts_for_the_same_recipe_and_data_only(tmp_path):
    file = tmp_path / "t-seed0.json"
    assert finished(file, BASE, "mice", PEOPLE) is None
    result = {"data": "mice", "people": PEOPLE, "settings": BASE.as_json()}
    file.write_text(json.dumps(result))
    assert finished(file, BASE, "mice", PEOPLE) == json.loads(file.read_text())
    for recipe, data, difference in (
        (replace(BASE, epochs=5), "mice", "epochs = 3, not 5"),
        (replace(BASE, variant=Variant(shared_weights=False)), "mice", "variant = None, not shared_weights=false"),
        (BASE, "rats", "data = mice, not rats"),
    ):
        with pytest.raises(InputError, match=f"json: is of a run with {difference}: compare in another folder"):
            finished(file, recipe, data, PEOPLE)
    with pytest.raises(InputError, match="json: is of other people than those of mice now: compare in another folder"):
        finished(file, BASE, "mice", PEOPLE | {"second": "2"})
    file.write_text("{}")
    with pytest.raises(InputError, match="is no result of a comparison"):
        finished(file, BASE, "mice", PEOPLE)


def test_a_result_says_what_came_of_the_run(tmp_path):
    rows = [
        {"epoch": 1, "loss": 0.5, "images_per_second": 10.0, "val PCK@0.2": 2.0},
        {"epoch": 2, "loss": 0.4, "images_per_second": 40.0, "val PCK@0.2": 1.0},
    ]
    contents = {
        "recipe.json": BASE.as_json(),
        "data.json": {"name": "mice", "persons": 100, "device": "cpu", "provenance": {"commit": "c"}},
        "card.json": {"parameters": 7, "paper_operations": 9, "input_size": [64, 64]},
        "scores.json": {"val": {"scores": {"PCK@0.2": {"mean": 3.5, "per_keypoint": {}}, "PCK@0.5": {"mean": None}}}},
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = result_of(Entry("t:sigma=1", replace(BASE, seed=4)), tmp_path, "paper", PEOPLE)
    assert result.pop("settings") == json.loads(json.dumps(BASE.as_json()))
    assert result == {
        "network": "t:sigma=1",
        "title": "HEViTPose-T, sigma=1",
        "recipe": "paper",
        "data": "mice",
        "people": PEOPLE,
        "epochs": 2,
        "input_size": [64, 64],
        "seconds": 12.5,
        "images_per_second": 16.0,
        "parameters": 7,
        "paper_operations": 9,
        "scores": {"val": {"PCK@0.2": 3.5, "PCK@0.5": None}},
        "seed": 4,
        "device": "cpu",
        "provenance": {"commit": "c"},
    }

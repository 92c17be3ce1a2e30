import json
from dataclasses import replace

import pytest

from hevitpose.core.architecture import Variant
from hevitpose.training import compare
from hevitpose.training.compare import Entry, draw, entries, markdown, result_of, table
from hevitpose.training.recipes import Recipe, with_codec

BASE = Recipe(epochs=3)
PEOPLE = {"train": "0", "val": "1"}


def result(network, seed, pck, pckh, epochs=3, **changes):
    made = {
        "network": network,
        "title": network.upper(),
        "recipe": "people16",
        "data": "mice",
        "epochs": epochs,
        "input_size": [128, 96],
        "seconds": 10.0,
        "images_per_second": 10.0 + seed,
        "parameters": 3_214_000,
        "paper_operations": 1_746_000_000,
        "scores": {"lsp": {"PCK@0.2": pck, "PCK@0.5": 90.0}, "mpii": {"PCKh@0.5": pckh}},
        "seed": seed,
        "device": "cpu",
        "settings": json.loads(json.dumps(BASE.as_json())),
        "provenance": {"commit": "c"},
    }
    return made | changes


RESULTS = [result("t", 0, 40.0, 30.0), result("s", 0, 50.04, None), result("t", 1, 44.0, 31.0, epochs=4)]


def test_every_network_runs_with_the_first_seed_before_any_with_the_next():
    first, second, third, *others = entries("b-g222, t:sigma=3,resnet50", BASE, range(5, 7))
    assert first == Entry("b:groups=2-2-2", replace(BASE, model="b", variant=Variant(groups=(2, 2, 2)), seed=5))
    assert second == Entry("t:sigma=3", replace(with_codec(BASE, None, 3.0), seed=5))
    assert third == Entry("resnet50", replace(BASE, model="resnet50", seed=5))
    assert [(entry.model, entry.recipe.seed) for entry in others] == [(e.model, 6) for e in (first, second, third)]
    assert (first.name, first.title) == ("b,groups=2-2-2-seed5", "HEViTPose-B, groups=2-2-2")
    assert (third.name, third.title) == ("resnet50-seed5", "ResNet-50")


@pytest.mark.parametrize(
    ("models", "source", "reason"),
    [
        ("t,", "`models=t,`", "no network ''"),
        ("t,t:sigma", "`models=t,t:sigma`", "'sigma' is not of the form"),
        ("b-g222,t,b:groups=2-2-2", "`models`", "b,groups=2-2-2 is there twice"),
        ("resnet50:groups=2-2-2", "resnet50:groups=2-2-2", "has no variants"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_runs(models, source, reason, refused):
    with refused(source, reason):
        entries(models, BASE, [0])


def test_a_result_says_what_came_of_the_run(tmp_path, write_run):
    write_run(tmp_path, [2.0, 1.0], json.loads(json.dumps(BASE.as_json())), device="cpu", provenance={"commit": "c"})
    (tmp_path / "card.json").write_text(json.dumps({"parameters": 7, "paper_operations": 9, "input_size": [64, 64]}))
    scores = {"PCK@0.2": {"mean": 3.5, "per_keypoint": {}}, "PCK@0.5": {"mean": None}}
    evaluation = {"data": "val", "metric": "PCK@0.2", "boxes": "", "persons": 1, "persons_left_out": 0}
    evaluation |= {"labelled": {}, "scores": scores, "notes": []}
    (tmp_path / "scores.json").write_text(json.dumps({"val": evaluation}))
    assert result_of(Entry("t:sigma=1", replace(BASE, seed=4)), tmp_path, "paper", PEOPLE) == result(
        "t:sigma=1",
        4,
        None,
        None,
        title="HEViTPose-T, sigma=1",
        recipe="paper",
        data="mouse",
        epochs=2,
        input_size=[64, 64],
        seconds=10_800.0,
        images_per_second=13.3,
        parameters=7,
        paper_operations=9,
        scores={"val": {"PCK@0.2": 3.5, "PCK@0.5": None}},
        people=PEOPLE,
    )


def test_a_network_is_a_row_with_its_seeds_together():
    networks = table(RESULTS)
    assert networks.header[-2:] == ["PCK@0.2, lsp", "PCKh@0.5, mpii"]
    assert networks.rows == [
        ["T", "3.21", "1.75", "3-4", "10.5", "2", "42.0 ± 2.8", "30.5 ± 0.7"],
        ["S", "3.21", "1.75", "3", "10.0", "1", "50.0", "-"],
    ]
    lines = markdown(RESULTS).splitlines()
    assert lines[:4] == networks.markdown().splitlines()
    assert lines[-1] == "Trained from scratch on mice by the recipe people16; scores with flip test at 128x96."


def test_a_figure_for_each_set_shows_who_has_a_score(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(compare, "accuracy_over_cost", lambda *arguments: drawn.append(arguments))
    monkeypatch.setattr(compare, "write_figure", lambda _, path: path.touch())
    files = draw(RESULTS, tmp_path)
    assert [file.name for file in files if file.exists()] == ["lsp.png", "lsp.svg", "mpii.png", "mpii.svg"]
    (lsp, label), (mpii, _) = drawn
    assert label == "PCK@0.2 (%), lsp"
    assert [(b.name, b.accuracy, b.cost, b.parameters) for b in lsp] == [
        ("T", 42.0, pytest.approx(1.746), pytest.approx(3.214)),
        ("S", 50.04, pytest.approx(1.746), pytest.approx(3.214)),
    ]
    assert [b.name for b in mpii] == ["T"]

import json

import pytest

from hevitpose.core.errors import InputError
from hevitpose.training.runs import differences, find_runs, read_run

ALIASES = [
    {"epoch": 1, "size": "64x64", "loss": 0.5, "images_per_second": 10.0, "val PCKh@0.5": 20.0},
    {"epoch": 2, "size": "64x64", "loss": 0.3, "images_per_second": 20.0, "val PCKh@0.5": 40.0},
    {"epoch": 3, "size": "64x64", "loss": 0.2, "images_per_second": 20.0, "val PCKh@0.5": 40.0},
]


def write_run(folder, recipe, rows):
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text(json.dumps({"model": "t", "epochs": 3, "codec": {"sigma": 1.0}} | recipe))
    (folder / "data.json").write_text(json.dumps({"name": "mouse", "persons": 72_000}))
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_run_is_read_with_its_best_epoch_and_its_time(tmp_path):
    write_run(tmp_path / "a", {}, ALIASES)
    run = read_run(tmp_path / "a")
    assert run.score == "val PCKh@0.5"
    assert run.best == ALIASES[1]
    assert run.hours == pytest.approx(2 + 1 + 1)


def test_a_score_is_one_of_a_set_whatever_it_is_called(tmp_path):
    write_run(
        tmp_path / "a", {}, [{"val AP" if key == "val PCKh@0.5" else key: row[key] for key in row} for row in ALIASES]
    )
    run = read_run(tmp_path / "a")
    assert (run.score, run.best["epoch"]) == ("val AP", 2)


def test_runs_are_found_in_a_folder_of_runs_and_compared_by_what_differs(tmp_path):
    write_run(tmp_path / "a", {"codec": {"sigma": 2.0}}, ALIASES)
    write_run(tmp_path / "b", {"patience": 3}, [])
    (tmp_path / "notes").mkdir()
    first, second = find_runs([tmp_path])
    assert [first.folder.name, second.folder.name] == ["a", "b"]
    assert (second.best, second.hours) == (None, 0)
    assert differences([first, second]) == {"codec.sigma": [2.0, 1.0], "patience": [None, 3]}
    assert find_runs([tmp_path / "b", tmp_path / "a"]) == [second, first]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("recipe.json", "{", "recipe.json: not valid JSON"),
        ("recipe.json", "{}", "log.jsonl: is no log of a run"),
        ("recipe.json", "[]", "recipe.json: must hold a JSON object"),
        ("log.jsonl", "{}\n{", "log.jsonl: is no log of a run"),
        ("log.jsonl", '{"epoch": 1}\n', "log.jsonl: is no log of a run"),
    ],
)
def test_a_damaged_run_is_an_error_that_names_the_file(tmp_path, file, content, message):
    write_run(tmp_path / "a", {}, ALIASES)
    (tmp_path / "a" / file).write_text(content)
    with pytest.raises(InputError, match=message):
        read_run(tmp_path / "a")


def test_where_there_is_no_run_is_said(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        find_runs([tmp_path])
    with pytest.raises(InputError, match="no such folder"):
        find_runs([tmp_path / "none"])

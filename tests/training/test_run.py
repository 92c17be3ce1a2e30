import json
import subprocess
import sys

import pytest

from hevitpose.core.errors import InputError
from hevitpose.training.run import Epoch, RunData, differences, epoch_from_json, find_runs, read_run


def test_a_run_is_read_with_its_best_epoch_and_its_time(tmp_path, write_run):
    write_run(tmp_path, [20.0, 40.0, 40.0], device="cpu")
    run = read_run(tmp_path)
    assert (run.score, run.best.epoch, run.best.scores) == ("val PCKh@0.5", 2, {"val PCKh@0.5": 40.0})
    assert run.hours == pytest.approx(2 + 1 + 2 / 3)
    assert run.data == RunData("mouse", 72_000, device="cpu")


def test_a_run_without_scores_has_no_best_epoch(tmp_path, write_run):
    write_run(tmp_path, [None, None])
    assert (read_run(tmp_path).score, read_run(tmp_path).best) == (None, None)


def test_rows_of_the_log_survive_json():
    epoch = Epoch(1, "64x64", 0.001, 0.5, 90.0, {"val AP": 12.5})
    row = json.loads(json.dumps(epoch.to_json()))
    assert epoch_from_json(row) == epoch
    row["rate"] = row.pop("learning_rate")  # as version 0.1 called it
    assert epoch_from_json(row) == epoch


def test_runs_are_found_in_a_folder_of_runs_and_compared_by_what_differs(tmp_path, write_run):
    write_run(tmp_path / "a", [20.0], {"codec": {"sigma": 2.0}, "largest_gradient": 5})
    write_run(tmp_path / "b", [], {"patience": 3, "grad_clip_norm": 5})
    (tmp_path / "notes").mkdir()
    first, second = find_runs([tmp_path])
    assert [first.folder.name, second.folder.name] == ["a", "b"]
    assert (second.best, second.hours) == (None, 0)
    assert differences([first, second]) == {"codec.sigma": [2.0, 1.0], "patience": [None, 3]}
    assert find_runs([tmp_path / "b", tmp_path / "a"]) == [second, first]


@pytest.mark.parametrize(
    ("file", "content", "about"),
    [
        ("recipe.json", "{", "recipe.json"),
        ("recipe.json", "{}", "log.jsonl"),
        ("recipe.json", "[]", "recipe.json"),
        ("log.jsonl", "{}\n{", "log.jsonl"),
        ("log.jsonl", '{"epoch": 1}\n', "log.jsonl"),
    ],
)
def test_a_damaged_run_is_an_error_that_names_the_file(tmp_path, write_run, refused, file, content, about):
    write_run(tmp_path, [20.0])
    (tmp_path / file).write_text(content)
    with refused(tmp_path / about):
        read_run(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        find_runs([tmp_path])
    with pytest.raises(InputError, match="no such folder"):
        find_runs([tmp_path / "none"])


def test_runs_are_read_without_torch(tmp_path, write_run):
    write_run(tmp_path, [20.0])
    script = "import sys\nfrom hevitpose.training.run import find_runs\nfrom pathlib import Path\n"
    script += f"find_runs([Path({str(tmp_path)!r})])\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "hevitpose.training.run" in loaded
    assert not {"torch", "matplotlib", "tensorboard"} & set(loaded)

import json

import pytest

SIZES = (
    [{"height": 128, "width": 128, "start": 0.0}, {"height": 256, "width": 192, "start": 0.5}],
    [{"height": 64, "width": 64, "start": 0.0}],
)
ROW = {
    "epoch": 1,
    "size": "64x64",
    "learning_rate": 1e-3,
    "loss": 0.5,
    "images_per_second": 10.0,
    "val PCKbox@0.05": 71.25,
}


@pytest.fixture
def six_runs(empty_folder):
    """Six runs that differ in their input sizes and rates, the last one without an epoch yet."""
    for n in range(6):
        folder = empty_folder / "runs" / f"run{n}"
        folder.mkdir(parents=True)
        recipe = {"model": "resnet50", "epochs": 3, "input_sizes": SIZES[n % 2], "learning_rate": 0.001 * (n + 1)}
        (folder / "recipe.json").write_text(json.dumps(recipe))
        (folder / "data.json").write_text(json.dumps({"name": "openfield_mouse", "persons": 72_000}))
        (folder / "log.jsonl").write_text("" if n == 5 else json.dumps(ROW) + "\n")


@pytest.mark.usefixtures("six_runs")
def test_runs_are_readable_in_80_columns(hevitpose, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, printed, _ = hevitpose("runs")
    assert status == 0
    lines = [line.split() for line in printed.splitlines()]
    assert max(map(len, printed.splitlines())) <= 80
    first = next(line for line in lines if "resnet50" in line)
    assert {"resnet50", "1/3", "64x64", "71.25", "(1)", "2"} <= set(first)
    # One setting a row and one run a column, as many as fit.
    assert [line[1:] for line in lines if line[:1] == ["setting"]] == [
        ["runs/run0", "runs/run1", "runs/run2"],
        ["runs/run3", "runs/run4", "runs/run5"],
    ]
    assert ["input_sizes", "128,256x192@0.5", "64", "128,256x192@0.5"] in lines
    assert ["learning_rate", "0.004", "0.005", "0.006"] in lines

import json

import pytest

from hevitpose.benchmark.report import accuracy_over_ms, case_table, pipeline_table

ROW = {"runtime": "onnx", "precision": "fp32", "batch": 1, "threads": 2, "parameters": 3_000_000, "random": True}


def row(model, title, ms, **changes):
    measured = {"p50_ms": ms, "p95_ms": 2 * ms, "images_per_second": 1000 / ms, "memory_mb": 50.0, "ratio": 1.0}
    return ROW | {"model": model, "title": title} | measured | changes


def test_a_form_is_a_line():
    unknown = row("x", "x", 4, memory_mb=None)
    del unknown["ratio"]
    table = case_table([row("t", "HEViTPose-T", 20.04), unknown])
    assert dict(zip(table.header, table.rows[0], strict=True)) == {
        "network": "HEViTPose-T",
        "runtime": "onnx",
        "bits": "fp32",
        "batch": "1",
        "threads": "2",
        "p50 ms": "20.0",
        "p95 ms": "40.1",
        "images /s": "49.9",
        "MB": "50",
        "ratio": "1.00",
    }
    assert table.rows[1][-2:] == ["-", "-"]


def test_a_number_of_people_is_a_line():
    measured = {"people": 5, "ms": {"network": 100.0, "draw": 4.26}, "others_share": 0.042, "heatmaps_share": 0.0123}
    measured["detector_share"] = 0.5
    table = pipeline_table([measured])
    assert table.header == ["people", "network", "draw", "detector / network", "others / network", "heatmaps / network"]
    assert table.rows == [["5", "100.0", "4.3", "50%", "4%", "1.2%"]]


@pytest.fixture
def scores(tmp_path):
    """Of a run of T, of another one with the same settings, and of an evaluation of weights."""
    contents = {
        "t-seed0": {"network": "t", "data": "d", "scores": {"val": {"PCKh@0.5": 80.0}}},
        "t-seed1": {"network": "t", "data": "d", "scores": {"val": {"PCKh@0.5": 82.0, "AP": 1.0}}},
        "resnet50-seed0": {"network": "resnet50", "data": "d", "scores": {"val": {"PCKh@0.5": 70.0}}},
        "mine.val": {"network": "mine", "data": "val of d", "scores": {"PCKh@0.5": {"mean": 90.0}}},
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_accuracy_over_milliseconds_of_the_fastest_forms(scores):
    rows = [
        row("t", "HEViTPose-T", 30.0),
        row("t", "HEViTPose-T", 20.0, runtime="openvino"),
        row("t", "HEViTPose-T", 5.0, batch=8),
        row("resnet50", "ResNet-50", 50.0),
        row("mine", "mine", 10.0, random=False),
        row("foreign", "foreign", 9.0, random=False, parameters=None),
    ]
    figure = accuracy_over_ms(rows, scores)
    axes = figure.axes[0]
    assert {tuple(place) for place in axes.collections[0].get_offsets()} == {(20.0, 81.0), (50.0, 70.0), (10.0, 90.0)}
    assert axes.get_ylabel() == "PCKh@0.5 (%), val of d"
    mine = accuracy_over_ms(rows[4:], scores / "mine.val.json")
    assert mine.axes[0].collections[0].get_offsets().tolist() == [[10.0, 90.0]]
    assert accuracy_over_ms(rows[5:], scores) is None
    assert accuracy_over_ms(rows, scores / "none") is None

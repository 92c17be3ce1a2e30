import pytest

from hevitpose.training import comparison_report
from hevitpose.training.comparison_report import draw, markdown, table


def result(network, seed, pck, pckh, epochs=3):
    return {
        "network": network,
        "title": network.upper(),
        "recipe": "people16",
        "data": "people",
        "epochs": epochs,
        "input_size": [128, 96],
        "images_per_second": 10.0 + seed,
        "parameters": 3_214_000,
        "paper_operations": 1_746_000_000,
        "scores": {"lsp": {"PCK@0.2": pck, "PCK@0.5": 90.0}, "mpii": {"PCKh@0.5": pckh}},
        "seed": seed,
    }


RESULTS = [result("t", 0, 40.0, 30.0), result("s", 0, 50.04, None), result("t", 1, 44.0, 31.0, epochs=4)]


def test_a_network_is_a_row_with_its_seeds_together():
    header, rows = table(RESULTS)
    assert header[-2:] == ["PCK@0.2, lsp", "PCKh@0.5, mpii"]
    assert rows == [
        ["T", "3.21", "1.75", "3-4", "10.5", "2", "42.0 ± 2.8", "30.5 ± 0.7"],
        ["S", "3.21", "1.75", "3", "10.0", "1", "50.0", "-"],
    ]


def test_the_page_says_what_is_the_same_for_all():
    lines = markdown(RESULTS).splitlines()
    assert lines[:2] == [
        "| network | parameters (M) | GFLOPs | epochs | images/s | runs | PCK@0.2, lsp | PCKh@0.5, mpii |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    assert lines[-1] == ("Trained from scratch on people by the recipe people16; scores with flip test at 128x96.")


def test_a_figure_for_each_set_shows_who_has_a_score(tmp_path, monkeypatch):
    drawn = []
    real = comparison_report.accuracy_over_cost
    monkeypatch.setattr(comparison_report, "accuracy_over_cost", lambda *args: drawn.append(args) or real(*args))
    files = draw(RESULTS, tmp_path)
    assert [file.name for file in files] == ["lsp.png", "lsp.svg", "mpii.png", "mpii.svg"]
    assert (tmp_path / "lsp.png").read_bytes().startswith(b"\x89PNG")
    assert "T" in (tmp_path / "mpii.svg").read_text()
    (lsp, label), (mpii, _) = drawn
    assert label == "PCK@0.2 (%), lsp"
    assert [(b.name, b.accuracy, b.cost, b.parameters) for b in lsp] == [
        ("T", 42.0, pytest.approx(1.746), pytest.approx(3.214)),
        ("S", 50.04, pytest.approx(1.746), pytest.approx(3.214)),
    ]
    assert [b.name for b in mpii] == ["T"]

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hevitpose.core.errors import InputError
from hevitpose.evaluation.results import (
    ScoreRecord,
    evaluation_from_json,
    evaluation_to_json,
    find_score_records,
)
from hevitpose.evaluation.score import Difference, Evaluation, Score
from hevitpose.metrics.error_types import CalibrationBin, ErrorAnalysis, ErrorShares

EVALUATION = {"data": "mpii_val", "scores": {"PCKh@0.5": {"mean": 72.0, "per_keypoint": {"r_ankle": 61.3}}}}
RUN = {
    "network": "hrnet_w32",
    "data": "people16",
    "epochs": 30,
    "scores": {"mpii_val": {"PCKh@0.5": 70.12}, "lsp_val": {"PCK@0.2": 80, "PCK@0.1": None}},
}


ERRORS = ErrorShares(4, 75.0, 25.0, 0.0, 0.0, 0.0)
SCORED = Evaluation(
    data="val",
    metric="PCK@0.2",
    boxes="ground truth",
    persons=2,
    persons_left_out=1,
    labelled={"nose": 2, "tail": 0},
    scores={"PCK@0.2": Score(66.667, {"nose": 66.667, "tail": None})},
    notes=("odd",),
    errors=ErrorAnalysis(2, ERRORS, {"nose": ERRORS}, (CalibrationBin(0.7, 0.8, 4, 0.75, 0.75),)),
    model="last",
    flip_test=False,
)


COMPARED = replace(SCORED, difference=Difference("before.json", 1.5, -0.25, 3.0, 95.5))


@pytest.mark.parametrize(
    "evaluation", [SCORED, COMPARED, replace(SCORED, errors=None, model=None, predictions="found.json")]
)
def test_an_evaluation_survives_json(evaluation):
    content = json.loads(json.dumps(evaluation_to_json(evaluation)))
    assert evaluation_from_json(content, "here") == evaluation


def test_the_results_of_this_repository_are_evaluations():
    files = sorted((Path(__file__).parents[2] / "results").glob("hevitpose_*.*_val.json"))
    assert files
    for file in files:
        content = json.loads(file.read_text())
        written = evaluation_to_json(evaluation_from_json(content, file))
        assert written == {key: value for key, value in content.items() if key != "provenance"}, file


@pytest.mark.parametrize("content", [[], {}, {"data": "val"}, EVALUATION | {"notes": []}])
def test_other_json_is_not_an_evaluation(content, refused):
    with refused("x.json", "not an evaluation"):
        evaluation_from_json(content, "x.json")


def measured(folder, content, name="result.json"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return find_score_records(folder)


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ({"model": "hevitpose_t_people16"}, "HEViTPose-T"),  # as the card of the bundled weights says
        ({"model": "last", "architecture": "b:groups=2-2-2"}, "b:groups=2-2-2"),
    ],
)
def test_an_evaluation_says_which_network_it_is_of(source, network, tmp_path):
    assert measured(tmp_path, EVALUATION | source) == [
        ScoreRecord(network, "PCKh@0.5", 72.0, "mpii_val", "result.json")
    ]


def test_an_evaluation_without_flip_test_says_so(tmp_path):
    (found,) = measured(tmp_path, EVALUATION | {"model": "hevitpose_t_people16", "flip_test": False})
    assert str(found) == "72.0 PCKh@0.5 on mpii_val, without flip test (result.json)"


def test_a_compared_run_has_a_score_for_each_set(tmp_path):
    first, second = measured(tmp_path, RUN, "compare/hrnet_w32.json")
    assert str(first) == "70.1 PCKh@0.5 on mpii_val of people16, 30 epochs (compare/hrnet_w32.json)"
    assert str(second) == "80.0 PCK@0.2 on lsp_val of people16, 30 epochs (compare/hrnet_w32.json)"


@pytest.mark.parametrize(
    "content",
    [
        EVALUATION,
        EVALUATION | {"model": "last"},
        EVALUATION | {"model": "../paper"},
        {"rows": [1, 2]},
        [RUN],
        RUN | {"scores": [70]},
        RUN | {"scores": {"mpii_val": 70}},
    ],
    ids=["no network", "other weights", "no weights", "benchmark", "list", "scores in a list", "scores without a set"],
)
def test_what_is_no_score_of_a_known_network_is_left_out(content, tmp_path):
    assert measured(tmp_path, content) == []


def test_no_folder_is_no_score(tmp_path):
    assert find_score_records(tmp_path / "none") == []


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "half.json").write_text('{"scores": ')
    with pytest.raises(InputError, match=r"half\.json: not valid JSON"):
        find_score_records(tmp_path)

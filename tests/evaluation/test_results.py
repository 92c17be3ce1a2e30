import json

import pytest

from hevitpose.core.errors import InputError
from hevitpose.evaluation.results import ScoreRecord, find_score_records

EVALUATION = {"data": "mpii_val", "scores": {"PCKh@0.5": {"mean": 72.0, "per_keypoint": {"r_ankle": 61.3}}}}
RUN = {
    "network": "hrnet_w32",
    "data": "people16",
    "epochs": 30,
    "scores": {"mpii_val": {"PCKh@0.5": 70.12}, "lsp_val": {"PCK@0.2": 80, "PCK@0.1": None}},
}


def measured(folder, content, name="result.json"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return find_score_records(folder)


@pytest.mark.parametrize(
    ("whose", "network"),
    [
        ({"model": "hevitpose_t_people16"}, "HEViTPose-T"),  # as the card of the bundled weights says
        ({"model": "last", "architecture": "b:groups=2-2-2"}, "b:groups=2-2-2"),
    ],
)
def test_an_evaluation_says_which_network_it_is_of(whose, network, tmp_path):
    assert measured(tmp_path, EVALUATION | whose) == [ScoreRecord(network, "PCKh@0.5", 72.0, "mpii_val", "result.json")]


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

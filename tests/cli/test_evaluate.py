from hevitpose.cli.evaluate import evaluation_tables
from hevitpose.evaluation.score import Evaluation, Score


def test_scores_of_people_and_of_keypoints_are_tables():
    scores = {"AP": Score(50.0), "AR": Score(None), "OKS": Score(62.5, {"nose": 75.0, "tail": None})}
    evaluation = Evaluation("mice", "AP", "labels", 2, 0, {"nose": 2, "tail": 0}, scores, found={"strays": 1.5})
    whole, keypoints, found = evaluation_tables(evaluation)
    assert (whole.header, whole.rows) == (["AP", "AR"], [["50.00", "-"]])
    assert keypoints.header == ["keypoint", "labelled", "OKS"]
    assert keypoints.rows == [["nose", "2", "75.00"], ["tail", "0", "-"], ["mean", "", "62.50"]]
    assert found.rows == [["strays", "1.50"]]

"""tools/join_labels.py on two small COCO files."""

import json
import sys
from pathlib import Path

import pytest

from hevitpose.core.errors import InputError
from hevitpose.data.find import find_dataset

TOOLS = str(Path(__file__).parents[1] / "tools")
SPELLED = ["LKnee", "nose", "tail"]


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    import join_labels

    yield join_labels
    sys.modules.pop("join_labels")


def write(path, keypoints, people, archive=False):
    """A COCO file with an image for each of the lists of people; a person is (side of the box, keypoints x, y, v)."""
    category = {"id": 7, "name": "person", "keypoints": keypoints}
    images = [{"id": 10 * n, "file_name": f"{n}.png"} | ({"archive": "a.zip"} if archive else {}) for n in people]
    annotations = [
        {"image_id": 10 * n, "category_id": 7, "bbox": [0, 0, side, side / 2], "area": side, "keypoints": joints}
        for n, of_image in people.items()
        for side, joints in of_image
    ]
    annotations = [{**one, "id": number} for number, one in enumerate(annotations)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))


@pytest.fixture
def root(tmp_path):
    """Files `one` of three people in two images, and `two` of thirty people, of whom every third is small."""
    whole, nose, two = ([1, 2, 2, 3, 4, 1, 5, 6, 2], [0, 0, 0, 3, 4, 2, 0, 0, 0], [1, 2, 2, 0, 0, 0, 5, 6, 2])
    write(tmp_path / "one/labels.json", SPELLED, {1: [(50, whole), (50, nose)], 2: [(50, two)]})
    people = {n: [(47.9 if n % 3 == 0 else 48, [n, n, 2])] * (1 + n % 2) for n in range(20)}
    write(tmp_path / "two/train.json", ["nose"], people, archive=True)
    return tmp_path


def joined(tool, root, *train, validation=(), seed=0):
    sources = ([tool.parse(text, root) for text in texts] for texts in (train, validation))
    tool.join(*sources, root, root / "out", "none", seed)
    return json.loads((root / "out" / "train.json").read_text())


def test_keypoints_are_matched_by_name_and_others_are_unlabelled(tool, root):
    content = joined(tool, root, "one/labels.json:images=elsewhere", "two/train.json")
    knee, nose = (tool.KEYPOINTS.index(name) for name in ("l_knee", "nose"))
    first = content["annotations"][0]
    assert first["keypoints"][3 * knee : 3 * knee + 3] == [1, 2, 2]
    assert first["keypoints"][3 * nose : 3 * nose + 3] == [3, 4, 1]
    assert sum(first["keypoints"]) == 13
    assert first["num_keypoints"] == 2
    assert len(content["annotations"]) == 33
    assert [one["id"] for one in content["annotations"]] == list(range(1, 34))
    assert {one["id"] for one in content["images"]} == set(range(1, 23))
    assert content["images"][0]["file_name"] == "elsewhere/1.png"
    assert content["images"][2] | {"id": 0} == {"id": 0, "file_name": "0.png", "archive": "two/a.zip"}
    place_of = {image["id"]: float(Path(image["file_name"]).stem) for image in content["images"]}
    for one in content["annotations"][3:]:
        assert one["keypoints"][3 * nose] == place_of[one["image_id"]]
        assert one["source"] == "two"


def test_what_is_left_out_is_counted(tool, root, capsys):
    content = joined(tool, root, "one/labels.json:min_keypoints=2:repeat=3", "two/train.json:min_side=48")
    assert [one["source"] for one in content["annotations"]] == ["one"] * 3 + ["two"] * 20
    assert "people 1, left out with fewer than 2 keypoints 2" in capsys.readouterr().out
    crowd = [{"num_keypoints": 5, "iscrowd": 1, "bbox": [0, 0, 99, 99]}]
    assert tool.select(crowd, tool.parse("one/labels.json", root)) == ([], {"left out as crowds": 1})


def test_images_held_out_are_not_trained_on(tool, root):
    train = joined(tool, root, "one/labels.json", "two/train.json:min_side=48:hold_out=9")
    dev = json.loads((root / "out" / "dev.json").read_text())
    assert len(dev["annotations"]) == 9
    assert 0 < sum(one["bbox"][2] < 48 for one in dev["annotations"]) < 9
    of_both = [{(i.get("archive"), i["file_name"]) for i in content["images"]} for content in (train, dev)]
    assert not set.intersection(*of_both)
    assert sum(map(len, of_both)) == 22
    joined(tool, root, "two/train.json:hold_out=9", seed=1)
    assert dev["images"] != json.loads((root / "out" / "dev.json").read_text())["images"]


def test_the_description_is_a_data_set(tool, root):
    write(root / "val.json", SPELLED, {1: [(50, [1, 2, 2, 3, 4, 1, 5, 6, 2])]})
    joined(tool, root, "two/train.json:hold_out=9", validation=["val.json:name=small:metric=pck_box"])
    dataset = find_dataset(str(root / "out" / "people21.toml"))
    people = dataset.train.read()
    assert len(people) == 21
    assert people.labelled.sum() == 21
    assert [(split.name, split.metric) for split in dataset.validation] == [("small", "pck_box"), ("dev", "oks")]
    for split in dataset.validation:
        assert split.read().skeleton == people.skeleton
        assert split.read().skeleton.sigmas == pytest.approx(people.skeleton.sigmas)


def test_the_skeleton_knows_sides_and_cocos_sigmas(tool):
    skeleton = tool.PEOPLE21
    pairs = {(skeleton.keypoints[a], skeleton.keypoints[b]) for a, b in enumerate(skeleton.mirror) if a < b}
    assert {("l_eye", "r_eye"), ("r_hip", "l_hip")} <= pairs
    assert len(pairs) == 8
    sigmas = dict(zip(skeleton.keypoints, skeleton.sigmas, strict=True))
    assert (sigmas["l_ear"], sigmas["r_wrist"], sigmas["l_hip"]) == (0.035, 0.062, 0.107)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("one/labels.json:repeats=2", "unknown option"),
        ("one/labels.json:repeat=two", "must be a whole number"),
        ("three.json", "no such file"),
        ("fish.json", "none of its keypoints"),
    ],
)
def test_bad_input_is_one_line(tool, root, monkeypatch, text, reason):
    write(root / "fish.json", ["fin"], {1: [(50, [1, 2, 2])]})
    monkeypatch.setattr(sys, "argv", ["join", "--root", str(root), "--output", str(root / "out"), "--train", text])
    with pytest.raises(SystemExit, match=f"^error: .*{text.partition(':')[0]}: .*{reason}"):
        tool.main()


def test_two_sets_of_one_name_are_refused(tool, root):
    with pytest.raises(InputError, match="name=NAME"):
        joined(tool, root, "one/labels.json", validation=["two/train.json"])

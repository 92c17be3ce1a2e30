import json
from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.skeleton import COCO17
from hevitpose.data.find import ROOT_VARIABLE, find_dataset, find_split, find_splits
from hevitpose.evaluation.evaluate import labelled_set

MICE = """
terms = "free"
[train]
annotations = "labels/train.json"
images = "photos"
[validation.near]
annotations = "labels/near.json"
metric = "pck"
[validation.far]
annotations = "{elsewhere}/far.mat"
images = "{elsewhere}/far"
format = "mpii"
subset = "far.txt"
[validation.other]
annotations = "valid.json"
format = "hrnet"
ground_truth = "gt_valid.mat"
"""


@pytest.fixture(autouse=True)
def no_root(monkeypatch):
    monkeypatch.delenv(ROOT_VARIABLE, raising=False)


@pytest.fixture
def toml(tmp_path):
    """Writes mice.toml with this text."""
    elsewhere = tmp_path / "elsewhere"

    def write(text=MICE):
        (tmp_path / "mice.toml").write_text(text.replace("{elsewhere}", elsewhere.as_posix()))
        return str(tmp_path / "mice.toml")

    return write


def paths(split):
    return split.annotations, split.images, split.subset, split.ground_truth


def test_a_folder_is_described_by_the_toml_file_in_it(tmp_path, toml):
    toml()
    for root, folder in ((None, tmp_path), (tmp_path / "root", tmp_path / "root")):
        assert find_dataset(str(tmp_path), root).train.annotations == folder / "labels" / "train.json"


@pytest.mark.parametrize("root", [None, "root"])
def test_files_lie_beside_the_toml_file_or_in_the_root(tmp_path, toml, root):
    folder = tmp_path / root if root else tmp_path
    mice = find_dataset(toml(), tmp_path / root if root else None)
    assert (mice.name, mice.terms) == ("mice", "free")
    near, far, other = mice.validation
    assert paths(mice.train) == (folder / "labels" / "train.json", folder / "photos", None, None)
    assert paths(near) == (folder / "labels" / "near.json", folder / "labels", None, None)
    assert paths(other) == (folder / "valid.json", folder, None, folder / "gt_valid.mat")
    # An absolute path stays where it is.
    assert paths(far) == (tmp_path / "elsewhere" / "far.mat", tmp_path / "elsewhere" / "far", folder / "far.txt", None)
    assert [(split.name, split.metric, split.format) for split in mice.validation] == [
        ("near", "pck", "coco"),
        ("far", None, "mpii"),
        ("other", None, "hrnet"),
    ]


def test_a_description_may_be_empty(toml):
    mice = find_dataset(toml(""))
    assert (mice.train, mice.validation, mice.terms) == (None, (), "unknown")


def test_a_split_reads_the_people_it_describes(tmp_path, toml, refused):
    person = {"id": 3, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "keypoints": [1, 2, 2]}
    content = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [person]}
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "train.json").write_text(
        json.dumps(content | {"categories": [{"id": 1, "keypoints": ["snout"]}]})
    )
    people = find_dataset(toml()).train.read()
    assert (people.name, people.ids.tolist()) == ("mice", [3])
    assert str(people.images[0]) == str(tmp_path / "photos" / "a.jpg")
    hrnet = {
        "image": "b.jpg",
        "center": [9, 9],
        "scale": 1,
        "joints": np.ones((16, 2)).tolist(),
        "joints_vis": [1] * 16,
    }
    (tmp_path / "valid.json").write_text(json.dumps([hrnet]))
    with refused(tmp_path / "gt_valid.mat", "no such file"):
        find_split(f"{toml()}/other").read()


@pytest.mark.parametrize("name", ["people16", "people16.toml"])
@pytest.mark.parametrize("folder", [".", "people16"])
@pytest.mark.parametrize("by_variable", [False, True])
def test_a_data_set_of_the_package_lies_in_the_root(tmp_path, monkeypatch, name, folder, by_variable):
    (tmp_path / folder).mkdir(exist_ok=True)
    if by_variable:
        monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    found = find_dataset(name, None if by_variable else tmp_path)
    assert found.name == "people16"
    assert found.train.annotations == tmp_path / folder / "people16_train.json"
    assert found.train.images == tmp_path / folder


def test_a_given_root_wins_over_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv(ROOT_VARIABLE, "elsewhere")
    assert find_dataset("people16", tmp_path).train.images == tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", ("people16",)),
        ("mice", ("no data set of that name", "people16")),
        ("missing.toml", ("no such TOML file",)),
        ("folder/people16.toml", ("no such TOML file",)),
        ("people16", ("`root=FOLDER`", ROOT_VARIABLE)),
    ],
)
def test_a_data_set_that_is_nowhere_is_one_line(refused, name, words):
    with refused(name, *words):
        find_dataset(name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[train", ("not valid TOML",)),
        ("terms = \n", ("not valid TOML",)),
        ("trian = 1", ("'trian'", "train")),
        ("train = 5", ("train needs annotations",)),
        ("[train]", ("train needs annotations",)),
        ("[train]\nannotations = 5", ("train needs annotations",)),
        ('[train]\nannotations = "a"\nanotations = "b"', ("'anotations'", "ground_truth")),
        ('[train]\nannotations = "a"\nmetric = "ap"', ("metric 'ap' of train", "pckh, pck")),
        ('[train]\nannotations = "a"\nmetric = ["pck"]', ("metric ['pck'] of train",)),
        ('[train]\nannotations = "a"\nformat = "voc"', ("format 'voc' of train", "coco, mpii, hrnet")),
        ('[train]\nannotations = "a"\nimages = 5', ("images of train", "5")),
        ('[train]\nannotations = "a"\nsubset = ["a"]', ("subset of train",)),
        ('[train]\nannotations = "a"\nground_truth = true', ("ground_truth of train",)),
        ("validation = 5", ("[validation.NAME]",)),
        ("[[validation]]", ("[validation.NAME]",)),
        ("[validation]\nnear = 5", ("validation.near needs annotations",)),
        ('[validation]\nannotations = "a"', ("validation.annotations needs annotations",)),
        ("[validation.near]", ("validation.near needs annotations",)),
        ('[train]\nannotations = "a"\nrepair = 1', ("repair of train",)),
        ("skeleton = 5", ("[skeleton]",)),
        ("[skeleton]\nmiror = []", ("'miror'", "mirror")),
        ("[skeleton]\nmirror = [['a']]", ("mirror of skeleton",)),
    ],
)
def test_a_wrong_description_is_one_line(refused, toml, text, words):
    path = toml(text)
    with refused(path, *words):
        find_dataset(path)


EARS = """
[train]
annotations = "mice.json"
[skeleton]
mirror = [["ear a", "ear b"]]
limbs = [["snout", "ear a"]]
sigmas = {"snout" = 0.05, "ear a" = 0.1, "ear b" = 0.1}
"""


def coco(**image):
    person = {"id": 3, "image_id": 1, "category_id": 1, "keypoints": [1, 2, 2, 9, 9, 2, 0, 0, 0]}
    return {
        "images": [{"id": 1, "file_name": "a.png"} | image],
        "annotations": [person | {"bbox": [0, 0, 12, 12]}],
        "categories": [{"id": 1, "name": "mouse", "keypoints": ["snout", "ear a", "ear b"]}],
    }


def test_the_skeleton_table_says_what_the_file_does_not(tmp_path, toml):
    (tmp_path / "mice.json").write_text(json.dumps(coco()))
    skeleton = find_dataset(toml(EARS)).train.read().skeleton
    assert (skeleton.mirror, skeleton.limbs, skeleton.sigmas) == ((0, 2, 1), ((0, 1),), (0.05, 0.1, 0.1))


def test_keypoints_that_are_no_list_are_one_line(tmp_path, toml, refused):
    content = coco()
    content["categories"][0]["keypoints"] = 17
    (tmp_path / "mice.json").write_text(json.dumps(content))
    train = find_dataset(toml(EARS)).train
    with refused(tmp_path / "mice.toml", "keypoints of the annotation file are not a list of names, but 17"):
        train.read()


def test_the_skeleton_table_serves_every_format(tmp_path, toml):
    person = {"image": "b.jpg", "center": [9, 9], "scale": 1, "joints": [[1, 1]] * 16, "joints_vis": [1] * 16}
    (tmp_path / "valid.json").write_text(json.dumps([person]))
    text = '[train]\nannotations = "valid.json"\nformat = "hrnet"\n[skeleton]\nmirror = []\n'
    assert find_dataset(toml(text)).train.read().skeleton.mirror == tuple(range(16))


def test_mirror_partners_that_are_no_pairs_are_refused(tmp_path, toml, refused):
    (tmp_path / "mice.json").write_text(json.dumps(coco()))
    train = find_dataset(toml(EARS.replace('[["ear a"', '[["snout", "ear a"], ["ear a"'))).train
    with refused(tmp_path / "mice.json", "mirror partner of snout is ear a", "must be pairs"):
        train.read()


def test_repair_gives_a_box_to_who_has_none(tmp_path, toml, refused):
    content = coco()
    content["annotations"][0]["bbox"] = None
    (tmp_path / "mice.json").write_text(json.dumps(content))
    with refused(tmp_path / "mice.json", "annotation 3", "bbox"):
        find_dataset(toml('[train]\nannotations = "mice.json"')).train.read()
    people = find_dataset(toml('[train]\nannotations = "mice.json"\nrepair = true')).train.read()
    assert people.boxes[0] == pytest.approx([5.5 - 5.4, 6 - 4.725, 5.5 + 5.4, 6 + 4.725])


@pytest.mark.parametrize(
    ("train", "validation", "image"),
    [
        ("train.json", "val.json", "images/a.png"),
        ("mice_train.json", "mice_val.json", "a.png"),
        ("train/_annotations.coco.json", "valid/_annotations.coco.json", "train/a.png"),
        ("annotations/person_keypoints_train2017.json", "annotations/person_keypoints_val2017.json", "train2017/a.png"),
        (
            "annotations/person_keypoints_Train.json",
            "annotations/person_keypoints_Validation.json",
            "images/Train/a.png",
        ),
        ("annotations/trainval.json", None, "images/a.png"),
        ("annotations/person_keypoints_default.json", None, "images/a.png"),
        ("annotations/person_keypoints_default.json", None, "images/default/a.png"),
        ("result.json", None, "images/a.png"),
    ],
)
def test_the_exports_of_annotation_tools_are_found_in_a_folder(tmp_path, train, validation, image):
    content = coco()
    del content["annotations"][0]["bbox"]  # as Label Studio writes them
    for file in filter(None, (train, validation, image)):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(json.dumps(content))
    found = find_dataset(str(tmp_path))
    people = found.train.read()
    assert (people.name, str(people.images[0])) == (tmp_path.name, str(tmp_path / image))
    assert [split.annotations for split in found.validation] == ([tmp_path / validation] if validation else [])
    assert {split.metric for split in found.validation} <= {"pck_box"}
    if validation:
        assert find_split(str(tmp_path)) == found.validation[0]


@pytest.mark.parametrize(
    ("category", "area", "metric"),
    [
        ({"keypoints": list(COCO17.keypoints)}, 50, "oks"),
        ({"keypoints": list(COCO17.keypoints)}, 0, "pck_box"),
        ({"keypoints": ["snout", "tail"], "sigmas": [0.05, 0.1]}, 50, "oks"),
        ({"keypoints": ["snout", "tail"]}, 50, "pck_box"),
        ({}, 50, "pck_box"),
    ],
)
def test_sets_found_by_name_are_scored_by_oks_where_that_can_be(tmp_path, category, area, metric):
    keypoints = [9, 9, 2] * len(category.get("keypoints", ()))
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "keypoints": keypoints, "area": area}
    images, categories = [{"id": 1, "file_name": "a.png"}], [{"id": 1, "name": "x"} | category]
    content = {"images": images, "annotations": [person], "categories": categories}
    (tmp_path / "val.json").write_text(json.dumps(content))
    assert find_split(str(tmp_path)).metric == metric


def test_the_labels_of_a_folder_are_parsed_once(tmp_path, monkeypatch):
    for name in ("train.json", "val.json"):
        (tmp_path / name).write_text(json.dumps(coco()))
    parsed, parse = [], json.loads
    monkeypatch.setattr(json, "loads", lambda text: parsed.append(1) or parse(text))
    dataset = find_dataset(str(tmp_path))
    assert (len(dataset.train.people), len(labelled_set(dataset.validation[0]).people)) == (1, 1)
    assert len(parsed) == 2


def test_the_only_data_set_inside_a_folder_is_found(tmp_path, refused):
    for name in ("mice", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "mice" / "train.json").write_text(json.dumps(coco()))
    (tmp_path / "notes" / "settings.json").write_text("{}")
    found = find_dataset(str(tmp_path))
    assert (found.name, found.train.annotations) == ("mice", tmp_path / "mice" / "train.json")
    assert [*find_splits(str(tmp_path))] == ["train"]
    (tmp_path / "rats").mkdir()
    (tmp_path / "rats" / "data.yaml").write_text("")
    with refused(tmp_path, f"several data sets: name one of {tmp_path / 'mice'}, {tmp_path / 'rats'}"):
        find_dataset(str(tmp_path))


def test_a_folder_of_several_sets_needs_a_description(tmp_path, toml, refused):
    with refused(tmp_path, "has no annotation file", "annotations/*_default.json"):
        find_dataset(str(tmp_path))
    for name in ("one_train.json", "two_train.json"):
        (tmp_path / name).write_text("{}")
    with refused(tmp_path, "one_train.json, two_train.json", "TOML"):
        find_dataset(str(tmp_path))
    (tmp_path / "two_train.json").rename(tmp_path / "train.json")
    with refused(tmp_path, "train.json, one_train.json", "TOML"):
        find_dataset(str(tmp_path))
    with refused(tmp_path, "several files"):
        find_split(str(tmp_path))
    toml()
    assert find_dataset(str(tmp_path)).terms == "free"
    with refused(tmp_path, "near, far, other", "FOLDER/NAME"):
        find_split(str(tmp_path))
    assert find_split(f"{tmp_path}/near").metric == "pck"


def test_a_description_that_is_no_text_is_one_line(tmp_path, refused):
    (tmp_path / "mice.toml").write_bytes(b"\xff\xff")
    with refused(tmp_path / "mice.toml", "cannot be read"):
        find_dataset(str(tmp_path / "mice.toml"))


@pytest.mark.parametrize("name", ["mpii_val", "people16/mpii_val"])
def test_a_split_of_the_package_is_found_by_its_name(tmp_path, name):
    split = find_split(name, tmp_path)
    assert (split.name, split.metric, split.annotations) == ("mpii_val", "pckh", tmp_path / "mpii_val.json")


def test_a_split_of_a_toml_file_is_found(tmp_path, toml):
    assert find_split(f"{toml()}/near").annotations == tmp_path / "labels" / "near.json"


@pytest.mark.parametrize(("root", "folder"), [(None, "labels"), (Path("photos"), "photos")])
def test_an_annotation_file_is_a_split_of_its_own(root, folder):
    split = find_split("labels/mice.json", root)
    assert (split.name, split.annotations, split.images) == ("mice", Path("labels/mice.json"), Path(folder))
    assert (split.metric, split.format) == (None, "coco")


@pytest.mark.parametrize(
    ("file", "text", "form"),
    [
        ("a.json", "{}", "coco"),
        ("a.json", " [{}]", "hrnet"),
        ("a.json", "\ufeff\n[{}]", "hrnet"),
        ("a.json", '[{"annotations": [], "data": {}}]', "label_studio"),
        ("a.mat", "", "mpii"),
        ("a.csv", "", "deeplabcut"),
    ],
)
def test_what_a_file_of_labels_is_shows_in_its_name_or_its_first_letter(tmp_path, file, text, form):
    (tmp_path / file).write_text(text)
    (split,) = find_splits(str(tmp_path / file)).values()
    assert (split.format, split.annotations, split.images) == (form, tmp_path / file, tmp_path)


def test_all_sets_of_a_data_set_that_for_training_first(tmp_path, toml, monkeypatch):
    assert [*find_splits(toml())] == ["train", "near", "far", "other"]
    assert [*find_splits(str(tmp_path))] == ["train", "near", "far", "other"]
    assert [*find_splits(f"{toml()}/far")] == ["far"]
    assert [*find_splits("lsp_val", tmp_path)] == ["lsp_val"]
    assert [*find_splits("people16", tmp_path)] == ["train", "lsp_val", "mpii_val"]
    # Also where there is a folder of that name.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people16").mkdir()
    assert [*find_splits("people16", tmp_path)] == ["train", "lsp_val", "mpii_val"]


def test_a_data_set_without_sets_is_one_line(toml, refused):
    with refused(toml(""), "neither a [train] table nor a validation set"):
        find_splits(toml(""))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", ("no such validation set",)),
        ("train", ("no such validation set",)),
        ("people16/train", ("no such validation set", "lsp_val, mpii_val")),
        ("people17/val", ()),
        ("a" * 5000, ("no such validation set",)),
        ("a" * 5000 + ".mat", ("no such file",)),
    ],
)
def test_a_split_that_is_nowhere_is_one_line(tmp_path, refused, name, words):
    with refused("people17" if name == "people17/val" else name, *words):
        _ = find_split(name, tmp_path).people
    with refused("people17" if name == "people17/val" else name):
        _ = next(iter(find_splits(name, tmp_path).values())).people

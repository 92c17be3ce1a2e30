import sys

import numpy as np
import pytest

from hevitpose.data.check.rules import check_sets
from hevitpose.data.deeplabcut import read_deeplabcut
from hevitpose.data.find import find_dataset, find_split

ONE = """scorer,Anna,Anna,Anna,Anna,Anna,Anna
bodyparts,snout,snout,leftear,leftear,rightear,rightear
coords,x,y,x,y,x,y
labeled-data\\m1\\img0.png,10,20.5,30,40,,
labeled-data/m1/img1.png,,,,,,
"""
SEVERAL = """scorer,,,A,A,A,A,A,A
individuals,,,one,one,one,one,two,two
bodyparts,,,snout,snout,tail,tail,snout,snout
coords,,,x,y,x,y,x,y
labeled-data,m1,img0.png,1,2,3,4,5,6
labeled-data,m1,img1.png,,,7,8,9,10
"""


@pytest.fixture
def project(tmp_path):
    """Writes the labels of a project of one video, and gives its folder."""

    def write(text=ONE):
        (tmp_path / "labeled-data" / "m1").mkdir(parents=True, exist_ok=True)
        (tmp_path / "labeled-data" / "m1" / "CollectedData_Anna.csv").write_text(text)
        (tmp_path / "labeled-data" / "m1" / "img0.png").write_bytes(b"")
        (tmp_path / "config.yaml").write_text(
            "skeleton:\n- [leftear, rightear]\n- [snout, wing]\n- [[snout], leftear]\n- 5\n"
        )
        return tmp_path

    return write


@pytest.mark.parametrize("of", [".", "labeled-data/m1/CollectedData_Anna.csv"])
def test_one_animal_a_image(project, of):
    folder = project()
    split = find_split(str(folder / of)) if of.endswith("csv") else find_dataset(str(folder)).train
    mouse = split.read()
    assert mouse.skeleton.keypoints == ("snout", "leftear", "rightear")
    assert (mouse.skeleton.mirror, mouse.skeleton.limbs) == ((0, 2, 1), ((1, 2),))
    assert [str(file) for file in mouse.images] == [str(folder / "labeled-data/m1/img0.png")]
    assert mouse.keypoints.tolist() == [[[10, 20.5], [30, 40], [0, 0]]]
    assert mouse.visibility.tolist() == [[2, 2, 0]]
    assert mouse.boxes == pytest.approx(np.array([[20.5 - 13.5, 30.75 - 13.1625, 20.5 + 13.5, 30.75 + 13.1625]]))


def test_a_folder_with_a_name_longer_than_any_is_not_there(tmp_path):
    name = f"{'m' * 5000}/a.png"
    (tmp_path / "alone.csv").write_text(ONE.replace("labeled-data\\m1\\img0.png", name))
    assert [image.name for image in read_deeplabcut(tmp_path / "alone.csv", "mice").images] == [name]


def test_several_animals_a_image(project):
    mice = read_deeplabcut(project(SEVERAL), "mice")
    assert mice.skeleton.keypoints == ("snout", "tail")
    assert mice.image_index.tolist() == [0, 0, 1, 1]
    assert mice.keypoints.tolist() == [[[1, 2], [3, 4]], [[5, 6], [0, 0]], [[0, 0], [7, 8]], [[9, 10], [0, 0]]]
    assert mice.visibility.tolist() == [[2, 2], [2, 0], [0, 2], [2, 0]]
    # The second image is not there: it is looked for beside its labels.
    assert str(mice.images[1]).endswith("img1.png")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", ("first lines", "bodyparts")),
        (ONE.replace("20.5", "here"), ("line 4", "'here'")),
        (ONE.replace("20.5", "1e9"), ("line 4", "snout", "1e9")),
        (ONE.replace("30,40", "30"), ("line 4", "6 cells")),
        (ONE.replace("coords,x,y", "coords,x"), ("first lines",)),
    ],
)
def test_a_wrong_file_is_one_line(project, refused, text, words):
    sheet = project(text) / "labeled-data" / "m1" / "CollectedData_Anna.csv"
    with refused(sheet, *words):
        read_deeplabcut(sheet, "mouse")


def test_a_name_that_no_file_can_have_is_a_missing_image(project):
    folder = project(ONE.replace("img0", "img\0"))
    faults = check_sets([find_dataset(str(folder)).train])
    assert [fault.kind for fault in faults if fault.level == "error"] == ["missing image"]


def test_a_project_without_labels_is_one_line(project, tmp_path, refused):
    with refused(tmp_path / "none.csv", "no such file"):
        read_deeplabcut(tmp_path / "none.csv", "mouse")
    with refused(tmp_path, "labeled-data"):
        read_deeplabcut(tmp_path, "mouse")
    with refused(project(ONE.replace("10,20.5,30,40", ",,,")), "no animal"):
        read_deeplabcut(tmp_path, "mouse")


def findings(people):
    return {finding.kind: finding for finding in people.findings}


def second_sheet(folder, name, text=ONE):
    (folder / "labeled-data" / "m1" / name).write_text(text)


def test_the_configs_scorer_wins_and_others_are_named(project):
    folder = project()
    second_sheet(folder, "CollectedData_Ben.csv", ONE.replace("Anna", "Ben").replace("20.5", "7"))
    second_sheet(folder, "._CollectedData_Anna.csv", "")
    for config, scorer, y in (("scorer: Anna  # me\n", "Ben", 20.5), ("task: m\nscorer: 'Ben'\n", "Anna", 7)):
        (folder / "config.yaml").write_text(config)
        mouse = read_deeplabcut(folder, "mouse")
        assert mouse.keypoints[:, 0].tolist() == [[10, y]]
        assert findings(mouse)["other scorer"].record == f"m1/CollectedData_{scorer}.csv"


def test_of_copies_that_which_has_the_scorers_name_is_read(project, refused):
    folder = project()
    second_sheet(folder, "CollectedData_Anna_backup.csv")
    mouse = read_deeplabcut(folder, "mouse")
    assert (len(mouse), findings(mouse)["other scorer"].record) == (1, "m1/CollectedData_Anna_backup.csv")
    second_sheet(folder, "CollectedData_Ben.csv", ONE.replace("Anna", "Ben"))
    with refused(folder / "labeled-data" / "m1", "several scorers", "config.yaml"):
        read_deeplabcut(folder, "mouse")


def test_unique_body_parts_are_not_an_animal(project):
    text = SEVERAL.replace("two,two", "single,single").replace("tail,tail,snout,snout", "tail,tail,corner,corner")
    mice = read_deeplabcut(project(text), "mice")
    assert (mice.skeleton.keypoints, len(mice)) == (("snout", "tail"), 2)
    assert "corner" in findings(mice)["unique body parts"].problem
    alone = read_deeplabcut(project(text.replace("one", "single")), "mice")
    assert alone.skeleton.keypoints == ("snout", "tail", "corner")


def test_images_without_labels_are_counted(project):
    folder = project()
    (folder / "labeled-data" / "m1" / "img7.png").write_bytes(b"")
    (folder / "labeled-data" / "m2").mkdir()
    (folder / "labeled-data" / "m2" / "img0.png").write_bytes(b"")
    (folder / "labeled-data" / "m2" / "CollectedData_Anna.h5").write_bytes(b"")
    found = findings(read_deeplabcut(folder, "mouse"))
    assert found["labels in HDF5"].record == "m2/CollectedData_Anna.h5"
    problem = found["unlabelled images"].problem
    assert problem.startswith("3 of 4 images have no labels (")
    assert "img7.png" in problem
    assert "m2" in problem


def test_without_pyyaml_only_limbs_are_missing(project, monkeypatch):
    folder = project()
    monkeypatch.setitem(sys.modules, "yaml", None)
    mouse = read_deeplabcut(folder, "mouse")
    assert (len(mouse), mouse.skeleton.limbs) == (1, ())
    assert "no limbs" in findings(mouse)


LIGHTNING = """scorer,s,s
bodyparts,snout,snout
coords,x,y
labeled-data/v1/img0.png,1,2
labeled-data/v2/img0.png,3,4
"""


@pytest.mark.parametrize("of", [".", "CollectedData.csv"])
def test_lightning_pose_has_one_file_for_all_videos(tmp_path, of):
    for video in ("v1", "v2"):
        (tmp_path / "labeled-data" / video).mkdir(parents=True)
        (tmp_path / "labeled-data" / video / "img0.png").write_bytes(b"")
    (tmp_path / "CollectedData.csv").write_text(LIGHTNING)
    people = (find_dataset(str(tmp_path)).train if of == "." else find_split(str(tmp_path / of))).read()
    assert [str(file) for file in people.images] == [
        str(tmp_path / "labeled-data" / video / "img0.png") for video in ("v1", "v2")
    ]
    (tmp_path / "CollectedData_new.csv").write_text(LIGHTNING)
    assert [split.name for split in find_dataset(str(tmp_path)).validation] == ["CollectedData_new"]


def test_hdf5_alone_is_named(tmp_path, refused):
    sheet = tmp_path / "labeled-data" / "m1" / "CollectedData_Anna.h5"
    sheet.parent.mkdir(parents=True)
    sheet.write_bytes(b"")
    with refused(sheet, "CSV"):
        find_dataset(str(tmp_path))

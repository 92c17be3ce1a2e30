import numpy as np
import pytest
from PIL import Image

from hevitpose.core.skeleton import COCO17
from hevitpose.data.find import find_dataset, find_split
from hevitpose.data.skeletons import skeleton_table
from hevitpose.data.yolo import read_yolo

YAML = """
path: elsewhere
train: ../train/images
val: val/images
kpt_shape: [3, 3]
flip_idx: [0, 2, 1]
names: {0: mouse}
kpt_names: {0: [snout, ear_a, ear_b]}
download: __import__('os').system('touch ran')
"""
LINE = "0 0.5 0.5 0.2 0.4 0.25 0.5 2 0.75 0.5 1 0 0 0\n"


@pytest.fixture
def yolo(tmp_path):
    """Writes a data set of one image, 40 wide and 20 high once it is upright, and gives its data.yaml."""

    def write(text=YAML, line=LINE):
        for split in ("train", "val"):
            (tmp_path / split / "images").mkdir(parents=True, exist_ok=True)
            (tmp_path / split / "labels").mkdir(exist_ok=True)
            exif = Image.Exif()
            exif[0x0112] = 6
            Image.new("RGB", (20, 40)).save(tmp_path / split / "images" / "a.jpg", exif=exif)
            Image.new("RGB", (20, 40)).save(tmp_path / split / "images" / "nobody.jpg")
            (tmp_path / split / "labels" / "a.txt").write_text(line)
        (tmp_path / "data.yaml").write_text(text)
        return tmp_path / "data.yaml"

    return write


@pytest.mark.parametrize("of", ["data.yaml", "."])
def test_shares_of_the_upright_image_become_pixels(tmp_path, yolo, of):
    yolo()
    mice = find_dataset(str(tmp_path / of))
    people = mice.train.read()
    assert people.skeleton.keypoints == ("snout", "ear_a", "ear_b")
    assert (people.skeleton.mirror, people.skeleton.name, people.name) == ((0, 2, 1), "mouse", tmp_path.name)
    assert [str(file) for file in people.images] == [str(tmp_path / "train" / "images" / "a.jpg")]
    # Boxes are measured from the image's corner, keypoints are COCO's.
    assert people.boxes == pytest.approx(np.array([[16, 6, 24, 14]]))
    assert people.keypoints.tolist() == [[[10, 10], [30, 10], [0, 0]]]
    assert people.visibility.tolist() == [[2, 1, 0]]
    assert [split.name for split in mice.validation] == ["val"]
    assert find_split(str(tmp_path / of)).metric == "pck_box"
    assert not list(tmp_path.glob("**/ran"))


def test_two_values_a_joint_and_two_animals_a_image(tmp_path, yolo):
    text = YAML.replace("[3, 3]", "[3, 2]").replace("kpt_names: {0: [snout, ear_a, ear_b]}", "")
    line = "0 0.5 0.5 0.2 0.4 0.25 0.5 0.75 0.5 0 0\n"
    people = read_yolo(yolo(text, line + "\n" + line), [tmp_path / "train" / "images"], "mice")
    assert people.visibility.tolist() == [[2, 2, 0]] * 2
    assert people.skeleton.keypoints == ("keypoint_0", "keypoint_1", "keypoint_2")
    table = skeleton_table({"keypoints": ["nose", "l_ear", "r_ear"], "limbs": [["nose", "l_ear"]]}, "mice.toml")
    skeleton = read_yolo(tmp_path / "data.yaml", [tmp_path / "train" / "images"], "mice", table).skeleton
    assert (skeleton.keypoints, skeleton.limbs) == (("nose", "l_ear", "r_ear"), ((0, 1),))


@pytest.mark.parametrize(
    ("flip_idx", "names", "mirror", "flips"),
    [
        ("flip_idx: [0, 2, 1]", "[snout, ear_a, ear_b]", (0, 2, 1), True),
        ("flip_idx: [0, 1, 2]", "[snout, ear_a, ear_b]", (0, 1, 2), False),
        ("", "[snout, ear_a, ear_b]", (0, 1, 2), False),
        ("", "[snout, left_ear, right_ear]", (0, 2, 1), True),
        ("flip_idx: [0, 1, 2]", "[snout, left_ear, right_ear]", (0, 1, 2), True),  # which `data check` calls an error
    ],
)
def test_numbers_in_their_order_are_no_statement_that_nothing_changes_sides(
    tmp_path, yolo, flip_idx, names, mirror, flips
):
    text = YAML.replace("flip_idx: [0, 2, 1]", flip_idx).replace("[snout, ear_a, ear_b]", names)
    skeleton = read_yolo(yolo(text), [tmp_path / "train" / "images"], "mice").skeleton
    assert (skeleton.mirror, skeleton.flips) == (mirror, flips)


def test_seventeen_keypoints_with_cocos_partners_are_cocos(tmp_path, yolo):
    text = f"train: train/images\nkpt_shape: [17, 3]\nflip_idx: {list(COCO17.mirror)}\nnames: [person]\n"
    people = read_yolo(yolo(text, "0 .5 .5 .2 .4" + " 0.5 0.5 2" * 17), [tmp_path / "train" / "images"], "x")
    assert (people.skeleton.keypoints, people.skeleton.limbs) == (COCO17.keypoints, COCO17.limbs)
    assert people.skeleton.sigmas == COCO17.sigmas


@pytest.mark.parametrize(
    ("names", "name"), [("{0: mouse}", "mouse"), ("[rat, mouse]", "rat"), ("[]", "person"), ("5", "person")]
)
def test_the_first_class_names_the_keypoints(tmp_path, yolo, names, name):
    text = YAML.replace("names: {0: mouse}\n", f"names: {names}\n")
    assert read_yolo(yolo(text), [tmp_path / "train" / "images"], "x").skeleton.name == name


def test_a_name_longer_than_any_folder_is_one_line(tmp_path, yolo, refused):
    yolo(YAML.replace("../train/images", "a" * 5000))
    with refused(tmp_path / "elsewhere" / ("a" * 5000), "no such folder"):
        find_dataset(str(tmp_path)).train.read()


def test_the_root_of_all_folders_is_not_searched_for_images(tmp_path, yolo, refused):
    yolo(YAML.replace("../train/images", "/"))
    with refused("/", "root of all folders"):
        find_dataset(str(tmp_path)).train.read()


def test_a_text_file_can_list_the_images(tmp_path, yolo):
    yolo(YAML.replace("../train/images", "list.txt"))
    (tmp_path / "list.txt").write_text("train/images/a.jpg\n")
    assert len(find_dataset(str(tmp_path)).train.read()) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 0.5 0.5 0.2 0.4 0.25 0.5 2", ("line 1", "needs 14 numbers", "found 8")),
        (LINE + LINE.replace("0.75", "nan"), ("line 2", "keypoints must be")),
        (LINE.replace("0.75", "x"), ("line 1", "'x'")),
        (LINE.replace("0.2 0.4", "0 0.4"), ("line 1", "no area")),
        (LINE.replace("0.2 0.4", "20 8"), ("line 1", "shares of width and height", "20.0, 8.0")),
        (LINE.replace("0.2 0.4", "nan 0.4"), ("line 1", "shares of width and height")),
        (LINE.replace(" 1 ", " 0.9 "), ("line 1", "visibility", "0.9")),
    ],
)
def test_a_wrong_label_is_one_line(tmp_path, yolo, refused, line, words):
    with refused(tmp_path / "train" / "labels" / "a.txt", *words):
        read_yolo(yolo(line=line), [tmp_path / "train" / "images"], "mice")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", ("YAML",)),
        ("- 1", ("table",)),
        ("a: !!python/object/apply:os.system ['touch ran']", ("YAML", "python/object")),
        ("nc: !!bool maybe", ("YAML",)),
        ("names: [a]", ("neither train nor val",)),
        ("train: [a, 5]", ("train must be folders",)),
        (YAML.replace("[3, 3]", "3"), ("kpt_shape must be",)),
        (YAML.replace("[3, 3]", "[4, 3]"), ("flip_idx must be the numbers 0 to 3",)),
        (YAML.replace("[0, 2, 1]", "[1, 2, 0]"), ("flip_idx: mirror partner of snout is ear_a", "must be pairs")),
        (YAML.replace(", ear_b]", "]"), ("3 keypoints", "['snout', 'ear_a']")),
    ],
)
def test_a_wrong_description_is_one_line(tmp_path, yolo, refused, text, words):
    with refused(tmp_path / "data.yaml", *words):
        find_dataset(str(yolo(text))).train.read()
    assert not list(tmp_path.glob("**/ran"))


def test_images_without_labels_are_one_line(tmp_path, yolo, refused):
    with refused(tmp_path / "train" / "images", "no labelled keypoint"):
        read_yolo(yolo(line="\n"), [tmp_path / "train" / "images"], "mice")
    with refused(tmp_path / "none", "no such folder"):
        read_yolo(tmp_path / "data.yaml", [tmp_path / "none"], "mice")


def person_at(folder, name, label=LINE):
    """An image of 40 x 20 and its label file, each in a folder of its own."""
    (folder[0]).mkdir(parents=True, exist_ok=True)
    (folder[1]).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 20)).save(folder[0] / f"{name}.png")
    (folder[1] / f"{name}.txt").write_text(label)


def findings(people):
    return {finding.kind: finding.problem for finding in people.findings}


def test_labels_lie_under_labels_or_beside_the_image(tmp_path, yolo):
    days = tmp_path / "all"
    person_at((days / "images" / "a", days / "labels" / "a"), "1")
    person_at((days / "images" / "b", days / "images" / "b"), "2")
    person_at((days / "c", days / "c"), "3")
    Image.new("RGB", (40, 20)).save(days / "c" / "empty.png")
    (days / "labels" / "a" / "lost.txt").write_text(LINE)
    (days / "c" / "classes.txt").write_text("mouse")
    people = read_yolo(yolo(), [days], "mice")
    assert [file.name for file in people.images] == ["3.png", "1.png", "2.png"]
    assert findings(people) == {
        "unlabelled images": "1 of 4 images have no labels (empty.png)",
        "labels without image": f"labels without an image: 1 ({days / 'labels' / 'a' / 'lost.txt'})",
    }


def test_two_images_of_the_same_labels_are_reported(tmp_path, yolo):
    person_at((tmp_path / "x", tmp_path / "x"), "1")
    Image.new("RGB", (40, 20)).save(tmp_path / "x" / "1.jpg")
    assert set(findings(read_yolo(yolo(), [tmp_path / "x"], "mice"))) == {"shared labels"}


def test_train_can_be_several_folders_and_lists(tmp_path, yolo):
    for name in ("p", "q", "r"):
        person_at((tmp_path / name / "images", tmp_path / name / "labels"), name)
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf.\\r\\images\\r.png\r\n")
    train = find_dataset(
        str(yolo(YAML.replace("train: ../train/images", "train: [p/images, q\\images, list.txt]")))
    ).train
    assert [file.name for file in train.read().images] == ["p.png", "q.png", "r.png"]


def test_linked_folders_are_read_and_clutter_is_not(tmp_path, yolo):
    person_at((tmp_path / "real", tmp_path / "labels" / "day"), "1")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "day").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real" / "again").symlink_to(tmp_path / "images", target_is_directory=True)
    for clutter in ("._1.png", ".ipynb_checkpoints/1-checkpoint.png", "__MACOSX/1.png"):
        (tmp_path / "real" / clutter).parent.mkdir(exist_ok=True)
        (tmp_path / "real" / clutter).write_bytes(b"")
    people = read_yolo(yolo(), [tmp_path / "images"], "mice")
    assert [str(file) for file in people.images] == [str(tmp_path / "images" / "day" / "1.png")]
    assert people.findings == ()


def test_labels_are_found_in_the_other_form_of_unicode(tmp_path, yolo):
    person_at((tmp_path / "images", tmp_path / "labels"), "e\u0301")
    (tmp_path / "images" / "e\u0301.png").rename(tmp_path / "images" / "\xe9.png")
    assert len(read_yolo(yolo(), [tmp_path / "images"], "mice")) == 1


def test_a_description_may_have_another_name(tmp_path, yolo, refused):
    yolo().rename(tmp_path / "mice.yml")
    (tmp_path / "notes.yaml").write_text("a: 1")
    assert find_dataset(str(tmp_path)).train.annotations == tmp_path / "mice.yml"
    (tmp_path / "rats.yaml").write_text(YAML)
    with refused(tmp_path, "several data sets", "mice.yml, rats.yaml"):
        find_dataset(str(tmp_path))

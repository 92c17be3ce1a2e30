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
    people = read_yolo(yolo(text, line + "\n" + line), tmp_path / "train" / "images", "mice")
    assert people.visibility.tolist() == [[2, 2, 0]] * 2
    assert people.skeleton.keypoints == ("keypoint_0", "keypoint_1", "keypoint_2")
    table = skeleton_table({"keypoints": ["nose", "l_ear", "r_ear"], "limbs": [["nose", "l_ear"]]}, "mice.toml")
    skeleton = read_yolo(tmp_path / "data.yaml", tmp_path / "train" / "images", "mice", table).skeleton
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
    skeleton = read_yolo(yolo(text), tmp_path / "train" / "images", "mice").skeleton
    assert (skeleton.mirror, skeleton.flips) == (mirror, flips)


def test_seventeen_keypoints_with_cocos_partners_are_cocos(tmp_path, yolo):
    text = f"train: train/images\nkpt_shape: [17, 3]\nflip_idx: {list(COCO17.mirror)}\nnames: [person]\n"
    people = read_yolo(yolo(text, "0 .5 .5 .2 .4" + " 0.5 0.5 2" * 17), tmp_path / "train" / "images", "x")
    assert (people.skeleton.keypoints, people.skeleton.limbs) == (COCO17.keypoints, COCO17.limbs)
    assert people.skeleton.sigmas == COCO17.sigmas


@pytest.mark.parametrize(
    ("names", "name"), [("{0: mouse}", "mouse"), ("[rat, mouse]", "rat"), ("[]", "person"), ("5", "person")]
)
def test_the_first_class_names_the_keypoints(tmp_path, yolo, names, name):
    text = YAML.replace("names: {0: mouse}\n", f"names: {names}\n")
    assert read_yolo(yolo(text), tmp_path / "train" / "images", "x").skeleton.name == name


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
        read_yolo(yolo(line=line), tmp_path / "train" / "images", "mice")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", ("YAML",)),
        ("- 1", ("table",)),
        ("a: !!python/object/apply:os.system ['touch ran']", ("YAML", "python/object")),
        ("nc: !!bool maybe", ("YAML",)),
        ("names: [a]", ("neither train nor val",)),
        ("train: [a, b]", ("train must be one folder",)),
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
        read_yolo(yolo(line="\n"), tmp_path / "train" / "images", "mice")
    with refused(tmp_path / "none", "no such folder"):
        read_yolo(tmp_path / "data.yaml", tmp_path / "none", "mice")

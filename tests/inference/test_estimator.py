import dataclasses
import shutil
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hevitpose.core.errors import DeviceError, InputError
from hevitpose.core.heatmap import EDGES
from hevitpose.core.model_config import BoxSizes, ModelConfig
from hevitpose.core.results import Detections
from hevitpose.core.skeleton import COCO17, MPII16, Skeleton
from hevitpose.inference.detectors import bundled_detector, head_keypoints
from hevitpose.inference.estimator import PoseEstimator, boxes_with_keypoints
from hevitpose.inference.inputs import Frame
from hevitpose.inference.network import Network

PHOTOS = Path(__file__).parents[2] / "examples"

SKELETON = Skeleton("dots", ("red", "green", "blue"), (0, 1, 2), symmetric=True)
CONFIG = ModelConfig("t", SKELETON, (128, 96), 1.25)
JOINTS = np.array([[210.0, 140], [250, 180], [230, 260]])


def find_dots(crops):
    """A network that needs no training: a heatmap peaks where the crop is purest in its colour, if it is so at all."""
    heatmaps = np.zeros((len(crops), 3, crops.shape[1] // 4, crops.shape[2] // 4), dtype=np.float32)
    y, x = np.mgrid[: crops.shape[1], : crops.shape[2]]
    for n, crop in enumerate(crops.astype(float)):
        for k in range(3):
            light = np.clip(crop[..., k] - np.delete(crop, k, axis=2).max(axis=2) - 100, 0, None)
            if light.sum() > 0:
                at = np.array([(light * x).sum(), (light * y).sum()]) / light.sum()
                heatmaps[n, k] = EDGES.encode(at[None], crop.shape[:2], heatmaps.shape[2:])[0]
    return heatmaps


def image_with(joints, size_wh=(640, 480), radius=6):
    y, x = np.mgrid[: size_wh[1], : size_wh[0]]
    image = np.full((size_wh[1], size_wh[0], 3), 40, dtype=np.uint8)
    for k, (jx, jy) in enumerate(joints):
        image[(x - jx) ** 2 + (y - jy) ** 2 <= radius**2] = np.eye(3, dtype=np.uint8)[k % 3] * 255
    return image


class Counting:
    """The network, and the sizes of the batches that it was given."""

    def __init__(self):
        self.batches = []

    def __call__(self, crops):
        self.batches.append(len(crops))
        return find_dots(crops)


@pytest.fixture
def network():
    return Network("dots", Counting(), CONFIG)


# A quarter of a heatmap cell in the crop of this box, in image pixels.
def cell(size, padding=1.25):
    return padding * size / (128 / 4)


def test_joints_come_back_in_image_pixels(network):
    pose = PoseEstimator(network)(image_with(JOINTS), boxes=[[190, 120, 270, 280]])
    assert len(pose.people) == 1
    assert pose.people[0].keypoints == pytest.approx(JOINTS, abs=0.3 * cell(160))
    assert pose.size_wh == (640, 480)
    assert pose.file is None


def test_a_graph_that_decodes_is_not_asked_for_heatmaps_unless_they_are_to_be_averaged(network):
    def keypoint_fn(crops):
        return CONFIG.codec.decode(find_dots(crops), crops.shape[1:3])

    deaf = dataclasses.replace(network, keypoint_fn=keypoint_fn)
    boxes = [[190, 120, 270, 280]]
    first, second = (PoseEstimator(of)(image_with(JOINTS), boxes).people[0] for of in (network, deaf))
    assert network.heatmap_fn.batches == [1]
    assert (second.keypoints == first.keypoints).all()
    assert (second.keypoint_scores == first.keypoint_scores).all()
    PoseEstimator(deaf, flip_test=True)(image_with(JOINTS), boxes)
    assert network.heatmap_fn.batches == [1, 1, 1]


def test_without_a_box_a_second_look_zooms_in(network):
    pose = PoseEstimator(network, "whole")(image_with(JOINTS))
    person = pose.people[0]
    assert network.heatmap_fn.batches == [1, 1]
    assert person.box == pytest.approx([170, 140, 290, 260], abs=5)  # a square round the joints
    assert person.keypoints == pytest.approx(JOINTS, abs=0.3 * cell(120 * 4 / 3))
    assert abs(person.keypoints - JOINTS).max() < cell(640 * 4 / 3, 1.0) / 4  # what the first look could see


def test_a_search_finds_two_subjects_in_one_image_and_none_in_an_empty_one(network):
    image = image_with(np.concatenate([JOINTS * 0.5, JOINTS * 0.5 + (350, 250)]), radius=4)
    estimator = PoseEstimator(network, "search", box_sizes=[0.15])
    found = estimator(image)
    assert len(found) == 2
    for person, shift in zip(sorted(found.people, key=lambda each: each.box[0]), ((0, 0), (350, 250)), strict=True):
        assert person.keypoints == pytest.approx(JOINTS * 0.5 + shift, abs=0.3 * cell(90 * 4 / 3))
    assert len(estimator(np.zeros((480, 640, 3), dtype=np.uint8))) == 0
    assert len(PoseEstimator(network, box_sizes=[0.15], max_people=1)(image)) == 1


@pytest.mark.parametrize("sizes", [[0.0], [0.5, 9.0]])
def test_sizes_of_boxes_that_cannot_be_are_refused(network, sizes):
    with pytest.raises(InputError, match="box_sizes"):
        PoseEstimator(network, "search", box_sizes=sizes)(image_with(JOINTS))


def test_twenty_people_are_two_calls(network):
    boxes = np.tile([190.0, 120, 270, 280], (20, 1))
    assert len(PoseEstimator(network)(image_with(JOINTS), boxes)) == 20
    assert network.heatmap_fn.batches == [16, 4]


def test_a_single_keypoint_is_enough_where_the_network_knows_no_more():
    def center(crops):
        return np.tile(EDGES.encode([[50.0, 60]], (128, 96), (32, 24)), (len(crops), 1, 1, 1))

    one = Network("one", center, ModelConfig("t", Skeleton("one", ("nose",), (0,)), (128, 96), 1.25))
    poses = PoseEstimator(one, "whole")(np.zeros((480, 640, 3), dtype=np.uint8))
    assert (poses.boxes[:, 2:] - poses.boxes[:, :2]).tolist() == [[160, 160]]
    known = dataclasses.replace(one.config, box_sizes=BoxSizes(0.1, 0.05, 0.2))  # as large as the boxes of training
    poses = PoseEstimator(dataclasses.replace(one, config=known), "whole")(np.zeros((480, 640, 3), dtype=np.uint8))
    assert (poses.boxes[:, 2:] - poses.boxes[:, :2]).tolist() == [[64, 64]]


def test_a_sure_person_whom_the_detector_missed_is_found_in_the_whole_image():
    blank = np.zeros((300, 200, 3), dtype=np.uint8)
    found = []
    for detector in ("auto", "person"):
        estimator = PoseEstimator.from_pretrained(detector=detector)
        estimator._detector = lambda frames: [Detections.empty()] * len(frames)
        found.append([len(poses) for poses in estimator([blank, PHOTOS / "skier.jpg"])])
        assert len(estimator(PHOTOS / "skier.jpg", boxes=np.zeros((0, 4)))) == 0
    assert found == [[0, 1], [0, 0]]


def test_an_image_without_people_has_no_poses(network):
    pose = PoseEstimator(network, "whole")(np.zeros((50, 70, 3), dtype=np.uint8))
    assert pose.people == []


def test_two_of_three_keypoints_are_rejected_without_a_box(network):
    assert PoseEstimator(network, "whole")(image_with(JOINTS[:2])).people == []


def test_candidates_of_low_scores_are_rejected_without_a_box(network):
    """Peaks of 0.28 are keypoints in a given box, but a network scores as much in images without people."""
    faint = dataclasses.replace(network, heatmap_fn=lambda crops: 0.28 * find_dots(crops))
    image = image_with(JOINTS)
    assert PoseEstimator(faint, "whole")(image).people == []
    assert len(PoseEstimator(faint, "whole", min_score=0.15)(image).people) == 1
    assert len(PoseEstimator(network, "whole", min_score=0.7)(image).people) == 1
    assert np.isfinite(PoseEstimator(faint)(image, [[150, 120, 310, 280]]).people[0].keypoints).all()


def test_the_better_of_two_passes_counts(network):
    """The second pass is spoilt: all three joints score low, far from the truth."""

    def second_look_is_worse(crops):
        heatmaps = find_dots(crops)
        return heatmaps if len(network.heatmap_fn.batches) == 1 else np.roll(0.6 * heatmaps, 5, axis=3)

    def heatmap_fn(crops):
        network.heatmap_fn.batches.append(len(crops))
        return second_look_is_worse(crops)

    person = PoseEstimator(dataclasses.replace(network, heatmap_fn=heatmap_fn), "whole")(image_with(JOINTS)).people[0]
    assert len(network.heatmap_fn.batches) == 2
    assert person.keypoints == pytest.approx(JOINTS, abs=0.3 * cell(640 * 4 / 3, 1.0))


def test_nothing_is_found_outside_the_image(network):
    def beyond(crops):
        heatmaps = np.zeros((len(crops), 3, 32, 24), dtype=np.float32)
        heatmaps[:, :, 1, 1] = 0.9
        return heatmaps

    estimator = PoseEstimator(dataclasses.replace(network, heatmap_fn=beyond))
    person = estimator(np.zeros((100, 100, 3), dtype=np.uint8), boxes=[[0, 0, 60, 60]]).people[0]
    assert np.isnan(person.keypoints).all()
    assert (person.all_keypoints < 0).any()
    assert person.score == 0


@pytest.mark.parametrize("flip_test", [False, True])
def test_an_absent_joint_is_nan_and_has_its_score(network, flip_test):
    estimator = PoseEstimator(network, flip_test=flip_test)
    person = estimator(image_with(JOINTS[:2]), boxes=[190, 120, 270, 280]).people[0]
    assert np.isnan(person.keypoints[2]).all()
    assert np.isfinite(person.all_keypoints).all()
    assert person.keypoint_scores[2] == 0
    assert person.score == pytest.approx(person.keypoint_scores[:2].mean())


def test_people_keep_the_order_of_given_boxes(network):
    shifts = np.array([[0, 0], [200, 60], [-150, 120]])
    image = image_with(np.concatenate([JOINTS + shift for shift in shifts]))
    boxes = [np.tile(shift, 2) + [190, 120, 270, 280] for shift in shifts]
    people = PoseEstimator(network)(image, boxes).people
    for person, shift in zip(people, shifts, strict=True):
        assert person.keypoints == pytest.approx(JOINTS + shift, abs=0.3 * cell(160))


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_lists_of_images_answer_in_order_whatever_the_batch(network, batch_size):
    images = [image_with(JOINTS + (0, 10 * n), (300, 400 + n)) for n in range(5)]
    boxes = [None, [[190, 120, 270, 280]], [], None, [[190, 150, 270, 310], [0, 0, 20, 20]]]
    poses = PoseEstimator(network, "whole", batch_size=batch_size)(images, boxes)
    assert [len(pose.people) for pose in poses] == [1, 1, 0, 1, 2]
    assert [pose.size_wh for pose in poses] == [(300, 400 + n) for n in range(5)]
    for n in (0, 1, 3, 4):
        assert poses[n].people[0].keypoints == pytest.approx(JOINTS + (0, 10 * n), abs=0.3 * cell(180))
    assert max(network.heatmap_fn.batches) <= batch_size


def test_the_flip_test_sees_the_mirrored_crop_and_agrees(network):
    box = [[190, 120, 270, 280]]
    plain = PoseEstimator(network)(image_with(JOINTS), box)
    flipped = PoseEstimator(network, flip_test=True)(image_with(JOINTS), box)
    assert network.heatmap_fn.batches == [1, 1, 1]
    assert flipped.people[0].keypoints == pytest.approx(plain.people[0].keypoints, abs=0.3 * cell(160))


def test_paths_and_arrays_give_the_same(network, tmp_path):
    image = image_with(JOINTS)
    Image.fromarray(image).save(tmp_path / "dots.png")
    from_array, from_path = PoseEstimator(network, "whole")([image, tmp_path / "dots.png"])
    assert (from_array.people[0].keypoints == from_path.people[0].keypoints).all()
    assert from_path.file == str(tmp_path / "dots.png")


@pytest.mark.parametrize("form", ["path", "bytes", "file", "pil", "bgr", "generator"])
def test_every_form_of_an_image_gives_the_same(network, tmp_path, form):
    image, path = image_with(JOINTS), tmp_path / "dots.png"
    Image.fromarray(image).save(path)
    estimator = PoseEstimator(network, "whole")
    forms = {
        "path": lambda: estimator(path),
        "bytes": lambda: estimator(path.read_bytes()),
        "file": lambda: estimator(BytesIO(path.read_bytes())),
        "pil": lambda: estimator(Image.open(path)),
        "bgr": lambda: estimator(image[..., ::-1], color="bgr"),
        "generator": lambda: next(estimator(each for each in [image])),
    }
    assert (forms[form]().keypoints == estimator(image).keypoints).all()


def test_people_that_are_found_are_sorted_by_score_and_those_in_given_boxes_are_not(network):
    image = image_with(np.concatenate([JOINTS, JOINTS + (200, 60)]))
    boxes = np.array([[190.0, 120, 270, 280], [390, 180, 470, 340]])

    def detector(frames):
        return [Detections(boxes, np.array([0.4, 0.9]))] * len(frames)

    found = PoseEstimator(network, detector)(image)
    assert found.boxes.tolist() == boxes[::-1].tolist()
    assert found.person_scores[0] > found.person_scores[1]
    given = Frame(image, detections=Detections(boxes, np.array([0.4, 0.9])))
    ((_, poses),) = PoseEstimator(network).stream([given])
    assert poses.boxes.tolist() == boxes.tolist()


def test_boxes_of_the_detector_move_half_way_to_the_keypoints():
    points = np.tile([[[60.0, 60]]], (1, MPII16.num_keypoints, 1))
    points[0, MPII16.keypoints.index("head_top")] = (49.5, 29.5)
    points[0, MPII16.keypoints.index("l_ankle")] = (79.5, 189.5)
    present, outline = np.ones(points.shape[:2], dtype=np.bool_), np.array([0.0, 0, 400, 300])

    def moved(box, present, skeleton=MPII16, points=points):
        return boxes_with_keypoints(np.array([box]), points, present, outline, skeleton)[0].tolist()

    # The keypoints' box is 50, 30, 80, 190 and its margins 7, 6, 7 and 18: of the detector's sides of 50 and 200.
    assert moved([45.0, 20, 95, 220], present) == pytest.approx([44, 22, 91, 214])
    assert moved([5.0, 0, 55, 200], present) == pytest.approx([5, 0, 71, 204]), "sides at the edge do not move inwards"
    beside = moved([390.0, 20, 394, 220], present, points=points * [0, 1] + [399, 0])
    assert beside[0] < beside[2], "keypoints beside a thin box at the edge do not turn it inside out"
    few = present & head_keypoints(MPII16)
    assert moved([45.0, 20, 95, 220], few) == [45, 20, 95, 220], "the head says nothing about the body"
    of_coco = np.tile([[[60.0, 60]]], (1, 17, 1))
    face_above = moved([45.0, 20, 95, 220], np.ones((1, 17), dtype=np.bool_), COCO17, of_coco)
    assert face_above[1] == pytest.approx((20 + 60.5 - 0.1 * 200) / 2), "no keypoint is at the top of the head"


def test_only_boxes_that_the_bundled_detector_found_are_moved(tmp_path):
    estimator = PoseEstimator.from_pretrained()
    (found,) = estimator.detector([Frame(np.asarray(Image.open(PHOTOS / "skier.jpg")))])
    best = int(found.scores.argmax())
    moved = estimator(PHOTOS / "skier.jpg").boxes[0]
    assert 1 < abs(moved - found.boxes[best]).max() < 60
    assert estimator(PHOTOS / "skier.jpg", found.boxes[best]).boxes[0].tolist() == found.boxes[best].tolist()
    shutil.copy(bundled_detector(), tmp_path / "mine.onnx")
    of_another = PoseEstimator.from_pretrained(detector=tmp_path / "mine.onnx")
    assert of_another(PHOTOS / "skier.jpg").boxes[0].tolist() == found.boxes[best].tolist()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("runtime", "tensorrt"),
        ("threads", 0),
        ("padding", 0),
        ("min_score", 2),
        ("max_people", 0),
        ("max_people", 2.5),
        ("tiles", "2"),
        ("detector", 3),
    ],
)
def test_options_that_cannot_be_honoured_are_errors(name, value):
    with pytest.raises(InputError, match=f"^`{name}={value}`: must "):
        PoseEstimator.from_pretrained(**{name: value})


def test_sizes_of_windows_are_for_the_search():
    with pytest.raises(InputError, match=r"^`box_sizes`: is for the windows of `detector=search`"):
        PoseEstimator.from_pretrained(box_sizes=[0.2])


def test_an_absent_device_is_an_error():
    with pytest.raises(DeviceError, match=r"^`device=cuda`: this ONNX Runtime has cpu"):
        PoseEstimator.from_pretrained(device="cuda")


def test_padding_decides_how_much_is_seen_round_the_box(network):
    # The blue dot lies outside the box and inside the padded one.
    box = [[200, 130, 260, 210]]
    tight = PoseEstimator(network, padding=1.0)(image_with(JOINTS), box).people[0]
    wide = PoseEstimator(network, padding=2.5)(image_with(JOINTS), box).people[0]
    assert np.isnan(tight.keypoints[2]).all()
    assert wide.keypoints[2] == pytest.approx(JOINTS[2], abs=0.3 * cell(80, 2.5))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((10, 10)),
        np.zeros((10, 10, 4), dtype=np.uint8),
        np.zeros((10, 10, 3)),
        np.zeros((0, 10, 3), dtype=np.uint8),
    ],
)
def test_other_arrays_are_refused(network, array):
    with pytest.raises(ValueError, match=r"an image is an array \(H, W, 3\) of uint8, got"):
        PoseEstimator(network)(array)


@pytest.mark.parametrize(
    "boxes", [[[0, 0, 10]], [0, 0, 10, 10] * 2, [[0, 0], [1]], [[10, 10, 0, 0]], [[0, 0, np.nan, 5]], "box"]
)
def test_malformed_boxes_are_refused(network, boxes):
    with pytest.raises(ValueError, match=r"boxes are|boxes must"):
        PoseEstimator(network)(image_with(JOINTS), boxes)


def test_boxes_without_area_or_outside_of_the_image_are_left_out_and_reported(network, caplog):
    box, flat, outside = [200, 130, 260, 210], [5, 5, 5, 9], [9000, 9000, 9010, 9010]
    poses = PoseEstimator(network)(image_with(JOINTS), [flat, box, outside])
    assert poses.boxes.tolist() == [box]
    assert [record.getMessage() for record in caplog.records] == [
        "left out 1 of 3 boxes, which have no width or height",
        "image: left out 1 boxes outside of it",
    ]
    assert len(PoseEstimator(network)(image_with(JOINTS), [flat])) == 0


def test_a_generator_that_fails_gives_the_images_before(network):
    def images():
        yield from [image_with(JOINTS)] * 3
        raise RuntimeError("cut off")

    found = PoseEstimator(network)(images())
    assert [len(next(found)) for _ in range(3)] == [1, 1, 1]
    with pytest.raises(RuntimeError, match="cut off"):
        next(found)


@pytest.mark.parametrize(
    ("source", "error", "reason"),
    [
        (b"", InputError, "is empty"),
        ("", InputError, "has an empty name"),
        (Image.new("RGB", (0, 0)), InputError, "has no pixels"),
        (StringIO("text"), TypeError, "binary mode"),
    ],
    ids=["bytes", "name", "image", "text"],
)
def test_images_without_content_are_refused(network, source, error, reason):
    with pytest.raises(error, match=reason):
        PoseEstimator(network)(source)


def test_every_image_of_a_generator_needs_its_boxes(network):
    found = PoseEstimator(network)((image_with(JOINTS) for _ in range(2)), [[[0, 0, 60, 60]]])
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is shorter"):
        list(found)


@pytest.mark.parametrize(("tiles", "detector"), [(0, "person"), (2, list)])
def test_tiles_that_would_be_ignored_are_refused(network, tiles, detector, refused):
    with refused(f"`tiles={tiles}`"):
        PoseEstimator(network, detector, tiles=tiles)


def test_every_image_of_a_list_needs_its_boxes(network):
    with pytest.raises(ValueError, match=r"2 images need boxes .* for each, got 1"):
        PoseEstimator(network)([image_with(JOINTS)] * 2, [None])


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (None, TypeError, "got NoneType"),
        ({"a.jpg"}, TypeError, "got set"),
        ("https://a.org/b.jpg", InputError, "https://a.org/b.jpg: is an address: download it first"),
    ],
)
def test_what_is_no_image_is_named(network, source, error, words):
    with pytest.raises(error, match=words):
        PoseEstimator(network)(source)


def test_a_missing_image_is_an_input_error(network):
    with pytest.raises(InputError, match=r"none\.jpg: no such file"):
        PoseEstimator(network)("none.jpg")


def test_the_box_score_weighs_the_persons_score(network):
    boxes = np.array([[190.0, 120, 270, 280]])
    frames = [Frame(image_with(JOINTS), detections=Detections(boxes, np.array([score]))) for score in (1.0, 0.4)]
    (first, certain), (second, uncertain) = PoseEstimator(network).stream(frames)
    assert [first, second] == frames
    assert uncertain[0].score == pytest.approx(0.4 * certain[0].score)


def test_every_input_size_of_the_facts_is_cut_so(network):
    wide = dataclasses.replace(network, config=dataclasses.replace(CONFIG, input_size=(64, 128)))
    person = PoseEstimator(wide)(image_with(JOINTS), boxes=[[150, 120, 310, 280]]).people[0]
    assert person.keypoints == pytest.approx(JOINTS, abs=0.3 * 1.25 * 160 / 16)

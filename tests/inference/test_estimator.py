import dataclasses

import numpy as np
import pytest
from PIL import Image

from hevitpose.core.errors import InputError
from hevitpose.core.heatmap import EDGES
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.skeleton import Skeleton
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import Network

SKELETON = Skeleton("dots", ("red", "green", "blue"), (0, 1, 2), symmetric=True)
FACTS = ModelConfig("t", SKELETON, (128, 96), 1.25)
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
    return Network("dots", Counting(), FACTS)


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
    def decoded(crops):
        return FACTS.codec.decode(find_dots(crops), crops.shape[1:3])

    deaf = dataclasses.replace(network, decoded=decoded)
    boxes = [[190, 120, 270, 280]]
    first, second = (PoseEstimator(of)(image_with(JOINTS), boxes).people[0] for of in (network, deaf))
    assert network.backend.batches == [1]
    assert (second.keypoints == first.keypoints).all()
    assert (second.scores == first.scores).all()
    PoseEstimator(deaf, flip_test=True)(image_with(JOINTS), boxes)
    assert network.backend.batches == [1, 1, 1]


def test_without_a_box_a_second_look_zooms_in(network):
    pose = PoseEstimator(network)(image_with(JOINTS))
    person = pose.people[0]
    assert network.backend.batches == [1, 1]
    assert person.box == pytest.approx([170, 140, 290, 260], abs=5)  # a square round the joints
    assert person.keypoints == pytest.approx(JOINTS, abs=0.3 * cell(120 * 4 / 3))
    assert abs(person.keypoints - JOINTS).max() < cell(640 * 4 / 3, 1.0) / 4  # what the first look could see


def test_a_single_keypoint_is_enough_where_the_network_knows_no_more():
    def center(crops):
        return np.tile(EDGES.encode([[50.0, 60]], (128, 96), (32, 24)), (len(crops), 1, 1, 1))

    one = Network("one", center, ModelConfig("t", Skeleton("one", ("nose",), (0,)), (128, 96), 1.25))
    assert len(PoseEstimator(one)(np.zeros((480, 640, 3), dtype=np.uint8)).people) == 1


def test_a_image_without_anybody_has_nobody(network):
    pose = PoseEstimator(network)(np.zeros((50, 70, 3), dtype=np.uint8))
    assert pose.people == []


def test_two_of_three_keypoints_are_nobody_without_a_box(network):
    assert PoseEstimator(network)(image_with(JOINTS[:2])).people == []


def test_keypoints_that_are_hardly_sure_are_nobody_without_a_box(network):
    """Peaks of 0.28 are sure keypoints, as a box shows, but what a network sees in nothing scores no less."""
    faint = dataclasses.replace(network, backend=lambda crops: 0.28 * find_dots(crops))
    image = image_with(JOINTS)
    assert PoseEstimator(faint)(image).people == []
    assert len(PoseEstimator(faint, min_score=0.15)(image).people) == 1
    assert len(PoseEstimator(network, min_score=0.7)(image).people) == 1
    assert np.isfinite(PoseEstimator(faint)(image, [[150, 120, 310, 280]]).people[0].keypoints).all()


def test_of_two_looks_the_clearly_surer_one_counts(network):
    """The second look is spoilt: all three joints of low score, far from the truth."""

    def second_look_is_worse(crops):
        heatmaps = find_dots(crops)
        return heatmaps if len(network.backend.batches) == 1 else np.roll(0.6 * heatmaps, 5, axis=3)

    def backend(crops):
        network.backend.batches.append(len(crops))
        return second_look_is_worse(crops)

    person = PoseEstimator(dataclasses.replace(network, backend=backend))(image_with(JOINTS)).people[0]
    assert len(network.backend.batches) == 2
    assert person.keypoints == pytest.approx(JOINTS, abs=0.3 * cell(640 * 4 / 3, 1.0))


def test_nothing_is_found_outside_the_image(network):
    def beyond(crops):
        heatmaps = np.zeros((len(crops), 3, 32, 24), dtype=np.float32)
        heatmaps[:, :, 1, 1] = 0.9
        return heatmaps

    estimator = PoseEstimator(dataclasses.replace(network, backend=beyond))
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
    assert person.scores[2] == 0
    assert person.score == pytest.approx(person.scores[:2].mean())


def test_people_keep_the_order_of_their_boxes(network):
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
    poses = PoseEstimator(network, batch_size=batch_size)(images, boxes)
    assert [len(pose.people) for pose in poses] == [1, 1, 0, 1, 2]
    assert [pose.size_wh for pose in poses] == [(300, 400 + n) for n in range(5)]
    for n in (0, 1, 3, 4):
        assert poses[n].people[0].keypoints == pytest.approx(JOINTS + (0, 10 * n), abs=0.3 * cell(180))
    assert max(network.backend.batches) <= batch_size


def test_the_flip_test_sees_the_mirrored_crop_and_agrees(network):
    box = [[190, 120, 270, 280]]
    plain = PoseEstimator(network)(image_with(JOINTS), box)
    flipped = PoseEstimator(network, flip_test=True)(image_with(JOINTS), box)
    assert network.backend.batches == [1, 1, 1]
    assert flipped.people[0].keypoints == pytest.approx(plain.people[0].keypoints, abs=0.3 * cell(160))


def test_paths_and_arrays_give_the_same(network, tmp_path):
    image = image_with(JOINTS)
    Image.fromarray(image).save(tmp_path / "dots.png")
    from_array, from_path = PoseEstimator(network)([image, tmp_path / "dots.png"])
    assert (from_array.people[0].keypoints == from_path.people[0].keypoints).all()
    assert from_path.file == str(tmp_path / "dots.png")


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
def test_an_array_that_is_no_image_is_refused_in_words(network, array):
    with pytest.raises(ValueError, match=r"an image is RGB uint8 \(H, W, 3\), got"):
        PoseEstimator(network)(array)


@pytest.mark.parametrize("boxes", [[[0, 0, 10]], [[10, 10, 0, 0]], [[0, 0, np.nan, 5]], [[0, 0, 0, 5]], "box"])
def test_boxes_that_are_none_are_refused_in_words(network, boxes):
    with pytest.raises(ValueError, match=r"boxes are|could not convert"):
        PoseEstimator(network)(image_with(JOINTS), boxes)


def test_a_missing_image_is_an_input_error(network):
    with pytest.raises(InputError, match=r"none\.jpg: no such file"):
        PoseEstimator(network)("none.jpg")


def test_the_box_score_weighs_the_persons_score(network):
    from hevitpose.core.results import Detections
    from hevitpose.inference.estimator import Frame

    boxes = np.array([[190.0, 120, 270, 280]])
    sure, unsure = (
        next(PoseEstimator(network).stream([Frame(image_with(JOINTS), Detections(boxes, np.array([s])))]))
        for s in (1.0, 0.4)
    )
    assert unsure.people[0].score == pytest.approx(0.4 * sure.people[0].score)


def test_every_input_size_of_the_facts_is_cut_so(network):
    wide = dataclasses.replace(network, config=dataclasses.replace(FACTS, input_size=(64, 128)))
    person = PoseEstimator(wide)(image_with(JOINTS), boxes=[[150, 120, 310, 280]]).people[0]
    assert person.keypoints == pytest.approx(JOINTS, abs=0.3 * 1.25 * 160 / 16)

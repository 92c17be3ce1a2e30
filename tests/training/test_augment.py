import dataclasses

import numpy as np
import pytest
import torch

from hevitpose.core import geometry
from hevitpose.core.skeleton import MPII16, Skeleton
from hevitpose.models.input import normalize
from hevitpose.training.augment import (
    Augmentation,
    color_jitter,
    cutout,
    geometric_augmentation,
    photometric_augmentation,
    warp,
)
from hevitpose.training.batches import CachedCrops, make_batch
from hevitpose.training.recipes import Recipe

NOTHING = Augmentation(flip=0, scale=0, rotation=0)
EVERYTHING = Augmentation(half_body=0.3, shift=0.16, shift_probability=0.3)
EVERYONE = np.arange(40)


def views_of(people, augmentation, indices=EVERYONE, seed=0, epoch=0):
    return geometric_augmentation(people, indices, (256, 192), 1.25, augmentation, seed, epoch)


def test_a_view_depends_on_seed_epoch_and_person_alone(mpii_people):
    everyone = views_of(mpii_people, EVERYTHING)
    some = views_of(mpii_people, EVERYTHING, np.array([7, 3]))
    assert (some.matrices == everyone.matrices[[7, 3]]).all()
    assert (some.joints == everyone.joints[[7, 3]]).all()
    for other in ({"seed": 1}, {"epoch": 1}):
        different = views_of(mpii_people, EVERYTHING, **other).matrices != everyone.matrices
        assert different.any(axis=(1, 2)).all()


def test_without_augmentation_a_view_is_the_crop_of_prediction(mpii_people):
    boxes = geometry.crop_box(mpii_people.boxes, 1.25, 192 / 256)
    assert views_of(mpii_people, NOTHING).matrices == pytest.approx(geometry.crop_matrix(boxes, (256, 192)))


@pytest.mark.parametrize("augmentation", [Augmentation(), EVERYTHING])
def test_one_matrix_moves_image_and_joints(mpii_people, augmentation):
    views = views_of(mpii_people, augmentation)
    joints = geometry.transform(views.matrices, mpii_people.keypoints)
    mirrored = np.linalg.det(views.matrices[:, :, :2]) < 0
    assert 5 < mirrored.sum() < 35
    partners = list(MPII16.mirror)
    for person in EVERYONE:
        order = partners if mirrored[person] else slice(None)
        assert views.joints[person] == pytest.approx(joints[person, order], abs=1e-3)
        assert (views.labelled[person] == mpii_people.labelled[person, order]).all()


@pytest.mark.parametrize(("symmetric", "mirrored"), [(False, 0), (True, 40)])
def test_without_pairs_nobody_is_mirrored_unless_said(mpii_people, symmetric, mirrored):
    letters = Skeleton("letters", tuple("abcdefghijklmnop"), tuple(range(16)), symmetric=symmetric)
    views = views_of(dataclasses.replace(mpii_people, skeleton=letters), Augmentation(flip=1))
    assert (np.linalg.det(views.matrices[:, :, :2]) < 0).sum() == mirrored


def test_the_draws_follow_the_papers_distributions(mpii_people):
    matrices = np.concatenate([views_of(mpii_people, Augmentation(), epoch=e).matrices for e in range(100)])
    plain = views_of(mpii_people, NOTHING).matrices[:, :, :2]
    sign = np.sign(np.linalg.det(matrices[:, :, :2]))
    assert (sign < 0).mean() == pytest.approx(0.5, abs=0.03)
    growth = np.tile(np.sqrt(np.linalg.det(plain)), 100) / np.sqrt(abs(np.linalg.det(matrices[:, :, :2])))
    assert (growth.min(), growth.max()) == pytest.approx((0.5, 1.5))
    assert (growth < 0.5 + 1e-9).mean() == pytest.approx(0.159, abs=0.02)  # N < -1
    angle = np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 1, 1]))
    assert (abs(angle) > 1e-9).mean() == pytest.approx(0.6, abs=0.03)
    assert abs(angle).max() == pytest.approx(80)
    assert angle[abs(angle) > 1e-9].std() == pytest.approx(38.4, abs=2)  # of a normal one cut at two deviations


def test_half_bodies_are_the_upper_or_the_lower_joints(mpii_people):
    upper = list(MPII16.upper_body)
    lower = [k for k in range(16) if k not in upper]
    joints = np.random.default_rng(0).uniform((0, 0), (60, 40), (40, 16, 2))
    joints[:, lower] += (0, 100)
    everything = np.full((40, 16), 2, dtype=np.int8)
    boxes = np.tile([0.0, 0, 60, 140], (40, 1))
    people = dataclasses.replace(mpii_people, boxes=boxes, keypoints=joints, visibility=everything)
    views = views_of(people, dataclasses.replace(NOTHING, half_body=1.0))
    assert {MPII16.keypoints[k] for k in lower} == {
        *("r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "pelvis")
    }
    inside = ((views.joints > -0.5) & (views.joints < [191.5, 255.5])).all(axis=2)
    # Boxes lie round the mean of the joints, not the middle: a joint far from the others may be cut off.
    of_upper, of_lower = (inside[:, which].mean(axis=1) > 0.7 for which in (upper, lower))
    assert (of_upper | of_lower).all()
    assert 5 < (of_upper & ~of_lower).sum()
    assert 5 < (of_lower & ~of_upper).sum()


def test_half_bodies_are_as_large_and_as_often_upper_as_mmposes(mpii_people):
    upper, lower = (100.0, 100.0), (100.0, 300.0)
    joints = np.where(np.isin(np.arange(16), MPII16.upper_body)[:, None], upper, lower)[None].repeat(40, axis=0)
    joints[:, ::2] += (60, 40)
    seen = np.full((40, 16), 2, dtype=np.int8)
    people = dataclasses.replace(mpii_people, keypoints=joints, visibility=seen)
    half = dataclasses.replace(NOTHING, half_body=1.0)
    matrices = np.concatenate([views_of(people, half, epoch=epoch).matrices for epoch in range(50)])
    assert 192 / matrices[:, 0, 0] == pytest.approx(1.5 * 60)  # of a crop of 192 x 256
    centers = geometry.transform(geometry.inverse(matrices), np.array([[95.5, 127.5]]))[:, 0]
    means = np.array(
        [joints[0, list(MPII16.upper_body)].mean(axis=0), np.delete(joints[0], MPII16.upper_body, 0).mean(axis=0)]
    )
    is_upper = centers[:, 1] < 200
    assert centers == pytest.approx(np.where(is_upper[:, None], means[0], means[1]))
    assert is_upper.mean() == pytest.approx(0.691, abs=0.03)


def test_shifts_are_shares_of_the_padded_box(mpii_people):
    augmentation = dataclasses.replace(NOTHING, shift=0.16, shift_probability=1.0)
    plain = views_of(mpii_people, NOTHING).matrices
    moved = np.concatenate([views_of(mpii_people, augmentation, epoch=e).matrices - plain for e in range(100)])
    assert abs(moved[:, 0, 2]).max() == pytest.approx(0.16 * 192, rel=0.01)
    assert abs(moved[:, 1, 2]).max() == pytest.approx(0.16 * 256, rel=0.01)


def test_half_body_leaves_people_with_few_joints_whole(mpii_people):
    people = dataclasses.replace(mpii_people, visibility=np.eye(40, 16, dtype=np.int8) * 2)
    half = views_of(people, dataclasses.replace(NOTHING, half_body=1.0))
    assert (half.matrices == views_of(people, NOTHING).matrices).all()


def blob(size, at):
    y, x = np.mgrid[:size, :size]
    return (255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 4.0**2))).astype(np.uint8)


@pytest.mark.parametrize(("rotation", "mirrored", "scale"), [(0, False, 1), (33, False, 1.3), (-70, True, 0.8)])
def test_warp_moves_the_image_as_the_matrix_moves_points(rotation, mirrored, scale):
    at = np.array([57.3, 41.8])
    crop = np.repeat(blob(96, at)[..., None], 3, axis=2)
    box = geometry.box_from_center((50, 45), (64 / scale, 64 / scale))
    matrix = geometry.crop_matrix(box, (64, 64), rotation, mirrored)
    to_pixels = torch.from_numpy(geometry.inverse(matrix)).float()[None]
    warped = warp(torch.from_numpy(crop)[None], to_pixels, (64, 64))
    light = warped[0, 0].numpy().clip(1e-6)
    y, x = np.mgrid[:64, :64]
    centroid = [(light * x).sum() / light.sum(), (light * y).sum() / light.sum()]
    assert centroid == pytest.approx(geometry.transform(matrix, at[None])[0], abs=0.05)


def test_warp_is_black_outside_the_crop_and_exact_on_its_pixels():
    crop = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
    shifted = torch.tensor([[[1.0, 0, -8], [0, 1, 4]]])
    pixels = warp(crop, shifted, (32, 32))
    assert pixels[0, :, :28, 8:].permute(1, 2, 0).round().byte().equal(crop[0, 4:, :24])
    assert pixels[0, :, :, :8].abs().max() < 1e-6
    assert pixels[0, :, 28:].abs().max() < 1e-6


def test_looks_depend_on_seed_epoch_and_person_alone():
    everyone = photometric_augmentation(EVERYONE, Augmentation(color_jitter=0.3, cutout=0.5), seed=0, epoch=0)
    some = photometric_augmentation(np.array([7, 3]), Augmentation(color_jitter=0.3, cutout=0.5), seed=0, epoch=0)
    for name, values in some._asdict().items():
        assert (values == getattr(everyone, name)[[7, 3]]).all(), name
    for other in ({"seed": 1, "epoch": 0}, {"seed": 0, "epoch": 1}):
        different = photometric_augmentation(EVERYONE, Augmentation(color_jitter=0.3, cutout=0.5), **other)
        assert (different.color_factors != everyone.color_factors).all()


def test_looks_follow_their_distributions():
    looks = photometric_augmentation(np.arange(4000), Augmentation(color_jitter=0.3, cutout=0.25), seed=0, epoch=0)
    assert looks.color_factors[:, :2].min() == pytest.approx(0.7, abs=1e-3)
    assert looks.color_factors[:, :2].max() == pytest.approx(1.3, abs=1e-3)
    assert np.log2(looks.color_factors[:, 2]).min() == pytest.approx(-0.3, abs=1e-3)
    assert np.log2(looks.color_factors[:, 2]).max() == pytest.approx(0.3, abs=1e-3)
    sides = looks.cutouts[:, 2:] - looks.cutouts[:, :2]
    covered = sides.any(axis=1)
    assert covered.mean() == pytest.approx(0.25, abs=0.02)
    assert (sides[covered].min(), sides[covered].max()) == pytest.approx((0.1, 0.4), abs=1e-3)
    assert ((looks.cutouts >= 0) & (looks.cutouts <= 1)).all()
    assert (looks.cutout_colors.min(), looks.cutout_colors.max()) == pytest.approx((0, 255), abs=1)


def test_a_share_of_views_is_grey_and_the_others_look_as_before():
    colored = photometric_augmentation(np.arange(4000), Augmentation(color_jitter=0.3), seed=0, epoch=0)
    looks = photometric_augmentation(np.arange(4000), Augmentation(color_jitter=0.3, grey=0.2), seed=0, epoch=0)
    grey = looks.color_factors[:, 1] == 0
    assert grey.mean() == pytest.approx(0.2, abs=0.02)
    assert (looks.color_factors[~grey] == colored.color_factors[~grey]).all()
    assert (looks.color_factors[:, [0, 2]] == colored.color_factors[:, [0, 2]]).all()


def test_colors_change_as_they_say():
    pixels = torch.tensor([[0.0, 0, 0], [40, 80, 200], [255, 255, 255]]).T.reshape(1, 3, 1, 3).repeat(4, 1, 1, 1)
    color_factors = torch.tensor([[1.0, 1, 1], [0.5, 1, 1], [1, 0, 1], [1, 1, 2]])
    same, dark, grey, gamma = color_jitter(pixels, color_factors)[:, :, 0].mT
    assert same.numpy() == pytest.approx(pixels[0, :, 0].mT.numpy(), abs=1e-3)
    assert dark.numpy() == pytest.approx(same.numpy() / 2, abs=1e-3)
    luma = 0.299 * 40 + 0.587 * 80 + 0.114 * 200
    assert grey.numpy() == pytest.approx(np.repeat([[0], [luma], [255]], 3, axis=1), abs=1e-3)
    assert gamma.numpy() == pytest.approx(same.numpy() ** 2 / 255, abs=1e-3)


def test_a_cover_paints_its_rectangle_and_an_empty_one_nothing():
    pixels = torch.rand(2, 3, 10, 20)
    cutouts = torch.tensor([[0.25, 0.1, 0.5, 0.4], [0.3, 0.3, 0.3, 0.3]])
    cutout_colors = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    expected = pixels.clone()
    expected[0, :, 1:4, 5:10] = torch.tensor([1.0, 2, 3]).view(3, 1, 1)
    assert cutout(pixels, cutouts, cutout_colors).equal(expected)


def test_a_batch_is_recolored_and_covered(mpii_people):
    boxes = geometry.crop_box(mpii_people.boxes, 1.5 * 1.25, 1)
    grey = torch.full((40, 96, 96, 3), 128, dtype=torch.uint8)
    crops = CachedCrops(grey, geometry.crop_matrix(boxes, (96, 96)), (64, 64), torch.device("cpu"))

    def inputs(**changes):
        recipe = Recipe(augmentation=dataclasses.replace(NOTHING, **changes))
        return make_batch(mpii_people, crops, EVERYONE, recipe, 0).inputs

    plain, colored, covered = inputs(), inputs(color_jitter=0.3), inputs(cutout=1.0)
    assert torch.allclose(plain, normalize(torch.full((40, 3, 64, 64), 128.0)), atol=1e-4)
    looks = photometric_augmentation(EVERYONE, Augmentation(color_jitter=0.3), seed=0, epoch=0)
    light = 255 * (128 / 255 * looks.color_factors[:, 0]) ** looks.color_factors[:, 2]
    expected = normalize(torch.from_numpy(light).float().view(40, 1, 1, 1).expand(40, 3, 64, 64))
    assert torch.allclose(colored, expected, atol=1e-3)
    crops.pixels[..., 0] = 0
    luma = 128 * (0.587 + 0.114)  # of green and blue
    assert torch.allclose(inputs(grey=1.0), normalize(torch.full((40, 3, 64, 64), luma)), atol=1e-3)
    share = (covered != plain).any(dim=1).float().mean(dim=(1, 2))
    assert 0.005 < share.min() < 0.05 < share.max() < 0.17

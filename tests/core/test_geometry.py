from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hevitpose.core import geometry
from hevitpose.core.geometry import crop_box, crop_matrix, inverse, transform

PIXEL = 1e-3
finite = st.floats(-2000, 2000)
boxes = st.builds(lambda x, y, w, h: np.array([x, y, x + w, y + h]), finite, finite, *[st.floats(5, 3000)] * 2)
sizes = st.tuples(*[st.integers(1, 20).map(lambda n: 32 * n)] * 2)
points = st.lists(st.tuples(finite, finite), min_size=1, max_size=4).map(np.array)


@given(boxes, sizes, st.floats(-180, 180), st.booleans(), points)
def test_image_to_crop_and_back_is_the_identity(box, size_hw, rotation, mirrored, joints):
    matrix = crop_matrix(crop_box(box, 1.25, size_hw[1] / size_hw[0]), size_hw, rotation, mirrored)
    assert transform(inverse(matrix), transform(matrix, joints)) == pytest.approx(joints, abs=PIXEL)


@given(boxes, sizes, points, st.sampled_from(get_args(geometry.Alignment)))
def test_crop_to_heatmap_to_image_and_back_is_the_identity(box, size_hw, joints, alignment):
    matrix = crop_matrix(crop_box(box, 1.25, size_hw[1] / size_hw[0]), size_hw)
    sizes_hw = (size_hw, (size_hw[0] // 4, size_hw[1] // 4), alignment)
    cells = geometry.cells_from_pixels(transform(matrix, joints), *sizes_hw)
    back = transform(inverse(matrix), geometry.pixels_from_cells(cells, *sizes_hw))
    assert back == pytest.approx(joints, abs=PIXEL)


@given(boxes, sizes, st.booleans())
def test_the_edges_of_the_box_are_the_edges_of_the_crop(box, size_hw, mirrored):
    box = crop_box(box, 1.0, size_hw[1] / size_hw[0])
    corners = transform(crop_matrix(box, size_hw, 0.0, mirrored), box.reshape(2, 2) - 0.5)
    height, width = size_hw
    left, right = (width - 0.5, -0.5) if mirrored else (-0.5, width - 0.5)
    assert corners == pytest.approx(np.array([[left, -0.5], [right, height - 0.5]]), abs=PIXEL)


@given(boxes, sizes, st.floats(-180, 180), points)
def test_mirroring_the_crop_is_width_minus_one_minus_x(box, size_hw, rotation, joints):
    box = crop_box(box, 1.25, size_hw[1] / size_hw[0])
    plain, mirrored = (transform(crop_matrix(box, size_hw, rotation, m), joints) for m in (False, True))
    assert mirrored[:, 0] == pytest.approx(size_hw[1] - 1 - plain[:, 0], abs=PIXEL)
    assert mirrored[:, 1] == pytest.approx(plain[:, 1], abs=PIXEL)


@pytest.mark.parametrize(
    ("alignment", "cells"),
    [("edges", [-0.375, 31.375]), ("first pixels", [0, 31.75]), ("pixel centers", [0, 31])],
)
def test_what_coincides_of_crop_and_heatmap(alignment, cells):
    ends = geometry.cells_from_pixels([[0, 0], [127, 127]], (128, 128), (32, 32), alignment)
    assert ends[:, 0] == pytest.approx(cells)


def test_rotation_turns_the_content_clockwise_about_the_center():
    matrix = crop_matrix([0, 0, 100, 100], (100, 100), rotation_deg=90.0)
    # What was right of the centre is now below it (y points down).
    assert transform(matrix, [[59.5, 49.5]]) == pytest.approx(np.array([[49.5, 59.5]]))


def test_functions_take_many_boxes_at_once():
    boxes = np.array([[0, 0, 10, 20], [5, 5, 105, 55]])
    matrices = crop_matrix(crop_box(boxes, 1.25, 1.0), (64, 64), [0.0, 30.0], [False, True])
    each = [
        crop_matrix(crop_box(b, 1.25, 1.0), (64, 64), r, m)
        for b, r, m in zip(boxes, (0.0, 30.0), (False, True), strict=True)
    ]
    assert matrices == pytest.approx(np.stack(each))
    assert crop_matrix(np.zeros((0, 4)), (64, 64)).shape == (0, 2, 3)


@pytest.mark.parametrize(
    ("box", "padding", "aspect", "expected"),
    [
        ((0, 0, 10, 10), 1.0, 1.0, (0, 0, 10, 10)),
        ((0, 0, 10, 20), 1.0, 1.0, (-5, 0, 15, 20)),
        ((0, 0, 20, 10), 1.0, 0.5, (0, -15, 20, 25)),
        ((0, 0, 10, 10), 1.25, 1.0, (-1.25, -1.25, 11.25, 11.25)),
    ],
)
def test_a_crop_box_grows_to_the_aspect_and_by_the_padding(box, padding, aspect, expected):
    assert crop_box(box, padding, aspect) == pytest.approx(np.array(expected, dtype=float))


@given(boxes, points, st.floats(-90, 90))
def test_compose_applies_the_inner_matrix_first(box, joints, rotation):
    inner, outer = crop_matrix(box, (64, 64)), crop_matrix([0, 0, 64, 64], (32, 32), rotation)
    both = transform(geometry.compose(outer, inner), joints)
    assert both == pytest.approx(transform(outer, transform(inner, joints)), abs=PIXEL)


def test_coco_boxes_are_measured_from_the_corner_of_the_image():
    whole = geometry.xyxy_from_xywh([0, 0, 640, 480])
    assert whole == pytest.approx(geometry.image_box((480, 640)))
    assert geometry.xywh_from_xyxy(whole) == pytest.approx(np.array([0, 0, 640, 480]))


def test_keypoints_lie_half_a_pixel_from_where_boxes_count():
    extent = geometry.keypoint_extent([[0, 0], [9, 4]])
    assert extent.tolist() == [0.5, 0.5, 9.5, 4.5]
    assert geometry.in_box([[[0, 0], [9, 4], [9.6, 4], [-0.6, 0]]], [[0, 0, 10, 5]]).tolist() == [
        [True, True, False, False]
    ]

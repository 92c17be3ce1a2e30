import re
from typing import get_args

import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.facts import NetworkName
from hevitpose.core.skeleton import COCO17, MPII16
from hevitpose.training.dry_run import dry_run, made_up
from hevitpose.training.hardware import Hardware
from hevitpose.training.recipes import Recipe, named, skeleton_of

HARDWARE = Hardware(device="cpu", precision="fp32")
ROWS = [*get_args(NetworkName), "b-g222", "efficientvit_m4-peow7"]


@pytest.mark.parametrize("network", ROWS)
@pytest.mark.parametrize(("data", "measured"), [("mpii", "16 keypoints .*, PCKh@0.5"), ("coco", "17 keypoints .*, AP")])
def test_every_row_of_the_paper_trains_and_is_evaluated(data, measured, network):
    name = f"{data}/{network}"
    line = dry_run(named(name), skeleton_of(name), HARDWARE)
    found = re.search(rf"2 steps of 2 people at 64 x 64, mean loss (\S+); .* 4 people with {measured} \d", line)
    assert found, line
    assert 0 < float(found[1]) < 10


def test_made_up_people_are_the_same_every_time(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = (made_up(tmp_path / name, MPII16, 3).read() for name in ("a", "b"))
    assert (first.keypoints == second.keypoints).all()
    assert (tmp_path / "a" / "2.png").read_bytes() == (tmp_path / "b" / "2.png").read_bytes()
    assert (len(first), first.skeleton, (first.head_sizes > 0).all()) == (3, MPII16, True)


def test_weights_of_another_network_are_refused():
    with pytest.raises(InputError, match=r"is of HEViTPose-T: use --model t"):
        dry_run(Recipe(model="s", weights="hevitpose_t_people16"), COCO17, HARDWARE)

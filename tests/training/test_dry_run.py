import re
from typing import get_args

import pytest

from hevitpose.core.architecture import ALIASES, NetworkName
from hevitpose.core.errors import InputError
from hevitpose.core.skeleton import COCO17, MPII16
from hevitpose.training.dry_run import dry_run, made_up
from hevitpose.training.fabric import Hardware
from hevitpose.training.recipes import Recipe, recipe_by_name, skeleton_of

HARDWARE = Hardware(device="cpu", precision="fp32")
MEASURED = {"mpii": "16 keypoints .*, PCKh@0.5", "coco": "17 keypoints .*, AP"}
TABLE_3 = ("resnet50", "vitpose_b", "swin_s", "pvtv2_b2", "b")
NAMES = [f"{data}/{network}" for data in MEASURED for network in (*get_args(NetworkName), *ALIASES)]
IN_PRINT = [
    *(f"coco/{network}" for network in TABLE_3),
    *(f"mpii/{network}" for network in get_args(NetworkName) if network != "vitpose_b"),
    *(f"mpii/{network}" for network in ("b-g222", "b-r421-h124", "efficientvit_m4-peow7")),
]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in IN_PRINT else pytest.mark.slow) for name in NAMES]
)
def test_every_row_of_the_paper_trains_and_is_evaluated(name):
    line = dry_run(recipe_by_name(name), skeleton_of(name), HARDWARE)
    measured = MEASURED[name.partition("/")[0]]
    found = re.search(rf"2 steps of 2 people at 64 x 64, mean loss (\S+); .* 4 people with {measured} \d", line)
    assert found, line
    assert 0 < float(found[1]) < 10


def test_made_up_people_are_the_same_every_time(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = (made_up(tmp_path / name, MPII16, 3).people for name in ("a", "b"))
    assert (first.keypoints == second.keypoints).all()
    assert (tmp_path / "a" / "2.png").read_bytes() == (tmp_path / "b" / "2.png").read_bytes()
    assert (len(first), first.skeleton, (first.head_sizes > 0).all()) == (3, MPII16, True)


def test_weights_of_another_network_are_refused():
    with pytest.raises(InputError, match=r"holds HEViTPose-T: use `model=t`"):
        dry_run(Recipe(model="s", weights="hevitpose_t_people16"), COCO17, HARDWARE)

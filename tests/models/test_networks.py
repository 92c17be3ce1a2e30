from typing import get_args

from hevitpose.core.facts import NetworkName
from hevitpose.models.networks import NETWORKS


def test_every_name_is_a_network():
    assert list(NETWORKS) == list(get_args(NetworkName))

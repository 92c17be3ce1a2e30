"""The metrics that a data set can be measured by."""

from typing import Literal

Metric = Literal["pckh", "pck", "pck_box", "oks"]

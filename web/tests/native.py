"""ONNX Runtime's native side of speed.mjs: for every line on standard input, milliseconds of detector and of a crop."""

import json
import sys
from pathlib import Path
from time import perf_counter

from hevitpose import PoseEstimator
from hevitpose.inference.inputs import Frame
from hevitpose.io import images

image = images.read(Path(sys.argv[1]))
estimator = PoseEstimator.from_pretrained(threads=1)
boxes = estimator(image).boxes[:1]
for _ in sys.stdin:
    start = perf_counter()
    estimator.detector([Frame(image)])
    detected = perf_counter()
    estimator.keypoints.in_boxes([image], boxes)
    sys.stdout.write(json.dumps([1000 * (detected - start), 1000 * (perf_counter() - detected)]) + "\n")
    sys.stdout.flush()

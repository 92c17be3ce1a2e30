"""Python's side of speed.mjs: for every image named on standard input, seconds of its processor and people's crops."""

import json
import sys
from pathlib import Path
from time import process_time

import numpy as np
from PIL import Image as PILImage

from hevitpose import PoseEstimator
from hevitpose.inference.inputs import Frame

folder = Path(sys.argv[1])
examples = Path(__file__).parents[2] / "examples"
person = PILImage.open(examples / "skier.jpg").crop((220, 20, 540, 400))
PILImage.fromarray(np.tile(np.asarray(person), (2, 3, 1))).save(folder / "six.png")
PILImage.new("RGB", (960, 760)).save(folder / "none.png")
estimator = PoseEstimator.from_pretrained(threads=1)
images = {name: np.asarray(PILImage.open(folder / name)) for name in ("six.png", "none.png")}
sys.stdout.write("ready\n")
sys.stdout.flush()
for line in sys.stdin:
    image = images[line.strip()]
    crops = len(estimator.detector([Frame(image)])[0])
    start = process_time()
    estimator(image)
    sys.stdout.write(json.dumps([process_time() - start, crops]) + "\n")
    sys.stdout.flush()

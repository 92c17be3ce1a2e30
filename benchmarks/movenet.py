"""MoveNet's score on labelled people, in the boxes of their labels, to stand beside ours.

    python benchmarks/peers.py --output peers --tfjs movenet-lightning.json movenet-thunder.json
    python benchmarks/movenet.py peers/movenet-thunder.pb --data mpii_val --root data/people16 --output found.json
    hevitpose evaluate --data mpii_val --root data/people16 --predictions found.json

Writes COCO results, which `hevitpose evaluate --predictions` scores as it scores ours. Keypoints that MoveNet does not
know stay at zero, with a score of zero. The crop is that of our networks: the box grown by 1.25, square.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.geometry import BOX_PADDING, Floats
from hevitpose.core.keypoint_names import normalize_name
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.skeleton import COCO17
from hevitpose.data.crops import cut_people
from hevitpose.data.find import find_split
from hevitpose.data.predictions import write_predictions
from hevitpose.evaluation.predict import predictions_in_labels

AT_A_TIME = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("graph", type=Path, help="that benchmarks/peers.py has written (.pb)")
    parser.add_argument("--data", required=True, help="set of labelled people, as hevitpose evaluate takes it")
    parser.add_argument("--root", type=Path, help="folder of the data's files")
    parser.add_argument("--output", type=Path, required=True, help="the file of COCO results")
    options = parser.parse_args()
    people = find_split(options.data, options.root).read()
    network, side = load(options.graph)
    places = [normalize_name(name) for name in COCO17.keypoints]
    theirs = [places.index(name) if name in places else None for name in map(normalize_name, people.skeleton.keypoints)]
    joints = np.zeros((len(people), len(theirs), 3))
    for start in range(0, len(people), AT_A_TIME):
        some = np.arange(start, min(start + AT_A_TIME, len(people)))
        found = find(network, side, people.subset(some))
        for ours, place in enumerate(theirs):
            if place is not None:
                joints[some, ours] = found[:, place]
        print(f"{some[-1] + 1} of {len(people)}", flush=True)
    write_predictions(options.output, people, predictions_in_labels(people, joints[..., :2], joints[..., 2]))


def load(graph: Path) -> tuple[Callable[[NDArray[np.uint8]], Floats], int]:
    """From one crop (side, side, 3) to keypoints (17, 3): y and x in shares of the crop, score; and the side."""
    compiled = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()

    def run(crop: NDArray[np.uint8]) -> Floats:
        output: Floats = request.infer({0: crop[None].astype(np.int32)})[compiled.outputs[0]].reshape(-1, 3)
        return output

    return run, compiled.inputs[0].shape[1]


def find(network: Callable[[NDArray[np.uint8]], Floats], side: int, people: LabelledPeople) -> Floats:
    """COCO's keypoints (N, 17, 3) of each person: x, y in image pixels, score."""
    crops = cut_people(people, (side, side), BOX_PADDING)
    found = np.stack([network(crop) for crop in crops.pixels])
    in_crop = found[..., 1::-1] * side - 0.5
    joints = geometry.transform(geometry.inverse(crops.matrices), in_crop)
    return np.concatenate([joints, found[..., 2:]], axis=-1)


if __name__ == "__main__":
    main()

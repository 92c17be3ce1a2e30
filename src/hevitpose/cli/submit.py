"""`hevitpose submit`."""

from pathlib import Path
from typing import Annotated

import typer

from hevitpose.cli.common import model_files, refuse_inputs
from hevitpose.cli.progress import show_progress
from hevitpose.cli.runtime_options import Device, RuntimeOption
from hevitpose.core.errors import InputError
from hevitpose.data.detections import read_detections
from hevitpose.evaluation import submission
from hevitpose.evaluation.predict import predict_in_detections, predict_piecewise
from hevitpose.evaluation.score import apply_oks_nms
from hevitpose.inference.backends import RuntimeOptions
from hevitpose.inference.network import DEFAULT, keypoints_of, load_network
from hevitpose.io import atomic

EXAMPLES = """
Examples:\n
  hevitpose submit --data image_info_test-dev2017.json --root test2017 --boxes detections.json\n
  .   --model coco_b.safetensors --output person_keypoints_test-dev2017_hevitpose_results.zip\n
  hevitpose submit --data mpii_human_pose_v1_u12_1.mat --root images --output pred_keypoints_mpii.mat
"""


def submit(
    data: Annotated[Path, typer.Option(help="Test set: COCO's list of images (.json) or MPII's annotations (.mat).")],
    output: Annotated[Path, typer.Option(help="File to write: .zip for COCO, .mat for MPII.")],
    root: Annotated[Path | None, typer.Option(help="Folder of the images (default: that of --data).")] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="Predict in the boxes of this file (COCO only; MPII has its own).")
    ] = None,
    model: Annotated[str, typer.Option(help="Predict with this model: bundled weights, folder or file.")] = DEFAULT,
    runtime: RuntimeOption = None,
    flip_test: Annotated[bool, typer.Option(help="Average with the mirrored crop.")] = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Crops per call of the network.")] = 32,
    device: Device = "cpu",
) -> None:
    """Predict COCO's or MPII's test set, in the format of its evaluation server."""
    atomic.refuse_unwritable_file(output)
    refuse_inputs([output], [data, boxes, *model_files(model)])
    network, folder = load_network(model, RuntimeOptions(runtime, device=device)), root or data.parent
    notes: list[str] = []
    with show_progress() as on_progress:
        if data.suffix == ".mat":
            test = submission.read_mpii_test(data, folder)
            refuse_inputs([output], (file.folder / file.name for file in test.people.images))
            found = predict_piecewise(network, test.people, flip_test, batch_size, on_progress)
            submission.write_mpii_test(output, test, found.joints)
        else:
            if boxes is None:
                raise InputError(data, "has no boxes: name those of a detector with `boxes`")
            people = submission.read_unlabelled_coco(data, folder)
            refuse_inputs([output], (file.folder / file.name for file in people.images))
            keypoints_of(network, people)  # refused before the boxes are read
            submission.refuse_coco_name(output)
            detections = read_detections(boxes, people.skeleton.name)
            found, notes = predict_in_detections(
                network, people, detections, boxes.name, flip_test, batch_size, on_progress
            )
            found = apply_oks_nms(people, found, network.config, soft=False)
            submission.write_coco_zip(output, people, found)
    print(*(f"note: {note}" for note in notes), f"{output}: {len(found.scores)} people", sep="\n")

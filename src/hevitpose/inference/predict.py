"""The prediction road from files to files; the command line parses, calls `predict_files` and prints."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from hevitpose.core.errors import InputError
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.core.results import Detections, ImagePoses
from hevitpose.core.skeleton import Skeleton
from hevitpose.data.detections import DetectionFile
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.inputs import Frame, Inputs, Skipped, image_ids, read_frames
from hevitpose.inference.writers import PoseWriter


def predict_files(
    estimator: PoseEstimator,
    inputs: Inputs,
    writers: Sequence[PoseWriter],
    detections: Sequence[Detections | None] | None = None,
    strict_boxes: bool = False,
    skeleton: Skeleton | None = None,
    skipped: Skipped | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Iterator[tuple[Frame, ImagePoses]]:
    """Predict the inputs, write each result as it comes, and give it.

    Args:
        estimator: Finds people and keypoints.
        inputs: The images (`find_inputs`), or some of them.
        writers: Take each result; they are closed at the end, also after an error or an interruption.
        detections: The people by the index of an input where they are known.
        strict_boxes: Skip an input with a box outside of it instead of the box.
        skeleton: Keep these of the keypoints (default: all).
        skipped: Takes what is left out.
        on_progress: Called after each image.
    """
    skipped, total = skipped or Skipped(), len(inputs)
    with ExitStack() as stack:
        for writer in writers:
            stack.callback(writer.close)
        frames = read_frames(inputs, detections, strict_boxes, skipped)
        for done, (frame, found) in enumerate(estimator.stream(frames), start=1):
            poses = found if skeleton is None else found.select_keypoints(skeleton)
            for writer in writers:
                writer.write(frame, poses)
            on_progress(Progress("images", done + len(skipped.inputs), total))
            yield frame, poses


def detections_of_inputs(
    file: DetectionFile, source: Path, inputs: Inputs
) -> tuple[list[Detections | None], list[int], list[str]]:
    """The people of each input in a detection file, their image ids, and notes about what does not fit.

    Raises InputError where the file has boxes, but none for any input.
    """
    paths = [each.path for each in inputs]
    keys = file.match(paths)
    missing = keys.count(None)
    if file.of and missing == len(keys):
        raise InputError(source, f"has no box for {paths[0] if len(paths) == 1 else 'any of these images'}")
    notes = [f"{missing} of {len(keys)} images have no box in {source}"] if missing else []
    notes += file.notes(source)
    detections: list[Detections | None] = [Detections.empty() if key is None else file.of[key] for key in keys]
    return detections, image_ids(paths, [file.image_id(key) for key in keys]), notes

"""From a clip to its files; the command line parses, calls `predict_clip` and prints."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from hevitpose.core.progress import OnProgress, ignore_progress
from hevitpose.core.skeleton import Skeleton
from hevitpose.inference.clip_writers import ClipDrawing
from hevitpose.inference.inputs import Frame
from hevitpose.inference.video import PoseTracker
from hevitpose.inference.writers import PoseWriter
from hevitpose.io.video import VideoReader


@dataclass
class ClipSummary:
    """What was written: `frames`, `frames_with_people` and the `ids` of these; and whether the user stopped it."""

    frames: int = 0
    frames_with_people: int = 0
    ids: set[int] = field(default_factory=set)
    interrupted: bool = False


def predict_clip(
    tracker: PoseTracker,
    source: VideoReader | Iterable[Frame],
    writers: Sequence[PoseWriter],
    drawing: ClipDrawing | None = None,
    skeleton: Skeleton | None = None,
    on_progress: OnProgress = ignore_progress,
) -> ClipSummary:
    """Predict the frames of a clip and write each result as it comes, with the keypoints of `skeleton` (default: all).

    After Ctrl-C the files hold the frames so far. Writers and drawing are closed at the end, also after an error.
    """
    summary = ClipSummary()
    with ExitStack() as stack:
        for writer in writers if drawing is None else [*writers, drawing]:
            stack.callback(writer.close)
        try:
            with closing(tracker.stream(source, images=drawing is not None, on_progress=on_progress)) as found:
                for frame, of_frame in found:
                    poses = of_frame if skeleton is None else of_frame.select_keypoints(skeleton)
                    if drawing is not None:
                        drawing.write(frame, poses)
                    for writer in writers:
                        writer.write(frame, poses)
                    summary.frames += 1
                    summary.frames_with_people += len(poses) > 0
                    summary.ids.update(set(poses.ids.tolist()) - {0})
        except KeyboardInterrupt:
            summary.interrupted = True
        summary.interrupted |= tracker.interrupted
        if drawing is not None and isinstance(source, VideoReader):
            drawing.whole = not summary.interrupted
    return summary

"""Labelled people as files of other formats: COCO keypoints and YOLO-pose."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.labels import ImageFile, LabelledPeople
from hevitpose.data.skeletons import category_of
from hevitpose.io import atomic, images
from hevitpose.metrics.oks import areas_of

DIGITS = 3


def coco_content(people: LabelledPeople, folder: Path, sizes_wh: Sequence[tuple[int, int]]) -> dict[str, object]:
    """The content of a COCO keypoint file that lies in `folder`, from which it names the images.

    People and images are numbered from 1. `sizes_wh` are those of the images.
    """
    boxes = geometry.xywh_from_xyxy(people.boxes)
    areas = areas_of(people)
    joints = np.where(people.labelled[..., None], people.keypoints, 0).round(DIGITS)
    triples = np.concatenate([joints, people.visibility[..., None]], axis=-1).reshape(len(people), -1)
    annotations = [
        {
            "id": n + 1,
            "image_id": int(people.image_index[n]) + 1,
            "category_id": 1,
            "bbox": boxes[n].round(DIGITS).tolist(),
            "area": round(float(areas[n]), DIGITS),
            "iscrowd": 0,
            "num_keypoints": int(people.labelled[n].sum()),
            "keypoints": [int(v) if v == int(v) else v for v in triples[n].tolist()],
        }
        | ({"head_size": float(people.head_sizes[n])} if np.isfinite(people.head_sizes[n]) else {})
        for n in range(len(people))
    ]
    images = [
        {"id": k + 1, **_names(file, folder), "width": width, "height": height}
        for k, (file, (width, height)) in enumerate(zip(people.images, sizes_wh, strict=True))
    ]
    return {"images": images, "annotations": annotations, "categories": [category_of(people.skeleton)]}


def _names(file: ImageFile, folder: Path) -> dict[str, str]:
    if file.archive is None:
        return {"file_name": _seen_from(folder, file.folder / file.name)}
    return {"file_name": file.name, "archive": _seen_from(folder, file.folder / file.archive)}


def _seen_from(folder: Path, path: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # On another drive of Windows; or a name that no file can have.
        return path.absolute().as_posix()


def write_coco(people: LabelledPeople, path: Path) -> None:
    """Write a COCO keypoint file with the sizes of the upright images. Raises InputError."""
    sizes = [images.read_size(file) for file in people.images]
    atomic.write(path, json.dumps(coco_content(people, path.parent, sizes)))


def write_yolo(sets: Sequence[LabelledPeople], folder: Path) -> None:
    """Write a YOLO-pose data set into a new folder: data.yaml, `images` (copies) and `labels`.

    The first set becomes `train`, the others are named as they are. Images of the same name get that of their folder in
    front. Raises InputError where the folder is not empty, an image cannot be read or the sets have different
    keypoints; then nothing is written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(folder, "is not an empty folder")
    skeleton = sets[0].skeleton
    names = ["train", *(people.name for people in sets[1:])]
    reserved = {"train", "val", "path", "nc", "kpt_shape", "flip_idx", "names", "kpt_names"}
    if twice := [name for k, name in enumerate(names) if k and (name in reserved - {"val"} or name in names[:k])]:
        raise InputError(twice[0], "is no name for a validation set of YOLO: call it otherwise")
    for people in sets:
        if people.skeleton.keypoints != skeleton.keypoints:
            raise InputError(people.name, f"has other keypoints than {sets[0].name}")
    table = {
        **{"val" if k == 1 and "val" not in names else name: f"images/{name}" for k, name in enumerate(names)},
        "kpt_shape": [skeleton.num_keypoints, 3],
        **({"flip_idx": list(skeleton.mirror)} if skeleton.flips else {}),
        "names": {0: skeleton.name},
        "kpt_names": {0: list(skeleton.keypoints)},
    }
    # What JSON writes on a line is YAML, but for its keys, which would be texts.
    lines = [f"{key}: {json.dumps(value)}".replace('{"0": ', "{0: ") for key, value in table.items()]
    with atomic.new_folder(folder) as temporary:
        for name, people in zip(names, sets, strict=True):
            _write_yolo_set(people, temporary, name)
        (temporary / "data.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_yolo_set(people: LabelledPeople, folder: Path, name: str) -> None:
    boxes = geometry.xywh_from_xyxy(people.boxes)
    places = [folder / part / name for part in ("images", "labels")]
    for place in places:
        place.mkdir(parents=True)
    for k, (file, own) in enumerate(zip(people.images, unique_names(people.images), strict=True)):
        size_wh = np.array(images.read_size(file))
        lines = []
        for n in np.flatnonzero(people.image_index == k):
            corner, sides = boxes[n, :2], boxes[n, 2:]
            joints = np.where(people.labelled[n, :, None], people.keypoints[n] / size_wh, 0)
            numbers = [*((corner + sides / 2) / size_wh), *(sides / size_wh)]
            triples = [f"{x:.7g} {y:.7g} {v}" for (x, y), v in zip(joints, people.visibility[n], strict=True)]
            lines.append(" ".join(["0", *(f"{number:.7g}" for number in numbers), *triples]))
        (places[0] / own).write_bytes(images.read_bytes(file))
        (places[1] / f"{Path(own).stem}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def unique_names(files: Sequence[ImageFile]) -> list[str]:
    """Names for copies of these images in one folder, also with equal suffixes: their own, else with folders in front.

    >>> unique_names([ImageFile(f"{video}/0.png", Path("mice")) for video in ("a", "b")])
    ['a_0.png', 'b_0.png']
    """
    names = [Path(file.name).name for file in files]
    places = [file.folder / (file.archive or "") / file.name for file in files]
    paths = [place.relative_to(place.anchor).parts for place in places]
    for depth in range(2, max(map(len, paths), default=0) + 1):
        stems = Counter(Path(name).stem.lower() for name in names)
        if max(stems.values(), default=1) == 1:
            return names
        clashes = [stems[Path(name).stem.lower()] > 1 for name in names]
        names = [
            "_".join(path[-depth:]) if clash and len(path) >= depth else name
            for clash, path, name in zip(clashes, paths, names, strict=True)
        ]
    seen: Counter[str] = Counter()
    for k, name in enumerate(names):  # a.jpg beside a.png
        seen[stem := Path(name).stem.lower()] += 1
        names[k] = name if seen[stem] == 1 else f"{Path(name).stem}_{seen[stem]}{Path(name).suffix}"
    return names

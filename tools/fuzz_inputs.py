"""Read damaged files of all kinds in child processes, and count what happens.

    python tools/fuzz_inputs.py --count 100000 --seconds 600 --output fuzz.json

Each input is a sound JPEG, PNG, WebP, JSON, CSV, YAML, safetensors or ONNX file with bytes, numbers or words of it
changed, and is read as the commands read it. A child may end in InputError or MissingExtraError and nothing else; it
may not crash, take more than 2 s of processor time or hold more than 1 GB. What breaks this rule is kept in a folder
beside the output. Exit status 1 if anything does.
"""

import argparse
import csv
import io
import json
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from hevitpose.core.errors import InputError, MissingExtraError

KINDS = {"jpeg": 24, "png": 22, "webp": 16, "json": 22, "csv": 7, "yaml": 7, "safetensors": 1, "onnx": 1}
"""How many of a hundred inputs are of each kind."""
SUFFIX = {"jpeg": ".jpg"}
LARGE_SHARE = 0.005
"""Images of 20 megapixels among the images."""
MAX_CPU_S, MAX_WALL_S, MAX_MB = 2.0, 60.0, 1024
WORDS: tuple[str, ...] = (
    "NaN",
    "-1",
    "1e999",
    "null",
    "[]",
    "{}",
    '"',
    "",
    "0",
    "9" * 400,
    "\ufeff",
    "[" * 5000,
    "true",
    "1.5",
    "\\",
    ":",
)
WORDS += ("../" * 40, "\0", "images", "é", "!!python/object:os.system", "&a *a", "-0.0", "1e308", "2147483648", '"x"')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--output", type=Path, default=Path("fuzz.json"))
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child)
        return
    result = fuzz(arguments.count, arguments.seconds, arguments.seed, arguments.kinds.split(","), arguments.output)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    sys.exit(1 if result["broken"] else 0)


def fuzz(count: int, seconds: float, seed: int, kinds: list[str], output: Path) -> dict[str, object]:
    """Numbers of inputs by kind and outcome, the slowest and the largest, and what broke the rule."""
    outcomes: Counter[str] = Counter()
    broken: list[str] = []
    slowest, largest, done = 0.0, 0.0, 0
    choose = random.Random(seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        sound_files(Path(folder))
        process, until = start(Path(folder)), time.monotonic() + seconds
        while done < count and time.monotonic() < until:
            kind = choose.choices(kinds, [KINDS[kind] for kind in kinds])[0]
            outcome, cpu_s, mb = ask(process, f"{kind} {seed * 1_000_003 + done}")
            done, slowest, largest = done + 1, max(slowest, cpu_s), max(largest, mb)
            outcomes[f"{kind}: {outcome.split()[0]}"] += 1
            if outcome.split()[0] not in ("read", "refused") or cpu_s > MAX_CPU_S or mb > MAX_MB:
                broken.append(f"{kind} {seed * 1_000_003 + done - 1}: {outcome} ({cpu_s:.2f} s, {mb:.0f} MB)")
                keep(Path(folder), kind, output.with_suffix(""), f"{kind}-{done - 1}")
            if process.poll() is not None:  # only now: a child that starts writes an input of each kind
                process = start(Path(folder))
        process.kill()
        process.wait()
    return {
        "inputs": done,
        "outcomes": dict(sorted(outcomes.items())),
        "slowest_cpu_s": round(slowest, 2),
        "largest_mb": round(largest),
        "broken": broken,
    }


def keep(folder: Path, kind: str, kept: Path, name: str) -> None:
    """Copy the input of this kind that was read last."""
    kept.mkdir(parents=True, exist_ok=True)
    suffix = SUFFIX.get(kind, f".{kind}")
    (kept / f"{name}{suffix}").write_bytes((folder / "now" / f"input{suffix}").read_bytes())


def start(folder: Path) -> "subprocess.Popen[str]":
    """A child that reads what `ask` names."""
    command = [sys.executable, __file__, "--child", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    if process.stdout:
        process.stdout.readline()  # once everything is imported
    return process


def ask(process: "subprocess.Popen[str]", line: str) -> tuple[str, float, float]:
    """Outcome, processor seconds and megabytes of an input; the child is dead after a crash or a hang."""
    if not (process.stdin and process.stdout):
        raise ValueError("the child has no pipes")
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    ready, _, _ = select.select([process.stdout], [], [], MAX_WALL_S)
    answer = process.stdout.readline() if ready else ""
    if not answer:
        process.kill()
        process.wait()
        return (f"crashed ({process.returncode})" if ready else "hung"), 0.0 if ready else MAX_WALL_S, 0.0
    cpu_s, mb, outcome = answer.rstrip("\n").split(" ", 2)
    return outcome, float(cpu_s), float(mb)


def child(folder: Path) -> None:
    """Make and read the inputs that standard input names; a line for each on standard output."""
    import logging
    import warnings

    logging.disable()
    warnings.simplefilter("ignore")
    for kind, reader in READERS.items():  # so that no input pays for what is imported
        sound = min((folder / kind).iterdir(), key=lambda file: file.stat().st_size)
        reader(Path(shutil.copy(sound, folder / "now" / f"input{SUFFIX.get(kind, f'.{kind}')}")))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        kind, seed = line.split()
        path = make(folder, kind, random.Random(int(seed)))  # noqa: S311
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins here
        before = time.process_time()
        try:
            READERS[kind](path)
            outcome = "read"
        except (InputError, MissingExtraError) as error:
            outcome = "refused" if "\n" not in str(error) else f"two-lines {error!r}"
        except Exception as error:
            outcome = f"raised {error!r:.300}"
        peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
        answers.write(f"{time.process_time() - before:.3f} {int(peak) / 1024:.0f} {' '.join(outcome.split())}\n")
        answers.flush()


def make(folder: Path, kind: str, choose: random.Random) -> Path:
    """A damaged file of this kind, the same for the same seed."""
    samples = sorted((folder / kind).iterdir())
    small = [file for file in samples if not file.name.startswith("large")]
    large = [file for file in samples if file not in small]
    content = choose.choice(large if large and choose.random() < LARGE_SHARE else small).read_bytes()
    if kind in ("json", "csv", "yaml") and choose.random() < 0.7:
        content = with_other_words(content, choose)
    else:
        content = with_other_bytes(content, choose)
        if kind == "png" and choose.random() < 0.7:
            content = with_right_sums(content)
    path = folder / "now" / f"input{SUFFIX.get(kind, f'.{kind}')}"
    path.write_bytes(content)
    return path


def with_other_bytes(content: bytes, choose: random.Random) -> bytes:
    """Bytes changed, inserted, left out, repeated or cut off, half of the time near the beginning."""
    data = bytearray(content)
    for _ in range(choose.choice((1, 1, 1, 2, 8))):
        at = choose.randrange(max(1, min(len(data), 2000) if choose.random() < 0.5 else len(data)))
        length = choose.choice((1, 2, 4, 8, 100, 4000))
        match choose.randrange(7):
            case 0 if data:
                data[min(at, len(data) - 1)] ^= 1 << choose.randrange(8)
            case 1:
                data[at : at + length] = choose.randbytes(length)
            case 2:
                data[at:at] = choose.randbytes(length)
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                data[at : at + 4] = choose.choice(
                    (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff")
                )
            case _ if choose.random() < 0.3:
                del data[at:]
    return bytes(data)


def with_other_words(content: bytes, choose: random.Random) -> bytes:
    """Numbers, names and signs of a text changed for others or for what tools have written there."""
    import re

    words = re.findall(r"[\w.]+|[^\w.]", content.decode())
    for _ in range(choose.choice((1, 1, 1, 2, 8))):
        values = [k for k, word in enumerate(words) if word[:1].isalnum()]
        at = choose.choice(values) if values and choose.random() < 0.8 else choose.randrange(len(words))
        match choose.randrange(4):
            case 0:
                words[at] = choose.choice(WORDS)
            case 1:
                words[at] = choose.choice(words)
            case 2:
                del words[at : at + choose.choice((1, 1, 2, 30))]
            case _:
                words[at:at] = words[at : at + choose.choice((1, 3, 30))]
        words = words or [""]
    return "".join(words).encode(errors="surrogatepass")


def with_right_sums(png: bytes) -> bytes:
    """The PNG with right check sums, so that what was changed is read."""
    data, at = bytearray(png), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if at + 12 + length > len(data):
            break
        data[at + 8 + length : at + 12 + length] = struct.pack(">I", zlib.crc32(data[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(data)


def sound_files(folder: Path) -> None:
    """A folder of sound files for each kind, and the images that labels name."""
    for kind in (*KINDS, "now/images", "now/labels"):
        (folder / kind).mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 4), dtype=np.uint8)
    smooth = Image.fromarray(noise).resize((128, 96))
    forms = {mode: smooth.convert(mode) for mode in ("RGB", "RGBA", "L", "P", "CMYK", "1", "LA")}
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode in ("RGB", "L", "CMYK"):
        for name, options in (("plain", {}), ("progressive", {"progressive": True}), ("turned", {"exif": exif})):
            forms[mode].save(folder / "jpeg" / f"{mode}-{name}.jpg", **options)
    for mode in ("RGB", "RGBA", "L", "P", "1", "LA"):
        forms[mode].save(folder / "png" / f"{mode}.png", exif=exif)
    Image.fromarray(noise[..., 0].astype(np.uint16) * 257).save(folder / "png" / "16.png")
    forms["RGB"].save(folder / "png" / "moving.png", save_all=True, append_images=[forms["RGBA"]])
    for name, options in (("lossy", {}), ("lossless", {"lossless": True}), ("turned", {"exif": exif})):
        forms["RGBA"].save(folder / "webp" / f"{name}.webp", **options)
    forms["RGB"].save(folder / "webp" / "moving.webp", save_all=True, append_images=[forms["RGBA"]])
    large = forms["RGB"].resize((5472, 3648))
    for kind, suffix in (("jpeg", "jpg"), ("png", "png"), ("webp", "webp")):
        large.save(folder / kind / f"large.{suffix}", compress_level=1, method=0)
    for n in range(3):
        forms["RGB"].save(folder / "now" / "images" / f"{n}.jpg")
        line = "0 0.5 0.5 0.4 0.6 0.4 0.3 2 0.6 0.3 1 0.5 0.6 2\n"
        (folder / "now" / "labels" / f"{n}.txt").write_text(line)
    for name, content in labels().items():
        (folder / "json" / f"{name}.json").write_text(json.dumps(content))
    write_tables(folder)
    from hevitpose.inference.network import weights_folder

    for file in weights_folder().iterdir():
        if file.suffix in (".onnx", ".safetensors") and not file.name.startswith("person"):
            (folder / file.suffix[1:] / file.name).write_bytes(file.read_bytes())


def labels() -> dict[str, object]:
    """JSON files of labels, detections and predictions."""
    names = ["snout", "left_ear", "right_ear"]
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 128, "height": 96} for n in range(3)]
    joints = [50, 40, 2, 60, 45, 1, 75, 50, 2]
    people = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [45, 35, 40, 30], "area": 900, "keypoints": joints}
        for n in range(3)
    ]
    category = {"id": 1, "name": "mouse", "keypoints": names, "skeleton": [[1, 2], [1, 3]]}
    points = [{"label": name, "shape_type": "point", "group_id": 1, "points": [[9, 9]]} for name in names]
    return {
        "coco": {"images": images, "annotations": people, "categories": [category]},
        "found": [{"image_id": n, "category_id": 1, "bbox": [9, 9, 50, 60], "score": 0.5} for n in range(3)],
        "predicted": [{"image_id": n, "category_id": 1, "keypoints": joints, "score": 0.5} for n in range(3)],
        "labelme": {"version": "5", "imagePath": "0.jpg", "shapes": points, "imageHeight": 96, "imageWidth": 128},
    }


def write_tables(folder: Path) -> None:
    """CSV files of DeepLabCut and YAML files of YOLO."""
    parts, text = ["snout", "ear", "tail"], io.StringIO()
    rows = [["scorer", *["Ana"] * 6], ["bodyparts", *[p for part in parts for p in (part, part)]]]
    rows += [
        ["coords", *["x", "y"] * 3],
        *[[f"images/{n}.jpg", *[str(10.5 + n + k) for k in range(6)]] for n in range(3)],
    ]
    csv.writer(text).writerows(rows)
    (folder / "csv" / "one.csv").write_text(text.getvalue())
    individuals = [["individuals", *["a"] * 4, *["single"] * 2]]
    text = io.StringIO()
    csv.writer(text).writerows([rows[0], *individuals, *rows[1:]])
    (folder / "csv" / "many.csv").write_text(text.getvalue())
    yaml = "path: .\ntrain: images\nval: [images]\nkpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\nnames:\n  0: mouse\n"
    (folder / "yaml" / "data.yaml").write_text(yaml)
    (folder / "yaml" / "names.yaml").write_text(f"{yaml}kpt_names:\n  0: [snout, left_ear, right_ear]\n")


def read_image(path: Path) -> None:
    from hevitpose.core.labels import ImageFile
    from hevitpose.io import images

    images.read(path)
    images.look(ImageFile(path.name, path.parent))


def read_labels(path: Path) -> None:
    """As labels of COCO and LabelMe, detections and predictions; refused if all of these refuse it."""
    from hevitpose.data.check.rules import check_sets
    from hevitpose.data.coco import read_coco
    from hevitpose.data.datasets import Split
    from hevitpose.data.detections import read_detections
    from hevitpose.data.labelme import read_labelme
    from hevitpose.data.predictions import read_predictions

    check_sets([Split("set", path, path.parent / "images")])
    sound = read_coco(path.parents[1] / "json" / "coco.json", path.parent / "images", "sound")
    readers: tuple[Callable[[], object], ...] = (
        lambda: read_coco(path, path.parent / "images", "set", repair=True),
        lambda: read_detections(path),
        lambda: read_predictions(path, sound),
        lambda: read_labelme(path.parent, "set"),
    )
    refused = []
    for reader in readers:
        try:
            reader()
        except InputError as error:
            refused.append(error)
    if len(refused) == len(readers):
        raise refused[0]


def read_sheet(path: Path) -> None:
    from hevitpose.data.deeplabcut import read_deeplabcut

    read_deeplabcut(path, "set")


def read_yaml_set(path: Path) -> None:
    from hevitpose.data.check.rules import check_sets
    from hevitpose.data.find import find_splits

    check_sets(tuple(find_splits(str(path)).values()))


def read_weights(path: Path) -> None:
    from hevitpose.models.weights import load_model

    load_model(path)


def read_graph(path: Path) -> None:
    from hevitpose.inference.backends import RuntimeOptions
    from hevitpose.inference.network import load_network

    network = load_network(path, RuntimeOptions(threads=1, optimize_graph=False))
    network.heatmap_fn(np.zeros((1, *network.config.input_size, 3), dtype=np.uint8))


READERS: dict[str, Callable[[Path], None]] = {
    **dict.fromkeys(("jpeg", "png", "webp"), read_image),
    "json": read_labels,
    "csv": read_sheet,
    "yaml": read_yaml_set,
    "safetensors": read_weights,
    "onnx": read_graph,
}


if __name__ == "__main__":
    main()

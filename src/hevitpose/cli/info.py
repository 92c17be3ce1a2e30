"""`hevitpose info`."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from hevitpose.cli.runs import summary
from hevitpose.core.architecture import network_spec, parse_network
from hevitpose.core.errors import InputError
from hevitpose.core.extras import need
from hevitpose.core.model_config import DETECTOR_KEY, model_config_from_metadata
from hevitpose.inference.backends import RuntimeOptions, onnx_session
from hevitpose.inference.model_folder import read_model_folder
from hevitpose.inference.network import find_weights, weights_folder
from hevitpose.io.json_files import read_json
from hevitpose.training.run import RECIPE, read_run
from hevitpose.view.tables import MISSING, Table

if TYPE_CHECKING:
    from hevitpose.models.cost import Cost

EXAMPLES = """
Examples:\n
  hevitpose info b:groups=2-2-2\n
  hevitpose info t --keypoints 17 --height 256 --width 192 --json\n
  hevitpose info runs/train\n
  hevitpose info runs/train/best.safetensors\n
  hevitpose info exported\n
  hevitpose info hevitpose_t_fast_people21
"""
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""Tensors of a network's state that are not parameters."""
MAX_HEADER = 100_000_000
"""Bytes; the limit of the safetensors format."""
OF_CARD = ("data", "terms", "epoch", "hours", "scores")
"""What is printed of a card; --json has all."""


def info(
    model: Annotated[
        str,
        typer.Argument(
            help="Network (b, b-g222, t:heads=1-2-4), bundled weights, weight file (.safetensors, .onnx), or folder of "
            "train or export."
        ),
    ],
    keypoints: Annotated[int, typer.Option(min=1, help="Number of keypoints of a network given by name.")] = 16,
    height: Annotated[int, typer.Option(min=32, help="Input height of a network given by name.")] = 256,
    width: Annotated[int, typer.Option(min=32, help="Input width of a network given by name.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print the description as JSON.")] = False,
) -> None:
    """Describe a network, weight file, training run or exported model.

    The cost of a network's parts is counted in two ways: as in the paper
    (by MMPose, without attention's projections and products), and in full.
    """
    path = Path(model)
    if path.suffix in (".safetensors", ".onnx") or (weights_folder() / f"{model}.onnx").is_file():
        content = describe_weights(find_weights(model))
    elif path.is_dir():
        content = describe_run(path) if (path / RECIPE).is_file() else describe_model(path)
    else:
        costs, title = network_costs(model, keypoints, (height, width))
        if as_json:
            print(json.dumps({name: asdict(part) for name, part in costs.items()}, indent=1))
        else:
            print(f"{title}, {keypoints} keypoints, input {height} x {width}")
            Console().print(cost_table(costs).grid())
        return
    if as_json:
        print(json.dumps(content, indent=1))
    else:
        Console().print(entries(model, content).grid())


def describe_weights(path: Path) -> dict[str, object]:
    """What a weight file says of itself, and the card beside it. Raises InputError."""
    if path.suffix == ".onnx":
        session = onnx_session(path, RuntimeOptions(optimize_graph=False))
        metadata, parameters = session.get_modelmeta().custom_metadata_map, None
    else:
        metadata, parameters = read_safetensors_header(path)
    card = find_card(path)
    file = {"file": str(path), "megabytes": round(path.stat().st_size / 1e6, 2)}
    if DETECTOR_KEY in metadata:
        return file | {"detector": json.loads(metadata[DETECTOR_KEY]), "card": card}
    config = model_config_from_metadata(metadata, path)
    return file | {
        "network": network_spec(config.architecture, config.variant),
        "parameters": parameters or (card or {}).get("parameters"),
        "keypoints": config.skeleton.keypoints,
        "input_size": config.input_size,
        "padding": config.padding,
        "flip_test": config.flip_test,
        "codec": asdict(config.codec),
        "card": card,
    }


def read_safetensors_header(path: Path) -> tuple[dict[str, str], int]:
    """The metadata of a safetensors file and its number of parameters, without torch. Raises InputError."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, MAX_HEADER)))
        metadata = dict(header.pop("__metadata__", {}))
        return metadata, sum(prod(tensor["shape"]) for name, tensor in header.items() if not name.endswith(BUFFERS))
    except (OSError, ValueError, AttributeError, LookupError, TypeError) as error:
        raise InputError(path, f"cannot be read as safetensors ({error})") from error


def find_card(weights: Path) -> dict[str, object] | None:
    """The card of bundled weights (NAME.json) or of a run's (card.json); None if there is none for this file."""
    for path in (weights.with_suffix(".json"), weights.parent / "card.json"):
        card = read_json(path) if path.is_file() else None
        if isinstance(card, dict) and card.get("name") == weights.stem:
            return card
    return None


def describe_run(folder: Path) -> dict[str, object]:
    """What `hevitpose runs` says of a training run, and its recipe. Raises InputError."""
    run = read_run(folder)
    return summary(run) | {"recipe": run.recipe}


def describe_model(folder: Path) -> dict[str, object]:
    """What the files of an exported model say of themselves, and how scores are calibrated. Raises InputError."""
    model = read_model_folder(folder)
    return {
        "pose": describe_weights(model.pose),
        "detector": model.detector and describe_weights(model.detector),
        "person_score": model.person_score and asdict(model.person_score),
    }


def entries(title: str, content: Mapping[str, Any]) -> Table:
    """One row per entry; nested ones are named as `codec.sigma`."""
    rows: list[list[str]] = []

    def add(prefix: str, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name == "card" and value:
                add(f"{prefix}card.", {key: value[key] for key in OF_CARD if key in value})
            elif isinstance(value, Mapping):
                add(f"{prefix}{name}.", value)
            else:
                rows.append([prefix + name, _text(value)])

    add("", content)
    return Table(["", title], rows, "ll")


def network_costs(text: str, keypoints: int, size_hw: tuple[int, int]) -> tuple[dict[str, "Cost"], str]:
    """The cost of each part of a network and of all ("total"), and the network's title. Raises InputError."""
    name, variant, _ = parse_network(text, text)
    need("train")
    import torch

    from hevitpose.models.cost import cost, total
    from hevitpose.models.registry import build_network, title_of

    title = title_of(name, variant)
    try:
        with torch.device("meta"):  # shapes are enough
            model = build_network(name, keypoints, variant)
        parts = cost(model, size_hw)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(title, str(error)) from error
    return parts | {"total": total(parts)}, title


def cost_table(costs: Mapping[str, "Cost"]) -> Table:
    """One row per part of the network."""
    rows = []
    for name, part in costs.items():
        figures = (part.parameters / 1e6, part.paper_operations / 1e9, part.multiply_accumulates / 1e9)
        digits = 2 if name == "total" else 4
        stage = re.sub(r"stages\.(\d)", lambda match: f"stage {int(match[1]) + 1}", name)
        rows.append([stage, *(f"{figure:.{digits}f}" for figure in figures)])
    return Table(["part", "parameters (M)", "GFLOPs, the paper's", "GMACs, all"], rows)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    return MISSING if value is None else str(value)

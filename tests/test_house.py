"""The plan of the house: which room may use which, and what prediction may load."""

import ast
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

ROOMS = ["core", "metrics", "files", "models", "inference", "training", "export", "view", "cli"]
SOURCE = Path(str(resources.files("hevitpose")))
MODULES = sorted(path for room in ROOMS for path in (SOURCE / room).glob("*.py"))
LIGHT = {"core", "metrics", "files", "inference", "view", "cli"}
HEAVY = {
    "torch",
    "lightning_fabric",
    "safetensors",
    "tensorboard",
    "matplotlib",
    "onnx",
    "scipy",
    "onnxruntime",
    "openvino",
    "yaml",
}


def imports(path, anywhere):
    """Names that a module imports; those inside functions and TYPE_CHECKING too, if `anywhere`."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if anywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_arrows_point_down(path):
    room = path.parent.name
    used = {name.split(".")[1] for name in imports(path, anywhere=True) if name.startswith("hevitpose.")}
    below = set(ROOMS[: ROOMS.index(room) + 1])
    assert used & set(ROOMS) <= below | ({room} if room != "cli" else set(ROOMS))


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.parent.name in LIGHT], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_the_light_rooms_import_nothing_heavy_at_their_top(path):
    assert not {name.split(".")[0] for name in imports(path, anywhere=False)} & HEAVY


def loaded_by(code):
    script = f"import sys\n{code}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in run.stdout.split()}


def test_importing_the_package_loads_nothing():
    assert not loaded_by("import hevitpose") & (HEAVY | {"numpy", "PIL", "typer"})


def test_prediction_loads_no_torch():
    code = (
        "import numpy as np\nfrom hevitpose import PoseEstimator\n"
        "PoseEstimator.from_pretrained()(np.zeros((64, 64, 3), dtype=np.uint8))"
    )
    assert not loaded_by(code) & (HEAVY - {"onnxruntime"})


def test_the_weights_that_ship_are_measured_without_torch():
    code = (
        "from pathlib import Path\nfrom hevitpose.export.measurable import measurable\n"
        "measurable('hevitpose_t_fast_people16', ['onnx'], 256, Path())"
    )
    assert not loaded_by(code) & (HEAVY - {"onnxruntime"})


def test_the_command_line_starts_without_anything_heavy():
    assert not loaded_by("import hevitpose.cli.main") & HEAVY


def test_every_public_name_can_be_imported():
    import hevitpose

    assert sorted(hevitpose.__all__) == sorted([*hevitpose._HOMES])
    assert all(getattr(hevitpose, name).__name__ for name in hevitpose.__all__ if name not in ("MPII16", "COCO17"))

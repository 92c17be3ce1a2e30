"""Which package may import which, and what each may load: docs/architecture.md draws this table."""

import ast
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
import typer

FLOORS = (
    ("core",),
    ("io", "metrics"),
    ("data", "models", "view"),
    ("inference",),
    ("evaluation", "serve"),
    ("training", "export", "paper"),
    ("benchmark",),
    ("cli",),
)
"""From the ground up: a package imports itself and the packages of lower floors."""
FLOOR = {package: floor for floor, packages in enumerate(FLOORS) for package in packages}
SOURCE = Path(str(resources.files("hevitpose")))
MODULES = sorted(path for package in FLOOR for path in (SOURCE / package).rglob("*.py"))
LIGHT = ("core", "io", "metrics", "data", "view", "inference", "evaluation", "serve")
"""Packages that load without torch and the other libraries of the extras."""
HEAVY = {
    *("torch", "lightning_fabric", "safetensors", "tensorboard", "matplotlib", "onnx", "scipy", "yaml"),
    *("onnxruntime", "openvino", "av", "cv2"),
}


def package_of(path):
    return path.relative_to(SOURCE).parts[0]


def name_of(path):
    return path.relative_to(SOURCE).as_posix()


def imports(path):
    """Names that a module imports anywhere, inside functions and TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def loaded_by(code):
    script = f"import sys\n{code}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in run.stdout.split()}


def test_every_package_has_a_floor():
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert packages == set(FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path):
    package = package_of(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("hevitpose.")} & set(FLOOR)
    assert {other for other in used if other != package and FLOOR[other] >= FLOOR[package]} == set()


@pytest.mark.parametrize("package", LIGHT)
def test_light_packages_load_nothing_heavy(package):
    modules = [path.relative_to(SOURCE.parent).with_suffix("") for path in MODULES if package_of(path) == package]
    code = "\n".join(f"import {'.'.join(module.parts)}" for module in modules if module.name != "__init__")
    assert loaded_by(code) & HEAVY == set()


def texts(node):
    """The strings below a node, but for docstrings; one in several parts (f"...") is one."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(part.value for part in node.values if isinstance(part, ast.Constant))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


@pytest.fixture(scope="module")
def options():
    """Every option of every command."""
    from hevitpose.cli.main import add_commands, app

    add_commands([])
    commands = [typer.main.get_command(app)]
    for command in commands:
        commands += getattr(command, "commands", {}).values()
    return {option for command in commands for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("path", [p for p in MODULES if package_of(p) != "cli"], ids=name_of)
def test_only_the_command_line_prints_and_knows_its_options(path, options):
    tree = ast.parse(path.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert [call.lineno for call in calls if call.func.id == "print"] == []
    messages = [text for text in texts(tree) if "hevitpose " not in text]  # a whole command may be advised
    assert [text for text in messages if set(re.findall(r"--[a-z][a-z-]+", text)) & options] == []


def test_importing_the_package_loads_nothing():
    assert not loaded_by("import hevitpose") & (HEAVY | {"numpy", "PIL", "typer"})


def test_prediction_loads_no_torch():
    code = (
        "import numpy as np\nfrom hevitpose import PoseEstimator\n"
        "PoseEstimator.from_pretrained()(np.zeros((64, 64, 3), dtype=np.uint8))"
    )
    assert not loaded_by(code) & (HEAVY - {"onnxruntime"})


def test_bundled_weights_are_benchmarked_without_torch():
    code = (
        "from pathlib import Path\nfrom hevitpose.benchmark.models import prepare_model\n"
        "prepare_model('hevitpose_t_fast_people21', ['onnx'], 256, Path())"
    )
    assert not loaded_by(code) & (HEAVY - {"onnxruntime"})


def test_the_command_line_starts_without_anything_heavy():
    assert not loaded_by("import hevitpose.cli.main") & HEAVY


@pytest.mark.parametrize("command", ["angles", "info", "serve"])
def test_commands_without_labels_load_no_data_check(command):
    code = f"import sys\nimport hevitpose.cli.{command}\nassert 'hevitpose.data.check.rules' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_can_be_imported():
    import hevitpose

    assert sorted(hevitpose.__all__) == sorted([*hevitpose._HOMES])
    assert all(
        getattr(hevitpose, name).__name__ for name in hevitpose.__all__ if name not in ("MPII16", "COCO17", "PEOPLE21")
    )

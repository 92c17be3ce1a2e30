"""The wheel holds all that prediction needs."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    wheels = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = wheels.glob("*.whl")
    return built


def test_the_wheel_holds_the_tree_and_nothing_else(wheel):
    package = ROOT / "src" / "hevitpose"
    files = (file for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    tree = {f"hevitpose/{file.relative_to(package).as_posix()}": file.read_bytes() for file in files}
    with ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert held == tree


def test_the_wheel_predicts_an_image_in_an_empty_environment(wheel, tmp_path, skier):
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    # The dependencies are those of this environment, but not the package, which is installed as editable here.
    environment = os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")}
    run = [python, "-m", "hevitpose", "predict", str(skier), "--output", str(tmp_path / "out")]
    finished = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert len(json.loads((tmp_path / "out" / "skier.json").read_text())["people"]) == 1
    where = [python, "-c", "import hevitpose; print(hevitpose.__file__)"]
    found = subprocess.run(where, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(site))

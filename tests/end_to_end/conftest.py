import sys
from pathlib import Path

import pytest

from hevitpose.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def empty_folder(monkeypatch, tmp_path):
    """The current folder of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hevitpose(capfd, monkeypatch, empty_folder):  # noqa: ARG001
    """Run the command: exit status, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hevitpose", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capfd.readouterr()

    return run


@pytest.fixture
def skier():
    return EXAMPLES / "skier.jpg"


@pytest.fixture
def street():
    return EXAMPLES / "street.jpg"

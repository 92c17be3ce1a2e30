import sys
from pathlib import Path

import pytest

from hevitpose.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def hevitpose(capfd, monkeypatch, tmp_path):
    """Run the command in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

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

"""The page in web/ has the constants of this version, and its test vectors are what Python computes."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
AGAIN = "run: python tools/web_golden.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("web_golden", ROOT / "tools" / "web_golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_json(content):
    return json.loads(json.dumps(content))


def test_constants_are_those_of_python(tool):
    assert json.loads(tool.CONSTANTS.read_text()) == as_json(tool.constants()), AGAIN


def test_vectors_are_what_python_computes(tool):
    written, computed = json.loads(tool.VECTORS.read_text()), as_json(tool.vectors())
    assert written.keys() == computed.keys()
    for name, vectors in computed.items():
        assert written[name] == vectors, AGAIN

import json
from pathlib import Path

import pytest
from PIL import Image

from hevitpose.core.skeleton import MPII16

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
NAMES = ("t", "shufflenet_v2,sigma=1")
COMMON = ("compare", "--data", "people.toml", "--size", "32", "--batch-size", "4", "--out", "out", "--device", "cpu")


@pytest.fixture
def people(skier, empty_folder):  # noqa: ARG001
    """A data set of eight copies of one person, in the current folder."""
    with Image.open(skier) as photo:
        photo.reduce(4).save("photo.png")
    person = {"image_id": 1, "category_id": 1, "bbox": [70, 11, 55, 87], "head_box": [0, 0, 9, 9]}
    person["keypoints"] = [v for k in range(16) for v in (80 + k, 20 + 4 * k, 2)]
    content = {
        "images": [{"id": 1, "file_name": "photo.png"}],
        "annotations": [{"id": n, **person} for n in range(8)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(MPII16.keypoints)}],
    }
    Path("people.json").write_text(json.dumps(content))
    train = '[train]\nannotations = "people.json"\n'
    Path("alone.toml").write_text(train)
    Path("people.toml").write_text(f'{train}[validation.val]\nannotations = "people.json"\nmetric = "pckh"\n')


@pytest.mark.usefixtures("people")
def test_networks_are_compared_whatever_interrupts(hevitpose, monkeypatch):
    from hevitpose.training import loop

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_report", interrupted)
        status, _, errors = hevitpose(*COMMON, "--models", "t", "--budget", "1")
    assert (status, errors.count("epoch 1/1: 2 of 2"), Path("out/t-seed0.json").exists()) == (130, 1, False)

    broken = Path("out/t,sigma=3-seed0/checkpoint.safetensors")
    broken.parent.mkdir()
    broken.write_text("cut")
    status, printed, errors = hevitpose(*COMMON, "--models", "t:sigma=3,t,shufflenet_v2:sigma=1", "--budget", "1")
    assert status == 1
    assert f"error: HEViTPose-T, sigma=3, seed 0: {broken}: cannot be read as safetensors" in errors
    assert errors.count("epoch 1/1: 2 of 2") == 1  # that of the first run was done
    runs = json.loads(Path("out/compare.json").read_text())["runs"]
    assert runs == [json.loads(Path("out", f"{name}-seed0.json").read_text()) for name in NAMES]
    assert [(run["title"], run["settings"]["codec"]["sigma"], run["epochs"]) for run in runs] == [
        ("HEViTPose-T", 2.0, 1),
        ("ShuffleNetV2, sigma=1", 1.0, 1),
    ]
    lines = Path("out/compare.md").read_text().splitlines()[2:4]
    for run, line in zip(runs, lines, strict=True):
        assert line.startswith(f"| {run['title']} |")
        assert line.endswith(f" {run['scores']['val']['PCKh@0.5']:.1f} |")
        assert run["title"] in printed
    assert {"val.png", "val.svg"} <= {file.name for file in Path("out").iterdir()}

    status, _, errors = hevitpose(*COMMON, "--models", "t,shufflenet_v2:sigma=1", "--budget", "1")
    assert (status, "epoch" in errors, json.loads(Path("out/compare.json").read_text())["runs"]) == (0, False, runs)
    status, _, errors = hevitpose(*COMMON, "--models", "t", "--budget", "2")
    assert errors.splitlines()[-1] == (
        "error: HEViTPose-T, seed 0: out/t-seed0/checkpoint.safetensors: was made with epochs = 1, not 2: "
        "resume with the same recipe, or start another run from its weights: --weights out/t-seed0/last.safetensors"
    )
    status, printed, _ = hevitpose("runs", "out", "--json")
    assert [run["model"] for run in json.loads(printed)["runs"]] == ["shufflenet_v2", "t"]


@pytest.mark.usefixtures("people")
def test_several_processes_are_refused(hevitpose, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    status, _, errors = hevitpose(*COMMON, "--models", "t", "--budget", "1")
    assert (status, errors) == (1, "error: torchrun: cannot start a comparison, which runs in one process\n")


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"--recipe": "mpii/t"}, "error: --recipe mpii/t: names a network: networks are named in --models"),
        ({"--models": "alexnet"}, "error: --models alexnet: no network 'alexnet' (known: t, s, b, "),
        ({"--budget": "long"}, "error: --budget long: is not of the form 90m, 8h or 1d"),
        ({"--data": "alone.toml"}, "error: alone.toml: has no validation set with a metric"),
    ],
)
def test_what_cannot_be_compared_is_one_line(hevitpose, changes, line):
    options = {"--data": "people.toml", "--models": "t", "--budget": "1"} | changes
    status, _, errors = hevitpose("compare", *(text for pair in options.items() for text in pair))
    assert status == 1
    assert errors.splitlines()[-1].startswith(line)

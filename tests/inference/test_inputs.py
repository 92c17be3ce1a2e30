from pathlib import Path

import pytest

from hevitpose.inference.inputs import find_inputs, image_ids, refuse_overwriting


@pytest.fixture
def photos(monkeypatch, tmp_path):
    """Empty files below the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("x/a.jpg", "x/a.png", "x/deep/b.JPG", "x/notes.txt", "x/c.heic", "y/a.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("x/folder.jpg").mkdir()
    Path("x/gone.jpg").symlink_to("nowhere")
    Path("x/link.png").symlink_to("a.png")
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "output", "targets", "heic", "results"),
    [
        (["x"], None, ["a.jpg", "a.png", "deep/b", "gone", "link"], 1, 0),
        (["x"], "x/deep", ["a.jpg", "a.png", "gone", "link"], 1, 1),
        (["x"], "x", ["a.jpg", "a.png", "deep/b", "gone", "link"], 1, 0),
        (["x/deep"], "x", ["b"], 0, 0),
        (["x/deep/b.JPG", "x/../x/deep", "none.jpg"], None, ["b", "none"], 0, 0),
        (["x/link.png", "x/a.png"], None, ["link", "a"], 0, 0),
        (["x/c.heic"], None, ["c"], 0, 0),
    ],
)
@pytest.mark.usefixtures("photos")
def test_which_images_there_are_and_what_their_results_are_called(paths, output, targets, heic, results):
    found = find_inputs([Path(path) for path in paths], output and Path(output))
    assert [each.target for each in found.inputs] == targets
    assert (found.heic, found.results) == (heic, results)


@pytest.mark.parametrize(
    ("paths", "folder", "draw", "words"),
    [
        (["x/a.jpg", "y/a.jpg"], "out", False, ["a.jpg", "run once for each folder, each with its own `output`"]),
        (["x/a.png"], "x", True, ["x/a.png", "is one of the inputs"]),
        (["y"], "y/../y", True, ["y", "drawings would lie among the images"]),
    ],
)
@pytest.mark.usefixtures("photos")
def test_results_that_would_replace_something_are_refused(refused, paths, folder, draw, words):
    named = [Path(path) for path in paths]
    inputs = find_inputs(named).inputs
    with refused(*words):
        refuse_overwriting(named, inputs, Path(folder), draw)


@pytest.mark.parametrize(
    ("names", "known", "ids"),
    [
        (["a", "b"], [None, None], [1, 2]),
        (["im_007", "000012"], [None, None], [7, 12]),
        (["im_007", "b", "12"], [None, None, None], [7, 2, 12]),
        (["im_007", "b"], [None, 5], [7, 5]),
        # The file's own number comes first, then the names', then the places, then what is free above.
        (["7", "b", "c"], [None, 7, None], [1, 7, 3]),
        (["x_1", "y_1"], [None, None], [1, 2]),
        (["a", "1"], [None, None], [2, 1]),
        (["4", "a", "b", "c"], [None] * 4, [4, 2, 3, 5]),
        (["a", "b", "c"], [9, 9, 9], [9, 2, 3]),
    ],
)
def test_every_image_has_an_image_id_of_its_own(names, known, ids):
    assert image_ids([Path(f"{name}.jpg") for name in names], known) == ids

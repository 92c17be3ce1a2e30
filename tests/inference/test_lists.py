import os
from pathlib import Path

import pytest

from hevitpose.inference.inputs import refuse_overwriting
from hevitpose.inference.lists import OPTIONS_FILE, ImageList, Selection, Shard, expand, gather_inputs, record_options


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def written(text, encoding="utf-8"):
    Path("list.txt").write_bytes(text.encode(encoding))
    return ImageList(Path("list.txt"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_names_an_image_per_line_and_results_keep_the_suffix(encoding):
    images = written("a/x.jpg\r\n\nä b.png\n", encoding)
    assert len(images) == 2
    assert [(str(each.path), each.target, each.index) for each in images] == [
        ("a/x.jpg", "a/x.jpg", 0),
        ("ä b.png", "ä b.png", 1),
    ]
    assert list(images) == list(images)
    (one,) = written("/data/x.jpg\n")
    assert (one.path, one.target) == (Path("/data/x.jpg"), "data/x.jpg")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.jpg\n/b.jpg\n", ["line 2", "all relative or all absolute"]),
        ("../a.jpg\n", ["line 1", ".."]),
        ("\n", ["names no image"]),
        ("\0", ["line 1"]),
    ],
)
def test_lists_whose_results_could_replace_each_other_are_refused(refused, text, words):
    with refused("list.txt", *words):
        written(text)


def test_a_list_that_is_cut_off_is_one_line(refused):
    Path("list.txt").write_bytes("a.jpg\nb.jpg".encode("utf-16")[:-1])
    with refused("list.txt", "cannot be read as text (truncated data"):
        ImageList(Path("list.txt"))


def test_a_list_stands_alone_and_its_results_do_not_lie_among_the_images(refused):
    images = written("out/x.jpg\n")
    assert len(gather_inputs([Path("@list.txt")]).inputs) == 1
    with refused("@list.txt", "stands alone"):
        gather_inputs([Path("@list.txt"), Path("b.jpg")])
    with refused("none.txt", "no such file"):
        gather_inputs([Path("@none.txt")])
    with refused("out/x.jpg", "lies in the folder of the results"):
        refuse_overwriting([], images, Path("out"), draw=True)


def test_shards_are_every_image_once(refused):
    images = written("".join(f"{n}.jpg\n" for n in range(11)))
    parts = [Selection(images, Shard(number, 3)) for number in (1, 2, 3)]
    assert [len(part) for part in parts] == [len(list(part)) for part in parts] == [4, 4, 3]
    assert sorted(each.index for part in parts for each in part) == list(range(11))
    for text in ("0/3", "4/3", "1", "a/b", "1/0", "-1/3"):
        with refused(f"`shard={text}`", "must be like 1/8"):
            Shard.parse(text)


def test_a_run_is_continued_with_the_same_options_only(refused):
    images, folder = written("".join(f"{n}.jpg\n" for n in range(4))), Path("out")
    record_options(folder, {"min_score": 0.2, "box": None}, resume=True)
    for name in ("0.jpg.json", "1.jpg.json", "1.jpg.png", "2.jpg.png"):
        (folder / name).touch()
    for results, left in (((".json",), [2, 3]), ((".json", ".png"), [0, 2, 3])):
        selection = Selection(images, folder=folder, results=results)
        assert [each.index for each in selection] == left
        assert len(selection) == len(left)
    with refused("`min_score=0.3`", "was 0.2 in the run to resume"):
        record_options(folder, {"min_score": 0.3, "box": None}, resume=True)
    os.utime(folder / "0.jpg.json", (1, 1))  # of an older run, with other options
    assert 0 in [each.index for each in Selection(images, folder=folder, results=(".json",))]
    (folder / OPTIONS_FILE).unlink()
    with refused("out", "does not say with which options"):
        record_options(folder, {}, resume=True)


def test_images_are_not_looked_at_where_nothing_is_drawn(monkeypatch):
    images = written("out/x.jpg\n")
    monkeypatch.setattr(ImageList, "__iter__", lambda _: pytest.fail("read once more"))
    refuse_overwriting([], images, Path("out"), draw=False)


def test_the_images_left_are_counted_once():
    images, folder = written("0.jpg\n1.jpg\n"), Path("out")
    record_options(folder, {}, resume=False)
    selection = Selection(images, folder=folder, results=(".json",))
    assert len(selection) == 2
    (folder / "0.jpg.json").touch()
    assert (len(selection), [each.index for each in selection]) == (2, [1])


def test_patterns_are_expanded_where_no_such_file_exists(refused):
    for name in ("b.jpg", "a.jpg", "[x].jpg"):
        Path(name).touch()
    assert expand("*.jpg") == [Path("[x].jpg"), Path("a.jpg"), Path("b.jpg")]
    assert expand("[x].jpg") == [Path("[x].jpg")]
    for name in (".home/Thumbs.db", ".home/__MACOSX/a.jpg", ".home/a.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert expand(".home/*") == [Path(".home/a.jpg")]
    with refused("*.png", "no file fits"):
        expand("*.png")

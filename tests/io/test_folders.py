import os

import pytest

from hevitpose.io.folders import files_below, find_file, is_file, is_folder, normalize_path


def test_folders_are_walked_in_order_without_clutter(tmp_path):
    names = ("b/1.JPG", "a.png", "c.txt", "._a.png", ".ipynb_checkpoints/a.png", "__MACOSX/a.png", "@eaDir/a.png")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "b", target_is_directory=True)
    (tmp_path / "b" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b" / "broken").symlink_to(tmp_path / "none", target_is_directory=True)
    found = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path, {".jpg", ".png"})]
    assert found == ["a.png", "b/1.JPG", "link/1.JPG"]
    assert files_below(tmp_path / "none", {".png"}) == []


@pytest.mark.parametrize(
    ("there", "name"),
    [
        ("a.png", "a.png"),
        ("in/a.png", "in\\a.png"),
        ("a b.png", "a%20b.png"),
        ("a%20b.png", "a%20b.png"),
        ("\xe9.png", "e\u0301.png"),
        ("e\u0301.png", "\xe9.png"),
        ("e\u0301.png", "%C3%A9.png"),
    ],
)
def test_a_file_is_found_under_every_spelling_of_its_name(tmp_path, there, name):
    (tmp_path / "in").mkdir()
    (tmp_path / there).touch()
    assert find_file(tmp_path, name) == there
    assert normalize_path(name) == normalize_path(there)


@pytest.mark.parametrize("name", ["none.png", "a" * 5000, "a\0b", ""])
def test_what_is_not_there_is_not_found(tmp_path, name):
    assert find_file(tmp_path, name) is None
    assert not is_file(tmp_path / name)
    assert is_folder(tmp_path / name) == (name == "")


def test_a_link_to_a_place_that_may_not_be_entered_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "a.png").touch()

    def entries(folder):
        class Entry:
            name = "secret"

            def is_dir(self):
                raise PermissionError

        return [Entry(), *scandir(folder)]

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", entries)
    assert files_below(tmp_path, {".png"}) == [tmp_path / "a.png"]

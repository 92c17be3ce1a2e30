import os
from pathlib import Path

import pytest

from hevitpose.core.errors import InputError
from hevitpose.io import atomic


@pytest.mark.parametrize(("content", "stored"), [("", b""), (b"\0\xff", b"\0\xff"), ("ä\n", "ä\n".encode())])
def test_a_file_and_its_folders_are_made(tmp_path, content, stored):
    path = tmp_path / "new" / "folder" / "a.txt"
    atomic.write(path, content)
    assert path.read_bytes() == stored
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("before", [None, b"old"])
@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (OSError(28, "No space left on device"), InputError),
        (OSError("encoder error"), InputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=str,
)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, before, failure, raised):
    path = tmp_path / "a.txt"
    if before:
        path.write_bytes(before)

    def fail(temporary):
        temporary.write_bytes(b"half of the n")
        raise failure

    with pytest.raises(raised):
        atomic.write_with(path, fail)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == ([("a.txt", before)] if before else [])


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def write(temporary):
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert temporary.parent == tmp_path

    atomic.write_with(path, write)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.txt", b"new")]


def test_a_writer_that_writes_nothing_leaves_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"old")
    with pytest.raises(InputError, match="No such file"):
        atomic.write_with(tmp_path / "a.txt", lambda _: None)
    assert (tmp_path / "a.txt").read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_the_mode_follows_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        atomic.write(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.skipif(os.name != "posix", reason="the paths are POSIX")
@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("afile", "a file is where a folder is needed"),
        ("afile/x", "Not a directory"),
        ("/proc/x", ""),
        ("/dev/full", ""),
    ],
)
def test_what_cannot_be_written_is_one_line(tmp_path, refused, folder, reason):
    (tmp_path / "afile").write_text("old")
    folder = tmp_path / folder
    with refused(folder, "cannot be written (", reason):
        atomic.refuse_unwritable(folder)
    with refused(folder / "a.txt", "cannot be written (", reason):
        atomic.write(folder / "a.txt", "text")


def test_asking_whether_a_folder_can_be_written_leaves_nothing(tmp_path):
    (tmp_path / "old").mkdir()
    for folder in ("old", "new/deeper"):
        atomic.refuse_unwritable(tmp_path / folder)
    assert [one.name for one in tmp_path.rglob("*")] == ["old"]


def test_names_as_long_as_they_may_be_and_names_that_are_no_utf8(tmp_path):
    atomic.write(tmp_path / ("a" * 255), "caf\udce9")
    assert (tmp_path / ("a" * 255)).read_bytes() == b"caf\xe9"
    with pytest.raises(InputError, match=r"cannot be written \(File name too long\)"):
        atomic.refuse_unwritable_file(tmp_path / ("a" * 256))


def test_an_input_is_never_written_over(tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "a.json"
    source.touch()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(source)
    (tmp_path / "in" / "hard").hardlink_to(source)
    for path in (source, Path("a.json"), Path("in/../a.json"), Path("in/link"), Path("in/hard")):
        with refused(path, "one of the inputs"):
            atomic.refuse_inputs([path], [tmp_path / "other", source])
    atomic.refuse_inputs([tmp_path / "new"], [source])


def test_outputs_are_not_even_listed_where_no_input_exists(tmp_path):
    outputs = iter([tmp_path / "a"])
    atomic.refuse_inputs(outputs, [tmp_path / "missing", tmp_path / ("a" * 300)])
    assert next(outputs) == tmp_path / "a"


@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_is_whole_or_not_there(tmp_path, existing):
    path = tmp_path / "new" / "set"
    if existing:
        path.mkdir(parents=True)

    def fail():
        with atomic.new_folder(path) as folder:
            (folder / "a").touch()
            raise InputError("a", "no")

    with pytest.raises(InputError, match="a: no"):
        fail()
    assert [p for p in tmp_path.rglob("*") if p.name != "new"] == ([path] if existing else [])
    with atomic.new_folder(path) as folder:
        (folder / "a").touch()
    assert sorted(path.parent.rglob("*")) == [path, path / "a"]
    with pytest.raises(InputError, match="cannot be written"), atomic.new_folder(path):
        pass


def test_a_disk_that_fills_at_any_byte_leaves_the_former_file(tmp_path, full_disk):
    path, content = tmp_path / "a.json", "x" * 300
    path.write_text("former")
    for size in range(len(content)):
        with pytest.raises(InputError, match="cannot be written"), full_disk(size):
            atomic.write(path, content)
        assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "former"
    with full_disk(len(content)):
        atomic.write(path, content)
    assert path.read_text() == content


def test_a_disk_that_fills_leaves_no_part_of_a_folder(tmp_path, full_disk):
    def fill():
        with atomic.new_folder(tmp_path / "set") as folder:
            (folder / "a").write_bytes(b"x")
            (folder / "b").write_bytes(b"x" * 30)

    for size in range(0, 30, 7):
        with pytest.raises(InputError, match="cannot be written"), full_disk(size):
            fill()
        assert list(tmp_path.iterdir()) == []

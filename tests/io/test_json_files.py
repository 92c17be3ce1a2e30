import pytest

from hevitpose.io.json_files import first_character, read_csv, read_json, read_text, read_toml, read_yaml


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("read", "text", "content"),
    [
        (read_text, "é\r\n", "é\r\n"),
        (read_json, '{"é": [1]}', {"é": [1]}),
        (read_toml, 'a = "é"\r\nb = 1', {"a": "é", "b": 1}),
        (read_yaml, "train: é", {"train": "é"}),
        (read_csv, 'scorer,"é\n2"\r\n1,2\n', [["scorer", "é\n2"], ["1", "2"]]),
    ],
)
def test_a_byte_order_mark_is_passed_over(tmp_path, encoding, read, text, content):
    (tmp_path / "file").write_bytes(text.encode(encoding))
    assert read(tmp_path / "file") == content


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("text", "first"), [("\n [1]", "["), ("{", "{"), ("é", "é"), ("", ""), ("é" * 999, "é")])
def test_the_first_character_is_found_behind_mark_and_spaces(tmp_path, encoding, text, first):
    (tmp_path / "file").write_bytes(text.encode(encoding))
    assert first_character(tmp_path / "file") == first
    assert first_character(tmp_path / "none") == first_character(tmp_path) == ""


@pytest.mark.parametrize(
    ("read", "content", "reason"),
    [
        (read_text, b"\xff\xff", "cannot be read as text"),
        (read_json, b"{", "not valid JSON"),
        (read_json, b"[" * 100_000, "not valid JSON"),
        (read_toml, b"[a", "not valid TOML"),
        (read_yaml, b"a: [", "not valid YAML"),
        (read_yaml, b"- 1", "not a table"),
        (read_csv, b"a,\x00\n" + b"b" * 200_000, "not valid CSV"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, refused, read, content, reason):
    for source, words in ((tmp_path / "none", "no such file"), (tmp_path, "is a folder, not a file")):
        with refused(source, words):
            read(source)
    (tmp_path / "file").write_bytes(content)
    with refused(tmp_path / "file", reason):
        read(tmp_path / "file")

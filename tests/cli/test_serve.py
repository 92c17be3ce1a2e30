"""Who may start `hevitpose serve`, and with which token."""

import pytest

from hevitpose.cli.serve import read_token, serve
from hevitpose.core.errors import InputError
from hevitpose.serve.settings import is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.org"])
def test_an_address_that_others_reach_demands_a_token(host):
    with pytest.raises(InputError, match="--token-file"):
        serve(host=host, token_file=None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_alone_needs_none(host):
    assert is_loopback(host)


@pytest.mark.parametrize("text", ["", "short", "two words that are long enough", "sechzehn_Zeichen_ü"])
def test_a_token_is_one_long_word(tmp_path, text):
    (tmp_path / "token").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="must hold a token"):
        read_token(tmp_path / "token")
    (tmp_path / "token").write_text("sixteen_letters_\n")
    assert read_token(tmp_path / "token") == "sixteen_letters_"

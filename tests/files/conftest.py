from contextlib import contextmanager

import pytest

from hevitpose.core.errors import InputError


@pytest.fixture
def refused():
    """Expects an InputError of one line that begins with the file and holds the given words."""

    @contextmanager
    def about(source, *words):
        with pytest.raises(InputError) as error:
            yield
        text = str(error.value)
        assert text.startswith(f"{source}: ")
        assert "\n" not in text
        assert [word for word in words if word not in text] == [], text

    return about

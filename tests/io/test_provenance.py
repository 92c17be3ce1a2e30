"""Where a number comes from."""

from pathlib import Path

import pytest

from hevitpose.io.provenance import processor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512f avx512_bf16\n",
            "AVX2, AVX-512, AVX-512 BF16",
        ),
        ("model name\t: Intel Atom\nflags\t\t: fpu sse2\n", None),
    ],
)
def test_the_processor_is_named_with_its_instructions(
    text: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda _: text)
    name = "AMD EPYC" if expected else "Intel Atom"
    assert processor() == (f"{name} with {expected}" if expected else name)

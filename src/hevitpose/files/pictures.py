"""Reading and writing pictures, and cutting crops out of them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.person import PictureFile
from hevitpose.files import atomic

Picture = NDArray[np.uint8]
"""RGB (H, W, 3), upright."""

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tga", ".tif", ".tiff"}
    | {".webp"}
)
"""What is taken for a picture in a folder."""
MAX_MEGAPIXELS = 300
"""Larger ones would need gigabytes; Pillow's own limit is below what cameras take."""
PROGRAMS = ("EPS",)
"""Formats that are programs: Pillow would have Ghostscript run them."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture of this EXIF orientation upright."""
_ON_THEIR_SIDE = (5, 6, 7, 8)
_CHANGING_PROCESS = Lock()


def read(source: PictureFile | str | PathLike[str]) -> Picture:
    """The picture as RGB, turned upright by its EXIF orientation.

    16-bit, palette, grey and CMYK pictures become 8-bit RGB; what is transparent becomes white.
    Raises InputError where the file is missing, broken or no picture.
    """
    file = source if isinstance(source, PictureFile) else PictureFile(Path(source).name, Path(source).parent)
    with _one_line_errors(file), _identified(_content(file)) as image:
        image.load()
        return np.asarray(_rgb(_upright(image)))


def write_png(path: Path, picture: Picture) -> None:
    """Write the picture (H, W, 3). Raises InputError."""
    atomic.write_with(path, lambda temporary: Image.fromarray(picture).save(temporary, format="PNG"))


class Look(NamedTuple):
    """Width and height of a picture upright and as it is stored, and its EXIF orientation, 1 where it has none."""

    upright: tuple[int, int]
    stored: tuple[int, int]
    orientation: int


def read_size(file: PictureFile) -> tuple[tuple[int, int], tuple[int, int]]:
    """Width and height of the upright picture, and as it is stored: of the header alone. Raises InputError."""
    with _one_line_errors(file), _identified(_content(file)) as image:
        return _look(image)[:2]


def look(file: PictureFile) -> Look:
    """What `read_size` says and more, once every pixel could be decoded. Raises InputError."""
    with _one_line_errors(file), _identified(_content(file)) as image:
        image.load()
        return _look(image)


def _look(image: Image.Image) -> Look:
    orientation = _orientation(image)
    return Look(image.size[::-1] if orientation in _ON_THEIR_SIDE else image.size, image.size, orientation)


def read_bytes(file: PictureFile) -> bytes:
    """The file as it is. Raises InputError."""
    with _one_line_errors(file):
        content = _content(file)
        return content.getvalue() if isinstance(content, BytesIO) else content.read_bytes()


@contextmanager
def _one_line_errors(file: PictureFile) -> Iterator[None]:
    """Whatever reading this picture raises, as InputError."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(str(file), "no such file") from error
    except IsADirectoryError as error:
        raise InputError(str(file), "is a folder") from error
    except UnidentifiedImageError as error:
        raise InputError(str(file), "not a picture in a known format") from error
    except Image.DecompressionBombError as error:
        raise InputError(str(file), f"picture too large: {error}") from error
    except Exception as error:  # On a broken file the decoders of Pillow and of zipfile raise nearly every type.
        raise InputError(str(file), f"cannot be read as a picture ({' '.join(str(error).split())})") from error


def _content(file: PictureFile) -> Path | BytesIO:
    if file.archive is None:
        return file.folder / file.name
    try:
        return BytesIO(_archive(file.folder / file.archive).read(file.name))
    except KeyError as error:
        raise InputError(str(file), "no such file in this archive") from error


@lru_cache(maxsize=8)
def _archive(path: Path) -> ZipFile:
    return ZipFile(path)


def _identified(content: Path | BytesIO) -> Image.Image:
    """The picture with its header read. Raises DecompressionBombError where it is too large."""
    # Filters of warnings and Pillow's limit belong to the process: threads that change them must take turns.
    with _CHANGING_PROCESS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(content)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    if image.width * image.height > MAX_MEGAPIXELS * 1e6:
        image.close()
        raise Image.DecompressionBombError(f"{image.width} x {image.height}, above {MAX_MEGAPIXELS} megapixels")
    if image.format in PROGRAMS:
        image.close()
        raise UnidentifiedImageError
    return image


def _upright(image: Image.Image) -> Image.Image:
    # ImageOps.exif_transpose also writes the EXIF data anew, and fails on many a photo whose data are damaged.
    turn = _UPRIGHT.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return orientation if orientation in _UPRIGHT else 1
    except Exception:  # Damaged EXIF data raise nearly every type; the picture itself is whole.
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _from_deep(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """One channel of 16 bits (0 to 65535) or of floats (0 to 1, else 0 to 255) as 8-bit RGB."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0, posinf=0, neginf=0)
    top = 65535 if image.mode.startswith("I") else (1 if values.max(initial=0) <= 1 else 255)
    grey = (np.clip(values / top, 0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def cut(picture: Picture, matrix: geometry.Floats, size_hw: tuple[int, int]) -> Picture:
    """The crop (h, w, 3) that the affine `matrix` (2, 3) from picture to crop pixels gives, black outside the picture.

    Bilinear; where the crop has half the picture's resolution or less, whole blocks of pixels are averaged first.
    """
    height, width = size_hw
    to_picture = geometry.inverse(matrix)
    corners = geometry.transform(to_picture, np.array([[-0.5, -0.5], [width, -0.5], [-0.5, height], [width, height]]))
    shrinking = np.sqrt(abs(np.linalg.det(to_picture[:, :2])))
    size_wh = np.array(picture.shape[1::-1])
    block = int(np.clip(shrinking, 1, size_wh.max()))
    # A margin of two blocks keeps every pixel that bilinear interpolation looks at.
    low = np.clip(np.floor(corners.min(axis=0)) - 2 * block, 0, size_wh).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 2 * block + 1, 0, size_wh).astype(int)
    if (high <= low).any():
        return np.zeros((height, width, 3), dtype=np.uint8)
    image = _reduced(picture[low[1] : high[1], low[0] : high[0]], block)
    # From pixel centres of the crop to pixel edges of the cut and reduced image, which is how Pillow counts.
    linear = to_picture[:, :2] / block
    offset = (to_picture[:, 2] + 0.5 - low) / block - linear.sum(axis=1) / 2
    coefficients = (*linear[0], offset[0], *linear[1], offset[1])
    return np.asarray(image.transform((width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR))


def _reduced(picture: Picture, block: int) -> Image.Image:
    """The means of blocks of `block` x `block` pixels, black beyond the right and the lower edge."""
    image = Image.fromarray(picture)
    if block == 1:
        return image
    means = np.array(image.reduce(block))
    # Pillow averages what is left for the last block of a row; as a whole block that would stretch the picture.
    rows, columns = (size % block / block for size in picture.shape[:2])
    if rows:
        means[-1] = np.rint(rows * means[-1])
    if columns:
        means[:, -1] = np.rint(columns * means[:, -1])
    return Image.fromarray(means)

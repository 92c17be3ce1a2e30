"""Reading and writing images, and cutting crops out of them."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from io import BytesIO
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, UnidentifiedImageError
from PIL import Image as PILImage
from PIL.PngImagePlugin import PngInfo

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.labels import ImageFile
from hevitpose.io import atomic

Image = NDArray[np.uint8]
"""RGB (H, W, 3), upright."""

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tga", ".tif", ".tiff"}
    | {".webp"}
)
"""What is taken for an image in a folder."""
HEIC = frozenset({".heic", ".heif"})
"""Read where pillow-heif is installed."""
MAX_MEGAPIXELS = 300
"""Larger ones would need gigabytes; Pillow's own limit is below what cameras take."""
BLANK_MEGAPIXELS, MAX_PIXELS_PER_BYTE = 30, 1000
"""A larger image that is smaller a file is blank, or its header was made to exhaust memory."""
PROGRAMS = ("EPS",)
"""Formats that are programs: Pillow would have Ghostscript run them."""
_UPRIGHT = {
    2: PILImage.Transpose.FLIP_LEFT_RIGHT,
    3: PILImage.Transpose.ROTATE_180,
    4: PILImage.Transpose.FLIP_TOP_BOTTOM,
    5: PILImage.Transpose.TRANSPOSE,
    6: PILImage.Transpose.ROTATE_270,
    7: PILImage.Transpose.TRANSVERSE,
    8: PILImage.Transpose.ROTATE_90,
}
"""What turns an image of this EXIF orientation upright."""
_ON_THEIR_SIDE = (5, 6, 7, 8)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_JPEG_END = b"\xff\xd9"
WHITE_IS_ZERO = 0
"""The photometric interpretation of a TIFF whose lowest values are white."""
FULL_SCALES = (255, 4095, 65535)
"""Images deeper than 8 bits are scaled by the first of these that holds them, floats by 1 if that does."""
BRIGHTEST_SHARE = 0.001
OVERSHOOT = 1.25
"""A scale holds an image if all but this share of its pixels are below this times the scale."""
DARKEST = 16
"""What has no brighter pixel is nearly black, as 12 bits in 16 are where Pillow takes the upper 8 (in colour)."""
_CHANGING_PROCESS = Lock()
logger = logging.getLogger(__name__)


def read(source: ImageFile | str | PathLike[str]) -> Image:
    """The image as RGB, turned upright by its EXIF orientation.

    Palette, grey and CMYK images become 8-bit RGB; what is transparent becomes white. 16 and 32 bits and floats are
    scaled by `FULL_SCALES`. Of several images in a file (GIF, TIFF) the first is read, with a warning in the log; so is
    an image that is nearly black or white.
    Raises InputError where the file is missing, broken or not an image.
    """
    file = source if isinstance(source, ImageFile) else ImageFile(Path(source).name, Path(source).parent)
    with _one_line_errors(file), _identified(_content(file)) as image:
        if (frames := _frames(image)) > 1:
            logger.warning("%s: holds %d images; the first is used", file, frames)
        pixels = np.asarray(_upright_rgb(_loaded(image, _content(file))))
    if pixels.max() < DARKEST or pixels.min() > 255 - DARKEST:
        logger.warning("%s: is nearly %s", file, "black" if pixels.max() < DARKEST else "white")
    return pixels


def decode(
    source: bytes | PILImage.Image,
    name: str = "image",
    max_megapixels: float = MAX_MEGAPIXELS,
    formats: tuple[str, ...] | None = None,
) -> Image:
    """The image of a file's bytes, or of Pillow, as `read` gives it; `name` is for errors.

    Bytes in another format of Pillow than one of `formats`, or with more pixels, are refused before they are decoded.
    Raises InputError.
    """
    with _one_line_errors(ImageFile(name, Path())):
        if isinstance(source, bytes):
            content = BytesIO(source)
            image = _loaded(_identified(content, max_megapixels, formats), content)
        else:
            image = source
            if not (image.width and image.height):
                raise InputError(name, "has no pixels")
            image.load()
        return np.asarray(_upright_rgb(image))


DRAWING = "hevitpose drawing"
"""What stands in the header of a PNG that is a drawing on another image."""
HEADER = 200
"""The bytes that hold it."""


def write_png(path: Path, image: Image, is_drawing: bool = False) -> None:
    """Write the image (H, W, 3); a drawing says so in its header. Raises InputError."""
    text = PngInfo()
    if is_drawing:
        text.add_text("Comment", DRAWING)
    atomic.write_with(path, lambda temporary: PILImage.fromarray(image).save(temporary, format="PNG", pnginfo=text))


def is_drawing(path: Path) -> bool:
    """Whether this is a PNG that `write_png` wrote as a drawing; False where the file cannot be read."""
    if path.suffix.lower() != ".png":
        return False
    try:
        with path.open("rb") as file:
            return DRAWING.encode() in file.read(HEADER)
    except OSError:
        return False


class Look(NamedTuple):
    """What `look` says of an image: width and height upright and as stored, EXIF orientation (else 1), how many."""

    upright: tuple[int, int]
    stored: tuple[int, int]
    orientation: int
    frames: int = 1


def read_size(file: ImageFile) -> tuple[int, int]:
    """Width and height of the upright image: of the header alone. Raises InputError."""
    with _one_line_errors(file), _identified(_content(file)) as image:
        return _look(image).upright


def look(file: ImageFile) -> Look:
    """What `read_size` says and more, once every pixel could be decoded. Raises InputError."""
    with _one_line_errors(file), _identified(_content(file)) as image:
        frames = _frames(image)
        _loaded(image, _content(file))
        return _look(image)._replace(frames=frames)


def _look(image: PILImage.Image) -> Look:
    # Pillow turns the size of a TIFF when it opens it, and the pixels when it loads them.
    orientation = 1 if image.format == "TIFF" else _orientation(image)
    return Look(image.size[::-1] if orientation in _ON_THEIR_SIDE else image.size, image.size, orientation)


def read_bytes(file: ImageFile) -> bytes:
    """The file as it is. Raises InputError."""
    with _one_line_errors(file):
        content = _content(file)
        return content.getvalue() if isinstance(content, BytesIO) else content.read_bytes()


def _frames(image: PILImage.Image) -> int:
    """How many images the file holds; the preview in a phone's JPEG does not count."""
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _loaded(image: PILImage.Image, content: Path | BytesIO) -> PILImage.Image:
    """The image, all its pixels decoded; a JPEG may lack its end marker and nothing else."""
    try:
        image.load()
    except OSError:
        whole = _with_end_marker(content) if image.format == "JPEG" else None
        if whole is None:
            raise
        return whole
    return image


def _with_end_marker(content: Path | BytesIO) -> PILImage.Image | None:
    """The JPEG with an end marker appended; None where pixels are missing too."""
    data = content.getvalue() if isinstance(content, BytesIO) else content.read_bytes()
    data = data.removesuffix(_JPEG_END[:1])
    # Bytes before the marker are skipped after the last pixel; if one is missing, they are decoded into it.
    fillers = (b"", b"\x55" * 64, b"\xaa\x13" * 32)
    first, *others = (_identified(BytesIO(data + filler + _JPEG_END)) for filler in fillers)
    try:
        return first if all(other.tobytes() == first.tobytes() for other in others) else None
    except OSError:
        return None


@contextmanager
def _one_line_errors(file: ImageFile) -> Iterator[None]:
    """Whatever reading this image raises, as InputError."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(str(file), "no such file") from error
    except IsADirectoryError as error:
        raise InputError(str(file), "is a folder") from error
    except UnidentifiedImageError as error:
        raise InputError(str(file), "not an image in a known format") from error
    except EmptyFileError as error:
        raise InputError(str(file), "is empty") from error
    except HeicError as error:
        raise InputError(str(file), "an image in HEIC: convert it to JPEG, or pip install pillow-heif") from error
    except PILImage.DecompressionBombError as error:
        raise InputError(str(file), f"image too large: {error}") from error
    except Exception as error:  # On a broken file the decoders of Pillow and of zipfile raise nearly every type.
        raise InputError(str(file), f"cannot be read as an image ({' '.join(str(error).split())})") from error


def _content(file: ImageFile) -> Path | BytesIO:
    if file.archive is None:
        return file.folder / file.name
    try:
        return BytesIO(_archive(file.folder / file.archive).read(file.name))
    except KeyError as error:
        raise InputError(str(file), "no such file in this archive") from error


@lru_cache(maxsize=8)
def _archive(path: Path) -> ZipFile:
    return ZipFile(path)


def _identified(
    content: Path | BytesIO, max_megapixels: float = MAX_MEGAPIXELS, formats: tuple[str, ...] | None = None
) -> PILImage.Image:
    """The image with its header read. Raises DecompressionBombError where it is too large."""
    # Filters of warnings and Pillow's limit belong to the process: threads that change them must take turns.
    with _CHANGING_PROCESS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, PILImage.MAX_IMAGE_PIXELS = PILImage.MAX_IMAGE_PIXELS, None
        try:
            image = _opened(content, formats)
        finally:
            PILImage.MAX_IMAGE_PIXELS = limit
    if image.width * image.height > max_megapixels * 1e6:
        image.close()
        raise PILImage.DecompressionBombError(f"{image.width} x {image.height}, above {max_megapixels:g} megapixels")
    size = len(content.getbuffer()) if isinstance(content, BytesIO) else content.stat().st_size
    if image.width * image.height > max(BLANK_MEGAPIXELS * 1e6, MAX_PIXELS_PER_BYTE * size):
        image.close()
        raise PILImage.DecompressionBombError(f"{image.width} x {image.height} in {size} bytes")
    if image.format in PROGRAMS:
        image.close()
        raise UnidentifiedImageError
    return image


def _opened(content: Path | BytesIO, formats: tuple[str, ...] | None) -> PILImage.Image:
    try:
        return PILImage.open(content, formats=formats)
    except UnidentifiedImageError:
        head = content.getvalue()[:12] if isinstance(content, BytesIO) else _head(content)
        if not head:
            raise EmptyFileError from None
        if head[4:8] != b"ftyp" or head[8:] not in _HEIC_BRANDS:
            raise
    if not reads_heic():
        raise HeicError
    return PILImage.open(content, formats=formats)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)


class EmptyFileError(Exception):
    """A file without a byte."""


class HeicError(Exception):
    """An image in HEIC, without pillow-heif."""


@lru_cache(maxsize=1)
def reads_heic() -> bool:
    """Whether HEIC images can be read: pillow-heif is installed."""
    try:
        import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return False
    return True


def _upright_rgb(image: PILImage.Image) -> PILImage.Image:
    # ImageOps.exif_transpose also rewrites the EXIF data, which fails for photos with damaged data.
    rgb, turn = _rgb(image), _UPRIGHT.get(_orientation(image))
    return rgb if turn is None else rgb.transpose(turn)


def _orientation(image: PILImage.Image) -> int:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return orientation if orientation in _UPRIGHT else 1
    except Exception:  # Damaged EXIF data raise nearly every type; the image itself is whole.
        return 1


def _rgb(image: PILImage.Image) -> PILImage.Image:
    if image.mode.startswith(("I", "F")):
        return _from_deep(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = PILImage.new("RGBA", image.size, "white")
        return PILImage.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_deep(image: PILImage.Image) -> PILImage.Image:
    """One channel of 16 or 32 bits or of floats as 8-bit RGB, scaled by `full_scale`."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0, posinf=0, neginf=0)
    grey = (np.clip(values / full_scale(values, image.mode == "F"), 0, 1) * 255).round().astype(np.uint8)
    tags = getattr(image, "tag_v2", {})
    if tags.get(ExifTags.Base.PhotometricInterpretation) == WHITE_IS_ZERO:  # Pillow inverts 8 bits alone
        grey = 255 - grey
    return PILImage.fromarray(grey).convert("RGB")


def resize(image: Image, size_hw: tuple[int, int]) -> Image:
    """The whole image at another size; bilinear, with averaging where it shrinks."""
    return np.asarray(PILImage.fromarray(image).resize(size_hw[::-1], PILImage.Resampling.BILINEAR))


def full_scale(values: NDArray[np.floating], floats: bool) -> float:
    """The value that becomes white: 1 (floats), 255, 4095 or 65535, the first that holds the image, else its brightest.

    >>> full_scale(np.array([0.0, 900, 4000]), floats=False)
    4095.0
    """
    if not values.size:
        return 1.0
    brightest = float(np.quantile(values, 1 - BRIGHTEST_SHARE, method="higher"))
    scales = (1, *FULL_SCALES) if floats else FULL_SCALES
    return float(next((scale for scale in scales if brightest <= OVERSHOOT * scale), brightest))


def cut(image: Image, matrix: geometry.Floats, size_hw: tuple[int, int]) -> Image:
    """The crop (h, w, 3) that the affine `matrix` (2, 3) from image to crop pixels gives, black outside the image.

    Bilinear; where the crop has half the image's resolution or less, whole blocks of pixels are averaged first.
    """
    height, width = size_hw
    to_image = geometry.inverse(matrix)
    corners = geometry.transform(to_image, np.array([[-0.5, -0.5], [width, -0.5], [-0.5, height], [width, height]]))
    shrinking = np.sqrt(abs(np.linalg.det(to_image[:, :2])))
    size_wh = np.array(image.shape[1::-1])
    block = int(np.clip(shrinking, 1, size_wh.max()))
    # A margin of two blocks keeps every pixel that bilinear interpolation looks at.
    low = np.clip(np.floor(corners.min(axis=0)) - 2 * block, 0, size_wh).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 2 * block + 1, 0, size_wh).astype(int)
    if (high <= low).any():
        return np.zeros((height, width, 3), dtype=np.uint8)
    reduced = _reduced(image[low[1] : high[1], low[0] : high[0]], block)
    # From pixel centres of the crop to pixel edges of the reduced cut-out, which is how Pillow counts.
    linear = to_image[:, :2] / block
    offset = (to_image[:, 2] + 0.5 - low) / block - linear.sum(axis=1) / 2
    coefficients = (*linear[0], offset[0], *linear[1], offset[1])
    return np.asarray(
        reduced.transform((width, height), PILImage.Transform.AFFINE, coefficients, PILImage.Resampling.BILINEAR)
    )


def _reduced(image: Image, block: int) -> PILImage.Image:
    """The means of blocks of `block` x `block` pixels, black beyond the right and the lower edge."""
    reduced = PILImage.fromarray(image)
    if block == 1:
        return reduced
    means = np.array(reduced.reduce(block))
    # Pillow averages what is left for the last block of a row; as a whole block that would stretch the image.
    rows, columns = (size % block / block for size in image.shape[:2])
    if rows:
        means[-1] = np.rint(rows * means[-1])
    if columns:
        means[:, -1] = np.rint(columns * means[:, -1])
    return PILImage.fromarray(means)

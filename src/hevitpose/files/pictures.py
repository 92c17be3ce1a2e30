"""Reading and writing pictures, and cutting crops out of them."""

import warnings
from functools import lru_cache
from io import BytesIO
from os import PathLike
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.person import PictureFile

Picture = NDArray[np.uint8]
"""RGB (H, W, 3), upright."""


def read(source: PictureFile | str | PathLike[str]) -> Picture:
    """The picture as RGB, turned upright by its EXIF orientation.

    16-bit, palette, grey and CMYK pictures become 8-bit RGB; what is transparent becomes white.
    Raises InputError where the file is missing, broken or no picture.
    """
    file = source if isinstance(source, PictureFile) else PictureFile(Path(source).name, Path(source).parent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(_open(file)) as image:
                image.load()
                return np.asarray(_rgb(ImageOps.exif_transpose(image)))
    except FileNotFoundError as error:
        raise InputError(str(file), "no such file") from error
    except KeyError as error:
        raise InputError(str(file), "no such file in this archive") from error
    except IsADirectoryError as error:
        raise InputError(str(file), "is a folder") from error
    except UnidentifiedImageError as error:
        raise InputError(str(file), "not a picture in a known format") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(str(file), f"picture too large to be read safely ({error})") from error
    except (OSError, ValueError, SyntaxError, EOFError, BadZipFile) as error:
        raise InputError(str(file), f"cannot be read as a picture ({error})") from error


def _open(file: PictureFile) -> Path | BytesIO:
    if file.archive is None:
        return file.folder / file.name
    return BytesIO(_archive(file.folder / file.archive).read(file.name))


@lru_cache(maxsize=8)
def _archive(path: Path) -> ZipFile:
    return ZipFile(path)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _from_deep(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """One channel of 16 bits (0 to 65535) or of floats (0 to 1, else 0 to 255) as 8-bit RGB."""
    values = np.asarray(image, dtype=np.float64)
    top = 65535 if image.mode.startswith("I") else (1 if values.max(initial=0) <= 1 else 255)
    grey = np.nan_to_num(np.clip(values / top, 0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def cut(picture: Picture, matrix: geometry.Floats, size_hw: tuple[int, int]) -> Picture:
    """The crop (h, w, 3) that the affine `matrix` (2, 3) from picture to crop pixels gives, black outside the picture.

    Bilinear; where the crop shrinks the picture, whole blocks of pixels are averaged first.
    """
    height, width = size_hw
    to_picture = geometry.inverse(matrix)
    corners = geometry.transform(to_picture, np.array([[-0.5, -0.5], [width, -0.5], [-0.5, height], [width, height]]))
    shrinking = np.sqrt(abs(np.linalg.det(to_picture[:, :2])))
    block = max(1, int(shrinking))
    # A margin of two blocks keeps every pixel that bilinear interpolation looks at.
    low = np.maximum(np.floor(corners.min(axis=0)) - 2 * block, 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)) + 2 * block + 1, picture.shape[1::-1]).astype(int)
    if (high <= low).any():
        return np.zeros((height, width, 3), dtype=np.uint8)
    image = Image.fromarray(picture[low[1] : high[1], low[0] : high[0]])
    if block > 1:
        image = image.reduce(block)
    # From pixel centres of the crop to pixel edges of the cut and reduced image, which is how Pillow counts.
    linear = to_picture[:, :2] / block
    offset = (to_picture[:, 2] + 0.5 - low) / block - linear.sum(axis=1) / 2
    coefficients = (*linear[0], offset[0], *linear[1], offset[1])
    return np.asarray(image.transform((width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR))

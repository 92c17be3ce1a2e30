import struct
import sys
import warnings
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from hevitpose.core import geometry
from hevitpose.core.labels import ImageFile
from hevitpose.io import images

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
# Blocks of 16 pixels, so that JPEG's own blocks keep their colours.
UPRIGHT = np.array([[RED, GREEN, BLUE], [WHITE, (0, 0, 0), (90, 160, 230)]], dtype=np.uint8).repeat(16, 0).repeat(16, 1)
# EXIF 2.32, 4.6.4: at which side of the scene the first row and the first column of the file lie.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright[:, ::-1].swapaxes(0, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: upright[::-1].swapaxes(0, 1),
}


def encoded(image, kind, **options):
    content = BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("JPEG", {"quality": 100, "subsampling": 0})], ids=str
)
def test_every_exif_orientation_is_turned_upright(tmp_path, orientation, kind, options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT)))
    (tmp_path / "photo").write_bytes(encoded(stored, kind, exif=exif, **options))
    image = images.read(tmp_path / "photo")
    assert (image.shape, image.dtype) == (UPRIGHT.shape, np.uint8)
    assert np.abs(image.astype(int) - UPRIGHT).max() <= (2 if kind == "JPEG" else 0)


def exif_block(*entries):
    """EXIF data of the given entries of a TIFF directory: tag, type, count, value."""
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<III", 0, 1, 1)


@pytest.mark.parametrize(
    ("exif", "stored_as"),
    [
        (b"Exif\0\0", 1),
        (b"Exif\0\0nonsense", 1),
        (exif_block((0x0112, 3, 1, 9)), 1),
        (exif_block((0x0112, 2, 3, 0x414141)), 1),
        # The camera's make as a fraction: nothing that reads it can write it again.
        (exif_block((0x010F, 5, 1, 38), (0x0112, 3, 1, 6)), 6),
    ],
    ids=["empty", "nonsense", "unknown", "text", "make"],
)
def test_damaged_exif_data_do_not_hide_the_image(tmp_path, exif, stored_as):
    stored = Image.fromarray(np.ascontiguousarray(STORED[stored_as](UPRIGHT)))
    (tmp_path / "photo.png").write_bytes(encoded(stored, "PNG", exif=exif))
    assert (images.read(tmp_path / "photo.png") == UPRIGHT).all()


def in_mode(mode, *pixels, palette=None):
    image = Image.new(mode, (len(pixels), 1))
    image.putdata(pixels)
    if palette:
        image.putpalette([value for color in palette for value in color])
    return image


def deep(*values, kind):
    return Image.fromarray(np.array([values], dtype=kind))


def grey(*values):
    return [(value,) * 3 for value in values]


COLORS = [(200, 10, 30), GREEN, BLUE]


@pytest.mark.parametrize(
    ("image", "kind", "options", "expected"),
    [
        (in_mode("RGB", *COLORS), "PNG", {}, COLORS),
        (in_mode("RGB", *COLORS), "PNG", {"transparency": GREEN}, [COLORS[0], WHITE, BLUE]),
        (in_mode("RGBA", (*RED, 255), (*RED, 0), (*RED, 51)), "PNG", {}, [RED, WHITE, (255, 204, 204)]),
        (in_mode("P", 0, 2, 1, palette=COLORS), "PNG", {}, [COLORS[0], BLUE, GREEN]),
        (in_mode("P", 0, 2, 1, palette=COLORS), "PNG", {"transparency": 2}, [COLORS[0], WHITE, GREEN]),
        (in_mode("P", 0, 2, 1, palette=COLORS), "GIF", {"transparency": 2}, [COLORS[0], WHITE, GREEN]),
        (
            in_mode("P", 0, 2, 1, palette=COLORS),
            "PNG",
            {"transparency": bytes([255, 51, 0])},
            [COLORS[0], WHITE, (204, 255, 204)],
        ),
        (in_mode("L", 0, 100, 255), "PNG", {}, grey(0, 100, 255)),
        (in_mode("LA", (100, 255), (100, 0), (100, 51)), "PNG", {}, grey(100, 255, 224)),
        (in_mode("1", 0, 255, 0), "PNG", {}, grey(0, 255, 0)),
        (deep(0, 100 * 257, 65535, kind=np.uint16), "PNG", {}, grey(0, 100, 255)),
        (deep(0, 100 * 257, 65535, kind=np.uint16), "TIFF", {}, grey(0, 100, 255)),
        (deep(0, 100 * 257, 65535, kind=np.uint16), "TIFF", {"tiffinfo": {262: 0}}, grey(255, 155, 0)),
        (deep(0, 100 * 257, 70000, kind=np.int32), "TIFF", {}, grey(0, 100, 255)),
        (deep(0, 0.4, 1, kind=np.float32), "TIFF", {}, grey(0, 102, 255)),
        (deep(0, 102.2, 300, kind=np.float32), "TIFF", {}, grey(0, 102, 255)),
        (deep(np.nan, 0.4, np.inf, kind=np.float32), "TIFF", {}, grey(0, 102, 0)),
        (deep(0, 1638, 4095, kind=np.uint16), "PNG", {}, grey(0, 102, 255)),
        (deep(0, 1638, 4095, kind=np.float32), "TIFF", {}, grey(0, 102, 255)),
        (deep(0, 102, 255, kind=np.int32), "TIFF", {}, grey(0, 102, 255)),
        (deep(0, 2**29, 2**30, kind=np.int32), "TIFF", {}, grey(0, 128, 255)),
    ],
)
def test_every_kind_of_pixel_becomes_rgb(tmp_path, image, kind, options, expected):
    (tmp_path / "photo").write_bytes(encoded(image, kind, **options))
    read_back = images.read(tmp_path / "photo")
    assert read_back.dtype == np.uint8
    assert read_back.tolist() == [[list(color) for color in expected]]


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [("CMYK", (0, 255, 255, 0), RED), ("CMYK", (0, 0, 0, 255), (0, 0, 0)), ("L", 90, (90,) * 3)],
)
def test_jpeg_without_rgb_becomes_rgb(tmp_path, mode, color, expected):
    (tmp_path / "photo.jpg").write_bytes(encoded(Image.new(mode, (24, 16), color), "JPEG"))
    image = images.read(tmp_path / "photo.jpg")
    assert image.shape == (16, 24, 3)
    assert np.abs(image.astype(int) - expected).max() <= 2


def png_of_size(width, height):
    """A PNG that says it is this large, and is not."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


PHOTO = Image.effect_noise((64, 48), 60).convert("RGB")
JPEG, PNG = encoded(PHOTO, "JPEG"), encoded(PHOTO, "PNG")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "is empty"),
        (b"not a photo\n" * 20, "not an image"),
        # A program for Ghostscript, which must not be run.
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n", "not an image"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (PNG[: len(PNG) // 2], "truncated"),
        (PNG[:100], "cannot be read"),
        (png_of_size(20_000, 15_001), "too large: 20000 x 15001, above 300 megapixels"),
        (png_of_size(30_000, 30_000), "too large"),
        (encoded(PHOTO, "TIFF")[:-3000], "cannot be read"),
    ],
    ids=["missing", "empty", "text", "eps", "jpeg", "png", "png-head", "large", "bomb", "tiff"],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_broken_image_is_one_line(tmp_path, refused, content, reason, zipped):
    if zipped:
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            archive.writestr("photos/b.jpg", JPEG)
            if content is not None:
                archive.writestr("photos/a.jpg", content)
        source = ImageFile("photos/a.jpg", tmp_path, "photos.zip")
        name = tmp_path / "photos.zip" / "photos/a.jpg"
    else:
        source = name = tmp_path / "a.jpg"
        if content is not None:
            source.write_bytes(content)
    with refused(name, reason):
        images.read(source)


def test_the_largest_photos_are_read_and_pillows_limit_stays(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of_size(20_000, 15_000) + bytes(300_000))
    before = Image.MAX_IMAGE_PIXELS
    assert images.read_size(ImageFile("a.png", tmp_path)) == (20_000, 15_000)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"optimize": True}])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_jpeg_may_lack_its_end_marker(tmp_path, options, lost):
    whole = encoded(PHOTO, "JPEG", **options)
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "cut.jpg").write_bytes(whole[:-lost])
    assert (images.read(tmp_path / "cut.jpg") == images.read(tmp_path / "whole.jpg")).all()
    assert images.look(ImageFile("cut.jpg", tmp_path)).upright == PHOTO.size


@pytest.mark.parametrize("lost", [5, 20, 200])
def test_a_jpeg_may_not_lack_pixels(tmp_path, refused, lost):
    (tmp_path / "cut.jpg").write_bytes(encoded(PHOTO, "JPEG")[:-lost])
    with refused(tmp_path / "cut.jpg", "truncated"):
        images.read(tmp_path / "cut.jpg")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG"])
def test_of_several_images_the_first_is_read_with_a_note(tmp_path, caplog, kind):
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, GREEN, BLUE)]
    (tmp_path / "photo").write_bytes(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert images.read(tmp_path / "photo")[0, 0].tolist() == list(RED)
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'photo'}: holds 3 images; the first is used"
    ]
    assert images.look(ImageFile("photo", tmp_path)).frames == 3


def test_a_small_file_with_a_huge_canvas_is_refused(tmp_path, refused):
    frames = [Image.new("RGB", (64, 48), color) for color in (RED, GREEN)]
    content = bytearray(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    content[24:30] = (16383).to_bytes(3, "little") * 2
    (tmp_path / "photo.webp").write_bytes(content)
    with refused(tmp_path / "photo.webp", f"too large: 16384 x 16384 in {len(content)} bytes"):
        images.read(tmp_path / "photo.webp")


@pytest.mark.parametrize(("value", "word"), [(15, "black"), (16, None), (239, None), (240, "white")])
def test_an_image_that_is_nearly_black_or_white_is_reported(tmp_path, caplog, value, word):
    Image.new("RGB", (8, 8), (value,) * 3).save(tmp_path / "photo.png")
    images.read(tmp_path / "photo.png")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ([f"{tmp_path / 'photo.png'}: is nearly {word}"] if word else [])


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def test_heic_is_named(tmp_path, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    images.reads_heic.cache_clear()
    (tmp_path / "photo.jpg").write_bytes(HEIC)
    with refused(tmp_path / "photo.jpg", "HEIC", "JPEG", "pillow-heif"):
        images.read(tmp_path / "photo.jpg")


def test_heic_is_read_where_pillow_heif_is_installed(tmp_path, monkeypatch):
    def register():
        Image.register_open("HEIF", lambda _, __: Image.new("RGB", (3, 2), RED), lambda head: head[4:12] == b"ftypheic")

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    images.reads_heic.cache_clear()
    (tmp_path / "photo.heic").write_bytes(HEIC)
    assert images.read(tmp_path / "photo.heic").tolist() == [[list(RED)] * 3] * 2
    images.reads_heic.cache_clear()


def test_a_folder_is_no_image(tmp_path, refused):
    with refused(tmp_path, "is a folder"):
        images.read(tmp_path)


def zip_of(content):
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", content)
    return bytearray(file.getvalue())


def test_a_image_in_an_archive_is_read(tmp_path):
    (tmp_path / "photos.zip").write_bytes(zip_of(encoded(Image.fromarray(UPRIGHT), "PNG")))
    assert (images.read(ImageFile("a.png", tmp_path, "photos.zip")) == UPRIGHT).all()


def locked():
    content = zip_of(PNG)
    for record, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(record) + flags] |= 1
    return content


def damaged():
    content = zip_of(PNG)
    content[200] ^= 255
    return content


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no such file"), (b"", "zip"), (b"PK\3\4 and no more", "zip"), (locked(), "password"), (damaged(), "CRC")],
    ids=["missing", "empty", "cut", "locked", "damaged"],
)
def test_a_broken_archive_is_one_line(tmp_path, refused, content, reason):
    if content is not None:
        (tmp_path / "photos.zip").write_bytes(content)
    with refused(tmp_path / "photos.zip" / "a.png", reason):
        images.read(ImageFile("a.png", tmp_path, "photos.zip"))


def test_reading_in_threads_leaves_the_filters_of_warnings_alone(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(Image.new("RGB", (2, 2)), "PNG"))
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(images.read, [tmp_path / "a.png"] * 400))) == 400
    assert warnings.filters == before


def wave(size_hw, axis, length_px):
    """An image that tells where one is: the angle of its red and green turns once in `length_px` along x or y."""
    along = np.indices(size_hw)[1 - axis] * (2 * np.pi / length_px)
    return np.rint(127 + 120.3 * np.stack([np.cos(along), np.sin(along), 0 * along], axis=-1)).astype(np.uint8)


# Pillow's bilinear cuts off what is below a whole level: the middle of 127 is half a level lower in a crop.
MIDDLE = 126.5
CROP_HW = (72, 56)


def grid(size_hw):
    y, x = np.indices(size_hw)
    return np.stack([x, y], axis=-1).reshape(-1, 2).astype(float)


@pytest.mark.parametrize("shrinking", [0.31, 1.0, 1.5, 2.7, 6.3])
@pytest.mark.parametrize(("rotation", "mirrored"), [(0, False), (0, True), (33, False), (-140, True)])
@pytest.mark.parametrize("center", [(240.3, 301.7), (31.0, 580.2)], ids=["inside", "corner"])
def test_every_pixel_of_a_crop_shows_its_place_in_the_image(shrinking, rotation, mirrored, center):
    height, width = size_hw = 613, 479
    box = geometry.box_from_center(center, np.array(CROP_HW[::-1]) * shrinking)
    matrix = geometry.crop_matrix(box, CROP_HW, rotation, mirrored)
    places = geometry.transform(geometry.inverse(matrix), grid(CROP_HW))
    to_edge = np.minimum(places + 0.5, [width - 0.5, height - 0.5] - places).min(axis=1) / shrinking
    inside, outside = to_edge > 2, to_edge < -1
    assert inside.any()
    for axis in (0, 1):
        length = 12 * max(1.0, shrinking)
        crop = images.cut(wave(size_hw, axis, length), matrix, CROP_HW).reshape(-1, 3).astype(float)
        angles = np.angle(
            (crop[:, 0] - MIDDLE + 1j * (crop[:, 1] - MIDDLE)) * np.exp(-2j * np.pi * places[:, axis] / length)
        )
        errors = angles[inside] / (2 * np.pi) * length / shrinking
        # In crop pixels; what is left of them is the rounding to 256 levels and the chord that bilinear draws.
        assert np.abs(errors).max() < 0.06
        assert abs(errors.mean()) < 0.02
        assert not crop[outside].any()


def test_a_crop_of_the_images_own_pixels_is_a_copy():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    matrix = geometry.crop_matrix([10, 5, 30, 35], (30, 20))
    assert (images.cut(image, matrix, (30, 20)) == image[5:35, 10:30]).all()


@pytest.mark.parametrize("center", [(-400, 20), (20, -400), (400, 20), (20, 400), (1e5, -1e5)])
@pytest.mark.parametrize("rotation", [0, 45])
@pytest.mark.parametrize("side", [5, 60, 300])
def test_outside_the_image_is_black(center, rotation, side):
    matrix = geometry.crop_matrix(geometry.box_from_center(center, (side, side)), (32, 32), rotation)
    crop = images.cut(np.full((41, 37, 3), 255, dtype=np.uint8), matrix, (32, 32))
    assert (crop.shape, crop.dtype, crop.max()) == ((32, 32, 3), np.uint8, 0)


@pytest.mark.parametrize("shrinking", [0.7, 1.5, 2.7, 5.9, 6.3, 11.5])
@pytest.mark.parametrize(("width", "height"), [(235, 259), (240, 264)])
def test_a_white_image_covers_as_much_of_the_crop_as_it_should(shrinking, width, height):
    side = 450
    size_hw = (round(side / shrinking),) * 2
    box = geometry.box_from_center((width / 2, height / 2), (shrinking * size_hw[0],) * 2)
    crop = images.cut(np.full((height, width, 3), 255, dtype=np.uint8), geometry.crop_matrix(box, size_hw, 20), size_hw)
    # An image that is one crop pixel too wide would be 4 % too large when shrunk by 11.5.
    assert crop.mean(axis=2).sum() / 255 * shrinking**2 == pytest.approx(width * height, rel=0.01)


@pytest.mark.parametrize("shrinking", [2.0, 2.7, 4.5, 6.3])
@pytest.mark.parametrize("rotation", [0, 30])
def test_shrinking_averages_a_checkerboard_to_grey(shrinking, rotation):
    board = np.indices((400, 400)).sum(axis=0) % 2 * np.uint8(255)
    box = geometry.box_from_center((199.7, 200.2), (32 * shrinking,) * 2)
    crop = images.cut(
        np.stack([board] * 3, axis=-1).astype(np.uint8), geometry.crop_matrix(box, (32, 32), rotation), (32, 32)
    )
    assert np.abs(crop.astype(float) - 127.5).max() < 2


@pytest.mark.parametrize("side", [1e-3, 1e5, 1e9, 1e30])
def test_a_box_of_any_size_gives_a_crop(side):
    image = np.full((30, 1, 3), 200, dtype=np.uint8)
    crop = images.cut(image, geometry.crop_matrix([0, 0, side, side], (16, 16)), (16, 16))
    assert crop.max() == (200 if side < 1 else 0)


@pytest.mark.parametrize(
    ("orientation", "upright"), [(1, (30, 20)), (3, (30, 20)), (5, (20, 30)), (6, (20, 30)), (8, (20, 30))]
)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_sizes_are_of_the_upright_image(tmp_path, name, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 20)).save(tmp_path / name, exif=exif)
    assert images.read_size(ImageFile(name, tmp_path)) == upright
    assert images.look(ImageFile(name, tmp_path)).upright == upright
    assert images.read(tmp_path / name).shape[1::-1] == upright


def test_a_image_is_written_and_read_back(tmp_path):
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    images.write_png(tmp_path / "new" / "a.png", image)
    assert (images.read(tmp_path / "new" / "a.png") == image).all()

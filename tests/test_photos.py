"""Photographs from a folder: found, turned, cropped; what is no photograph is named."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from ldm_core.data import photos
from ldm_core.images import load_png
from ldm_core.training.corpus import load_corpus


def test_squares_are_the_middles_of_photographs_large_enough(tmp_path):
    (tmp_path / "deeper").mkdir()
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[4:36, 14:46] = 200
    Image.fromarray(pixels).save(tmp_path / "deeper" / "a.png")
    Image.fromarray(pixels[:20]).save(tmp_path / "small.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (only,) = photos.squares(tmp_path, 10, 32)
    assert only.shape == (32, 32, 3) and (only == 200).all()


def test_a_large_photograph_is_made_smaller_first(tmp_path):
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[:, 150:250] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    (square,) = photos.squares(tmp_path, 1, 50)
    assert (square[:, 6:-6] > 250).all() and square.shape == (50, 50, 3), (
        "200 pixels became 100, the middle 50 are white"
    )


def test_a_photograph_is_turned_as_its_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise is needed
    Image.new("RGB", (30, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert photos.open_photo(tmp_path / "turned.jpg").size == (20, 30)


def test_what_is_no_photograph_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds no photograph"):
        photos.photo_files(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        photos.photo_files(tmp_path / "none")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 not really")
    with pytest.raises(ValueError, match=r"broken\.jpg cannot be read"):
        list(photos.squares(tmp_path, 1, 8))
    with pytest.raises(ValueError, match="--data must name a folder"):
        load_corpus("photos", 1, 8)


LEVELS = np.linspace(0, 255, 12 * 16).round().astype(np.uint8).reshape(12, 16)
COLOURS = np.stack([LEVELS, LEVELS[::-1], LEVELS[:, ::-1]], -1)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("float_to_1.tif", np.float32(LEVELS / 255)),
        ("float_past_1.tif", np.float32(LEVELS / 255 * 1.0001)),
        ("float_to_255.tif", np.float32(LEVELS)),
        ("float_to_65535.tif", np.float32(LEVELS) * 257),
        ("int32_of_8.tif", LEVELS.astype(np.int32)),
        ("int32_of_16.tif", LEVELS.astype(np.int32) * 257),
        ("int32_of_31.tif", (LEVELS.astype(np.float64) / 255 * (2**31 - 1)).astype(np.int32)),
        ("sixteen.png", LEVELS.astype(np.uint16) * 257),
        ("sixteen_dark.png", LEVELS.astype(np.uint16)),
        ("sixteen.tif", LEVELS.astype(np.uint16) * 257),
        ("sixteen.pgm", LEVELS.astype(np.uint16) * 257),
        ("a_png.jpg", LEVELS),
        ("eight.pgm", LEVELS),
    ],
)
def test_grey_of_any_depth_is_the_same_grey(tmp_path, name, values):
    kind = "PNG" if name == "a_png.jpg" else None
    Image.fromarray(values).save(tmp_path / name, format=kind)
    expected = np.zeros_like(LEVELS) if "dark" in name else LEVELS
    found = np.asarray(photos.open_photo(tmp_path / name))
    assert found.shape == (12, 16, 3) and np.abs(found.astype(int) - expected[..., None]).max() == 0
    assert photos.photo_files(tmp_path) == [tmp_path / name]


def test_tiffs_that_pillow_cannot_write_are_read_by_their_full_scale_and_their_white(tmp_path):
    path, of_32 = tmp_path / "u.tif", (LEVELS.astype(np.float64) / 255 * (2**32 - 1)).astype("<u4")
    for data in (tiff(of_32), tiff((LEVELS * 257.0).astype("<u2")), tiff((255 - LEVELS).astype("<u2") * 257, white=0)):
        path.write_bytes(data)
        assert (np.asarray(photos.open_photo(path))[..., 0] == LEVELS).all()
    pairs = (LEVELS.astype(int) * 4095 // 255).reshape(-1, 2)  # 12 bits: two values in three bytes
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1)
    path.write_bytes(tiff(packed.astype(np.uint8), bits=12))
    assert np.abs(np.asarray(photos.open_photo(path))[..., 0].astype(int) - LEVELS).max() <= 1


def tiff(values: np.ndarray, white: int = 1, bits: int | None = None) -> bytes:
    """An uncompressed little-endian grey TIFF of LEVELS' size, by hand: header, one directory, the pixels."""
    height, width = LEVELS.shape
    entries = [(256, width), (257, height), (258, bits or 8 * values.itemsize), (259, 1), (262, white)]
    entries += [(273, 8 + 2 + 10 * 12 + 4), (277, 1), (278, height), (279, values.nbytes), (339, 1)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + values.tobytes()


@pytest.mark.parametrize("name", ["p.png", "p.webp", "p.bmp", "p.tif", "p.ppm", "p.jp2", "p.gif", "p.avif"])
def test_the_containers_of_8_bits_hold_the_same_colours(tmp_path, name):
    flat = np.full((32, 48, 3), (200, 40, 90), np.uint8)
    lossless = {"lossless": True} if name == "p.webp" else {}
    Image.fromarray(flat).save(tmp_path / name, **lossless)
    assert np.abs(np.asarray(photos.open_photo(tmp_path / name)).astype(int) - flat).max() <= 3


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "PA", "L", "RGB"])
def test_white_stands_behind_what_is_transparent(tmp_path, mode):
    picture = Image.new("RGBA", (8, 8), (10, 10, 10, 255))
    picture.paste((10, 10, 10, 0), (0, 0, 4, 8))
    key = {"L": 77, "RGB": (77, 77, 77), "P": 0}.get(mode)
    if mode in ("L", "RGB"):  # one colour of the picture is said to be transparent
        picture = Image.new(mode, (8, 8), (10,) * len(mode) if mode == "RGB" else 10)
        picture.paste(key, (0, 0, 4, 8))
    elif mode == "P":
        picture = Image.new("P", (8, 8), 1)
        picture.putpalette([77, 77, 77, 10, 10, 10])
        picture.paste(0, (0, 0, 4, 8))
    elif mode == "PA":
        picture = picture.convert("LA")
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / "t.png", **({} if key is None else {"transparency": key}))
    found = np.asarray(photos.open_photo(tmp_path / "t.png"))
    assert (found[:, :4] == 255).all() and (found[:, 4:] == 10).all()


def test_one_bit_and_print_and_lab_colours_become_rgb(tmp_path):
    Image.fromarray(LEVELS > 127).save(tmp_path / "bits.png")
    assert (np.asarray(photos.open_photo(tmp_path / "bits.png"))[..., 1] == np.where(LEVELS > 127, 255, 0)).all()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "cmyk.tif")
    assert photos.open_photo(tmp_path / "cmyk.tif").getpixel((0, 0)) == (255, 0, 0)
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg")
    assert np.abs(np.asarray(photos.open_photo(tmp_path / "cmyk.jpg"))[0, 0] - np.array([255, 0, 0])).max() < 6
    Image.new("LAB", (8, 8), (255, 128, 128)).save(tmp_path / "lab.tif")
    assert min(photos.open_photo(tmp_path / "lab.tif").getpixel((0, 0))) > 250, "L* = 100 is white"


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("name", ["e.jpg", "e.png", "e.webp", "e.tif"])
def test_every_turn_of_a_camera_is_undone(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.kron(COLOURS[::4, ::4], np.ones((16, 16, 1), np.uint8)))
    picture.save(tmp_path / name, exif=exif, quality=100)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / name)).convert("RGB"))
    assert (np.asarray(photos.open_photo(tmp_path / name)) == expected).all()


def test_of_several_frames_the_first_is_taken(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]
    for name in ("m.tif", "m.gif", "m.webp", "m.png", "m.mpo"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        (tmp_path / name).rename(tmp_path / "m.jpg")  # by its content, not its name
        assert min(photos.open_photo(tmp_path / "m.jpg").getpixel((4, 4))) > 250, name


def chunk(kind: bytes, data: bytes, wrong: int = 0) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ wrong)


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param(chunk(b"tEXt", b"Comment\0x", wrong=1), id="a note whose checksum is wrong"),
        pytest.param(chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(2 << 20))), id="a note of two megabytes"),
        pytest.param(chunk(b"eXIf", b"no EXIF at all"), id="EXIF that is none"),
        pytest.param(chunk(b"iCCP", b"x\0\0no profile"), id="a profile that is none"),
    ],
)
def test_what_stands_beside_the_pixels_of_a_png_cannot_spoil_them(tmp_path, beside):
    Image.fromarray(COLOURS).save(tmp_path / "n.png")
    data = (tmp_path / "n.png").read_bytes()
    (tmp_path / "n.png").write_bytes(data[:33] + beside + data[33:] + b"trailing bytes" * 100)
    assert (np.asarray(photos.open_photo(tmp_path / "n.png")) == COLOURS).all()


def test_a_png_without_its_end_is_whole_and_one_with_a_wrong_checksum_is_damaged(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "n.png")
    data = (tmp_path / "n.png").read_bytes()
    (tmp_path / "n.png").write_bytes(data[:-12])
    assert (np.asarray(photos.open_photo(tmp_path / "n.png")) == COLOURS).all()
    start = data.index(b"IDAT") + 4
    for place in range(start, len(data) - 12):  # one bit of any byte of the pixels, or of their checksum
        flipped = bytearray(data)
        flipped[place] ^= 1
        (tmp_path / "n.png").write_bytes(flipped)
        with pytest.raises(ValueError, match=r"n\.png cannot be read"):
            photos.open_photo(tmp_path / "n.png")
        with pytest.raises(OSError, match=r"n\.png is no picture that can be read"):
            load_png(tmp_path / "n.png")


def test_the_size_is_known_without_reading_the_pixels(tmp_path):
    for name in ("s.png", "s.jpg", "s.tif"):
        for orientation in (1, 6, 3):
            exif = Image.Exif()
            exif[0x0112] = orientation
            Image.fromarray(COLOURS).save(tmp_path / name, exif=exif)
            assert photos.photo_size(tmp_path / name) == photos.open_photo(tmp_path / name).size
    (tmp_path / "s.png").write_bytes(b"")
    with pytest.raises(ValueError, match="it is empty"):
        photos.photo_size(tmp_path / "s.png")


def test_damaged_exif_and_trailing_bytes_do_not_spoil_a_jpeg(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "n.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\xff\xff")
    expected = np.asarray(Image.open(tmp_path / "n.jpg"))
    (tmp_path / "n.jpg").write_bytes((tmp_path / "n.jpg").read_bytes() + bytes(5000))
    assert (np.asarray(photos.open_photo(tmp_path / "n.jpg")) == expected).all()


def test_hidden_files_and_folders_hold_no_photograph(tmp_path):
    for place in ("._a.png", ".hidden/a.png", "__MACOSX/a.png", "@eaDir/a.jpg/SMALL.jpg", "Thumbs.db", "b.png/c.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"\0\5\x16\7 of a file server")
    with pytest.raises(ValueError, match="holds no photograph"):
        photos.photo_files(tmp_path)
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    assert photos.photo_files(tmp_path) == [tmp_path / "a.png"]
    inside = tmp_path / ".hidden"
    assert photos.photo_files(inside) == [inside / "a.png"], "a hidden folder that is named outright is meant"


HUGE = chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jpg", b"", "it is empty"),
        ("a.jpg", b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC, which is not read here; export it as JPEG or PNG"),
        ("a.heic", b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC"),
        ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is damaged, or none of JPEG"),
        ("a.tif", b"II*\0\xff\xff\xff\xff", "TIFF"),
        ("a.png", photos.PNG_MARK + HUGE + chunk(b"IDAT", b""), "exceeds limit"),
        ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 \0\0\0\0", "cannot be read"),
        ("a.gif", b"GIF89a", "cannot be read"),
    ],
)
def test_what_has_no_sound_pixels_is_refused_in_one_line_with_its_name(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=message) as refused:
        photos.open_photo(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("values", [[0.0, np.nan], [0.0, np.inf], [-1.0, 1.0], [0.0, 1e9]])
def test_floating_point_pixels_of_no_picture_are_refused(tmp_path, values):
    Image.fromarray(np.full((8, 2), values, np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(ValueError, match=r"f\.tif cannot be read as a photograph: its pixels are"):
        photos.open_photo(tmp_path / "f.tif")


@pytest.mark.parametrize("name", ["d.png", "d.jpg", "d.webp", "d.tif", "d.bmp", "d.gif", "d.jp2", "d.avif", "d.ppm"])
def test_damaged_pixels_of_any_format_are_one_line(tmp_path, name):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=f"d.{name[2:]} cannot be read"):
        photos.open_photo(tmp_path / name)
    for seed in range(20):  # other bytes: the pixels that Pillow sees, or one line
        flipped = np.frombuffer(data, np.uint8).copy()
        places = np.random.default_rng(seed).integers(0, len(flipped), 12)
        flipped[places] ^= 255
        (tmp_path / name).write_bytes(flipped.tobytes())
        answer = mode_or_reason(tmp_path / name)
        assert answer == "RGB" or (name in answer and "\n" not in answer)


def mode_or_reason(path):
    """What a photograph opens as, or why it does not."""
    try:
        return photos.open_photo(path).mode
    except ValueError as refused:
        return str(refused)

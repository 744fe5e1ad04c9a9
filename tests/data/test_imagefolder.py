"""Image folders: every kind of file that people have, and what is wrong with folders."""

from __future__ import annotations

import dataclasses
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device_runtime.worker import preprocess
from edgenas.core.errors import DataError
from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.data.base import Dataset
from helpers.listening import Listening


def load(folder: Path, *, seed: int = 0, image_size: int = 64) -> Dataset:
    return base.load(f"imagefolder:{folder}", seed=seed, progress=Silent(), image_size=image_size)


def fill(folder: Path, count: int, colour: tuple[int, int, int], size: int = 12) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", (size, size), colour).save(folder / f"{index}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, count in (("train", 6), ("test", 2)):
        fill(tmp_path / part / "red", count, (255, 0, 0))
        fill(tmp_path / part / "blue", count, (0, 0, 255))
    return tmp_path


def test_validation_is_cut_from_train_and_never_from_test(folder: Path) -> None:
    data = load(folder)
    assert data.class_names == ("blue", "red")
    assert (len(data.train), len(data.val), len(data.test)) == (8, 4, 4)
    assert data.train.images.shape == (8, 12, 12, 3)
    assert data.train.images.dtype == np.uint8
    assert set(data.val.labels) == set(data.train.labels) == {0, 1}
    for split in (data.train, data.val, data.test):
        red = split.images[split.labels == 1]
        assert (red == [255, 0, 0]).all()
    np.testing.assert_allclose(data.mean, (0.5, 0, 0.5))
    np.testing.assert_allclose(data.std, (0.5, 1 / 255, 0.5))


def test_val_and_test_folders_are_both_used(folder: Path) -> None:
    fill(folder / "val" / "red", 3, (255, 0, 0))
    data = load(folder)
    assert (len(data.train), len(data.val), len(data.test)) == (12, 3, 4)


def test_val_alone_is_the_test_split(folder: Path) -> None:
    (folder / "test").rename(folder / "val")
    data = load(folder)
    assert (len(data.train), len(data.val), len(data.test)) == (8, 4, 4)


@pytest.mark.parametrize("layout", ["train alone", "classes alone"])
def test_without_a_test_folder_some_images_test_whatever_the_seed(
    folder: Path, layout: str
) -> None:
    for path in (folder / "test").rglob("*.png"):
        path.rename(folder / "train" / path.parent.name / f"more{path.name}")
    shutil.rmtree(folder / "test")
    (folder / "train" / "__MACOSX").mkdir()
    (folder / "train" / "LICENSE.txt").write_text("not a class")
    rng = np.random.default_rng(0)
    for path in (folder / "train").rglob("*.png"):
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(path)
    root = folder / "train" if layout == "classes alone" else folder
    one, other = load(root), load(root, seed=1)
    assert (len(one.train), len(one.val), len(one.test)) == (8, 4, 4)
    assert set(one.test.labels) == set(one.val.labels) == set(one.train.labels) == {0, 1}
    np.testing.assert_array_equal(one.test.images, other.test.images)
    seen = [image.tobytes() for split in (one.train, one.val, one.test) for image in split.images]
    assert len(set(seen)) == 16


def test_images_that_are_kept_to_test_are_told(folder: Path) -> None:
    shutil.rmtree(folder / "test")
    progress = Listening()
    base.load(f"imagefolder:{folder}", seed=0, progress=progress)
    assert progress.messages == [
        f"{folder} has no test/: 4 of its images, the same each time, are kept to test."
    ]


def test_a_class_without_test_images_is_told(folder: Path) -> None:
    fill(folder / "train" / "green", 6, (0, 255, 0))
    progress = Listening()
    base.load(f"imagefolder:{folder}", seed=0, progress=progress)
    assert "test has no images of green: no accuracy on test says anything of that class." in (
        progress.warnings
    )


def test_split_folders_have_several_names_and_images_several_formats(folder: Path) -> None:
    (folder / "train").rename(folder / "Training")
    (folder / "test").rename(folder / "testing")
    fill(folder / "valid" / "red", 3, (255, 0, 0))
    for suffix in ("webp", "bmp", "gif", "tif", "ppm"):
        Image.new("RGB", (12, 12), (255, 0, 0)).save(folder / "valid" / "red" / f"8.{suffix}")
    data = load(folder)
    assert (len(data.train), len(data.val), len(data.test)) == (12, 8, 4)
    assert np.abs(data.val.images.astype(int) - [255, 0, 0]).max() <= 1


def test_identity_is_of_pixels_and_labels(folder: Path) -> None:
    before = load(folder).identity
    assert load(folder).identity == before
    (folder / "test" / "red" / "0.png").rename(folder / "test" / "blue" / "9.png")
    assert load(folder).identity != before


def test_a_seed_cuts_the_same_images_each_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for index in range(12):
                pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{index}.png")
    one, same, other = load(tmp_path), load(tmp_path), load(tmp_path, seed=1)
    np.testing.assert_array_equal(one.val.images, same.val.images)
    assert one.identity == same.identity != other.identity
    np.testing.assert_array_equal(one.test.images, other.test.images)
    assert len(one.train) + len(one.val) == 24


def save_16_bit_grey(path: Path, value: int, size: int) -> None:
    Image.fromarray(np.full((size, size), value, np.uint16)).save(path)


def save_16_bit_rgb(path: Path, value: int, size: int) -> None:
    """Pillow writes no 16-bit RGB, so the PNG is put together by hand."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", size, size, 16, 2, 0, 0, 0)
    rows = (b"\0" + struct.pack(">HHH", value, value, value) * size) * size
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def test_every_mode_becomes_8_bit_rgb(folder: Path) -> None:
    target = folder / "test" / "red"
    for old in target.iterdir():
        old.unlink()
    grey = Image.new("L", (12, 12), 100)
    grey.save(target / "a_grey.jpg", quality=100)
    grey.convert("P").save(target / "b_palette.png")
    Image.new("CMYK", (12, 12), (0, 0, 0, 155)).save(target / "c_cmyk.jpg", quality=100)
    save_16_bit_grey(target / "d_16bit.png", 100 * 257, 12)
    save_16_bit_rgb(target / "e_16bit_rgb.png", 100 * 257, 12)
    Image.new("RGBA", (12, 12), (100, 100, 100, 255)).save(target / "f_alpha.png")
    Image.new("LA", (12, 12), (100, 255)).save(target / "g_grey_alpha.png")
    Image.new("1", (12, 12), 1).save(target / "h_bits.png")
    Image.new("RGBA", (12, 12), (0, 0, 0, 0)).save(target / "i_transparent.png")
    palette = Image.new("RGB", (12, 12), (100, 100, 100)).quantize(4)
    palette.save(target / "j_palette_alpha.png", transparency=b"\xff\x00")
    Image.new("I", (12, 12), 100).save(target / "k_32bit_of_bytes.tif")
    Image.new("I", (12, 12), 100 * 257).save(target / "l_32bit_of_16.tif")
    save_16_bit_grey(target / "m_16bit_dark.png", 200, 12)
    data = load(folder)
    assert data.skipped == ()
    images = data.test.images[data.test.labels == 1].astype(int)
    expected = [100] * 7 + [255, 255, 100, 100, 100, 1]
    assert images.shape == (13, 12, 12, 3)
    assert np.abs(images - np.array(expected)[:, None, None, None]).max() <= 1


def test_sizes_the_most_common_else_the_median_and_a_cap(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for index, size in enumerate(((20, 30), (20, 20), (500, 20), (9, 300))):
                Image.new("L", size).save(tmp_path / part / name / f"{index}.jpg")
    assert load(tmp_path).image_size == 20
    assert load(tmp_path, image_size=16).image_size == 16
    for name in ("a", "b"):
        for index, side in enumerate((10, 14, 18, 40)):
            Image.new("L", (side, side)).save(tmp_path / "train" / name / f"{index}.jpg")
    assert load(tmp_path).image_size == 16


def test_the_centre_square_is_kept_upright(folder: Path) -> None:
    pixels = np.zeros((12, 36, 3), np.uint8)
    pixels[:, 12:24] = 200
    pixels[:6, 12:24] = 50
    Image.fromarray(pixels).save(folder / "test" / "red" / "8.png")
    turned = Image.new("RGB", (36, 12))
    turned.paste((200, 200, 200), (0, 0, 18, 12))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the stored left edge is the top
    turned.save(folder / "test" / "red" / "9.jpg", exif=exif, quality=100)
    first, second = load(folder).test.images[-2:].astype(int)
    assert first[1].mean() == 50
    assert first[10].mean() == 200
    assert second[1].mean() > 190
    assert second[10].mean() < 10


def test_damaged_files_are_named_counted_and_skipped(folder: Path) -> None:
    red = folder / "train" / "red"
    (red / "a_text.jpg").write_text("this is text")
    (red / "b_empty.png").write_bytes(b"")
    whole = (folder / "train" / "blue" / "0.png").read_bytes()
    (red / "c_cut.png").write_bytes(whole[: len(whole) - 30])
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(red / "d_cut.jpg")
    (red / "d_cut.jpg").write_bytes((red / "d_cut.jpg").read_bytes()[:900])
    (red / "e_gone.png").symlink_to("nowhere.png")
    Image.new("F", (12, 12), 0.5).save(red / "f_float.tif")
    Image.new("I", (12, 12), 70_000).save(red / "g_32bit.tif")
    (red / "notes.txt").write_text("not an image, and not taken for one")
    progress = Silent()
    data = base.load(f"imagefolder:{folder}", seed=0, progress=progress)
    assert [file.path for file in data.skipped] == [
        f"train/red/{name}"
        for name in (
            "a_text.jpg",
            "b_empty.png",
            "c_cut.png",
            "d_cut.jpg",
            "e_gone.png",
            "f_float.tif",
            "g_32bit.tif",
        )
    ]
    assert [file.reason for file in data.skipped[4:]] == [
        "No such file or directory",
        "its pixels are floats, whose range is not known",
        "its pixels are not within 0 and 65,535",
    ]
    assert all(file.reason and "\n" not in file.reason for file in data.skipped)
    assert len(data.train) + len(data.val) == 12
    (warning,) = [text for text in progress.warnings if "skipped" in text]
    assert warning.startswith("7 images were skipped: train/red/a_text.jpg (not an image)")
    assert data.card().skipped[0] == "train/red/a_text.jpg (not an image)"


def test_a_decompression_bomb_is_skipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.new("RGB", (40, 40)).save(folder / "train" / "red" / "big.png")
    Image.new("RGB", (60, 60)).save(folder / "train" / "red" / "bigger.png")
    skipped = load(folder).skipped
    assert [file.path for file in skipped] == ["train/red/big.png", "train/red/bigger.png"]
    assert "1600 pixels" in skipped[0].reason
    assert "3600 pixels" in skipped[1].reason


def test_images_nearly_as_large_as_was_asked_are_read_at_that_size(tmp_path: Path) -> None:
    for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        fill(tmp_path / "train" / name, 8, colour, size=90)
    assert load(tmp_path, image_size=112).image_size == 112
    assert load(tmp_path, image_size=160).image_size == 90
    assert load(tmp_path).image_size == 64


def remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def case_missing(folder: Path) -> None:
    folder.rename(folder.parent / f"{folder.name}_moved")


def case_no_train(folder: Path) -> None:
    (folder / "train").rename(folder / "teach")


def case_two_images_and_no_test(folder: Path) -> None:
    case_one_image(folder)
    Image.new("RGB", (12, 12)).save(folder / "train" / "red" / "9.png")
    (folder / "test").rename(folder / ".test")


def case_empty_train(folder: Path) -> None:
    remove(folder / "train" / "red")
    remove(folder / "train" / "blue")


def case_one_class(folder: Path) -> None:
    for part in ("train", "test"):
        remove(folder / part / "red")
        (folder / part / "red").rmdir()


def case_test_class_unknown(folder: Path) -> None:
    (folder / "test" / "red").rename(folder / "test" / "rad")


def case_one_image(folder: Path) -> None:
    remove(folder / "train" / "red")
    Image.new("RGB", (12, 12)).save(folder / "train" / "red" / "8.png")


def case_class_without_images(folder: Path) -> None:
    remove(folder / "train" / "red")
    (folder / "train" / "red" / "0.png").write_text("damaged")


def case_test_unreadable(folder: Path) -> None:
    for path in (folder / "test").rglob("*.png"):
        path.write_text("damaged")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (case_missing, "There is no image folder"),
        (case_no_train, "has no train/."),
        (case_two_images_and_no_test, "class 'red' has only two images, and one is kept back"),
        (case_empty_train, "train has no images in class folders"),
        (case_one_class, "has only one class, 'blue'"),
        (case_test_class_unknown, "test has the class 'rad', which"),
        (case_one_image, "class 'red' has only one training image"),
        (case_class_without_images, "class 'red' has no readable training image"),
        (case_test_unreadable, "has no readable test image"),
    ],
)
def test_a_folder_that_cannot_be_used_gets_one_line(
    folder: Path, spoil: object, message: str
) -> None:
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(DataError) as caught:
        load(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_calibration_images_are_training_images_and_always_the_same(folder: Path) -> None:
    data = load(folder)
    once, again = data.calibration(5), data.calibration(5)
    np.testing.assert_array_equal(once.images, again.images)
    assert len(once) == 5
    assert set(once.labels) == {0, 1}
    assert len(data.calibration(10_000)) == len(data.train)


def test_normalized_pixels_have_mean_0_and_spread_1(folder: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (9, 12, 12, 3), np.uint8)
    data = dataclasses.replace(
        load(folder),
        mean=tuple(images.mean((0, 1, 2)) / 255),
        std=tuple(images.std((0, 1, 2)) / 255),
    )
    values = data.normalize(images)
    assert values.shape == (9, 3, 12, 12)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(values.std((0, 2, 3)), 1, atol=1e-5)
    # the target makes the same floats of these pixels, to the last bit
    pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(values, preprocess(pixels, list(data.mean), list(data.std)))

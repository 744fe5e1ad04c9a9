"""Folders of images as people have them: what is read, and what is said of the rest."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.core.errors import DataError
from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.data.base import Dataset, Split
from helpers.listening import Listening

COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}


def fill(folder: Path, colour: str, count: int, suffix: str = "png", first: int = 0) -> None:
    """Write images of nearly one colour, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + count):
        pixels = np.full((8, 8, 3), COLOURS[colour], np.uint8)
        pixels[0, 0] = index, len(folder.parts), len(folder.name)
        kind = {"jfif": "jpeg", "jpe": "jpeg"}.get(suffix)
        Image.fromarray(pixels).save(folder / f"{colour}{index}.{suffix}", kind)


def load(folder: Path, progress: Silent | None = None, known: tuple[str, ...] = ()) -> Dataset:
    progress = progress or Silent()
    return base.load(f"imagefolder:{folder}", seed=0, progress=progress, class_names=known)


def told(progress: Silent) -> list[str]:
    """Return what was warned of, but for test images like those trained on: here all are alike."""
    return [text for text in progress.warnings if "memory" not in text]


def counts(data: Dataset) -> tuple[int, int]:
    """Images to train on and validate with, and to test with."""
    return len(data.train) + len(data.val), len(data.test)


def colours(data: Dataset, split: Split) -> dict[str, Counter[str]]:
    """How many images of each colour a class has."""
    found: dict[str, Counter[str]] = {name: Counter() for name in data.class_names}
    for image, label in zip(split.images, split.labels, strict=True):
        found[data.class_names[label]][list(COLOURS)[int(image[4, 4].argmax())]] += 1
    return found


def require_red_and_green(data: Dataset, names: tuple[str, str] = ("a", "b")) -> None:
    assert set(data.class_names) == set(names)
    for split in (data.train, data.val, data.test):
        seen = colours(data, split)
        assert set(seen[names[0]]) == {"red"}
        assert set(seen[names[1]]) == {"green"}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Train", "TEST"),
        ("training_set", "test_set"),
        ("training_set/training_set", "test_set/test_set"),
        ("train", "eval"),
        ("train", "valid"),
        ("train", "dev"),
        ("trainset", "testset"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("imagenet-train2012", "imagenet-val2012"),
        ("TrainImages", "TestImages"),
    ],
)
def test_splits_around_classes_have_names_of_many_kinds(
    tmp_path: Path, train: str, test: str
) -> None:
    for name, colour in (("a", "red"), ("b", "green")):
        fill(tmp_path / train / name, colour, 12)
        fill(tmp_path / test / name, colour, 5, first=50)
    data = load(tmp_path)
    assert counts(data) == (24, 10)
    require_red_and_green(data)


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Training_data", "valid-set")])
def test_splits_inside_classes_are_splits(tmp_path: Path, train: str, test: str) -> None:
    for name, colour in (("a", "red"), ("b", "green")):
        fill(tmp_path / name / train, colour, 12)
        fill(tmp_path / name / test, colour, 4, first=50)
    data = load(tmp_path)
    assert counts(data) == (24, 8)
    require_red_and_green(data)


def test_a_class_without_the_splits_of_the_others_is_refused(tmp_path: Path) -> None:
    for name, colour in (("a", "red"), ("b", "green")):
        fill(tmp_path / name / "train", colour, 6)
    fill(tmp_path / "c", "blue", 6)
    with pytest.raises(DataError, match="a/ has a folder for training, and c/ has none"):
        load(tmp_path)


@pytest.mark.parametrize("wrapped", [False, True])
def test_folders_that_hold_the_same_folders_are_never_two_classes(
    tmp_path: Path, wrapped: bool
) -> None:
    for split in ("lernen", "pruefen"):
        for name, colour in (("a", "red"), ("b", "green")):
            inner = tmp_path / split / (split if wrapped else "") / name
            fill(inner, colour, 6, first=len(split))
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert "lernen, pruefen" in caught.value.message
    assert "hold the same folders, a, b, and no images: they look like splits" in str(caught.value)
    # What the message advises works.
    (tmp_path / "lernen").rename(tmp_path / "train")
    (tmp_path / "pruefen").rename(tmp_path / "test")
    assert counts(load(tmp_path)) == (12, 12)


def test_folders_of_a_run_that_knows_them_as_classes_stay_classes(tmp_path: Path) -> None:
    for name, colour in (("cat", "red"), ("dog", "green")):
        for inner in ("day", "night"):
            fill(tmp_path / name / inner, colour, 4)
    require_red_and_green(load(tmp_path, known=("cat", "dog")), ("cat", "dog"))


def test_classes_may_have_folders_of_their_own_and_names_of_splits(tmp_path: Path) -> None:
    fill(tmp_path / "bus" / "city", "red", 6)
    fill(tmp_path / "bus" / "coach", "red", 6)
    fill(tmp_path / "train", "green", 12)
    fill(tmp_path / "steam_train", "blue", 12)
    data = load(tmp_path)
    assert data.class_names == ("bus", "steam_train", "train")
    assert len(data.train) + len(data.val) + len(data.test) == 36


def two_classes(folder: Path, count: int = 12) -> None:
    fill(folder / "a", "red", count)
    fill(folder / "b", "green", count)


@pytest.mark.parametrize("inside", ["", "unknown"])
def test_a_test_folder_without_classes_is_left_out_and_said(tmp_path: Path, inside: str) -> None:
    two_classes(tmp_path / "train")
    fill(tmp_path / "test" / inside, "blue", 6)
    progress = Silent()
    data = load(tmp_path, progress)
    assert sum(counts(data)) == 24
    require_red_and_green(data)
    assert told(progress) == ["test/ has 6 images without class folders, which are left out."]


def test_images_in_no_class_and_in_folders_of_no_split_are_counted(tmp_path: Path) -> None:
    two_classes(tmp_path / "train")
    two_classes(tmp_path / "test")
    fill(tmp_path / "extra", "blue", 3)
    fill(tmp_path / "train", "blue", 2)
    progress = Silent()
    assert counts(load(tmp_path, progress)) == (24, 24)
    assert told(progress) == [
        f"2 images in {tmp_path}/train are in no class folder, and left out: blue0.png, blue1.png.",
        "extra/ (3 images) is left out: it is none of test/, train/. Name it train, val or test to "
        "use it.",
    ]


def test_hidden_folders_and_files_are_passed_over_at_every_depth(tmp_path: Path) -> None:
    two_classes(tmp_path)
    for name in ("a", "b"):
        fill(tmp_path / name / ".ipynb_checkpoints", "blue", 6)
        (tmp_path / name / "._red0.png").write_bytes(b"\0\5\x16\7")
    progress = Listening()
    data = load(tmp_path, progress)
    assert sum(counts(data)) == 24
    require_red_and_green(data)
    assert data.skipped == ()
    assert told(progress) == []
    assert progress.messages[0] == (
        "Passed over as hidden: a/.ipynb_checkpoints, b/.ipynb_checkpoints."
    )


def test_every_suffix_that_pillow_reads_counts_and_others_are_named(tmp_path: Path) -> None:
    two_classes(tmp_path, 4)
    for suffix in ("jfif", "jpe", "dib", "tga", "jp2", "pcx"):
        fill(tmp_path / "a", "red", 1, suffix)
    (tmp_path / "b" / "0.jxl").write_bytes(b"\xff\x0a")
    (tmp_path / "b" / "1.JXL").write_bytes(b"\xff\x0a")
    progress = Silent()
    data = load(tmp_path, progress)
    assert sum(counts(data)) == 14
    require_red_and_green(data)
    assert told(progress) == ["Left out as no images that can be read here: 2 .jxl."]


def test_heic_images_are_named_with_the_command_that_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgenas.data import decode, tree

    others = {x: y for x, y in decode.image_suffixes().items() if not x.startswith(".hei")}
    for module in (decode, tree):  # as where the extra is not installed
        monkeypatch.setattr(module, "image_suffixes", lambda: others)
    two_classes(tmp_path, 4)
    for index in range(3):
        (tmp_path / "b" / f"{index}.HEIC").write_bytes(b"")
    progress = Silent()
    assert sum(counts(load(tmp_path, progress))) == 8
    assert told(progress) == [
        "Left out as no images that can be read here: 3 .heic (pip install 'edgenas[heif]')."
    ]


def test_heic_images_are_read_where_the_extra_is_installed(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra 'heif' is not installed")
    heif.register_heif_opener()
    for name, colour in (("a", "red"), ("b", "green")):
        (tmp_path / name).mkdir()
        for index in range(4):
            pixels = np.full((64, 64, 3), COLOURS[colour], np.uint8)
            pixels[:8] = 20 * index
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.HEIC")
    data = load(tmp_path)
    assert sum(counts(data)) == 8 and not data.skipped
    for name, label in (("a", 0), ("b", 1)):
        mean = data.train.images[data.train.labels == label][:, 16:].mean(axis=(0, 1, 2))
        np.testing.assert_allclose(mean, COLOURS["red" if name == "a" else "green"], atol=12)


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system takes UTF-8 only")
def test_names_of_any_bytes_are_classes_that_can_be_written(tmp_path: Path) -> None:
    fill(tmp_path / os.fsdecode(b"caf\xe9"), "red", 6)
    fill(tmp_path / "t\nea", "green", 6)
    (tmp_path / "t\nea" / os.fsdecode(b"caf\xe9.png")).write_text("damaged")
    progress = Silent()
    data = load(tmp_path, progress)
    require_red_and_green(data, ("café", "t\\nea"))
    assert data.skipped[0].path == "t\\nea/café.png"
    json.dumps(data.card().class_names, ensure_ascii=False).encode()
    assert told(progress)[0] == "Names that are not UTF-8 are read as Latin-1: café."


def test_two_names_that_read_alike_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / os.fsdecode(b"caf\xe9"), "red", 6)
    fill(tmp_path / "café", "green", 6)
    with pytest.raises(DataError, match="has two folders that read 'café'"):
        load(tmp_path)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    two_classes(tmp_path / "set")
    (tmp_path / "set" / "a" / "up").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "b" / "itself").symlink_to(tmp_path / "set" / "b" / "itself")
    fill(tmp_path / "more", "red", 3, first=30)
    (tmp_path / "set" / "a" / "more").symlink_to(tmp_path / "more")
    progress = Silent()
    assert sum(counts(load(tmp_path / "set", progress))) == 27
    assert told(progress) == ["a/up: links back to a folder that they lie in are not followed."]


def test_pipes_among_images_are_named_and_never_waited_for(tmp_path: Path) -> None:
    two_classes(tmp_path)
    os.mkfifo(tmp_path / "a" / "pipe.png")
    data = load(tmp_path)
    assert list(map(str, data.skipped)) == ["a/pipe.png (it is a named pipe, not a file)"]


def test_one_file_in_two_classes_is_named(tmp_path: Path) -> None:
    two_classes(tmp_path)
    (tmp_path / "b" / "copy.png").write_bytes((tmp_path / "a" / "red3.png").read_bytes())
    (tmp_path / "a" / "same.png").write_bytes((tmp_path / "a" / "red4.png").read_bytes())
    progress = Silent()
    load(tmp_path, progress)
    assert told(progress) == [
        "1 image lies in several classes, so that no answer is right: a/red3.png = b/copy.png."
    ]


def test_masks_beside_the_images_of_classes_are_left_out(tmp_path: Path) -> None:
    two_classes(tmp_path)
    fill(tmp_path / "a", "blue", 1)
    (tmp_path / "a" / "blue0.png").rename(tmp_path / "a" / "red0_mask.png")
    progress = Silent()
    require_red_and_green(load(tmp_path, progress))
    assert told(progress) == ["Left out: 1 mask beside images (red0_mask.png)."]


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    two_classes(tmp_path)
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match="class 'c' has no readable training image"):
        load(tmp_path)


def test_an_empty_file_and_a_second_picture_are_said(tmp_path: Path) -> None:
    two_classes(tmp_path)
    (tmp_path / "a" / "none.png").write_bytes(b"")
    frames = [Image.new("RGB", (8, 8), COLOURS[name]) for name in ("red", "blue")]
    frames[0].save(tmp_path / "a" / "two.gif", save_all=True, append_images=frames[1:])
    progress = Listening()
    data = load(tmp_path, progress)
    require_red_and_green(data)
    assert list(map(str, data.skipped)) == ["a/none.png (the file is empty)"]
    assert progress.messages[0] == ("1 image has several pictures: the first of each is taken.")


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (("train", "test"), []),
        (("train", "val", "test"), []),
        (("train", "eval"), ["Splits: train/ trains, eval/ tests."]),
        (("train", "val", "eval"), ["Splits: train/ trains, val/ validates, eval/ tests."]),
        (("training_set", "test_set"), ["Splits: training_set/ trains, test_set/ tests."]),
    ],
)
def test_what_each_split_is_used_for_is_said_where_its_name_does_not(
    tmp_path: Path, folders: tuple[str, ...], said: list[str]
) -> None:
    for number, name in enumerate(folders):
        two_classes(tmp_path / name, 6 + number)
    progress = Listening()
    data = load(tmp_path, progress)
    assert progress.messages == said
    assert len(data.test) == 2 * (5 + len(folders))


def masks(folder: Path) -> None:
    fill(folder / "images", "red", 4)
    fill(folder / "masks", "green", 4)


def masks_in_splits(folder: Path) -> None:
    masks(folder / "train")
    masks(folder / "test")


def splits_in_masks(folder: Path) -> None:
    for part in ("train", "val"):
        fill(folder / "JPEGImages" / part, "red", 4)
        fill(folder / "SegmentationClass" / part, "red", 4)


def yolo(folder: Path) -> None:
    fill(folder / "train" / "images", "red", 3)
    (folder / "train" / "labels").mkdir()
    (folder / "train" / "labels" / "red0.txt").write_text("0 0.5 0.5 0.2 0.1\n1 0.4 0.4 0.1 0.1\n")


def darknet(folder: Path) -> None:
    fill(folder / "train", "red", 2)
    for index in range(2):
        (folder / "train" / f"red{index}.txt").write_text("0 0.5 0.5 0.2 0.1\n")


def voc(folder: Path) -> None:
    fill(folder / "VOC2012" / "JPEGImages", "red", 3)
    (folder / "VOC2012" / "Annotations").mkdir()
    (folder / "VOC2012" / "Annotations" / "red0.xml").write_text("<annotation><bndbox>")


def coco(folder: Path) -> None:
    fill(folder / "train", "red", 3)
    document = {
        "images": [{"id": 1, "file_name": "red0.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (folder / "train" / "_annotations.coco.json").write_text(json.dumps(document))


def translation(folder: Path) -> None:
    fill(folder / "trainA", "red", 3)
    fill(folder / "trainB", "red", 3)


def resolutions(folder: Path) -> None:
    fill(folder / "HR", "red", 3)
    fill(folder / "LR", "red", 3)


def masks_beside(folder: Path) -> None:
    fill(folder, "red", 4)
    for path in list(folder.iterdir()):
        path.with_stem(f"{path.stem}_mask").write_bytes(path.read_bytes())


def listed_labels_one_never_alone(root: Path) -> None:
    fill(root / "images", "red", 10)
    rows = [f"red{index}.png,{'cat|dog' if index % 2 else 'cat'}" for index in range(10)]
    (root / "labels.csv").write_text("image,labels\n" + "\n".join(rows))


def listed_labels(folder: Path) -> None:
    fill(folder, "red", 6)
    tags = ("sun", "sea", "sun sea")
    rows = [f"red{index},{tags[index % 3]}" for index in range(6)]
    (folder / "train.csv").write_text("\n".join(["image_name,tags", *rows]))


def several_labels(folder: Path) -> None:
    fill(folder, "red", 3)
    (folder / "y.csv").write_text("f,sun,sea\nred0.png,1,1\nred1.png,0,1\nred2.png,1,0\n")


@pytest.mark.parametrize(
    ("lay_out", "task"),
    [
        (masks, "segmentation"),
        (masks_in_splits, "segmentation"),
        (splits_in_masks, "segmentation"),
        (yolo, "detection"),
        (darknet, "detection"),
        (voc, "detection"),
        (coco, "detection"),
        (translation, "image translation"),
        (resolutions, "super-resolution"),
        (masks_beside, "segmentation"),
        (several_labels, "several labels an image"),
        (listed_labels, "several labels an image"),
        (listed_labels_one_never_alone, "several labels an image"),
    ],
)
def test_other_tasks_are_recognised_and_refused(tmp_path: Path, lay_out: object, task: str) -> None:
    assert callable(lay_out)
    lay_out(tmp_path)
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert f"is a data set for {task}: " in str(caught.value)
    assert "edgenas searches networks that classify: one class for each image" in str(caught.value)


def test_a_file_in_place_of_a_folder_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="It is a file: unpack it first"):
        load(tmp_path / "set.zip")


@pytest.mark.parametrize("wrapping", ["images", "data/data", "flowers/flowers"])
@pytest.mark.parametrize("split", [True, False])
def test_folders_that_only_wrap_a_data_set_are_looked_into_and_said(
    wrapping: str, split: bool, tmp_path: Path
) -> None:
    inner = tmp_path / wrapping
    for part, count in (("train", 8), ("test", 4)) if split else ((".", 8),):
        fill(inner / part / "a", "red", count)
        fill(inner / part / "b", "green", count)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "classes.txt").write_text("a")
    heard = Listening()
    data = load(tmp_path, heard)
    require_red_and_green(data)
    said = f"The data set is read from {wrapping}/ (without images: meta)."
    assert said in heard.messages


def test_an_empty_class_beside_others_is_no_wrapping(tmp_path: Path) -> None:
    fill(tmp_path / "a", "red", 6)
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match="'b' has no readable training image"):
        load(tmp_path)


def test_splits_inside_classes_are_said(tmp_path: Path) -> None:
    for part in ("train", "test"):
        fill(tmp_path / "a" / part, "red", 5)
        fill(tmp_path / "b" / part, "green", 5)
    heard = Listening()
    load(tmp_path, heard)
    assert "Splits: inside each class, train/, test/." in heard.messages


def test_folders_that_a_class_is_made_of_are_said(tmp_path: Path) -> None:
    for inside in ("a/dark", "a/light"):
        fill(tmp_path / inside, "red", 5)
    fill(tmp_path / "b", "green", 5)
    heard = Listening()
    require_red_and_green(load(tmp_path, heard))
    assert any(
        "a/ is one class; its folders dark, light are not told apart" in x for x in heard.messages
    )


@pytest.mark.parametrize(("train", "test"), [("Red", "red"), ("dark red", "dark_red"), ("01", "1")])
def test_a_class_of_another_spelling_is_named(train: str, test: str, tmp_path: Path) -> None:
    fill(tmp_path / "train" / train, "red", 6)
    fill(tmp_path / "train" / "other", "green", 6)
    fill(tmp_path / "test" / test, "red", 2)
    fill(tmp_path / "test" / "other", "green", 2)
    with pytest.raises(DataError, match=f"Is it '{train}' of train"):
        load(tmp_path)


def test_what_is_left_of_an_unlabelled_test_folder_is_not_denied(tmp_path: Path) -> None:
    two_classes(tmp_path / "train", 6)
    fill(tmp_path / "test", "red", 3)
    heard = Listening()
    load(tmp_path, heard)
    assert any("has no labelled test images: " in text for text in heard.messages)


def test_thumbnails_of_a_storage_box_are_hidden_and_archives_are_to_be_unpacked(
    tmp_path: Path,
) -> None:
    two_classes(tmp_path, 6)
    fill(tmp_path / "a" / "@eaDir" / "red0.png", "green", 2)
    (tmp_path / "test.zip").write_bytes(b"")
    progress = Silent()
    require_red_and_green(load(tmp_path, progress))
    assert told(progress) == ["Left out as no images that can be read here: 1 .zip (unpack it)."]

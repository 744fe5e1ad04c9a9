"""Sets for re-identification and retrieval are refused by name: their folders are no classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.core.errors import DataError
from edgenas.core.progress import Silent
from edgenas.data import base

TRAINED, TESTED, CAMERAS = range(2, 6), range(10, 14), range(1, 5)


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(str(path))).integers(0, 256, (8, 8, 3), np.uint8)
    pixels[0, 0] = [ord(letter) for letter in path.name[:3]]
    Image.fromarray(pixels).save(path)


def market(root: Path) -> None:
    for folder, people in (
        ("bounding_box_train", TRAINED),
        ("bounding_box_test", TESTED),
        ("query", TESTED),
    ):
        for person in people:
            for camera in CAMERAS:
                image(root / folder / f"{person:04d}_c{camera}s1_0{person}451_03.jpg")


def market_without_query(root: Path) -> None:
    market(root)
    (root / "query").rename(root / "others")


def veri(root: Path) -> None:
    for folder, cars in (("image_train", TRAINED), ("image_test", TESTED), ("image_query", TESTED)):
        for car in cars:
            for camera in CAMERAS:
                image(root / folder / f"{car:04d}_c{camera:03d}_00077625_0.jpg")


def mars(root: Path) -> None:
    for folder, people in (("bbox_train", TRAINED), ("bbox_test", TESTED)):
        for person in people:
            for camera in CAMERAS:
                image(root / folder / f"{person:04d}" / f"{person:04d}C{camera}T0001F001.jpg")


def query_and_gallery_by_person(root: Path) -> None:
    for folder, people in (("train", TRAINED), ("gallery", TESTED), ("query", TESTED)):
        for person in people:
            for number in CAMERAS:
                image(root / folder / f"{person:04d}" / f"{number}.jpg")


def prid(root: Path) -> None:
    for camera in ("cam_a", "cam_b"):
        for person in TRAINED:
            image(root / "single_shot" / camera / f"person_{person:04d}.png")
            image(root / "multi_shot" / camera / f"person_{person:04d}" / "0001.png")


def viper(root: Path) -> None:
    for camera, angle in (("cam_a", 45), ("cam_b", 90)):
        for person in range(8):
            image(root / camera / f"{person:03d}_{angle}.bmp")


@pytest.mark.parametrize(
    ("make", "sign"),
    [
        (market, "query/ beside bounding_box_test/"),
        (market_without_query, "is called by an identity and a camera"),
        (veri, "image_query/ beside image_test/"),
        (mars, "no class in common"),
        (query_and_gallery_by_person, "query/ beside gallery/"),
        (prid, "cam_a/ and cam_b/ hold images of the same numbers"),
        (viper, "cam_a/ and cam_b/ hold images of the same numbers"),
    ],
)
def test_identities_are_refused_with_their_sign(
    tmp_path: Path, make: Callable[[Path], None], sign: str
) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match=sign) as refusal:
        base.load(f"imagefolder:{tmp_path}", seed=0, progress=Silent())
    assert "one class for each image" in str(refusal.value)


@pytest.mark.parametrize(
    "classes",
    [
        ("probe", "train", "satellite"),  # space probes
        ("camera", "cam"),
        ("gallery", "museum"),
        ("0001", "0002"),
        ("cam_a", "cam_b"),  # whose images have other numbers: which camera it was
    ],
)
def test_classes_of_such_names_are_classes(tmp_path: Path, classes: tuple[str, ...]) -> None:
    for first, name in enumerate(classes):
        for number in range(6):
            image(tmp_path / name / f"{100 * first + number:03d}.png")
    found = base.load(f"imagefolder:{tmp_path}", seed=0, progress=Silent())
    assert set(found.class_names) == set(classes)

"""ImageNet's weights against a start from nothing, on images that are no photographs.

Run: OMP_NUM_THREADS=1 python benchmarks/other_images.py FOLDER [--seconds 60]

Letters (26 classes, 12 fonts, turned and noisy, 28 and 64 px), grey images drawn as X-rays of
chests (3 classes, 128 px) and the drawings of few_images.py are made in FOLDER, always the same.
Each is read at 64 px at most, and a table says what a search compares: a linear classifier on the
frozen EfficientNet-Lite0, and mbv3-tiny trained from nothing for so many CPU seconds. Accuracy is
in fp32, on validation images.
"""

from __future__ import annotations

import argparse
import string
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import few_images
import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.spaces import lite, mbv3_tiny
from edgenas.supernet.imagenet.linear import Floor
from edgenas.supernet.imagenet.start import begin
from edgenas.supernet.packages.package import find
from edgenas.supernet.packages.trained_size import normalised_as
from edgenas.supernet.settings import default_settings
from edgenas.supernet.train import train
from edgenas.supernet.trainer import Trainer

SIZE = 64
FINDINGS = ("clear", "nodule", "effusion")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU time from nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    make(asked.folder)
    print(
        "| images | train | validate | linear, frozen Lite0 % | CPU s | from nothing % | epochs |"
    )
    print("|---|---|---|---|---|---|---|")
    for path in sorted(asked.folder.iterdir()):
        data = base.load(f"imagefolder:{path}", seed=0, progress=Silent(), image_size=SIZE)
        floor, floor_s = frozen(data)
        trained, epochs = from_nothing(data, asked.seconds)
        print(
            f"| {path.name} | {len(data.train.labels)} | {floor.n_images} | "
            f"{100 * floor.accuracy:.1f} | {floor_s:.0f} | {100 * trained:.1f} | {epochs} |",
            flush=True,
        )


def make(root: Path) -> None:
    """Write the sets that are not there yet."""
    if not (root / "drawings").exists():
        few_images.write(root / "drawings")
    rng, few = np.random.default_rng(0), {"train": 30, "val": 8, "test": 15}
    letters = string.ascii_uppercase
    write(root / "letters28", letters, lambda name: letter(name, 28, rng), few)
    write(root / "letters64", letters, lambda name: letter(name, 64, rng), few)
    more = {"train": 150, "val": 50, "test": 100}
    write(root / "xrays", FINDINGS, lambda name: xray(name, 128, rng), more)


def write(
    root: Path, names: Sequence[str], draw: Callable[[str], Image.Image], counts: Mapping[str, int]
) -> None:
    if root.exists():
        return
    for part, count in counts.items():
        for name in names:
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                draw(name).save(root / part / name / f"{number:03}.png")


def letter(name: str, size: int, rng: np.random.Generator) -> Image.Image:
    """Return a letter in one of the fonts that come with matplotlib, grey."""
    fonts = sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVu*.ttf"))
    fonts = [path for path in fonts if "Display" not in path.name]
    path, side = fonts[rng.integers(len(fonts))], 2 * size
    image = Image.new("L", (side, side), 255)
    font = ImageFont.truetype(str(path), int(side * rng.uniform(0.5, 0.8)))
    x, y = (side / 2 + rng.normal(0, side / 25) for _ in range(2))
    ink = int(rng.integers(0, 90))
    ImageDraw.Draw(image).text((x, y), name, font=font, fill=ink, anchor="mm")
    turned = image.rotate(rng.normal(0, 10), fillcolor=255)
    return noisy(turned.resize((size, size), Image.Resampling.BILINEAR), 8, rng)


def xray(name: str, size: int, rng: np.random.Generator) -> Image.Image:
    """Return two dark lungs, ribs and a spine; with a nodule, or the base of one lung full."""
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    pixels = 60 + 90 * np.exp(-((x - 0.5) ** 2 / 0.25 + (y - 0.55) ** 2 / 0.35))
    for side in (-1, 1):
        centre = 0.5 + side * rng.uniform(0.17, 0.23), rng.uniform(0.42, 0.52)
        far = ((x - centre[0]) / rng.uniform(0.12, 0.16)) ** 2
        far = far + ((y - centre[1]) / rng.uniform(0.27, 0.36)) ** 2
        pixels -= rng.uniform(60, 85) / (1 + np.exp((far - 1) * 8))
    for rib in range(8):
        height = 0.12 + 0.1 * rib + rng.normal(0, 0.01)
        off = (y - height - 0.5 * (x - 0.5) ** 2) / 0.012
        pixels += rng.uniform(6, 14) * np.exp(-(off**2))
    pixels += 40 * np.exp(-(((x - 0.5) / 0.035) ** 2))
    side = rng.choice([-1, 1])
    if name == "nodule":
        where = 0.5 + side * rng.uniform(0.12, 0.26), rng.uniform(0.28, 0.65)
        radius = rng.uniform(0.025, 0.05)
        far = ((x - where[0]) ** 2 + (y - where[1]) ** 2) / radius**2
        pixels += rng.uniform(25, 50) * np.exp(-far)
    if name == "effusion":
        level = rng.uniform(0.58, 0.7)
        white, slope = rng.uniform(30, 60), rng.uniform(-0.1, 0.1)
        full = (y > level + slope * (x - 0.5)) * (side * (x - 0.5) > 0)
        pixels += white * full * np.exp(-(((x - 0.5 - side * 0.2) / 0.16) ** 2))
    soft = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return noisy(soft.filter(ImageFilter.GaussianBlur(1)), 10, rng)


def noisy(image: Image.Image, spread: float, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image) + rng.normal(0, spread, image.size[::-1])
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def frozen(data: Dataset) -> tuple[Floor, float]:
    """Return what the linear classifier gets right, and its CPU seconds."""
    package, started = find("imagenet"), time.process_time()
    space = lite.create(len(data.class_names), 3, data.image_size)
    _, floor = begin(package.weights, space, normalised_as(data, package.metadata()), Silent())
    return floor, time.process_time() - started


def from_nothing(data: Dataset, seconds: float) -> tuple[float, int]:
    """Return the accuracy of the largest mbv3-tiny after so many CPU seconds, and its epochs."""
    space = mbv3_tiny.create(len(data.class_names), 3, data.image_size)
    settings = default_settings(data)
    with tempfile.TemporaryDirectory() as folder:
        trainer, taken = Trainer(space, data, settings, Path(folder) / "timed", "cpu"), []
        steps = trainer.steps()
        for _ in range(4):
            started = time.process_time()
            next(steps)
            taken.append(time.process_time() - started)
        epochs = max(1, int(seconds / min(taken[1:]) / trainer.steps_per_epoch))
        settings = replace(settings, epochs=min(settings.epochs, epochs))
        paths = Path(folder) / "checkpoint", Path(folder) / "supernet"
        report = train(space, data, settings, *paths, Silent())
    return report.largest_accuracy, settings.epochs


if __name__ == "__main__":
    main()

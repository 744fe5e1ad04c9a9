"""Train on a few hundred drawings of shapes: a supernet by epochs, and a plain network; print rows.

Run: OMP_NUM_THREADS=1 python benchmarks/few_images.py FOLDER [--epochs 14 100] [--plain-s 120]

The drawings (7 classes of 60, 40 to 120 px, noisy, JPEG and PNG) are made in FOLDER, always the
same, for `edgenas search --data imagefolder:FOLDER` to take. Accuracy is in fp32, on the images
that validate and test, CPU time of one core.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import nn

from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.data.base import Dataset, Split
from edgenas.spaces import mbv3_tiny
from edgenas.supernet.augment import augment
from edgenas.supernet.recalibrate import to_input
from edgenas.supernet.settings import default_settings
from edgenas.supernet.train import train

CLASSES = ("circle", "square", "triangle", "cross", "stripes", "checker", "Ring (große)")
EACH = 60


def colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def checker(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], period: int, ink: tuple[int, int, int]
) -> None:
    for left in range(0, size[0], period):
        for top in range(0, size[1], period):
            if (left // period + top // period) % 2:
                draw.rectangle((left, top, left + period, top + period), fill=ink)


def drawing(name: str, rng: np.random.Generator) -> Image.Image:
    width, height = (int(side) for side in rng.integers(40, 121, 2))
    if rng.random() < 0.5:
        height = width
    ground, ink = colour(rng), colour(rng)
    while sum(abs(a - b) for a, b in zip(ground, ink, strict=True)) < 150:
        ink = colour(rng)
    image = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(image)
    s = int(min(width, height) * rng.uniform(0.35, 0.8) / 2)
    x = width // 2 + int(rng.integers(-width // 10, width // 10 + 1))
    y = height // 2 + int(rng.integers(-height // 10, height // 10 + 1))
    arm, box = max(2, s // 4), (x - s, y - s, x + s, y + s)
    if name == "circle":
        draw.ellipse(box, fill=ink)
    elif name == "square":
        draw.rectangle(box, fill=ink)
    elif name == "triangle":
        draw.polygon([(x, y - s), (x - s, y + s), (x + s, y + s)], fill=ink)
    elif name == "cross":
        draw.rectangle((x - s, y - arm, x + s, y + arm), fill=ink)
        draw.rectangle((x - arm, y - s, x + arm, y + s), fill=ink)
    elif name == "stripes":
        period = int(rng.integers(6, 16))
        for left in range(0, width, period):
            draw.rectangle((left, 0, left + period // 2, height), fill=ink)
    elif name == "checker":
        checker(draw, image.size, int(rng.integers(6, 14)), ink)
    else:
        draw.ellipse(box, outline=ink, width=arm)
    noisy = np.asarray(image) + rng.normal(0, 25, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def write(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(EACH):
            suffix = "png" if index % 2 else "JPG"
            drawing(name, rng).save(folder / name / f"{index:03}.{suffix}", quality=85)


def supernet(data: Dataset, epochs: int, work: Path) -> str:
    space = mbv3_tiny.create(len(data.class_names), 3, data.image_size)
    started = time.process_time()
    paths = work / f".{epochs}.checkpoint", work / f".{epochs}.safetensors"
    report = train(space, data, default_settings(data, epochs=epochs), *paths, Silent())
    spent = time.process_time() - started
    for path in paths:
        path.unlink()
    best, worst = report.largest_accuracy, report.smallest_accuracy
    return f"{epochs} epochs | {spent:.0f} | {best:.1%} | {worst:.1%}"


def plain(data: Dataset, seconds: float) -> str:
    def block(narrow: int, wide: int) -> nn.Module:
        convolution = nn.Conv2d(narrow, wide, 3, padding=1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(wide), nn.ReLU(), nn.MaxPool2d(2))

    torch.manual_seed(0)
    blocks = block(3, 16), block(16, 32), block(32, 64)
    last = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(data.class_names))
    network = nn.Sequential(*blocks, *last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    rng, epochs, started = np.random.default_rng(0), 0, time.process_time()
    images, labels = torch.from_numpy(data.train.images), torch.from_numpy(data.train.labels)
    while time.process_time() - started < seconds:
        for chosen in np.array_split(rng.permutation(len(labels)), max(1, len(labels) // 32)):
            inputs = to_input(augment(images[chosen], rng, data.image_size // 8, True), data)
            optimizer.zero_grad()
            F.cross_entropy(network(inputs), labels[chosen]).backward()
            optimizer.step()
        epochs += 1
    network.eval()
    with torch.no_grad():
        answers = network(to_input(data.val.images, data)).argmax(1).numpy()
    right = float(np.mean(answers == data.val.labels))
    return f"plain, {epochs} epochs | {time.process_time() - started:.0f} | {right:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, nargs="*", default=[14, 100])
    parser.add_argument("--plain-s", type=float, default=120)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    write(arguments.folder)
    data = base.load(f"imagefolder:{arguments.folder}", seed=0, progress=Silent())
    kept = [np.concatenate(pair) for pair in zip(*map(_arrays, (data.val, data.test)), strict=True)]
    data = replace(data, val=Split(*kept))
    print("| training | CPU s | largest | smallest |\n|---|---|---|---|")
    for epochs in arguments.epochs:
        print(f"| {supernet(data, epochs, arguments.folder)} |", flush=True)
    print(f"| {plain(data, arguments.plain_s)} |")


def _arrays(split: Split) -> tuple[np.ndarray, np.ndarray]:
    return split.images, split.labels


if __name__ == "__main__":
    main()

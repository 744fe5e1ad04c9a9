"""Where int8 noise of random subnets comes from, and which form of a network has least.

Run: OMP_NUM_THREADS=1 python benchmarks/int8_noise.py RUN [--subnets 3] [--images 96] [--forms …]
     OMP_NUM_THREADS=1 python benchmarks/int8_noise.py --supernet cifar10 --data imagefolder:DIR …

RUN is the folder of an `edgenas search` that has trained its supernet. Of test images, as the int8
reference computes them (u8s8): signal over noise of the scores, in dB, the mean over subnets;
images whose class changes; and points of accuracy that int8 loses, with 1.96 standard errors over
images.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from photographs_searches import context_of, uncorrected

from edgenas.core import plugins
from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.int8.checks.sensitivity import snr_db
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.graph import float_reference, integer_reference
from edgenas.int8.graph.equalize import (
    Statistics,
    equalize,
    observe_channels,
    ranges_of,
    with_corrected_biases,
)
from edgenas.int8.graph.ir import INPUT, OUTPUT, Graph
from edgenas.int8.graph.quantize import SCHEMES, quantize
from edgenas.int8.graph.ranges import Ranges
from edgenas.spaces.base import MobileSpace
from edgenas.supernet import files
from edgenas.supernet.deploy import deployable
from edgenas.supernet.network import Supernet
from edgenas.supernet.packages.package import find

SCHEME = SCHEMES["u8s8"]
CALIBRATING = 128  # images
SHARES = np.linspace(0.3, 1.0, 29)  # of a range that is cut off
MOST_SEEN = 50_000  # values of a batch, by which a range is cut off
PLAIN, CORRECTED = "as it is", "biases corrected"
FORMS = (
    "activations alone",
    "weights alone",
    "weights alone, biases corrected",
    PLAIN,
    CORRECTED,
    "equalised",
    "equalised, biases corrected",
    "ranges cut off",
    "ranges cut off, biases corrected",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--supernet", help="a package, in place of RUN")
    parser.add_argument("--data", help="its images")
    parser.add_argument("--subnets", type=int, default=3)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    space, supernet, data = trained(asked)
    rng, engine = np.random.default_rng(0), find_engine("onnxruntime")
    count = min(asked.images, len(data.test))
    test = data.test.take(np.linspace(0, len(data.test) - 1, count).astype(int))
    decibels: dict[str, list[float]] = {form: [] for form in asked.forms}
    changed, lost = ({form: list[np.ndarray]() for form in asked.forms} for _ in range(2))
    for _ in range(asked.subnets):
        architecture = space.sample(rng)
        network = deployable(supernet, architecture, space.layers(architecture), data, engine)
        seen, images = (
            data.normalize(split.resized(architecture.resolution).images)
            for split in (data.calibration(CALIBRATING), test)
        )
        graph = uncorrected(network.graph)
        exact = float_reference.run(graph, images).astype(np.float64)
        classes = exact.argmax(1)
        scored = forms(graph, network.ranges, seen, images)
        for name in asked.forms:
            scores = scored[name]()
            power = float((exact**2).sum()), float(((scores - exact) ** 2).sum())
            decibels[name].append(snr_db(*power) or np.inf)
            answers = scores.argmax(1)
            changed[name].append(answers != classes)
            right, before = (of == test.labels for of in (answers, classes))
            lost[name].append(before.astype(float) - right)
    print(f"{asked.subnets} subnets, {count} images\n")
    print("| form | dB | least | most | changed, % | lost, points | worst |")
    print("|---|---|---|---|---|---|---|")
    for name in asked.forms:
        print(shown(name, decibels[name], np.array(changed[name]), np.array(lost[name])))


def trained(asked: argparse.Namespace) -> tuple[MobileSpace, Supernet, base.Dataset]:
    """Return a space, its supernet and images: those of a run, or a package and what is given."""
    if asked.run is not None:
        context = context_of(asked.run)
        return context.space, context.supernet(), context.dataset
    package = find(asked.supernet)
    data = base.load(asked.data, seed=0, progress=Silent())
    create = plugins.load("spaces", package.metadata()["space"]["name"]).create
    space = create(len(data.class_names), len(data.mean), data.image_size)
    return space, files.load(package.weights, space), data


def shown(name: str, decibels: list[float], changed: np.ndarray, lost: np.ndarray) -> str:
    """Return a row; changed, lost : [subnets, images]."""
    by_image = 100 * lost.mean(0)
    error = 1.96 * by_image.std(ddof=1) / np.sqrt(len(by_image))
    return (
        f"| {name} | {np.mean(decibels):.1f} | {min(decibels):.1f} | {max(decibels):.1f} | "
        f"{100 * changed.mean():.2f} | {by_image.mean():+.2f} ± {error:.2f} | "
        f"{100 * lost.mean(1).max():.2f} |"
    )


def forms(
    graph: Graph, ranges: Ranges, seen: np.ndarray, images: np.ndarray
) -> Mapping[str, Callable[[], np.ndarray]]:
    """Return what computes the scores of each form; `seen` calibrates."""
    statistics, _ = observe_channels(graph, seen)

    def whole(one: Graph, bounds: Ranges) -> np.ndarray:
        return integer_reference.run(one, quantize(one, bounds, SCHEME), images)

    def corrected(one: Graph, bounds: Ranges, about: Statistics) -> Graph:
        return with_corrected_biases(one, quantize(one, bounds, SCHEME), about)

    def weights_alone(one: Graph) -> np.ndarray:
        stored = integer_reference.stored_graph(one, quantize(one, ranges, SCHEME))
        return float_reference.run(stored, images)

    def activations_alone() -> np.ndarray:
        quantization = quantize(graph, ranges, SCHEME)

        def store(name: str, value: torch.Tensor) -> torch.Tensor:
            return integer_reference.stored(name, value, quantization)

        return float_reference.run(graph, images, store=store)

    def equalised(*, mended: bool) -> np.ndarray:
        alike, about = equalize(graph, statistics)
        bounds = {**ranges_of(about), INPUT: ranges[INPUT]}
        return whole(corrected(alike, bounds, about) if mended else alike, bounds)

    def cut(*, mended: bool) -> np.ndarray:
        bounds = cut_off(graph, ranges, seen)
        return whole(corrected(graph, bounds, statistics) if mended else graph, bounds)

    mended = corrected(graph, ranges, statistics)
    computed = (
        activations_alone,
        lambda: weights_alone(graph),
        lambda: weights_alone(mended),
        lambda: whole(graph, ranges),
        lambda: whole(mended, ranges),
        lambda: equalised(mended=False),
        lambda: equalised(mended=True),
        lambda: cut(mended=False),
        lambda: cut(mended=True),
    )
    return dict(zip(FORMS, computed, strict=True))


def cut_off(graph: Graph, ranges: Ranges, seen: np.ndarray) -> Ranges:
    """Return ranges with which each tensor has the least squared error, rounding and cutting."""
    values: dict[str, list[np.ndarray]] = {}

    def observe(name: str, tensor: np.ndarray) -> None:
        flat = tensor.reshape(-1)
        values.setdefault(name, []).append(flat[:: max(1, len(flat) // MOST_SEEN)].copy())

    float_reference.run(graph, seen, observe=observe)
    cut = dict(ranges)
    for name in set(ranges) - {INPUT, OUTPUT}:
        least, greatest = min(ranges[name][0], 0.0), max(ranges[name][1], 0.0)
        samples = np.concatenate(values[name])
        bounds = [(share * least, share * greatest) for share in SHARES]
        cut[name] = min(bounds, key=lambda bound: _squared_error(samples, *bound))
    return cut


def _squared_error(values: np.ndarray, least: float, greatest: float) -> float:
    step = max(greatest - least, 1e-12) / 255
    zero = np.rint(-least / step)
    rounded = np.rint(values / step).clip(-zero, 255 - zero) * step
    return float(((rounded - values) ** 2).sum())


if __name__ == "__main__":
    main()

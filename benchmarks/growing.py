"""Growing by splitting against what it competes with, at one predicted latency; print a table.

Run: OMP_NUM_THREADS=1 python benchmarks/growing.py imagefolder:CIFAR10 [--quick]

All ways of a row have the same limit and the same epochs in all, those of the seed network
included: grown from the space's smallest network, its shape trained from nothing, the smallest
network scaled uniformly and trained from nothing, and one of twice the width that is pruned.
`--searched` adds the best of the subnets of a supernet of as many epochs, with the weights that it
has there. Latency is a predictor's of a made-up board: 15.8 GMAC/s of depthwise convolutions, 84.1
of others, 2 us a kernel (the roof of one x86 core), 1 % noise. Accuracy is of the int8 files on the
test images; seconds are CPU time of one core.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import torch

from edgenas.core.metrics import REGISTRY
from edgenas.core.progress import Silent
from edgenas.core.records import Architecture, Limit
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.int8.engines.facts import find_engine
from edgenas.optimize.growth import widest_scaled
from edgenas.optimize.layout import Predictors
from edgenas.optimize.limits import keeps
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData
from edgenas.runs.growing.rounds import Growing, from_nothing, grow, prune, random_subnet
from edgenas.spaces import mbv3_tiny_free
from edgenas.spaces.base import MobileSpace
from edgenas.spaces.resizing import scaled
from edgenas.supernet import files
from edgenas.supernet.blocks import Subnet
from edgenas.supernet.deploy import Deployable, deployable, of_subnet
from edgenas.supernet.settings import default_settings
from edgenas.supernet.train import train

SCHEME, ENGINE = "u8s8", find_engine("onnxruntime")
GMACS_PER_S = {"depthwise": 15.8, "conv": 84.1, "linear": 84.1}
LAUNCH_MS, NOISE, MEASURED = 2e-3, 0.01, 60
TIMES = (1.5, 2.0, 3.0)  # the limits: the smallest network's predicted latency times these
SEED_SHARE = 1 / 3  # of all epochs, of the network that grows
DRAWN, EVALUATED = 400, 16  # random subnets of a supernet: those nearest to the limit count
WAYS = ("grown", "same shape from nothing", "uniform from nothing", "pruned", "searched")


@dataclass(frozen=True)
class Row:
    """One training: at which limit, with which seed, in which way, and what came of it."""

    limit_ms: float
    seed: int
    way: str
    accuracy: float
    upper_ms: float
    macs: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="as of edgenas search --data")
    parser.add_argument("--images", type=int, default=4000, help="to train on")
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--times", type=float, nargs="+", default=list(TIMES))
    parser.add_argument("--searched", action="store_true", help="train a supernet a seed, too")
    parser.add_argument("--quick", action="store_true", help="one seed and limit, few images")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = base.load(asked.data, seed=0, progress=Silent(), image_size=64)
    images = 500 if asked.quick else asked.images
    order = np.random.default_rng(0).permutation(len(data.train))
    data = replace(data, train=data.train.take(order[:images]))
    space = mbv3_tiny_free.create(len(data.class_names), len(data.mean), data.image_size)
    predictors = made_up(space)
    seeds, times = (asked.seeds[:1], asked.times[:1]) if asked.quick else (asked.seeds, asked.times)
    epochs = 3 if asked.quick else asked.epochs
    rows = []
    for seed in seeds:
        for row in of_seed(predictors, data, times, epochs, seed, searched=asked.searched):
            print(row, flush=True)
            rows.append(row)
    show(rows, data, epochs)


def of_seed(
    predictors: Predictors,
    data: Dataset,
    times: Sequence[float],
    epochs: int,
    seed: int,
    *,
    searched: bool,
) -> Iterator[Row]:
    """Yield the rows of one seed."""
    smallest = predictors.space.smallest()
    least_ms = predictors.candidates([smallest])[0]["latency_ms"].upper
    limits = [{"latency_ms": Limit("latency_ms", at_most=one * least_ms)} for one in times]
    settings = default_settings(data, epochs=epochs, seed=seed)
    before = max(1, round(epochs * SEED_SHARE))
    short = replace(settings, epochs=epochs - before)
    alone = Growing(predictors, limits[0], data, settings, Silent())
    start, seed_s = timed(lambda: trained_seed(smallest, before, alone))
    for limit in limits:
        whole = replace(alone, limits=limit)
        (network, shape, _), seconds = timed(
            lambda at=limit: grow(
                copy.deepcopy(start), smallest, replace(alone, limits=at, settings=short)
            )
        )
        yield row("grown", network, shape, whole, seconds + seed_s)
        uniform = widest_scaled(predictors, smallest, limit)
        for way, one in (("same shape from nothing", shape), ("uniform from nothing", uniform)):
            network, seconds = timed(lambda of=one, by=whole: from_nothing(of, by, ""))
            yield row(way, network, one, whole, seconds)
        twice = [one for factor, one in scaled(predictors.space, uniform) if factor <= 2][-1]
        wide = random_subnet(twice, whole)
        cut, seconds = timed(lambda of=wide, wide=twice, by=whole: prune(of, wide, by))
        if cut is not None:
            yield row("pruned", *cut, whole, seconds)
    if searched:
        yield from of_supernet(alone, limits)


def trained_seed(network: Architecture, epochs: int, growing: Growing) -> Subnet:
    """Return the network that grows: trained as the first third of a longer training."""
    subnet = random_subnet(network, growing)
    shares, warmup = (1.0, 0.3), growing.settings.warmup
    growing.train(subnet, epochs, "", shares=shares, warmup=warmup)
    return subnet


def of_supernet(growing: Growing, limits: Sequence[Mapping[str, Limit]]) -> Iterator[Row]:
    """Yield, for each limit, the best of a supernet's random subnets on the validation images."""
    space, data, settings = growing.space, growing.data, growing.settings
    began = time.process_time()
    with TemporaryDirectory() as folder:
        paths = Path(folder, "checkpoint"), Path(folder, "supernet")
        train(space, data, settings, *paths, Silent())
        supernet = files.load(paths[1], space)
    seconds = time.process_time() - began
    rng = np.random.default_rng(settings.seed)
    for limit in limits:
        drawn = growing.predictors.candidates([space.sample(rng) for _ in range(DRAWN)])
        within = [one for one in drawn if keeps(one.predicted, limit.values())]
        nearest = sorted(within, key=lambda one: -one["latency_ms"].mean)[:EVALUATED]
        began = time.process_time()
        known = [
            (network.accuracy(SCHEME, data, data.val), one.architecture, network)
            for one in nearest
            for network in [
                deployable(supernet, one.architecture, space.layers(one.architecture), data, ENGINE)
            ]
        ]
        _, best, network = max(known, key=lambda one: one[0])
        spent_s = seconds + time.process_time() - began
        by = replace(growing, limits=limit)
        yield of_deployable("searched", network, best, by, spent_s)


def row(way: str, subnet: Subnet, shape: Architecture, by: Growing, seconds: float) -> Row:
    """Return what a trained network came to."""
    network = of_subnet(subnet, by.space.layers(shape), by.data, ENGINE)
    return of_deployable(way, network, shape, by, seconds)


def of_deployable(
    way: str, network: Deployable, shape: Architecture, by: Growing, seconds: float
) -> Row:
    """Return what a network that is ready to emit comes to."""
    (candidate,) = by.predictors.candidates([shape])
    upper_ms, limit_ms = candidate["latency_ms"].upper, by.limits["latency_ms"].at_most
    assert limit_ms is not None
    accuracy = network.accuracy(SCHEME, by.data, by.data.test)
    macs = sum(layer.macs for layer in by.space.layers(shape))
    return Row(limit_ms, by.settings.seed, way, accuracy, upper_ms, macs, seconds)


Result = TypeVar("Result")


def timed(made: Callable[[], Result]) -> tuple[Result, float]:
    """Return what is made, and the CPU seconds that it takes."""
    began = time.process_time()
    return made(), time.process_time() - began


def made_up(space: MobileSpace) -> Predictors:
    """Return predictors of the made-up board; that of accuracy is there because one has to be."""
    rng = np.random.default_rng(0)
    networks = [one for one, _ in zip(space.distinct(rng), range(MEASURED), strict=False)]
    latencies = np.array([board_ms(space, one) for one in networks])
    latencies *= 1 + NOISE * rng.standard_normal(len(networks))
    counts = np.array([sum(layer.macs for layer in space.layers(one)) for one in networks])
    accuracies = 0.05 * np.log(counts) + 0.01 * rng.standard_normal(len(networks))
    fitted = []
    for name, unit, values in (("latency_ms", "ms", latencies), ("accuracy", "", accuracies)):
        rows = TermRows(space, REGISTRY[name].source)
        data = TrainingData(
            name, unit, rows.terms.names, rows.matrix(networks), values, cost=rows.terms.cost
        )
        fitted.append(regression.fit(data, 0))
    return Predictors(space, *fitted, confidence=0.95)


def board_ms(space: MobileSpace, network: Architecture) -> float:
    layers = space.layers(network)
    work = sum(layer.macs / GMACS_PER_S[layer.kind] / 1e6 for layer in layers if layer.macs)
    return work + LAUNCH_MS * len(layers)


def show(rows: Sequence[Row], data: Dataset, epochs: int) -> None:
    """Print a table: a line a limit and way, accuracies by seed."""
    n = len(data.test)
    print(f"\n{data.name}: {len(data.train):,} images, {epochs} epochs; {n:,} test images\n")
    print("| limit, ms | way | accuracy by seed, % | mean, % | against grown | MMAC | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for limit_ms in sorted({one.limit_ms for one in rows}):
        here = [one for one in rows if one.limit_ms == limit_ms]
        grown = {one.seed: one.accuracy for one in here if one.way == "grown"}
        for way in WAYS:
            of = [one for one in here if one.way == way]
            if not of:
                continue
            each = " ".join(f"{100 * one.accuracy:.1f}" for one in of)
            ahead = [100 * (one.accuracy - grown[one.seed]) for one in of]
            against = "" if way == "grown" else f"{np.mean(ahead):+.1f}"
            mean = 100 * np.mean([one.accuracy for one in of])
            macs = np.mean([one.macs for one in of]) / 1e6
            seconds = np.mean([one.seconds for one in of])
            print(
                f"| {limit_ms:.3f} | {way} | {each} | {mean:.1f} | {against} | {macs:.2f} "
                f"| {seconds:.0f} |"
            )


if __name__ == "__main__":
    main()

"""Growing by splitting against what it competes with, at one predicted cost; print a table.

Run: OMP_NUM_THREADS=1 python benchmarks/growing.py imagefolder:CIFAR10 --rows rows.jsonl [--quick]

All ways of a row have the same limit and the same epochs in all, those of the seed network
included: grown from the space's smallest network, its shape trained from nothing, the smallest
network scaled uniformly and trained from nothing, one of twice the width that is pruned, and the
best of the subnets of a supernet, with the weights that it has there. "in the seconds of growing"
trains the grown shape from nothing for as many epochs as take the CPU time that growing took.

Latency is a predictor's of a made-up board: 15.8 GMAC/s of depthwise convolutions, 84.1 of others,
2 us a kernel (the roof of one x86 core), 1 % noise. With `--energy TABLE` the limit is on
millijoules, whose coefficients (of 3 x 3 and 1 x 1 convolutions by MAC, and of a kernel) are
fitted to the Raspberry Pi 5 of NAS-Bench-201's networks in TABLE (nb201_hw360.csv.gz): float32
networks without depthwise convolutions, which are taken to cost by MAC what 3 x 3 ones do.

Accuracy is of the int8 files on the test images; seconds are CPU time of one core. Each row is
added to the file of `--rows`, and one that is there is not made again: started again, it goes on.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec
import numpy as np
import torch
from growing_board import fitted_energy, predictors

from edgenas.core.progress import Silent
from edgenas.core.records import Architecture, Limit
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.int8.engines.facts import find_engine
from edgenas.optimize.growth import widest_scaled
from edgenas.optimize.layout import Predictors
from edgenas.optimize.limits import keeps
from edgenas.runs.growing.rounds import Growing, from_nothing, grow, prune, random_subnet
from edgenas.spaces import mbv3_tiny_free
from edgenas.spaces.resizing import scaled
from edgenas.supernet import files
from edgenas.supernet.blocks import Subnet
from edgenas.supernet.deploy import Deployable, deployable, of_subnet
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import default_settings
from edgenas.supernet.train import train

SCHEME, ENGINE = "u8s8", find_engine("onnxruntime")
TIMES = (1.5, 2.0, 3.0)  # the limits: the smallest network's predicted cost times these
SEED_SHARE = 1 / 3  # of all epochs, of the network that grows
DRAWN, EVALUATED = 400, 8  # random subnets of a supernet: those nearest to the limit count
GROWN, SAME, UNIFORM, PRUNED = (
    *("grown", "same shape from nothing", "uniform from nothing", "pruned"),
)
SAME_SECONDS, SEARCHED = "same shape, in the seconds of growing", "searched"
WAYS = (GROWN, SAME, UNIFORM, PRUNED, SAME_SECONDS, SEARCHED)


@dataclass(frozen=True)
class Row:
    """One training: at which limit, with which seed, in which way, and what came of it."""

    times: float
    limit: float
    seed: int
    way: str
    accuracy: float
    upper: float
    macs: int
    epochs: int
    seconds: float
    network: Architecture

    @property
    def cell(self) -> tuple[float, int, str]:
        return self.times, self.seed, self.way


@dataclass
class Rows:
    """The rows that there are, by cell, as lines of a file."""

    path: Path
    known: dict[tuple[float, int, str], Row] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Rows:
        lines = path.read_bytes().splitlines() if path.exists() else []
        rows = [msgspec.json.decode(line, type=Row) for line in lines]
        return cls(path, {row.cell: row for row in rows})

    def add(self, row: Row) -> None:
        self.known[row.cell] = row
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(row) + b"\n")
        print({**asdict(row), "network": str(row.network)}, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="as of edgenas search --data")
    parser.add_argument("--rows", type=Path, required=True, help="file of the rows, gone on with")
    parser.add_argument("--images", type=int, default=4000, help="to train on")
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--times", type=float, nargs="+", default=list(TIMES))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, metavar="WAY")
    parser.add_argument("--energy", type=Path, metavar="TABLE", help="limit mJ, not ms")
    parser.add_argument("--quick", action="store_true", help="one seed and limit, few images")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = base.load(asked.data, seed=0, progress=Silent(), image_size=64)
    images = 500 if asked.quick else asked.images
    order = np.random.default_rng(0).permutation(len(data.train))
    data = replace(data, train=data.train.take(order[:images]))
    space = mbv3_tiny_free.create(len(data.class_names), len(data.mean), data.image_size)
    energy = None if asked.energy is None else fitted_energy(asked.energy)
    known, cost = predictors(space, energy), "latency_ms" if energy is None else "energy_mj"
    seeds, times = (asked.seeds[:1], asked.times[:1]) if asked.quick else (asked.seeds, asked.times)
    epochs = 3 if asked.quick else asked.epochs
    rows = Rows.read(asked.rows)
    for seed in seeds:
        cells = Cells(known, data, cost, epochs, seed)
        for least in times:
            for way in WAYS:
                if way in asked.ways and (least, seed, way) not in rows.known:
                    row = cells.row(way, least, rows.known)
                    if row is not None:
                        rows.add(row)
    show(list(rows.known.values()), data, epochs, cost)


@dataclass(frozen=True)
class Cells:
    """The trainings of one seed."""

    predictors: Predictors
    data: Dataset
    cost: str
    epochs: int
    seed: int

    def row(
        self, way: str, times: float, known: Mapping[tuple[float, int, str], Row]
    ) -> Row | None:
        """Return what a way comes to; None where it has nothing within the limit.

        known : the rows so far, of which that of the grown network says its shape and seconds.
        """
        limit, epochs = self.limit(times), self.epochs
        if way == SAME_SECONDS:
            alone, grown = known[times, self.seed, SAME], known[times, self.seed, GROWN]
            epochs = round(epochs * grown.seconds / alone.seconds)
        space = self.predictors.space
        if way == SEARCHED:
            ready, shape, seconds = self.searched(limit)
        else:
            grown_shape = None if way == GROWN else known[times, self.seed, GROWN].network
            before_s = self.start[1] if way == GROWN else 0.0
            trained, seconds = timed(
                lambda: self.trained(way, self.growing(limit, epochs), grown_shape)
            )
            if trained is None:
                return None
            subnet, shape = trained
            seconds += before_s
            ready = of_subnet(subnet, space.layers(shape), self.data, ENGINE)
        (candidate,) = self.predictors.candidates([shape])
        accuracy = ready.accuracy(SCHEME, self.data, self.data.test)
        macs = sum(layer.macs for layer in space.layers(shape))
        upper = candidate[self.cost].upper
        return Row(times, limit, self.seed, way, accuracy, upper, macs, epochs, seconds, shape)

    def trained(
        self, way: str, growing: Growing, grown_shape: Architecture | None
    ) -> tuple[Subnet, Architecture] | None:
        """Return the network of a way but `SEARCHED`, trained, and its shape."""
        smallest = growing.space.smallest()
        uniform = widest_scaled(self.predictors, smallest, growing.limits)
        if way == GROWN:
            start = copy.deepcopy(self.start[0])
            after = replace(growing.settings, epochs=growing.settings.epochs - self.before)
            return grow(start, smallest, replace(growing, settings=after))[:2]
        if way == PRUNED:
            twice = [one for factor, one in scaled(growing.space, uniform) if factor <= 2][-1]
            return prune(random_subnet(twice, growing), twice, growing)
        shape = uniform if way == UNIFORM or grown_shape is None else grown_shape
        return from_nothing(shape, growing, ""), shape

    def limit(self, times: float) -> float:
        (smallest,) = self.predictors.candidates([self.predictors.space.smallest()])
        return times * smallest[self.cost].upper

    def growing(self, limit: float, epochs: int) -> Growing:
        settings = default_settings(self.data, epochs=epochs, seed=self.seed)
        limits = {self.cost: Limit(self.cost, at_most=limit)}
        return Growing(self.predictors, limits, self.data, settings, Silent())

    @property
    def before(self) -> int:
        return max(1, round(self.epochs * SEED_SHARE))

    @cached_property
    def start(self) -> tuple[Subnet, float]:
        """The network that grows, trained as the first third of a longer training; its seconds."""
        growing = self.growing(self.limit(1.0), self.epochs)
        subnet = random_subnet(growing.space.smallest(), growing)
        shares, warmup = (1.0, 0.3), growing.settings.warmup
        _, seconds = timed(
            lambda: growing.train(subnet, self.before, "", shares=shares, warmup=warmup)
        )
        return subnet, seconds

    @cached_property
    def supernet(self) -> tuple[Supernet, float]:
        """A supernet of as many epochs, and its seconds."""
        space, settings = (
            self.predictors.space,
            default_settings(self.data, epochs=self.epochs, seed=self.seed),
        )
        with TemporaryDirectory() as folder:
            paths = Path(folder, "checkpoint"), Path(folder, "supernet")
            _, seconds = timed(lambda: train(space, self.data, settings, *paths, Silent()))
            return files.load(paths[1], space), seconds

    def searched(self, limit: float) -> tuple[Deployable, Architecture, float]:
        """Return the best of the supernet's random subnets on the validation images."""
        space, data = self.predictors.space, self.data
        supernet, training_s = self.supernet
        rng = np.random.default_rng(self.seed)
        drawn = self.predictors.candidates([space.sample(rng) for _ in range(DRAWN)])
        limits = self.growing(limit, self.epochs).limits
        within = [one for one in drawn if keeps(one.predicted, limits.values())]
        nearest = sorted(within, key=lambda one: -one[self.cost].mean)[:EVALUATED]

        def best() -> tuple[float, Architecture, Deployable]:
            ready = [(one.architecture, space.layers(one.architecture)) for one in nearest]
            known = [
                (network.accuracy(SCHEME, data, data.val), shape, network)
                for shape, layers in ready
                for network in [deployable(supernet, shape, layers, data, ENGINE)]
            ]
            return max(known, key=lambda one: one[0])

        (_, shape, network), seconds = timed(best)
        return network, shape, training_s + seconds


Result = TypeVar("Result")


def timed(result_of: Callable[[], Result]) -> tuple[Result, float]:
    """Return what is made, and the CPU seconds that it takes."""
    began = time.process_time()
    return result_of(), time.process_time() - began


def show(rows: Sequence[Row], data: Dataset, epochs: int, cost: str) -> None:
    """Print a table: a line a limit and way, accuracies by seed."""
    n, unit = len(data.test), "ms" if cost == "latency_ms" else "mJ"
    print(f"\n{data.name}: {len(data.train):,} images, {epochs} epochs; {n:,} test images\n")
    print(
        f"| limit, {unit} | way | accuracy by seed, % | mean, % | spread | against grown ", end=""
    )
    print("| epochs | MMAC | CPU s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for times in sorted({one.times for one in rows}):
        here = [one for one in rows if one.times == times]
        grown = {one.seed: one.accuracy for one in here if one.way == GROWN}
        for way in WAYS:
            of = sorted((one for one in here if one.way == way), key=lambda one: one.seed)
            if not of:
                continue
            each = np.array([100 * one.accuracy for one in of])
            spread = f"{each.std(ddof=1):.1f}" if len(of) > 1 else ""
            ahead = [100 * (one.accuracy - grown[one.seed]) for one in of if one.seed in grown]
            against = "" if way == GROWN or not ahead else f"{np.mean(ahead):+.1f}"
            print(
                f"| {of[0].limit:.3f} | {way} | {' '.join(f'{one:.1f}' for one in each)} "
                f"| {each.mean():.1f} | {spread} | {against} "
                f"| {np.mean([one.epochs for one in of]):.0f} "
                f"| {np.mean([one.macs for one in of]) / 1e6:.2f} "
                f"| {np.mean([one.seconds for one in of]):.0f} |"
            )


if __name__ == "__main__":
    main()

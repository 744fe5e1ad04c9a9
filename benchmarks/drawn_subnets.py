"""How random subnets of a training step are drawn, against Kendall's tau with networks alone.

Run: OMP_NUM_THREADS=1 python benchmarks/drawn_subnets.py --work FOLDER [--data digits]
     [--epochs 20] [--seeds 3] [--subnets 12] [--space mbv3-tiny]

A step trains the largest network, the smallest and two others. These two are

  uniform      drawn independently, as edgenas does
  antithetic   one drawn, and the one that has the opposite option of every choice
  stratified   one of the lighter and one of the heavier half by multiply-accumulates

For each seed a supernet is trained in each way for the same epochs. The subnets, even in rank by
MACs, are trained alone once, for the same epochs. Tau is between int8 accuracies on all images that
were not trained on. A way is better if its mean gain over "uniform", seed by seed, exceeds the
standard deviation of these gains. What was trained stays in --work.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from rank_agreement import spread, tau
from trained_networks import Recipe, alone, million_macs, open_recipe

from edgenas.core.progress import Silent
from edgenas.core.records import Architecture, StageChoice
from edgenas.data.base import Split
from edgenas.spaces.base import MobileSpace
from edgenas.supernet import files
from edgenas.supernet.settings import default_settings
from edgenas.supernet.train import train

WAYS = ("uniform", "antithetic", "stratified")
Draw = Callable[[MobileSpace, np.random.Generator], Architecture]
UNIFORM = MobileSpace.sample


class Antithetic:
    """Draws by pairs: every second one is the opposite of the one before."""

    def __init__(self) -> None:
        self._last: Architecture | None = None

    def __call__(self, space: MobileSpace, rng: np.random.Generator) -> Architecture:
        if self._last is None:
            self._last = UNIFORM(space, rng)
            return self._last
        last, self._last = self._last, None
        return opposite(space, last, rng)


class Stratified:
    """Draws in turn from the lighter and the heavier half of networks, by MACs."""

    def __init__(self) -> None:
        self._median: float | None = None
        self._heavier = False

    def __call__(self, space: MobileSpace, rng: np.random.Generator) -> Architecture:
        if self._median is None:
            fixed = np.random.default_rng(0)
            drawn = [million_macs(space, UNIFORM(space, fixed)) for _ in range(200)]
            self._median = float(np.median(drawn))
        wanted, self._heavier = self._heavier, not self._heavier
        while True:
            one = UNIFORM(space, rng)
            if (million_macs(space, one) > self._median) == wanted:
                return one


def opposite(space: MobileSpace, network: Architecture, rng: np.random.Generator) -> Architecture:
    """Return the network with the opposite resolution, depths and options; blocks that it has more
    are drawn."""
    drawn = UNIFORM(space, rng)
    sizes = space.resolutions
    stages = []
    for spec, choice, other in zip(space.stages, network.stages, drawn.stages, strict=True):
        depth = spec.depths[len(spec.depths) - 1 - spec.depths.index(choice.depth)]
        chosen = {}
        for name, options in spec.choices.items():
            mirrored = [options[len(options) - 1 - options.index(o)] for o in choice.choices[name]]
            filled = [*mirrored, *(other.choices[name] * depth)]
            chosen[name] = tuple(filled[:depth])
        stages.append(StageChoice.of(chosen))
    size = sizes[len(sizes) - 1 - sizes.index(network.resolution)]
    return Architecture.of(space.name, size, tuple(stages))


def drawing(way: str) -> Draw:
    """Return a method of spaces that draws in that way."""
    kind = {"antithetic": Antithetic, "stratified": Stratified}.get(way)
    if kind is None:
        return UNIFORM
    draws = kind()

    def sample(space: MobileSpace, rng: np.random.Generator) -> Architecture:
        return draws(space, rng)

    return sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--space", default="mbv3-tiny")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--subnets", type=int, default=12)
    arguments = parser.parse_args()
    recipe = open_recipe(arguments.data, arguments.epochs, arguments.work, Silent())
    space, data = recipe.space(arguments.space), recipe.data
    images = np.concatenate([data.val.images, data.test.images])
    unseen = Split(images, np.concatenate([data.val.labels, data.test.labels]))
    networks = spread(space, arguments.subnets)
    taus: dict[str, list[float]] = {way: [] for way in WAYS}
    own = np.stack(
        [_right(recipe, alone(space, one), None, ("uniform", 0), unseen) for one in networks]
    )
    for seed in range(arguments.seeds):
        for way, found in taus.items():
            inherited = np.stack(
                [_right(recipe, space, one, (way, seed), unseen) for one in networks]
            )
            found.append(tau(inherited, own))
            print(f"seed {seed}, {way}: tau {found[-1]:.3f}, inherited "
                  f"{inherited.mean():.2%}, alone {own.mean():.2%}", flush=True)  # fmt: skip
    print(f"\n{data.name}, {arguments.epochs} epochs, {len(networks)} subnets of {space.name}\n")
    print("| drawn | τ by seed | mean | gain over uniform | its standard deviation |")
    print("|---|---|---|---|---|")
    for way, found in taus.items():
        gains = np.subtract(found, taus["uniform"])
        listed = " ".join(f"{one:.2f}" for one in found)
        deviation = gains.std(ddof=1) if len(gains) > 1 else 0.0
        print(
            f"| {way} | {listed} | {np.mean(found):.3f} | {gains.mean():+.3f} | {deviation:.3f} |"
        )


def _right(
    recipe: Recipe, space: MobileSpace, network: Architecture | None, drawn: tuple[str, int],
    unseen: Split,
) -> np.ndarray:  # fmt: skip
    """Return which unseen images a network gets right as int8, bool [n]; kept in the folder.

    network : of the space's supernet; None for the only one that it has. drawn : how, with a seed.
    """
    way, seed = drawn
    kept = recipe.folder / f"{space.name}-{way}-{seed}.safetensors"
    name = "alone" if network is None else network.short_name
    key = hashlib.sha256(f"{kept.name} {name}".encode()).hexdigest()[:16]
    answers = recipe.folder / f"{key}.json"
    if answers.exists():
        return np.array(json.loads(answers.read_text("utf-8")))
    if not kept.exists():
        settings = replace(default_settings(recipe.data, epochs=recipe.epochs), seed=seed)
        with patch.object(MobileSpace, "sample", drawing(way)):
            train(space, recipe.data, settings, kept.with_suffix(".checkpoint"), kept, Silent())
    deployable = recipe.deployable(files.load(kept, space), network or space.largest())
    right = recipe.right(deployable, unseen)
    answers.write_text(json.dumps(right.tolist()), "utf-8")
    return right


if __name__ == "__main__":
    main()

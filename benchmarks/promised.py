"""What searches promise of accuracy against the test images, without measuring: many, in minutes.

usage: python benchmarks/promised.py RUN --kept FILE.npz [--seeds 5]

RUN is a finished search, whose supernet, images and latency predictor are taken; FILE keeps what
subnets answer, as benchmarks/estimating.py writes it. Of each seed some subnets are evaluated, on a
part of the test images of each class; of four limits each, the accuracy predictor is fitted, the
exact search finds the network that is predicted the most accurate, and it is repeated knowing that
until it finds the same, four times at most, as `edgenas search` does. The rest of the test images
tells what came of it. Printed is a row for each search, and how many outcomes are inside the 90 %
interval of the prediction: as it is, and with the noise that all networks share because there are
only so many images.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from estimating import ENGINE, SCHEME, random_networks, read
from photographs_searches import CONFIDENCE, SHARES, VALIDATING

from edgenas.core import plugins
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.metrics import REGISTRY
from edgenas.core.progress import Silent
from edgenas.core.records import Architecture, Candidate
from edgenas.core.records.goals import SCORE
from edgenas.data import base
from edgenas.int8.engines.host import logits
from edgenas.optimize.layout import Predictors, lay_out
from edgenas.optimize.optimizers.under_limit import best_under
from edgenas.predictors.base import TrainingData
from edgenas.runs.config import read_config
from edgenas.runs.run import RunContext
from edgenas.supernet.deploy import deployable

EVALUATED, SEARCHES = 24, 4


@dataclass
class Subnets:
    """What subnets of a run answer of the test images; a new one is run when it is asked for."""

    context: RunContext
    right: dict[Architecture, np.ndarray] = field(default_factory=dict)

    def add(self, network: Architecture, scores: np.ndarray) -> None:
        """Keep which test images a network has right, of its scores [images, classes]."""
        self.right[network] = scores.argmax(1) == self.context.dataset.test.labels

    def ask(self, network: Architecture) -> None:
        """Run a network that is not known."""
        if network in self.right:
            return
        data, layers = self.context.dataset, self.context.space.layers(network)
        model = deployable(self.context.supernet(), network, layers, data, ENGINE)
        images = base.resize(np.asarray(data.test.images), network.resolution)
        self.add(network, logits(model.emit(SCHEME, None), data.inputs(images)))


def fitted(
    predictors: Predictors, networks: list[Architecture], response: np.ndarray
) -> Predictors:
    """Return the predictors with one of accuracy that is fitted to the response."""
    kind = REGISTRY[SCORE]
    of = predictors.rows(kind.source)
    terms = of.terms
    data = TrainingData(
        kind.name, kind.unit, terms.names, of.matrix(networks), response, cost=terms.cost
    )
    return replace(predictors, accuracy=plugins.load("predictors", "regression").fit(data, 0))


def searched(
    predictors: Predictors,
    subnets: Subnets,
    networks: list[Architecture],
    seen: np.ndarray,
    limit_ms: float,
) -> Candidate:
    """Return the network that is found once the search knows what it found."""
    exact = plugins.load("optimizers", "exact")
    evaluated = list(networks)
    for _ in range(SEARCHES):
        response = np.array([subnets.right[one][seen].mean() for one in evaluated])
        now = fitted(predictors, evaluated, response)
        layout = lay_out(now)
        found = best_under(exact, layout.problem, limit_ms, seed=0, budget=exact.BUDGET, count=1)
        (best,) = now.candidates([layout.architecture(found.points[0])])
        if best.architecture in evaluated:
            break
        subnets.ask(best.architecture)
        evaluated.append(best.architecture)
    return best


def shared_noise(rights: np.ndarray, n_judging: int) -> float:
    """Return the variance, of fractions, that all networks' accuracies have in common.

    rights : bool [networks, validating images]. An image that is hard for all moves all: that is
    the mean covariance of two networks' answers, over the images that validate. What one network
    has of noise on the images that judge comes on top.
    """
    n_networks, n_images = rights.shape
    shares = rights.mean(0)  # of the networks, that have an image right
    own = float((shares * (1 - shares)).mean()) * n_networks / (n_networks - 1)
    total = float(rights.mean() * (1 - rights.mean()))
    return max(0.0, total - own) / n_images + total / n_judging


def main() -> None:
    """Print the rows and the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--kept", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    folder = RunFolder(asked.run)
    context = RunContext(folder, read_config(folder), Silent())
    answers, subnets = read(asked.kept), Subnets(context)
    labels = context.dataset.test.labels
    pool = random_networks(context.space, len(answers.macs))
    for network, scores in zip(pool, answers.scores["test"], strict=True):
        subnets.add(network, scores[: len(labels)])
    predictors = replace(context.predictors(), confidence=CONFIDENCE)
    uppers = [one["latency_ms"].upper for one in predictors.candidates(pool)]
    inside, widened, off, came_of, networks = 0, 0, [], [], set()
    for seed in range(asked.seeds):
        rng = np.random.default_rng(seed)
        seen = np.sort(np.concatenate([
            rng.permutation(of)[: round(VALIDATING * len(of))]
            for of in (np.flatnonzero(labels == name) for name in np.unique(labels))
        ]))  # fmt: skip
        judging = np.setdiff1d(np.arange(len(labels)), seen)
        drawn = [pool[i] for i in np.sort(rng.permutation(len(pool))[:EVALUATED])]
        shared = shared_noise(np.array([subnets.right[one][seen] for one in drawn]), len(judging))
        for share in SHARES:
            limit_ms = min(uppers) + share * (max(uppers) - min(uppers))
            best = searched(predictors, subnets, drawn, seen, limit_ms)
            promise, came = best[SCORE], float(subnets.right[best.architecture][judging].mean())
            half = (promise.upper - promise.lower) / 2
            wide = float(np.hypot(half, 1.645 * np.sqrt(shared)))
            inside += promise.lower <= came <= promise.upper
            widened += abs(came - promise.mean) <= wide
            off.append(100 * (came - promise.mean))
            came_of.append(came)
            networks.add(best.architecture)
            print(
                f"seed {seed}, {limit_ms:.3f} ms: {promise.mean:.1%} ({promise.lower:.1%} to "
                f"{promise.upper:.1%}) promised, {came:.1%} came; +- {100 * wide:.1f} with the "
                f"images' noise; {best.architecture}",
                flush=True,
            )
    print(
        f"{len(off)} searches, {len(networks)} networks, {np.mean(came_of):.2%} came in the mean: "
        f"{inside} inside the {CONFIDENCE:.0%} interval, {widened} with the images' noise; off by "
        f"{np.mean(off):+.1f} points in the mean, {min(off):+.1f} to {max(off):+.1f}"
    )


if __name__ == "__main__":
    main()

"""Whether subnets rank with inherited weights as they do trained alone."""

from __future__ import annotations

import numpy as np
from scipy.stats import kendalltau
from trained_networks import Recipe, alone, million_macs, percent

from edgenas.core.progress import Progress
from edgenas.core.records import Architecture
from edgenas.data.base import Split
from edgenas.spaces.base import MobileSpace

DRAWN = 200
RESAMPLES = 2000


def spread(space: MobileSpace, count: int) -> list[Architecture]:
    """Return `count` architectures, the smallest, the largest, and between them even in rank."""
    stream = space.distinct(np.random.default_rng(0))
    drawn = [next(stream) for _ in range(min(DRAWN, space.size))]
    drawn.sort(key=lambda architecture: million_macs(space, architecture))
    return [drawn[index] for index in np.linspace(0, len(drawn) - 1, count).round().astype(int)]


def agreement(recipe: Recipe, space_name: str, count: int, progress: Progress) -> str:
    """Return a table of int8 accuracies inherited and alone, and Kendall's tau, as Markdown."""
    data = recipe.data
    images = np.concatenate([data.val.images, data.test.images])
    unseen = Split(images, np.concatenate([data.val.labels, data.test.labels]))
    space = recipe.space(space_name)
    supernet = recipe.trained(space, progress)
    inherited, own, rows = [], [], []
    for architecture in spread(space, count):
        inherited.append(recipe.right(recipe.deployable(supernet, architecture), unseen))
        single = alone(space, architecture)
        network = recipe.deployable(recipe.trained(single, progress), single.largest())
        own.append(recipe.right(network, unseen))
        macs = million_macs(space, architecture)
        shown = str(architecture).replace("|", "/")
        accuracies = f"{percent(inherited[-1])} | {percent(own[-1])}"
        rows.append(f"| {shown} | {macs:.2f} | {accuracies} |")
        progress.message(rows[-1])
    found = tau(np.stack(inherited), np.stack(own))
    low, high = np.quantile(resampled(np.stack(inherited), np.stack(own)), (0.025, 0.975))
    lines = [
        f"{data.name}, {recipe.epochs} epochs, {len(data.train):,} training images; accuracy "
        f"on the {len(unseen):,} others (validation and test):",
        "",
        "| subnet | MMAC | inherited, % | alone, % |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Kendall τ {found:.2f}; over images drawn again {low:.2f} to {high:.2f} (95 %).",
    ]
    return "\n".join(lines) + "\n"


def tau(inherited: np.ndarray, own: np.ndarray) -> float:
    """Return Kendall's tau-b between the shares that are right, of bool [n_subnets, n_images]."""
    return float(kendalltau(inherited.mean(1), own.mean(1)).statistic)


def resampled(inherited: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return tau over images drawn with replacement, the same for all networks."""
    rng = np.random.default_rng(0)
    n = inherited.shape[1]
    draws = (rng.integers(n, size=n) for _ in range(RESAMPLES))
    return np.array([tau(inherited[:, drawn], own[:, drawn]) for drawn in draws])

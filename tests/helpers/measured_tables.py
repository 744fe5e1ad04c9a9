"""Tables of the shape of published measurements, drawn from a known truth.

`cells` has the rows and columns of NAS-Bench-201 as HW360 measured it on a Raspberry Pi 5,
`fox_nas` those of the networks that FOX-NAS measured at 256 px. No figure in them was measured.
"""

from __future__ import annotations

import itertools

import numpy as np

EDGES = ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")
OPERATIONS = tuple(f"op_{edge}" for edge in EDGES)
ENGINES = ("onnx", "litert", "torchmobile")
NONE, SKIP, CONV1, CONV3, POOL = range(5)
# ms of an operation on an edge that is used, by engine: each engine is slow at something else
EDGE_MS = {
    "onnx": (0.0, 0.05, 0.6, 1.5, 1.6),
    "litert": (0.0, 0.2, 0.5, 2.2, 0.3),
    "torchmobile": (0.0, 0.4, 1.4, 1.9, 0.9),
}
FIXED_MS = 1.2
PERCENT = (0.0, 3.0, 6.0, 8.5, 1.5)  # of accuracy, by operation
WORTH = (0.9, 0.8, 0.7, 1.3, 1.0, 1.1)  # of an edge, for accuracy
CHANCE_PERCENT = 1.0
PATHS = ((0, 2, 5), (0, 4), (1, 5), (3,))  # edges of each path from input to output


def cells(seed: int = 0, noise: float = 0.01) -> dict[str, np.ndarray]:
    """Return the 15,625 cells: what engines do with edges that are used, and accuracy in percent.

    A cell without a path from input to output computes nothing: engines drop it, and its accuracy
    is that of guessing. noise : of latency, as a fraction.
    """
    rng = np.random.default_rng(seed)
    choices = np.array(list(itertools.product(range(5), repeat=len(EDGES))))
    used = np.zeros(choices.shape, bool)
    for path in PATHS:
        whole = (choices[:, path] != NONE).all(axis=1)
        used[np.ix_(whole, path)] = True
    columns = {name: choices[:, index] for index, name in enumerate(OPERATIONS)}
    for engine, costs in EDGE_MS.items():
        ms = FIXED_MS + (np.array(costs)[choices] * used).sum(axis=1)
        columns[f"lat_ms_pi5_{engine}_cifar100"] = ms * rng.lognormal(0, noise, len(ms))
    gain = (np.array(PERCENT)[choices] * used * np.array(WORTH)).sum(axis=1)
    percent = 42 + 32 * (1 - np.exp(-gain / 18)) + rng.normal(0, 0.3, len(gain))
    columns["acc_cifar100"] = np.where(used.any(axis=1), percent, CHANCE_PERCENT)
    columns["rep_arch_idx"] = np.arange(len(choices))
    return columns


STAGES = {24: "mbcv", 40: "se", 80: "mbcv", 112: "se", 160: "se"}
EXPANDS, KERNELS = (2, 3, 4, 6), (3, 5, 7)


def fox_nas(n: int = 300, seed: int = 0, noise_ms: float = 0.5) -> dict[str, np.ndarray]:
    """Return `n` networks of five stages: blocks by kind, their sums, and latency in ms.

    A block costs by its expansion, and by its kernel out of order: a kernel of 5 is the slowest,
    which no sum of kernels can say.
    """
    rng = np.random.default_rng(seed)
    kernel_ms = {3: 1.0, 5: 1.9, 7: 1.4}
    rows = []
    for _ in range(n):
        row: dict[str, float] = {"tot_block": 0.0, "latency": 20.0 + rng.normal(0, noise_ms)}
        before = 16
        for width, kind in STAGES.items():
            depth = int(rng.integers(2, 5))
            expands, kernels = rng.choice(EXPANDS, depth), rng.choice(KERNELS, depth)
            row["tot_block"] += depth
            row[f"tot_{width}"] = depth
            for letter, values in (("e", expands), ("k", kernels)):
                row[f"avg_{letter}_{width}"] = values[1:].mean()
                row[f"tot_{letter}_{width}"] = values[1:].sum()
                row[f"tot_{letter}_{before}_{width}"] = values[0]
            for e, k in itertools.product(EXPANDS, KERNELS):
                here = (expands == e) & (kernels == k)
                row[f"{kind}_e{e}_k{k}_{width}"] = float(here[0])
                row[f"{kind}_e{e}_k{k}_{width}_I"] = float(here[1:].sum())
            row["latency"] += sum(
                0.8 * e * kernel_ms[int(k)] for e, k in zip(expands, kernels, strict=True)
            )
            before = width
        rows.append(row)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}

"""Made-up tables of kinds that users have, seeded; noise is that of boards, 1 to 5 %."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Columns = dict[str, np.ndarray]
# Response, columns, the response as measured, and what predictions are scored against.
Made = tuple[str, Columns, np.ndarray, np.ndarray]


def _jitter(rng: np.random.Generator, mean: np.ndarray, share: float) -> np.ndarray:
    return np.asarray(mean * rng.lognormal(0, share, len(mean)))


def _network(rng: np.random.Generator, n: int) -> Columns:
    return {
        "depth": rng.integers(8, 31, n).astype(float),
        "width": 8.0 * rng.integers(2, 17, n),
        "kernel": rng.choice([3.0, 5.0, 7.0], n),
        "resolution": 16.0 * rng.integers(6, 15, n),
    }


def _roofline(c: Columns) -> tuple[Columns, np.ndarray]:
    """A network of inverted blocks at four scales: each is bound by arithmetic or by memory."""
    latency = 0.02 * c["depth"]
    total = {"params": 0.0, "flops": 0.0, "activations": 0.0}
    for scale in (4, 8, 16, 32):
        width, side = c["width"] * scale / 8, c["resolution"] / scale
        blocks = c["depth"] / 4
        params = blocks * (4 * width**2 + 2 * width * c["kernel"] ** 2)
        flops, moved = params * side**2, blocks * 6 * width * side**2
        latency = latency + np.maximum(flops / 4e6, (moved + params) / 4e5)
        for name, part in zip(total, (params / 1e6, flops / 1e6, moved / 1e6), strict=True):
            total[name] = total[name] + part
    return {name: np.asarray(values) for name, values in total.items()}, latency


def descriptors(rng: np.random.Generator, n: int) -> Made:
    """Parameters, operations and activations of networks beside their sizes."""
    sizes = _network(rng, n)
    more, latency = _roofline(sizes)
    measured = _jitter(rng, latency, 0.02)
    return "latency_ms", {**more, **sizes}, measured, measured


def sizes_only(rng: np.random.Generator, n: int) -> Made:
    """Depth, width, kernel and resolution: latency is of their products."""
    sizes = _network(rng, n)
    measured = _jitter(rng, _roofline(sizes)[1], 0.02)
    return "latency_ms", sizes, measured, measured


def _elastic(rng: np.random.Generator, n: int, empty: bool) -> Made:
    """Once-for-all: depth of five stages, kernel and expand ratio of each of their four blocks."""
    columns: Columns = {}
    latency = np.full(n, 4.0)
    cost = 0.25 * np.array([2.0, 1.4, 1.2, 1.0, 1.3])
    for stage in range(5):
        depth = rng.integers(2, 5, n).astype(float)
        columns[f"d_{stage}"] = depth
        for block in range(4):
            kernel, expand = rng.choice([3.0, 5.0, 7.0], n), rng.choice([3.0, 4.0, 6.0], n)
            there = block < depth
            work = expand * (1 + 0.02 * kernel**2) * cost[stage]
            latency = latency + there * (0.1 + work * (1.4 if block == 0 else 1.0))
            at = 4 * stage + block
            columns[f"ks_{at}"] = np.where(there | (not empty), kernel, 0)
            columns[f"e_{at}"] = np.where(there | (not empty), expand, 0)
    measured = _jitter(rng, latency, 0.01)
    return "latency_ms", columns, measured, measured


def elastic(rng: np.random.Generator, n: int) -> Made:
    """Once-for-all settings, 0 where there is no block."""
    return _elastic(rng, n, True)


def elastic_idle(rng: np.random.Generator, n: int) -> Made:
    """Once-for-all settings, also of blocks that are not there."""
    return _elastic(rng, n, False)


def layers(rng: np.random.Generator, n: int) -> Made:
    """FBNet: 22 layers, each one of 9 operations; the first after a skip reads more slowly."""
    known = [f"k{k}_e{e}" for k in (3, 5) for e in (1, 3, 6)] + ["k3_e1_g2", "k5_e1_g2", "skip"]
    base = np.array([1, 2.6, 5, 1.3, 3.1, 6, 0.8, 1.0, 0])
    own = np.random.default_rng(22).lognormal(0, 0.15, (22, 9))
    picked = rng.integers(0, 9, (n, 22))
    scale = np.geomspace(1.5, 0.5, 22)
    each = base[picked] * scale * own[np.arange(22), picked]
    after_skip = (picked[:, :-1] == 8) & (picked[:, 1:] != 8)
    latency = 5 + each.sum(axis=1) + 0.3 * after_skip.sum(axis=1)
    measured = _jitter(rng, latency, 0.01)
    columns = {f"layer_{i}": np.array(known)[picked[:, i]] for i in range(22)}
    return "latency_ms", columns, measured, measured


def sparse(rng: np.random.Generator, n: int) -> Made:
    """3 of 30 numeric columns matter."""
    x = rng.normal(size=(n, 30))
    measured = 20 + 3 * x[:, 0] - 2 * x[:, 3] + x[:, 7] + rng.normal(0, 0.5, n)
    return "top1", {f"x{_letters(i)}": x[:, i] for i in range(30)}, measured, measured


def counts(rng: np.random.Generator, n: int) -> Made:
    """12 counts of operations, two of which interact."""
    x = rng.poisson(2, (n, 12)).astype(float)
    mean = 5 + x @ np.linspace(0.2, 2, 12) + 0.3 * x[:, 0] * x[:, 1]
    measured = mean + rng.normal(0, 0.5, n)
    return "top1", {f"count{_letters(i)}": x[:, i] for i in range(12)}, measured, measured


def saturating(rng: np.random.Generator, n: int) -> Made:
    """Accuracy that saturates with work, parameters, epochs and resolution."""
    c = {
        "mflops": rng.uniform(20, 600, n),
        "mparams": rng.uniform(1, 8, n),
        "epochs": 10.0 * rng.integers(1, 37, n),
        "resolution": 32.0 * rng.integers(3, 9, n),
        "dropout": rng.uniform(0, 0.5, n),
    }
    lost = 60 * c["mflops"] ** -0.45 + 8 * c["mparams"] ** -0.7 + 60 / (c["epochs"] + 8)
    lost += 900 / c["resolution"] ** 1.2 + 20 * (c["dropout"] - 0.2) ** 2
    measured = 84 - lost + rng.normal(0, 0.3, n)
    return "top1", c, measured, measured


def engines(rng: np.random.Generator, n: int) -> Made:
    """Work and bytes cost each engine differently; threads divide the work."""
    known = np.array(["onnxruntime", "tflite", "ncnn", "tvm"])
    engine, macs = rng.integers(0, 4, n), rng.uniform(10, 600, n)
    moved, threads = rng.uniform(1, 20, n), rng.choice([1.0, 2.0, 4.0], n)
    per_mac = np.array([0.05, 0.08, 0.035, 0.06])[engine]
    per_byte = np.array([0.4, 0.2, 0.6, 0.3])[engine]
    latency = 1 + per_mac * macs / threads**0.8 + per_byte * moved
    measured = _jitter(rng, latency, 0.03)
    columns = {"engine": known[engine], "mmacs": macs, "mbytes": moved, "threads": threads}
    return "latency_ms", columns, measured, measured


def disturbed(rng: np.random.Generator, n: int) -> Made:
    """One row in 16 was timed while something else ran; errors are of the undisturbed mean."""
    x = rng.integers(1, 9, (n, 8)).astype(float)
    mean = 8 + x @ np.array([2.0, 1.5, 1.2, 1.0, 0.8, 0.5, 0.3, 0.1])
    late = np.where(rng.random(n) < 1 / 16, rng.uniform(1.2, 2.0, n), 1.0)
    measured = _jitter(rng, mean * late, 0.02)
    return "latency_ms", {f"blocks_{_letters(i)}": x[:, i] for i in range(8)}, measured, mean


def decades(rng: np.random.Generator, n: int) -> Made:
    """A product of powers over three decades."""
    c = {
        "channels": 2.0 ** rng.integers(3, 10, n),
        "pixels": np.square(rng.choice([7.0, 14.0, 28.0, 56.0], n)),
        "kernel": rng.choice([1.0, 3.0, 5.0], n),
        "batch": rng.choice([1.0, 2.0, 4.0], n),
    }
    mean = 1e-4 * c["channels"] ** 0.9 * c["pixels"] ** 0.7 * c["kernel"] ** 1.2 * c["batch"] ** 0.8
    measured = _jitter(rng, mean, 0.04)
    return "latency_ms", c, measured, measured


def flags(rng: np.random.Generator, n: int) -> Made:
    """12 switches of a compiler, four pairs of which work together."""
    x = rng.integers(0, 2, (n, 12)).astype(float)
    alone = np.array([-2, 1.5, -1, 0.8, 0.5, -0.5, 0.3, 0, 0, 0, 0, 0])
    pairs = ((0, 1, 2.0), (2, 3, -1.5), (0, 4, 1.0), (7, 8, 0.8))
    mean = 25 + x @ alone + sum(size * x[:, i] * x[:, j] for i, j, size in pairs)
    measured = _jitter(rng, mean, 0.015)
    return "latency_ms", {f"flag_{_letters(i)}": x[:, i] for i in range(12)}, measured, measured


def collinear(rng: np.random.Generator, n: int) -> Made:
    """15 counters that tell the same four things."""
    causes = rng.lognormal(0, 0.4, (n, 4))
    mixed = causes @ np.random.default_rng(15).uniform(0, 1, (4, 15))
    x = mixed * rng.lognormal(0, 0.02, (n, 15))
    measured = _jitter(rng, 3 + causes @ np.array([4.0, 3.0, 2.0, 1.0]), 0.02)
    return "latency_ms", {f"counter_{_letters(i)}": x[:, i] for i in range(15)}, measured, measured


def wide(rng: np.random.Generator, n: int) -> Made:
    """40 columns with ever smaller effects."""
    x = rng.integers(0, 5, (n, 40)).astype(float)
    measured = _jitter(rng, 20 + x @ (3 * 0.85 ** np.arange(40)), 0.02)
    return "energy_mj", {f"ops_{_letters(i)}": x[:, i] for i in range(40)}, measured, measured


def _letters(index: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[index % 26] * (1 + index // 26)


_ALL = [descriptors, sizes_only, elastic, elastic_idle, layers, sparse, counts, saturating]
_ALL += [engines, disturbed, decades, flags, collinear, wide]
KINDS: dict[str, Callable[[np.random.Generator, int], Made]] = {
    made.__name__: made for made in _ALL
}

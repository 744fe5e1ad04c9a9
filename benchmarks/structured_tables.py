"""Made-up tables whose structure is known, seeded: slots behind gates, cells, codes, products,
columns derived from others, outliers, many families. What they are made of follows from how engines
work; no number is of a published table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from made_up_tables import Columns, Made

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
OPERATIONS = ("none", "skip", "conv1", "conv3", "pool")


def _jitter(rng: np.random.Generator, mean: np.ndarray, share: float) -> np.ndarray:
    return np.asarray(mean * rng.lognormal(0, share, len(mean)))


def slots(rng: np.random.Generator, n: int) -> Made:
    """Once-for-all settings with resolution; slots beyond a depth are drawn all the same."""
    sides = rng.choice([160.0, 176.0, 192.0, 208.0, 224.0], n)
    columns: Columns = {"r": sides}
    fixed = np.random.default_rng(5)
    work = np.zeros(n)
    for stage in range(5):
        depth = rng.integers(2, 5, n).astype(float)
        columns[f"d{stage}"] = depth
        for block in range(4):
            kernel, expand = rng.choice([3.0, 5.0, 7.0], n), rng.choice([3.0, 4.0, 6.0], n)
            at = 4 * stage + block
            columns[f"ks{at}"], columns[f"e{at}"] = kernel, expand
            cost = fixed.lognormal(0, 0.25) * (1.6 if block == 0 else 1.0)
            each = 0.2 + cost * expand * (1 + 0.012 * kernel**2)
            work = work + np.where(block < depth, each, 0.0)
    order = ["r", *(f"d{i}" for i in range(5))]
    order += [f"{kind}{i}" for kind in ("ks", "e") for i in range(20)]
    mean = 6 + 0.2 * work * (sides / 192) ** 1.6
    measured = _jitter(rng, mean, 0.01)
    return "latency_ms", {name: columns[name] for name in order}, measured, measured


def slots_flat(rng: np.random.Generator, n: int) -> Made:
    """The same on a device that is busy with launches: blocks count, their widths hardly do."""
    response, columns, _, _ = slots(rng, n)
    depth = sum(columns[f"d{i}"] for i in range(5))
    wide = np.zeros(n)
    for at in range(20):
        there = at % 4 < columns[f"d{at // 4}"]
        wide = wide + there * columns[f"e{at}"] * (columns["ks" + str(at)] / 5)
    measured = _jitter(rng, 8 + 0.9 * depth + 0.01 * wide, 0.008)
    return response, columns, measured, measured


def _cell(rng: np.random.Generator, n: int) -> tuple[Columns, np.ndarray]:
    picked = rng.integers(0, 5, (n, 6))
    names = np.array(OPERATIONS)
    columns = {f"op_{a}_{b}": names[picked[:, i]] for i, (a, b) in enumerate(EDGES)}
    return columns, picked


def _pruned(picked: np.ndarray) -> np.ndarray:
    """Return the operations [n, 6] that have an input and are used; the others are 0."""
    reached = {0: np.ones(len(picked), bool)}
    for node in (1, 2, 3):
        into = [(a, i) for i, (a, b) in enumerate(EDGES) if b == node]
        reached[node] = np.any([reached[a] & (picked[:, i] != 0) for a, i in into], axis=0)
    used = {3: np.ones(len(picked), bool)}
    for node in (2, 1, 0):
        out = [(b, i) for i, (a, b) in enumerate(EDGES) if a == node]
        used[node] = np.any([used[b] & (picked[:, i] != 0) for b, i in out], axis=0)
    live = [reached[a] & used[b] for a, b in EDGES]
    return np.where(np.column_stack(live), picked, 0)


def cells_pruned(rng: np.random.Generator, n: int) -> Made:
    """An engine that computes no edge without an input or a use."""
    columns, picked = _cell(rng, n)
    cost = np.array([0.0, 0.25, 1.1, 3.4, 0.9])
    mean = 4 + cost[_pruned(picked)].sum(axis=1)
    measured = _jitter(rng, mean, 0.015)
    return "latency_ms", columns, measured, measured


def cells_fused(rng: np.random.Generator, n: int) -> Made:
    """The same, where operations into one node are fused and convolutions overlap."""
    columns, picked = _cell(rng, n)
    live = _pruned(picked)
    cost = np.array([0.0, 0.1, 0.9, 2.2, 0.6])
    mean = 3 + cost[live].sum(axis=1)
    for node in (1, 2, 3):
        into = [i for i, (_, b) in enumerate(EDGES) if b == node]
        mean = mean - 0.25 * np.maximum((live[:, into] != 0).sum(axis=1) - 1, 0)
    mean = mean - 0.12 * np.square((live >= 2).sum(axis=1)) / 4
    measured = _jitter(rng, mean, 0.015)
    return "latency_ms", columns, measured, measured


def cells_eager(rng: np.random.Generator, n: int) -> Made:
    """An engine that computes what it is given, zeros too."""
    columns, picked = _cell(rng, n)
    cost = np.array([0.15, 0.2, 1.1, 3.4, 1.0])
    measured = _jitter(rng, 4 + cost[picked].sum(axis=1), 0.02)
    return "latency_ms", columns, measured, measured


def codes(rng: np.random.Generator, n: int) -> Made:
    """Blocks called mbconv_3x3_e6_se: work is of kernel, expand ratio and attention."""
    measured = np.full(n, 6.0)
    columns: Columns = {}
    for layer in range(14):
        kernel, expand = rng.choice([3, 5, 7], n), rng.choice([1, 3, 6], n)
        attention = rng.integers(0, 2, n)
        scale = 1.3 * 0.93**layer
        work = expand * (0.3 + 0.012 * kernel**2) * (1 + 0.15 * attention) + 0.2 * attention
        measured = measured + scale * work
        texts = [
            f"mbconv_{k}x{k}_e{e}" + ("_se" if s else "")
            for k, e, s in zip(kernel, expand, attention, strict=True)
        ]
        columns[f"block{layer}"] = np.array(texts)
    measured = _jitter(rng, measured, 0.01)
    return "latency_ms", columns, measured, measured


def engine_blocks(rng: np.random.Generator, n: int) -> Made:
    """A convolution engine on an FPGA: products of sizes over parallelism, or its memory."""
    c = {
        "cin": 2.0 ** rng.integers(3, 9, n),
        "cout": 2.0 ** rng.integers(3, 9, n),
        "kernel": rng.choice([1.0, 3.0, 5.0], n),
        "height": rng.choice([7.0, 14.0, 28.0, 56.0], n),
        "stride": rng.choice([1.0, 2.0], n),
        "parallelism": rng.choice([4.0, 8.0, 16.0, 32.0], n),
    }
    pixels = (c["height"] / c["stride"]) ** 2
    cycles = c["cin"] * c["cout"] * c["kernel"] ** 2 * pixels / c["parallelism"] / 2e5
    moved = (c["cin"] * c["height"] ** 2 + c["cout"] * pixels + c["cin"] * c["cout"]) / 3e5
    measured = _jitter(rng, 0.02 + np.maximum(cycles, moved) + 0.3 * moved, 0.01)
    return "latency_ms", c, measured, measured


def transformers(rng: np.random.Generator, n: int) -> Made:
    """Energy of transformers; parameters are derived from width, layers and vocabulary."""
    c = {
        "layers": rng.integers(2, 13, n).astype(float),
        "width": 64.0 * rng.integers(2, 13, n),
        "heads": rng.choice([2.0, 4.0, 8.0], n),
        "ffn_ratio": rng.choice([2.0, 3.0, 4.0], n),
        "tokens": rng.choice([32.0, 64.0, 128.0, 256.0], n),
    }
    each = c["width"] ** 2 * (4 + 2 * c["ffn_ratio"])
    c["parameters"] = np.round(c["layers"] * each + 8000 * c["width"])
    work = c["layers"] * (each * c["tokens"] + 2 * c["width"] * c["tokens"] ** 2)
    mean = 3.0 + 2e-7 * work**0.9 + 1.2e-6 * c["parameters"]
    measured = _jitter(rng, mean, 0.03)
    return "energy_mj", c, measured, measured


def outliers(rng: np.random.Generator, n: int) -> Made:
    """Sizes of networks on a busy machine: errors of Student's t with 2 degrees of freedom."""
    c = {
        "layers": rng.integers(2, 25, n).astype(float),
        "width": 32.0 * rng.integers(2, 17, n),
        "tokens": rng.choice([64.0, 128.0, 256.0], n),
        "heads": rng.choice([2.0, 4.0, 8.0], n),
    }
    mean = 5 + 4e-5 * c["layers"] * c["width"] * c["tokens"] ** 0.8
    measured = np.maximum(mean * np.exp(0.02 * rng.standard_t(2, n)), 0.1)
    return "latency_ms", c, measured, mean


def families(rng: np.random.Generator, n: int) -> Made:
    """Networks of many families over two decades: each runs at a speed of its own."""
    known = np.array(
        ["resnet", "mobilenet", "efficientnet", "densenet", "vgg", "regnet", "shuffle"]
    )
    picked = rng.integers(0, 7, n)
    speed = np.array([1.0, 0.45, 0.4, 0.6, 1.5, 0.9, 0.3])[picked]
    dense = np.array([1.0, 2.2, 2.0, 1.6, 0.6, 1.1, 2.6])[picked]
    gmacs = np.exp(rng.uniform(np.log(0.05), np.log(12), n)) * np.where(picked == 4, 1.5, 1.0)
    layers = np.round(rng.uniform(15, 150, n) * np.where(picked == 4, 0.2, 1.0))
    activations = dense * 5 * gmacs**0.75 * rng.lognormal(0, 0.2, n)
    parameters = 8 * gmacs**0.6 * rng.lognormal(0, 0.4, n)
    latency = gmacs * 9 / speed + 0.9 * activations + 0.05 * layers + 0.25 * parameters
    measured = _jitter(rng, latency, 0.05)
    columns = {
        "family": known[picked],
        "gmacs": gmacs,
        "mparams": parameters,
        "mactivations": activations,
        "layers": layers,
    }
    return "latency_ms", columns, measured, measured


def thirty_columns(rng: np.random.Generator, n: int) -> Made:
    """Eight stages of width, depth and kernel, four operations, a resolution, and a temperature
    that does nothing: a table of any length. Work multiplies; noise is 3 % of the response."""
    c: Columns = {}
    work = np.zeros(n)
    for stage in range(8):
        width, depth = 8.0 * rng.integers(2, 33, n), rng.integers(1, 5, n).astype(float)
        kernel = rng.choice([3.0, 5.0, 7.0], n)
        c[f"s{stage}_width"], c[f"s{stage}_depth"], c[f"s{stage}_kernel"] = width, depth, kernel
        work += width * depth * (1 + 0.02 * kernel**2)
    cost = np.array([2.0, 0.1, 0.5, 1.1, 1.4])
    mean = np.full(n, 5.0)
    for place in range(4):
        picked = rng.integers(0, 5, n)
        c[f"op{place}"] = np.array(["conv", "skip", "pool", "sep3", "sep5"])[picked]
        mean += cost[picked]
    c["resolution"] = rng.choice([128.0, 160.0, 192.0, 224.0], n)
    c["temperature"] = np.round(rng.normal(50, 5, n), 2)
    mean += 0.004 * work * (c["resolution"] / 192) ** 1.5
    return "latency_ms", c, _jitter(rng, mean, 0.03), mean


STRUCTURED: dict[str, Callable[[np.random.Generator, int], Made]] = {
    made.__name__: made
    for made in (
        slots,
        slots_flat,
        cells_pruned,
        cells_fused,
        cells_eager,
        codes,
        engine_blocks,
        transformers,
        outliers,
        families,
    )
}

"""Made-up tables of the kinds that papers publish of devices, seeded: hardware-aware transformers,
layers of a convolutional space on a busy GPU, layer counts of real networks, arrays on an FPGA,
model zoos. Costs follow from how engines work; no number is of a published table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from made_up_tables import Columns, Made


def _jitter(rng: np.random.Generator, mean: np.ndarray, share: float) -> np.ndarray:
    return np.asarray(mean * rng.lognormal(0, share, len(mean)))


def _translators(rng: np.random.Generator, n: int) -> tuple[Columns, np.ndarray]:
    """Return settings of encoders and decoders, and what a forward pass costs."""
    c: Columns = {"encoder_embed": rng.choice([512.0, 640.0], n)}
    c["decoder_embed"] = rng.choice([512.0, 640.0], n)
    c["decoder_layers"] = rng.integers(1, 7, n).astype(float)
    mean = 20 + 0.01 * c["encoder_embed"]
    for i in range(6):
        c[f"encoder_ffn_{i}"] = rng.choice([1024.0, 2048.0, 3072.0], n)
        c[f"decoder_ffn_{i}"] = rng.choice([1024.0, 2048.0, 3072.0], n)
        c[f"decoder_heads_{i}"] = rng.choice([4.0, 8.0], n)
        mean = mean + 4e-6 * c["encoder_embed"] * c[f"encoder_ffn_{i}"]
        there = i < c["decoder_layers"]
        each = 9 + 0.6 * c[f"decoder_heads_{i}"]
        each = each + 1.5e-5 * c["decoder_embed"] * c[f"decoder_ffn_{i}"]
        mean = mean + np.where(there, each, 0.0)
    return c, mean


def translators(rng: np.random.Generator, n: int) -> Made:
    """Hardware-aware transformers on a CPU; decoder layers beyond the depth are drawn all the
    same; one run in 12 was disturbed."""
    c, mean = _translators(rng, n)
    late = np.where(rng.random(n) < 1 / 12, rng.uniform(1.1, 1.6, n), 1.0)
    return "latency_ms", c, _jitter(rng, mean * late, 0.015), mean


def translators_gpu(rng: np.random.Generator, n: int) -> Made:
    """The same on a GPU: layers count, their widths hardly do."""
    c, _ = _translators(rng, n)
    wide = np.zeros(n)
    for i in range(6):
        wide = wide + np.where(i < c["decoder_layers"], c[f"decoder_ffn_{i}"], 0.0)
    measured = _jitter(rng, 30 + 22 * c["decoder_layers"] + 2e-4 * wide, 0.02)
    return "latency_ms", c, measured, measured


def layers_gpu(rng: np.random.Generator, n: int) -> Made:
    """Operations of 22 layers by code on a GPU: kernels are launched, groups are slow."""
    known = [f"k{k}_e{e}" for k in (3, 5) for e in (1, 3, 6)] + ["k3_e1_g2", "k5_e1_g2", "skip"]
    base = np.array([0.9, 0.95, 1.1, 0.95, 1.0, 1.2, 1.3, 1.35, 0.0])
    picked = rng.integers(0, 9, (n, 22))
    scale = np.where(np.arange(22) < 5, 1.3, 1.0)
    measured = _jitter(rng, 2 + 0.4 * (base[picked] * scale).sum(axis=1), 0.006)
    columns = {f"layer_{i}": np.array(known)[picked[:, i]] for i in range(22)}
    return "latency_ms", columns, measured, measured


def layer_bags(rng: np.random.Generator, n: int) -> Made:
    """Real networks of many families on a phone: how many layers of each kind, and totals."""
    family = rng.integers(0, 6, n)
    size = np.exp(rng.uniform(np.log(0.3), np.log(6), n))
    mixes = np.array(
        [
            [20, 0, 4, 2, 18, 0],
            [2, 17, 34, 1, 10, 8],
            [50, 0, 50, 4, 0, 40],
            [8, 0, 0, 5, 0, 0],
            [1, 16, 32, 1, 16, 30],
            [12, 0, 26, 10, 0, 9],
        ]
    )
    each = rng.poisson(np.maximum(mixes[family] * size[:, None] ** 0.4, 0)).astype(float)
    names = ("conv3x3", "depthwise", "conv1x1", "pool", "add", "concat")
    c: Columns = {f"{name}_count": each[:, i] for i, name in enumerate(names)}
    per = np.array([0.045, 0.002, 0.009, 0.0, 0.0, 0.0])
    gmacs = (each @ per) * size**1.2 * rng.lognormal(0, 0.15, n) + 0.01
    activations = (each @ np.array([0.5, 0.7, 0.4, 0.1, 0.3, 0.5])) * size**0.7 * 0.05 + 0.02
    c["gmacs"], c["mactivations"] = gmacs, activations * rng.lognormal(0, 0.1, n)
    c["mparams"] = 3 * gmacs**0.7 * rng.lognormal(0, 0.3, n)
    efficiency = np.array([1.0, 0.45, 0.7, 1.2, 0.5, 0.8])[family]
    mean = gmacs * 60 / efficiency + 6 * activations + each @ np.full(6, 0.05) + 1.0
    return "latency_ms", c, _jitter(rng, mean, 0.06), _jitter(rng, mean, 0.0)


def array_blocks(rng: np.random.Generator, n: int) -> Made:
    """Convolutions on an array of an FPGA: whole tiles of channels, or the memory, or a start."""
    c: Columns = {
        "in_channels": 8.0 * rng.integers(2, 33, n),
        "out_channels": 8.0 * rng.integers(2, 33, n),
        "kernel_size": rng.choice([1.0, 3.0, 5.0], n),
        "input_size": rng.choice([7.0, 14.0, 28.0, 56.0], n),
        "groups": rng.choice([1.0, 2.0, 4.0], n),
        "rows": rng.choice([8.0, 16.0, 32.0], n),
        "clock_mhz": rng.choice([100.0, 150.0, 200.0], n),
    }
    tiles = np.ceil(c["in_channels"] / c["groups"] / c["rows"]) * np.ceil(c["out_channels"] / 16)
    cycles = tiles * c["kernel_size"] ** 2 * c["input_size"] ** 2
    moved = (c["in_channels"] + c["out_channels"]) * c["input_size"] ** 2
    mean = 0.05 + (cycles / 40 + np.maximum(cycles, moved / 2) / 40) / c["clock_mhz"] / 40
    measured = _jitter(rng, mean, 0.01)
    return "latency_ms", c, measured, measured


def zoo(rng: np.random.Generator, n: int) -> Made:
    """A zoo of image classifiers with their image sizes: throughput over two decades."""
    known = np.array(["resnet", "efficientnet", "vit", "swin", "convnext", "mobilenet"])
    family = rng.integers(0, 6, n)
    size = rng.choice([160.0, 192.0, 224.0, 224.0, 224.0, 256.0, 288.0, 384.0], n)
    params = np.exp(rng.uniform(np.log(2), np.log(200), n)) * np.where(family == 5, 0.1, 1.0)
    per = np.array([0.17, 0.08, 0.2, 0.18, 0.17, 0.06])[family]
    gmacs = per * params * (size / 224) ** 2.05 * rng.lognormal(0, 0.12, n)
    dense = np.array([2.8, 7.0, 1.7, 3.1, 2.2, 8.0])[family]
    activations = dense * gmacs**0.8 * rng.lognormal(0, 0.1, n)
    speed = np.array([1.0, 0.7, 1.3, 0.8, 0.9, 0.6])[family]
    milliseconds = gmacs / speed * 0.12 + 0.05 * activations + 0.002 * params + 0.05
    columns = {
        "family": known[family],
        "img_size": size,
        "param_count": params,
        "gmacs": gmacs,
        "macts": activations,
    }
    measured = _jitter(rng, milliseconds, 0.04)
    return "latency_ms", columns, measured, measured


DEVICES: dict[str, Callable[[np.random.Generator, int], Made]] = {
    made.__name__: made
    for made in (
        translators,
        translators_gpu,
        layers_gpu,
        layer_bags,
        array_blocks,
        zoo,
    )
}

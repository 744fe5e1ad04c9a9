"""Random weights for models of which only the latency means something."""

from __future__ import annotations

import math

import numpy as np

from edgenas.core.records import Layer


def random_state(layers: tuple[Layer, ...], seed: int) -> dict[str, np.ndarray]:
    """Return a state for `lower`, float32, the same for the same layers and seed.

    Weights are normal with the variance 1 / fan-in, or 2 / fan-in after a ReLU (He et al. 2015,
    eq. 10), so that activations keep a plausible range in every layer; batch norms are near one.
    """
    rng = np.random.default_rng(seed)
    rectified = {layer.name for layer in layers if layer.activation != "none"}
    state: dict[str, np.ndarray] = {}
    for layer in layers:
        gain = 2.0 if layer.inputs[0] in rectified else 1.0
        outs, ins = layer.out_channels, layer.in_channels
        if layer.kind in ("conv", "depthwise"):
            k = layer.kernel_size
            depth = 1 if layer.kind == "depthwise" else ins // layer.groups
            state[f"{layer.name}.conv.weight"] = _normal(rng, (outs, depth, k, k), gain)
            state |= _batch_norm(rng, f"{layer.name}.bn", outs)
        elif layer.kind == "squeeze_excite":
            narrow = layer.squeeze_channels
            state |= _affine(rng, f"{layer.name}.squeeze", (narrow, ins, 1, 1), gain)
            state |= _affine(rng, f"{layer.name}.excite", (ins, narrow, 1, 1), 2.0)
        elif layer.kind == "linear":
            state |= _affine(rng, layer.name, (outs, ins), gain)
    return state


def _normal(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> np.ndarray:
    deviation = np.float32(math.sqrt(gain / math.prod(shape[1:])))
    return rng.standard_normal(shape, np.float32) * deviation


def _affine(
    rng: np.random.Generator, name: str, shape: tuple[int, ...], gain: float
) -> dict[str, np.ndarray]:
    return {
        f"{name}.weight": _normal(rng, shape, gain),
        f"{name}.bias": rng.uniform(-0.1, 0.1, shape[0]).astype(np.float32),
    }


def _batch_norm(rng: np.random.Generator, name: str, channels: int) -> dict[str, np.ndarray]:
    spans = {
        "weight": (0.8, 1.2),
        "bias": (-0.1, 0.1),
        "running_mean": (-0.1, 0.1),
        "running_var": (0.8, 1.2),
    }
    return {
        f"{name}.{part}": rng.uniform(*span, channels).astype(np.float32)
        for part, span in spans.items()
    }

"""Networks and which images each told rightly."""

from __future__ import annotations

import numpy as np

from edgenas.core.plugins import load
from edgenas.core.records import (
    Answers,
    Candidate,
    Energy,
    ExportedModel,
    Interval,
    Latency,
    Outcome,
    VerifiedModel,
)

SPACE = load("spaces", "mbv3-tiny").create(num_classes=10, in_channels=1, image_size=16)
NETWORKS = [SPACE.sample(np.random.default_rng(seed)) for seed in range(4)]


def answers(right: int, n: int, wrong_from: int = 0) -> Answers:
    """Return answers of which `n - right`, from image `wrong_from` on, are wrong."""
    flags = np.ones(n, bool)
    flags[wrong_from : wrong_from + n - right] = False
    return Answers.of(flags.tolist())


def network(
    index: int,
    ms: float,
    *,
    val: Answers | None,
    passed: bool = True,
    converged: bool = True,
    rejected: bool = False,
    width: float = 0.001,
    energy: Energy | None = None,
    predicted: float = 0.9,
) -> VerifiedModel:
    spread = Interval(predicted, predicted - 0.02, predicted + 0.02)
    candidate = Candidate(NETWORKS[index], spread, Interval(ms, ms * 0.9, ms * 1.1))
    model = ExportedModel(
        candidate,
        *("n.int8.onnx", "n.fp32.onnx", "0" * 64, 1000, "u8s8", (0.5,), (0.5,), ("a", "b")),
        val_int8_accuracy=None if val is None else val.accuracy,
        val_fp32_accuracy=None if val is None else val.accuracy,
        n_val=0 if val is None else val.n_images,
        supernet_sha256="0" * 64,
        val_answers=val,
    )
    ns = tuple([int(ms * 1e6)] * 3)
    latency = Latency(
        *(ms, ms, (ms - width, ms + width), (ns, ns), (1.0, 1.0), converged),
        stands_on_rejected=rejected,
    )
    outcome = Outcome("ok", "", "onnxruntime", "1", "CPU", {}, latency, None, energy)
    reasons = () if passed else ("It is too slow.",)
    measured = {"latency_ms": ms} | ({} if energy is None else {"energy_mj": energy.energy_mj})
    figures = (None, None, None, None, 0)
    return VerifiedModel(model, passed, reasons, outcome, *figures, measured=measured)

"""A run that searched with predictors learnt from simulated measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgenas.core.files.run_folder import RunFolder, write_json
from edgenas.core.progress import Silent
from edgenas.core.records import (
    DataCard,
    Evaluation,
    Latency,
    Measurement,
    Outcome,
    to_json,
)
from edgenas.runs.config import RunConfig, write_config
from edgenas.runs.run import RunContext
from edgenas.runs.steps import fit

CARD = DataCard("digits", "x", ("0", "1"), 16, (0.5,), (0.5,), 10, 10, 10)


def learnt(path: Path, speed: float = 1.0, **options: Any) -> RunContext:
    """A run that measured and evaluated 12 networks of a made-up board, and is fitted."""
    config = RunConfig(samples=12, evaluate=12, top=2, **options)
    write_config(RunFolder(path), config, "0")
    context = RunContext(RunFolder(path), config, Silent())
    write_json(context.folder.data, to_json(CARD))
    context.folder.supernet.write_bytes(b"weights")
    measure(context, 0, 12, speed)
    sha256, rng = context.supernet_sha256(), np.random.default_rng(1)
    for network in context.sampled(12):
        share = 0.5 + sum(map(sum, network.kernel_sizes)) / 200 + rng.normal(0, 0.005)
        context.store.add_evaluation(Evaluation(network, sha256, share, share, 100))
    fit.run(context)
    return context


def measure(context: RunContext, first: int, last: int, speed: float = 1.0) -> None:
    rng = np.random.default_rng(first)
    for network in context.sampled(last)[first:]:
        macs = sum(layer.macs for layer in context.space.layers(network))
        ms = speed * (0.05 + macs / 1e7) * rng.lognormal(0, 0.02)
        latency = Latency(ms, ms, (0.98 * ms, 1.02 * ms), ((int(1e6 * ms),),), (1.0,), True)
        outcome = Outcome("ok", "", "onnxruntime", "1", "CPU", {}, latency)
        name = context.target.name
        row = Measurement(network, name, "a" * 64, 1000, "random", outcome, 1.0)
        context.store.add_measurement(row)

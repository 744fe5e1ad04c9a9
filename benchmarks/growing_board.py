"""The made-up boards of `growing.py`: what a network costs there, and predictors of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from edgenas.core.metrics import REGISTRY
from edgenas.core.records import Architecture, Layer
from edgenas.optimize.layout import Predictors
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors import regression
from edgenas.predictors.base import FittedPredictor, TrainingData
from edgenas.spaces.base import MobileSpace

GMACS_PER_S = {"depthwise": 15.8, "conv": 84.1, "linear": 84.1}
LAUNCH_MS, NOISE, MEASURED = 2e-3, 0.01, 60
# NAS-Bench-201: five cells in each of three stages, whose convolutions of one kernel size have as
# many MACs: 16, 32 and 64 channels at 32, 16 and 8 px.
CELLS, MMAC_1X1 = 15, 16**2 * 32**2 / 1e6
EDGES = (("0_1", 0, 1), ("0_2", 0, 2), ("1_2", 1, 2), ("0_3", 0, 3), ("1_3", 1, 3), ("2_3", 2, 3))
NONE, CONV_1X1, CONV_3X3, POOL = 0, 2, 3, 4
ENERGY_COLUMN = "energy_mj_pi5_onnx_cifar100"


@dataclass(frozen=True)
class Energy:
    """What an inference takes of energy: mJ by MMAC of 3 x 3 and of 1 x 1, and by kernel."""

    of_3x3: float
    of_1x1: float
    kernel: float

    def network_mj(self, layers: Sequence[Layer]) -> float:
        """Return the energy of a network without what does not depend on it."""
        work = sum(
            (self.of_3x3 if one.kernel_size > 1 else self.of_1x1) * one.macs / 1e6 for one in layers
        )
        return work + self.kernel * len(layers)


def fitted_energy(table: Path) -> Energy:
    """Return the coefficients that fit the table's networks best, none below 0."""
    rows = pd.read_csv(table)
    rows = rows[rows.arch_idx == rows.rep_arch_idx]  # each network was measured once
    counts = np.array([_live(row) for row in rows[[f"op_{name}" for name, *_ in EDGES]].values])
    ones, threes, pools = counts.T * CELLS
    work = (threes * 9 * MMAC_1X1, ones * MMAC_1X1, threes + ones + pools, np.ones(len(rows)))
    found, _ = nnls(np.column_stack(work), rows[ENERGY_COLUMN].to_numpy())
    predicted = np.column_stack(work) @ found
    share = np.corrcoef(predicted, rows[ENERGY_COLUMN])[0, 1] ** 2
    print(
        f"{len(rows):,} networks: {found[0]:.3f} mJ/MMAC of 3 x 3, {found[1]:.3f} of 1 x 1, "
        f"{found[2]:.4f} mJ a kernel; R2 {share:.2f}"
    )
    return Energy(*map(float, found[:3]))


def _live(operations: Sequence[int]) -> tuple[int, int, int]:
    """Return how many 1 x 1, 3 x 3 and pools of a cell lie on a way from its input to its end."""
    there = [(a, b, op) for (_, a, b), op in zip(EDGES, operations, strict=True) if op != NONE]
    from_input, to_output = {0}, {3}
    for _ in range(3):
        from_input |= {b for a, b, _ in there if a in from_input}
        to_output |= {a for a, b, _ in there if b in to_output}
    live = [op for a, b, op in there if a in from_input and b in to_output]
    return live.count(CONV_1X1), live.count(CONV_3X3), live.count(POOL)


def predictors(space: MobileSpace, energy: Energy | None) -> Predictors:
    """Return predictors of the board; that of accuracy is there because one has to be."""
    rng = np.random.default_rng(0)
    networks = [one for one, _ in zip(space.distinct(rng), range(MEASURED), strict=False)]
    macs = np.array([sum(layer.macs for layer in space.layers(one)) for one in networks])

    def fitted(
        name: str, unit: str, of_layers: Callable[[Sequence[Layer]], float]
    ) -> FittedPredictor:
        values = np.array([of_layers(space.layers(one)) for one in networks])
        values *= 1 + NOISE * rng.standard_normal(len(networks))
        return _fitted(space, networks, name, unit, values)

    latency = fitted("latency_ms", "ms", board_ms)
    accuracies = 0.05 * np.log(macs) + 0.01 * rng.standard_normal(len(networks))
    accuracy = _fitted(space, networks, "accuracy", "", accuracies)
    others = {} if energy is None else {"energy_mj": fitted("energy_mj", "mJ", energy.network_mj)}
    return Predictors(space, latency, accuracy, confidence=0.95, others=others)


def _fitted(
    space: MobileSpace, networks: Sequence[Architecture], name: str, unit: str, values: np.ndarray
) -> FittedPredictor:
    rows = TermRows(space, REGISTRY[name].source)
    matrix, terms = rows.matrix(networks), rows.terms
    return regression.fit(TrainingData(name, unit, terms.names, matrix, values, cost=terms.cost), 0)


def board_ms(layers: Sequence[Layer]) -> float:
    work = sum(one.macs / GMACS_PER_S[one.kind] / 1e6 for one in layers if one.macs)
    return work + LAUNCH_MS * len(layers)

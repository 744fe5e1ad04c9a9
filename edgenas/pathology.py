"""Engine pathologies: kernel sizes that cost far more than their arithmetic, found in the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from edgenas.records import Architecture, StageChoice
from edgenas.spaces.base import MobileSpace
from edgenas.term_rows import TermRows

if TYPE_CHECKING:
    from edgenas.run_context import RunContext

# How many times what its arithmetic says a kernel size must cost before it is called pathological.
LEAST_EXCESS = 2.0


@dataclass(frozen=True)
class Pathology:
    """A kernel size that is far dearer than the next smaller one, in blocks that are else alike.

    block_ms, usual_ms : predicted cost of a block of each, mean over stages, expand ratios and
        resolutions. ratio : of the two; work_ratio : of their multiply-accumulates.
    """

    kernel_size: int
    usual: int
    block_ms: float
    usual_ms: float
    work_ratio: float

    @property
    def ratio(self) -> float:
        return self.block_ms / self.usual_ms

    def sentence(self, engine: str, candidates: Sequence[Architecture]) -> str:
        """Return it in words, with what the search made of it."""
        said = (
            f"A block of kernel size {self.kernel_size} costs {self.ratio:.2g}x one of kernel size "
            f"{self.usual} on {engine} ({self.block_ms:.3g} against {self.usual_ms:.3g} ms; its "
            f"arithmetic is {self.work_ratio:.2g}x)"
        )
        if not candidates:
            return f"{said}."
        using = sum(self.kernel_size in sum(one.kernel_sizes, ()) for one in candidates)
        if using == 0:
            return f"{said}; the search avoids it: no candidate uses it."
        return f"{said}; {using} of {len(candidates)} candidates use it all the same."


def find(context: RunContext) -> tuple[Pathology, ...]:
    """Return the pathologies that the latency predictor of the run shows, of the fitted engine.

    A kernel size counts if even the lower confidence bound of its block is more than `LEAST_EXCESS`
    times what the arithmetic makes of the upper bound of the next smaller kernel's.
    """
    space = context.space
    sizes = sorted({size for stage in space.stages for size in stage.kernel_sizes})
    rows = TermRows(space, "physical")
    blocks = {size: _blocks(space, rows, size) for size in sizes}
    means = np.array([blocks[size][0] for size in sizes])
    costs = context.predictors().latency.contrast(means, context.config.confidence)
    found = []
    for (i, small), (j, large) in pairwise(enumerate(sizes)):
        work_ratio = blocks[large][1] / blocks[small][1]
        least, most = float(costs.lower[j]), float(costs.upper[i])
        usual_ms = float(costs.mean[i])
        if usual_ms > 0 and least > LEAST_EXCESS * work_ratio * max(most, usual_ms):
            found.append(Pathology(large, small, float(costs.mean[j]), usual_ms, work_ratio))
    return tuple(found)


def _blocks(space: MobileSpace, rows: TermRows, size: int) -> tuple[np.ndarray, float]:
    """Return the mean row of terms, float64 [p], and mean work of an inner block of this kernel."""
    differences, works = [], []
    for stage, spec in enumerate(space.stages):
        for resolution in space.resolutions if size in spec.kernel_sizes else ():
            for expand in spec.expand_ratios:
                one, two = (StageChoice((size,) * n, (expand,) * n) for n in (1, 2))
                row = rows.stage_row(resolution, stage, two)
                differences.append(row - rows.stage_row(resolution, stage, one))
                layers = space.stage_layers(resolution, stage, two)
                works.append(sum(layer.macs for layer in layers if layer.block == 1))
    return np.mean(differences, axis=0), float(np.mean(works))

"""What the networks of a grid take of an FPGA at every throughput that foldings can have.

The cheapest folding of a layer changes only at the cycles of one of its foldings, so these
throughputs are all that there are; at each of them resources are sums over stages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.core.errors import InputError
from edgenas.hardware.pipeline import RESOURCES, Pipeline
from edgenas.optimize.layout import Grid
from edgenas.optimize.optimizers.problem import Sums
from edgenas.optimize.term_rows import like_layers

THROUGHPUT = "images_per_s"


@dataclass(frozen=True)
class AtSpeeds:
    """Resources as sums over stages, each size once for each of `cycles`, the fewest first."""

    grid: Grid
    pipeline: Pipeline
    cycles: tuple[int, ...]

    @classmethod
    def of(cls, grid: Grid, pipeline: Pipeline) -> AtSpeeds:
        """Return those of all throughputs that a network of the grid can have.

        Raises
        ------
        InputError : none is as fast as `pipeline.images_per_s`.
        """
        space = grid.space
        fixed = [
            (*space.stem_layers(resolution), *space.head_layers(resolution))
            for resolution in space.resolutions
        ]
        stages = [
            like_layers(space, resolution, stage, one)
            for resolution in space.resolutions
            for stage, choices in enumerate(grid.choices)
            for one in choices
        ]
        cycles = {one for layers in (*fixed, *stages) for one in pipeline.speeds(layers)}
        fastest, _ = pipeline.fastest(space.layers(space.smallest()))
        useful = [
            one for one in sorted(cycles) if pipeline.cycles_per_s / one <= fastest * (1 + 1e-9)
        ]
        if not useful:
            raise InputError(
                f"No network reaches {pipeline.images_per_s:g} images/s.",
                f'Ask for --constraint "{THROUGHPUT}>={int(fastest)}" or less.',
            )
        return cls(grid, pipeline, tuple(useful))

    def sums(self) -> dict[str, Sums]:
        """Return each resource, and images/s, as sums over stages with one column."""
        space, speeds = self.grid.space, len(self.cycles)
        of = self.pipeline.resources
        offsets = np.concatenate(
            [
                of((*space.stem_layers(resolution), *space.head_layers(resolution)), self.cycles)
                for resolution in space.resolutions
            ]
        )
        parts = []
        for stage, choices in enumerate(self.grid.choices):
            part = np.empty((len(offsets), len(choices), len(RESOURCES)))
            for size, resolution in enumerate(space.resolutions):
                at = slice(size * speeds, (size + 1) * speeds)
                for option, one in enumerate(choices):
                    layers = like_layers(space, resolution, stage, one)
                    part[at, option] = of(layers, self.cycles)
            parts.append(part)
        images = self.pipeline.cycles_per_s / np.array(self.cycles, np.float64)
        return {
            THROUGHPUT: Sums(
                np.tile(images, len(space.resolutions))[:, None],
                tuple(np.zeros((*part.shape[:2], 1)) for part in parts),
            ),
            **{
                name: Sums(offsets[:, [i]], tuple(part[:, :, [i]] for part in parts))
                for i, name in enumerate(RESOURCES)
            },
        }

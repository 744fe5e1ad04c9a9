"""How sure it is which network is best: predictors drawn from their posterior, each searched.

In each draw the coefficients are known, so that the best network of it is found exactly. How often
draws agree on a choice says how sure that choice is; by how much their best networks beat the
winner, in the mean, is the value of knowing more (expected value of perfect information; Raiffa &
Schlaifer 1961). Once that is less than what matters, more measurements cannot help.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.core.records import Architecture
from edgenas.optimize.layout import Grid, OptionRows, Predictors, lay_out, option_rows
from edgenas.optimize.optimizers.base import Point, StageProblem
from edgenas.optimize.optimizers.relaxation import Relaxation
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.regression import Regression

DRAWS, GAIN_DRAWS = 200, 50
# A choice that so many draws agree on is certain; two that each have the other share are a toss-up.
CERTAIN, TOSS_UP = 0.9, 0.3
Sums = tuple[np.ndarray, OptionRows]  # offsets [n_sizes], and what options add, [size][stage]


@dataclass(frozen=True)
class Certainty:
    """What draws say of the best network within a limit.

    sizes, stages : how often each image size, and each choice of each stage, is of the best network
        of a draw: shares, the commonest first. entropy_bits : of whole best networks over draws.
    gains : what knowing exactly "latency_ms" alone, or "accuracy" alone, gains in accuracy, as a
        fraction, in the mean of the draws.
    """

    draws: int
    sizes: tuple[tuple[str, float], ...]
    stages: tuple[tuple[tuple[str, float], ...], ...]
    entropy_bits: float
    gains: dict[str, float]

    def sentence(self) -> str:
        """Return what is certain of the winner, what is not, and what knowing more would gain."""
        places = [("the image size", self.sizes)] if len(self.sizes) > 1 else []
        places += [(f"stage {i}", shares) for i, shares in enumerate(self.stages, 1)]
        open_ones = [(name, of) for name, of in places if of[0][1] < CERTAIN]
        count = sum(name != "the image size" for name, _ in open_ones)
        certain = f"{len(self.stages) - count} of {len(self.stages)} stages"
        text = f"The winner is certain in {certain}"
        for name, shares in open_ones:
            text += f"; {name} is {_between(shares)}"
        latency, accuracy = (100 * self.gains[x] for x in ("latency_ms", "accuracy"))
        return (
            f"{text} ({self.draws} draws of what is not known yet). Knowing all latencies would "
            f"gain {latency:.2g} points, knowing what every network scores {accuracy:.2g}."
        )


def _between(shares: Sequence[tuple[str, float]]) -> str:
    (first, most), (second, next_) = shares[:2]
    if next_ >= TOSS_UP:
        return f"a toss-up between {first} and {second}"
    return f"open among {len(shares)} choices, {first} in {most:.0%} of the draws"


def find(
    predictors: Predictors,
    limit_ms: float,
    winner: Architecture,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Certainty | None:
    """Return how sure `winner` is; None of predictors that have no posterior of their terms, and
    where no network keeps the limit in any draw.

    limit_ms : on the latency of a draw and the least margin, which measuring does not narrow.
    """
    latency, accuracy = predictors.latency, predictors.accuracy
    if not (isinstance(latency, Regression) and isinstance(accuracy, Regression)):
        return None
    rng = np.random.default_rng(seed)
    layout = lay_out(predictors)
    at_most = limit_ms - latency.least_margin(predictors.confidence)
    costs = _Drawn.of(latency, predictors.rows("physical"), layout, draws, rng)
    values = _Drawn.of(accuracy, predictors.rows("choices"), layout, draws, rng)
    both = [_best(costs.sums(i), values.sums(i), at_most) for i in range(1, draws + 1)]
    points = [point for point, _ in both if point]
    if not points:
        return None
    known = np.array([layout.point(winner)])

    def gain(costs_of: Callable[[int], int], values_of: Callable[[int], int]) -> float:
        """Return by how much the best points of draws beat the winner there, in the mean of those
        in which any keeps the limit; not less than nothing."""
        gains = []
        for draw in range(1, min(draws, GAIN_DRAWS) + 1):
            here = costs.sums(costs_of(draw)), values.sums(values_of(draw))
            point, best = _best(*here, at_most)
            if point:
                gains.append(best - float(_problem(*here).value(known)[0]))
        return max(float(np.mean(gains)), 0.0) if gains else 0.0

    return Certainty(
        draws=len(points),
        sizes=_shares([f"{layout.space.resolutions[point[0]]}px" for point in points]),
        stages=tuple(
            _shares([str(layout.choices[stage][point[1 + stage]]) for point in points])
            for stage in range(len(layout.choices))
        ),
        entropy_bits=_entropy([share for _, share in _shares([str(point) for point in points])]),
        gains={
            "latency_ms": gain(lambda draw: draw, lambda draw: 0),
            "accuracy": gain(lambda draw: 0, lambda draw: draw),
        },
    )


@dataclass(frozen=True)
class _Drawn:
    """What each size and option adds: the means first, then each draw, float64 [d + 1, …]."""

    offsets: np.ndarray
    options: tuple[tuple[np.ndarray, ...], ...]

    @classmethod
    def of(
        cls, fitted: Regression, rows: TermRows, grid: Grid, draws: int, rng: np.random.Generator
    ) -> _Drawn:
        covariance = fitted.scale * fitted.covariance
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        params = fitted.params + rng.standard_normal((draws, len(values))) @ root.T
        params = np.vstack([fitted.params, params])
        each: OptionRows = option_rows(rows, grid.choices)
        return cls(
            params[:, :1] + params[:, 1:] @ rows.size_rows.T,
            tuple(tuple(params[:, 1:] @ stage.T for stage in stages) for stages in each),
        )

    def sums(self, draw: int) -> Sums:
        """Return the sums of a draw; 0 are the means."""
        return self.offsets[draw], tuple(
            tuple(stage[draw] for stage in stages) for stages in self.options
        )


def _problem(costs: Sums, values: Sums) -> StageProblem:
    return StageProblem(values[0], costs[0], values[1], costs[1])


def _best(costs: Sums, values: Sums, at_most: float) -> tuple[Point, float]:
    """Return the point of the greatest value whose cost is at most so much, and its value; no point
    where none is."""
    frontier = Relaxation(_problem(costs, values)).frontier
    index = int(np.searchsorted(frontier.costs, at_most, side="right")) - 1
    if index < 0:
        return (), -np.inf
    return tuple(frontier.choices[index].tolist()), float(frontier.values[index])


def _shares(texts: Sequence[str]) -> tuple[tuple[str, float], ...]:
    counts = Counter(texts).most_common()
    return tuple((text, count / len(texts)) for text, count in counts)


def _entropy(shares: Sequence[float]) -> float:
    parts = np.array(shares)
    return float(-np.sum(parts * np.log2(parts)) + 0.0)

"""How the noise grows with the response: a power of the mean, chosen by restricted likelihood.

Timing jitter is a share of what is timed, so that slow networks scatter more than fast ones in
milliseconds; of responses such as accuracy nothing of the kind is known, and a row of a table that
is not positive has no power. Rows count for as much as their noise allows (weighted least squares),
and prediction intervals are as wide as the noise at their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.predictors.linear import shrinkage
from edgenas.predictors.linear.shrinkage import Level, Shrinkage

FEWEST = 12
# Responses within a factor of this scatter alike, as far as rows can tell.
LEAST_RANGE = 1.5
# Weights follow the means, and means the weights; from WIDE_RANGE on slow rows drown the fast ones'
# means at first, and it takes more rounds. Starting from the responses instead is no help: noise as
# large as each response explains everything.
WIDE_RANGE = 20.0
ROUNDS, MORE_ROUNDS = 2, 4


@dataclass(frozen=True)
class Spread:
    """Standard deviation of the noise over that of a typical row: (mean / typical) ** power.

    floor : means below it scatter as it does. power : 0 where all rows scatter alike, up to 1.
    """

    power: float = 0.0
    floor: float = 1.0
    typical: float = 1.0

    def of(self, mean: np.ndarray) -> np.ndarray:
        """Return the relative standard deviation of the noise at means [n], float64 [n]."""
        if self.power == 0:
            return np.ones(np.shape(mean))
        return np.asarray((np.maximum(mean, self.floor) / self.typical) ** self.power)

    @property
    def least(self) -> float:
        """The relative standard deviation that no mean is below."""
        return float(self.of(np.array([-np.inf]))[0])

    def ceiling(self, limit: float, quantile: float) -> float:
        """Return the greatest mean m with m + quantile * of(m) <= limit."""
        low, high = min(limit, self.floor) - quantile * self.least, limit
        if self.power == 0 or limit - quantile * self.least <= self.floor:
            return limit - quantile * self.least
        for _ in range(100):
            middle = (low + high) / 2
            over = middle + quantile * self.of(np.array([middle]))[0] > limit
            low, high = (low, middle) if over else (middle, high)
        return high


EVEN = Spread()


def find(
    matrix: np.ndarray, response: np.ndarray, levels: Sequence[Level]
) -> tuple[Spread, Shrinkage]:
    """Return the spread of responses [n] on rows [n, p], and the variances of `levels` with it.

    Even unless the likelihood says otherwise, as Schwarz's criterion prices one more parameter.
    """
    n, least = len(response), float(response.min())
    even = shrinkage.choose(matrix, response, levels)
    if n < FEWEST or least <= 0 or response.max() < LEAST_RANGE * least or not levels:
        return EVEN, even
    means, found, start = np.maximum(even.fitted(response), least), even, even.variances
    for _ in range(MORE_ROUNDS if response.max() > WIDE_RANGE * least else ROUNDS):
        growth = np.log(means)
        found = shrinkage.choose(matrix, response, levels, start, growth=growth - growth.mean())
        means, start = np.maximum(found.fitted(response), least), found.variances
    if found.power == 0 or 2 * (even.deviance - found.deviance) < np.log(n):
        return EVEN, even
    return Spread(found.power, least, float(np.exp(np.log(means).mean()))), found

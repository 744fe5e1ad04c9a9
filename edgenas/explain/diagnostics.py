"""The numbers behind an explanation: where a prediction comes from, and what residuals tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.predictors.base import Additive
from edgenas.predictors.linear.noise import EVEN, Spread

FEWEST = 20
ALONE = 0.999  # leverage of a row that the fit goes through, whatever it is


@dataclass(frozen=True)
class Share:
    """What one group of terms adds to a prediction, with its confidence interval."""

    group: str
    mean: float
    lower: float
    upper: float


def breakdown(
    fitted: Additive, row: np.ndarray, groups: Mapping[str, Sequence[int]], confidence: float
) -> tuple[Share, ...]:
    """Return what each group of terms adds for `row` [p]; the shares sum to the prediction.

    groups : name -> indices of its terms, no index twice; all other terms and the intercept are
        in the share "everywhere".
    """
    taken = {index for members in groups.values() for index in members}
    if len(taken) != sum(len(members) for members in groups.values()):
        raise ValueError("A term is in two groups.")
    parts = np.zeros((len(groups), row.size))
    for at, members in enumerate(groups.values()):
        parts[at, list(members)] = row[list(members)]
    effects = fitted.contrast(parts, confidence)
    rest = np.where(np.isin(np.arange(row.size), list(taken)), 0.0, row)
    nothing = np.append(1.0, rest)
    mean = float(nothing @ fitted.params)
    half = float(np.sqrt(max(nothing @ fitted.covariance @ nothing, 0.0) * fitted.scale))
    half *= fitted.student(confidence)
    shares = [
        Share(name, float(m), float(low), float(high))
        for name, m, low, high in zip(
            groups, effects.mean, effects.lower, effects.upper, strict=True
        )
    ]
    return (Share("everywhere", mean, mean - half, mean + half), *shares)


def diagnostics(
    predicted: np.ndarray,
    measured: np.ndarray,
    leverage: np.ndarray | None = None,
    names: Sequence[str] = (),
    spread: Spread = EVEN,
) -> tuple[str, ...]:
    """Return one sentence for each thing that residuals (measured - predicted) tell, or that they
    tell nothing; tests at the 1 % level.

    Spread that grows: Breusch & Pagan (1979) as studentised by Koenker (1981). Far-off rows: the
    kurtosis of Anscombe & Glynn (1983). Rows that move the fit: Cook's (1977) distance over 1.

    leverage : of the fitted rows, float64 [n]; None if they were not fitted. names : of the rows.
    spread : of the noise as fitted; residuals are judged over it.
    """
    from scipy import stats

    noise = spread.of(predicted)
    residual = (measured - predicted) / noise
    if len(residual) < FEWEST or np.ptp(predicted) == 0:
        return (f"{len(residual)} rows are too few to judge the residuals.",)
    found = []
    if spread.power > 0:
        found.append(
            f"Errors grow as the prediction to the power {spread.power:.2f}, and intervals with "
            "them."
        )
    growth = stats.linregress(predicted, residual**2)
    if stats.chi2.sf(len(residual) * growth.rvalue**2, 1) < 0.01:
        way = "slow" if growth.slope > 0 else "fast"
        found.append(f"Errors are larger for {way} networks: read their intervals as a mean width.")
    centred = (predicted - predicted.mean()) / predicted.std()
    bend = stats.pearsonr(centred**2, residual)
    if bend.pvalue < 0.01:
        found.append("Errors bend with the prediction: a curved term is missing.")
    tails = stats.kurtosistest(residual)
    if tails.pvalue < 0.01 and tails.statistic > 0:
        worst = int(np.argmax(np.abs(residual)))
        off = noise[worst] * residual[worst]
        found.append(
            f"A few rows are far off, {_called(names, worst)} by {off:.3g}: measure them again."
        )
    found += _influential(residual, leverage, names)
    return tuple(found) or (
        "The residuals look like noise: nothing is missing that rows can show.",
    )


def _influential(
    residual: np.ndarray, leverage: np.ndarray | None, names: Sequence[str]
) -> list[str]:
    """Return a sentence on the row that moves the fit most, if it moves it by much."""
    if leverage is None or len(residual) <= leverage.sum() + 1:
        return []
    scale = residual @ residual / (len(residual) - leverage.sum())
    moved = np.divide(residual**2 * leverage, np.maximum(1 - leverage, 1e-9) ** 2)
    distance = moved / (leverage.sum() * scale)
    most = int(np.argmax(distance))
    if distance[most] <= 1:
        return []
    how = f"Cook's distance {distance[most]:.1f}"
    if leverage[most] > ALONE:  # then the distance is a division by next to nothing
        how = "no other row says what it says"
    return [
        f"The fit hangs on {_called(names, most)} ({how}): measure it again, or networks like it."
    ]


def _called(names: Sequence[str], row: int) -> str:
    return names[row] if names else f"row {row + 1}"

"""Standard errors that admit that terms were selected: the fit repeated, selection and all.

Responses are drawn anew around the fitted means (bootstrap of residuals, each over the square root
of one minus its leverage; Davison & Hinkley 1997, ch. 6), and terms, levels, variances and
coefficients are chosen again from them. A term that a replicate does not choose counts as 0 there.
What the prior shrinks away is no part of that spread, so it is added to every replicate's
coefficient as a draw. Intervals are percentiles of the draws (Efron 2014, 4.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.errors import PredictorError
from edgenas.predictors.linear.posterior import Posterior, with_intercept

CONFIDENCE = 0.95
FEWEST_REPLICATES = 20


@dataclass(frozen=True)
class Model:
    """Chosen terms [p], their rows [n, p], and the coefficients."""

    terms: tuple[str, ...]
    matrix: np.ndarray
    posterior: Posterior


@dataclass(frozen=True)
class Inference:
    """What the replicates say of the fitted coefficients, intercept first, float64 [p + 1] each.

    bse : standard errors. lower, upper : 95 % intervals. pvalues : of being zero, no smaller than
    2 / (replicates + 1). selected : share of the replicates that chose the term.
    """

    replicates: int
    bse: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    pvalues: np.ndarray
    selected: np.ndarray


# responses [n] -> the model that all of the fitting makes of them
Refit = Callable[[np.ndarray], Model]


def bootstrap(
    model: Model, response: np.ndarray, refit: Refit, replicates: int, seed: int
) -> Inference:
    """Return the inference for `model`, fitted on `response` [n], from repeated fits.

    refit : repeats every choice that made `model`; rows and what terms are called stay the same.

    Raises
    ------
    PredictorError : fewer than 20 replicates, which give no interval.
    """
    if replicates < FEWEST_REPLICATES:
        raise PredictorError(
            f"{counted(replicates, 'replicate is', 'replicates are')} too few for intervals of a "
            f"bootstrap, at least {FEWEST_REPLICATES} are needed.",
            "200 are enough for most tables.",
        )
    rng = np.random.default_rng([seed, 7])
    mean = model.posterior.predict(model.matrix)
    residual = _equally_wide(model, response - mean)
    draws = np.zeros((replicates, len(model.terms) + 1))
    chosen = np.zeros_like(draws)
    for at in range(replicates):
        drawn = mean + rng.choice(residual, len(mean))
        again = refit(drawn)
        values = _draw(again, drawn, rng)
        where = _positions(model.terms, again.terms)
        draws[at, where >= 0] = values[where[where >= 0]]
        chosen[at] = where >= 0
    return _summary(draws, chosen)


def _equally_wide(model: Model, residual: np.ndarray) -> np.ndarray:
    """Return residuals [n] with the variance of the noise, and mean 0."""
    rows = with_intercept(model.matrix)
    leverage = np.einsum("ij,ij->i", rows @ model.posterior.covariance, rows)
    wide = residual / np.sqrt(np.maximum(1 - leverage, 1 / len(residual)))
    return np.asarray(wide - wide.mean())


def _draw(model: Model, response: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return coefficients [p + 1], each with the error that its shrinkage alone makes.

    The covariance C over the residual variance is C X'X C (noise) + C P C (prior P).
    """
    posterior = model.posterior
    pushed = with_intercept(model.matrix) @ posterior.covariance
    shrunk_away = np.diag(posterior.covariance) - np.einsum("ij,ij->j", pushed, pushed)
    residual = response - posterior.predict(model.matrix)
    scale = residual @ residual / max(len(response) - posterior.effective, 1.0)
    spread = np.sqrt(scale * np.maximum(shrunk_away, 0.0))
    return np.asarray(posterior.params + spread * rng.standard_normal(len(spread)))


def _positions(terms: Sequence[str], found: Sequence[str]) -> np.ndarray:
    """Return where the intercept and each of `terms` stand among (intercept, *found); -1: not."""
    at = {name: index for index, name in enumerate(found, 1)}
    return np.array([0, *(at.get(name, -1) for name in terms)])


def _summary(draws: np.ndarray, chosen: np.ndarray) -> Inference:
    replicates = len(draws)
    tail = (1 - CONFIDENCE) / 2
    # ranks that leave out as many draws as the confidence allows, and not one more
    out = int(np.floor((replicates + 1) * tail))
    ordered = np.sort(draws, axis=0)
    sides = np.minimum((draws <= 0).sum(axis=0), (draws >= 0).sum(axis=0))
    return Inference(
        replicates=replicates,
        bse=draws.std(axis=0, ddof=1),
        lower=ordered[max(out - 1, 0)],
        upper=ordered[min(replicates - out, replicates - 1)],
        pvalues=np.minimum(2 * (sides + 1) / (replicates + 1), 1.0),
        selected=chosen.mean(axis=0),
    )

"""A predictor for a new board from few measurements: other boards' predictors as the prior.

The prior is a blend of the sources (blend.py): like one of them, or like their mean, scaled, and
somewhat off. Corrections by source and by term are added if they help. Compared are the transfer,
the best single source with a scale and shift, and a fit from scratch; a prior that hurts is
refused: the fit from scratch is returned, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData
from edgenas.predictors.linear import estimator
from edgenas.predictors.linear.cross_validation import validate
from edgenas.predictors.linear.estimator import Recipe
from edgenas.predictors.linear.noise import Spread
from edgenas.predictors.linear.posterior import Posterior
from edgenas.predictors.linear.shrinkage import Level
from edgenas.predictors.regression import Regression
from edgenas.predictors.transfer.hardware import Expected
from edgenas.predictors.transfer.mixture import Blend

LEAST_ROWS = 5
# Rows are left out one by one, or in so many parts.
FOLDS = 10
# Errors on few rows are noisy: of ten rows terms are adapted only if they take three fifths off the
# squared error (6 / n), and the prior is refused only if it adds twice that from scratch (20 / n)
# and over 5 % of the spread: at 8 / n ten of 200 were refused, all of which would have helped.
WORTHWHILE, HARMFUL, MATERIAL = 6.0, 20.0, 0.05
# Transfer and scratch are averaged with weights by this power of their errors on rows left out; a
# transfer of more weight than ALONE is taken alone.
STACKED_BY, ALONE = 4.0, 0.95
# Of so few rows terms that they chose are flattered, and choosing them again takes a second.
FEW = 20
# Five rows refute what was right on boards left out only if they are much worse with it.
REFUTED = 3.0


@dataclass(frozen=True)
class Transfer:
    """The predictor, and what was compared to choose it.

    predictor : reads the terms of the new rows, then one column a source: its prediction.
    used : "transfer" or "scratch". errors : RMSE, in the response's unit, of rows left out, one by
        one or, if they are more than ten, in ten parts: of "transfer", "affine" (the best single
        source with its scale and shift, one by one) and "scratch", and where these are averaged, of
        that, "stacked".
    gain : share of the error from scratch that the prior saves; not positive if it was refused.
    warning : why the prior was refused, or empty.
    likeness : how far each source, and their mean, is believed to be what the new board is like.
    hardware : whether the scale that hardware says was used.
    """

    predictor: Regression
    used: str
    errors: dict[str, float]
    gain: float
    warning: str
    likeness: dict[str, float] = field(default_factory=dict)
    hardware: bool = False

    def rows(self, matrix: np.ndarray, sources: np.ndarray) -> np.ndarray:
        """Return what `predictor` reads: terms [n, p], behind them sources' predictions [n, s]."""
        return np.hstack([matrix, sources]) if self.used == "transfer" else matrix


def adapt(
    data: TrainingData,
    sources: np.ndarray,
    names: Sequence[str],
    seed: int = 0,
    expected: Expected | None = None,
    *,
    scratch: float | None = None,
) -> Transfer:
    """Fit the new board's rows with other boards' predictions of the same rows as the prior.

    data : the new board's rows; `levels` as for a regression.
    sources : float64 [n, s], predictions (or measurements) of the rows by s other boards.
    names : of those boards, s of them.
    expected : of the scale, by the board's hardware: combined with the rows by its variance, unless
        corrections by term help or the squared error is three times that without it.
    scratch : RMSE of rows left out by a fit from scratch, where it was found by choosing terms
        again without them; None for terms that the rows did not choose.

    Raises
    ------
    PredictorError : fewer than 5 rows, or sources that do not fit the rows.
    """
    n = len(data.matrix)
    if n < LEAST_ROWS or sources.shape != (n, len(names)) or not np.isfinite(sources).all():
        raise PredictorError(
            f"{data.name}: a transfer takes {LEAST_ROWS} measured rows or more, each with a finite "
            f"prediction by every source; got {n} rows and sources {sources.shape}."
        )
    own = tuple(data.levels or (Level("own", _standard(data.matrix)),))
    data = replace(data, levels=own)
    regression.check(data)
    scratch = _left_out(data, estimator.of(data), seed) if scratch is None else scratch
    affine = min(_affine_error(column, data.response) for column in sources.T) ** 0.5
    blended = Blend.of(data.matrix, sources, data.response)
    terms = (*data.terms, *(f"source {name}" for name in names))
    whole = TrainingData(data.name, data.unit, terms, blended.rows, data.response)
    told, with_terms = _told(blended, sources, expected), _Corrected.of(whole, blended, own)
    found = _better(*_adapted(whole, blended, told, with_terms, seed), scratch)
    errors = {"transfer": found.error, "affine": affine, "scratch": scratch}
    gain = 1 - errors["transfer"] / errors["scratch"]
    likeness = blended.likeness(names)
    harmful = (1 + HARMFUL / n) * scratch**2 + (MATERIAL * data.response.std()) ** 2
    if found.error**2 > harmful:
        warning = (
            f"{data.name}: the prior from {', '.join(names)} was refused: on rows left out its "
            f"error is {errors['transfer']:.3g}, from scratch {errors['scratch']:.3g}."
        )
        fitted = regression.fit(data, seed)
        return Transfer(fitted, "scratch", errors, gain, warning, likeness)
    made = found.made
    weight = 1 / (1 + (found.error / max(scratch, 1e-300)) ** STACKED_BY)
    if weight < ALONE:
        made = Stacked(made, estimator.of(data), weight)
        errors["stacked"] = _left_out(found.data, made, seed)
    fitted = regression.assembled(found.data, made, seed)
    return Transfer(fitted, "transfer", errors, gain, "", likeness, found.hardware)


@dataclass(frozen=True)
class Stacked:
    """A transfer and a fit from scratch, averaged with weights by their errors on rows left out
    (stacking; Breiman 1996).

    transfer : of terms and sources. scratch : of the terms alone. weight : of the transfer.
    """

    transfer: regression.Fitting
    scratch: Recipe
    weight: float

    @property
    def spread(self) -> Spread:
        return self.transfer.spread

    @property
    def noise(self) -> np.ndarray:
        return self.transfer.noise

    @property
    def light(self) -> int:
        return self.transfer.light

    def fit(self, final: bool = False) -> Posterior:
        return self._averaged(self.transfer.fit(final), self.scratch.fit(final))

    def refit(self, kept: np.ndarray) -> Posterior:
        return self._averaged(self.transfer.refit(kept), self.scratch.refit(kept))

    def named_variances(self) -> dict[str, float]:
        return self.transfer.named_variances()

    def _averaged(self, transfer: Posterior, scratch: Posterior) -> Posterior:
        """Return the average; its variances are those of errors that go together, the most that
        they can be."""
        size, known = len(transfer.params), len(scratch.params)
        params, covariance = np.zeros(size), np.zeros((size, size))
        params[:known], covariance[:known, :known] = scratch.params, scratch.covariance
        one, other = self.weight, 1 - self.weight
        return replace(
            transfer,
            params=one * transfer.params + other * params,
            covariance=one * transfer.covariance + other * covariance,
            effective=one * transfer.effective + other * scratch.effective,
        )


@dataclass(frozen=True)
class _Found:
    """A way to adapt: the RMSE of rows left out, the rows of terms and sources, and how
    coefficients are made of them."""

    error: float
    data: TrainingData
    made: regression.Fitting
    hardware: bool = False


def _adapted(
    whole: TrainingData, blended: Blend, told: Blend | None, corrected: _Corrected, seed: int
) -> tuple[_Found, _Found]:
    """Return the blend as hardware told or as it is, and the blend with corrections."""
    found = _Found(_left_out(whole, blended, seed), whole, blended)
    if told is not None:
        error = _left_out(whole, told, seed)
        if error**2 < REFUTED * found.error**2:
            found = _Found(error, whole, told, hardware=True)
    return found, _Found(_left_out(whole, corrected, seed), whole, corrected)


def _better(found: _Found, corrected: _Found, scratch: float) -> _Found:
    """Return which of two to take: with corrections only if they help, and more than no prior."""
    worthwhile = 1 - min(WORTHWHILE / len(found.data.response), 1)
    least = min(worthwhile * found.error**2, scratch**2)
    return corrected if corrected.error**2 < least else found


def _left_out(data: TrainingData, made: regression.Fitting, seed: int) -> float:
    """Return the RMSE of rows that are left out, each from all choices made without it."""
    return validate(data.matrix, data.response, made.refit, FOLDS, seed).summary.rmse


@dataclass(frozen=True)
class _Corrected(Recipe):
    """The blend, its scale chosen anew, and corrections by source and by term in levels."""

    blended: Blend | None = None

    @classmethod
    def of(cls, whole: TrainingData, blended: Blend, own: Sequence[Level]) -> _Corrected:
        p, count = len(own[0].root), blended.sources
        levels = (
            Level("prior", blended.fit().params[1:, None], flat=True),
            Level("sources", np.vstack([np.zeros((p, count)), _standard(whole.matrix[:, p:])])),
            *(Level(x.name, np.vstack([x.root, np.zeros((count, x.root.shape[1]))])) for x in own),
        )
        made = estimator.of(replace(whole, levels=levels), tails=False)
        return cls(**{x.name: getattr(made, x.name) for x in fields(made)}, blended=blended)

    def refit(self, kept: np.ndarray) -> Posterior:
        """Return the coefficients with the blend and the variances of rows `kept`, bool, alone."""
        assert self.blended is not None
        direction = self.blended.refit(kept).params[1:, None]
        prior = replace(self.levels[0], root=direction)
        return Recipe.refit(replace(self, levels=(prior, *self.levels[1:])), kept)


def _told(blended: Blend, sources: np.ndarray, expected: Expected | None) -> Blend | None:
    """Return the blend with the scale that hardware says, None if it says nothing."""
    if expected is None or expected.slopes is None:
        return None
    level = float(np.mean(expected.slopes * sources.mean(axis=0)))
    return blended.told(level, expected.spread * level)


def _standard(matrix: np.ndarray) -> np.ndarray:
    spread = matrix.std(axis=0)
    return np.diag(np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0))


def _affine_error(source: np.ndarray, response: np.ndarray) -> float:
    """Return the leave-one-out mean squared error of response = scale * source + shift."""
    if np.ptp(source) == 0:
        return float(np.mean((response - response.mean()) ** 2))
    centred = source - source.mean()
    leverage = 1 / len(source) + centred**2 / (centred @ centred)
    slope = centred @ response / (centred @ centred)
    residual = response - response.mean() - slope * centred
    return float(np.mean((residual / np.maximum(1 - leverage, 1e-9)) ** 2))

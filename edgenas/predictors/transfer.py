"""A predictor for a new board from few measurements: other boards' predictors as the prior.

Response of the new board = scale * prior + shift, then corrections in levels, by source and by
term, if they help. The prior is the mean of the sources, each scaled by itself and weighted by how
well it predicts rows left out. Compared are the transfer, the best
single source with a scale and shift, and a fit from scratch; a prior that hurts is refused: the
fit from scratch is returned, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.errors import PredictorError
from edgenas.predictors import regression, shrinkage
from edgenas.predictors.base import TrainingData
from edgenas.predictors.hardware import Expected
from edgenas.predictors.regression import Regression
from edgenas.predictors.shrinkage import Level

LEAST_ROWS = 5
# Squared errors on few rows are noisy: terms are adapted only if they take two fifths off, and the
# prior is refused only if it is a third worse than no prior, and by over 5 % of the spread.
WORTHWHILE, HARMFUL, MATERIAL = 0.6, 1.33, 0.05
# Five rows refute what was right on boards left out only if they are much worse with it.
REFUTED = 3.0
OFF = "off what hardware says"


@dataclass(frozen=True)
class Transfer:
    """The predictor, and what was compared to choose it.

    predictor : reads the terms of the new rows, then one column a source: its prediction.
    used : "transfer" or "scratch". errors : leave-one-out RMSE of "transfer", "affine" (the best
        single source with its scale and shift) and "scratch", in the response's unit.
    gain : share of the error from scratch that the prior saves; not positive if it was refused.
    warning : why the prior was refused, or empty.
    """

    predictor: Regression
    used: str
    errors: dict[str, float]
    gain: float
    warning: str

    def rows(self, matrix: np.ndarray, sources: np.ndarray) -> np.ndarray:
        """Return what `predictor` reads: terms [n, p], behind them sources' predictions [n, s]."""
        return np.hstack([matrix, sources]) if self.used == "transfer" else matrix


def adapt(
    data: TrainingData,
    sources: np.ndarray,
    names: Sequence[str],
    seed: int = 0,
    expected: Expected | None = None,
) -> Transfer:
    """Fit the new board's rows with other boards' predictions of the same rows as the prior.

    data : the new board's rows; `levels` as for a regression.
    sources : float64 [n, s], predictions (or measurements) of the rows by s other boards.
    names : of those boards, s of them.
    expected : of the scale, by the board's hardware: combined with the rows by its variance, unless
        corrections by term help or the squared error is three times that without it.

    Raises
    ------
    PredictorError : fewer than 5 rows, or sources that do not fit the rows.
    """
    n, p = data.matrix.shape
    if n < LEAST_ROWS or sources.shape != (n, len(names)) or not np.isfinite(sources).all():
        raise PredictorError(
            f"{data.name}: a transfer takes {LEAST_ROWS} measured rows or more, each with a finite "
            f"prediction by every source; got {n} rows and sources {sources.shape}."
        )
    own = data.levels or (Level("own", _standard(data.matrix)),)
    scratch = shrinkage.choose(data.matrix, data.response, own).projection.error()
    affine = min(_affine_error(column, data.response) for column in sources.T)
    matrix = np.hstack([data.matrix, sources])
    pad = np.zeros((p, len(names)))
    direction = _prior(sources, data.response)
    prior = Level("prior", np.append(np.zeros(p), direction)[:, None], flat=True)
    levels = (
        prior,
        Level("sources", np.vstack([pad, _standard(sources)])),
        *(Level(x.name, np.vstack([x.root, pad.T[:, :1].repeat(x.root.shape[1], 1)])) for x in own),
    )
    simple = shrinkage.choose(matrix, data.response, levels[:1]).projection.error()
    error = shrinkage.choose(matrix, data.response, levels).projection.error()
    if error > WORTHWHILE * simple:
        levels, error = levels[:1], simple
    known = None
    if expected is not None and expected.slopes is not None and len(levels) == 1:
        by_hardware = np.append(np.zeros(p), _prior(sources, data.response, expected.slopes))
        off = Level(OFF, by_hardware[:, None], given=expected.spread**2 / max(error, 1e-300))
        rest = data.response - matrix @ by_hardware
        combined_error = shrinkage.choose(matrix, rest, (off,)).projection.error()
        if combined_error < REFUTED * error:
            known, levels, error = by_hardware, (off,), combined_error
    errors = {"transfer": error**0.5, "affine": affine**0.5, "scratch": scratch**0.5}
    gain = 1 - errors["transfer"] / errors["scratch"]
    if error > HARMFUL * scratch + (MATERIAL * data.response.std()) ** 2:
        warning = (
            f"{data.name}: the prior from {', '.join(names)} was refused: on rows left out its "
            f"error is {errors['transfer']:.3g}, from scratch {errors['scratch']:.3g}."
        )
        fitted = regression.fit(replace(data, levels=tuple(own)), seed)
        return Transfer(fitted, "scratch", errors, gain, warning)
    terms = (*data.terms, *(f"source {name}" for name in names))
    combined = TrainingData(data.name, data.unit, terms, matrix, data.response, levels, known=known)
    return Transfer(regression.fit(combined, seed), "transfer", errors, gain, "")


def _prior(
    sources: np.ndarray, response: np.ndarray, given: np.ndarray | None = None
) -> np.ndarray:
    """Return weights of the sources, float64 [s]: each one's slope, its own or given, by its say.

    A source's say is the Gaussian likelihood of its left-out errors (pseudo-BMA; Yao et al. 2018).
    """
    errors = np.array([_affine_error(column, response) for column in sources.T])
    centred = sources - sources.mean(axis=0)
    power = np.sum(centred**2, axis=0)
    slopes = np.divide(
        centred.T @ (response - response.mean()), power, out=np.zeros_like(power), where=power > 0
    )
    if not (slopes > 0).any():
        best = np.eye(len(errors))[int(np.argmin(errors))]
        return best if given is None else best * given
    ratio = errors / max(errors[slopes > 0].min(), 1e-300)
    say = (slopes > 0) * np.maximum(ratio, 1e-300) ** (-len(response) / 2)
    return np.asarray((slopes if given is None else given) * say / say.sum())


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
